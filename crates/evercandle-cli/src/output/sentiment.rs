//! Readings for the outside, always with what they measure.

use evercandle::model::range::DAY;
use evercandle::{Measure, Reading, Sentiment, SentimentState, Timestamp};
use serde_json::{Value, json};

use super::list::{Column, csv_cell, json_text, left, right, table};
use crate::args::LatestFormat;
use crate::screen::{Ink, Screen, paint};
use crate::text;

/// Whoever shows the index must name its source.
pub(crate) const ATTRIBUTION: &str = "Data: alternative.me";
/// Characters of the bar beside a value, where there is room.
const BAR: usize = 40;
/// Characters of a row that are not its bar.
const BESIDE_BAR: usize = 34;

const SHOWN: [Column; 4] = [left("day"), right("value"), left("class"), left("0 … 100")];
const SHOWN_BARE: [Column; 2] = [left("day"), right("value")];
const NAMES: [&str; 8] = [
    "at",
    "value",
    "classification",
    "measure",
    "state",
    "provider",
    "fetched_at",
    "valid_until",
];

/// A sentiment as text for stdout.
pub(crate) fn text(sentiment: &Sentiment, format: LatestFormat, screen: &Screen) -> String {
    match format {
        LatestFormat::Table => shown(sentiment, screen),
        LatestFormat::Json => json_text(&format!("{:#}\n", object(sentiment))),
        LatestFormat::Csv => {
            let rows = sentiment.readings.iter().map(|r| {
                let row = flat(sentiment, r);
                NAMES.iter().map(|n| csv_cell(&row[n])).collect::<Vec<_>>().join(",") + "\n"
            });
            format!("{}\n{}", NAMES.join(","), rows.collect::<String>())
        }
        LatestFormat::Ndjson => {
            let rows = sentiment.readings.iter();
            rows.map(|r| json_text(&format!("{}\n", flat(sentiment, r)))).collect()
        }
    }
}

/// What must not be overlooked, if anything.
pub(crate) fn warning(sentiment: &Sentiment) -> Option<String> {
    let (what, age) = (text::foreign(&sentiment.measure.describe()), text::age(sentiment.age));
    match sentiment.state {
        _ if !sentiment.measure.is_primary() => Some(format!(
            "this is not the Fear & Greed Index, which could not be had: {what} stands in for it"
        )),
        SentimentState::Current => None,
        SentimentState::Stale => Some(format!(
            "the newest reading is {age} old; there should be a newer one by now"
        )),
        SentimentState::LastKnown => Some(format!("nobody answered; this was known before and is {age} old")),
    }
}

/// Where the newest reading stands, in a line.
pub(crate) fn summary(sentiment: &Sentiment) -> String {
    let Some(newest) = sentiment.readings.first() else {
        return String::new();
    };
    let class = newest
        .classification
        .as_deref()
        .map(|c| format!(" {}", text::foreign(c)));
    let state = match sentiment.state {
        SentimentState::Current => "current",
        SentimentState::Stale => "stale",
        SentimentState::LastKnown => "last known",
    };
    format!(
        "{}{}: {state}, of {}, {} old; {}, fetched {}{}",
        number(newest.value),
        class.unwrap_or_default(),
        text::instant(newest.at),
        text::age(sentiment.age),
        sentiment.provider,
        text::second(sentiment.fetched_at),
        match sentiment.via {
            evercandle::Via::Cache => " (remembered)",
            evercandle::Via::Upstream => "",
        }
    )
}

/// What is measured, marked if it only stands in.
pub(crate) fn title(sentiment: &Sentiment, color: bool) -> String {
    let what = text::foreign(&sentiment.measure.describe());
    match sentiment.measure.is_primary() {
        true => paint(color, Ink::Title, &what),
        false => format!(
            "{} {}",
            paint(color, Ink::Warning, "STANDS IN:"),
            paint(color, Ink::Title, &what)
        ),
    }
}

/// Whether its values go from 0 to 100.
pub(crate) fn is_percentage(measure: &Measure) -> bool {
    match measure {
        Measure::FearAndGreed | Measure::Votes { .. } => true,
        Measure::LongShortRatio { .. } => false,
    }
}

/// How a value between fear and greed looks.
pub(crate) fn ink(value: f64) -> Ink {
    match value {
        v if v < 45.0 => Ink::Bad,
        v if v <= 55.0 => Ink::Warning,
        _ => Ink::Good,
    }
}

/// In the fewest digits that tell it from its neighbours.
pub(crate) fn number(value: f64) -> String {
    match value.fract() == 0.0 {
        true => format!("{value:.0}"),
        false => format!("{value:.2}"),
    }
}

