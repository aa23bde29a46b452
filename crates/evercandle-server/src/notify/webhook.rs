//! Delivers messages by HTTP, one webhook independently of another.
//!
//! A webhook may be dead, slow, or say no for an hour; none of that is anybody else's business. So messages wait in a
//! bounded queue (the oldest go first when it is full: the newest say how things stand), every try has a time limit, and
//! tries have pauses that grow and an end. There is no end while an alert that is told still fires: when our own line is
//! down, the alert about it is the one that cannot be sent. What was over before anybody could be told is not told at
//! all, neither that it began nor that it ended. What says that trying again is pointless (a redirection, most of 4xx) is
//! believed at once.
//!
//! Where the address alone opens the door it is a secret: it is in no log, no metric, no error and no debug output. So
//! what goes wrong is told in our words, not in the HTTP library's, which likes to name the address.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evercandle::Clock;
use evercandle::alert::Alert;
use evercandle::config::{AlertsConfig, HttpConfig};
use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use tokio::sync::Notify;
use url::Url;

use super::letters::{Kind, Letter};
use super::{Board, is_same};
use crate::wire::letter;

const NOTIFICATIONS: &str = "qt_notifications_total";
const DURATION: &str = "qt_notification_duration_seconds";

/// Why a message was not taken, where it is sure that it was not.
const NO_CONNECTION: &str = "no connection";
const SAYS_NO: &str = "it says no";

/// Messages that wait for one webhook.
const WAITING_MAX: usize = 100;
/// A webhook that has not answered by then will not.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries for one message of which nothing goes on: with the pauses below, a quarter of an hour.
const TRIES_MAX: u32 = 12;
/// The pause after the first failed try, doubled after each further one…
const PAUSE: Duration = Duration::from_secs(1);
/// …up to this.
const PAUSE_MAX: Duration = Duration::from_secs(120);
/// However long a webhook wants to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// Between two messages: Slack takes one a second.
const SPACING: Duration = Duration::from_secs(1);

/// Everybody who is told.
#[derive(Clone, Default)]
pub struct Webhooks(Vec<Webhook>);

/// Why a webhook cannot be told anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("alerts.webhooks: {name}: {what}")]
pub struct WebhookError {
    /// Which.
    pub name: String,
    /// What is wrong, without the address.
    pub what: String,
}

impl Webhooks {
    /// Those of a configuration, with their addresses from `variable`, which reads the environment.
    ///
    /// # Errors
    /// One whose address is not set, or is none.
    pub fn new(
        config: &AlertsConfig,
        http: &HttpConfig,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Webhooks, WebhookError> {
        let mut webhooks = Vec::with_capacity(config.webhooks.len());
        for webhook in &config.webhooks {
            let refuse = |what: String| WebhookError {
                name: webhook.name.clone(),
                what,
            };
            let named = &webhook.url_variable;
            let address = variable(named).ok_or_else(|| {
                refuse(format!(
                    "the environment variable {named} is not set; it holds the address"
                ))
            })?;
            let url = Url::parse(address.trim())
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
                .ok_or_else(|| {
                    refuse(format!(
                        "{named} holds no address: expected http:// or https://, and a host"
                    ))
                })?;
            webhooks.push(Webhook {
                name: webhook.name.clone(),
                form: match webhook.format.as_str() {
                    "slack" => letter::slack,
                    _ => letter::generic,
                },
                client: client(http).map_err(|()| refuse("no HTTP client can be made".to_owned()))?,
                url,
                queue: Queue::new(&webhook.name),
            });
        }
        Ok(Webhooks(webhooks))
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = Webhook> {
        self.0.into_iter()
    }
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|webhook| &webhook.name))
            .finish()
    }
}

/// Nothing that the library underneath would do by itself: no redirections, no retries, no variables from elsewhere.
fn client(http: &HttpConfig) -> Result<reqwest::Client, ()> {
    // Whoever comes first installs it; any later one finds it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("evercandle/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .timeout(SEND_TIMEOUT);
    let builder = if http.proxy_from_environment {
        builder
    } else {
        builder.no_proxy()
    };
    builder.build().map_err(|_| ())
}

