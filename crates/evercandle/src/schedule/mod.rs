//! What is refreshed without anybody asking: watches → due refreshes, and the loop that issues them.
//!
//! A refresh asks [`Client`] exactly as a user would, so it shares the cache, the quotas, the breakers and whatever is in
//! flight, and it keeps no opinion of what is missing: a run is idempotent, and a restart costs nothing.
//!
//! Everything that decides is pure and apart: `watch` (what is watched), `beat` (when it is due), `rest` (what is left
//! alone after failures), `tally` (what a run came to). `refresh` asks one question. The loop here only brings them
//! together: one run of a kind at a time, so many questions of it at once, and nothing that happens to one question ends
//! the loop.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::client::Client;
use crate::clock::Clock;
use crate::config::{RUN_PERIODS_MAX, ScheduleConfig};
use crate::error::Error;
use crate::health::Health;
use crate::model::range::Timestamp;
use crate::model::series::Market;
use crate::telemetry::{self, ScheduledRun};

mod record;

mod watch;

mod beat;

mod rest;

mod tally;

mod refresh;

pub use record::{JobKind, JobStatus, Run, RunError, RunStatus, ScheduleStatus};
pub use watch::Watches;

use beat::Beat;
use refresh::Question;
use rest::{Lengths, Rests};
use tally::{Came, Reply, Tally};
use watch::Watch;

/// Runs that a subscriber may fall behind before it misses one.
const RUNS_KEPT: usize = 64;

/// Refreshes what is watched. Cheap to clone; clones are the same scheduler.
///
/// ```no_run
/// # async fn example(client: evercandle::Client) -> Result<(), evercandle::Error> {
/// use evercandle::schedule::Scheduler;
///
/// let scheduler = Scheduler::new(client)?;
/// let mut runs = scheduler.subscribe();
/// tokio::spawn({
///     let scheduler = scheduler.clone();
///     async move { scheduler.run().await }
/// });
/// while let Ok(run) = runs.recv().await {
///     println!("{}: {}", run.kind.as_str(), run.status.as_str());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Scheduler(Arc<Inner>);

struct Inner {
    client: Client,
    watches: Watches,
    jobs: Vec<Job>,
    concurrency: usize,
    lengths: Lengths,
    /// Held by whoever runs the loop.
    alone: tokio::sync::Mutex<()>,
    running: AtomicBool,
    runs: broadcast::Sender<Arc<Run>>,
}

/// One kind of refresh.
struct Job {
    kind: JobKind,
    beat: Beat,
    watches: Vec<Watch>,
    state: Mutex<State>,
    /// Somebody wants it refreshed now.
    wanted: Notify,
}

#[derive(Default)]
struct State {
    running_since: Option<Timestamp>,
    due: Option<Instant>,
    /// Whether the next run was asked for by hand.
    by_hand: bool,
    runs: u64,
    skipped: u64,
    rests: Rests,
    /// Where the next run begins, if the last one did not reach its end.
    unreached: Option<Watch>,
    last_run: Option<Arc<Run>>,
}

impl Scheduler {
    /// Reads what is to be watched from the client's configuration. Sends nothing; [`Scheduler::run`] does.
    ///
    /// # Errors
    /// [`Error::Config`], naming the setting, for a symbol, an interval or a market that cannot be read.
    pub fn new(client: Client) -> Result<Scheduler, Error> {
        let config = &client.config().schedule;
        let watches = Watches::read(config)?;
        let millis = Duration::from_millis;
        let lengths = Lengths {
            first: millis(config.backoff_ms),
            longest: millis(config.backoff_max_ms.max(config.backoff_ms)),
        };
        let jobs: Vec<Job> = JobKind::ALL
            .into_iter()
            .filter_map(|kind| Job::of(kind, &watches, config))
            .collect();
        telemetry::scheduler_running(false);
        for job in &jobs {
            telemetry::scheduler_job(
                job.kind.as_str(),
                job.beat.every,
                job.watches.len(),
                client.clock().now(),
            );
            let markets = job.watches.iter().filter_map(|watch| Some(watch.instrument()?.0));
            job.tell_served(markets.map(|market| (market, true)));
        }
        Ok(Scheduler(Arc::new(Inner {
            watches,
            jobs,
            concurrency: config.concurrency.max(1),
            lengths,
            client,
            alone: tokio::sync::Mutex::default(),
            running: AtomicBool::new(false),
            runs: broadcast::Sender::new(RUNS_KEPT),
        })))
    }

    /// Refreshes every kind at once and then again and again, each at its own pace, until this future is dropped. With
    /// nothing to watch it waits for that and does nothing else.
    ///
    /// Dropped in the middle of a run, it begins no further question. What is being fetched is fetched to the end and
    /// stored, as for any caller who leaves; the run itself leaves no record. It may be called again later. While one
    /// call runs, a second waits for its end and then takes its place.
    pub async fn run(&self) {
        let inner = &*self.0;
        let _alone = inner.alone.lock().await;
        if inner.jobs.is_empty() {
            return std::future::pending().await;
        }
        let _running = Running::begin(inner);
        futures::future::join_all(inner.jobs.iter().map(|job| inner.keep_warm(job))).await;
    }

