//! A client in Python's hands.
//!
//! Every question can be waited for (`get_data`) or be told when it is answered (`start_get_data`, which asyncio uses).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use evercandle::store::Eviction;
use evercandle::{
    Client, Clock, Completeness, Config, Control, Error, Forming, Interval, Market, PriceRequest, Priority,
    ProviderName, Request, Secondary, SentimentRequest, Series, Sources, Substitutes, Symbol, TimeRange, Timestamp,
};
use futures::FutureExt;
use parking_lot::Mutex;
use pyo3::prelude::*;
use serde_json::Value;
use tokio::sync::watch;

use crate::failure::{self, Failure};
use crate::klines::NativeKlines;
use crate::runtime::Shared;
use crate::simulation::{NativeSimulator, Simulation};
use crate::story;

/// What stands for funding rates where klines have an interval: the exchange's word, as in cached series' names.
const FUNDING_RATES: &str = "fundingRate";

/// What a client needs to answer.
struct Opened {
    client: Client,
    simulation: Option<Simulation>,
    shared: Arc<Shared>,
    /// Questions that nobody waits for here are told that the client is closed.
    closing: watch::Sender<bool>,
}

/// A client. Any number of threads may use it.
#[pyclass(frozen, name = "Client", module = "evercandle._native")]
pub(crate) struct NativeClient {
    /// Absent once closed. As with the runtime, only threads that are attached to the interpreter lock it.
    opened: Mutex<Option<Arc<Opened>>>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !self.shared.is_of_this_process() {
            // In a child: the threads to be joined are not there, and the folder is the parent's to remove.
            if let Some(simulation) = self.simulation.take() {
                std::mem::forget(simulation);
            }
            std::mem::forget(self.client.clone());
            std::mem::forget(self.closing.clone());
            std::mem::forget(self.shared.clone());
        }
    }
}

/// What a question comes to: something Python can hold.
enum Reply {
    Rows(Box<evercandle::Answer>),
    Json(Value),
}

type Asked = Result<Reply, Failure>;

fn into_python(py: Python<'_>, asked: Asked) -> PyResult<Py<PyAny>> {
    match asked {
        Ok(Reply::Rows(answer)) => Ok(Py::new(py, NativeKlines::new(*answer))?.into_any()),
        Ok(Reply::Json(value)) => Ok(value.to_string().into_pyobject(py)?.into_any().unbind()),
        Err(failure) => Err(failure.raise(py)),
    }
}

impl NativeClient {
    fn opened(&self, py: Python<'_>) -> PyResult<Arc<Opened>> {
        let opened = self.opened.lock().clone();
        let opened = opened.ok_or_else(|| Failure::closed().raise(py))?;
        opened.shared.check(py)?;
        Ok(opened)
    }

