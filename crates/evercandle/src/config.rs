//! The whole configuration, every default in one place with its reason, and the only reader of the environment.
//!
//! Three layers, later ones win: the defaults here, a TOML file, environment variables. A command line or a program
//! sets fields of the resulting value directly. Unknown keys are errors, so that a typo cannot silently mean a default.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

/// Where every upstream request is sent instead of the internet; see [`Config::internet`].
pub const INTERNET_VARIABLE: &str = "EVERCANDLE_INTERNET";
/// Where the cache lives; see [`CacheConfig::dir`].
pub const CACHE_DIR_VARIABLE: &str = "EVERCANDLE_CACHE_DIR";
/// Path of a TOML file with any of the settings here.
pub const CONFIG_VARIABLE: &str = "EVERCANDLE_CONFIG";

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub struct Config {
    /// `http://host:port`: every upstream request goes to `<this>/<original host>/<original path>`. For tests, mirrors
    /// and corporate relays. Absent: the upstreams themselves, over TLS.
    pub internet: Option<Url>,
    /// The local store.
    pub cache: CacheConfig,
    /// How one HTTP request behaves.
    pub http: HttpConfig,
    /// How a request becomes an answer.
    pub engine: EngineConfig,
    /// Per upstream, by its name in the catalogue.
    pub providers: BTreeMap<String, ProviderConfig>,
}

/// The local store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// The folder. Absent: `evercandle` in the user's cache folder (`$XDG_CACHE_HOME`, `~/.cache`).
    pub dir: Option<PathBuf>,
    /// Bytes the chunks may take; beyond, those read longest ago are evicted. Absent: no limit.
    pub size_max: Option<u64>,
    /// Bytes of disk space that are always left free.
    pub free_min: u64,
    /// Copy files into memory while verifying instead of mapping them: for file systems where others may truncate.
    pub strict: bool,
}

impl Default for CacheConfig {
    fn default() -> CacheConfig {
        CacheConfig {
            dir: None,
            size_max: None,
            // Enough for the rest of the machine to go on while someone frees space.
            free_min: 512 * 1024 * 1024,
            strict: false,
        }
    }
}

/// How one HTTP request behaves. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Connecting and waiting for the response's headers. Three seconds is far beyond a healthy answer and short
    /// enough that the next upstream still answers in time.
    pub timeout_ms: u64,
    /// Silence after which a body is given up.
    pub idle_timeout_ms: u64,
    /// Bytes per second below which a body is given up, measured over the idle timeout: a trickle is an outage too.
    pub rate_min: u64,
    /// Use the proxies named in the environment (`HTTPS_PROXY`, …). Off: a variable set for something else must not
    /// reroute market data.
    pub proxy_from_environment: bool,
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig {
            timeout_ms: 3_000,
            idle_timeout_ms: 3_000,
            rate_min: 4 * 1024,
            proxy_from_environment: false,
        }
    }
}

impl HttpConfig {
    /// Connecting and waiting for the response's headers.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Silence after which a body is given up.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }
}

/// How a request becomes an answer. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// How long after the last klines that arrived further calls are begun, when the request does not say: a long
    /// download that moves is not late. A deadline in the request is strict.
    pub deadline_ms: u64,
    /// Tries per slice and upstream, the first included.
    pub attempts: u32,
    /// Pause before the second try: a random time up to this, doubled for each further one.
    pub backoff_ms: u64,
    /// The longest pause between tries.
    pub backoff_max_ms: u64,
    /// Slices of one answer in flight at once.
    pub concurrency: usize,
    /// Time after a kline's close before its values are final: spot REST has been seen to change them for seconds.
    pub settle_ms: u64,
    /// Consecutive failures after which an upstream is left alone.
    pub breaker_failures: u32,
    /// How long an upstream is left alone after that.
    pub breaker_cooldown_ms: u64,
    /// Share of an upstream's published weight limit that we use, in percent: others may share the address.
    pub quota_percent: u32,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        EngineConfig {
            deadline_ms: 30_000,
            attempts: 2,
            backoff_ms: 200,
            backoff_max_ms: 2_000,
            concurrency: 8,
            settle_ms: 5_000,
            breaker_failures: 3,
            breaker_cooldown_ms: 30_000,
            quota_percent: 80,
        }
    }
}

/// One upstream. Absent fields keep the provider's own defaults, which its folder documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderConfig {
    /// Whether it is asked at all.
    pub enabled: bool,
    /// Host names by role (`spot`, `um`, `cm`, `archive`, `listing`, …), each a list in order of preference.
    pub hosts: BTreeMap<String, Vec<String>>,
    /// Numbers by name (`weight_per_minute.spot`, `page_rows.um`, `day_lag_hours`, …).
    pub limits: BTreeMap<String, u64>,
    /// Requests to it in flight at once.
    pub slots: usize,
}

impl Default for ProviderConfig {
    fn default() -> ProviderConfig {
        ProviderConfig {
            enabled: true,
            hosts: BTreeMap::new(),
            limits: BTreeMap::new(),
            slots: 8,
        }
    }
}

