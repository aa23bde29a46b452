//! The REST interfaces of the three markets, as two upstreams: spot, and both kinds of futures.
//!
//! They are two because what can be learnt of one says nothing about the other: other machines, another limit, bans and
//! outages of their own. As one, a healthy spot market would hide that the futures hosts are down.
//!
//! One question is one page of klines with both ends given: the markets disagree about what one end alone means (COIN-M
//! counts back from the end), and agree when both are there. Ends are inclusive upstream and half-open here.

use async_trait::async_trait;
use parking_lot::Mutex;

use super::super::http::{Ask, Http, Method, Reply};
use super::super::settings::Settings;
use super::super::{
    Call, FetchError, Fetched, Instrument, KlineProvider, Offer, Provider, Pulse, QuotaSpec, Quotes, ReportedWeight,
    Slice, Supply,
};
use super::door::Door;
use super::{errors, exchange_info, funding, halts, rest_json, tickers};
use crate::answer::{ProviderName, Verification};
use crate::clock::Clock;
use crate::config::{ConfigError, ProviderConfig};
use crate::model::batch::Batch;
use crate::model::builder::Repairs;
use crate::model::funding::{ALL_SETTLE, MARGIN_HOURS};
use crate::model::interval::Grid;
use crate::model::range::{DAY, MINUTE, TimeRange, Timestamp};
use crate::model::series::{Kind, Market, Series};
use crate::model::symbol::Symbol;

/// Its name in the catalogue, for the spot market.
pub const SPOT: &str = "binance";
/// Its name in the catalogue, for both futures markets: other machines, another limit, outages of their own.
pub const FUTURES: &str = "binance-futures";

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
/// Rates per page, whatever the market; more than one an hour there are not.
const FUNDING_ROWS: u32 = 1_000;
/// Pages of rates per minute and address on USD-M, which counts them by themselves: 500 in five minutes. COIN-M counts
/// them with everything else.
const FUNDING_CALLS_PER_MINUTE: u32 = 100;
const FUNDING_GROUP: &str = "binance-futures-funding";
const FUNDING_ENDPOINT: &str = "fundingRate";
const UM_FUNDING_PATH: &str = "/fapi/v1/fundingRate";
/// Before the first future was listed, in milliseconds: 2019-01-01.
const BEFORE_FUTURES: &str = "1546300800000";
/// Weight of a page of spot klines, whatever its length.
const SPOT_WEIGHT: u32 = 2;
/// Weight of the list of instruments on spot; elsewhere it weighs 1.
const SPOT_LIST_WEIGHT: u32 = 20;
/// Weight per minute and address, until the exchange has been asked. Settable, because the exchange has changed them and may treat addresses differently.
const SPOT_WEIGHT_PER_MINUTE: u32 = 6_000;
/// As above; shared by USD-M and COIN-M since 2026-06.
const FUTURES_WEIGHT_PER_MINUTE: u32 = 2_400;

/// A page of 1500 rows takes 300 kB.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// The spot list took 1.9 MB in 2021 and has grown since.
const LIST_BYTES_MAX: usize = 128 << 20;
const SMALL_BYTES_MAX: usize = 64 << 10;

/// Klines, instruments and the clock of one side of the exchange: the spot market, or both futures markets.
#[derive(Debug)]
pub struct Rest {
    name: &'static str,
    http: Http,
    /// One per market it serves.
    doors: Vec<(Market, Door)>,
    quota_group: &'static str,
    weight_per_minute: u32,
    /// Whether the configuration decides the limit, rather than what the exchange says of it.
    limit_is_set: bool,
    /// The exchange's own count, until the engine asks for it.
    reported: Mutex<Option<ReportedWeight>>,
}

impl Rest {
    /// The spot market. Reads the settings that `README.md` in this folder lists.
    pub fn spot(config: &ProviderConfig, http: &Http) -> Result<Rest, ConfigError> {
        let settings = Settings::new(SPOT, config, &["spot"], &["weight_per_minute", "page_rows.spot"])?;
        let rows_max = settings.limit("page_rows.spot", SPOT_ROWS, SPOT_ROWS)?;
        let door = Door::new(settings.hosts("spot", SPOT_HOSTS)?, "/api/v3", rows_max);
        Ok(Rest {
            name: SPOT,
            http: http.clone(),
            doors: vec![(Market::Spot, door)],
            quota_group: "binance-spot",
            weight_per_minute: settings.limit("weight_per_minute", SPOT_WEIGHT_PER_MINUTE, u32::MAX)?,
            limit_is_set: config.limits.contains_key("weight_per_minute"),
            reported: Mutex::default(),
        })
    }