/// Somebody to be told. Not to be printed: its address is a secret.
#[derive(Clone)]
pub(super) struct Webhook {
    name: String,
    url: Url,
    form: fn(&Letter) -> serde_json::Value,
    client: reqwest::Client,
    queue: Queue,
}

/// What came of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Taken,
    /// Trying again is pointless.
    Refused(u16),
    /// Perhaps later; it may have said when.
    NotNow(&'static str, Option<u16>, Option<Duration>),
}

impl Webhook {
    /// Where messages for it wait.
    pub(super) fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// Delivers what waits, for ever.
    pub(super) async fn deliver(self, clock: Clock, board: Board) {
        loop {
            let letter = self.queue.next().await;
            self.insist(&letter, &clock, &board).await;
            clock.sleep(SPACING).await;
        }
    }

    /// Tries until it is taken, refused, or not worth it any more.
    async fn insist(&self, letter: &Letter, clock: &Clock, board: &Board) {
        let (webhook, kind) = (self.name.as_str(), letter.kind.as_str());
        let body = (self.form)(letter).to_string();
        let mut perhaps_heard = false;
        for number in 1.. {
            let began = clock.instant();
            let answer = self.send(&body).await;
            let took = clock.instant().saturating_duration_since(began);
            ::metrics::histogram!(DURATION, "webhook" => self.name.clone()).record(took.as_secs_f64());
            let took_ms = took.as_millis() as u64;
            match answer {
                Answer::Taken => {
                    self.queue.count("delivered");
                    tracing::info!(webhook, kind, number, took_ms, "webhook told");
                    return;
                }
                Answer::Refused(status) => {
                    self.queue.count("refused");
                    tracing::error!(
                        webhook,
                        kind,
                        number,
                        status,
                        "webhook refuses; this message is not sent again"
                    );
                    return;
                }
                Answer::NotNow(why, status, _) if TRIES_MAX <= number && !board.any_fires(&letter.alerts) => {
                    self.queue.count("given_up");
                    tracing::error!(webhook, kind, number, why, status, "webhook not told, given up");
                    if begins(letter.kind) && !perhaps_heard && is_unheard(why) {
                        self.queue.withdraw(&letter.alerts);
                    }
                    return;
                }
                Answer::NotNow(why, status, asked) => {
                    perhaps_heard |= !is_unheard(why);
                    self.queue.count("failed");
                    let pause = pause(number, rand::random::<f64>()).max(asked.unwrap_or_default());
                    let pause_ms = pause.as_millis() as u64;
                    tracing::warn!(
                        webhook,
                        kind,
                        number,
                        why,
                        status,
                        took_ms,
                        pause_ms,
                        "webhook not told yet"
                    );
                    clock.sleep(pause).await;
                }
            }
        }
    }

    async fn send(&self, body: &str) -> Answer {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_owned());
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_timeout() => return Answer::NotNow("no answer in time", None, None),
            Err(error) if error.is_connect() => return Answer::NotNow(NO_CONNECTION, None, None),
            Err(_) => return Answer::NotNow("the transfer broke off", None, None),
        };
        // Whatever else it says is not read: it may be endless.
        let status = response.status();
        match status.as_u16() {
            200..=299 => Answer::Taken,
            408 | 425 | 429 | 500..=599 => {
                let seconds = response
                    .headers()
                    .get(RETRY_AFTER)
                    .and_then(|v| v.to_str().ok()?.trim().parse().ok());
                let asked = seconds.map(|s| Duration::from_secs(s).min(RETRY_AFTER_MAX));
                Answer::NotNow(SAYS_NO, Some(status.as_u16()), asked)
            }
            other => Answer::Refused(other),
        }
    }
}

/// Whether a message of this kind is the first that anybody hears of its alerts.
fn begins(kind: Kind) -> bool {
    matches!(kind, Kind::Alert | Kind::Escalation)
}

