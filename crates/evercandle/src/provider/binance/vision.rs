//! The archives: files of whole UTC days and months, each with a published checksum.
//!
//! The checksum is asked for first: where there is none there is no archive either, and ninety bytes tell it. Then the
//! archive, its digest, its one file, its rows. A mismatch may be a file caught while being replaced, so it is worth one
//! more try, of both files; it may as well be a checksum that was never refreshed, and then other upstreams must do.
//!
//! An archive proves nothing by what it lacks: truncated days and months that stop after a week have been published
//! with correct checksums. Its rows are handed on as they are; what is missing is for the engine to ask elsewhere.

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::super::http::{Ask, Http, Reply, StatusRules};
use super::super::{FetchError, Fetched, Form, Instrument, KlineProvider, Offer, QuotaSpec, Slice, Supply};
use super::{Settings, archive, checksum, halts, listing, vision_csv};
use crate::answer::{ProviderName, Verification};
use crate::config::{ConfigError, ProviderConfig};
use crate::model::batch::Batch;
use crate::model::builder::Repairs;
use crate::model::interval::{Grid, Interval};
use crate::model::range::{DAY, HOUR, TimeRange, Timestamp};
use crate::model::series::{Market, Series};

/// Its name in the catalogue.
pub const NAME: &str = "binance-vision";

const ARCHIVE_HOST: &str = "data.binance.vision";
const LISTING_HOST: &str = "s3-ap-northeast-1.amazonaws.com";
/// The bucket behind the archive's host.
const LISTING_PATH: &str = "/data.binance.vision";
/// A small old file that has been there unchanged for years.
const PROBED: &str = "/data/spot/daily/klines/BTCUSDT/1d/BTCUSDT-1d-2020-01-01.zip.CHECKSUM";

/// After the end of a day: half of the files are there after 4 h, nearly all after 8.
const DAY_LAG_HOURS: u32 = 8;
/// After the end of a month: the first Monday, and a day.
const MONTH_LAG_HOURS: u32 = 8 * 24;
const LAG_HOURS_MAX: u32 = 90 * 24;

/// No published limit, so a refusal is an outage or a firewall; both have lasted longer than this.
const RULES: StatusRules = StatusRules {
    throttled_for: std::time::Duration::from_secs(5 * 60),
    // The CDN in front keeps an error for several seconds.
    retry_server_errors: false,
};

/// Bytes of a printed row at the most: twelve columns of twenty characters.
const ROW_BYTES_MAX: u64 = 256;
/// Bytes of a row in the archive at the most; 35 is usual.
const PACKED_ROW_BYTES_MAX: u64 = 128;
/// What any file may have, for rows printed twice and the like.
const FILE_BYTES_FREE: u64 = 256 << 10;
const CHECKSUM_BYTES_MAX: usize = 4 << 10;
const LISTING_BYTES_MAX: usize = 1 << 20;
/// Keys of a listing's page: they are sorted, so the first few hold the earliest.
const LISTING_KEYS: &str = "10";

/// The archives at data.binance.vision.
#[derive(Debug)]
pub struct Vision {
    http: Http,
    archive_host: String,
    listing_host: String,
    day_lag: i64,
    month_lag: i64,
}

impl Vision {
    /// Reads the settings that `README.md` in this folder lists.
    pub fn new(config: &ProviderConfig, http: &Http) -> Result<Vision, ConfigError> {
        let limits = &["day_lag_hours", "month_lag_hours"];
        let settings = Settings::new(NAME, config, &["archive", "listing"], limits)?;
        let first = |hosts: Vec<String>| hosts.into_iter().next().unwrap_or_default();
        let hours = |name, default| -> Result<i64, ConfigError> {
            Ok(i64::from(settings.limit(name, default, LAG_HOURS_MAX)?) * HOUR)
        };
        Ok(Vision {
            http: http.clone(),
            archive_host: first(settings.hosts("archive", &[ARCHIVE_HOST])?),
            listing_host: first(settings.hosts("listing", &[LISTING_HOST])?),
            day_lag: hours("day_lag_hours", DAY_LAG_HOURS)?,
            month_lag: hours("month_lag_hours", MONTH_LAG_HOURS)?,
        })
    }

