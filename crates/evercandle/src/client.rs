//! The only entry point.

use std::sync::Arc;

use crate::answer::{Answer, Waiting};
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Engine;
use crate::engine::bans::Bans;
use crate::engine::upstream::Upstream;
use crate::error::Error;
use crate::health::{Control, Health, Weight};
use crate::model::range::Timestamp;
use crate::model::series::{Market, Series};
use crate::model::symbol::Symbol;
use crate::price::{MissingPrice, Price, PriceRequest, Prices};
use crate::provider::http::Http;
use crate::provider::{CATALOG, Instrument};
use crate::request::Request;
use crate::sentiment::{SentimentAnswer, SentimentRequest};
use crate::store::Store;

/// Ranges end before this year.
const YEAR_MAX: i16 = 9_000;

/// Asks for market data. Cheap to clone; clones share the cache and what was learnt about upstreams.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use evercandle::{Client, Config, Interval, Request, Series, TimeRange, Timestamp};
///
/// let client = Client::new(Config::from_environment()?)?;
/// let series = Series::parse("BTC/USDT", Interval::M1, None)?;
/// let (start, end) = (Timestamp::from_date(2024, 1, 1), Timestamp::from_date(2024, 2, 1));
/// let range = TimeRange::new(start.unwrap(), end.unwrap()).unwrap();
/// let answer = client.get_data(Request::new(series, range)).await?;
/// for segment in &answer.segments {
///     println!("{} from {}", segment.range, segment.origin.provider);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    config: Arc<Config>,
    engine: Arc<Engine>,
}

impl Client {
    /// Opens the cache and makes the upstreams. Sends nothing.
    pub fn new(config: Config) -> Result<Client, Error> {
        Client::with_clock(config, Clock::system())
    }

    /// As [`Client::new`], with another idea of what time it is.
    pub fn with_clock(config: Config, clock: Clock) -> Result<Client, Error> {
        let wrong = |e: crate::config::ConfigError| Error::Config(e.to_string());
        config.validate().map_err(wrong)?;
        let dir = config.cache_dir().map_err(wrong)?;
        let store = Store::open(dir, &config.cache, clock.clone()).map_err(|e| Error::Cache(e.to_string()))?;
        let http = Http::new(&config.http, config.internet.clone()).map_err(wrong)?;
        if let Some(unknown) = config
            .providers
            .keys()
            .find(|name| CATALOG.iter().all(|entry| entry.name != **name))
        {
            let known: Vec<&str> = CATALOG.iter().map(|entry| entry.name).collect();
            return Err(Error::Config(format!(
                "providers.{unknown}: unknown; expected one of {}",
                known.join(", ")
            )));
        }
        let mut upstreams = Vec::new();
        for entry in CATALOG {
            let mut settings = config.provider(entry.name);
            if settings.enabled {
                if settings.key.is_none() {
                    settings.key = Config::key_from_environment(entry.name).map_err(wrong)?;
                }
                let roles = (entry.build)(&settings, &http.of(&settings)).map_err(wrong)?;
                let breaker = settings.breaker.as_ref().unwrap_or(&config.breaker);
                let tries = settings.attempts.unwrap_or(config.engine.attempts);
                let bans = Bans::new(&store, &roles.provider.name());
                let upstream = Upstream::new(roles, settings.slots, tries, breaker, bans, &clock);
                upstreams.push(Arc::new(upstream));
            }
        }
        let engine = Arc::new(Engine::new(&config, clock, store, upstreams));
        Ok(Client {
            config: Arc::new(config),
            engine,
        })
    }

    /// What it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The local cache.
    pub fn store(&self) -> &Store {
        self.engine.store()
    }

    /// What time it is, as this client sees it.
    pub fn clock(&self) -> &Clock {
        self.engine.clock()
    }

    /// Klines, or funding rates, of one series: from the cache, else from archives, else from REST; with the origin of
    /// every part and the reason of every gap.
    ///
    /// ```no_run
    /// # async fn example(client: evercandle::Client, range: evercandle::TimeRange) -> Result<(), evercandle::Error> {
    /// use evercandle::{Market, Request, Series, Symbol};
    ///
    /// let series = Series::funding_rates(Market::Um, Symbol::new("BTCUSDT").unwrap())?;
    /// for batch in client.get_data(Request::new(series, range)).await?.batches {
    ///     println!("{:?} {:?}", batch.open_times(), batch.floats(1));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Incomplete`] and [`Error::Unavailable`] when something is missing that an upstream might still have
    /// (with [`Completeness::BestEffort`](crate::Completeness::BestEffort), only when nothing at all was found); both
    /// carry the partial answer. [`Error::UnknownSymbol`] when the exchange says so and nobody has any kline.
    pub async fn get_data(&self, request: Request) -> Result<Answer, Error> {
        if request.range.is_empty() {
            return Err(Error::BadRequest(format!(
                "the range {} is empty: expected start < end",
                request.range
            )));
        }
        if latest_end().is_some_and(|latest| latest < request.range.end()) {
            return Err(Error::BadRequest(format!(
                "the range ends beyond all calendars: expected an end before the year {YEAR_MAX}"
            )));
        }
        self.engine.answer(&request).await
    }

