//! Names of archives: what a path says and when the file behind it appears.

use jiff::civil::{Date, Weekday};

use crate::config::Publication;
use crate::market::{ExchangeMarket, Grid, Interval, Series};
use crate::time::{DAY, HOUR, day_of, instant_of, month_next};

/// What folders and files of funding rates are called.
pub(super) const FUNDING: &str = "fundingRate";

/// The stretch of time one archive covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Period {
    /// The UTC day starting here.
    Day(i64),
    /// The calendar month starting here.
    Month(i64),
}

impl Period {
    pub(super) fn start(self) -> i64 {
        match self {
            Period::Day(start) | Period::Month(start) => start,
        }
    }

    pub(super) fn end(self) -> i64 {
        match self {
            Period::Day(start) => start + DAY,
            Period::Month(start) => month_next(start),
        }
    }

    fn tree(self) -> &'static str {
        match self {
            Period::Day(_) => "daily",
            Period::Month(_) => "monthly",
        }
    }

    fn label(self) -> String {
        let day = day_of(self.start());
        match self {
            Period::Day(_) => day.to_string(),
            Period::Month(_) => format!("{:04}-{:02}", day.year(), day.month()),
        }
    }
}

/// What a file's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Content {
    Klines,
    /// Of a contract, whatever the interval of the series.
    FundingRates,
}

/// One archive.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ArchiveKey {
    pub(crate) content: Content,
    pub(crate) series: Series,
    pub(crate) period: Period,
}

/// The folder of a market.
pub(super) fn market_folder(market: ExchangeMarket) -> &'static str {
    match market {
        ExchangeMarket::Spot => "spot",
        ExchangeMarket::UsdM => "futures/um",
        ExchangeMarket::CoinM => "futures/cm",
    }
}

impl ArchiveKey {
    /// Reads a decoded object key such as `data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-01.zip`.
    pub(crate) fn parse(key: &str) -> Option<Self> {
        let (market, rest) = [ExchangeMarket::Spot, ExchangeMarket::UsdM, ExchangeMarket::CoinM]
            .into_iter()
            .find_map(|market| Some((market, key.strip_prefix("data/")?.strip_prefix(market_folder(market))?)))?;
        let parts: Vec<&str> = rest.strip_prefix('/')?.split('/').collect();
        if let ["monthly", FUNDING, symbol, file] = parts[..] {
            let label = file
                .strip_prefix(&format!("{symbol}-{FUNDING}-"))?
                .strip_suffix(".zip")?;
            let month = instant_of(format!("{label}-01").parse::<Date>().ok()?);
            let parsed = Self::of_funding_rates(market, symbol, month)?;
            return (parsed.key() == key).then_some(parsed);
        }
        let [tree, "klines", symbol, interval, file] = parts[..] else {
            return None;
        };
        let interval = Interval::from_vision(interval)?;
        let label = file.strip_prefix(&format!("{symbol}-{interval}-", interval = interval.vision_name()))?;
        let label = label.strip_suffix(".zip")?;
        let period = match tree {
            "daily" if interval.has_daily_archives() => Period::Day(instant_of(label.parse::<Date>().ok()?)),
            "monthly" => Period::Month(instant_of(format!("{label}-01").parse::<Date>().ok()?)),
            _ => return None,
        };
        let parsed = Self {
            content: Content::Klines,
            series: Series::new(market, symbol, interval),
            period,
        };
        // Lenient date parsing must not invent second names for a file.
        (parsed.key() == key).then_some(parsed)
    }

    /// The month of a contract's funding rates; spot has none.
    pub(super) fn of_funding_rates(market: ExchangeMarket, symbol: &str, month: i64) -> Option<Self> {
        (market != ExchangeMarket::Spot).then(|| Self {
            content: Content::FundingRates,
            series: Series::new(market, symbol, Interval::H1),
            period: Period::Month(month),
        })
    }

    /// The object key, not percent-encoded.
    pub(crate) fn key(&self) -> String {
        format!("{}{}.zip", self.folder(), self.stem())
    }

