//! Closed candles of one series: every one exactly once, in order, as soon as its values are final.
//!
//! Shortly after each close everything that closed since the last candle told is asked for, and told up to the first
//! slot that is missing but may still come. There it waits: a candle that was told too early could not be told before the
//! one it came after. Slots that the exchange has nothing for are told as gaps; so are those that were missed for longer
//! than one question can make up for, because a feed is about now, and history has its own door.
//!
//! A series whose symbol the exchange does not know is refused, which is told once. It may be listed later, so it is asked
//! for again, but seldom.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use evercandle::{Answer, Completeness, Error, Grid, Request, Series, TimeRange, Timestamp};

use super::{Inner, Topic};
use crate::problem::Problem;
use crate::wire::event;

/// Slots that are made up for after an absence: what one question to REST fetches.
const CATCH_UP: u32 = 500;
/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first pause after a question that did not bring what it should, doubled each time…
const PAUSE: Duration = Duration::from_secs(1);
/// …up to this. A resting upstream is not sent anything, so that asking often costs nothing.
const PAUSE_MAX: Duration = Duration::from_secs(8);
/// The wall clock may be set while we wait, so it is looked at this often.
const LOOK: Duration = Duration::from_secs(5);
/// How long a symbol that the exchange does not know is not asked for again: new ones are listed every few days.
const UNKNOWN_RESTS: Duration = Duration::from_secs(600);
/// How often a slot may be found missing between candles that came before it is given up.
const DOUBTS: u32 = 5;

/// How far a series was told, for whoever takes over when the telling breaks off.
pub(super) type Progress = Arc<AtomicI64>;

/// Nothing was told yet: it begins with the candle that is open now, however late the telling does.
pub(super) fn begin(inner: &Inner, series: &Series) -> Progress {
    let teller = Teller::new(series, inner.client.clock().now().plus(-settle(inner)));
    Arc::new(AtomicI64::new(teller.next.as_micros()))
}

/// Tells of a series, for ever, from where it was left.
pub(super) fn follow(
    inner: Arc<Inner>,
    series: Series,
    progress: Progress,
) -> impl Future<Output = ()> + Send + 'static {
    let settle = settle(&inner);
    let teller = Teller::new(&series, Timestamp::from_micros(progress.load(Ordering::Acquire)));
    tell(inner, series, teller, settle, progress)
}

/// How long values may change after their candle has closed, in microseconds.
fn settle(inner: &Inner) -> i64 {
    let settle = inner.client.config().engine.settle_ms.saturating_mul(1_000);
    i64::try_from(settle).unwrap_or(i64::MAX)
}

