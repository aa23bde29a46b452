//! One runtime per process, and how a Python thread waits for it.
//!
//! While a call waits, the interpreter is free for other threads; every twentieth of a second it is asked whether a
//! signal came, so that Ctrl-C ends a long call at once. What was being fetched goes on and is stored: work in flight
//! belongs to nobody.
//!
//! Threads do not survive a fork. A child that used the parent's runtime, or a client with connections on it, would wait
//! for ever; so both remember the process they were made in, and a child gets an error that says what to do. The
//! parent's runtime is forgotten in the child rather than dropped, because dropping waits for its threads.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pyo3::prelude::*;
use tokio::runtime::Runtime;

use crate::failure::{self, Failure};

/// How long a signal can go unnoticed: below what a person takes for a hang.
const SIGNALS_EVERY: Duration = Duration::from_millis(50);

/// The runtime of one process.
pub(crate) struct Shared {
    process: u32,
    runtime: Runtime,
}

/// Held only by threads that are attached to the interpreter, as is the thread that forks: a child never finds it locked.
static SHARED: Mutex<Option<Arc<Shared>>> = Mutex::new(None);

impl Shared {
    /// The runtime of this process, made when it is first wanted.
    pub(crate) fn of_this_process(py: Python<'_>) -> PyResult<Arc<Shared>> {
        let mut kept = SHARED.lock();
        let process = std::process::id();
        match kept.take() {
            Some(shared) if shared.process == process => {
                *kept = Some(shared.clone());
                return Ok(shared);
            }
            Some(parents) => std::mem::forget(parents),
            None => {}
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("evercandle")
            .enable_all()
            .build()
            .map_err(|error| failure::raise(py, "unexpected", &format!("no threads can be started: {error}")))?;
        let shared = Arc::new(Shared { process, runtime });
        *kept = Some(shared.clone());
        Ok(shared)
    }

    /// Whether this is the process it was made in.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// An error that says what to do, in any other process.
    pub(crate) fn check(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_of_this_process() {
            return Ok(());
        }
        let why = format!(
            "this client was made in process {}, and its threads and connections do not exist in process {}, which was \
             forked from it: make a new Client here (or start processes with multiprocessing's \"spawn\")",
            self.process,
            std::process::id()
        );
        Err(failure::raise(py, "forked", &why))
    }

    /// The runtime itself, for what goes on by itself.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Waits for `work` without holding up other Python threads. Ctrl-C ends the waiting with `KeyboardInterrupt`.
    pub(crate) fn wait<T: Send>(&self, py: Python<'_>, work: impl Future<Output = T> + Send) -> PyResult<T> {
        self.check(py)?;
        failure::guarded(py, || py.detach(|| self.drive(work)))?
    }

    /// Work is inside of the runtime, which moves its timers and sockets; handlers of signals are not, because one that
    /// asks something comes here again, and a runtime refuses to be waited for from within.
    fn drive<T>(&self, work: impl Future<Output = T>) -> PyResult<T> {
        let waker = Waker::from(Arc::new(Parked(thread::current())));
        let mut work = Box::pin(work);
        let mut look_up = Instant::now() + SIGNALS_EVERY;
        loop {
            let inside = self.runtime.enter();
            if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Ok(done);
            }
            drop(inside);
            thread::park_timeout(look_up.saturating_duration_since(Instant::now()));
            if look_up <= Instant::now() {
                if let Err(raised) = Python::attach(|py| py.check_signals()) {
                    let _inside = self.runtime.enter();
                    drop(work);
                    return Err(raised);
                }
                look_up = Instant::now() + SIGNALS_EVERY;
            }
        }
    }

    /// Waits for something that blocks a thread, in the same way. It goes on when the waiting ends early.
    pub(crate) fn wait_blocking<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> PyResult<T> {
        let work = self.runtime.spawn_blocking(work);
        self.wait(py, work)?.map_err(|error| match error.try_into_panic() {
            Ok(panic) => Failure::of_panic(panic.as_ref()).raise(py),
            Err(error) => failure::raise(py, "unexpected", &format!("the work was given up: {error}")),
        })
    }
}

/// A thread that waits. What a handler of a signal waits for meanwhile may take its waking; it looks again anyway.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
