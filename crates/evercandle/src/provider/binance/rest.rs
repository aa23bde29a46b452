//! The REST interface of the three markets.
//!
//! One question is one page of klines with both ends given: the markets disagree about what one end alone means (COIN-M
//! counts back from the end), and agree when both are there. Ends are inclusive upstream and half-open here.
//!
//! A market may have several hosts in front of the same machines and the same quota. One is used until it cannot be
//! reached or turns us away, then the next: replicas differ for seconds about the newest kline, so turning at every call
//! would let values go back in time.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::super::http::{Ask, Http, Reply};
use super::super::{FetchError, Fetched, Instrument, KlineProvider, Offer, QuotaSpec, Slice, Supply};
use super::{Settings, errors, exchange_info, halts, rest_json};
use crate::answer::{ProviderName, Verification};
use crate::config::{ConfigError, ProviderConfig};
use crate::model::batch::Batch;
use crate::model::builder::Repairs;
use crate::model::interval::Grid;
use crate::model::range::{DAY, TimeRange, Timestamp};
use crate::model::series::{Market, Series};

/// Its name in the catalogue.
pub const NAME: &str = "binance";

/// Spot hosts, in order: the full interface, the one for market data only, and further doors to the first.
const SPOT_HOSTS: &[&str] = &[
    "api.binance.com",
    MARKET_DATA_HOST,
    "api1.binance.com",
    "api2.binance.com",
    "api3.binance.com",
    "api4.binance.com",
    "api-gcp.binance.com",
];
/// Market data without trading, and therefore also where trading is not allowed.
const MARKET_DATA_HOST: &str = "data-api.binance.vision";
const UM_HOSTS: &[&str] = &["fapi.binance.com"];
const CM_HOSTS: &[&str] = &["dapi.binance.com"];

/// Rows per page on spot. Asking for more is not refused but silently capped.
const SPOT_ROWS: u32 = 1_000;
/// Rows per page on futures: 499 cost weight 2, the most klines per weight; 1500, the most allowed, cost 10.
const FUTURES_ROWS: u32 = 499;
const FUTURES_ROWS_MAX: u32 = 1_500;
/// A COIN-M question may span no more.
const CM_SPAN: i64 = 200 * DAY;
/// Weight of a page of spot klines, whatever its length.
const SPOT_WEIGHT: u32 = 2;
/// Weight per minute and address. Settable, because the exchange has changed them and may treat addresses differently.
const SPOT_WEIGHT_PER_MINUTE: u32 = 6_000;
/// As above; shared by USD-M and COIN-M since 2026-06.
const FUTURES_WEIGHT_PER_MINUTE: u32 = 2_400;

/// A page of 1500 rows takes 300 kB.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// The spot list took 1.9 MB in 2021 and has grown since.
const LIST_BYTES_MAX: usize = 128 << 20;
const SMALL_BYTES_MAX: usize = 64 << 10;

const HOST_ROLES: &[&str] = &["spot", "um", "cm"];
const LIMIT_NAMES: &[&str] = &[
    "weight_per_minute.spot",
    "weight_per_minute.futures",
    "page_rows.spot",
    "page_rows.um",
    "page_rows.cm",
];

/// Klines, instruments and the clock of the exchange itself.
#[derive(Debug)]
pub struct Rest {
    http: Http,
    spot: Door,
    um: Door,
    cm: Door,
    /// Spot, futures.
    weight_per_minute: [u32; 2],
}

/// One market as it is asked.
#[derive(Debug)]
struct Door {
    hosts: Vec<String>,
    /// Index of the host in use.
    current: AtomicUsize,
    /// What comes before `/klines`.
    base: &'static str,
    rows_max: u32,
}

impl Rest {
    /// Reads the settings that `README.md` in this folder lists.
    pub fn new(config: &ProviderConfig, http: &Http) -> Result<Rest, ConfigError> {
        let settings = Settings::new(NAME, config, HOST_ROLES, LIMIT_NAMES)?;
        let door = |role, hosts, base, rows: (u32, u32)| -> Result<Door, ConfigError> {
            Ok(Door {
                hosts: settings.hosts(role, hosts)?,
                current: AtomicUsize::new(0),
                base,
                rows_max: settings.limit(&format!("page_rows.{role}"), rows.0, rows.1)?,
            })
        };
        Ok(Rest {
            http: http.clone(),
            spot: door("spot", SPOT_HOSTS, "/api/v3", (SPOT_ROWS, SPOT_ROWS))?,
            um: door("um", UM_HOSTS, "/fapi/v1", (FUTURES_ROWS, FUTURES_ROWS_MAX))?,
            cm: door("cm", CM_HOSTS, "/dapi/v1", (FUTURES_ROWS, FUTURES_ROWS_MAX))?,
            weight_per_minute: [
                settings.limit("weight_per_minute.spot", SPOT_WEIGHT_PER_MINUTE, u32::MAX)?,
                settings.limit("weight_per_minute.futures", FUTURES_WEIGHT_PER_MINUTE, u32::MAX)?,
            ],
        })
    }

