//! What is kept warm, and how often it is refreshed.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Periods that a run may take; what it has not reached by then is left to the next, which begins there. A first fill of
/// many series takes several minutes' quota, while a run that only waits would hide that nothing comes.
pub(crate) const RUN_PERIODS_MAX: u32 = 5;
/// Whoever wants to hear of it more seldom than every week wants something else; and clocks end somewhere.
pub(super) const WEEK_MS: u64 = 7 * 24 * 3_600_000;
/// Ten years of minutes; whoever wants more downloads it once, rather than looks through it at every refresh.
const ROWS_MAX: u32 = 5_300_000;
/// Beyond it, runs would come at no pace at all.
const JITTER_MAX: u32 = 50;

/// Watches: what is refreshed without anybody asking. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Whether anything is refreshed at all.
    pub enabled: bool,
    /// Between the beginnings of two refreshes of klines.
    pub klines_ms: u64,
    /// Between the beginnings of two refreshes of prices.
    pub prices_ms: u64,
    /// Between the beginnings of two refreshes of the sentiment.
    pub sentiment_ms: u64,
    /// Every pause is longer or shorter by up to this share, in percent, so that several daemons do not march in step.
    pub jitter_percent: u32,
    /// Watches refreshed at once.
    pub concurrency: usize,
    /// A watch that failed rests for this long, doubled each time it fails again…
    pub backoff_ms: u64,
    /// …up to this.
    pub backoff_max_ms: u64,
    /// Whether the sentiment is watched.
    pub sentiment: bool,
    /// Series whose newest klines are kept.
    pub klines: Vec<KlineWatch>,
    /// Instruments whose price is kept.
    pub prices: Vec<PriceWatch>,
}

/// Some series: every symbol at every interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KlineWatch {
    /// As one would write them: `BTCUSDT`, `BTC/USDT:USDT`, …
    pub symbols: Vec<String>,
    /// `1m`, `1h`, …
    pub intervals: Vec<String>,
    /// `spot`, `um` or `cm`; absent: as the symbol says, else spot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<String>,
    /// How many klines before the newest are kept complete.
    #[serde(default = "usual_rows")]
    pub rows: u32,
}

/// Some instruments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceWatch {
    /// As one would write them.
    pub symbols: Vec<String>,
    /// `spot`, `um` or `cm`; absent: as the symbol says, else spot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<String>,
}

/// Half a page of REST: one request brings a watch up to date after hours of absence.
fn usual_rows() -> u32 {
    500
}

impl Default for ScheduleConfig {
    fn default() -> ScheduleConfig {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let majors = words(&["BTCUSDT", "ETHUSDT"]);
        ScheduleConfig {
            enabled: true,
            klines_ms: 180_000,
            prices_ms: 180_000,
            sentiment_ms: 180_000,
            jitter_percent: 10,
            concurrency: 8,
            backoff_ms: 60_000,
            backoff_max_ms: 3_600_000,
            sentiment: true,
            klines: vec![KlineWatch {
                symbols: majors.clone(),
                intervals: words(&["1m", "1h"]),
                market: None,
                rows: usual_rows(),
            }],
            prices: vec![PriceWatch {
                symbols: majors,
                market: None,
            }],
        }
    }
}

impl ScheduleConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (name, value) in [
            ("klines_ms", self.klines_ms),
            ("prices_ms", self.prices_ms),
            ("sentiment_ms", self.sentiment_ms),
            ("concurrency", self.concurrency as u64),
            ("backoff_ms", self.backoff_ms),
        ] {
            if value == 0 {
                return Err(ConfigError(format!("schedule.{name} = 0: expected at least 1")));
            }
        }
        for (name, value) in [
            ("klines_ms", self.klines_ms),
            ("prices_ms", self.prices_ms),
            ("sentiment_ms", self.sentiment_ms),
            ("backoff_ms", self.backoff_ms),
            ("backoff_max_ms", self.backoff_max_ms),
        ] {
            if value > WEEK_MS {
                let message = format!("schedule.{name} = {value}: expected at most {WEEK_MS}, which is a week");
                return Err(ConfigError(message));
            }
        }
        for (index, watch) in self.klines.iter().enumerate() {
            if !(1..=ROWS_MAX).contains(&watch.rows) {
                return Err(ConfigError(format!(
                    "schedule.klines[{index}].rows = {}: expected 1 to {ROWS_MAX}",
                    watch.rows
                )));
            }
        }
        if self.jitter_percent > JITTER_MAX {
            let found = self.jitter_percent;
            return Err(ConfigError(format!(
                "schedule.jitter_percent = {found}: expected 0 to {JITTER_MAX}"
            )));
        }
        if self.backoff_max_ms < self.backoff_ms {
            let (found, least) = (self.backoff_max_ms, self.backoff_ms);
            return Err(ConfigError(format!(
                "schedule.backoff_max_ms = {found}: expected at least backoff_ms, which is {least}"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        assert_eq!(ScheduleConfig::default().validate(), Ok(()));
        let watch = "symbols = ['BTCUSDT']\nintervals = ['1m']";
        for (text, name) in [
            ("klines_ms = 0".to_owned(), "schedule.klines_ms"),
            ("concurrency = 0".to_owned(), "schedule.concurrency"),
            ("klines_ms = 9000000000000000000".to_owned(), "schedule.klines_ms"),
            ("backoff_max_ms = 604800001".to_owned(), "schedule.backoff_max_ms"),
            ("jitter_percent = 51".to_owned(), "schedule.jitter_percent"),
            ("backoff_max_ms = 59999".to_owned(), "schedule.backoff_max_ms"),
            (
                format!("[[klines]]\n{watch}\n[[klines]]\n{watch}\nrows = 0"),
                "schedule.klines[1].rows",
            ),
            (
                format!("[[klines]]\n{watch}\nrows = 99999999"),
                "schedule.klines[0].rows = 99999999",
            ),
        ] {
            let config: ScheduleConfig = toml::from_str(&text).unwrap();
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("expected"), "{text}: {error}");
        }
    }
}
