//! The whole configuration, every default in one place with its reason, and the only reader of the environment.
//!
//! Three layers, later ones win: the defaults here, a TOML file, environment variables. A command line or a program
//! sets fields of the resulting value directly. Unknown keys are errors, so that a typo cannot silently mean a default.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

mod schedule;

mod server;

mod alerts;

pub use alerts::{AlertsConfig, WebhookConfig};
pub(crate) use schedule::RUN_PERIODS_MAX;
pub use schedule::{KlineWatch, PriceWatch, ScheduleConfig};
pub use server::{ADMIN_TOKEN_VARIABLE, API_KEY_VARIABLE, ServerConfig};

/// Where every upstream request is sent instead of the internet; see [`Config::internet`].
pub const INTERNET_VARIABLE: &str = "EVERCANDLE_INTERNET";
/// Where the cache lives; see [`CacheConfig::dir`].
pub const CACHE_DIR_VARIABLE: &str = "EVERCANDLE_CACHE_DIR";
/// Path of a TOML file with any of the settings here.
pub const CONFIG_VARIABLE: &str = "EVERCANDLE_CONFIG";
/// Keys of upstreams that sell or rate-limit by key, from the environment only: a configuration file is copied around.
/// `EVERCANDLE_KEY_<PROVIDER>` with dashes as underscores, and `_PRO` after it for the paid kind.
pub const KEY_VARIABLE_PREFIX: &str = "EVERCANDLE_KEY_";

/// Requests to one upstream in flight at once, at the most: more connections than any of them would bear.
const SLOTS_MAX: usize = 1_000;

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
    /// When a failing upstream is left alone, and for how long.
    pub breaker: BreakerSettings,
    /// Prices and sentiment.
    pub latest: LatestConfig,
    /// What is kept warm.
    pub schedule: ScheduleConfig,
    /// The daemon.
    pub server: ServerConfig,
    /// When somebody is told.
    pub alerts: AlertsConfig,
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
    /// How long downloads, which nobody waits for, wait while everybody who could answer rests and nothing arrives;
    /// 0: not at all.
    pub patience_ms: u64,
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
    /// Share of an upstream's published weight limit that we use, in percent: others may share the address.
    pub quota_percent: u32,
    /// Share of what we use that bulk downloads leave to callers who wait, in percent.
    pub quota_reserve_percent: u32,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        EngineConfig {
            deadline_ms: 30_000,
            // Five cooldowns, each twice the one before, and then some: a line that is gone is noticed by people by then.
            patience_ms: 900_000,
            attempts: 2,
            backoff_ms: 200,
            backoff_max_ms: 2_000,
            concurrency: 8,
            settle_ms: 5_000,
            quota_percent: 80,
            quota_reserve_percent: 15,
        }
    }
}

/// When a failing upstream is left alone, and for how long. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerSettings {
    /// It opens when so many failures lie within the window…
    pub failures: u32,
    /// …of this length…
    pub window_ms: u64,
    /// …and they are at least this share of the calls since the first of them: a busy upstream with a few errors in a
    /// hundred works. 0 counts failures alone.
    pub failure_ratio: f64,
    /// It also opens after so many failures in a row, however far apart: whoever asks every three minutes must notice
    /// an outage too.
    pub consecutive: u32,
    /// How long it stays open the first time; doubled each time it opens again before it has been well for a while.
    pub cooldown_ms: u64,
    /// The longest it stays open: recovery must not wait longer.
    pub cooldown_max_ms: u64,
    /// How long a probe or a trial may take before another one is let through.
    pub permit_ms: u64,
}

impl Default for BreakerSettings {
    fn default() -> BreakerSettings {
        BreakerSettings {
            failures: 5,
            window_ms: 60_000,
            failure_ratio: 0.5,
            consecutive: 3,
            cooldown_ms: 30_000,
            cooldown_max_ms: 300_000,
            permit_ms: 30_000,
        }
    }
}

impl BreakerSettings {
    fn validate(&self, at: &str) -> Result<(), ConfigError> {
        for (name, value) in [
            ("failures", u64::from(self.failures)),
            ("window_ms", self.window_ms),
            ("consecutive", u64::from(self.consecutive)),
            ("cooldown_ms", self.cooldown_ms),
            ("permit_ms", self.permit_ms),
        ] {
            if value == 0 {
                return Err(ConfigError(format!("{at}.{name} = 0: expected at least 1")));
            }
        }
        if !(0.0..=1.0).contains(&self.failure_ratio) {
            let found = self.failure_ratio;
            return Err(ConfigError(format!("{at}.failure_ratio = {found}: expected 0 to 1")));
        }
        if self.cooldown_max_ms < self.cooldown_ms {
            let (found, cooldown) = (self.cooldown_max_ms, self.cooldown_ms);
            return Err(ConfigError(format!(
                "{at}.cooldown_max_ms = {found}: expected at least cooldown_ms, which is {cooldown}"
            )));
        }
        Ok(())
    }
}

/// Prices and sentiment. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LatestConfig {
    /// How long an answer may take, when the request does not say.
    pub deadline_ms: u64,
    /// A price fetched so recently is not asked for again.
    pub price_fresh_ms: u64,
    /// A substitute fetched so recently is not asked for again: indices are cached that long on their side.
    pub substitute_fresh_ms: u64,
    /// A price whose last trade is older than this is not called live.
    pub price_live_ms: u64,
    /// A remembered price older than this is refused rather than served.
    pub price_stale_if_error_ms: u64,
    /// A sentiment fetched so recently is not asked for again; it changes once a day.
    pub sentiment_fresh_ms: u64,
    /// A remembered sentiment older than this is refused rather than served.
    pub sentiment_stale_if_error_ms: u64,
}

