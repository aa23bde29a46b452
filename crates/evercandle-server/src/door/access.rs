//! Who may ask what: the Host header, the API key, the administration's token.
//!
//! **Host.** A daemon on loopback is reachable from every page that its user opens: a name that resolves to 127.0.0.1
//! makes the browser believe the page and the daemon are one site. Such a request names the page's host, so only names
//! that are ours are answered. An address in place of a name cannot be rebound, and passes. Where the daemon listens on
//! other addresses, names are checked once `server.hosts` lists any.
//!
//! **Key.** A browser cannot send headers when it opens a page, so pages, which hold no data, are open, and ask for the key
//! themselves; liveness and readiness are open, since supervisors have no keys. Everything else wants the key, in a header
//! and never in an address or a cookie: addresses are logged, cookies are sent by other sites' pages.
//!
//! **Comparison.** Digests are compared, in constant time, so that neither content nor length can be measured.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use evercandle::config::ServerConfig;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Version, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::problem::Problem;
use crate::server::Secrets;

/// A shorter secret can be guessed.
pub(crate) const SECRET_LENGTH_MIN: usize = 16;

/// What opens a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Nothing is needed: pages without data, and whether the process lives.
    Open,
    /// The API key, where one is set.
    Key,
    /// The administration's token.
    Admin,
}

impl Door {
    /// A new path is behind the key until it is listed here.
    pub(crate) fn of(path: &str) -> Door {
        if path == "/admin" || path.starts_with("/admin/") {
            return Door::Admin;
        }
        let is_open = matches!(
            path,
            "/" | "/favicon.ico" | "/health/live" | "/health/ready" | "/openapi.json" | "/docs"
        ) || path.starts_with("/dashboard/")
            || path.starts_with("/docs/");
        if is_open { Door::Open } else { Door::Key }
    }
}

/// Who may ask what.
pub(crate) struct Access {
    api_key: Option<Secret>,
    admin_token: Option<Secret>,
    hosts: Hosts,
}

impl Access {
    pub(crate) fn new(secrets: &Secrets, config: &ServerConfig, listening: SocketAddr) -> Access {
        Access {
            api_key: secrets.api_key.as_deref().map(Secret::new),
            admin_token: secrets.admin_token.as_deref().map(Secret::new),
            hosts: Hosts::new(config, listening),
        }
    }

    /// Whether answers are for anybody, so that a cache may give them to others.
    pub(crate) fn is_for_anybody(&self) -> bool {
        self.api_key.is_none()
    }

    /// Whether this request may go on to its handler.
    pub(crate) fn check(&self, request: &Request<Body>, door: Door) -> Result<(), Problem> {
        self.hosts.check(request)?;
        match (door, &self.admin_token, &self.api_key) {
            (Door::Admin, None, _) => Err(Problem::not_found(
                "there is no administration: it is off unless EVERCANDLE_ADMIN_TOKEN is set",
            )),
            (Door::Admin, Some(token), _) => token.check(bearer(request.headers()), "the administration's token"),
            (Door::Key, _, Some(key)) => {
                let shown = request.headers().get("x-api-key").map(HeaderValue::as_bytes);
                key.check(shown.or_else(|| bearer(request.headers())), "the API key")
            }
            (Door::Open, _, _) | (Door::Key, _, None) => Ok(()),
        }
    }
}

/// The token of `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// A digest of what must be shown.
struct Secret([u8; 32]);

impl Secret {
    fn new(secret: &str) -> Secret {
        Secret(Sha256::digest(secret.as_bytes()).into())
    }

    fn check(&self, shown: Option<&[u8]>, name: &str) -> Result<(), Problem> {
        let detail = match shown {
            None => format!("{name} is needed, as the header Authorization: Bearer …"),
            Some(shown) if self.is(shown) => return Ok(()),
            Some(_) => format!("this is not {name}"),
        };
        Err(
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "A key is needed", detail).header(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"evercandle\""),
            ),
        )
    }

    fn is(&self, shown: &[u8]) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        self.0.ct_eq(&shown).into()
    }
}