    fn door(&self, market: Market) -> &Door {
        match market {
            Market::Spot => &self.spot,
            Market::Um => &self.um,
            Market::Cm => &self.cm,
        }
    }

    /// Asks the host in use; a 200 is returned, all else is an error of the right kind.
    async fn ask(
        &self,
        market: Market,
        endpoint: &str,
        query: &[(&str, &str)],
        body_max: usize,
    ) -> Result<Reply, FetchError> {
        let door = self.door(market);
        let path = format!("{}/{endpoint}", door.base);
        let used = door.current.load(Ordering::Relaxed);
        let sent = self.http.send(Ask::text(door.host(used), &path, query, body_max)).await;
        let reply = match sent {
            Ok(reply) => reply,
            Err(error) => return Err(door.unreachable(used, error)),
        };
        if !matches!(reply.status, 403 | 451) {
            return errors::accept(reply);
        }
        door.turn_from(used);
        // Only the host for market data is open where the others are closed by law, so it is asked at once.
        let elsewhere = door.hosts.iter().position(|h| h == MARKET_DATA_HOST);
        match elsewhere {
            Some(open) if reply.status == 451 && open != used => {
                door.current.store(open, Ordering::Relaxed);
                errors::accept(
                    self.http
                        .send(Ask::text(MARKET_DATA_HOST, &path, query, body_max))
                        .await?,
                )
            }
            _ => errors::accept(reply),
        }
    }

    async fn page(&self, slice: &Slice) -> Result<Fetched, FetchError> {
        let market = slice.series.market();
        let page = Page::of(slice, self.door(market).rows_max);
        let (limit, start, end) = page.query();
        let query = [
            ("symbol", slice.series.symbol().as_str()),
            ("interval", slice.series.interval().as_str()),
            ("startTime", &start),
            ("endTime", &end),
            ("limit", &limit),
        ];
        let reply = self.ask(market, "klines", &query, PAGE_BYTES_MAX).await?;
        let used_weight = used_weight(&reply);
        // A page is parsed in well under a millisecond, which is no longer than handing it to another thread and back.
        let (batch, repairs) = rest_json::klines(&slice.series, page.range, &reply)?;
        Ok(Fetched {
            answered: page.answered(&batch),
            batch,
            verification: Verification::Structural,
            repairs,
            used_weight,
        })
    }
}

/// Parses a body of klines as [`Rest`] does: for tests against recorded answers, and for benchmarks.
#[doc(hidden)]
pub fn decode(series: &Series, range: TimeRange, body: &str) -> Result<(Batch, Repairs), FetchError> {
    rest_json::parse(series, range, "body", body)
}

/// Parses a list of instruments as [`Rest`] does: for tests against recorded answers.
#[doc(hidden)]
pub fn decode_instruments(body: &str) -> Result<Vec<Instrument>, FetchError> {
    exchange_info::parse("body", body)
}

/// What follows from a status other than 200 and its body: for tests against recorded answers.
#[doc(hidden)]
pub fn decode_error(status: u16, body: &str, now: Timestamp) -> FetchError {
    errors::refusal(status, body, None, now, "body")
}

impl Door {
    fn host(&self, index: usize) -> &str {
        &self.hosts[index % self.hosts.len()]
    }

    /// The next call goes to the next host, unless another call has seen to that already.
    fn turn_from(&self, used: usize) {
        let next = (used + 1) % self.hosts.len();
        let _ = self
            .current
            .compare_exchange(used, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Nobody answered at this host; with another one to turn to, a second try is worth its time.
    fn unreachable(&self, used: usize, error: FetchError) -> FetchError {
        match error {
            FetchError::Unreachable { why, retry } => {
                self.turn_from(used);
                FetchError::Unreachable {
                    why,
                    retry: retry || self.hosts.len() > 1,
                }
            }
            other => other,
        }
    }
}

/// One question: a slice, or as much of it as one page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    range: TimeRange,
    /// Rows asked for: the slots of the range.
    limit: u32,
    grid: Grid,
    market: Market,
}

impl Page {
    fn of(slice: &Slice, rows_max: u32) -> Page {
        let market = slice.series.market();
        let grid = Grid::new(slice.series.interval(), None);
        let start = slice.range.start();
        let mut end = slice.range.end().min(grid.advance(grid.ceil(start), rows_max));
        if market == Market::Cm {
            end = end.min(start.plus(CM_SPAN));
        }
        let range = TimeRange::clamped(start, end);
        let limit = u32::try_from(grid.count(range)).unwrap_or(rows_max).clamp(1, rows_max);
        Page {
            range,
            limit,
            grid,
            market,
        }
    }

    /// `limit`, `startTime`, `endTime`: both ends inclusive, in milliseconds, which every market understands.
    fn query(&self) -> (String, String, String) {
        (
            self.limit.to_string(),
            // Rounded up, or a range that begins just after a kline would fetch that kline again.
            self.range.start().plus(999).as_millis().to_string(),
            self.range.end().plus(-1).as_millis().to_string(),
        )
    }

