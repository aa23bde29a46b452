//! `gaps`: what is missing from a range, and why.

use serde_json::json;

use crate::args::{Gaps, Global};
use crate::exit::{Exit, Failure};
use crate::gather::{Gathered, query};
use crate::output::list::{Column, List, left, right};
use crate::screen::Screen;
use crate::session::Session;
use crate::text;

const COLUMNS: [Column; 7] = [
    left("start"),
    left("end"),
    right("slots"),
    right("lasting").spare(),
    left("reason").spare(),
    left("final"),
    left("detail"),
];

pub(crate) async fn run(args: &Gaps, global: &Global, screen: &Screen) -> Result<Exit, Failure> {
    let series = args.series.series()?;
    let session = Session::open(global, &args.upstreams.internet, screen)?;
    let range = args.range.resolve(session.now(), None)?;
    let range = args.range.closed(range, series.interval());
    let query = query(series, range, &args.upstreams)?;
    let mut gathered = Gathered::new(&query);
    {
        use futures::StreamExt;
        let mut answers = std::pin::pin!(query.answers(&session.client));
        while let Some(window) = answers.next().await {
            // The klines are dropped window by window.
            gathered.take(window?);
        }
    }
    let story = gathered.finish()?;
    let grid = story.grid;
    let missing: u64 = story.gaps.iter().map(|g| grid.count(g.range)).sum();
    let wanted = grid.count(story.range).max(1);
    let footer = format!(
        "{}, {}: {} of {} slots missing ({:.3} %) in {}",
        story.series,
        text::range(story.range),
        text::thousands(missing),
        text::thousands(wanted),
        missing as f64 / wanted as f64 * 100.0,
        text::count(story.gaps.len() as u64, "gap"),
    );
    let list = List {
        columns: &COLUMNS,
        shown: story
            .gaps
            .iter()
            .map(|g| {
                vec![
                    text::instant(g.range.start()),
                    text::instant(g.range.end()),
                    text::thousands(grid.count(g.range)),
                    text::span(g.range.micros()),
                    g.reason.as_str().to_owned(),
                    if g.reason.is_final() { "yes" } else { "no" }.to_owned(),
                    g.reason.to_string(),
                ]
            })
            .collect(),
        values: story
            .gaps
            .iter()
            .map(|g| {
                vec![
                    json!(g.range.start().to_string()),
                    json!(g.range.end().to_string()),
                    json!(grid.count(g.range)),
                    json!(g.range.micros() / 1_000_000),
                    json!(g.reason.as_str()),
                    json!(g.reason.is_final()),
                    json!(g.reason.to_string()),
                ]
            })
            .collect(),
        footer: Some(footer),
    };
    super::notices(&story, screen);
    list.print(args.format, screen)?;
    // Asking what is missing is answered completely even when something is; only what could not be found out is not.
    Ok(if story.is_complete() {
        Exit::Complete
    } else {
        Exit::Incomplete
    })
}
