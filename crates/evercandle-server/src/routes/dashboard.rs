//! `/`: the page that operators look at, served from the binary.
//!
//! Its files are in `dashboard/`, as the browser gets them: nothing is built, nothing is asked of another host.
//! A file says by its tag whether it changed, and is asked about on every load, so that after an upgrade nobody looks at
//! half of the old page; what carries its version in its name is kept for ever.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::app::App;
use crate::klines::seal;

#[derive(RustEmbed)]
#[folder = "dashboard/"]
struct Files;

/// Everything from here, nothing inline; the page cannot be framed.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'",
);
/// Asked about every time, answered 304 most times.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");
/// The name holds the version.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Where files of other projects are; their names hold their versions.
const VENDORED: &str = "vendor/";

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(page))
        .route("/favicon.ico", get(icon))
        .route("/dashboard/{*path}", get(file))
}

async fn page(asked: HeaderMap) -> Response {
    serve("index.html", &asked)
}

async fn icon(asked: HeaderMap) -> Response {
    serve("icon.svg", &asked)
}

async fn file(Path(path): Path<String>, asked: HeaderMap) -> Response {
    serve(&path, &asked)
}

fn serve(path: &str, asked: &HeaderMap) -> Response {
    let Some(file) = Files::get(path) else {
        return (StatusCode::NOT_FOUND, "the dashboard has no such file\n").into_response();
    };
    let tag = tag(&file);
    let kept = if path.starts_with(VENDORED) { FOR_EVER } else { ASK };
    let mut response = if is_known(asked, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = kind(path, &file);
        ([(header::CONTENT_TYPE, kind)], file.data.into_owned()).into_response()
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, kept);
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Weak, because what is sent may be compressed on its way.
fn tag(file: &EmbeddedFile) -> String {
    let digest = file.metadata.sha256_hash();
    format!("W/\"{}\"", hex::encode(&digest[..16]))
}

fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let mut lists = asked.get_all(header::IF_NONE_MATCH).iter();
    lists.any(|list| list.to_str().is_ok_and(|list| seal::is_held(tag, list)))
}

/// Text is UTF-8, and says so.
fn kind(path: &str, file: &EmbeddedFile) -> String {
    let kind = file.metadata.mimetype();
    if kind.starts_with("text/") || path.ends_with(".js") {
        format!("{kind}; charset=utf-8")
    } else {
        kind.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(tag: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, tag.parse().unwrap());
        headers
    }

    fn of(response: &Response, name: header::HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn every_file_says_what_it_is_and_the_browser_may_run_nothing_else() {
        for path in Files::iter() {
            let response = serve(&path, &HeaderMap::new());
            let kind = of(&response, header::CONTENT_TYPE).to_owned();
            let expected = match path.rsplit('.').next().unwrap() {
                "html" => "text/html; charset=utf-8",
                "js" => "text/javascript; charset=utf-8",
                "css" => "text/css; charset=utf-8",
                "svg" => "image/svg+xml",
                "txt" => "text/plain; charset=utf-8",
                other => panic!("{path}: what is a .{other}?"),
            };
            assert_eq!(kind, expected, "{path}");
            assert_eq!(of(&response, header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
            let policy = of(&response, header::CONTENT_SECURITY_POLICY);
            assert!(
                policy.starts_with("default-src 'self';") && !policy.contains("unsafe"),
                "{path}"
            );
        }
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again() {
        let first = serve("index.html", &HeaderMap::new());
        let tag = of(&first, header::ETAG).to_owned();
        for known in [
            tag.clone(),
            tag.trim_start_matches("W/").to_owned(),
            format!("\"x\", {tag}"),
            "*".to_owned(),
        ] {
            assert_eq!(
                serve("index.html", &asked(&known)).status(),
                StatusCode::NOT_MODIFIED,
                "{known}"
            );
        }
        assert_eq!(serve("index.html", &asked("\"another\"")).status(), StatusCode::OK);
    }

    #[test]
    fn only_what_has_a_version_in_its_name_is_kept_without_asking() {
        for path in Files::iter() {
            let response = serve(&path, &HeaderMap::new());
            let kept = of(&response, header::CACHE_CONTROL).contains("immutable");
            assert_eq!(kept, path.starts_with(VENDORED), "{path}");
        }
    }

    #[test]
    fn nothing_outside_the_folder_is_a_file_of_the_dashboard() {
        for path in [
            "../Cargo.toml",
            "/etc/passwd",
            "",
            "vendor",
            "main.js/",
            "..%2fCargo.toml",
        ] {
            assert_eq!(
                serve(path, &HeaderMap::new()).status(),
                StatusCode::NOT_FOUND,
                "{path:?}"
            );
        }
    }

    /// Goal: the page needs no other host and runs nothing inline, by the text of its files.
    #[test]
    fn the_page_asks_no_other_host() {
        for path in Files::iter().filter(|path| !path.starts_with(VENDORED)) {
            let file = Files::get(&path).unwrap();
            let text = String::from_utf8(file.data.into_owned()).unwrap();
            for place in [
                "src=\"http",
                "src=\"//",
                "url(http",
                "url(//",
                "import(\"http",
                "from \"http",
                "fetch(\"http",
                "@import",
            ] {
                assert!(!text.contains(place), "{path} asks another host: {place}");
            }
            for inline in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                " onclick=",
                " style=\"",
                "eval(",
            ] {
                assert!(!text.contains(inline), "{path}: {inline} lets text become markup");
            }
        }
    }
}
