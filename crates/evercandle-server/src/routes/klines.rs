//! `/v1/klines`: the klines of one series, in any format.
//!
//! An answer of up to [`HELD_MAX`] slots is gathered before its status is sent. A longer one is not held; what is
//! promised decides how it is sent:
//!
//! - `completeness=required`: the whole range is gone through first, which fetches and stores what the cache lacks and
//!   keeps no rows; then the status is sent, and the rows are read again, from the cache. It costs a second reading of
//!   mapped files, and the first byte comes late when much has to be fetched; but 200 means complete, and 503 says what
//!   is missing, whatever the length. Should a row be gone by the second time, the body is broken off.
//! - `completeness=best_effort`: rows are sent as they come; how complete they were is told at the end (in the JSON, else
//!   in trailers to whoever said `TE: trailers`).

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, TE, TRAILER, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use evercandle::{Client, Gap, Segment, Via};
use evercandle_formats::sink::{Scales, scales};
use evercandle_formats::{Gathered, Head, Story};
use futures::StreamExt;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::door::limits::Turns;
use crate::freshness::{self, CACHE_STATUS, COMPLETE, GAPS, NOTICES, ROWS, SEGMENTS};
use crate::klines::negotiation::{self, Served};
use crate::klines::pages::{self, Known, Rows};
use crate::klines::question::{NAMES, Question, Wanted};
use crate::klines::seal;
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemBody};
use crate::wire::klines::KlinesBody;

/// Slots that are gathered before the status is sent: a month of minutes and a bit, about 5 MB.
const HELD_MAX: u64 = 50_000;
/// Klines that are made into text on the spot; more are left to threads that may be busy for long.
const INLINE_MAX: u64 = 2_048;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(klines))
}

/// Klines of one series.
///
/// From the cache, else from archives, else from the exchange's REST interface, with where each part came from and what
/// is missing. Nothing is filled in.
#[utoipa::path(
    get, path = "/v1/klines", tag = "data",
    params(crate::wire::klines::KlinesParameters),
    responses(
        (status = 200, description = "the klines; complete, unless completeness=best_effort was asked for", content(
            (KlinesBody = "application/json"),
            (String = "text/csv"),
            (String = "application/x-ndjson"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
            (Vec<u8> = "application/vnd.apache.parquet"),
        ), headers(
            ("Cache-Status" = String, description = "whether the klines were held (RFC 9211)"),
            ("ETag" = String, description = "of answers that may be kept for a day, and then asked about by it"),
            ("Evercandle-Complete" = String, description = "?1 if everything that exists was delivered (RFC 9651)"),
            ("Evercandle-Rows" = u64, description = "how many klines there are"),
            ("Evercandle-Segments" = String, description = "where they came from, as a structured list (RFC 9651)"),
            ("Evercandle-Gaps" = String, description = "what is missing and why, as a structured list (RFC 9651)"),
            ("Evercandle-Notices" = String, description = "as `notices`, as a structured list of strings (RFC 9651)"),
        )),
        (status = 304, description = "the caller holds this answer (If-None-Match), and it has not changed"),
        (status = 400, description = "the question makes no sense, or asks for more than server.rows_max", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "the exchange does not know the symbol", body = ProblemBody, content_type = "application/problem+json"),
        (status = 406, description = "nothing that Accept allows is served", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "something is missing that might still be had; what and why is inside", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn klines(State(app): State<App>, RawQuery(query): RawQuery, asked: HeaderMap) -> Result<Response, Problem> {
    let client = app.client();
    let parameters = Parameters::read(query.as_deref(), NAMES)?;
    let served = negotiation::choose(&parameters, &asked)?;
    let question = Question::read(&parameters, client.clock().now(), app.config().rows_max)?;
    let answer = match (question.completeness, question.slots <= HELD_MAX) {
        (wanted, true) => held(client, question, wanted).await?,
        (Wanted::Whole, false) => surveyed(client, question).await?,
        (Wanted::Found, false) => streamed(client, question).await?,
    };
    let trailers = asked
        .get(TE)
        .and_then(|te| te.to_str().ok())
        .is_some_and(|te| te.contains("trailers"));
    let shared = app.access().is_for_anybody();
    answer
        .send(client, app.limits().turns(), served, &asked, trailers, shared)
        .await
}

/// What is known before the status is sent, and the rows or where they are.
struct Reply {
    question: Question,
    known: Known,
    rows: Rows,
}

/// Everything is gathered.
async fn held(client: &Client, question: Question, wanted: Wanted) -> Result<Reply, Problem> {
    let mut gathered = Gathered::new(&question.query);
    let mut batches = Vec::new();
    let mut windows = std::pin::pin!(question.query.answers(client));
    while let Some(window) = windows.next().await {
        batches.extend(gathered.take(window?));
    }
    let story = gathered.finish()?;
    acceptable(&story, wanted)?;
    let scales = scales(&batches);
    Ok(Reply {
        question,
        known: Known::Story(story, scales),
        rows: Rows::Held(batches),
    })
}

/// Everything is gone through, and fetched where it has to be; nothing is kept but the story.
async fn surveyed(client: &Client, question: Question) -> Result<Reply, Problem> {
    let mut gathered = Gathered::new(&question.query);
    let mut most: Scales = Scales::default();
    {
        let mut windows = std::pin::pin!(question.query.answers(client));
        while let Some(window) = windows.next().await {
            let found = scales(&gathered.take(window?));
            for (most, found) in most.iter_mut().zip(found) {
                *most = found.max(*most);
            }
        }
    }
    let story = gathered.finish()?;
    acceptable(&story, Wanted::Whole)?;
    Ok(Reply {
        rows: Rows::asked(&question.query, client),
        known: Known::Story(story, most),
        question,
    })
}

/// Waits for the first klines only, so that there is a status to send when there are none.
async fn streamed(client: &Client, question: Question) -> Result<Reply, Problem> {
    let mut gathered = Gathered::new(&question.query);
    let mut windows = question.query.answers(client).boxed();
    while let Some(window) = windows.next().await {
        let batches = gathered.take(window?);
        if batches.iter().any(|batch| !batch.is_empty()) {
            return Ok(Reply {
                question,
                known: Known::Beginning(gathered, batches),
                rows: Rows::Asked(windows),
            });
        }
    }
    let story = gathered.finish()?;
    acceptable(&story, Wanted::Found)?;
    Ok(Reply {
        question,
        known: Known::Story(story, Scales::default()),
        rows: Rows::Held(Vec::new()),
    })
}

/// Whether what was found is what was wanted. Nothing at all is not, unless there is nothing.
fn acceptable(story: &Story, wanted: Wanted) -> Result<(), Problem> {
    match (story.is_complete(), wanted) {
        (true, _) => Ok(()),
        (false, Wanted::Found) if 0 < story.rows => Ok(()),
        (false, _) => Err(Problem::missing(story)),
    }
}

impl Reply {
    async fn send(
        self,
        client: &Client,
        turns: &Turns,
        served: &'static Served,
        asked: &HeaderMap,
        trailers: bool,
        shared: bool,
    ) -> Result<Response, Problem> {
        let style = self.question.style;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(served.content_type()));
        headers.insert(VARY, HeaderValue::from_name(ACCEPT));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let (story, scales) = match self.known {
            Known::Story(story, scales) => (story, scales),
            beginning => {
                let told = match trailers {
                    true => {
                        headers.insert(TRAILER, listed_trailers());
                        told
                    }
                    false => |_: &Story| HeaderMap::new(),
                };
                let body = pages::body(
                    (served.format, style),
                    &self.question.query,
                    beginning,
                    self.rows,
                    turns,
                    told,
                );
                return Ok((headers, body).into_response());
            }
        };
        if let Some(tag) = seal::tag(&story, &style, served.word, client.clock().now()) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(seal::policy(shared)));
            let theirs = asked.get(IF_NONE_MATCH).and_then(|theirs| theirs.to_str().ok());
            let is_held = theirs.is_some_and(|theirs| seal::is_held(&tag, theirs));
            if let Ok(tag) = HeaderValue::from_str(&tag) {
                headers.insert(ETAG, tag);
            }
            if is_held {
                headers.remove(CONTENT_TYPE);
                headers.insert(CACHE_STATUS, freshness::cache_status([Via::Cache]));
                return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
            }
        }
        headers.extend(told(&story));
        let body = match self.rows {
            Rows::Held(batches) if story.rows <= INLINE_MAX => {
                let head = Head {
                    series: &story.series,
                    range: story.range,
                    story: Some(&story),
                    scales,
                };
                let _turn = turns.take().await;
                let bytes = pages::whole(served.format, style, &head, &batches, &story);
                Body::from(bytes.map_err(unwritable)?)
            }
            rows => {
                let known = Known::Story(story, scales);
                pages::body((served.format, style), &self.question.query, known, rows, turns, |_| {
                    HeaderMap::new()
                })
            }
        };
        Ok((headers, body).into_response())
    }
}