impl Default for LatestConfig {
    fn default() -> LatestConfig {
        LatestConfig {
            deadline_ms: 10_000,
            price_fresh_ms: 1_000,
            substitute_fresh_ms: 20_000,
            // A major trades every second; five minutes of silence is news that the caller must see.
            price_live_ms: 300_000,
            // Enough to bridge a restart of everything, too short to trade on.
            price_stale_if_error_ms: 900_000,
            sentiment_fresh_ms: 600_000,
            // The index is a day old by nature; three days is a weekend of outage.
            sentiment_stale_if_error_ms: 259_200_000,
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
    /// As the setting of the same name at the top, for this upstream alone.
    pub internet: Option<Url>,
    /// As `http.timeout_ms`, for this upstream alone.
    pub timeout_ms: Option<u64>,
    /// As `engine.attempts`, for this upstream alone.
    pub attempts: Option<u32>,
    /// As the table of the same name at the top, for this upstream alone.
    pub breaker: Option<BreakerSettings>,
    /// Its key, if it wants one; from the environment, never written out.
    #[serde(skip)]
    pub key: Option<ProviderKey>,
}

impl Default for ProviderConfig {
    fn default() -> ProviderConfig {
        ProviderConfig {
            enabled: true,
            hosts: BTreeMap::new(),
            limits: BTreeMap::new(),
            slots: 8,
            internet: None,
            timeout_ms: None,
            attempts: None,
            breaker: None,
            key: None,
        }
    }
}

/// A key of an upstream. Shown nowhere: neither in debug output nor in a configuration that is written out.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderKey {
    /// Whether it is of the paid kind, which may belong to another host.
    pub paid: bool,
    text: String,
}

impl ProviderKey {
    /// Takes a key; refuses what cannot be sent in a header.
    pub fn new(text: &str, paid: bool) -> Result<ProviderKey, ConfigError> {
        let text = text.trim();
        match !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) {
            true => Ok(ProviderKey {
                paid,
                text: text.to_owned(),
            }),
            false => Err(ConfigError("expected printable ASCII characters without spaces".into())),
        }
    }

    /// The key itself, for the header it is sent in.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderKey(hidden)")
    }
}

/// A setting that cannot be used: which, its value, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// An address to listen on. No name is looked up, so none is taken.
fn address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        serde::de::Error::custom(format!(
            "{text:?}: expected an IP address and a port, such as 127.0.0.1:8080"
        ))
    })
}

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

    /// The key of an upstream in the environment: the paid one first.
    pub fn key_from_environment(provider: &str) -> Result<Option<ProviderKey>, ConfigError> {
        let name = format!(
            "{KEY_VARIABLE_PREFIX}{}",
            provider.to_ascii_uppercase().replace('-', "_")
        );
        for (name, paid) in [(format!("{name}_PRO"), true), (name, false)] {
            if let Some(text) = variable(&name) {
                // The message names the variable, never its value.
                let key = ProviderKey::new(&text, paid).map_err(|e| ConfigError(format!("{name}: {e}")))?;
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// A secret in the environment; `None` where it is not set. Where it is set and empty it is empty: a secret that
    /// failed to arrive is not the wish to have none.
    pub fn secret_from_environment(name: &str) -> Option<String> {
        Config::variable(name)
    }

    /// A variable of the environment that is no setting, such as what a supervisor says; `None` where it is not set.
    #[allow(clippy::disallowed_methods, reason = "the one reader of the environment")]
    pub fn variable(name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
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
        at_least_one("latest.deadline_ms", self.latest.deadline_ms)?;
        at_least_one("engine.attempts", u64::from(self.engine.attempts))?;
        at_least_one("engine.concurrency", self.engine.concurrency as u64)?;
        self.breaker.validate("breaker")?;
        self.schedule.validate()?;
        self.server.validate()?;
        self.alerts.validate()?;
        if self.engine.quota_reserve_percent > 90 {
            let found = self.engine.quota_reserve_percent;
            return Err(ConfigError(format!(
                "engine.quota_reserve_percent = {found}: expected 0 to 90"
            )));
        }
        if !(1..=100).contains(&self.engine.quota_percent) {
            let found = self.engine.quota_percent;
            return Err(ConfigError(format!(
                "engine.quota_percent = {found}: expected 1 to 100"
            )));
        }
        for (name, provider) in &self.providers {
            at_least_one(&format!("providers.{name}.slots"), provider.slots as u64)?;
            if provider.slots > SLOTS_MAX {
                let found = provider.slots;
                return Err(ConfigError(format!(
                    "providers.{name}.slots = {found}: expected at most {SLOTS_MAX}"
                )));
            }
            at_least_one(
                &format!("providers.{name}.timeout_ms"),
                provider.timeout_ms.unwrap_or(1),
            )?;
            let attempts = u64::from(provider.attempts.unwrap_or(1));
            at_least_one(&format!("providers.{name}.attempts"), attempts)?;
            if let Some(url) = &provider.internet {
                parse_internet(url.as_str()).map_err(|e| ConfigError(format!("providers.{name}.{e}")))?;
            }
            if let Some(breaker) = &provider.breaker {
                breaker.validate(&format!("providers.{name}.breaker"))?;
            }
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