/// Whether nobody can have heard it: whoever is slow may have taken it all the same, and must hear the end.
fn is_unheard(why: &str) -> bool {
    matches!(why, NO_CONNECTION | SAYS_NO)
}

/// After a failed try, numbered from 1: doubled each time, and by chance up to half of it shorter, so that several
/// daemons do not insist in step.
fn pause(number: u32, chance: f64) -> Duration {
    let doubled = PAUSE.saturating_mul(1 << (number - 1).min(16)).min(PAUSE_MAX);
    doubled.mul_f64(0.5 + chance / 2.0)
}

pub(super) fn describe() {
    use ::metrics::Unit;
    ::metrics::describe_counter!(
        NOTIFICATIONS,
        Unit::Count,
        "Messages to webhooks, by what came of them: delivered, failed (tried again), refused, given_up, \
         overtaken (over before it could be told), dropped."
    );
    ::metrics::describe_histogram!(DURATION, Unit::Seconds, "How long a webhook took to answer, or not to.");
}

/// Messages that wait for one webhook. Cheap to clone.
#[derive(Clone)]
pub(super) struct Queue {
    name: Arc<str>,
    waiting: Arc<Mutex<VecDeque<Letter>>>,
    come: Arc<Notify>,
}

impl Queue {
    fn new(name: &str) -> Queue {
        Queue {
            name: name.into(),
            waiting: Arc::default(),
            come: Arc::default(),
        }
    }

    /// Never waits. When too many wait already, the oldest is forgotten: the newest say how things stand.
    pub(super) fn push(&self, mut letter: Letter) {
        let forgotten = {
            let mut waiting = self.waiting.lock();
            if letter.kind == Kind::Resolved {
                letter.alerts.retain(|ended| !self.overtake(&mut waiting, ended));
                if letter.alerts.is_empty() {
                    return;
                }
            }
            waiting.push_back(letter);
            (waiting.len() > WAITING_MAX).then(|| waiting.pop_front()).flatten()
        };
        if let Some(letter) = forgotten {
            self.count("dropped");
            tracing::error!(webhook = %self.name, kind = letter.kind.as_str(), "too many messages wait; the oldest is dropped");
        }
        self.come.notify_one();
    }

    /// Takes an alert that has ended out of what waits. Whether its beginning was among that, so that nobody was told.
    fn overtake(&self, waiting: &mut VecDeque<Letter>, ended: &Alert) -> bool {
        let mut was_begun = false;
        for letter in waiting.iter_mut().filter(|letter| letter.kind != Kind::Resolved) {
            let before = letter.alerts.len();
            letter.alerts.retain(|alert| !is_same(alert, ended));
            was_begun |= begins(letter.kind) && letter.alerts.len() < before;
        }
        self.drop_empty(waiting);
        was_begun
    }

    /// Nobody heard that these began: nobody needs to hear that they ended.
    fn withdraw(&self, unheard: &[Alert]) {
        let mut waiting = self.waiting.lock();
        for letter in waiting.iter_mut() {
            letter.alerts.retain(|alert| !unheard.iter().any(|u| is_same(alert, u)));
        }
        self.drop_empty(&mut waiting);
    }

    fn drop_empty(&self, waiting: &mut VecDeque<Letter>) {
        let before = waiting.len();
        waiting.retain(|letter| !letter.alerts.is_empty());
        for _ in waiting.len()..before {
            self.count("overtaken");
        }
    }

    async fn next(&self) -> Letter {
        loop {
            let first = self.waiting.lock().pop_front();
            match first {
                Some(letter) => return letter,
                None => self.come.notified().await,
            }
        }
    }