    /// Both futures markets. Reads the settings that `README.md` in this folder lists.
    pub fn futures(config: &ProviderConfig, http: &Http) -> Result<Rest, ConfigError> {
        let limits = &["weight_per_minute", "page_rows.um", "page_rows.cm"];
        let settings = Settings::new(FUTURES, config, &["um", "cm"], limits)?;
        let rows = |name| settings.limit(name, FUTURES_ROWS, FUTURES_ROWS_MAX);
        let um = Door::new(settings.hosts("um", UM_HOSTS)?, "/fapi/v1", rows("page_rows.um")?);
        let cm = Door::new(settings.hosts("cm", CM_HOSTS)?, "/dapi/v1", rows("page_rows.cm")?);
        Ok(Rest {
            name: FUTURES,
            http: http.clone(),
            doors: vec![(Market::Um, um), (Market::Cm, cm)],
            quota_group: "binance-futures",
            weight_per_minute: settings.limit("weight_per_minute", FUTURES_WEIGHT_PER_MINUTE, u32::MAX)?,
            limit_is_set: config.limits.contains_key("weight_per_minute"),
            reported: Mutex::default(),
        })
    }

    fn find_door(&self, market: Market) -> Option<&Door> {
        self.doors.iter().find(|(m, _)| *m == market).map(|(_, door)| door)
    }

    pub(super) fn serves(&self, market: Market) -> bool {
        self.find_door(market).is_some()
    }

    fn door(&self, market: Market) -> Result<&Door, FetchError> {
        let name = self.name;
        self.find_door(market)
            .ok_or_else(|| FetchError::Rejected(format!("{name} does not serve market {market}")))
    }

    /// Asks the host in use; a 200 is returned, all else is an error of the right kind.
    pub(super) async fn ask(
        &self,
        market: Market,
        endpoint: &str,
        query: &[(&str, &str)],
        body_max: usize,
    ) -> Result<Reply, FetchError> {
        errors::accept(self.ask_for_any(market, endpoint, query, body_max).await?)
    }

    /// Asks the host in use and returns whatever it says. An endpoint that begins with `/` is a path of its own.
    pub(super) async fn ask_for_any(
        &self,
        market: Market,
        endpoint: &str,
        query: &[(&str, &str)],
        body_max: usize,
    ) -> Result<Reply, FetchError> {
        let door = self.door(market)?;
        let path = match endpoint.starts_with('/') {
            true => endpoint.to_owned(),
            false => format!("{}/{endpoint}", door.base),
        };
        let at = |host| Ask::text(host, &path, query, body_max);
        self.send_for_any(door, &at).await
    }

    /// Sends to the host in use; a 200 is returned, all else is an error of the right kind.
    async fn send<'a>(&self, door: &'a Door, at: &(dyn Fn(&'a str) -> Ask<'a> + Sync)) -> Result<Reply, FetchError> {
        errors::accept(self.send_for_any(door, at).await?)
    }

    /// Sends to the host in use, and notes what the reply says of the weight used.
    async fn send_for_any<'a>(
        &self,
        door: &'a Door,
        at: &(dyn Fn(&'a str) -> Ask<'a> + Sync),
    ) -> Result<Reply, FetchError> {
        let used = door.current();
        let ask = at(door.host(used));
        // A pool of its own would be taken for the hosts' weight.
        let apart = ask.path == UM_FUNDING_PATH;
        let reply = match self.http.send(ask).await {
            Ok(reply) if apart => reply,
            Ok(reply) => self.noted(reply),
            Err(error) => return Err(door.unreachable(used, error)),
        };
        if !matches!(reply.status, 403 | 451) {
            return Ok(reply);
        }
        door.turn_from(used);
        // Only the host for market data is open where the others are closed by law, so it is asked at once.
        match door.position(MARKET_DATA_HOST) {
            Some(open) if reply.status == 451 && open != used => {
                door.turn_to(open);
                Ok(self.noted(self.http.send(at(MARKET_DATA_HOST)).await?))
            }
            _ => Ok(reply),
        }
    }

    fn noted(&self, reply: Reply) -> Reply {
        let weight = reply.header("x-mbx-used-weight-1m").and_then(|w| w.trim().parse().ok());
        if let Some(weight) = weight {
            let at = reply.date().unwrap_or_else(|| Clock::system().now());
            let mut reported = self.reported.lock();
            // Replies overtake each other, and within one minute the count only grows.
            if reported.is_none_or(|r| (r.at.as_micros() / MINUTE, r.weight) < (at.as_micros() / MINUTE, weight)) {
                *reported = Some(ReportedWeight { weight, at });
            }
        }
        reply
    }