/// Names that are ours.
struct Hosts {
    names: Vec<String>,
    /// Whether any other is refused.
    strict: bool,
}

impl Hosts {
    fn new(config: &ServerConfig, listening: SocketAddr) -> Hosts {
        Hosts {
            names: config.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            strict: listening.ip().is_loopback() || !config.hosts.is_empty(),
        }
    }

    fn check(&self, request: &Request<Body>) -> Result<(), Problem> {
        let mut fields = request.headers().get_all(header::HOST).iter();
        let (field, another) = (fields.next(), fields.next());
        if another.is_some() {
            return Err(Problem::bad_request("there is more than one Host header"));
        }
        let field = field.map(|field| field.to_str().unwrap_or("\u{fffd}"));
        // An address with a host in it wins over the header.
        let authority = request.uri().authority().map(|authority| authority.as_str());
        let Some(host) = authority.or(field) else {
            if request.version() < Version::HTTP_11 {
                return Ok(());
            }
            return Err(Problem::bad_request("there is no Host header, which HTTP/1.1 demands"));
        };
        if !self.strict || self.knows(host) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown-host",
            "This daemon does not go by that name",
            "the Host header names neither localhost, nor an address, nor a name of server.hosts; list the name there if a \
             proxy in front uses it",
        ))
    }

    fn knows(&self, host: &str) -> bool {
        let Some(name) = name(host) else {
            return false;
        };
        let name = name.to_ascii_lowercase();
        name == "localhost"
            || name.ends_with(".localhost")
            || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || self.names.contains(&name)
    }
}

