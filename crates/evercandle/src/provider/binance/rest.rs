//! The REST interfaces of the three markets, as two upstreams: spot, and both kinds of futures.
//!
//! They are two because what can be learnt of one says nothing about the other: other machines, another limit, bans and
//! outages of their own. As one, a healthy spot market would hide that the futures hosts are down.

use async_trait::async_trait;
use parking_lot::Mutex;

use super::super::http::{Ask, Http, Method, Reply};
use super::super::settings::Settings;
use super::super::{Call, FetchError, Instrument, Provider, Pulse, QuotaSpec, Quotes, ReportedWeight};
use super::door::Door;
use super::pages::Page;
use super::{errors, exchange_info, rest_json, tickers};
use crate::answer::ProviderName;
use crate::clock::Clock;
use crate::config::{ConfigError, ProviderConfig};
use crate::model::batch::Batch;
use crate::model::builder::Repairs;
use crate::model::range::{MINUTE, TimeRange, Timestamp};
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
/// Pages of rates per minute and address on USD-M, which counts them by themselves: 500 in five minutes. COIN-M counts
/// them with everything else.
const FUNDING_CALLS_PER_MINUTE: u32 = 100;
const FUNDING_GROUP: &str = "binance-futures-funding";
const UM_FUNDING_PATH: &str = "/fapi/v1/fundingRate";
/// Weight of a page of spot klines, whatever its length.
const SPOT_WEIGHT: u32 = 2;
/// Weight of the list of instruments on spot; elsewhere it weighs 1.
const SPOT_LIST_WEIGHT: u32 = 20;
/// Weight per minute and address, until the exchange has been asked. Settable, because the exchange has changed them and may treat addresses differently.
const SPOT_WEIGHT_PER_MINUTE: u32 = 6_000;
/// As above; shared by USD-M and COIN-M since 2026-06.
const FUTURES_WEIGHT_PER_MINUTE: u32 = 2_400;

/// The spot list took 1.9 MB in 2021 and has grown since.
pub(super) const LIST_BYTES_MAX: usize = 128 << 20;
pub(super) const SMALL_BYTES_MAX: usize = 64 << 10;

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

    pub(super) fn find_door(&self, market: Market) -> Option<&Door> {
        self.doors.iter().find(|(m, _)| *m == market).map(|(_, door)| door)
    }

    pub(super) fn serves(&self, market: Market) -> bool {
        self.find_door(market).is_some()
    }

    pub(super) fn door(&self, market: Market) -> Result<&Door, FetchError> {
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
    pub(super) async fn send<'a>(
        &self,
        door: &'a Door,
        at: &(dyn Fn(&'a str) -> Ask<'a> + Sync),
    ) -> Result<Reply, FetchError> {
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
pub(super) const fn futures_weight(rows: u32) -> u32 {
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

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::http::stub::{Act, Stub};
    use super::super::super::{Form, KlineProvider, Slice};
    use super::*;
    use crate::model::interval::Interval;
    use crate::model::range::{HOUR, MINUTE};

    /// 2024-01-01, in milliseconds.
    pub(in super::super) const START: i64 = 1_704_067_200_000;

    pub(in super::super) fn series(market: Market, interval: Interval) -> Series {
        let symbol = if market == Market::Cm { "BTCUSD_PERP" } else { "BTCUSDT" };
        Series::parse(symbol, interval, Some(market)).unwrap()
    }

    pub(in super::super) fn slice(market: Market, interval: Interval, micros: i64) -> Slice {
        let start = Timestamp::from_millis(START);
        Slice {
            series: series(market, interval),
            range: TimeRange::clamped(start, start.plus(micros)),
            form: Form::Page,
        }
    }

    pub(in super::super) fn row(minute: i64) -> String {
        let (open, close) = (START + minute * 60_000, START + minute * 60_000 + 59_999);
        format!(
            r#"[{open},"42283.58","42298.62","42261.02","42298.61","35.9",{close},"1519032.4",1327,"23.1","980394.2","0"]"#
        )
    }

    pub(in super::super) fn page(minutes: impl IntoIterator<Item = i64>) -> String {
        let rows: Vec<String> = minutes.into_iter().map(row).collect();
        format!("[{}]", rows.join(","))
    }

    pub(in super::super) fn rest(stub: &Stub, market: Market) -> Rest {
        serving(market, &stub.http())
    }

    pub(in super::super) fn serving(market: Market, http: &Http) -> Rest {
        let config = ProviderConfig::default();
        match market {
            Market::Spot => Rest::spot(&config, http).unwrap(),
            Market::Um | Market::Cm => Rest::futures(&config, http).unwrap(),
        }
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
        let list = rest.instruments(Market::Spot).await.unwrap();
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
