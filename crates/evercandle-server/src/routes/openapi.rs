//! `/openapi.json` and `/docs`: what can be asked for, for programs and for people.
//!
//! The document is made of the routes themselves. The page is Swagger UI from inside the binary; it asks nobody but this
//! daemon (its badge of a validator elsewhere is off), and runs under the policy that all our pages have.

use axum::Router;
use axum::extract::RawQuery;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Content, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::app::App;
use crate::klines::seal;
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemBody};
use crate::wire::event::StreamEvents;
use crate::wire::klines::{CompletenessWord, DecimalWord, FormatWord, IntervalWord, TimeWord};
use crate::wire::market::{Allowance, MarketWord, SymbolWord, SymbolWords};

const PATH: &str = "/openapi.json";
const PROBLEM: &str = "application/problem+json";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Evercandle",
        description = "Market data that never goes dark: klines, prices and sentiment from a local cache and from several upstreams, each answer with where it came from, how old it is, and what is missing and why. Nothing is filled in or made up.\n\nTimes are UTC. Errors are problems (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(
        Allowance, CompletenessWord, DecimalWord, FormatWord, IntervalWord, MarketWord, StreamEvents, SymbolWord,
        SymbolWords, TimeWord
    )),
    tags(
        (name = "data", description = "klines, prices, sentiment"),
        (name = "health", description = "how everything is"),
        (name = "admin", description = "for whoever has the token"),
    )
)]
struct Document;

/// The document without routes.
pub(crate) fn document() -> OpenApi {
    Document::openapi()
}

/// The routes that show the document.
pub(crate) fn routes(document: OpenApi) -> Router<App> {
    let text = finished(document).to_json().unwrap_or_default();
    let tag = format!("W/\"{}\"", hex::encode(&Sha256::digest(&text)[..16]));
    let text = Bytes::from(text);
    let show = move |RawQuery(query): RawQuery, asked: HeaderMap| {
        let answer = shown(&text, &tag, query.as_deref(), &asked);
        async move { answer }
    };
    let page = SwaggerUi::new("/docs").config(
        Config::from(PATH)
            .validator_url("none")
            .try_it_out_enabled(true)
            .display_request_duration(true),
    );
    Router::from(page).route(PATH, get(show))
}

fn shown(text: &Bytes, tag: &str, query: Option<&str>, asked: &HeaderMap) -> Result<Response, Problem> {
    Parameters::read(query, &[])?;
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
    let theirs = asked.get(IF_NONE_MATCH).and_then(|theirs| theirs.to_str().ok());
    if theirs.is_some_and(|theirs| seal::is_held(tag, theirs)) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok((headers, text.clone()).into_response())
}

/// Adds what is true of every route and is said by none: how it says no, and who may ask.
fn finished(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_with(Components::new);
    components
        .schemas
        .insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    let mut also = Vec::new();
    ProblemBody::schemas(&mut also);
    for (name, schema) in also {
        components.schemas.entry(name).or_insert(schema);
    }
    let key = ApiKey::Header(ApiKeyValue::with_description(
        "X-Api-Key",
        "where the daemon has one set",
    ));
    components.add_security_scheme("api_key", SecurityScheme::ApiKey(key));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    let bearer = bearer.description(Some("EVERCANDLE_ADMIN_TOKEN of the daemon"));
    components.add_security_scheme("admin_token", SecurityScheme::Http(bearer.build()));
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
        operations.into_iter().flatten().for_each(says_no);
    }
    document
}

fn says_no(operation: &mut Operation) {
    let content = || Content::new(Some(Ref::from_schema_name(ProblemBody::name())));
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        if let (true, RefOr::T(response)) = ("400" <= status.as_str(), response)
            && response.content.is_empty()
        {
            response.content.insert(PROBLEM.to_owned(), RefOr::T(content()));
        }
    }
    let other = ResponseBuilder::new()
        .description("any other no: a key is needed, too much is being asked, it took too long, …")
        .content(PROBLEM, content());
    responses.insert("default".to_owned(), RefOr::T(other.build()));
}