    /// The part of the range this page is the whole answer for. A page filled to its limit may have been cut: on COIN-M
    /// at the front, because rows are counted back from the end; elsewhere at the back.
    fn answered(&self, batch: &Batch) -> TimeRange {
        let (Some(&first), Some(&last)) = (batch.open_times().first(), batch.open_times().last()) else {
            return self.range;
        };
        let (first, last) = (Timestamp::from_micros(first), Timestamp::from_micros(last));
        if batch.len() < self.limit as usize {
            return self.range;
        }
        match self.market {
            Market::Cm if first > self.grid.ceil(self.range.start()) => TimeRange::clamped(first, self.range.end()),
            Market::Spot | Market::Um if self.grid.next(last) < self.range.end() => {
                TimeRange::clamped(self.range.start(), last.plus(1))
            }
            _ => self.range,
        }
    }
}

/// What a page of so many rows weighs on the futures hosts.
const fn futures_weight(rows: u32) -> u32 {
    match rows {
        0..100 => 1,
        100..500 => 2,
        500..=1_000 => 5,
        _ => 10,
    }
}

fn used_weight(reply: &Reply) -> Option<u32> {
    reply.header("x-mbx-used-weight-1m")?.trim().parse().ok()
}

#[async_trait]
impl KlineProvider for Rest {
    fn name(&self) -> ProviderName {
        ProviderName::new(NAME)
    }

    fn offer(&self, series: &Series) -> Option<Offer> {
        Some(Offer {
            supply: Supply::Pages {
                rows_max: self.door(series.market()).rows_max,
                span_max: (series.market() == Market::Cm).then_some(CM_SPAN),
            },
            authoritative: true,
        })
    }

    fn quota(&self, slice: &Slice) -> Option<QuotaSpec> {
        let [spot, futures] = self.weight_per_minute;
        let market = slice.series.market();
        Some(match market {
            Market::Spot => QuotaSpec {
                group: "binance-spot",
                weight_per_minute: spot,
                weight: SPOT_WEIGHT,
            },
            Market::Um | Market::Cm => QuotaSpec {
                group: "binance-futures",
                weight_per_minute: futures,
                weight: futures_weight(Page::of(slice, self.door(market).rows_max).limit),
            },
        })
    }

    async fn fetch(&self, slice: &Slice) -> Result<Fetched, FetchError> {
        if slice.range.is_empty() {
            return Err(FetchError::Rejected(format!("{}: nothing was asked for", slice.series)));
        }
        self.page(slice).await
    }

    async fn first_open(&self, series: &Series) -> Result<Option<Timestamp>, FetchError> {
        let market = series.market();
        if market == Market::Cm {
            // Counting back from the end, COIN-M cannot be asked for its first kline; its list says when it began.
            let reply = self.ask(market, "exchangeInfo", &[], LIST_BYTES_MAX).await?;
            let instruments = exchange_info::parse(&reply.place, rest_json::text(&reply)?)?;
            let Some(instrument) = instruments.into_iter().find(|i| i.symbol == series.symbol().as_str()) else {
                let place = &reply.place;
                return Err(FetchError::UnknownSymbol(format!(
                    "{place}: {} is not listed",
                    series.symbol()
                )));
            };
            // A coarse kline opens before the instant of listing.
            return Ok(instrument
                .listed_at
                .map(|at| Grid::new(series.interval(), None).floor(at)));
        }
        let query = [
            ("symbol", series.symbol().as_str()),
            ("interval", series.interval().as_str()),
            ("startTime", "0"),
            ("limit", "1"),
        ];
        let reply = self.ask(market, "klines", &query, PAGE_BYTES_MAX).await?;
        let whenever = TimeRange::clamped(Timestamp::EPOCH, Timestamp::MAX);
        let (batch, _) = rest_json::klines(series, whenever, &reply)?;
        Ok(batch.open_times().first().map(|micros| Timestamp::from_micros(*micros)))
    }

    async fn server_time(&self, market: Market) -> Result<Option<Timestamp>, FetchError> {
        let reply = self.ask(market, "time", &[], SMALL_BYTES_MAX).await?;
        exchange_info::server_time(&reply.place, rest_json::text(&reply)?).map(Some)
    }

    async fn instruments(&self, market: Market) -> Result<Option<Vec<Instrument>>, FetchError> {
        let reply = self.ask(market, "exchangeInfo", &[], LIST_BYTES_MAX).await?;
        exchange_info::parse(&reply.place, rest_json::text(&reply)?).map(Some)
    }

    fn known_halts(&self, series: &Series) -> &'static [TimeRange] {
        halts::known(series.market())
    }

    async fn probe(&self) -> Result<(), FetchError> {
        let reply = self.ask(Market::Spot, "ping", &[], SMALL_BYTES_MAX).await?;
        match rest_json::text(&reply)?.trim_start().starts_with('{') {
            true => Ok(()),
            false => Err(FetchError::Corrupt(format!(
                "{}: not the answer to a ping{}",
                reply.place,
                reply.excerpt()
            ))),
        }
    }
}