async fn tell(inner: Arc<Inner>, series: Series, mut teller: Teller, settle: i64, progress: Progress) {
    let (client, clock) = (inner.client.clone(), inner.client.clock().clone());
    let settled = || clock.now().plus(-settle);
    let (mut pause, mut refused) = (PAUSE, false);
    loop {
        while let wait @ 1.. = teller.due().since(settled()) {
            clock.sleep(Duration::from_micros(wait.unsigned_abs()).min(LOOK)).await;
        }
        let until = teller.grid.floor(settled());
        if let Some(skipped) = teller.skip_to_the_last(until)
            && !refused
        {
            let slots = teller.grid.count(skipped);
            inner.publish(
                topic(&series),
                "gap",
                &event::skipped(&series, skipped, slots, CATCH_UP),
            );
        }
        let wanted = TimeRange::clamped(teller.next, until);
        let request = Request {
            completeness: Completeness::BestEffort,
            deadline: Some(PATIENCE),
            ..Request::new(series.clone(), wanted)
        };
        // From here on: somebody may be back before it is known that nobody was there.
        let recovered = inner.recovered.notified();
        let answer = match client.get_data(request).await {
            Ok(answer) => Ok(answer),
            Err(Error::Incomplete(answer) | Error::Unavailable(answer)) => Ok(*answer),
            Err(error @ Error::UnknownSymbol { .. }) => {
                if !refused {
                    let problem = Problem::from(error).retry_after(UNKNOWN_RESTS);
                    inner.publish_latest(topic(&series), "refused", event::refused(&series, &problem));
                }
                refused = true;
                clock.sleep(UNKNOWN_RESTS).await;
                continue;
            }
            Err(error) => Err(error),
        };
        let before = teller.next;
        let stuck = match &answer {
            Ok(answer) => {
                let told = teller.tell(answer, until);
                // Nothing to tell may be an outage of everybody, which does not say that the symbol is known.
                if !told.is_empty() && std::mem::take(&mut refused) {
                    inner.withdraw(&topic(&series));
                }
                for told in told {
                    match told {
                        Told::Candle(at) => {
                            inner.publish_latest(topic(&series), "candle", event::candle(answer, at));
                        }
                        Told::Gap(gap) => inner.publish(topic(&series), "gap", &event::gap(answer, &answer.gaps[gap])),
                    }
                }
                progress.store(teller.next.as_micros(), Ordering::Release);
                teller.next < until
            }
            Err(error) => {
                tracing::debug!(%series, %error, "a followed series could not be asked for");
                true
            }
        };
        if !stuck || before < teller.next {
            pause = PAUSE;
        }
        if stuck {
            tokio::select! {
                () = clock.sleep(pause) => {}
                () = recovered => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

fn topic(series: &Series) -> Topic {
    Topic::Candles(series.clone())
}

/// Where a row is: which batch, and which row of it.
pub(crate) type At = (usize, usize);

/// What is to be told, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Candle(At),
    /// Which of the answer's gaps.
    Gap(usize),
}

/// How far a series was told. Pure.
struct Teller {
    grid: Grid,
    /// The first slot that was not told yet.
    next: Timestamp,
    /// How often `next` was found missing although later candles came.
    doubts: u32,
}

impl Teller {
    /// From the slot that is open at `settled` on.
    fn new(series: &Series, settled: Timestamp) -> Teller {
        let grid = Grid::new(series.interval(), None);
        Teller {
            grid,
            next: grid.floor(settled),
            doubts: 0,
        }
    }

    /// When the next slot's values are final, but for the time that takes to settle.
    fn due(&self) -> Timestamp {
        self.grid.next(self.next)
    }

    /// Leaves out what is too much to make up for; says what, if anything.
    fn skip_to_the_last(&mut self, until: Timestamp) -> Option<TimeRange> {
        let behind = self.grid.count(TimeRange::clamped(self.next, until));
        let surplus = u32::try_from(behind).unwrap_or(u32::MAX).saturating_sub(CATCH_UP);
        if surplus == 0 {
            return None;
        }
        let resumes = self.grid.advance(self.next, surplus);
        let skipped = TimeRange::clamped(self.next, resumes);
        (self.next, self.doubts) = (resumes, 0);
        Some(skipped)
    }

    /// What an answer has to tell, up to the first slot that may still come.
    fn tell(&mut self, answer: &Answer, until: Timestamp) -> Vec<Told> {
        // The exchange's own grid, once it is known: some intervals have no natural beginning.
        self.grid = answer.grid;
        let mut pieces: Vec<(Timestamp, Told)> = Vec::new();
        for (batch, rows) in answer.batches.iter().enumerate() {
            let opens = rows.open_times().iter().enumerate();
            pieces.extend(opens.map(|(row, open)| (Timestamp::from_micros(*open), Told::Candle((batch, row)))));
        }
        let gaps = answer.gaps.iter().enumerate();
        pieces.extend(gaps.map(|(index, gap)| (gap.range.start(), Told::Gap(index))));
        pieces.sort_by_key(|(start, _)| *start);
        let last_candle = pieces
            .iter()
            .rev()
            .find(|(_, told)| matches!(told, Told::Candle(_)))
            .map(|(open, _)| *open);
        let mut told = Vec::new();
        for (start, piece) in pieces {
            let end = match piece {
                Told::Candle(_) => self.grid.next(self.grid.floor(start)),
                Told::Gap(index) => answer.gaps[index].range.end().min(until),
            };
            if until <= start || end <= self.next {
                continue;
            }
            if let Told::Gap(index) = piece
                && may_still_come(&answer.gaps[index].reason)
            {
                let later_ones_came = last_candle.is_some_and(|last| end <= last);
                self.doubts += u32::from(later_ones_came);
                if self.doubts < DOUBTS {
                    break;
                }
            }
            told.push(piece);
            (self.next, self.doubts) = (end, 0);
        }
        told
    }
}

fn may_still_come(reason: &evercandle::GapReason) -> bool {
    use evercandle::GapReason::{AbsentUpstream, BeforeListing, NoUpstreamLeft, NotYetClosed, VenueHalt};
    match reason {
        NoUpstreamLeft(_) | NotYetClosed => true,
        BeforeListing | VenueHalt | AbsentUpstream => false,
    }
}