    /// Refreshes one kind, or all, without waiting for their time, watches that rest after failures included. Whether
    /// that begins a run: not while one is under way or already asked for, which then serves this caller too, and not
    /// when nothing runs.
    pub fn refresh_now(&self, kind: Option<JobKind>) -> bool {
        if !self.0.running.load(Ordering::Acquire) {
            return false;
        }
        let jobs = self.0.jobs.iter().filter(|job| kind.is_none_or(|k| k == job.kind));
        // Every one of them is asked, not only the first that agrees.
        jobs.map(Job::want).fold(false, |any, begins| any | begins)
    }

    /// How it stands.
    pub fn status(&self) -> ScheduleStatus {
        let clock = self.0.clock();
        ScheduleStatus {
            enabled: self.0.client.config().schedule.enabled,
            running: self.0.running.load(Ordering::Acquire),
            jobs: self.0.jobs.iter().map(|job| job.status(clock)).collect(),
        }
    }

    /// What is watched; nothing when the schedule is not enabled.
    pub fn watches(&self) -> &Watches {
        &self.0.watches
    }

    /// Every run that completes from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Run>> {
        self.0.runs.subscribe()
    }
}

impl Inner {
    fn clock(&self) -> &Clock {
        self.client.clock()
    }

    /// The loop of one kind.
    async fn keep_warm(&self, job: &Job) {
        let mut due = self.clock().instant();
        loop {
            job.state.lock().due = Some(due);
            let by_hand = self.wait(job, due).await;
            let now = self.clock().instant();
            let last = if by_hand { now } else { due };
            due = job.tick_after(last, now, 0);
            let mut run = std::pin::pin!(self.run_once(job, by_hand));
            loop {
                let left = due.saturating_duration_since(self.clock().instant());
                tokio::select! {
                    biased;
                    () = &mut run => break,
                    () = self.clock().sleep(left) => due = job.tick_after(due, self.clock().instant(), 1),
                }
            }
        }
    }

    /// Until a run is due, or wanted. Whether it was asked for by hand.
    async fn wait(&self, job: &Job, due: Instant) -> bool {
        loop {
            let left = due.saturating_duration_since(self.clock().instant());
            if left.is_zero() || job.state.lock().by_hand {
                return job.state.lock().by_hand;
            }
            tokio::select! {
                () = self.clock().sleep(left) => {}
                () = job.wanted.notified() => {}
            }
        }
    }

    /// One run, whatever becomes of it.
    async fn run_once(&self, job: &Job, by_hand: bool) {
        let (began, started_at) = (self.clock().instant(), self.clock().now());
        let underway = Underway::begin(job, started_at);
        let mut tally = Tally::new(job.kind, underway.number, started_at);
        let asked = AssertUnwindSafe(self.ask_all(job, by_hand, &mut tally)).catch_unwind();
        if asked.await.is_err() {
            tally.broke("internal fault: the run panicked");
        }
        let duration = self.clock().instant().saturating_duration_since(began);
        let failed = tally.failed();
        let run = Arc::new(tally.close(self.clock().now(), duration));
        let resting = underway.end(run.clone(), self.clock().instant());
        telemetry::scheduler_run(ScheduledRun {
            kind: job.kind.as_str(),
            status: run.status.as_str(),
            took: run.duration,
            completed_at: run.completed_at,
            failed,
            resting,
        });
        job.tell_served(run.served.iter().map(|(market, is_served)| (*market, *is_served)));
        // Nobody needs to listen.
        let _ = self.runs.send(run);
    }

    /// Asks for everything that does not rest, so many at once.
    async fn ask_all(&self, job: &Job, by_hand: bool, tally: &mut Tally) {
        let due = self.due(job, by_hand, tally);
        // So long that the clock does not reach it: never.
        let until = self
            .clock()
            .instant()
            .checked_add(job.beat.every.saturating_mul(RUN_PERIODS_MAX));
        let mut running = futures::stream::iter(Question::of(due, &self.watches))
            .map(|question| {
                let (client, watches) = (self.client.clone(), question.watches());
                // A task of its own: a panic ends this question only, and the answers' work is spread over threads.
                let ask = || AbortOnDropHandle::new(tokio::spawn(async move { question.ask(&client).await }));
                let asked = until.is_none_or(|until| self.clock().instant() < until).then(ask);
                async move {
                    match asked {
                        Some(asked) => asked.await.unwrap_or_else(|_| Reply::broken(watches)),
                        None => Reply::unreached(watches),
                    }
                }
            })
            .buffer_unordered(self.concurrency);
        while let Some(mut reply) = running.next().await {
            self.learn(job, &mut reply);
            tally.add(reply);
        }
    }