/// The host without its port. `None`: neither a name nor an address.
fn name(host: &str) -> Option<&str> {
    let (name, port) = match host.rfind(':') {
        Some(colon) if !host.ends_with(']') => (&host[..colon], &host[colon + 1..]),
        _ => (host, ""),
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
    (is_port && is_name).then_some(name)
}

/// A secret that is set but does not protect anything is a mistake, not a choice.
pub(crate) fn check_secret(variable: &str, secret: Option<&str>) -> Result<(), String> {
    match secret.map(str::len) {
        Some(length) if length < SECRET_LENGTH_MIN => Err(format!(
            "{variable} has {length} characters: expected at least {SECRET_LENGTH_MIN}; openssl rand -hex 32 makes a good one"
        )),
        _ => Ok(()),
    }
}

/// How long a browser may remember what other sites may ask.
pub(crate) const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    fn access(hosts: &[&str], listening: &str, api_key: Option<&str>, admin_token: Option<&str>) -> Access {
        let config = ServerConfig {
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            ..ServerConfig::default()
        };
        let secrets = Secrets {
            api_key: api_key.map(str::to_owned),
            admin_token: admin_token.map(str::to_owned),
        };
        Access::new(&secrets, &config, listening.parse().unwrap())
    }

    fn asked(host: Option<&str>, headers: &[(&str, &str)]) -> Request<Body> {
        let mut request = Request::builder().uri("/v1/klines");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(host) = host {
            request = request.header("host", host);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn on_loopback_only_our_own_names_and_bare_addresses_are_answered() {
        let access = access(&["data.example"], "127.0.0.1:8080", None, None);
        for host in [
            "localhost",
            "localhost:8080",
            "LOCALHOST:1",
            "app.localhost",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "10.1.2.3",
            "data.example:443",
        ] {
            assert!(access.check(&asked(Some(host), &[]), Door::Key).is_ok(), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example:8080",
            "data.example.evil",
            "localhost:8080@evil.example",
            "",
            ":8080",
            "localhost:port",
            "xn--localhost-",
        ] {
            assert!(access.check(&asked(Some(host), &[]), Door::Key).is_err(), "{host}");
        }
        assert!(access.check(&asked(None, &[]), Door::Key).is_err());
    }

    #[test]
    fn elsewhere_names_are_checked_once_any_is_listed() {
        let open = access(&[], "0.0.0.0:8080", None, None);
        assert!(open.check(&asked(Some("anything.example"), &[]), Door::Key).is_ok());
        let listed = access(&["data.example"], "0.0.0.0:8080", None, None);
        assert!(listed.check(&asked(Some("data.example"), &[]), Door::Key).is_ok());
        assert!(listed.check(&asked(Some("anything.example"), &[]), Door::Key).is_err());
    }

    #[test]
    fn two_host_headers_and_an_address_with_another_host_are_refused() {
        let access = access(&[], "127.0.0.1:8080", None, None);
        let twice = asked(Some("localhost"), &[("host", "localhost")]);
        assert!(access.check(&twice, Door::Open).is_err());
        let absolute = Request::builder()
            .uri("http://evil.example/v1/klines")
            .header("host", "localhost");
        assert!(
            access
                .check(&absolute.body(Body::empty()).unwrap(), Door::Open)
                .is_err()
        );
    }

    /// Goal: every door with every key, right, wrong or absent.
    #[test]
    fn the_key_opens_what_it_is_for() {
        let (key, token) = ("a-key-of-16-chars", "a-token-of-16-chars");
        let bearer = |secret: &str| format!("Bearer {secret}");
        let both = access(&[], "127.0.0.1:1", Some(key), Some(token));
        let shown: [(&str, Vec<(&str, String)>); 7] = [
            ("nothing", vec![]),
            ("key", vec![("authorization", bearer(key))]),
            ("key in its own header", vec![("x-api-key", key.to_owned())]),
            ("token", vec![("authorization", bearer(token))]),
            (
                "key with an end missing",
                vec![("authorization", bearer(&key[..key.len() - 1]))],
            ),
            (
                "key as a basic credential",
                vec![("authorization", format!("Basic {key}"))],
            ),
            ("token as an API key", vec![("x-api-key", token.to_owned())]),
        ];
        let opens = |access: &Access, door: Door| -> Vec<&str> {
            let opened = shown.iter().filter(|(_, headers)| {
                let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
                access.check(&asked(Some("localhost"), &headers), door).is_ok()
            });
            opened.map(|(name, _)| *name).collect()
        };
        assert_eq!(opens(&both, Door::Open).len(), shown.len());
        assert_eq!(opens(&both, Door::Key), ["key", "key in its own header"]);
        assert_eq!(opens(&both, Door::Admin), ["token"]);
        let neither = access(&[], "127.0.0.1:1", None, None);
        assert_eq!(opens(&neither, Door::Key).len(), shown.len());
        assert!(opens(&neither, Door::Admin).is_empty());
    }

    #[test]
    fn only_pages_and_liveness_are_open() {
        for path in [
            "/",
            "/health/live",
            "/health/ready",
            "/docs",
            "/docs/index.css",
            "/dashboard/main.js",
        ] {
            assert_eq!(Door::of(path), Door::Open, "{path}");
        }
        for path in [
            "/v1/klines",
            "/health",
            "/health/scheduler",
            "/metrics",
            "//",
            "/docsx",
            "/dashboard",
            "/health/live/",
        ] {
            assert_eq!(Door::of(path), Door::Key, "{path}");
        }
        for path in ["/admin", "/admin/", "/admin/refresh"] {
            assert_eq!(Door::of(path), Door::Admin, "{path}");
        }
    }

    #[test]
    fn a_secret_that_protects_nothing_is_a_mistake() {
        assert!(check_secret("X", None).is_ok());
        assert!(check_secret("X", Some("0123456789abcdef")).is_ok());
        for secret in ["", "short", "0123456789abcde"] {
            assert!(
                check_secret("X", Some(secret)).unwrap_err().contains("at least 16"),
                "{secret}"
            );
        }
    }
}
