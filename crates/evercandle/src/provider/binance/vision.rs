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

use super::super::http::{Ask, Http, Method, Reply, StatusRules};
use super::super::settings::Settings;
use super::super::{
    Call, FetchError, Fetched, Form, Instrument, KlineProvider, Offer, Provider, Pulse, QuotaSpec, Slice, Supply,
};
use super::{archive, checksum, funding, halts, listing, vision_csv};
use crate::answer::{ProviderName, Verification};
use crate::config::{ConfigError, ProviderConfig};
use crate::model::batch::Batch;
use crate::model::builder::Repairs;
use crate::model::interval::{Grid, Interval};
use crate::model::range::{DAY, HOUR, TimeRange, Timestamp};
use crate::model::series::{Kind, Market, Series};

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
            series.file_label()
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

/// `/data/spot/daily/klines/BTCUSDT/1m/` or `/data/futures/um/monthly/fundingRate/BTCUSDT/`, with the symbol as given.
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
    match series.kind() {
        Kind::Klines => format!("/data/{tree}/{period}/klines/{symbol}/{}/", series.file_label()),
        Kind::FundingRates => format!("/data/{tree}/{period}/{}/{symbol}/", series.file_label()),
    }
}

/// `BTCUSDT-1m-2024-01-01`, with the symbol as given.
fn stem(slice: &Slice, symbol: &str) -> String {
    let (year, month, day) = slice.range.start().date();
    let label = slice.series.file_label();
    match slice.form {
        Form::Month => format!("{symbol}-{label}-{year:04}-{month:02}"),
        Form::Day | Form::Page => format!("{symbol}-{label}-{year:04}-{month:02}-{day:02}"),
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

fn days(series: &Series) -> bool {
    // Daily files of longer intervals exist here and there and are not kept up; of rates there are none.
    series.kind() == Kind::Klines && series.interval() <= Interval::D1
}

fn months(series: &Series) -> bool {
    // A month of seconds is a hundred megabytes and needs ten times that to unpack; its days hold the same rows.
    series.interval() != Interval::S1
}

/// The most bytes a file of `range` may have, at so many per row.
fn size_max(series: &Series, range: TimeRange, row_bytes: u64) -> u64 {
    let rows = Grid::new(series.interval(), None).count(range);
    FILE_BYTES_FREE + rows.saturating_mul(row_bytes)
}

/// From the bytes of an archive to its rows: digest, container, checks, rows.
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
    let rows = match series.kind() {
        Kind::Klines => vision_csv::parse(series, range, &text),
        Kind::FundingRates => funding::csv(series, range, &text),
    };
    rows.map_err(|why| corrupt(format!("{member}: {why}")))
}

#[async_trait]
impl Provider for Vision {
    fn name(&self) -> ProviderName {
        ProviderName::new(NAME)
    }

    fn quota(&self, _: Call<'_>) -> Option<QuotaSpec> {
        None
    }

    async fn probe(&self, method: Method) -> Result<Pulse, FetchError> {
        let ask = Ask {
            method,
            ..Ask::file(&self.archive_host, PROBED, CHECKSUM_BYTES_MAX)
        };
        let reply = self.http.send(ask).await?;
        if method == Method::Head && matches!(reply.status, 405 | 501) {
            return Ok(Pulse::MethodNotServed);
        }
        match reply.refusal(RULES) {
            // A portal answers 200 as well.
            None if method == Method::Get => reply.text().map(|_| Pulse::Alive),
            // If the file should ever be gone, a clear answer that it is gone is evidence as good.
            None | Some(FetchError::Absent(_)) => Ok(Pulse::Alive),
            Some(refusal) => Err(refusal),
        }
    }
}

#[async_trait]
impl KlineProvider for Vision {
    fn offer(&self, series: &Series) -> Option<Offer> {
        Some(Offer {
            supply: Supply::Archives {
                days: days(series),
                months: months(series),
                day_lag: self.day_lag,
                month_lag: self.month_lag,
            },
            authoritative: false,
        })
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
        })
    }

    async fn first_open(&self, series: &Series) -> Result<Option<Timestamp>, FetchError> {
        let mut earliest: Option<Timestamp> = None;
        for (offered, form) in [(days(series), Form::Day), (months(series), Form::Month)] {
            if offered && let Some(start) = self.earliest(series, form).await? {
                earliest = Some(earliest.map_or(start, |e| e.min(start)));
            }
        }
        Ok(earliest)
    }

    async fn server_time(&self, _: Market) -> Result<Option<Timestamp>, FetchError> {
        Ok(None)
    }

    fn lists(&self, _: Market) -> bool {
        false
    }

    async fn instruments(&self, market: Market) -> Result<Vec<Instrument>, FetchError> {
        let name = self.name();
        Err(FetchError::Rejected(format!("{name} does not list market {market}")))
    }

    fn known_halts(&self, series: &Series) -> &'static [TimeRange] {
        halts::known(series.market())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::super::http::stub::{Act, Stub};
    use super::*;

    /// 2020-01-01, in milliseconds.
    const DAY_MS: i64 = 1_577_836_800_000;

    fn series(market: Market, symbol: &str, interval: Interval) -> Series {
        Series::parse(symbol, interval, Some(market)).unwrap()
    }

    fn slice(series: Series, form: Form, date: (i16, i8, i8)) -> Slice {
        let start = Timestamp::from_date(date.0, date.1, date.2).unwrap();
        let end = match form {
            Form::Month => Grid::new(Interval::Mo1, None).next(start),
            _ => start.plus(DAY),
        };
        let range = TimeRange::clamped(start, end);
        Slice { series, range, form }
    }

    fn hour(n: i64) -> String {
        let (open, close) = (DAY_MS + n * 3_600_000, DAY_MS + (n + 1) * 3_600_000 - 1);
        format!("{open},7195.24,7196.25,7175.46,7177.02,511.814901,{close},3675856.40,7640,226.15,1624000.56,0\n")
    }

    fn zipped(member: &str, content: &str) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        writer
            .start_file(member, zip::write::SimpleFileOptions::default())
            .unwrap();
        writer.write_all(content.as_bytes()).unwrap();
        writer.finish().unwrap().into_inner()
    }

    fn sidecar(zip: &[u8], name: &str) -> String {
        format!("{}  {name}", hex::encode(Sha256::digest(zip)))
    }

    /// What fetching one day gives when the checksum and the archive are answered like this.
    async fn fetched(checksum: fn(&[u8]) -> Act, archive: fn(Vec<u8>) -> Act) -> (Result<Fetched, FetchError>, Stub) {
        let zip = zipped("BTCUSDT-1h-2020-01-01.csv", &(hour(0) + &hour(1) + &hour(3)));
        let stub = Stub::start(move |target| match target.ends_with(".CHECKSUM") {
            true => checksum(&zip),
            false => archive(zip.clone()),
        })
        .await;
        let vision = Vision::new(&ProviderConfig::default(), &stub.http()).unwrap();
        let day = slice(series(Market::Spot, "BTCUSDT", Interval::H1), Form::Day, (2020, 1, 1));
        (vision.fetch(&day).await, stub)
    }

    const NAME_OF_DAY: &str = "BTCUSDT-1h-2020-01-01.zip";

    #[tokio::test]
    async fn a_verified_day_is_handed_on_with_its_digest_and_tag() {
        let (fetched, stub) = fetched(
            |zip| Act::ok(sidecar(zip, NAME_OF_DAY)),
            |zip| Act::Reply(200, "ETag: \"abc\"\r\n", zip),
        )
        .await;
        let fetched = fetched.unwrap();
        // The hour that is missing stays missing: the slice is answered all the same.
        assert_eq!((fetched.batch.len(), fetched.answered.micros()), (3, DAY));
        match fetched.verification {
            Verification::Checksum { sha256, etag } => {
                assert_eq!((sha256.len(), etag.as_deref()), (64, Some("\"abc\"")))
            }
            other => panic!("{other:?}"),
        }
        let path = "/data.binance.vision/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2020-01-01.zip";
        assert_eq!(stub.targets(), [format!("{path}.CHECKSUM"), path.to_owned()]);
    }

    #[tokio::test]
    async fn each_fault_of_an_archive_leads_to_one_decision() {
        fn good(zip: &[u8]) -> Act {
            Act::ok(sidecar(zip, NAME_OF_DAY))
        }
        type Case = (&'static str, &'static str, usize, fn(&[u8]) -> Act, fn(Vec<u8>) -> Act);
        let cases: Vec<Case> = vec![
            ("absent", "HTTP 404", 1, |_| Act::Reply(404, "", vec![]), Act::ok),
            ("absent", "HTTP 404", 2, good, |_| Act::Reply(404, "", vec![])),
            (
                "throttled",
                "AccessDenied",
                1,
                |_| Act::Reply(403, "", b"<Code>AccessDenied</Code>".to_vec()),
                Act::ok,
            ),
            (
                "corrupt",
                "not a checksum",
                1,
                |_| Act::ok("<!DOCTYPE html><html>".repeat(9)),
                Act::ok,
            ),
            ("corrupt", "not a checksum", 1, |_| Act::ok(""), Act::ok),
            (
                "corrupt",
                "another file",
                1,
                |zip| Act::ok(sidecar(zip, "ETHUSDT-1h-2020-01-01.zip")),
                Act::ok,
            ),
            ("corrupt", "was published", 2, good, |zip| Act::ok(&zip[1..])),
            ("corrupt", "was published", 2, good, |_| {
                Act::ok("<!DOCTYPE html><html>")
            }),
            ("corrupt", "was published", 2, good, |_| Act::ok("")),
            ("corrupt", "longer than", 2, good, |_| Act::ok(vec![0; 1 << 20])),
            ("unreachable", "HTTP 503", 2, good, |_| Act::Reply(503, "", vec![])),
        ];
        for (kind, expected, requests, checksum, archive) in cases {
            let (result, stub) = fetched(checksum, archive).await;
            let error = result.unwrap_err();
            assert_eq!(error.policy().kind, kind, "{error}");
            assert!(
                error.to_string().contains(expected) && error.to_string().contains("BTCUSDT-1h-2020-01-01"),
                "{error}"
            );
            assert_eq!(stub.targets().len(), requests, "{error}");
            assert!(!matches!(error, FetchError::Unreachable { retry: true, .. }), "{error}");
        }
    }

    #[test]
    fn a_matching_checksum_does_not_make_klines() {
        let day = slice(series(Market::Spot, "BTCUSDT", Interval::H1), Form::Day, (2020, 1, 1));
        let why = |bytes: &[u8]| {
            let digest: [u8; 32] = Sha256::digest(bytes).into();
            decode(&day.series, day.range, NAME_OF_DAY, bytes, &digest)
                .unwrap_err()
                .to_string()
        };
        let member = "BTCUSDT-1h-2020-01-01.csv";
        assert!(why(b"<!DOCTYPE html>").contains("not a zip archive"));
        assert!(why(&zipped("ETHUSDT-1h-2020-01-01.csv", &hour(0))).contains("instead of BTCUSDT"));
        let late = why(&zipped(member, &(hour(0) + &hour(24))));
        assert!(late.contains(member) && late.contains("2020-01-02T00:00:00Z"), "{late}");
        let odd = why(&zipped(member, &(hour(0) + "oops\n")));
        assert!(odd.contains(NAME_OF_DAY) && odd.contains("line 2: 1 columns"), "{odd}");
    }

    #[test]
    fn files_are_named_by_market_period_and_symbol() {
        for (market, symbol, interval, form, expected) in [
            (
                Market::Spot,
                "1INCHUSDT",
                Interval::S1,
                Form::Day,
                "spot/daily/klines/1INCHUSDT/1s/1INCHUSDT-1s-2022-02-01",
            ),
            (
                Market::Um,
                "BTCUSDT",
                Interval::M1,
                Form::Month,
                "futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2022-02",
            ),
            (
                Market::Cm,
                "BTCUSD_PERP",
                Interval::Mo1,
                Form::Month,
                "futures/cm/monthly/klines/BTCUSD_PERP/1mo/BTCUSD_PERP-1mo-2022-02",
            ),
            (
                Market::Spot,
                "币USDT",
                Interval::D1,
                Form::Day,
                "spot/daily/klines/%E5%B8%81USDT/1d/%E5%B8%81USDT-1d-2022-02-01",
            ),
        ] {
            let slice = slice(series(market, symbol, interval), form, (2022, 2, 1));
            let encoded = slice.series.symbol().encoded();
            let path = folder(&slice.series, form, &encoded) + &stem(&slice, &encoded);
            assert_eq!(path, format!("/data/{expected}"));
            assert!(is_period(&slice));
        }
    }

    #[tokio::test]
    async fn what_is_not_the_period_of_a_file_is_refused_without_asking() {
        let stub = Stub::start(|_| Act::ok("")).await;
        let vision = Vision::new(&ProviderConfig::default(), &stub.http()).unwrap();
        let day = slice(series(Market::Spot, "BTCUSDT", Interval::H1), Form::Day, (2020, 1, 1));
        let shifted = TimeRange::clamped(day.range.start().plus(HOUR), day.range.end().plus(HOUR));
        for wrong in [
            Slice {
                form: Form::Page,
                ..day.clone()
            },
            Slice {
                form: Form::Month,
                ..day.clone()
            },
            Slice {
                range: shifted,
                ..day.clone()
            },
        ] {
            assert!(
                matches!(vision.fetch(&wrong).await, Err(FetchError::Rejected(_))),
                "{wrong:?}"
            );
        }
        assert!(stub.targets().is_empty());
    }

    #[test]
    fn files_are_offered_where_they_are_kept_up() {
        let http = Http::new(&crate::config::HttpConfig::default(), None).unwrap();
        let vision = Vision::new(&ProviderConfig::default(), &http).unwrap();
        for (interval, expected) in [
            (Interval::S1, (true, false)),
            (Interval::M1, (true, true)),
            (Interval::D1, (true, true)),
            (Interval::D3, (false, true)),
            (Interval::Mo1, (false, true)),
        ] {
            let offer = vision.offer(&series(Market::Spot, "BTCUSDT", interval)).unwrap();
            let Supply::Archives {
                days,
                months,
                day_lag,
                month_lag,
            } = offer.supply
            else {
                panic!("{offer:?}")
            };
            assert_eq!((days, months), expected, "{interval}");
            assert_eq!((day_lag, month_lag, offer.authoritative), (8 * HOUR, 8 * DAY, false));
        }
    }

    #[test]
    fn a_misspelt_or_senseless_setting_is_an_error_that_names_it() {
        let http = Http::new(&crate::config::HttpConfig::default(), None).unwrap();
        for (toml, expected) in [
            ("[limits]\nday_lag = 3", "providers.binance-vision.limits.day_lag"),
            ("[limits]\nday_lag_hours = 0", "day_lag_hours = 0: expected 1 to"),
            ("[hosts]\narchives = [\"x\"]", "hosts.archives: unknown"),
            ("[hosts]\narchive = []", "hosts.archive"),
            ("[hosts]\narchive = [\"https://x\"]", "without scheme"),
        ] {
            let config: ProviderConfig = toml::from_str(toml).unwrap();
            let error = Vision::new(&config, &http).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let config: ProviderConfig =
            toml::from_str("[limits]\nday_lag_hours = 30\n[hosts]\narchive = [\"mirror.example:8443\"]").unwrap();
        let vision = Vision::new(&config, &http).unwrap();
        assert_eq!(
            (vision.archive_host.as_str(), vision.day_lag),
            ("mirror.example:8443", 30 * HOUR)
        );
    }

    #[tokio::test]
    async fn the_first_kline_is_not_before_the_earliest_file() {
        let stub = Stub::start(|target| {
            let folder = if target.contains("daily") { "daily" } else { "monthly" };
            let key = |date: &str| {
                format!("<Contents><Key>data/spot/{folder}/klines/BTCUSDT/1d/BTCUSDT-1d-{date}.zip</Key></Contents>")
            };
            let keys = if folder == "daily" {
                key("2017-08-17") + &key("2017-08-18")
            } else {
                key("2017-09")
            };
            Act::ok(format!("<ListBucketResult xmlns=\"x\">{keys}</ListBucketResult>"))
        })
        .await;
        let vision = Vision::new(&ProviderConfig::default(), &stub.http()).unwrap();
        let [daily, weekly] = [Interval::D1, Interval::W1].map(|i| series(Market::Spot, "BTCUSDT", i));
        assert_eq!(
            vision.first_open(&daily).await.unwrap().unwrap().to_string(),
            "2017-08-17T00:00:00Z"
        );
        let target = &stub.targets()[0];
        assert!(
            target.starts_with("/s3-ap-northeast-1.amazonaws.com/data.binance.vision?prefix=data%2Fspot%2Fdaily"),
            "{target}"
        );
        // Keys of other intervals are not ours.
        assert_eq!(vision.first_open(&weekly).await.unwrap(), None);
        for fault in [
            || Act::ok("<!DOCTYPE html><html></html>"),
            || Act::Reply(403, "", b"<Error><Code>AccessDenied</Code></Error>".to_vec()),
            || Act::Reply(404, "", vec![]),
        ] {
            let stub = Stub::start(move |_| fault()).await;
            let vision = Vision::new(&ProviderConfig::default(), &stub.http()).unwrap();
            let error = vision
                .first_open(&series(Market::Spot, "BTCUSDT", Interval::D1))
                .await
                .unwrap_err();
            assert!(!matches!(error, FetchError::Absent(_)), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_clear_no_is_as_good_a_sign_of_life_as_a_file() {
        for (status, alive) in [(200, true), (404, true), (403, false), (503, false)] {
            let stub = Stub::start(move |_| Act::Reply(status, "", b"x".to_vec())).await;
            let vision = Vision::new(&ProviderConfig::default(), &stub.http()).unwrap();
            for method in [Method::Head, Method::Get] {
                assert_eq!(vision.probe(method).await.is_ok(), alive, "{status}");
            }
        }
    }
}