    /// The folder it is in, with its final slash.
    pub(crate) fn folder(&self) -> String {
        if self.content == Content::FundingRates {
            let (market, symbol) = (market_folder(self.series.market), &self.series.symbol);
            return format!("data/{market}/monthly/{FUNDING}/{symbol}/");
        }
        format!(
            "data/{}/{}/klines/{}/{}/",
            market_folder(self.series.market),
            self.period.tree(),
            self.series.symbol,
            self.series.interval.vision_name()
        )
    }

    /// The file name without its extension.
    pub(crate) fn stem(&self) -> String {
        let what = match self.content {
            Content::Klines => self.series.interval.vision_name(),
            Content::FundingRates => FUNDING,
        };
        format!("{}-{what}-{}", self.series.symbol, self.period.label())
    }

    /// When it is put out.
    pub(super) fn published_at(&self, grid: &Grid, publication: &Publication) -> i64 {
        let end = self.period.end();
        match self.period {
            Period::Day(_) => end + publication.daily_delay_hours * HOUR,
            Period::Month(_) => {
                // A week or three days may open in one month and close in the next; their file waits for them.
                let last_close = grid.next(grid.floor(end - 1));
                first_monday(end).max(last_close) + publication.monthly_delay_hours * HOUR
            }
        }
    }
}

/// The first Monday of the month that starts at `month`.
fn first_monday(month: i64) -> i64 {
    let first = day_of(month);
    let days = i64::from((7 - first.weekday().since(Weekday::Monday)) % 7);
    month + days * DAY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse_instant;

    #[test]
    fn names_are_read_and_written_alike() {
        for key in [
            "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-01.zip",
            "data/spot/monthly/klines/币安人生USDT/1mo/币安人生USDT-1mo-2026-02.zip",
            "data/futures/um/monthly/klines/1000SHIBUSDT/3d/1000SHIBUSDT-3d-2023-12.zip",
            "data/futures/cm/daily/klines/BTCUSD_PERP/12h/BTCUSD_PERP-12h-2022-02-28.zip",
            "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-01.zip",
            "data/futures/cm/monthly/fundingRate/BTCUSD_PERP/BTCUSD_PERP-fundingRate-2023-12.zip",
        ] {
            assert_eq!(ArchiveKey::parse(key).map(|parsed| parsed.key()).as_deref(), Some(key));
        }
    }

    #[test]
    fn what_the_archive_does_not_publish_has_no_name() {
        for key in [
            "data/spot/daily/klines/BTCUSDT/1w/BTCUSDT-1w-2024-01-01.zip",
            "data/spot/monthly/klines/BTCUSDT/1M/BTCUSDT-1M-2024-01.zip",
            "data/spot/daily/klines/BTCUSDT/1m/ETHUSDT-1m-2024-01-01.zip",
            "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02-30.zip",
            "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-20240101.zip",
            "data/spot/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-01.zip",
            "data/futures/um/daily/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-01-01.zip",
        ] {
            assert_eq!(ArchiveKey::parse(key), None, "{key}");
        }
    }

    #[test]
    fn months_come_out_on_the_first_monday_and_days_the_next_morning() {
        let cases = [
            (
                "data/spot/daily/klines/A/1m/A-1m-2024-02-29.zip",
                "2024-03-01T04:00:00Z",
            ),
            ("data/spot/monthly/klines/A/1m/A-1m-2024-02.zip", "2024-03-04T04:00:00Z"),
            ("data/spot/monthly/klines/A/1m/A-1m-2024-03.zip", "2024-04-01T04:00:00Z"),
            ("data/spot/monthly/klines/A/1w/A-1w-2024-06.zip", "2024-07-01T04:00:00Z"),
            ("data/spot/monthly/klines/A/1w/A-1w-2024-07.zip", "2024-08-05T04:00:00Z"),
        ];
        for (key, expected) in cases {
            let key = ArchiveKey::parse(key).unwrap();
            let at = key.published_at(&Grid::new(key.series.interval, 0), &Publication::default());
            assert_eq!(at, parse_instant(expected).unwrap(), "{key:?}");
        }
    }
}
