//! The only entry point.

use std::sync::Arc;

use crate::answer::Answer;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Engine;
use crate::engine::upstream::Upstream;
use crate::error::Error;
use crate::model::series::Market;
use crate::provider::http::Http;
use crate::provider::{CATALOG, Instrument};
use crate::request::Request;
use crate::store::Store;

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
                upstreams.push(Arc::new(Upstream::new(roles, settings.slots, breaker)));
            }
        }
        let engine = Arc::new(Engine::new(config.engine.clone(), clock, store, upstreams));
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

    /// Klines of one series: from the cache, else from archives, else from REST; with the origin of every part and the
    /// reason of every gap.
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
        self.engine.answer(&request).await
    }

    /// The instruments of a market, from the first upstream that lists them.
    ///
    /// # Errors
    /// [`Error::NoUpstream`] when none answered.
    pub async fn instruments(&self, market: Market) -> Result<Vec<Instrument>, Error> {
        self.engine.instruments(market).await
    }
}