    async fn file(&self, path: &str, body_max: usize) -> Result<Reply, FetchError> {
        let reply = self.http.send(Ask::file(&self.archive_host, path, body_max)).await?;
        match reply.refusal(RULES) {
            None => Ok(reply),
            Some(refusal) => Err(refusal),
        }
    }

    /// The beginning of the earliest file under `folder`, as far as the listing knows.
    async fn earliest(&self, series: &Series, form: Form) -> Result<Option<Timestamp>, FetchError> {
        let prefix = format!(
            "{}{}-{}-",
            folder(series, form, series.symbol().as_str()).trim_start_matches('/'),
            series.symbol(),
            series.interval().file_str()
        );
        let query = [("prefix", prefix.as_str()), ("max-keys", LISTING_KEYS)];
        let ask = Ask::text(&self.listing_host, LISTING_PATH, &query, LISTING_BYTES_MAX);
        let reply = self.http.send(ask).await?;
        if let Some(refusal) = reply.refusal(RULES) {
            // A bucket always answers; a 404 is not an empty listing.
            return Err(match refusal {
                FetchError::Absent(why) => FetchError::Rejected(why),
                other => other,
            });
        }
        let corrupt = |why: &str| FetchError::Corrupt(format!("{}: {why}{}", reply.place, reply.excerpt()));
        let xml = std::str::from_utf8(&reply.body).map_err(|_| corrupt("not text"))?;
        let keys = listing::keys(xml).map_err(|why| corrupt(&why))?;
        Ok(keys.iter().filter_map(|key| listing::period_start(key, &prefix)).min())
    }
}

/// `/data/spot/daily/klines/BTCUSDT/1m/`, with the symbol as given.
fn folder(series: &Series, form: Form, symbol: &str) -> String {
    let tree = match series.market() {
        Market::Spot => "spot",
        Market::Um => "futures/um",
        Market::Cm => "futures/cm",
    };
    let period = match form {
        Form::Month => "monthly",
        Form::Day | Form::Page => "daily",
    };
    format!(
        "/data/{tree}/{period}/klines/{symbol}/{}/",
        series.interval().file_str()
    )
}

/// `BTCUSDT-1m-2024-01-01`, with the symbol as given.
fn stem(slice: &Slice, symbol: &str) -> String {
    let (year, month, day) = slice.range.start().date();
    let interval = slice.series.interval().file_str();
    match slice.form {
        Form::Month => format!("{symbol}-{interval}-{year:04}-{month:02}"),
        Form::Day | Form::Page => format!("{symbol}-{interval}-{year:04}-{month:02}-{day:02}"),
    }
}

/// Whether the slice's range is the period of one file.
fn is_period(slice: &Slice) -> bool {
    let start = slice.range.start();
    match slice.form {
        Form::Page => false,
        Form::Day => start == start.floor_day() && slice.range.micros() == DAY,
        Form::Month => {
            let months = Grid::new(Interval::Mo1, None);
            months.contains(start) && slice.range.end() == months.next(start)
        }
    }
}

fn days(interval: Interval) -> bool {
    // Daily files of longer intervals exist here and there and are not kept up.
    interval <= Interval::D1
}

fn months(interval: Interval) -> bool {
    // A month of seconds is a hundred megabytes and needs ten times that to unpack; its days hold the same rows.
    interval != Interval::S1
}

/// The most bytes a file of `range` may have, at so many per row.
fn size_max(series: &Series, range: TimeRange, row_bytes: u64) -> u64 {
    let rows = Grid::new(series.interval(), None).count(range);
    FILE_BYTES_FREE + rows.saturating_mul(row_bytes)
}