    fn ask<F>(&self, py: Python<'_>, question: impl FnOnce(Client) -> F) -> PyResult<Py<PyAny>>
    where
        F: Future<Output = Asked> + Send,
    {
        let opened = self.opened(py)?;
        let asked = opened.shared.wait(py, question(opened.client.clone()))?;
        into_python(py, asked)
    }

    fn start<F>(&self, py: Python<'_>, done: Py<PyAny>, question: impl FnOnce(Client) -> F) -> PyResult<Pending>
    where
        F: Future<Output = Asked> + Send + 'static,
    {
        let opened = self.opened(py)?;
        let work = question(opened.client.clone());
        let mut closing = opened.closing.subscribe();
        let task = opened.shared.runtime().spawn(async move {
            let asked = tokio::select! {
                biased;
                asked = AssertUnwindSafe(work).catch_unwind() => asked,
                _ = closing.wait_for(|closed| *closed) => Ok(Err(Failure::closed())),
            };
            tell(
                done,
                asked.unwrap_or_else(|panic| Err(Failure::of_panic(panic.as_ref()))),
            );
        });
        Ok(Pending {
            abort: task.abort_handle(),
        })
    }

    fn on_disk(
        &self,
        py: Python<'_>,
        work: impl FnOnce(Client) -> Result<Value, String> + Send + 'static,
    ) -> PyResult<String> {
        let opened = self.opened(py)?;
        let client = opened.client.clone();
        let told = opened.shared.wait_blocking(py, move || work(client))?;
        told.map(|value| value.to_string())
            .map_err(|why| failure::raise(py, "cache", &why))
    }
}

/// Calls `done(result, error)`. An interpreter that is ending is not told anything.
fn tell(done: Py<PyAny>, asked: Asked) {
    let told = Python::try_attach(|py| {
        let outcome = match into_python(py, asked) {
            Ok(result) => done.call1(py, (result, py.None())),
            Err(error) => done.call1(py, (py.None(), error.into_value(py))),
        };
        if let Err(error) = outcome {
            error.write_unraisable(py, None);
        }
        drop(done);
    });
    // Whatever is left cannot be given back to an interpreter that is gone.
    let _ = told;
}

/// A question under way.
#[pyclass(frozen, module = "evercandle._native")]
pub(crate) struct Pending {
    abort: tokio::task::AbortHandle,
}

#[pymethods]
impl Pending {
    /// Stops waiting. What was being fetched is still stored.
    fn cancel(&self) {
        self.abort.abort();
    }
}

/// Klines or funding rates that are wanted, as Python says it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct RowsWanted {
    symbol: String,
    interval: String,
    market: String,
    start: i64,
    end: Option<i64>,
    best_effort: bool,
    cache_only: bool,
    sources: Vec<String>,
    forming: bool,
    bulk: bool,
    deadline: Option<f64>,
}

impl RowsWanted {
    fn request(self, client: &Client) -> Result<Request, Error> {
        let series = parse_series(&(self.symbol, self.interval, self.market))?;
        let start = Timestamp::from_micros(self.start);
        let end = self.end.map_or_else(|| client.clock().now(), Timestamp::from_micros);
        let range = TimeRange::new(start, end)
            .filter(|range| !range.is_empty())
            .ok_or_else(|| Error::BadRequest(format!("start {start} is not before end {end}: expected start < end")))?;
        Ok(Request {
            completeness: match self.best_effort {
                true => Completeness::BestEffort,
                false => Completeness::Required,
            },
            sources: match (self.cache_only, self.sources.as_slice()) {
                (true, _) => Sources::CacheOnly,
                (false, []) => Sources::All,
                (false, names) => Sources::Named(names.iter().map(|name| ProviderName::new(name)).collect()),
            },
            forming: match self.forming {
                true => Forming::Include,
                false => Forming::Exclude,
            },
            deadline: self.deadline.map(seconds).transpose()?,
            priority: match self.bulk {
                true => Priority::Bulk,
                false => Priority::Interactive,
            },
            ..Request::new(series, range)
        })
    }
}

fn seconds(seconds: f64) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|deadline| !deadline.is_zero())
        .ok_or_else(|| Error::BadRequest(format!("deadline {seconds}: expected seconds, more than 0")))
}

async fn rows(client: Client, wanted: RowsWanted) -> Asked {
    let result = match wanted.request(&client) {
        Ok(request) => client.get_data(request).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(answer) => Ok(Reply::Rows(Box::new(answer))),
        Err(error) => Err(Failure::of(error)),
    }
}

/// Prices that are wanted, as Python says it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct PricesWanted {
    symbols: Vec<String>,
    market: String,
    substitutes: bool,
    deadline: Option<f64>,
    /// One symbol, and an error if it has no price.
    alone: bool,
}

async fn prices(client: Client, wanted: PricesWanted) -> Asked {
    let result = ask_prices(&client, wanted).await;
    result.map(Reply::Json).map_err(Failure::of)
}

