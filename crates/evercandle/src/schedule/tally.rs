//! What came of the watches of one run → the run's record.
//!
//! What counts: a watch went well when an upstream answered for it in this run, or a moment ago. A last known value,
//! however young it looks, is an answer that nobody gave, and never counts as one. Something in between (a substitute,
//! a part of the klines) is told as an error although there is something to serve.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::answer::{Attempt, Outcome, ProviderName};
use crate::model::range::Timestamp;
use crate::model::series::Market;
use crate::schedule::record::{JobKind, Run, RunError, RunStatus};
use crate::schedule::rest::Fault;
use crate::schedule::watch::Watch;

/// What came of one watch.
#[derive(Clone, Debug)]
pub(super) enum Came {
    /// Everything is there.
    Refreshed,
    /// Something is there, but not all of it, or not the thing itself.
    Partly(RunError),
    /// Nothing came.
    Failed(Fault, RunError),
    /// It was passed over, because of this earlier error.
    Rests(RunError),
    /// The run was over before its turn came; the next one begins with it.
    Unreached(RunError),
}

/// What one question brought, be it about one watch or about many.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) came: Vec<(Watch, Came)>,
    /// Who supplied something, once for each answer that it is in.
    pub(super) suppliers: Vec<ProviderName>,
    /// Answers for which nobody had to be asked.
    pub(super) cached: u64,
    /// Who was needed on the way and did not answer, and what it said last.
    pub(super) missed: Vec<(ProviderName, String)>,
}

impl Reply {
    /// A reply about one watch and nothing else.
    pub(super) fn of(watch: Watch, came: Came) -> Reply {
        Reply {
            came: vec![(watch, came)],
            ..Reply::default()
        }
    }

    /// A question about these ended in a panic.
    pub(super) fn broken(watches: Vec<Watch>) -> Reply {
        let what = "internal fault: the question panicked";
        Reply::alike(watches, what, |error| Came::Failed(Fault::Watch, error))
    }

    /// A question about these was not asked any more.
    pub(super) fn unreached(watches: Vec<Watch>) -> Reply {
        Reply::alike(watches, "not reached before the run had to end", Came::Unreached)
    }

    fn alike(watches: Vec<Watch>, what: &str, came: impl Fn(RunError) -> Came) -> Reply {
        let came = |watch: Watch| {
            let came = came(error(&watch, what.to_owned(), Vec::new()));
            (watch, came)
        };
        Reply {
            came: watches.into_iter().map(came).collect(),
            ..Reply::default()
        }
    }
}

/// A run as it is counted.
pub(super) struct Tally {
    kind: JobKind,
    number: u64,
    started_at: Timestamp,
    symbols: BTreeSet<(Option<Market>, String)>,
    troubled: BTreeSet<(Option<Market>, String)>,
    errors: Vec<RunError>,
    /// Watches that brought something.
    brought: u64,
    served: BTreeMap<Market, bool>,
    providers: BTreeMap<ProviderName, u64>,
    missed: BTreeMap<ProviderName, (u32, String)>,
    cached: u64,
    resting: u64,
    failed: u64,
}

impl Tally {
    pub(super) fn new(kind: JobKind, number: u64, started_at: Timestamp) -> Tally {
        Tally {
            kind,
            number,
            started_at,
            symbols: BTreeSet::new(),
            troubled: BTreeSet::new(),
            errors: Vec::new(),
            brought: 0,
            served: BTreeMap::new(),
            providers: BTreeMap::new(),
            missed: BTreeMap::new(),
            cached: 0,
            resting: 0,
            failed: 0,
        }
    }

    /// Counts what a question brought; the errors are complete by now.
    pub(super) fn add(&mut self, reply: Reply) {
        for (watch, came) in reply.came {
            let subject = subject(&watch);
            self.symbols.insert(subject.clone());
            let is_brought = matches!(came, Came::Refreshed | Came::Partly(_));
            self.brought += u64::from(is_brought);
            if let (Some(market), false) = (subject.0, matches!(came, Came::Unreached(_))) {
                *self.served.entry(market).or_default() |= is_brought;
            }
            self.resting += u64::from(matches!(came, Came::Rests(_)));
            self.failed += u64::from(matches!(came, Came::Failed(..)));
            if let Came::Partly(error) | Came::Failed(_, error) | Came::Rests(error) | Came::Unreached(error) = came {
                self.troubled.insert(subject);
                self.errors.push(error);
            }
        }
        for provider in reply.suppliers {
            *self.providers.entry(provider).or_default() += 1;
        }
        for (provider, why) in reply.missed {
            let (times, last) = self.missed.entry(provider).or_default();
            (*times, *last) = (*times + 1, why);
        }
        self.cached += reply.cached;
    }

