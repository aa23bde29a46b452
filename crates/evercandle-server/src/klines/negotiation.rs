//! Which format an answer has: the one the URL names, else the one that `Accept` likes best (RFC 9110, section 12.5.1).

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use evercandle_formats::Format;

use crate::parameters::Parameters;
use crate::problem::Problem;

/// A format that klines are served in.
pub(crate) struct Served {
    /// As the parameter names it.
    pub(crate) word: &'static str,
    /// What it is.
    pub(crate) format: Format,
    /// The type it is sent as.
    pub(crate) media_type: &'static str,
    /// Other names that clients use for it.
    others: &'static [&'static str],
}

impl Served {
    /// The type as it is sent.
    pub(crate) fn content_type(&self) -> &'static str {
        match self.format {
            Format::Csv => "text/csv; charset=utf-8; header=present",
            _ => self.media_type,
        }
    }
}

/// Every format, the one for whoever does not care first.
pub(crate) const SERVED: [Served; 5] = [
    Served {
        word: "json",
        format: Format::Json,
        media_type: "application/json",
        others: &[],
    },
    Served {
        word: "csv",
        format: Format::Csv,
        media_type: "text/csv",
        others: &[],
    },
    Served {
        word: "ndjson",
        format: Format::Ndjson,
        media_type: "application/x-ndjson",
        others: &["application/ndjson", "application/jsonl"],
    },
    Served {
        word: "arrow",
        format: Format::ArrowStream,
        media_type: "application/vnd.apache.arrow.stream",
        others: &[],
    },
    Served {
        word: "parquet",
        format: Format::Parquet,
        media_type: "application/vnd.apache.parquet",
        others: &["application/x-parquet"],
    },
];

/// The format of this answer.
pub(crate) fn choose(parameters: &Parameters, headers: &HeaderMap) -> Result<&'static Served, Problem> {
    let words: Vec<(&str, usize)> = SERVED.iter().enumerate().map(|(i, served)| (served.word, i)).collect();
    if let Some(named) = parameters.one_of("format", &words)? {
        return Ok(&SERVED[named]);
    }
    let mut accepted = String::new();
    for header in headers.get_all(ACCEPT) {
        let header = header
            .to_str()
            .map_err(|_| Problem::bad_request("Accept: is not ASCII"))?;
        accepted.push_str(header);
        accepted.push(',');
    }
    best(&accepted).ok_or_else(|| {
        let types: Vec<String> = SERVED
            .iter()
            .map(|s| format!("{} ({})", s.media_type, s.word))
            .collect();
        Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            "not-acceptable",
            "There is no such format",
            format!("nothing that Accept allows is served; served are {}", types.join(", ")),
        )
        .hint("format=csv and the like overrule Accept")
    })
}

fn best(accepted: &str) -> Option<&'static Served> {
    let ranges: Vec<(&str, u32)> = accepted.split(',').filter_map(range).collect();
    if ranges.is_empty() {
        return SERVED.first();
    }
    // The most specific range that fits a type says how much it is liked; the earlier of equals in our list wins.
    let liked = |served: &Served| {
        let fitting = ranges
            .iter()
            .filter_map(|(range, q)| Some((specificity(served, range)?, *q)));
        fitting.max().map_or(0, |(_, q)| q)
    };
    let mut best: Option<(&Served, u32)> = None;
    for served in &SERVED {
        let q = liked(served);
        if 0 < q && best.is_none_or(|(_, most)| most < q) {
            best = Some((served, q));
        }
    }
    best.map(|(served, _)| served)
}

/// A media range and its weight in thousandths; parameters that are not its weight do not matter here.
pub(crate) fn range(text: &str) -> Option<(&str, u32)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let q = match weight {
        None => 1_000,
        // What cannot be read is no preference.
        Some(text) => text.parse::<f32>().map_or(0, |q| (q.clamp(0.0, 1.0) * 1_000.0) as u32),
    };
    Some((range, q))
}

/// How closely a media range fits, if it does.
fn specificity(served: &Served, range: &str) -> Option<u8> {
    let range = range.to_ascii_lowercase();
    if range == served.media_type || served.others.contains(&range.as_str()) {
        return Some(2);
    }
    match range.split_once('/')? {
        ("*", "*") => Some(0),
        (kind, "*") if served.media_type.split_once('/').is_some_and(|(ours, _)| ours == kind) => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_format_is_chosen() {
        for (accept, word) in [
            ("", Some("json")),
            ("*/*", Some("json")),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Some("json")),
            ("text/csv", Some("csv")),
            ("text/*", Some("csv")),
            ("application/json;q=0.5, text/csv;q=0.9", Some("csv")),
            ("application/json, text/csv", Some("json")),
            ("*/*;q=0.1, application/vnd.apache.parquet", Some("parquet")),
            ("application/json;q=0, */*", Some("csv")),
            ("application/ndjson", Some("ndjson")),
            ("APPLICATION/VND.APACHE.ARROW.STREAM", Some("arrow")),
            (
                "text/csv;header=present;q=0.4, application/x-ndjson;q=0.5",
                Some("ndjson"),
            ),
            ("text/html", None),
            ("image/*, text/csv;q=0", None),
            ("text/csv;q=much", None),
            ("nonsense", None),
        ] {
            assert_eq!(best(accept).map(|s| s.word), word, "{accept}");
        }
    }
}
