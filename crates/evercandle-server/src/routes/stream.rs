//! `/v1/stream`: what happens, as it happens, by server-sent events.
//!
//! A stream begins with a `snapshot` of what is known now, then tells what changes. Every event has an id; a listener
//! that lost the connection shows the last one it saw and goes on after it. Where that cannot be done, a `reset` says
//! since when something may be missing and where to ask for it, and a new snapshot follows. A stream never fills up: a
//! listener that does not keep up is told so by an `end`, and may come back. An `end` also comes when the daemon stops.

use std::collections::{BTreeSet, HashSet};
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use evercandle::config::ServerConfig;
use evercandle::{Interval, Market, Series, Symbol, Timestamp};
use futures::Stream;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::feed::{Event, EventId, Full, Listening, Lost, Topic};
use crate::metrics;
use crate::parameters::{Parameters, shortened};
use crate::problem::{Problem, ProblemBody};
use crate::wire::event::{self, EndEvent, ResetEvent};
use crate::wire::market::{MarketWord, SymbolWords};
use crate::wire::schedule;

/// How long a listener should wait before it comes back.
const RETRY: Duration = Duration::from_secs(2);
/// The header by which a listener says where it was.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stream))
}

/// What a question may say.
const NAMES: &[&str] = &["symbols", "interval", "market", "events", "last_event_id"];

/// As in the description of the interface; read by [`topics`].
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
struct Wanted {
    /// What is traded; needed for candles and prices.
    symbols: Option<SymbolWords>,
    /// Of the candles; several are separated by commas. `1m`, unless said otherwise.
    #[param(example = "1m")]
    interval: Option<String>,
    /// Where they are traded; spot, unless the spelling says otherwise.
    market: Option<MarketWord>,
    /// Some of `candle`, `price`, `provider`, `run`, separated by commas. All that the symbols allow, unless said
    /// otherwise.
    #[param(example = "candle,price")]
    events: Option<String>,
    /// The last event seen, for those who cannot send the header `Last-Event-ID`.
    last_event_id: Option<String>,
}