/// From the bytes of an archive to its klines: digest, container, checks, rows.
///
/// `file_name` is the archive's own, ending in `.zip`; `range` is the period it is for.
pub fn decode(
    series: &Series,
    range: TimeRange,
    file_name: &str,
    zip: &[u8],
    expected_sha256: &[u8; 32],
) -> Result<(Batch, Repairs), FetchError> {
    let corrupt = |why: String| FetchError::Corrupt(format!("{file_name}: {why}"));
    let found: [u8; 32] = Sha256::digest(zip).into();
    if found != *expected_sha256 {
        let (published, found) = (hex::encode(expected_sha256), hex::encode(found));
        let size = zip.len();
        return Err(corrupt(format!(
            "{size} bytes with SHA-256 {found}, but {published} was published"
        )));
    }
    let member = format!("{}.csv", file_name.strip_suffix(".zip").unwrap_or(file_name));
    let text = archive::unpack(zip, &member, size_max(series, range, ROW_BYTES_MAX)).map_err(corrupt)?;
    vision_csv::parse(series, range, &text).map_err(|why| corrupt(format!("{member}: {why}")))
}

#[async_trait]
impl KlineProvider for Vision {
    fn name(&self) -> ProviderName {
        ProviderName::new(NAME)
    }

    fn offer(&self, series: &Series) -> Option<Offer> {
        Some(Offer {
            supply: Supply::Archives {
                days: days(series.interval()),
                months: months(series.interval()),
                day_lag: self.day_lag,
                month_lag: self.month_lag,
            },
            authoritative: false,
        })
    }

    fn quota(&self, _: &Slice) -> Option<QuotaSpec> {
        None
    }

    async fn fetch(&self, slice: &Slice) -> Result<Fetched, FetchError> {
        let Slice { series, range, .. } = slice;
        if !is_period(slice) {
            let form = slice.form.as_str();
            return Err(FetchError::Rejected(format!(
                "{series} {range}: not the {form} of an archive"
            )));
        }
        let encoded = series.symbol().encoded();
        let path = format!("{}{}.zip", folder(series, slice.form, &encoded), stem(slice, &encoded));
        let file_name = format!("{}.zip", stem(slice, series.symbol().as_str()));

        let sidecar = self.file(&format!("{path}.CHECKSUM"), CHECKSUM_BYTES_MAX).await?;
        let expected = checksum::parse(&sidecar.body, &file_name)
            .map_err(|why| FetchError::Corrupt(format!("{}: {why}", sidecar.place)))?;

        let packed_max = size_max(series, *range, PACKED_ROW_BYTES_MAX);
        let archive = self
            .file(&path, usize::try_from(packed_max).unwrap_or(usize::MAX))
            .await?;
        let etag = archive.header("etag").map(str::to_owned);

        let (series, range, place) = (series.clone(), *range, archive.place.clone());
        let work = move || decode(&series, range, &file_name, &archive.body, &expected);
        // A panic while parsing is a bad archive, not the end of the process.
        let (batch, repairs) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| FetchError::Corrupt(format!("{place}: the parser failed: {e}")))??;
        Ok(Fetched {
            batch,
            answered: range,
            verification: Verification::Checksum {
                sha256: hex::encode(expected),
                etag,
            },
            repairs,
            used_weight: None,
        })
    }

    async fn first_open(&self, series: &Series) -> Result<Option<Timestamp>, FetchError> {
        let mut earliest: Option<Timestamp> = None;
        for (offered, form) in [
            (days(series.interval()), Form::Day),
            (months(series.interval()), Form::Month),
        ] {
            if offered && let Some(start) = self.earliest(series, form).await? {
                earliest = Some(earliest.map_or(start, |e| e.min(start)));
            }
        }
        Ok(earliest)
    }

    async fn server_time(&self, _: Market) -> Result<Option<Timestamp>, FetchError> {
        Ok(None)
    }

    async fn instruments(&self, _: Market) -> Result<Option<Vec<Instrument>>, FetchError> {
        Ok(None)
    }

    fn known_halts(&self, series: &Series) -> &'static [TimeRange] {
        halts::known(series.market())
    }

    async fn probe(&self) -> Result<(), FetchError> {
        // Not a HEAD: a host that answers those may still fail to deliver. And if the file should ever be gone, a clear
        // answer that it is gone is evidence as good.
        match self.file(PROBED, CHECKSUM_BYTES_MAX).await {
            Ok(_) | Err(FetchError::Absent(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