    async fn page_of_rates(&self, slice: &Slice) -> Result<Fetched, FetchError> {
        let page = Page::of(slice, FUNDING_ROWS);
        let (_, start, end) = page.query();
        let query = [
            ("symbol", slice.series.symbol().as_str()),
            ("startTime", &start),
            ("endTime", &end),
            ("limit", &FUNDING_ROWS.to_string()),
        ];
        let market = slice.series.market();
        let reply = self.ask(market, FUNDING_ENDPOINT, &query, PAGE_BYTES_MAX).await?;
        let (batch, repairs) = funding::page(&slice.series, page.range, &reply.place, reply.text()?)?;
        Ok(Fetched {
            answered: page.answered_rates(&batch),
            batch,
            verification: Verification::Structural,
            repairs,
        })
    }

    async fn page(&self, slice: &Slice) -> Result<Fetched, FetchError> {
        let market = slice.series.market();
        let door = self.door(market)?;
        let page = Page::of(slice, door.rows_max);
        let (limit, start, end) = page.query();
        let query = [
            ("symbol", slice.series.symbol().as_str()),
            ("interval", slice.series.interval().as_str()),
            ("startTime", &start),
            ("endTime", &end),
            ("limit", &limit),
        ];
        // Spot archives are printed in microseconds since then; asked to do the same, REST prints the same close times.
        let since = Timestamp::from_date(MICROSECONDS_SINCE.0, MICROSECONDS_SINCE.1, MICROSECONDS_SINCE.2);
        let exact = market == Market::Spot && since.is_some_and(|t| t <= page.range.start());
        let header = exact.then_some(("x-mbx-time-unit", "MICROSECOND"));
        let path = format!("{}/klines", door.base);
        let at = |host| Ask {
            header,
            ..Ask::text(host, &path, &query, PAGE_BYTES_MAX)
        };
        let reply = self.send(door, &at).await?;
        // A page is parsed in well under a millisecond, which is no longer than handing it to another thread and back.
        let (batch, repairs) = rest_json::klines(&slice.series, page.range, &reply)?;
        Ok(Fetched {
            answered: page.answered(&batch),
            batch,
            verification: Verification::Structural,
            repairs,
        })
    }
}

/// The day from which spot archives carry microseconds (binance/binance-public-data README, 2025-01-09).
const MICROSECONDS_SINCE: (i16, i8, i8) = (2025, 1, 1);

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

/// Reads the prices of these symbols from a body of tickers as [`Rest`] does: for tests against recorded answers.
#[doc(hidden)]
pub fn decode_tickers(body: &str, asked: &[Symbol]) -> Result<Quotes, FetchError> {
    tickers::parse("body", body, asked).map(|read| read.complete("not in the answer"))
}