    /// The instruments of a market, from the first upstream that lists them.
    ///
    /// # Errors
    /// [`Error::NoUpstream`] when none answered.
    pub async fn instruments(&self, market: Market) -> Result<Vec<Instrument>, Error> {
        self.engine.instruments(market).await
    }

    /// The newest price of one instrument: from the exchange, else another instrument's, labelled, else the last known
    /// one, with its age.
    ///
    /// # Errors
    /// [`Error::UnknownSymbol`] when the exchange says so; [`Error::NoUpstream`], with every upstream's reason, when
    /// nobody answered and nothing young enough was known.
    pub async fn price(&self, market: Market, symbol: &Symbol) -> Result<Price, Error> {
        let mut answer = self.prices(PriceRequest::new(market, vec![symbol.clone()])).await?;
        let none = || MissingPrice {
            symbol: symbol.clone(),
            unknown: false,
            reasons: Vec::new(),
            retry_after: None,
        };
        let missing = |missing: Option<MissingPrice>| missing.unwrap_or_else(none).into_error(market);
        answer.prices.pop().ok_or_else(|| missing(answer.missing.pop()))
    }

    /// The newest prices of several instruments of one market, in as few calls as possible; see [`Client::price`].
    /// Those that cannot be had are in [`Prices::missing`], with every upstream's reason.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for no symbol at all, or thousands too many.
    pub async fn prices(&self, request: PriceRequest) -> Result<Prices, Error> {
        self.engine.prices(&request).await
    }

    /// How the market feels: the Fear & Greed Index, else another measure, labelled as what it is, else the last known
    /// reading, with its age. Measures are never blended, and there is no neutral default.
    ///
    /// # Errors
    /// [`Error::NoUpstream`], with every upstream's reason, when nobody answered and nothing young enough was known.
    pub async fn sentiment(&self, request: SentimentRequest) -> Result<SentimentAnswer, Error> {
        self.engine.sentiment(&request).await
    }

    /// How every upstream is doing, as far as this client has learnt. Sends nothing.
    pub fn health(&self) -> Health {
        self.engine.health()
    }

    /// As [`Client::health`], after a probe of every upstream that may be called.
    pub async fn check(&self) -> Health {
        self.engine.check().await;
        self.engine.health()
    }

    /// What asking for the newest `rows` klines of a series counts for, with the upstream that is asked first for them;
    /// `None` where nobody counts. Sends nothing.
    pub fn klines_weight(&self, series: &Series, rows: u32) -> Option<Weight> {
        self.engine.klines_weight(series, rows)
    }

    /// Whether any upstream that may be asked has klines of a series; without one, the cache alone answers. Sends nothing.
    pub fn is_offered(&self, series: &Series) -> bool {
        self.engine.is_offered(series)
    }

    /// As [`Client::klines_weight`], for the newest prices of so many instruments.
    pub fn prices_weight(&self, market: Market, symbols: usize) -> Option<Weight> {
        self.engine.prices_weight(market, symbols)
    }

    /// What requests of [`Priority::Bulk`](crate::Priority::Bulk) wait for, and every change of it; `None` while none does.
    pub fn waiting(&self) -> tokio::sync::watch::Receiver<Option<Waiting>> {
        self.engine.waiting()
    }

    /// Probes one upstream, if it may be called; [`Client::health`] says what came of it.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for an upstream that is not in the catalogue, or not enabled.
    pub async fn check_one(&self, upstream: &str) -> Result<(), Error> {
        self.engine.check_one(upstream).await
    }

    /// Returns when everything that was learnt so far is on disk. Last known values are written behind callers' backs;
    /// a program that ends right after an answer should wait for this first.
    pub async fn flush(&self) {
        self.engine.flush().await;
    }

    /// Sets the circuit breaker of an upstream by hand.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for an upstream that is not in the catalogue, or not enabled.
    pub fn control(&self, upstream: &str, how: Control) -> Result<(), Error> {
        self.engine.control(upstream, how)
    }
}

/// Ends beyond are refused: calendars end there, and with them all arithmetic of slots.
fn latest_end() -> Option<Timestamp> {
    Timestamp::from_date(YEAR_MAX, 1, 1)
}
