//! How the daemon listens and what it allows its callers.

use core::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// The token that opens the administration, from the environment only; without one there is no administration.
pub const ADMIN_TOKEN_VARIABLE: &str = "EVERCANDLE_ADMIN_TOKEN";
/// The key that callers must show, from the environment only; without one nobody is asked for any.
pub const API_KEY_VARIABLE: &str = "EVERCANDLE_API_KEY";

/// More at once than any machine has sockets for.
const AT_ONCE_MAX: usize = 1_000_000;

/// The daemon. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port. Loopback: whoever wants to be reached from elsewhere says so.
    #[serde(deserialize_with = "super::address")]
    pub listen: SocketAddr,
    /// Names by which the daemon is called besides `localhost` and addresses, such as a proxy's in front of it. A daemon on
    /// loopback answers to no other; elsewhere, names are checked once there is one here.
    pub hosts: Vec<String>,
    /// Sites whose pages may read answers in a browser, such as `https://example.com`.
    pub allow_origins: Vec<String>,
    /// Connections open at once; further ones are answered 503 and closed.
    pub connections_max: usize,
    /// Requests being answered at once; further ones are answered 503. Health is exempt.
    pub requests_max: usize,
    /// A request's head must have arrived by then.
    pub header_timeout_ms: u64,
    /// A request's body must have arrived by then.
    pub body_timeout_ms: u64,
    /// A connection on which nothing is asked, or nothing is read, is closed after this; so is one whose answer is read at
    /// less than 64 KiB a second, after a few times this.
    pub idle_timeout_ms: u64,
    /// An answer must have begun by then.
    pub request_timeout_ms: u64,
    /// An answer must have ended by then, counted from the request's head; what has not is cut off. Event streams may last.
    pub answer_timeout_ms: u64,
    /// How long answers under way may take to end after the daemon was told to stop.
    pub drain_ms: u64,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// Klines of one answer.
    pub rows_max: u64,
    /// Symbols of one question for prices.
    pub symbols_max: usize,
    /// Event streams open at once.
    pub streams_max: usize,
    /// Series followed for event streams at once.
    pub stream_series_max: usize,
    /// Between two looks at the prices that event streams follow.
    pub stream_prices_ms: u64,
    /// On an event stream where nothing happens, a comment is sent this often, so that nobody takes it for dead.
    pub stream_heartbeat_ms: u64,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            hosts: Vec::new(),
            allow_origins: Vec::new(),
            connections_max: 1_024,
            requests_max: 128,
            header_timeout_ms: 10_000,
            body_timeout_ms: 10_000,
            idle_timeout_ms: 60_000,
            request_timeout_ms: 60_000,
            // Ten years of minutes as JSON, at three megabytes a second.
            answer_timeout_ms: 600_000,
            // Supervisors that wait ten seconds see a clean end.
            drain_ms: 8_000,
            body_bytes_max: 65_536,
            // Ten years of minutes.
            rows_max: 5_300_000,
            symbols_max: 1_000,
            streams_max: 128,
            stream_series_max: 256,
            stream_prices_ms: 2_000,
            stream_heartbeat_ms: 15_000,
        }
    }
}

impl ServerConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (name, value) in [
            ("connections_max", self.connections_max as u64),
            ("requests_max", self.requests_max as u64),
            ("header_timeout_ms", self.header_timeout_ms),
            ("body_timeout_ms", self.body_timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("rows_max", self.rows_max),
            ("symbols_max", self.symbols_max as u64),
            ("stream_prices_ms", self.stream_prices_ms),
            ("stream_heartbeat_ms", self.stream_heartbeat_ms),
        ] {
            if value == 0 {
                return Err(ConfigError(format!("server.{name} = 0: expected at least 1")));
            }
        }
        for (name, value) in [
            ("connections_max", self.connections_max),
            ("requests_max", self.requests_max),
            ("streams_max", self.streams_max),
        ] {
            if AT_ONCE_MAX < value {
                return Err(ConfigError(format!(
                    "server.{name} = {value}: expected at most {AT_ONCE_MAX}"
                )));
            }
        }
        if self.answer_timeout_ms < self.request_timeout_ms {
            return Err(ConfigError(format!(
                "server.answer_timeout_ms = {}: expected at least server.request_timeout_ms = {}: an answer ends after it began",
                self.answer_timeout_ms, self.request_timeout_ms
            )));
        }
        for host in &self.hosts {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
            if host.is_empty() || !host.bytes().all(is_name) {
                return Err(ConfigError(format!(
                    "server.hosts: {host:?} is not a host's name: expected one without scheme, port or path, such as \
                     data.example.com"
                )));
            }
        }
        for origin in &self.allow_origins {
            let rest = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            if !rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '*', ' ', '@'])) {
                return Err(ConfigError(format!(
                    "server.allow_origins: {origin:?} is not an origin: expected scheme, host and port without a path, such as \
                     https://example.com"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_not_have_to_end_before_it_has_to_begin() {
        let config = ServerConfig {
            request_timeout_ms: 2,
            answer_timeout_ms: 1,
            ..ServerConfig::default()
        };
        let error = config.validate().unwrap_err().to_string();
        assert!(
            error.contains("server.answer_timeout_ms = 1: expected at least server.request_timeout_ms = 2"),
            "{error}"
        );
        assert_eq!(ServerConfig::default().validate(), Ok(()));
    }

    #[test]
    fn no_more_is_allowed_at_once_than_can_be_counted() {
        let config = ServerConfig {
            requests_max: usize::MAX,
            ..ServerConfig::default()
        };
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains("expected at most 1000000"), "{error}");
    }
}
