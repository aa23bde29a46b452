//! Messages that wait for one webhook, and how it took those before.
//!
//! Bounded: when it is full the oldest go first, because the newest say how things stand; those that only repeat something
//! before any other, and an end after any other, because nothing else would take back what was told. What is over before
//! anybody was told takes its beginning with it, and what began without anybody being told ends so.

use std::collections::VecDeque;
use std::sync::Arc;

use evercandle::Timestamp;
use evercandle::alert::Alert;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::is_same;
use super::letters::{Kind, Letter};

pub(super) const NOTIFICATIONS: &str = "qt_notifications_total";

/// Messages that wait for one webhook.
const WAITING_MAX: usize = 100;

/// Messages that wait for one webhook. Cheap to clone.
#[derive(Clone)]
pub(super) struct Queue {
    name: Arc<str>,
    state: Arc<Mutex<State>>,
    come: Arc<Notify>,
    idle: Arc<Notify>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Letter>,
    /// What began without a word, because that was dropped. What it holds still fires.
    unheard: Vec<Alert>,
    /// Whether one is being delivered.
    in_hand: bool,
    standing: Standing,
}

/// How a webhook took what it was told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Standing {
    /// Messages that it has not taken yet.
    pub(crate) waiting: usize,
    pub(crate) last_success_at: Option<Timestamp>,
    /// When, and what; without its address.
    pub(crate) last_failure: Option<(Timestamp, String)>,
    /// The first failure since it last took one.
    pub(crate) failing_since: Option<Timestamp>,
}

