//! A request and a reply, as far from HTTP as the rest of the crate needs to stand.

use std::time::Duration;

use bytes::Bytes;
use percent_encoding::percent_decode_str;

/// A request after its first path segment has been read as the host it was meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `HEAD`, `POST`, `DELETE`.
    pub method: String,
    /// The original host: `api.binance.com`.
    pub host: String,
    /// The original path with its leading slash, still percent-encoded.
    pub path: String,
    /// What followed the question mark, still percent-encoded.
    pub query: String,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; only the control routes read it.
    pub body: Bytes,
}

impl Request {
    /// A GET for a URL without scheme: `api.binance.com/api/v3/time`, or `/api.binance.com/api/v3/time`.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Any method for a target of the same form.
    pub fn new(method: &str, target: &str) -> Self {
        let target = target.strip_prefix('/').unwrap_or(target);
        let (location, query) = target.split_once('?').unwrap_or((target, ""));
        let (host, path) = match location.find('/') {
            Some(slash) => location.split_at(slash),
            None => (location, "/"),
        };
        Self {
            method: method.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// The same request with one more header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The path with percent-encoding undone.
    pub fn decoded_path(&self) -> String {
        percent_decode_str(&self.path).decode_utf8_lossy().into_owned()
    }

    /// The query as pairs, percent-encoding undone, in the order sent.
    pub fn query_pairs(&self) -> Vec<(String, String)> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        self.query
            .split('&')
            .filter(|part| !part.is_empty())
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect()
    }
}

/// What the upstream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers in sending order; `Content-Length` is added when it is sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// A reply of some content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body: body.into(),
        }
    }

    /// A JSON reply as Binance labels it.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "application/json;charset=UTF-8", body)
    }

    /// The reply with one more header.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// A header by name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How the bytes of a reply travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// As a healthy server sends them.
    Whole,
    /// Not at all: the connection is reset as soon as the request has been read.
    Drop,
    /// Not at all: the connection stays open and silent.
    Silence,
    /// Headers and this many bytes of body, then a reset.
    ResetAfter(usize),
    /// Headers promising the whole body, all but this many bytes of it, then an orderly close.
    Short(usize),
    /// Chunks of blanks until the client hangs up.
    Endless,
    /// The whole body as a chunk, then an orderly close instead of the last chunk.
    Unfinished,
    /// Headers at once, then the body at this many bytes per second.
    Trickle(u32),
}

/// A response and the way it gets there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What is said.
    pub response: Response,
    /// How it travels.
    pub delivery: Delivery,
    /// How long the server thinks before the first byte.
    pub delay: Duration,
}