    /// How many watches could not be refreshed.
    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    /// A fault of ours ended the run.
    pub(super) fn broke(&mut self, what: &str) {
        self.errors.push(RunError {
            provider: None,
            market: None,
            symbol: None,
            interval: None,
            what: what.to_owned(),
            reasons: Vec::new(),
            failures: 1,
            retry_at: None,
        });
    }

    /// The record.
    pub(super) fn close(mut self, completed_at: Timestamp, duration: Duration) -> Run {
        let by_subject = |e: &RunError| (e.market, e.symbol.clone(), e.interval);
        self.errors.sort_by_key(by_subject);
        // Others stood in, so no watch has an error to tell it by; an outage is an outage all the same.
        let stood_in = self.missed.into_iter().map(|(provider, (times, why))| RunError {
            provider: Some(provider.clone()),
            market: None,
            symbol: None,
            interval: None,
            what: match times {
                1 => format!("one answer had to do without {provider}"),
                _ => format!("{times} answers had to do without {provider}"),
            },
            reasons: vec![(provider, why)],
            failures: times,
            retry_at: None,
        });
        let errors: Vec<RunError> = stood_in.chain(self.errors).collect();
        let status = match (self.brought, errors.is_empty()) {
            (_, true) => RunStatus::Ok,
            (0, false) => RunStatus::Failed,
            (_, false) => RunStatus::Degraded,
        };
        Run {
            kind: self.kind,
            number: self.number,
            started_at: self.started_at,
            completed_at,
            duration,
            status,
            symbols: self.symbols.len(),
            successful_symbols: self.symbols.difference(&self.troubled).count(),
            errors,
            providers: self.providers,
            cached: self.cached,
            resting: self.resting,
            served: self.served,
        }
    }
}

fn subject(watch: &Watch) -> (Option<Market>, String) {
    match watch.instrument() {
        Some((market, symbol)) => (Some(market), symbol.to_string()),
        None => (None, String::new()),
    }
}

/// The error of a watch; how often it failed is filled in by who counts.
pub(super) fn error(watch: &Watch, what: String, reasons: Vec<(ProviderName, String)>) -> RunError {
    let instrument = watch.instrument();
    RunError {
        provider: None,
        market: instrument.map(|(market, _)| market),
        symbol: instrument.map(|(_, symbol)| symbol.to_string()),
        interval: watch.interval(),
        what,
        reasons,
        failures: 1,
        retry_at: None,
    }
}