/// What follows from a status other than 200 and its body: for tests against recorded answers.
#[doc(hidden)]
pub fn decode_error(status: u16, body: &str, now: Timestamp) -> FetchError {
    errors::refusal(status, body, None, now, "body")
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
        if market == Market::Cm && slice.series.kind() == Kind::Klines {
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

    /// As [`Page::answered`], of rates, which are in time order in every market. A page that stops long before its end
    /// may have been cut; then it answers up to the last instant at which every contract is settled, and what is asked
    /// next begins there.
    fn answered_rates(&self, batch: &Batch) -> TimeRange {
        let Some(&last) = batch.open_times().last() else {
            return self.range;
        };
        let seen = Timestamp::from_micros(last - last.rem_euclid(ALL_SETTLE));
        match seen.plus(ALL_SETTLE) < self.range.end() && seen > self.range.start() {
            true => TimeRange::clamped(self.range.start(), seen),
            false => self.range,
        }
    }

    /// The part of the range this page is the whole answer for. A page that stops short of the range may have been cut,
    /// whatever its length, so it answers only as far as it reaches: on COIN-M back to its first row, because rows are
    /// counted back from the end; elsewhere up to its last. What lies beyond is asked for by itself.
    fn answered(&self, batch: &Batch) -> TimeRange {
        let (Some(&first), Some(&last)) = (batch.open_times().first(), batch.open_times().last()) else {
            return self.range;
        };
        let (first, last) = (Timestamp::from_micros(first), Timestamp::from_micros(last));
        match self.market {
            Market::Cm if first > self.grid.ceil(self.range.start()) => TimeRange::clamped(first, self.range.end()),
            Market::Spot | Market::Um if self.grid.next(last) < self.range.end() => {
                TimeRange::clamped(self.range.start(), last.plus(1))
            }
            _ => self.range,
        }
    }
}

fn whenever() -> TimeRange {
    TimeRange::clamped(Timestamp::EPOCH, Timestamp::MAX)
}

/// Whether a call is one that USD-M counts among its pages of rates.
fn counts_rates(call: Call<'_>) -> bool {
    let series = match call {
        Call::Slice(slice) => &slice.series,
        Call::FirstOpen(series) => series,
        _ => return false,
    };
    series.kind() == Kind::FundingRates && series.market() == Market::Um
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

#[async_trait]
impl Provider for Rest {
    fn name(&self) -> ProviderName {
        ProviderName::new(self.name)
    }

    fn quota(&self, call: Call<'_>) -> Option<QuotaSpec> {
        let spot = self.name == SPOT;
        if counts_rates(call) {
            return Some(QuotaSpec {
                group: FUNDING_GROUP,
                weight_per_minute: FUNDING_CALLS_PER_MINUTE,
                weight: 1,
            });
        }
        let weight = match call {
            Call::Slice(_) if spot => SPOT_WEIGHT,
            Call::Slice(slice) if slice.series.kind() == Kind::FundingRates => 1,
            Call::Slice(slice) => {
                let rows_max = self.find_door(slice.series.market())?.rows_max;
                futures_weight(Page::of(slice, rows_max).limit)
            }
            Call::FirstOpen(_) if spot => SPOT_WEIGHT,
            Call::FirstOpen(_) | Call::Time(_) | Call::Probe => 1,
            Call::Instruments(_) | Call::Limit if spot => SPOT_LIST_WEIGHT,
            Call::Instruments(_) | Call::Limit => 1,
            Call::Prices(market, count) => tickers::weight(market, count),
            // Positioning has a pool of its own, of a thousand calls in five minutes.
            Call::Resolve | Call::Readings(_) => 0,
        };
        Some(QuotaSpec {
            group: self.quota_group,
            weight_per_minute: self.weight_per_minute,
            weight,
        })
    }

    fn reported_weight(&self) -> Option<ReportedWeight> {
        self.reported.lock().take()
    }

    async fn published_limit(&self) -> Result<Option<u32>, FetchError> {
        if self.limit_is_set {
            return Ok(None);
        }
        let (market, _) = self.doors[0];
        // The list of one symbol carries the limits too, on spot; the futures hosts know no such filter.
        let one: &[(&str, &str)] = if market == Market::Spot {
            &[("symbol", "BTCUSDT")]
        } else {
            &[]
        };
        let reply = self.ask(market, "exchangeInfo", one, LIST_BYTES_MAX).await?;
        exchange_info::weight_per_minute(&reply.place, reply.text()?)
    }

    async fn probe(&self, method: Method) -> Result<Pulse, FetchError> {
        let door = &self.doors[0].1;
        let path = format!("{}/ping", door.base);
        let at = |host| Ask {
            method,
            ..Ask::text(host, &path, &[], SMALL_BYTES_MAX)
        };
        if method == Method::Head {
            return Pulse::of_head(self.send_for_any(door, &at).await?, errors::accept);
        }
        let reply = self.send(door, &at).await?;
        match reply.text()?.trim_start().starts_with('{') {
            true => Ok(Pulse::Alive),
            false => Err(FetchError::Corrupt(format!(
                "{}: not the answer to a ping{}",
                reply.place,
                reply.excerpt()
            ))),
        }
    }
}

#[async_trait]
impl KlineProvider for Rest {
    fn offer(&self, series: &Series) -> Option<Offer> {
        let door = self.find_door(series.market())?;
        let supply = match series.kind() {
            Kind::Klines => Supply::Pages {
                rows_max: door.rows_max,
                span_max: (series.market() == Market::Cm).then_some(CM_SPAN),
            },
            Kind::FundingRates => Supply::Pages {
                rows_max: FUNDING_ROWS - MARGIN_HOURS,
                span_max: None,
            },
        };
        Some(Offer {
            supply,
            authoritative: true,
        })
    }

    async fn fetch(&self, slice: &Slice) -> Result<Fetched, FetchError> {
        if slice.range.is_empty() {
            return Err(FetchError::Rejected(format!("{}: nothing was asked for", slice.series)));
        }
        match slice.series.kind() {
            Kind::Klines => self.page(slice).await,
            Kind::FundingRates => self.page_of_rates(slice).await,
        }
    }

    async fn first_open(&self, series: &Series) -> Result<Option<Timestamp>, FetchError> {
        let market = series.market();
        if series.kind() == Kind::FundingRates {
            let query = [
                ("symbol", series.symbol().as_str()),
                ("startTime", BEFORE_FUTURES),
                ("limit", "1"),
            ];
            let reply = self.ask(market, FUNDING_ENDPOINT, &query, PAGE_BYTES_MAX).await?;
            let (batch, _) = funding::page(series, whenever(), &reply.place, reply.text()?)?;
            let first = batch.open_times().first().map(|micros| Timestamp::from_micros(*micros));
            return Ok(first.map(|first| Grid::new(series.interval(), None).floor(first)));
        }
        if market == Market::Cm {
            // Counting back from the end, COIN-M cannot be asked for its first kline; its list says when it began.
            let reply = self.ask(market, "exchangeInfo", &[], LIST_BYTES_MAX).await?;
            let instruments = exchange_info::parse(&reply.place, reply.text()?)?;
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
        let (batch, _) = rest_json::klines(series, whenever(), &reply)?;
        Ok(batch.open_times().first().map(|micros| Timestamp::from_micros(*micros)))
    }

    async fn server_time(&self, market: Market) -> Result<Option<Timestamp>, FetchError> {
        let reply = self.ask(market, "time", &[], SMALL_BYTES_MAX).await?;
        exchange_info::server_time(&reply.place, reply.text()?).map(Some)
    }

    async fn instruments(&self, market: Market) -> Result<Option<Vec<Instrument>>, FetchError> {
        let reply = self.ask(market, "exchangeInfo", &[], LIST_BYTES_MAX).await?;
        exchange_info::parse(&reply.place, reply.text()?).map(Some)
    }

    fn known_halts(&self, series: &Series) -> &'static [TimeRange] {
        halts::known(series.market())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Form;
    use super::super::super::http::stub::{Act, Stub};
    use super::*;
    use crate::config::HttpConfig;
    use crate::model::interval::Interval;
    use crate::model::range::{HOUR, MINUTE};

    /// 2024-01-01, in milliseconds.
    const START: i64 = 1_704_067_200_000;

    fn series(market: Market, interval: Interval) -> Series {
        let symbol = if market == Market::Cm { "BTCUSD_PERP" } else { "BTCUSDT" };
        Series::parse(symbol, interval, Some(market)).unwrap()
    }

    fn slice(market: Market, interval: Interval, micros: i64) -> Slice {
        let start = Timestamp::from_millis(START);
        Slice {
            series: series(market, interval),
            range: TimeRange::clamped(start, start.plus(micros)),
            form: Form::Page,
        }
    }

    fn row(minute: i64) -> String {
        let (open, close) = (START + minute * 60_000, START + minute * 60_000 + 59_999);
        format!(
            r#"[{open},"42283.58","42298.62","42261.02","42298.61","35.9",{close},"1519032.4",1327,"23.1","980394.2","0"]"#
        )
    }

    fn page(minutes: impl IntoIterator<Item = i64>) -> String {
        let rows: Vec<String> = minutes.into_iter().map(row).collect();
        format!("[{}]", rows.join(","))
    }

    fn rest(stub: &Stub, market: Market) -> Rest {
        serving(market, &stub.http())
    }

    fn serving(market: Market, http: &Http) -> Rest {
        let config = ProviderConfig::default();
        match market {
            Market::Spot => Rest::spot(&config, http).unwrap(),
            Market::Um | Market::Cm => Rest::futures(&config, http).unwrap(),
        }
    }

    #[tokio::test]
    async fn a_page_is_asked_for_with_both_ends_in_every_market() {
        for (market, path, symbol) in [
            (Market::Spot, "/api.binance.com/api/v3/klines", "BTCUSDT"),
            (Market::Um, "/fapi.binance.com/fapi/v1/klines", "BTCUSDT"),
            (Market::Cm, "/dapi.binance.com/dapi/v1/klines", "BTCUSD_PERP"),
        ] {
            let stub = Stub::start(|_| Act::Reply(200, "X-MBX-USED-WEIGHT-1M: 24\r\n", page([0, 1, 2]).into())).await;
            let asked = slice(market, Interval::M1, 3 * MINUTE);
            let rest = rest(&stub, market);
            let fetched = rest.fetch(&asked).await.unwrap();
            let query = format!(
                "symbol={symbol}&interval=1m&startTime={START}&endTime={}&limit=3",
                START + 179_999
            );
            assert_eq!(stub.targets(), [format!("{path}?{query}")]);
            assert_eq!(fetched.batch.len(), 3);
            assert_eq!(rest.reported_weight().map(|r| r.weight), Some(24));
            assert_eq!(rest.reported_weight(), None, "told once");
            assert_eq!(
                (fetched.answered, fetched.verification),
                (asked.range, Verification::Structural)
            );
        }
    }

    /// Goal: the engine pages on exactly where a page was cut, and never where it was not.
    #[test]
    fn a_page_answers_for_as_much_as_it_can_vouch_for() {
        let answered = |market, slots: i64, minutes: &[i64]| {
            let slice = slice(market, Interval::M1, slots * MINUTE);
            let page_of = Page::of(&slice, 5);
            let (batch, _) = decode(&slice.series, page_of.range, &page(minutes.iter().copied())).unwrap();
            let answered = page_of.answered(&batch);
            let from = |t: Timestamp| t.since(slice.range.start());
            (from(answered.start()), from(answered.end()))
        };
        for market in Market::ALL {
            assert_eq!(answered(market, 3, &[]), (0, 3 * MINUTE));
            assert_eq!(answered(market, 3, &[0, 1, 2]), (0, 3 * MINUTE));
            // A slice of more slots than a page has rows is answered as far as one page reaches.
            assert_eq!(answered(market, 9, &[0, 1, 2, 3, 4]), (0, 5 * MINUTE));
        }
        for market in [Market::Spot, Market::Um] {
            assert_eq!(
                answered(market, 3, &[0]),
                (0, 1),
                "a short page may have been cut after its last row"
            );
        }
        assert_eq!(
            answered(Market::Cm, 3, &[2]),
            (2 * MINUTE, 3 * MINUTE),
            "or, on COIN-M, before its first"
        );
        // More klines than slots, as in February 2018: the page is full before its last slot.
        let slice = slice(Market::Spot, Interval::M1, 3 * MINUTE);
        let odd = page([0, 1]).replace("]]", "],").replace(
            &row(1),
            &(row(0).replace(&START.to_string(), &(START + 9).to_string()) + "," + &row(1)),
        );
        let page_of = Page::of(&slice, 5);
        let (batch, _) = decode(
            &slice.series,
            page_of.range,
            &(odd.trim_end_matches(',').to_owned() + "]"),
        )
        .unwrap();
        assert_eq!(batch.len(), 3);
        assert_eq!(page_of.answered(&batch).end().since(slice.range.start()), MINUTE + 1);
        let counted_back = Page {
            market: Market::Cm,
            range: TimeRange::clamped(slice.range.start().plus(-MINUTE), slice.range.end()),
            ..page_of
        };
        assert_eq!(counted_back.answered(&batch), slice.range);
    }

    #[test]
    fn a_range_that_begins_just_after_a_kline_does_not_fetch_it_again() {
        let mut slice = slice(Market::Spot, Interval::M1, 3 * MINUTE);
        slice.range = TimeRange::clamped(slice.range.start().plus(1), slice.range.end());
        let (_, start, end) = Page::of(&slice, 1_000).query();
        assert_eq!((start, end), ((START + 1).to_string(), (START + 179_999).to_string()));
    }

    #[test]
    fn pages_and_weights_follow_the_market() {
        let http = Http::new(&HttpConfig::default(), None).unwrap();
        for (market, interval, micros, rows, weight, limit) in [
            (Market::Spot, Interval::M1, 1_000 * MINUTE, 1_000, 2, 1_000),
            (Market::Um, Interval::M1, 99 * MINUTE, 499, 1, 99),
            (Market::Um, Interval::M1, 100 * MINUTE, 499, 2, 100),
            (Market::Cm, Interval::M1, 9_999 * MINUTE, 499, 2, 499),
            (Market::Cm, Interval::D1, 400 * DAY, 499, 2, 200),
            (Market::Cm, Interval::Mo1, 400 * DAY, 499, 1, 7),
            (Market::Spot, Interval::Mo1, 400 * DAY, 1_000, 2, 14),
        ] {
            let (slice, rest) = (slice(market, interval, micros), serving(market, &http));
            let Some(Offer {
                supply: Supply::Pages { rows_max, span_max },
                authoritative: true,
            }) = rest.offer(&slice.series)
            else {
                panic!("{market}")
            };
            assert_eq!(
                (rows_max, span_max),
                (rows, (market == Market::Cm).then_some(200 * DAY))
            );
            let quota = rest.quota(Call::Slice(&slice)).unwrap();
            assert_eq!(quota.weight, weight, "{market} {interval}");
            assert_eq!(
                quota.group,
                if market == Market::Spot {
                    "binance-spot"
                } else {
                    "binance-futures"
                }
            );
            assert_eq!(Page::of(&slice, rows_max).limit, limit, "{market} {interval}");
        }
        assert_eq!(
            [1, 99, 100, 499, 500, 1_000, 1_001, 1_500].map(futures_weight),
            [1, 1, 2, 2, 5, 5, 10, 10]
        );
    }

    #[tokio::test]
    async fn a_host_that_cannot_be_reached_is_left_for_the_next_one() {
        for hangs in [false, true] {
            let stub = Stub::start(move |target| match target.starts_with("/api.binance.com") {
                true if hangs => Act::Hang(vec![]),
                true => Act::Raw(vec![]),
                false => Act::ok(page([0])),
            })
            .await;
            let rest = rest(&stub, Market::Spot);
            let asked = slice(Market::Spot, Interval::M1, MINUTE);
            let error = rest.fetch(&asked).await.unwrap_err();
            let expected = if hangs {
                ("timed_out", false)
            } else {
                ("unreachable", true)
            };
            assert_eq!((error.policy().kind, error.policy().retry), expected, "{error:?}");
            for _ in 0..3 {
                rest.fetch(&asked).await.unwrap();
            }
            let hosts: Vec<_> = stub
                .targets()
                .iter()
                .map(|t| t.split('/').nth(1).unwrap_or_default().to_owned())
                .collect();
            assert_eq!(
                hosts,
                ["api.binance.com", MARKET_DATA_HOST, MARKET_DATA_HOST, MARKET_DATA_HOST]
            );
        }
    }

    #[tokio::test]
    async fn where_trading_is_not_allowed_market_data_is_asked_for_at_once() {
        let stub = Stub::start(|target| match target.starts_with("/data-api") {
            true if target.ends_with("/ping") => Act::ok("{}"),
            true => Act::ok(page([0])),
            false => Act::Reply(451, "", br#"{"code": 0, "msg": "restricted location"}"#.to_vec()),
        })
        .await;
        let rest_one = rest(&stub, Market::Spot);
        rest_one
            .fetch(&slice(Market::Spot, Interval::M1, MINUTE))
            .await
            .unwrap();
        rest_one
            .fetch(&slice(Market::Spot, Interval::M1, MINUTE))
            .await
            .unwrap();
        assert_eq!(stub.targets().len(), 3);
        // A probe is turned away by law as a call is, and must not take that for a ban where calls do not.
        let probed = rest(&stub, Market::Spot);
        for method in [Method::Head, Method::Get] {
            assert_eq!(probed.probe(method).await, Ok(Pulse::Alive));
        }
        // Futures have no such host.
        let error = rest(&stub, Market::Um)
            .fetch(&slice(Market::Um, Interval::M1, MINUTE))
            .await
            .unwrap_err();
        assert!(
            matches!(error, FetchError::Throttled { retry_after, .. } if retry_after.as_secs() == 86_400),
            "{error:?}"
        );
        let everywhere = Stub::start(|_| Act::Reply(451, "", vec![])).await;
        let error = rest(&everywhere, Market::Spot)
            .fetch(&slice(Market::Spot, Interval::M1, MINUTE))
            .await
            .unwrap_err();
        assert_eq!((error.policy().kind, everywhere.targets().len()), ("throttled", 2));
    }

    #[tokio::test]
    async fn answers_to_another_question_and_no_answers_are_corrupt() {
        for body in [
            page([0, 5]),
            page([-1]),
            "".into(),
            "{}".into(),
            "null".into(),
            r#"{"code":-1121,"msg":"Invalid symbol."}"#.into(),
            "<html><body>Sign in to the hotel</body></html>".into(),
            page([0, 1])[..200].to_owned(),
            page([0]) + "[]",
            page([0]).replace("1327", "1.5"),
            page([0]).replace("\"35.9\"", "\"-35.9\""),
            page([0]).replace("\"35.9\"", "null"),
            page([0]).replace("\"35.9\"", "\"NaN\""),
            page([0]).replace("\"35.9\"", "[1]"),
            page([0]).replace(",\"0\"]", "]"),
            "[[]]".into(),
            "[1]".into(),
            "[".repeat(100_000),
        ] {
            let sent = body.clone();
            let stub = Stub::start(move |_| Act::ok(sent.clone())).await;
            let error = rest(&stub, Market::Spot)
                .fetch(&slice(Market::Spot, Interval::M1, 3 * MINUTE))
                .await
                .unwrap_err();
            assert!(matches!(error, FetchError::Corrupt(_)), "{body:.80}: {error:?}");
            assert!(error.to_string().contains("api.binance.com/api/v3/klines"), "{error}");
        }
    }

    #[test]
    fn drift_in_the_shape_of_a_row_is_tolerated_where_it_cannot_mislead() {
        let slice = slice(Market::Spot, Interval::M1, MINUTE);
        let (expected, _) = decode(&slice.series, slice.range, &page([0])).unwrap();
        let read = |text: String| decode(&slice.series, slice.range, &text).unwrap().0;
        for text in [
            page([0])
                .replace("1327", "\"1327\"")
                .replace(&START.to_string(), &format!("\"{START}\"")),
            page([0]).replace("\"35.9\"", "35.9"),
            page([0]).replace(",\"0\"]", ",\"0\",7,{\"x\":[]}]"),
            page([0]).replace(',', " ,\n\t"),
        ] {
            assert!(read(text.clone()).same_klines(&expected), "{text}");
        }
        // No number passes through a double on its way.
        let exact = read(page([0]).replace("\"35.9\"", "17928899123.624843390"));
        assert_eq!(exact.print(0, 5).as_deref(), Some("17928899123.624843390"));
        let micros = read(
            page([0])
                .replace(&START.to_string(), &format!("{START}000"))
                .replace("259999", "259999999"),
        );
        assert_eq!(micros.open_times(), expected.open_times());
        assert_eq!(micros.close_times()[0], expected.close_times()[0] + 999);
    }

    #[tokio::test]
    async fn the_first_kline_is_asked_of_klines_or_of_the_list() {
        let stub = Stub::start(|target| match target.contains("exchangeInfo") {
            false => Act::ok(page([7])),
            true => Act::ok(
                r#"{"symbols":[{"symbol":"ETHUSD_PERP"},{"symbol":"BTCUSD_PERP","onboardDate":1597042800000,"contractStatus":"TRADING"}]}"#,
            ),
        })
        .await;
        let rest = rest(&stub, Market::Um);
        let first = rest
            .first_open(&series(Market::Um, Interval::M1))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(first.since(Timestamp::from_millis(START)), 7 * MINUTE);
        assert!(stub.targets()[0].ends_with("symbol=BTCUSDT&interval=1m&startTime=0&limit=1"));
        for (interval, expected) in [
            (Interval::H1, "2020-08-10T07:00:00Z"),
            (Interval::Mo1, "2020-08-01T00:00:00Z"),
        ] {
            let first = rest.first_open(&series(Market::Cm, interval)).await.unwrap().unwrap();
            assert_eq!(first.to_string(), expected);
        }
        let unlisted = Series::parse("XRPUSD_PERP", Interval::H1, Some(Market::Cm)).unwrap();
        assert!(matches!(
            rest.first_open(&unlisted).await,
            Err(FetchError::UnknownSymbol(_))
        ));
        let empty = Stub::start(|_| Act::ok("[]")).await;
        assert_eq!(
            self::rest(&empty, Market::Spot)
                .first_open(&series(Market::Spot, Interval::H1))
                .await
                .unwrap(),
            None
        );
    }

    #[tokio::test]
    async fn clock_list_and_probe_read_what_they_should_and_nothing_else() {
        let stub = Stub::start(|target| match target {
            t if t.ends_with("/time") => Act::ok(format!("{{\"serverTime\":{}}}", START + HOUR / 1_000)),
            t if t.ends_with("/exchangeInfo") => {
                Act::ok(r#"{"new":1,"symbols":[{"symbol":"A","status":"TRADING","baseAsset":"X","filters":[]},{"status":"?"}]}"#)
            }
            _ => Act::ok("{}"),
        })
        .await;
        let futures = rest(&stub, Market::Cm);
        let time = futures.server_time(Market::Cm).await.unwrap().unwrap();
        assert_eq!(time.to_string(), "2024-01-01T01:00:00Z");
        let rest = rest(&stub, Market::Spot);
        let list = rest.instruments(Market::Spot).await.unwrap().unwrap();
        assert_eq!((list.len(), list[0].base.as_str(), list[0].listed_at), (1, "X", None));
        for method in [Method::Get, Method::Head] {
            assert_eq!(rest.probe(method).await, Ok(Pulse::Alive));
        }
        assert!(stub.targets()[2].ends_with("/api.binance.com/api/v3/ping"));
        assert!(matches!(
            rest.server_time(Market::Um).await,
            Err(FetchError::Rejected(_))
        ));
        let portal = Stub::start(|_| Act::ok("<html></html>")).await;
        let rest = self::rest(&portal, Market::Spot);
        assert!(matches!(rest.probe(Method::Get).await, Err(FetchError::Corrupt(_))));
        assert!(matches!(
            rest.server_time(Market::Spot).await,
            Err(FetchError::Corrupt(_))
        ));
        assert!(matches!(
            self::rest(&portal, Market::Um).instruments(Market::Um).await,
            Err(FetchError::Corrupt(_))
        ));
    }
}