    /// The watches that do not rest; those that do are counted with what they failed of.
    fn due(&self, job: &Job, by_hand: bool, tally: &mut Tally) -> Vec<Watch> {
        let heard = last_heard(&self.client.health(), job.kind);
        let now = self.clock().instant();
        let mut state = job.state.lock();
        if let Some(heard) = heard {
            state.rests.wake(heard, now);
        }
        let mut due = Vec::new();
        for watch in &job.watches {
            match state.rests.of(watch, now) {
                Some(rest) if !by_hand => tally.add(Reply::of(watch.clone(), Came::Rests(rest.error.clone()))),
                _ => due.push(watch.clone()),
            }
        }
        let first = state.unreached.take();
        if let Some(first) = due.iter().position(|watch| Some(watch) == first.as_ref()) {
            due.rotate_left(first);
        }
        due
    }

    /// Who failed rests, who did not does not.
    fn learn(&self, job: &Job, reply: &mut Reply) {
        let (now, wall) = (self.clock().instant(), self.clock().now());
        let mut state = job.state.lock();
        for (watch, came) in &mut reply.came {
            match came {
                Came::Failed(fault, error) => state.rests.begin(watch, *fault, error, self.lengths, now, wall),
                Came::Refreshed | Came::Partly(_) => state.rests.end(watch),
                Came::Unreached(_) => {
                    state.unreached.get_or_insert_with(|| watch.clone());
                }
                Came::Rests(_) => {}
            }
        }
    }
}

/// When an upstream that serves a kind last answered, be it a call or a probe.
fn last_heard(health: &Health, kind: JobKind) -> Option<Timestamp> {
    let serving = health.upstreams.iter().filter(|u| u.serves.contains(&kind.as_str()));
    let heard = serving.flat_map(|u| {
        let probe = u.last_probe.as_ref().filter(|probe| probe.is_answered());
        [u.last_success_at, probe.map(|probe| probe.at)]
    });
    heard.flatten().max()
}

impl Job {
    /// The job of a kind, if anything of it is watched.
    fn of(kind: JobKind, watches: &Watches, config: &ScheduleConfig) -> Option<Job> {
        let watches = watches.of(kind);
        let every = match kind {
            JobKind::Klines => config.klines_ms,
            JobKind::Prices => config.prices_ms,
            JobKind::Sentiment => config.sentiment_ms,
        };
        (!watches.is_empty()).then(|| Job {
            kind,
            beat: Beat {
                every: Duration::from_millis(every),
                jitter: f64::from(config.jitter_percent) / 100.0,
            },
            watches,
            state: Mutex::default(),
            wanted: Notify::new(),
        })
    }

    /// When the tick after `last` is; those that passed, and `skipped` more, are counted.
    fn tick_after(&self, last: Instant, now: Instant, skipped: u64) -> Instant {
        let next = self.beat.after(last, now, rand::random());
        let skipped = skipped.saturating_add(next.missed);
        if skipped > 0 {
            self.state.lock().skipped += skipped;
            telemetry::scheduler_skipped(self.kind.as_str(), skipped);
        }
        next.due
    }

    /// Which markets have a price at all. Until the first run says otherwise they have.
    fn tell_served(&self, markets: impl Iterator<Item = (Market, bool)>) {
        if self.kind == JobKind::Prices {
            markets.for_each(|(market, is_served)| telemetry::without_prices(market, !is_served));
        }
    }

    fn want(&self) -> bool {
        let mut state = self.state.lock();
        let begins = state.running_since.is_none() && !state.by_hand;
        if begins {
            state.by_hand = true;
            self.wanted.notify_one();
        }
        begins
    }

    fn status(&self, clock: &Clock) -> JobStatus {
        let (now, state) = (clock.instant(), self.state.lock());
        let wait = state.due.map(|due| due.saturating_duration_since(now));
        let at = |wait: Duration| clock.now().plus(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX));
        JobStatus {
            kind: self.kind,
            every: self.beat.every,
            watches: self.watches.len(),
            resting: state.rests.count(now),
            running_since: state.running_since,
            next_run_at: wait.map(at),
            runs: state.runs,
            skipped: state.skipped,
            last_run: state.last_run.clone(),
        }
    }
}

/// The loop is alive for as long as this is.
struct Running<'a>(&'a Inner);

impl Running<'_> {
    fn begin(inner: &Inner) -> Running<'_> {
        inner.running.store(true, Ordering::Release);
        telemetry::scheduler_running(true);
        Running(inner)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
        telemetry::scheduler_running(false);
        for job in &self.0.jobs {
            let mut state = job.state.lock();
            (state.due, state.by_hand) = (None, false);
        }
    }
}

/// A run is under way for as long as this is.
struct Underway<'a> {
    job: &'a Job,
    number: u64,
}

impl Underway<'_> {
    fn begin(job: &Job, started_at: Timestamp) -> Underway<'_> {
        let mut state = job.state.lock();
        (state.running_since, state.due, state.by_hand) = (Some(started_at), None, false);
        let number = state.runs + 1;
        Underway { job, number }
    }

    /// The run completed; how many watches rest now.
    fn end(self, run: Arc<Run>, now: Instant) -> usize {
        let mut state = self.job.state.lock();
        (state.runs, state.last_run) = (self.number, Some(run));
        state.rests.count(now)
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.job.state.lock().running_since = None;
    }
}