/// A setting that cannot be used: which, its value, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// Defaults, then the file named by `EVERCANDLE_CONFIG` (or `evercandle/config.toml` in the user's configuration
    /// folder, if there is one), then `EVERCANDLE_INTERNET` and `EVERCANDLE_CACHE_DIR`.
    pub fn from_environment() -> Result<Config, ConfigError> {
        let mut config = match Config::file() {
            Some(path) => Config::from_file(&path)?,
            None => Config::default(),
        };
        if let Some(text) = variable(INTERNET_VARIABLE) {
            config.internet = Some(parse_internet(&text)?);
        }
        if let Some(dir) = variable(CACHE_DIR_VARIABLE) {
            config.cache.dir = Some(dir.into());
        }
        Ok(config)
    }

    /// Reads a TOML file; unknown keys are errors.
    #[allow(clippy::disallowed_methods, reason = "configuration is read here and nowhere else")]
    pub fn from_file(path: &std::path::Path) -> Result<Config, ConfigError> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError(format!("{shown}: cannot be read: {e}")))?;
        toml::from_str(&text).map_err(|e| ConfigError(format!("{shown}: {e}")))
    }

    /// Refuses what cannot work: the message names the setting, its value and what was expected.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if let Some(url) = &self.internet {
            parse_internet(url.as_str())?;
        }
        let at_least_one = |name: &str, value: u64| match value {
            0 => Err(ConfigError(format!("{name} = 0: expected at least 1"))),
            _ => Ok(()),
        };
        at_least_one("http.timeout_ms", self.http.timeout_ms)?;
        at_least_one("http.idle_timeout_ms", self.http.idle_timeout_ms)?;
        at_least_one("engine.attempts", u64::from(self.engine.attempts))?;
        at_least_one("engine.concurrency", self.engine.concurrency as u64)?;
        at_least_one("engine.breaker_failures", u64::from(self.engine.breaker_failures))?;
        if !(1..=100).contains(&self.engine.quota_percent) {
            let found = self.engine.quota_percent;
            return Err(ConfigError(format!(
                "engine.quota_percent = {found}: expected 1 to 100"
            )));
        }
        for (name, provider) in &self.providers {
            at_least_one(&format!("providers.{name}.slots"), provider.slots as u64)?;
        }
        Ok(())
    }

    #[allow(clippy::disallowed_methods, reason = "configuration is found here and nowhere else")]
    fn file() -> Option<PathBuf> {
        if let Some(path) = variable(CONFIG_VARIABLE) {
            return Some(path.into());
        }
        use etcetera::BaseStrategy;
        let path = etcetera::choose_base_strategy()
            .ok()?
            .config_dir()
            .join("evercandle/config.toml");
        path.is_file().then_some(path)
    }

    /// The cache folder: as set, or the default.
    pub fn cache_dir(&self) -> Result<PathBuf, ConfigError> {
        if let Some(dir) = &self.cache.dir {
            return Ok(dir.clone());
        }
        use etcetera::BaseStrategy;
        let base = etcetera::choose_base_strategy()
            .map_err(|e| ConfigError(format!("no cache folder: {e}; set {CACHE_DIR_VARIABLE}")))?;
        Ok(base.cache_dir().join("evercandle"))
    }

    /// The settings of one upstream.
    pub fn provider(&self, name: &str) -> ProviderConfig {
        self.providers.get(name).cloned().unwrap_or_default()
    }

    /// The configuration as a TOML document, as `config show` prints it.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }
}

/// Reads the value of `EVERCANDLE_INTERNET` or `--internet`.
pub fn parse_internet(text: &str) -> Result<Url, ConfigError> {
    let wrong = |why: String| {
        ConfigError(format!(
            "internet = {text:?}: {why}; expected something like http://127.0.0.1:9000"
        ))
    };
    let url = Url::parse(text).map_err(|e| wrong(e.to_string()))?;
    match url.scheme() {
        "http" | "https" if url.has_host() && url.query().is_none() => Ok(url),
        "http" | "https" => Err(wrong("a host and no query are needed".into())),
        other => Err(wrong(format!("scheme {other:?} is not http or https"))),
    }
}

#[allow(clippy::disallowed_methods, reason = "the one reader of the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_survive_being_written_and_read() {
        let config = Config {
            internet: Some(parse_internet("http://127.0.0.1:9000").unwrap()),
            providers: [("binance".into(), ProviderConfig::default())].into(),
            ..Config::default()
        };
        assert_eq!(toml::from_str::<Config>(&config.to_toml()).unwrap(), config);
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        assert_eq!(Config::default().validate(), Ok(()));
        for (text, name) in [
            ("internet = 'ftp://x'", "internet"),
            ("[engine]\nattempts = 0", "engine.attempts"),
            ("[engine]\nconcurrency = 0", "engine.concurrency"),
            ("[engine]\nquota_percent = 0", "engine.quota_percent"),
            ("[engine]\nquota_percent = 400", "engine.quota_percent"),
            ("[http]\ntimeout_ms = 0", "http.timeout_ms"),
            ("[providers.binance]\nslots = 0", "providers.binance.slots"),
        ] {
            let error = toml::from_str::<Config>(text)
                .unwrap()
                .validate()
                .unwrap_err()
                .to_string();
            assert!(error.contains(name) && error.contains("expected"), "{text}: {error}");
        }
    }

    #[test]
    fn a_typo_is_an_error_that_names_it() {
        let error = toml::from_str::<Config>("[engine]\nattemps = 3\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("attemps") && error.contains("attempts"), "{error}");
        for wrong in ["9000", "ftp://x", "http://", "http://x/?q=1"] {
            assert!(
                parse_internet(wrong)
                    .unwrap_err()
                    .to_string()
                    .contains("expected something like"),
                "{wrong}"
            );
        }
    }
}
