//! The simulated internet inside the process: offline use, tests, rehearsals.
//!
//! Its whole remote control is one function here, the one that `curl` would reach; Python gives it names.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evercandle::{Clock, Config, Timestamp};
use evercandle_simulator as sim;
use evercandle_simulator::Simulator;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::failure;
use crate::runtime::Shared;

/// From here on, klines are refused, and calendars end not far beyond; in microseconds.
const YEAR_9000: i64 = 221_845_392_000_000_000;

/// A simulated internet on a loopback socket, the clock of the clients made with it, and a cache that goes with it.
pub(crate) struct Simulation {
    handle: sim::Handle,
    /// One that stands; `None`: it is the system's.
    clock: Option<Clock>,
    folder: tempfile::TempDir,
}

impl Simulation {
    /// `at`: where its clock stands, in microseconds; `None`: it runs with the system's. `recorded`: a folder of real
    /// answers, which speak for the symbols they hold.
    pub(crate) fn start(seed: u64, at: Option<i64>, recorded: Option<PathBuf>) -> std::io::Result<Simulation> {
        let config = sim::Config::default().seed(seed);
        let config = match recorded {
            Some(folder) => config.replay(sim::Replay::open(folder)?),
            None => config,
        };
        let config = match at {
            Some(at) => config.at(at),
            None => config,
        };
        Ok(Simulation {
            handle: Simulator::start_blocking(config)?,
            clock: at.map(|at| Clock::held(Timestamp::from_micros(at))),
            folder: tempfile::Builder::new().prefix("evercandle-simulated-").tempdir()?,
        })
    }

    pub(crate) fn url(&self) -> String {
        self.handle.base_url()
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone().unwrap_or_else(Clock::system)
    }

    /// What a client in it is configured with, unless it is told otherwise.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default();
        if self.clock.is_some() {
            // A clock that stands never comes to when somebody may be asked again: a download would wait for ever.
            config.engine.patience_ms = 0;
        }
        config
    }

    pub(crate) fn cache_dir(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    pub(crate) fn remote(&self, shared: Arc<Shared>) -> NativeSimulator {
        NativeSimulator {
            shared,
            simulator: (*self.handle).clone(),
            clock: self.clock.clone(),
            url: self.url(),
        }
    }
}

/// The remote control of a simulated internet.
#[pyclass(frozen, name = "Simulator", module = "evercandle._native")]
pub(crate) struct NativeSimulator {
    shared: Arc<Shared>,
    simulator: Simulator,
    clock: Option<Clock>,
    url: String,
}

#[pymethods]
impl NativeSimulator {
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    /// As `curl -X method -d body <url>/_simulator/<target>`; the answer is JSON.
    #[pyo3(signature = (method, target, body = ""))]
    fn control(&self, py: Python<'_>, method: &str, target: &str, body: &str) -> PyResult<String> {
        self.shared.check(py)?;
        let mut request = sim::Request::new(method, &format!("_simulator/{target}"));
        request.body = body.as_bytes().to_vec().into();
        let respond = || self.simulator.respond(&request, self.simulator.clock().now()).response;
        let response = failure::guarded(py, || py.detach(respond))?;
        match response.status {
            200 => Ok(response.text()),
            _ => Err(PyValueError::new_err(response.text())),
        }
    }

    /// Moves the clock of the simulated internet and of its clients forward. Only one that stands can be moved.
    fn advance(&self, py: Python<'_>, by: Duration) -> PyResult<()> {
        let Some(clock) = &self.clock else {
            let why = "the clock runs with the system's and cannot be moved: expected Simulation(now=…)";
            return Err(failure::raise(py, "bad_request", why));
        };
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        if clock.now().as_micros().saturating_add(micros) >= YEAR_9000 {
            let why = format!(
                "by is {} seconds: expected the clock to stay before the year 9000",
                by.as_secs()
            );
            return Err(failure::raise(py, "bad_request", &why));
        }
        self.simulator.clock().advance(micros);
        clock.advance(by);
        Ok(())
    }
}