    fn count(&self, result: &'static str) {
        ::metrics::counter!(NOTIFICATIONS, "webhook" => self.name.to_string(), "result" => result).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use evercandle::alert::{AlertState, RuleName, Severity, Subject};
    use evercandle::config::WebhookConfig;
    use evercandle::{ProviderName, Timestamp};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::notify::letters::Kind;

    fn refused(address: Option<&str>) -> String {
        let config = AlertsConfig {
            webhooks: vec![WebhookConfig {
                name: "ops".into(),
                url_variable: "OPS_URL".into(),
                format: "slack".into(),
            }],
            ..AlertsConfig::default()
        };
        let read = |_: &str| address.map(str::to_owned);
        Webhooks::new(&config, &HttpConfig::default(), read)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_being_repeated() {
        assert_eq!(
            refused(None),
            "alerts.webhooks: ops: the environment variable OPS_URL is not set; it holds the address"
        );
        for address in ["ftp://hooks.example/secret", "secret", "file:///secret"] {
            let message = refused(Some(address));
            assert!(
                message.contains("OPS_URL holds no address") && !message.contains("secret"),
                "{message}"
            );
        }
    }

    #[test]
    fn pauses_grow_to_a_limit_and_all_tries_take_a_quarter_of_an_hour() {
        assert_eq!(pause(1, 1.0), Duration::from_secs(1));
        assert_eq!(pause(1, 0.0), Duration::from_millis(500));
        assert_eq!(pause(4, 1.0), Duration::from_secs(8));
        assert_eq!(pause(40, 1.0), PAUSE_MAX);
        let longest: Duration = (1..TRIES_MAX).map(|number| pause(number, 1.0)).sum();
        assert!(
            Duration::from_secs(600) < longest && longest < Duration::from_secs(900),
            "{longest:?}"
        );
    }

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

    fn told(kind: Kind, providers: &[&str]) -> Letter {
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

    /// Says no to so many tries; time passes in between.
    async fn say_no(listener: &TcpListener, clock: &Clock, tries: u32) {
        for _ in 0..tries {
            let (mut stream, _) = loop {
                tokio::select! {
                    biased;
                    accepted = listener.accept() => break accepted.unwrap(),
                    () = tokio::task::yield_now() => clock.advance(PAUSE_MAX),
                }
            };
            let _ = stream.read(&mut [0; 4_096]).await;
            let no = b"HTTP/1.1 503 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(no).await.unwrap();
        }
    }

    /// Goal: the alert about our own line is not thrown away because our own line is down.
    #[tokio::test]
    async fn no_message_is_given_up_while_what_it_tells_goes_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (board, queue, clock) = (Board::default(), Queue::new("ops"), Clock::held(Timestamp::EPOCH));
        let webhook = Webhook {
            name: "ops".into(),
            url: format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap(),
            form: letter::generic,
            client: client(&HttpConfig::default()).unwrap(),
            queue: queue.clone(),
        };
        let begun = told(Kind::Alert, &["binance"]);
        board.show(begun.alerts.clone());
        tokio::select! {
            () = webhook.insist(&begun, &clock, &board) => panic!("given up"),
            () = say_no(&listener, &clock, 2 * TRIES_MAX) => {}
        }
        board.show(Vec::new());
        queue.push(told(Kind::Resolved, &["binance", "coingecko"]));
        tokio::select! {
            () = webhook.insist(&begun, &clock, &board) => {}
            () = say_no(&listener, &clock, 2 * TRIES_MAX) => panic!("it is over"),
        }
        // Its end goes with it; that of another one stays.
        let left = told(Kind::Resolved, &["coingecko"]);
        assert_eq!(queue.next().await, left);
    }

    #[tokio::test]
    async fn what_ended_before_it_could_be_told_is_not_told_at_all() {
        let queue = Queue::new("ops");
        queue.push(told(Kind::Repeat, &["alternative-me"]));
        queue.push(told(Kind::Alert, &["binance", "coingecko"]));
        queue.push(told(Kind::Resolved, &["binance"]));
        queue.push(told(Kind::Resolved, &["alternative-me"]));
        let waiting: Vec<Letter> = queue.waiting.lock().drain(..).collect();
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
        assert_eq!(queue.waiting.lock().len(), WAITING_MAX);
        assert_eq!(queue.next().await.id, "5");
    }
}
