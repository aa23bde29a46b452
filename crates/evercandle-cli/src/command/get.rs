//! `get`: the klines of one series; and how rows of any kind are printed.
//!
//! Up to [`ROWS_HELD_MAX`] rows are held until the whole story is known, so that an incomplete answer prints nothing
//! and columnar files begin with their story. Longer answers are written as they arrive; then an incomplete one prints
//! nothing either, because what goes to stdout waits in a temporary file until the end is known.

use std::io::Write;
use std::path::Path;

use evercandle::model::batch::COLUMN_NAMES;
use evercandle::{Batch, Forming, Kind};
use evercandle_formats::{Head, Sink, Story, Style};
use futures::StreamExt;

use crate::args::{Format, Get, Global, Printing};
use crate::exit::{Exit, Failure, missing};
use crate::explain;
use crate::gather::{Gathered, Query, query};
use crate::output;
use crate::output::place::Place;
use crate::output::table::Shown;
use crate::screen::Screen;
use crate::session::Session;
use crate::text;

/// Klines held before writing begins: about 90 MB, and a year of minutes is half of it.
const ROWS_HELD_MAX: u64 = 1_000_000;
/// Klines returned when no range is given.
const ROWS_DEFAULT: u32 = 100;

pub(crate) async fn run(args: &Get, global: &Global, screen: &Screen) -> Result<Exit, Failure> {
    let series = args.series.series()?;
    let how = How::of(&args.printing, series.kind(), screen)?;
    let session = Session::open(global, &args.upstreams.internet, screen)?;
    let range = args
        .range
        .resolve(session.now(), Some((series.interval(), ROWS_DEFAULT)))?;
    let range = if args.forming {
        range
    } else {
        args.range.closed(range, series.interval())
    };
    let query = Query {
        forming: if args.forming {
            Forming::Include
        } else {
            Forming::Exclude
        },
        ..query(series, range, &args.upstreams)?
    };
    print(&query, how, &session, screen).await
}

/// How an answer is printed.
pub(super) struct How<'a> {
    style: Style,
    format: Format,
    /// A file, or stdout.
    out: Option<&'a Path>,
    /// In a table, every row.
    all: bool,
    explain: bool,
    best_effort: bool,
}

impl<'a> How<'a> {
    pub(super) fn of(args: &'a Printing, kind: Kind, screen: &Screen) -> Result<How<'a>, Failure> {
        Ok(How {
            style: output::style(kind, args.time, args.decimals, &args.columns)?,
            format: format(args.format, args.out.as_deref(), screen)?,
            out: args.out.as_deref(),
            all: args.all,
            explain: args.explain,
            best_effort: args.best_effort,
        })
    }
}

/// Asks, and prints what comes of it.
pub(super) async fn print(query: &Query, how: How<'_>, session: &Session, screen: &Screen) -> Result<Exit, Failure> {
    let How {
        style,
        format,
        out,
        all,
        explain: explained,
        best_effort,
    } = how;
    let place = match (out, best_effort) {
        (Some(path), _) => Place::file(path)?,
        (None, true) => Place::Stdout,
        (None, false) => Place::held(),
    };
    let shown = Shown {
        all,
        limit: screen.stdout_limit.filter(|_| out.is_none()),
        color: screen.stdout_color && out.is_none(),
    };
    let sink = output::sink(format, style, place.writer().map_err(|e| place.named(e.into()))?, shown);
    let mut writing = Writing {
        sink,
        begun: false,
        held: Vec::new(),
        rows: 0,
        scales: [0; COLUMN_NAMES.len()],
    };

    let mut gathered = Gathered::new(query);
    let mut answers = std::pin::pin!(query.answers(&session.client));
    while let Some(window) = answers.next().await {
        let batches = gathered.take(window?);
        writing
            .take(batches, &gathered.story)
            .map_err(|failure| place.named(failure))?;
    }
    let story = gathered.finish()?;
    if explained {
        screen.say(&explain::story(&story, screen));
    } else {
        super::notices(&story, screen);
        if story.rows == 0 && story.is_complete() {
            let reasons: Vec<String> = story
                .gaps
                .iter()
                .map(|g| format!("{} ({})", text::range(g.range), text::foreign(&g.reason.to_string())))
                .collect();
            let noun = text::noun(&story.series);
            match reasons.is_empty() {
                true => screen.say(&format!("no {noun}s: none was due")),
                false => screen.say(&format!("no {noun}s: {}", reasons.join(", "))),
            }
        }
    }
    if story.is_complete() || (best_effort && story.rows > 0) {
        writing.end(&story).map_err(|failure| place.named(failure))?;
        place.publish().await?;
    }
    match story.is_complete() {
        true => Ok(Exit::Complete),
        false if best_effort => Err(missing(&story)),
        false if story.rows == 0 => Err(missing(&story)),
        false => Err(missing(&story).hint("add --best-effort to print what was found")),
    }
}

/// As asked for, else by the file's ending, else for whoever reads stdout.
fn format(asked: Option<Format>, out: Option<&Path>, screen: &Screen) -> Result<Format, Failure> {
    let format = match (asked, out) {
        (Some(format), _) => format,
        (None, None) if screen.stdout_is_terminal => Format::Table,
        (None, None) => Format::Csv,
        (None, Some(path)) => {
            let ending = path
                .extension()
                .and_then(|e| e.to_str())
                .unwrap_or_default()
                .to_ascii_lowercase();
            match ending.as_str() {
                "csv" => Format::Csv,
                "json" => Format::Json,
                "ndjson" | "jsonl" => Format::Ndjson,
                "arrow" | "feather" | "ipc" => Format::Arrow,
                "parquet" | "pq" => Format::Parquet,
                "txt" => Format::Table,
                _ => {
                    return Err(Failure::bad_input(format!(
                        "{}: the ending does not say which format",
                        path.display()
                    ))
                    .hint("end it in .csv, .json, .ndjson, .arrow or .parquet, or add --format"));
                }
            }
        }
    };
    let binary = matches!(format, Format::Arrow | Format::Parquet);
    if binary && out.is_none() && screen.stdout_is_terminal {
        return Err(Failure::bad_input("that format is not text, and stdout is a terminal")
            .hint("name a file with --out, or send stdout somewhere with > or |"));
    }
    Ok(format)
}

struct Writing {
    sink: Box<dyn Sink>,
    begun: bool,
    held: Vec<Batch>,
    rows: u64,
    scales: [u8; COLUMN_NAMES.len()],
}

impl Writing {
    fn take(&mut self, batches: Vec<Batch>, story: &Story) -> Result<(), Failure> {
        for batch in batches {
            for (column, scale) in self.scales.iter_mut().enumerate() {
                *scale = (*scale).max(batch.scale(column).unwrap_or_default());
            }
            self.rows += batch.len() as u64;
            self.held.push(batch);
        }
        if self.rows > ROWS_HELD_MAX {
            self.write(story, false)?;
        }
        Ok(())
    }

    fn write(&mut self, story: &Story, known: bool) -> Result<(), Failure> {
        if !self.begun {
            self.begun = true;
            let head = Head {
                series: &story.series,
                range: story.range,
                story: known.then_some(story),
                scales: self.scales,
            };
            self.sink.begin(&head)?;
        }
        for batch in self.held.drain(..) {
            self.sink.batch(&batch)?;
        }
        Ok(())
    }

    fn end(mut self, story: &Story) -> Result<(), Failure> {
        self.write(story, true)?;
        self.sink.end(story)?;
        drop(self.sink);
        std::io::stdout().flush()?;
        Ok(())
    }
}