fn unwritable(error: std::io::Error) -> Problem {
    Problem::bad_request(format!("cannot be written in that format: {error}"))
}

fn listed_trailers() -> HeaderValue {
    HeaderValue::from_static(
        "cache-status, evercandle-complete, evercandle-rows, evercandle-segments, evercandle-gaps, evercandle-notices",
    )
}

/// What the JSON says at its end, for formats that have no place for it.
fn told(story: &Story) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let vias = story.segments.iter().map(|segment| segment.via);
    headers.insert(CACHE_STATUS, freshness::cache_status(vias));
    let complete = if story.is_complete() { "?1" } else { "?0" };
    headers.insert(COMPLETE, HeaderValue::from_static(complete));
    headers.insert(ROWS, HeaderValue::from(story.rows));
    let segments = freshness::list(story.segments.iter().map(segment));
    let gaps = freshness::list(story.gaps.iter().map(|one| gap(one, story)));
    let notices = freshness::list(story.notices.iter().map(|notice| freshness::quoted(notice)));
    for (name, list) in [(SEGMENTS, segments), (GAPS, gaps), (NOTICES, notices)] {
        if let Some(list) = list {
            headers.insert(name, list);
        }
    }
    headers
}

fn segment(segment: &Segment) -> String {
    let (via, verification) = (segment.via.as_str(), segment.origin.verification.as_str());
    format!(
        "{};start=\"{}\";end=\"{}\";via={via};verification={verification};fetched_at=\"{}\"",
        segment.origin.provider,
        segment.range.start(),
        segment.range.end(),
        segment.origin.fetched_at
    )
}

fn gap(gap: &Gap, story: &Story) -> String {
    format!(
        "{};start=\"{}\";end=\"{}\";slots={};final={}",
        gap.reason.as_str(),
        gap.range.start(),
        gap.range.end(),
        story.grid.count(gap.range),
        if gap.reason.is_final() { "?1" } else { "?0" }
    )
}
