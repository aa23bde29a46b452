//! The only entry point.

use crate::answer::Answer;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::Error;
use crate::model::series::Market;
use crate::provider::Instrument;
use crate::request::Request;

/// Asks for market data. Cheap to clone; clones share the cache and what was learnt about upstreams.
#[derive(Clone)]
pub struct Client {
    config: Config,
}

impl Client {
    /// Opens the cache and makes the upstreams. Sends nothing.
    pub fn new(config: Config) -> Result<Client, Error> {
        Client::with_clock(config, Clock::system())
    }

    /// As [`Client::new`], with another idea of what time it is.
    pub fn with_clock(config: Config, _clock: Clock) -> Result<Client, Error> {
        Ok(Client { config })
    }

    /// What it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Klines of one series.
    pub async fn get_data(&self, request: Request) -> Result<Answer, Error> {
        Err(Error::BadRequest(format!("{}: not yet", request.series)))
    }

    /// The instruments of a market, from the first upstream that lists them.
    pub async fn instruments(&self, market: Market) -> Result<Vec<Instrument>, Error> {
        Err(Error::BadRequest(format!("{market}: not yet")))
    }
}
