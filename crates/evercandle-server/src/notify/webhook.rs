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

use std::fmt;
use std::time::Duration;

use evercandle::Clock;
use evercandle::config::{AlertsConfig, HttpConfig};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use super::Board;
use super::letters::{Kind, Letter};
use super::memory::Memory;
use super::queue::{NOTIFICATIONS, Queue};
use crate::wire::letter;

const DURATION: &str = "qt_notification_duration_seconds";

/// Why a message was not taken, where it is sure that it was not.
const NO_CONNECTION: &str = "no connection";
const SAYS_NO: &str = "it says no";

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

    /// Names of those whose address leads outside without encryption: it is a secret, and anybody on the way can read it.
    pub fn in_the_clear(&self) -> impl Iterator<Item = &str> {
        let exposed = self
            .0
            .iter()
            .filter(|webhook| webhook.url.scheme() == "http" && leads_outside(&webhook.url));
        exposed.map(|webhook| webhook.name.as_str())
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

/// Whether a host is neither this machine nor, by its address or its name, in our own network.
fn leads_outside(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => !(ip.is_loopback() || ip.is_private() || ip.is_link_local()),
        Some(Host::Ipv6(ip)) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
        Some(Host::Domain(name)) => {
            let ours = ["localhost", "local", "internal", "lan", "home.arpa"];
            name.contains('.') && !ours.iter().any(|end| name.ends_with(&format!(".{end}")))
        }
        None => false,
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

impl Answer {
    /// What went wrong, in words.
    fn complaint(self) -> Option<String> {
        match self {
            Answer::Taken => None,
            Answer::Refused(status) => Some(format!("it refuses: {status}")),
            Answer::NotNow(why, Some(status), _) => Some(format!("{why}: {status}")),
            Answer::NotNow(why, None, _) => Some(why.to_owned()),
        }
    }
}

impl Webhook {
    /// Where messages for it wait.
    pub(super) fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// Delivers what waits, for ever.
    pub(super) async fn deliver(self, clock: Clock, board: Board, memory: Memory, stopping: CancellationToken) {
        loop {
            let letter = self.queue.next().await;
            let is_taken = self.insist(&letter, &clock, &board, &stopping).await;
            // An end that it will not hear is over as well.
            if is_taken || letter.kind == Kind::Resolved {
                memory.took(&self.name, &letter);
            }
            self.queue.done();
            clock.sleep(SPACING).await;
        }
    }

    /// Tries until it is taken, refused, or not worth it any more. Whether it was taken.
    async fn insist(&self, letter: &Letter, clock: &Clock, board: &Board, stopping: &CancellationToken) -> bool {
        let (webhook, kind) = (self.name.as_str(), letter.kind.as_str());
        let body = (self.form)(letter).to_string();
        let mut perhaps_heard = false;
        let mut number = 0;
        loop {
            number += 1;
            let began = clock.instant();
            let answer = self.send(&body).await;
            let took = clock.instant().saturating_duration_since(began);
            ::metrics::histogram!(DURATION, "webhook" => self.name.clone()).record(took.as_secs_f64());
            let took_ms = took.as_millis() as u64;
            if let Some(what) = answer.complaint() {
                self.queue.failed(clock.now(), what);
            }
            match answer {
                Answer::Taken => {
                    self.queue.took(clock.now());
                    self.queue.count("delivered");
                    tracing::info!(webhook, kind, number, took_ms, "webhook told");
                    return true;
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
                    return false;
                }
                Answer::NotNow(why, status, _) if TRIES_MAX <= number && !board.any_fires(&letter.alerts) => {
                    self.queue.count("given_up");
                    tracing::error!(webhook, kind, number, why, status, "webhook not told, given up");
                    if letter.kind.begins() && !perhaps_heard && is_unheard(why) {
                        self.queue.withdraw(&letter.alerts);
                    }
                    return false;
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
                    match asked {
                        Some(_) => clock.sleep(pause).await,
                        None => rest(pause, clock, stopping).await,
                    }
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

/// A pause between two tries. Who is told to stop tries at once, and then has a second at a time to spare.
async fn rest(pause: Duration, clock: &Clock, stopping: &CancellationToken) {
    if stopping.is_cancelled() {
        return clock.sleep(pause.min(PAUSE)).await;
    }
    tokio::select! {
        () = clock.sleep(pause) => {}
        () = stopping.cancelled() => {}
    }
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

#[cfg(test)]
mod tests {
    use evercandle::Timestamp;
    use evercandle::config::{CacheConfig, WebhookConfig};
    use evercandle::store::Store;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::notify::queue::tests::told;

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
    fn addresses_that_lead_outside_are_told_from_those_in_our_own_network() {
        let outside = [
            "http://hooks.example.com/x",
            "http://203.0.113.7/x",
            "http://[2001:db8::1]/x",
        ];
        let ours = [
            "http://localhost/x",
            "http://relay:9000/x",
            "http://relay.internal/x",
            "http://10.0.0.7/x",
            "http://127.0.0.1/x",
            "http://[::1]/x",
            "http://[fd00::1]/x",
        ];
        for (addresses, expected) in [(&outside[..], true), (&ours[..], false)] {
            for address in addresses {
                assert_eq!(leads_outside(&address.parse().unwrap()), expected, "{address}");
            }
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
        let stopping = CancellationToken::new();
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
            _ = webhook.insist(&begun, &clock, &board, &stopping) => panic!("given up"),
            () = say_no(&listener, &clock, 2 * TRIES_MAX) => {}
        }
        board.show(Vec::new());
        queue.push(told(Kind::Resolved, &["binance", "coingecko"]));
        tokio::select! {
            is_taken = webhook.insist(&begun, &clock, &board, &stopping) => assert!(!is_taken),
            () = say_no(&listener, &clock, 2 * TRIES_MAX) => panic!("it is over"),
        }
        // Its end goes with it; that of another one stays.
        let left = told(Kind::Resolved, &["coingecko"]);
        assert_eq!(queue.next().await, left);
    }

    /// Goal: whoever is told to stop does not sit out a pause with the message in hand.
    /// Method: the clock is held, so that no pause ends by itself.
    #[tokio::test]
    async fn who_is_told_to_stop_tries_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (queue, clock, stopping) = (
            Queue::new("ops"),
            Clock::held(Timestamp::EPOCH),
            CancellationToken::new(),
        );
        let webhook = Webhook {
            name: "ops".into(),
            url: format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap(),
            form: letter::generic,
            client: client(&HttpConfig::default()).unwrap(),
            queue: queue.clone(),
        };
        queue.push(told(Kind::Alert, &["binance"]));
        let answers = async {
            for answer in ["503 X", "204 X"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4_096]).await;
                let head = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                stopping.cancel();
            }
            queue.emptied().await;
        };
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().to_owned(), &CacheConfig::default(), clock.clone()).unwrap();
        let memory = Memory::open(&store, listener.local_addr().unwrap(), &["ops"]).await;
        let delivery = webhook.deliver(clock, Board::default(), memory, stopping.clone());
        let all = async {
            tokio::select! { () = delivery => {}, () = answers => {} }
        };
        tokio::time::timeout(Duration::from_secs(20), all)
            .await
            .expect("tried again");
        let standing = queue.standing();
        assert_eq!((standing.waiting, standing.failing_since), (0, None));
        assert_eq!(
            standing.last_failure,
            Some((Timestamp::EPOCH, "it says no: 503".to_owned()))
        );
    }
}