fn shown(sentiment: &Sentiment, screen: &Screen) -> String {
    let color = screen.stdout_color;
    let mut out = format!("{}\n{}\n", title(sentiment, color), summary(sentiment));
    let scaled = is_percentage(&sentiment.measure);
    let width = screen
        .stdout_limit
        .map_or(BAR, |limit| limit.saturating_sub(BESIDE_BAR).clamp(8, BAR));
    if let ([one], true) = (sentiment.readings.as_slice(), scaled) {
        out += &format!("  0 {} 100\n", bar(one.value, width, color));
        return out;
    }
    let day = |at: Timestamp| at.as_micros().div_euclid(DAY);
    let readings = sentiment.readings.iter().map(|r| (r.at, Some(r)));
    let missing = sentiment.missing.iter().map(|at| (*at, None));
    let mut days: Vec<(Timestamp, Option<&Reading>)> = readings.chain(missing).collect();
    days.sort_by_key(|(at, _)| std::cmp::Reverse(day(*at)));
    let rows: Vec<Vec<String>> = days
        .into_iter()
        .map(|(at, reading)| {
            let mut row = vec![text::instant(at)];
            match reading {
                Some(r) => {
                    row.push(number(r.value));
                    row.push(r.classification.clone().unwrap_or_default());
                    row.push(bar(r.value, width, false).trim_end_matches('░').to_owned());
                }
                None => row.extend(["–".to_owned(), "missing".to_owned(), "none published".to_owned()]),
            }
            row
        })
        .collect();
    out += &match scaled {
        true => table(&SHOWN, &rows, screen.stdout_limit),
        false => table(&SHOWN_BARE, &rows, screen.stdout_limit),
    };
    out
}

fn bar(value: f64, width: usize, color: bool) -> String {
    let filled = ((value / 100.0).clamp(0.0, 1.0) * width as f64).round() as usize;
    let (full, empty) = ("█".repeat(filled), "░".repeat(width - filled));
    format!(
        "{}{}",
        paint(color, ink(value), &full),
        paint(color, Ink::Faint, &empty)
    )
}

/// Whole numbers without a fraction, as the index prints them.
fn plain(value: f64) -> Value {
    match value.fract() == 0.0 && value.abs() < 1e9 {
        true => json!(value as i64),
        false => json!(value),
    }
}

fn reading(reading: &Reading) -> Value {
    json!({
        "at": reading.at.to_string(),
        "value": plain(reading.value),
        "classification": reading.classification,
        "valid_until": reading.valid_until.map(|t| t.to_string()),
    })
}

fn flat(sentiment: &Sentiment, one: &Reading) -> Value {
    let mut row = reading(one);
    row["measure"] = json!(sentiment.measure.as_str());
    row["state"] = json!(sentiment.state.as_str());
    row["provider"] = json!(sentiment.provider.as_str());
    row["fetched_at"] = json!(sentiment.fetched_at.to_string());
    row
}

fn object(sentiment: &Sentiment) -> Value {
    json!({
        "measure": sentiment.measure.as_str(),
        "description": sentiment.measure.describe(),
        "primary": sentiment.measure.is_primary(),
        "state": sentiment.state.as_str(),
        "age_seconds": super::seconds(sentiment.age),
        "readings": sentiment.readings.iter().map(reading).collect::<Vec<_>>(),
        "missing": sentiment.missing.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "provider": sentiment.provider.as_str(),
        "fetched_at": sentiment.fetched_at.to_string(),
        "via": sentiment.via.as_str(),
        "attribution": sentiment.measure.is_primary().then_some(ATTRIBUTION),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn days_without_a_reading_are_shown_as_such() {
        let text = text(&fixture::sentiment(), LatestFormat::Table, &fixture::screen(Some(100)));
        insta::assert_snapshot!("sentiment", text);
        let narrow = super::text(&fixture::sentiment(), LatestFormat::Table, &fixture::screen(Some(50)));
        assert_eq!(narrow.lines().count(), text.lines().count(), "{narrow}");
    }

    #[test]
    fn another_measure_is_said_to_stand_in() {
        let votes = fixture::votes();
        let text = text(&votes, LatestFormat::Table, &fixture::screen(Some(100)));
        assert!(text.starts_with("STANDS IN: votes in favour of bitcoin"), "{text}");
        let warning = warning(&votes).unwrap();
        assert!(warning.contains("not the Fear & Greed Index"), "{warning}");
        assert_eq!(super::warning(&fixture::sentiment()), None);
    }

    #[test]
    fn programs_get_every_field() {
        let screen = fixture::screen(None);
        insta::assert_snapshot!(
            "sentiment_json",
            text(&fixture::sentiment(), LatestFormat::Json, &screen)
        );
        insta::assert_snapshot!("sentiment_csv", text(&fixture::sentiment(), LatestFormat::Csv, &screen));
    }
}
