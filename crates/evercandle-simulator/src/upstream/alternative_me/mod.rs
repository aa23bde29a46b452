//! `api.alternative.me`: the fear and greed index, all in strings.
//!
//! Asked for CSV it answers a JSON envelope around bare lines, which no parser of either takes: header and columns do not
//! even agree on their order. Only the newest element says when the next is due.

use crate::fault::Effect;
use crate::market::FearGreed;
use crate::message::{Request, Response};
use crate::time::{DAY, SECOND, day_of};
use crate::upstream::World;

/// How a day is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DateFormat {
    /// Seconds since 1970.
    Unix,
    /// `MM-DD-YYYY`
    Us,
    /// `YYYY-MM-DD`
    Asia,
    /// `DD-MM-YYYY`
    World,
}

/// The service with the one thing it knows.
pub(crate) struct AlternativeMe {
    /// Microseconds after midnight at which the value of the day is put out.
    pub(crate) delay: i64,
}

impl AlternativeMe {
    pub(crate) fn respond(&self, world: &World, request: &Request, effects: &[Effect], now: i64) -> Response {
        if request.path.trim_end_matches('/') != "/fng" {
            return Response::new(404, "text/html", "<h1>Not Found</h1>");
        }
        let pairs = request.query_pairs();
        let value = |name: &str| {
            let found = pairs.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        let failure = effects.iter().find_map(|effect| match effect {
            Effect::FearGreedError { message } => Some(message.as_str()),
            _ => None,
        });
        if let Some(message) = failure {
            return json(envelope("", Some(message)));
        }
        let Ok(limit) = value("limit").unwrap_or("1").parse::<usize>() else {
            return json(envelope("", Some("limit is not a number")));
        };
        let csv = value("format") == Some("csv");
        let format = match value("date_format") {
            Some("us") => DateFormat::Us,
            Some("cn" | "kr") => DateFormat::Asia,
            Some("world") => DateFormat::World,
            _ if csv => DateFormat::World,
            _ => DateFormat::Unix,
        };
        let published = now.saturating_sub(self.delay);
        let mut rows = world.market.fear_greed_until(published);
        let mut due = Some((published.div_euclid(DAY) + 1) * DAY + self.delay - now);
        let mut newest_value = None;
        for effect in effects {
            match effect {
                Effect::NoTimeUntilUpdate => due = None,
                Effect::MissingNewestDays { days } => drop(rows.drain(..(*days).min(rows.len()))),
                Effect::FearGreedValue { value } => newest_value = Some(*value),
                _ => {}
            }
        }
        if limit > 0 {
            rows.truncate(limit);
        }
        let values: Vec<i64> = rows.iter().map(|row| i64::from(row.value)).collect();
        let value_of = |position: usize| newest_value.filter(|_| position == 0).unwrap_or(values[position]);
        let body = if csv {
            let lines = rows.iter().enumerate();
            let lines = lines.map(|(at, row)| format!("{},{},{}\n", date(row, format), value_of(at), row.class));
            // The names are in another order than the columns; so it is published.
            envelope(
                &format!("fng_value,fng_classification,date\n{}", lines.collect::<String>()),
                None,
            )
        } else {
            let elements = rows.iter().enumerate().map(|(at, row)| {
                let due = due.filter(|_| at == 0).map_or(String::new(), |due| {
                    format!(",\n\t\t\t\"time_until_update\": \"{}\"", due / SECOND)
                });
                format!(
                    "\t\t{{\n\t\t\t\"value\": \"{}\",\n\t\t\t\"value_classification\": \"{}\",\n\t\t\t\"timestamp\": \"{}\"{due}\n\t\t}}",
                    value_of(at),
                    row.class,
                    date(row, format)
                )
            });
            let mut elements = elements.collect::<Vec<_>>().join(",\n");
            elements.push('\n');
            envelope(&elements, None)
        };
        json(body)
    }
}

fn envelope(data: &str, error: Option<&str>) -> String {
    let error = serde_json::json!(error);
    format!(
        "{{\n\t\"name\": \"Fear and Greed Index\",\n\t\"data\": [\n{data}\t],\n\t\"metadata\": {{\n\t\t\"error\": {error}\n\t}}\n}}"
    )
}

fn json(body: String) -> Response {
    Response::new(200, "application/json", body)
}

fn date(row: &FearGreed, format: DateFormat) -> String {
    let day = day_of(row.day);
    match format {
        DateFormat::Unix => (row.day / SECOND).to_string(),
        DateFormat::Us => day.strftime("%m-%d-%Y").to_string(),
        DateFormat::Asia => day.strftime("%Y-%m-%d").to_string(),
        DateFormat::World => day.strftime("%d-%m-%Y").to_string(),
    }
}