async fn ask_prices(client: &Client, wanted: PricesWanted) -> Result<Value, Error> {
    let market: Market = wanted.market.parse().map_err(|e| Error::BadRequest(format!("{e}")))?;
    let symbols: Result<Vec<Symbol>, _> = wanted
        .symbols
        .iter()
        .map(|text| Symbol::parse(text, Some(market)).map(|(_, symbol)| symbol))
        .collect();
    let request = PriceRequest {
        substitutes: match wanted.substitutes {
            true => Substitutes::Allow,
            false => Substitutes::Refuse,
        },
        deadline: wanted.deadline.map(seconds).transpose()?,
        ..PriceRequest::new(market, symbols?)
    };
    let mut prices = client.prices(request).await?;
    match (wanted.alone, prices.missing.pop()) {
        (true, Some(missing)) => Err(missing.into_error(market)),
        (true, None) => Ok(prices.prices.first().map(story::price).unwrap_or_default()),
        (false, last) => {
            prices.missing.extend(last);
            Ok(story::prices(&prices))
        }
    }
}

async fn sentiment(client: Client, count: u32, secondary: bool, deadline: Option<f64>) -> Asked {
    let ask = async || {
        let request = SentimentRequest {
            count,
            secondary: match secondary {
                true => Secondary::Allow,
                false => Secondary::Refuse,
            },
            deadline: deadline.map(seconds).transpose()?,
        };
        client.sentiment(request).await
    };
    match ask().await {
        Ok(answer) => Ok(Reply::Json(story::sentiment(&answer))),
        Err(error) => Err(Failure::of(error)),
    }
}

async fn health(client: Client, probe: bool) -> Asked {
    let health = match probe {
        true => client.check().await,
        false => client.health(),
    };
    Ok(Reply::Json(story::health(&health)))
}

#[cfg(debug_assertions)]
#[allow(clippy::panic, reason = "what it is for")]
async fn blunder() -> Asked {
    panic!("asked to, by a test")
}

#[pymethods]
impl NativeClient {
    /// `settings`: JSON, laid over what file and environment say. `simulate`: `(seed, at, recorded)`.
    #[new]
    #[pyo3(signature = (config = None, settings = None, simulate = None))]
    fn new(
        py: Python<'_>,
        config: Option<std::path::PathBuf>,
        settings: Option<&str>,
        simulate: Option<(u64, Option<i64>, Option<std::path::PathBuf>)>,
    ) -> PyResult<NativeClient> {
        let wrong = |why: String| failure::raise(py, "config", &format!("configuration: {why}"));
        let shared = Shared::of_this_process(py)?;
        let simulation = simulate
            .map(|(seed, at, recorded)| failure::guarded(py, || py.detach(|| Simulation::start(seed, at, recorded))));
        let simulation = simulation.transpose()?;
        let simulation = simulation.transpose().map_err(|error| {
            failure::raise(
                py,
                "unexpected",
                &format!("the simulated internet cannot start: {error}"),
            )
        })?;
        let base = match (&config, &simulation) {
            (Some(path), _) => Config::from_file(path).map_err(|e| wrong(e.to_string()))?,
            // A rehearsal must be the same on every machine.
            (None, Some(simulation)) => simulation.config(),
            (None, None) => Config::from_environment().map_err(|e| wrong(e.to_string()))?,
        };
        let mut config = match settings {
            Some(settings) => lay_over(&base, settings).map_err(wrong)?,
            None => base,
        };
        if let Some(simulation) = &simulation {
            let url = simulation.url();
            config.internet = Some(evercandle::config::parse_internet(&url).map_err(|e| wrong(e.to_string()))?);
            config.cache.free_min = 0;
            config.cache.dir.get_or_insert_with(|| simulation.cache_dir());
        }
        let clock = simulation.as_ref().map_or_else(Clock::system, Simulation::clock);
        let open = || {
            let _inside = shared.runtime().enter();
            Client::with_clock(config, clock)
        };
        let client = failure::guarded(py, || py.detach(open))?;
        let client = client.map_err(|error| {
            let kind = match error {
                Error::Cache(_) => "cache",
                _ => "config",
            };
            failure::raise(py, kind, &error.to_string())
        })?;
        Ok(NativeClient {
            opened: Mutex::new(Some(Arc::new(Opened {
                client,
                simulation,
                shared,
                closing: watch::Sender::new(false),
            }))),
        })
    }