/// Whose last word in a trail was no answer, and what it was. That something is absent is an answer.
pub(super) fn unanswering(trail: &[Attempt]) -> Vec<(ProviderName, String)> {
    let mut last: BTreeMap<&ProviderName, Option<&str>> = BTreeMap::new();
    for attempt in trail {
        let why = match &attempt.outcome {
            Outcome::Failed { kind, why } if !matches!(*kind, "absent" | "unknown_symbol") => Some(why.as_str()),
            _ => None,
        };
        last.insert(&attempt.provider, why);
    }
    let failed = |(provider, why): (&ProviderName, Option<&str>)| Some((provider.clone(), why?.to_owned()));
    last.into_iter().filter_map(failed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::symbol::Symbol;

    fn price(symbol: &str) -> Watch {
        Watch::Price(Market::Spot, Symbol::new(symbol).unwrap())
    }

    fn came(symbol: &str, came: impl FnOnce(RunError) -> Came) -> Reply {
        let watch = price(symbol);
        let told = error(&watch, "told".to_owned(), Vec::new());
        Reply::of(watch, came(told))
    }

    fn run(replies: Vec<Reply>) -> Run {
        let mut tally = Tally::new(JobKind::Prices, 1, Timestamp::EPOCH);
        replies.into_iter().for_each(|reply| tally.add(reply));
        tally.close(Timestamp::EPOCH, Duration::ZERO)
    }

    #[test]
    fn a_run_is_as_good_as_what_it_brought() {
        let ok = || came("A", |_| Came::Refreshed);
        let partly = || came("B", Came::Partly);
        let failed = || came("C", |error| Came::Failed(Fault::Upstreams, error));
        let rests = || came("D", Came::Rests);
        let unreached = || came("E", Came::Unreached);
        for (replies, status, [symbols, successful, errors]) in [
            (vec![], RunStatus::Ok, [0, 0, 0]),
            (vec![ok()], RunStatus::Ok, [1, 1, 0]),
            (vec![ok(), partly()], RunStatus::Degraded, [2, 1, 1]),
            (vec![partly()], RunStatus::Degraded, [1, 0, 1]),
            (vec![ok(), failed(), rests()], RunStatus::Degraded, [3, 1, 2]),
            (vec![ok(), unreached()], RunStatus::Degraded, [2, 1, 1]),
            (vec![failed()], RunStatus::Failed, [1, 0, 1]),
            // What rests was not refreshed, and its last error is why.
            (vec![rests()], RunStatus::Failed, [1, 0, 1]),
            (
                vec![Reply::broken(vec![price("A"), price("B")])],
                RunStatus::Failed,
                [2, 0, 2],
            ),
            // Two intervals of one symbol, one of them in trouble.
            (vec![ok(), came("A", Came::Partly)], RunStatus::Degraded, [1, 0, 1]),
        ] {
            let run = run(replies);
            assert_eq!(run.status, status, "{run:?}");
            assert_eq!(
                [run.symbols, run.successful_symbols, run.errors.len()],
                [symbols, successful, errors]
            );
        }
    }

    #[test]
    fn a_market_is_served_by_any_of_its_watches_and_what_was_not_reached_says_nothing() {
        let of = |market, came: fn(RunError) -> Came| {
            let watch = Watch::Price(market, Symbol::new("A").unwrap());
            let told = error(&watch, "told".to_owned(), Vec::new());
            Reply::of(watch, came(told))
        };
        let run = run(vec![
            of(Market::Spot, Came::Rests),
            of(Market::Spot, Came::Partly),
            of(Market::Um, |error| Came::Failed(Fault::Watch, error)),
            of(Market::Um, Came::Rests),
            of(Market::Cm, Came::Unreached),
        ]);
        assert_eq!(run.served, BTreeMap::from([(Market::Spot, true), (Market::Um, false)]));
    }

    #[test]
    fn an_upstream_that_others_stood_in_for_is_told_once_however_often_it_was_missed() {
        let (down, up) = (ProviderName::new("binance"), ProviderName::new("coingecko"));
        let reply = |why: &str| Reply {
            suppliers: vec![up.clone()],
            missed: vec![(down.clone(), why.to_owned())],
            ..came("A", |_| Came::Refreshed)
        };
        let run = run(vec![reply("refused"), reply("circuit open")]);
        assert_eq!(
            (run.status, run.successful_symbols, run.providers[&up]),
            (RunStatus::Degraded, 1, 2)
        );
        let [error] = &run.errors[..] else { panic!("{run:?}") };
        assert_eq!((error.symbol.as_deref(), error.failures), (None, 2));
        assert_eq!(error.provider.as_ref(), Some(&down));
        assert_eq!(error.what, "2 answers had to do without binance");
        assert_eq!(error.reasons, [(down, "circuit open".to_owned())]);
    }

    #[test]
    fn only_who_did_not_answer_in_the_end_was_missed() {
        let attempt = |name: &str, outcome| Attempt {
            provider: ProviderName::new(name),
            range: None,
            form: "page",
            number: 1,
            at: Timestamp::EPOCH,
            took: Duration::ZERO,
            outcome,
        };
        let failed = |kind, why: &str| Outcome::Failed {
            kind,
            why: why.to_owned(),
        };
        let trail = [
            attempt("retried", failed("timed_out", "no answer")),
            attempt("retried", Outcome::Rows(3)),
            attempt("lacks it", failed("absent", "not published")),
            attempt("down", failed("unreachable", "refused")),
            attempt("down", failed("refused", "circuit open")),
        ];
        assert_eq!(
            unanswering(&trail),
            [(ProviderName::new("down"), "circuit open".to_owned())]
        );
    }
}