/// What happens, as it happens: closed candles, prices, changes of upstreams, refreshes.
///
/// Events: `snapshot` (what is known now: `providers`, `prices`, `candles`, `refused`, `runs`), `candle`, `gap` (slots
/// without a candle), `refused` (a series of a symbol that the exchange does not know: it is asked for again every ten
/// minutes, and its candles follow should it be listed), `price`, `provider`, `run`, `reset` (something may have been
/// missed), `end` (come back with the last id). What each of them holds: the schema `StreamEvents`, by the event's name.
#[utoipa::path(
    get, path = "/v1/stream", tag = "data",
    params(Wanted, ("Last-Event-ID" = Option<String>, Header, description = "the last event seen")),
    responses(
        (status = 200, description = "events, without end", body = String, content_type = "text/event-stream"),
        (status = 400, description = "the question makes no sense", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "the exchange is known to list none of the symbols, and nothing else is asked for", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "too many streams are open", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn stream(State(app): State<App>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), NAMES)?;
    let topics = topics(&parameters, app.config())?;
    listed(&app, &topics)?;
    let shown = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
    // What a browser shows by itself is newer than what the page was loaded with.
    let shown = shown.or(parameters.text("last_event_id")).filter(|id| !id.is_empty());
    let id = shown.map(EventId::parse);
    let listening = app
        .feed()
        .listen(topics, id.as_ref().and_then(Option::as_ref))
        .map_err(refused)?;
    let beginning = beginning(&app, &listening, id.as_ref());
    let body = Body::from_stream(told(app, listening, beginning));
    let headers = [
        (CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        // Proxies that gather an answer before they pass it on must not gather this one.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, body).into_response())
}

fn refused(full: Full) -> Problem {
    match full {
        Full::Streams(max) => Problem::overloaded(format!(
            "{max} event streams are open, which is the most (server.streams_max); try again when one has ended"
        )),
        Full::Followed(max) => Problem::overloaded(format!(
            "{max} series or instruments are followed, which is the most (server.stream_series_max); ask for fewer"
        )),
        Full::Stopping => Problem::overloaded("the daemon was told to stop; ask again when it is back"),
    }
}

/// What a question is about; no more than may be followed at once.
fn topics(parameters: &Parameters, config: &ServerConfig) -> Result<HashSet<Topic>, Problem> {
    let instruments = parameters.symbols(config.symbols_max)?;
    // Each once, however often it was written: they are multiplied below.
    let mut intervals = BTreeSet::new();
    for word in parameters.list("interval") {
        let interval: Result<Interval, _> = word.parse();
        intervals.insert(interval.map_err(|error| Problem::parameter("interval", error.to_string()))?);
    }
    if intervals.is_empty() {
        intervals.insert(Interval::M1);
    }
    let mut kinds = BTreeSet::from_iter(parameters.list("events"));
    if kinds.is_empty() {
        kinds.extend(match instruments.is_empty() {
            true => &["provider", "run"][..],
            false => &["candle", "price", "provider", "run"],
        });
    }
    let mut topics = HashSet::new();
    for kind in kinds {
        let each = match kind {
            "candle" => instruments.len() * intervals.len(),
            "price" => instruments.len(),
            _ => 0,
        };
        if config.stream_series_max < each {
            metrics::shed("streams");
            return Err(refused(Full::Followed(config.stream_series_max)));
        }
        match kind {
            "candle" | "price" if instruments.is_empty() => {
                let needs = format!("{kind} needs symbols, such as symbols=BTCUSDT,ETHUSDT");
                return Err(Problem::parameter("events", needs));
            }
            "candle" => {
                for (market, symbol) in &instruments {
                    for interval in &intervals {
                        let series = Series::new(*market, symbol.clone(), *interval);
                        let series = series.map_err(|error| Problem::parameter("interval", error.to_string()))?;
                        topics.insert(Topic::Candles(series));
                    }
                }
            }
            "price" => {
                let topic = |(market, symbol): &(Market, Symbol)| Topic::Price(*market, symbol.clone());
                topics.extend(instruments.iter().map(topic));
            }
            "provider" => {
                topics.insert(Topic::Providers);
            }
            "run" => {
                topics.insert(Topic::Runs);
            }
            other => {
                let other = shortened(other);
                let unknown = format!("{other:?} is unknown: expected some of candle, price, provider, run");
                return Err(Problem::parameter("events", unknown));
            }
        }
    }
    Ok(topics)
}

/// A stream about nothing but symbols that the exchange is known not to list would be silent for ever.
fn listed(app: &App, topics: &HashSet<Topic>) -> Result<(), Problem> {
    let mut asked = BTreeSet::new();
    for topic in topics {
        match topic {
            Topic::Candles(series) => asked.insert((series.market(), series.symbol())),
            Topic::Price(market, symbol) => asked.insert((*market, symbol)),
            Topic::Providers | Topic::Runs => return Ok(()),
        };
    }
    for (market, symbol) in &asked {
        match app.listings().known(*market, app.client()) {
            Some(listing) if !listing.names.contains(symbol.as_str()) => {}
            _ => return Ok(()),
        }
    }
    let strangers = asked
        .iter()
        .take(10)
        .map(|(market, symbol)| format!("{market} {symbol}"));
    let strangers: Vec<String> = strangers.collect();
    Err(Problem::unknown_symbol(format!(
        "the exchange lists none of these symbols: {}",
        strangers.join(", ")
    ))
    .hint("/v1/symbols lists what there is"))
}

/// How a stream begins: what was missed, or what is known now.
fn beginning(app: &App, listening: &Listening, id: Option<&Option<EventId>>) -> String {
    let mut text = format!("retry: {}\n\n", RETRY.as_millis());
    let joined = &listening.joined;
    let lost = match id {
        None => None,
        // What was never an id of ours.
        Some(None) => Some(Lost::Stranger),
        Some(Some(_)) => joined.lost,
    };
    if let (Some(_), None) = (id, lost) {
        for event in &joined.missed {
            push(&mut text, listening, event);
        }
        return text;
    }
    let here = listening.id(joined.place);
    if let Some(lost) = lost {
        // Rather a moment too early than too late.
        let second = |at: Timestamp| Timestamp::from_millis(at.as_millis().div_euclid(1_000) * 1_000);
        let since = id
            .and_then(Option::as_ref)
            .map(|id| second(id.place().time()).to_string());
        let reset = event::line(&ResetEvent {
            reason: match lost {
                Lost::Stranger => "unknown_id",
                Lost::TooOld => "too_old",
                Lost::NotFollowed => "not_followed",
            },
            what: match lost {
                Lost::Stranger => "this id is not of this daemon, which may have been restarted",
                Lost::TooOld => "what came after this id is no longer kept",
                Lost::NotFollowed => "some of this was not looked at meanwhile, because nobody listened",
            },
            missing_since: since,
            at: app.client().clock().now().to_string(),
            advice: "ask /v1/klines for candles since then; everything else is in the snapshot that follows",
        });
        text += &format!("event: reset\nid: {here}\ndata: {reset}\n\n");
    }
    text += &format!("event: snapshot\nid: {here}\ndata: {}\n\n", snapshot(app, listening));
    text
}

/// What is known now of what a stream is about.
fn snapshot(app: &App, listening: &Listening) -> String {
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    let health = app.client().health();
    let providers = match listening.hears(&Topic::Providers) {
        true => health
            .upstreams
            .iter()
            .map(|upstream| event::provider(upstream, None))
            .collect(),
        false => Vec::new(),
    };
    let runs = match listening.hears(&Topic::Runs) {
        true => app.schedule().jobs,
        false => Vec::new(),
    };
    let runs = runs.iter().filter_map(|job| job.last_run.as_deref());
    let runs = runs.map(|run| event::line(&schedule::run(run))).collect();
    format!(
        "{{\"at\":\"{}\",\"providers\":{},\"prices\":{},\"candles\":{},\"refused\":{},\"runs\":{}}}",
        health.at,
        list(providers),
        list(listening.latest("price")),
        list(listening.latest("candle")),
        list(listening.latest("refused")),
        list(runs)
    )
}

fn push(text: &mut String, listening: &Listening, event: &Event) {
    let id = listening.id(event.place);
    *text += &format!("event: {}\nid: {id}\ndata: {}\n\n", event.kind, event.data);
}

/// The stream's bytes, until the daemon stops or the listener is too slow.
fn told(app: App, listening: Listening, beginning: String) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let heartbeat = Duration::from_millis(app.config().stream_heartbeat_ms);
    let stopping = app.stopping().clone();
    let state = (listening, Some(beginning), false);
    futures::stream::unfold(state, move |(mut listening, beginning, ended)| {
        let stopping = stopping.clone();
        async move {
            if ended {
                return None;
            }
            if let Some(text) = beginning {
                return Some((Ok(Bytes::from(text)), (listening, None, false)));
            }
            let (text, ended) = tokio::select! {
                biased;
                () = stopping.cancelled() => (end("stopping", "the daemon was told to stop"), true),
                event = listening.joined.events.recv() => match event {
                    Some(event) => {
                        let mut text = String::new();
                        push(&mut text, &listening, &event);
                        (text, false)
                    }
                    None => (end("too_slow", "events came faster than they were read"), true),
                },
                () = tokio::time::sleep(heartbeat) => (":\n\n".to_owned(), false),
            };
            Some((Ok(Bytes::from(text)), (listening, None, ended)))
        }
    })
}

/// The last event of a stream. It has no id, so that the listener comes back with that of the last one it saw.
fn end(reason: &'static str, what: &'static str) -> String {
    let data = event::line(&EndEvent {
        reason,
        what,
        advice: "come back with the id of the last event",
    });
    format!("event: end\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use evercandle::schedule::Scheduler;
    use evercandle::{Client, Config};
    use futures::StreamExt;

    use super::*;
    use crate::feed::tests::run;
    use crate::server::Secrets;

    fn app(dir: &std::path::Path) -> App {
        let mut config = Config::default();
        config.cache.dir = Some(dir.to_owned());
        let client = Client::new(config).unwrap();
        let scheduler = Scheduler::new(client.clone()).unwrap();
        App::new(scheduler, client, &Secrets::default(), "127.0.0.1:1".parse().unwrap())
    }

    /// Goal: a listener that does not keep up costs a queue of a fixed length, is told that it lost its place, and can come
    /// back and go on after the last event it got.
    #[tokio::test]
    async fn who_does_not_keep_up_is_told_so_and_can_go_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let app = app(dir.path());
        let topics = HashSet::from([Topic::Runs]);
        let listening = app.feed().listen(topics.clone(), None).unwrap();
        let mut stream = Box::pin(told(app.clone(), listening, "retry: 1\n\n".to_owned()));
        assert_eq!(stream.next().await.unwrap().unwrap(), "retry: 1\n\n");
        for number in 1..=1_200 {
            app.feed().tell_run(&run(number));
        }
        let heard: Vec<String> = stream
            .map(|bytes| String::from_utf8(bytes.unwrap().to_vec()).unwrap())
            .collect()
            .await;
        let (end, events) = heard.split_last().unwrap();
        assert!(
            end.starts_with("event: end\ndata: ") && end.contains("too_slow"),
            "{end}"
        );
        assert!((1_024..1_100).contains(&events.len()), "{}", events.len());
        let last = events.last().unwrap();
        let id = last.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
        let id = EventId::parse(id).unwrap();
        let joined = &app.feed().listen(topics, Some(&id)).unwrap().joined;
        assert_eq!((joined.lost, joined.missed.len()), (None, 1_200 - events.len()));
    }

    #[tokio::test]
    async fn what_is_asked_for_is_what_is_listened_to() {
        let about = |query: &str| {
            let parameters = Parameters::read(Some(query), NAMES).unwrap();
            topics(&parameters, &ServerConfig::default()).unwrap()
        };
        assert_eq!(about(""), HashSet::from([Topic::Providers, Topic::Runs]));
        let market = Market::Um;
        let symbol = Symbol::new("BTCUSDT").unwrap();
        let candles = |interval| Topic::Candles(Series::new(market, symbol.clone(), interval).unwrap());
        assert_eq!(
            about("symbols=btcusdt&market=um&interval=1m,1h&events=candle,price"),
            HashSet::from([
                candles(Interval::M1),
                candles(Interval::H1),
                Topic::Price(market, symbol.clone())
            ])
        );
        assert_eq!(about("symbols=BTC/USDT:USDT").len(), 4);
    }

    /// Goal: a question does not cost more than its answer.
    /// Method: as much as a head holds; word for word with each other that would take minutes.
    #[test]
    fn words_are_multiplied_only_as_far_as_series_may_be_followed() {
        let about = |query: &str| {
            let parameters = Parameters::read(Some(query), NAMES).unwrap();
            topics(&parameters, &ServerConfig::default())
        };
        let symbols: Vec<String> = (0..200).map(|number| format!("A{number}")).collect();
        let symbols = symbols.join(",");
        let repeated = format!(
            "symbols={symbols}&events={}&interval={}",
            "candle,".repeat(1_000),
            "1m,".repeat(2_000)
        );
        assert_eq!(about(&repeated).unwrap().len(), 200);
        let too_many = about(&format!("symbols={symbols}&interval=1m,1h&events=candle")).unwrap_err();
        let too_many = too_many.body("/v1/stream");
        assert!(too_many.contains("server.stream_series_max"), "{too_many}");
    }
}