    fn is_closed(&self) -> bool {
        self.opened.lock().is_none()
    }

    /// Waits until what was learnt is on disk, and lets go of everything. Calls that threads wait for end as they would
    /// have.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let opened = self.opened.lock().take();
        let Some(opened) = opened else { return Ok(()) };
        if opened.shared.is_of_this_process() {
            opened.closing.send_replace(true);
            let client = opened.client.clone();
            opened.shared.wait(py, async move { client.flush().await })?;
            // A simulator waits for its threads.
            py.detach(move || drop(opened));
        }
        Ok(())
    }

    fn get_data(&self, py: Python<'_>, wanted: RowsWanted) -> PyResult<Py<PyAny>> {
        self.ask(py, |client| rows(client, wanted))
    }

    fn start_get_data(&self, py: Python<'_>, done: Py<PyAny>, wanted: RowsWanted) -> PyResult<Pending> {
        self.start(py, done, |client| rows(client, wanted))
    }

    fn prices(&self, py: Python<'_>, wanted: PricesWanted) -> PyResult<Py<PyAny>> {
        self.ask(py, |client| prices(client, wanted))
    }

    fn start_prices(&self, py: Python<'_>, done: Py<PyAny>, wanted: PricesWanted) -> PyResult<Pending> {
        self.start(py, done, |client| prices(client, wanted))
    }

    fn sentiment(&self, py: Python<'_>, count: u32, secondary: bool, deadline: Option<f64>) -> PyResult<Py<PyAny>> {
        self.ask(py, |client| sentiment(client, count, secondary, deadline))
    }

    fn start_sentiment(
        &self,
        py: Python<'_>,
        done: Py<PyAny>,
        count: u32,
        secondary: bool,
        deadline: Option<f64>,
    ) -> PyResult<Pending> {
        self.start(py, done, |client| sentiment(client, count, secondary, deadline))
    }

    fn health(&self, py: Python<'_>, probe: bool) -> PyResult<Py<PyAny>> {
        self.ask(py, |client| health(client, probe))
    }

    fn start_health(&self, py: Python<'_>, done: Py<PyAny>, probe: bool) -> PyResult<Pending> {
        self.start(py, done, |client| health(client, probe))
    }

    /// `how`: `force_open`, `force_closed` or `reset`.
    fn control(&self, py: Python<'_>, upstream: &str, how: &str) -> PyResult<()> {
        let opened = self.opened(py)?;
        let how = match how {
            "force_open" => Control::ForceOpen,
            "force_closed" => Control::ForceClosed,
            "reset" => Control::Reset,
            other => {
                let why = format!("unknown control {other:?}: expected force_open, force_closed or reset");
                return Err(failure::raise(py, "bad_request", &why));
            }
        };
        // It may write to the disk, to forget a ban.
        let done = failure::guarded(py, || {
            py.detach(|| {
                let _inside = opened.shared.runtime().enter();
                opened.client.control(upstream, how)
            })
        })?;
        done.map_err(|error| Failure::of(error).raise(py))
    }

    /// A question that panics: what tests ask, to see what a mistake of ours comes to. Not in what is shipped.
    #[cfg(debug_assertions)]
    fn blunder(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.ask(py, |_| blunder())
    }

    #[cfg(debug_assertions)]
    fn start_blunder(&self, py: Python<'_>, done: Py<PyAny>) -> PyResult<Pending> {
        self.start(py, done, |_| blunder())
    }

    /// What time it is, in microseconds, as the client sees it.
    fn now(&self, py: Python<'_>) -> PyResult<i64> {
        Ok(self.opened(py)?.client.clock().now().as_micros())
    }

    /// What downloads wait for, if they do.
    fn waiting(&self) -> Option<String> {
        let opened = self.opened.lock().clone()?;
        let waiting = opened.client.waiting();
        let told = waiting.borrow().as_ref().map(story::waiting);
        told.map(|told| told.to_string())
    }

    /// The whole configuration, as TOML.
    fn config(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.opened(py)?.client.config().to_toml())
    }

    fn simulator(&self, py: Python<'_>) -> PyResult<Option<NativeSimulator>> {
        let opened = self.opened(py)?;
        let shared = opened.shared.clone();
        Ok(opened.simulation.as_ref().map(|simulation| simulation.remote(shared)))
    }

    fn cache_dir(&self, py: Python<'_>) -> PyResult<std::path::PathBuf> {
        Ok(self.opened(py)?.client.store().dir().to_owned())
    }

    fn cache_list(&self, py: Python<'_>) -> PyResult<String> {
        self.on_disk(py, |client| {
            let list = client.store().list().map_err(|e| e.to_string())?;
            Ok(story::summaries(&list))
        })
    }

    fn cache_stats(&self, py: Python<'_>) -> PyResult<String> {
        self.on_disk(py, |client| {
            let stats = client.store().stats().map_err(|e| e.to_string())?;
            Ok(story::stats(&stats))
        })
    }

    fn cache_verify(&self, py: Python<'_>) -> PyResult<String> {
        self.on_disk(py, |client| {
            let report = client.store().verify(&mut |_| {}).map_err(|e| e.to_string())?;
            Ok(story::verified(&report))
        })
    }

    /// One of: everything; down to a size; a series `(symbol, interval, market)`, all of it or a range.
    #[pyo3(signature = (size_max = None, series = None, range = None))]
    fn cache_evict(
        &self,
        py: Python<'_>,
        size_max: Option<u64>,
        series: Option<(String, String, String)>,
        range: Option<(i64, i64)>,
    ) -> PyResult<String> {
        let series = series.map(|names| parse_series(&names)).transpose();
        let series = series.map_err(|error| Failure::of(error).raise(py))?;
        let what = match (size_max, series, range) {
            (Some(bytes), _, _) => Eviction::ToSize(bytes),
            (None, Some(series), None) => Eviction::Series(series),
            (None, Some(series), Some((start, end))) => Eviction::Range(
                series,
                TimeRange::clamped(Timestamp::from_micros(start), Timestamp::from_micros(end)),
            ),
            (None, None, _) => Eviction::All,
        };
        self.on_disk(py, move |client| {
            let evicted = client.store().evict(what).map_err(|e| e.to_string())?;
            Ok(story::evicted(&evicted))
        })
    }

    /// Closes the files of a series that no answer holds.
    fn cache_release(&self, py: Python<'_>, series: (String, String, String)) -> PyResult<()> {
        let opened = self.opened(py)?;
        let series = parse_series(&series).map_err(|error| Failure::of(error).raise(py))?;
        py.detach(|| opened.client.store().release(&series));
        Ok(())
    }
}

/// By symbol, interval (`fundingRate` for funding rates) and market.
fn parse_series((symbol, interval, market): &(String, String, String)) -> Result<Series, Error> {
    let market: Market = market.parse().map_err(|e| Error::BadRequest(format!("{e}")))?;
    if interval == FUNDING_RATES {
        let (market, symbol) = Symbol::parse(symbol, Some(market))?;
        return Ok(Series::funding_rates(market, symbol)?);
    }
    let interval: Interval = interval.parse().map_err(|e| Error::BadRequest(format!("{e}")))?;
    Ok(Series::parse(symbol, interval, Some(market))?)
}

/// A configuration with some settings changed; unknown ones are refused by name.
fn lay_over(base: &Config, settings: &str) -> Result<Config, String> {
    let mut whole = serde_json::to_value(base).map_err(|e| e.to_string())?;
    let over: Value = serde_json::from_str(settings).map_err(|e| e.to_string())?;
    merge(&mut whole, over);
    serde_json::from_value(whole).map_err(|e| e.to_string())
}

fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                merge(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}