impl Queue {
    pub(super) fn new(name: &str) -> Queue {
        Queue {
            name: name.into(),
            state: Arc::default(),
            come: Arc::default(),
            idle: Arc::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn standing(&self) -> Standing {
        let state = self.state.lock();
        Standing {
            waiting: state.waiting.len() + usize::from(state.in_hand),
            ..state.standing.clone()
        }
    }

    /// It took a message.
    pub(super) fn took(&self, at: Timestamp) {
        let standing = &mut self.state.lock().standing;
        (standing.last_success_at, standing.failing_since) = (Some(at), None);
    }

    /// It did not.
    pub(super) fn failed(&self, at: Timestamp, what: String) {
        let standing = &mut self.state.lock().standing;
        standing.last_failure = Some((at, what));
        standing.failing_since.get_or_insert(at);
    }

    /// Never waits. When too many wait already, one is forgotten.
    pub(super) fn push(&self, mut letter: Letter) {
        let forgotten = {
            let State { waiting, unheard, .. } = &mut *self.state.lock();
            if letter.kind == Kind::Resolved {
                letter.alerts.retain(|ended| {
                    let never_told = take(unheard, ended);
                    !self.overtake(waiting, ended) && !never_told
                });
                if letter.alerts.is_empty() {
                    return;
                }
            }
            waiting.push_back(letter);
            let forgotten = (waiting.len() > WAITING_MAX).then(|| least(waiting)).flatten();
            if let Some(letter) = forgotten.as_ref().filter(|letter| letter.kind.begins()) {
                unheard.extend(letter.alerts.iter().cloned());
            }
            forgotten
        };
        if let Some(letter) = forgotten {
            self.count("dropped");
            tracing::error!(webhook = %self.name, kind = letter.kind.as_str(), "too many messages wait; one is dropped");
        }
        self.come.notify_one();
    }

    /// Takes an alert that has ended out of what waits. Whether its beginning was among that, so that nobody was told.
    fn overtake(&self, waiting: &mut VecDeque<Letter>, ended: &Alert) -> bool {
        let mut was_begun = false;
        for letter in waiting.iter_mut().filter(|letter| letter.kind != Kind::Resolved) {
            let before = letter.alerts.len();
            letter.alerts.retain(|alert| !is_same(alert, ended));
            was_begun |= letter.kind.begins() && letter.alerts.len() < before;
        }
        self.drop_empty(waiting);
        was_begun
    }

    /// Nobody heard that these began: nobody needs to hear that they ended.
    pub(super) fn withdraw(&self, unheard: &[Alert]) {
        let waiting = &mut self.state.lock().waiting;
        for letter in waiting.iter_mut() {
            letter.alerts.retain(|alert| !unheard.iter().any(|u| is_same(alert, u)));
        }
        self.drop_empty(waiting);
    }

    fn drop_empty(&self, waiting: &mut VecDeque<Letter>) {
        let before = waiting.len();
        waiting.retain(|letter| !letter.alerts.is_empty());
        for _ in waiting.len()..before {
            self.count("overtaken");
        }
    }

    /// The oldest, once there is one. It is in hand until it is [`done`](Queue::done).
    pub(super) async fn next(&self) -> Letter {
        loop {
            {
                let state = &mut *self.state.lock();
                let first = state.waiting.pop_front();
                state.in_hand = first.is_some();
                if let Some(letter) = first {
                    // What only goes on may be the first that anybody hears of it.
                    for told in &letter.alerts {
                        take(&mut state.unheard, told);
                    }
                    return letter;
                }
            }
            self.idle.notify_waiters();
            self.come.notified().await;
        }
    }

    /// What was in hand is delivered, or will not be.
    pub(super) fn done(&self) {
        self.state.lock().in_hand = false;
        self.idle.notify_waiters();
    }

    /// Waits until nothing waits and nothing is in hand.
    pub(super) async fn emptied(&self) {
        loop {
            let idle = self.idle.notified();
            if self.standing().waiting == 0 {
                return;
            }
            idle.await;
        }
    }

    pub(super) fn count(&self, result: &'static str) {
        ::metrics::counter!(NOTIFICATIONS, "webhook" => self.name.to_string(), "result" => result).increment(1);
    }
}

/// Takes an alert out of these; whether it was among them.
fn take(alerts: &mut Vec<Alert>, one: &Alert) -> bool {
    let before = alerts.len();
    alerts.retain(|alert| !is_same(alert, one));
    alerts.len() < before
}

/// Takes out what can best be done without.
fn least(waiting: &mut VecDeque<Letter>) -> Option<Letter> {
    let oldest = |is_meant: fn(Kind) -> bool| waiting.iter().position(|letter| is_meant(letter.kind));
    let repeat = oldest(|kind| kind == Kind::Repeat);
    waiting.remove(repeat.or_else(|| oldest(Kind::begins)).unwrap_or(0))
}

#[cfg(test)]
pub(super) mod tests {
    use evercandle::ProviderName;
    use evercandle::alert::{AlertState, RuleName, Severity, Subject};

    use super::*;

    fn alert(provider: &str, state: AlertState) -> Alert {
        Alert {
            rule: RuleName::ProviderFailing,
            severity: Severity::Page,
            subject: Subject::Provider(ProviderName::new(provider)),
            state,
            since: Timestamp::EPOCH,
            began_at: Timestamp::EPOCH,
            summary: "it failed".into(),
            runbook: "Look.",
        }
    }

    pub(in crate::notify) fn told(kind: Kind, providers: &[&str]) -> Letter {
        let state = if kind == Kind::Resolved {
            AlertState::Resolved
        } else {
            AlertState::Firing
        };
        Letter {
            id: String::new(),
            kind,
            at: Timestamp::EPOCH,
            alerts: providers.iter().map(|provider| alert(provider, state)).collect(),
        }
    }

    #[tokio::test]
    async fn what_ended_before_it_could_be_told_is_not_told_at_all() {
        let queue = Queue::new("ops");
        queue.push(told(Kind::Repeat, &["alternative-me"]));
        queue.push(told(Kind::Alert, &["binance", "coingecko"]));
        queue.push(told(Kind::Resolved, &["binance"]));
        queue.push(told(Kind::Resolved, &["alternative-me"]));
        let waiting: Vec<Letter> = queue.state.lock().waiting.drain(..).collect();
        // That the third began was told before; what waited was only that it goes on.
        let expected = [
            told(Kind::Alert, &["coingecko"]),
            told(Kind::Resolved, &["alternative-me"]),
        ];
        assert_eq!(waiting, expected);
    }

    #[tokio::test]
    async fn when_too_many_wait_the_oldest_is_forgotten() {
        let queue = Queue::new("ops");
        for number in 0..WAITING_MAX + 5 {
            queue.push(Letter {
                id: number.to_string(),
                kind: Kind::Alert,
                at: Timestamp::EPOCH,
                alerts: Vec::new(),
            });
        }
        assert_eq!(queue.state.lock().waiting.len(), WAITING_MAX);
        assert_eq!(queue.next().await.id, "5");
    }

    #[tokio::test]
    async fn what_only_repeats_is_forgotten_first_and_what_began_unheard_ends_so() {
        let queue = Queue::new("ops");
        queue.push(told(Kind::Resolved, &["coingecko"]));
        queue.push(told(Kind::Alert, &["binance"]));
        queue.push(told(Kind::Repeat, &["alternative-me"]));
        let begun: Vec<String> = (3..=WAITING_MAX).map(|number| format!("other-{number}")).collect();
        for provider in &begun {
            queue.push(told(Kind::Alert, &[provider]));
        }
        let kinds = || {
            let state = queue.state.lock();
            (state.waiting[0].kind, state.waiting[1].kind, state.waiting.len())
        };
        assert_eq!(kinds(), (Kind::Resolved, Kind::Alert, WAITING_MAX));
        assert_eq!(queue.state.lock().waiting[2].kind, Kind::Alert, "the repeat waits");
        queue.push(told(Kind::Alert, &["one-more"]));
        queue.push(told(Kind::Resolved, &["binance"]));
        let first = queue.state.lock().waiting[0].clone();
        assert_eq!(first, told(Kind::Resolved, &["coingecko"]));
        let about = |letter: &Letter| letter.alerts[0].subject == alert("binance", AlertState::Firing).subject;
        assert!(!queue.state.lock().waiting.iter().any(about));
        assert_eq!(queue.state.lock().unheard, []);
    }
}
