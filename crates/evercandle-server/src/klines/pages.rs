//! A body of klines, made as it is read.
//!
//! The reader pulls: a page of at most [`PAGE_ROWS`] rows is made when the one before it was taken, so what is held is a
//! window of the range and a page of text, however long the range and however slow the reader. A reader that goes away
//! drops the body, and with it every question that is still open: nothing is left running. (A thread that writes into a
//! bounded channel was the other way; it would hold the thread for as long as the slowest reader reads.)
//!
//! A body that cannot be finished is cut off, never ended: whoever reads HTTP can tell an answer that was broken off from
//! a complete one, and no other sign reaches a program that reads CSV.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use evercandle::{Batch, Client, Error, TimeRange, Timestamp};
use evercandle_formats::sink::{Scales, sink};
use evercandle_formats::{Format, Gathered, Head, Query, Sink, Story, Style, Window};
use futures::StreamExt;
use futures::stream::BoxStream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use parking_lot::Mutex;

use crate::door::limits::Turns;

/// Rows made at once: a few milliseconds' work, and about a megabyte of text.
const PAGE_ROWS: usize = 4_096;

/// Everything at once, for an answer that is short.
pub(crate) fn whole(
    format: Format,
    style: Style,
    head: &Head<'_>,
    batches: &[Batch],
    story: &Story,
) -> io::Result<Bytes> {
    let mut writing = Writing::new(format, style);
    writing.sink.begin(head)?;
    for batch in batches {
        writing.sink.batch(batch)?;
    }
    writing.sink.end(story)?;
    Ok(writing.taken())
}

/// Where the rows of a body come from.
pub(crate) enum Rows {
    /// They are here.
    Held(Vec<Batch>),
    /// They are asked for, window by window.
    Asked(BoxStream<'static, Result<Window, Error>>),
}

impl Rows {
    pub(crate) fn asked(query: &Query, client: &Client) -> Rows {
        Rows::Asked(query.answers(client).boxed())
    }
}

/// What is known of a body before its first byte.
pub(crate) enum Known {
    /// All of it; rows that then turn out otherwise break the body off.
    Story(Story, Scales),
    /// Only the beginning, whose rows are here.
    Beginning(Gathered, Vec<Batch>),
}

/// A body that is made as it is read. `trailers` says what is told at the end of one whose story was not known.
pub(crate) fn body(
    (format, style): (Format, Style),
    query: &Query,
    known: Known,
    rows: Rows,
    turns: &Turns,
    trailers: fn(&Story) -> HeaderMap,
) -> Body {
    let (told, gathered, scales, pending) = match known {
        Known::Story(story, scales) => (Some(story), Gathered::new(query), scales, Vec::new()),
        Known::Beginning(gathered, batches) => {
            let scales = evercandle_formats::sink::scales(&batches);
            (None, gathered, scales, batches)
        }
    };
    let mut pages = Pages {
        writing: Some(Writing::new(format, style)),
        told,
        gathered: Some(gathered),
        scales,
        pending: VecDeque::new(),
        windows: None,
        begun: false,
        turns: turns.clone(),
        trailers,
        tail: None,
    };
    pages.cut(pending);
    match rows {
        Rows::Held(batches) => pages.cut(batches),
        Rows::Asked(windows) => pages.windows = Some(windows),
    }
    let frames = futures::stream::unfold(Some(pages), |pages| async {
        let mut pages = pages?;
        match pages.next().await {
            Ok(Some(frame)) => Some((Ok(frame), Some(pages))),
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, "an answer was broken off");
                Some((Err(error), None))
            }
        }
    });
    // Compressors ask once more after the end.
    Body::new(StreamBody::new(frames.fuse()))
}

struct Pages {
    /// Absent when everything was written.
    writing: Option<Writing>,
    told: Option<Story>,
    gathered: Option<Gathered>,
    scales: Scales,
    /// Pages of rows that are here.
    pending: VecDeque<Batch>,
    windows: Option<BoxStream<'static, Result<Window, Error>>>,
    begun: bool,
    turns: Turns,
    trailers: fn(&Story) -> HeaderMap,
    tail: Option<HeaderMap>,
}

impl Pages {
    async fn next(&mut self) -> io::Result<Option<Frame<Bytes>>> {
        if let Some(tail) = self.tail.take() {
            return Ok(Some(Frame::trailers(tail)));
        }
        // Nothing comes of rows that a columnar writer keeps for a larger group.
        while self.writing.is_some() {
            let bytes = match self.pending.pop_front() {
                Some(batch) => self.page(Some(batch)).await?,
                None => match self.window().await? {
                    true => continue,
                    false => self.end().await?,
                },
            };
            if !bytes.is_empty() {
                return Ok(Some(Frame::data(bytes)));
            }
        }
        Ok(self.tail.take().map(Frame::trailers))
    }

    /// Waits for the next rows; whether there can be more.
    async fn window(&mut self) -> io::Result<bool> {
        let Some(windows) = &mut self.windows else {
            return Ok(false);
        };
        let Some(window) = windows.next().await else {
            self.windows = None;
            return Ok(false);
        };
        let window = window.map_err(io::Error::other)?;
        if let Some(gathered) = &mut self.gathered {
            let batches = gathered.take(window);
            self.cut(batches);
        }
        Ok(true)
    }

    /// Makes one page.
    async fn page(&mut self, batch: Option<Batch>) -> io::Result<Bytes> {
        let Some(mut writing) = self.writing.take() else {
            return Ok(Bytes::new());
        };
        let begin = !std::mem::replace(&mut self.begun, true);
        let told = if begin { self.told.clone() } else { None };
        let scales = self.scales;
        let head = self.gathered.as_ref().map(|g| (g.story.series.clone(), g.story.range));
        let work = move || {
            if let (true, Some((series, range))) = (begin, &head) {
                writing.sink.begin(&Head {
                    series,
                    range: told.as_ref().map_or(*range, |story| story.range),
                    story: told.as_ref(),
                    scales,
                })?;
            }
            if let Some(batch) = batch {
                writing.sink.batch(&batch)?;
            }
            let bytes = writing.taken();
            io::Result::Ok((writing, bytes))
        };
        let _turn = self.turns.take().await;
        let (writing, bytes) = tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??;
        self.writing = Some(writing);
        Ok(bytes)
    }

    /// What comes after the last row.
    async fn end(&mut self) -> io::Result<Bytes> {
        if !self.begun {
            return self.page(None).await;
        }
        let (Some(mut writing), Some(gathered)) = (self.writing.take(), self.gathered.take()) else {
            return Ok(Bytes::new());
        };
        let asked = !gathered.story.gaps.is_empty() || 0 < gathered.story.rows;
        let found = gathered.finish().map_err(io::Error::other)?;
        let story = match self.told.take() {
            Some(told) if asked && told.rows != found.rows => {
                let why = format!("{} klines were told of, {} came", told.rows, found.rows);
                return Err(io::Error::other(why));
            }
            Some(told) => told,
            None => {
                self.tail = Some((self.trailers)(&found));
                found
            }
        };
        let work = move || {
            writing.sink.end(&story)?;
            io::Result::Ok(writing.taken())
        };
        // A columnar writer writes its last group, the largest, only now.
        let _turn = self.turns.take().await;
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    }

    /// Lays rows out in pages. They are shared, not copied.
    fn cut(&mut self, batches: Vec<Batch>) {
        for batch in batches {
            let times = batch.open_times();
            for page in times.chunks(PAGE_ROWS) {
                let (Some(first), Some(last)) = (page.first(), page.last()) else {
                    continue;
                };
                let range = TimeRange::clamped(Timestamp::from_micros(*first), Timestamp::from_micros(*last).plus(1));
                self.pending.push_back(batch.slice(range));
            }
        }
    }
}

/// A sink and what it has written.
struct Writing {
    sink: Box<dyn Sink>,
    written: Written,
}

impl Writing {
    fn new(format: Format, style: Style) -> Writing {
        let written = Written::default();
        Writing {
            sink: sink(format, style, Box::new(written.clone())),
            written,
        }
    }

    fn taken(&mut self) -> Bytes {
        std::mem::take(&mut *self.written.0.lock()).into()
    }
}

/// Bytes that a sink wrote and nobody has taken yet.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use evercandle::model::builder::{BatchBuilder, Row};
    use evercandle::model::decimals::Printed;
    use evercandle::{
        Answer, Forming, Gap, GapReason, Grid, Interval, Origin, Priority, ProviderName, Segment, Series, Sources,
        Verification, Via,
    };
    use evercandle_formats::{DecimalFormat, Dialect, TimeFormat};
    use http_body_util::BodyExt;

    use super::*;

    const DAYS: i64 = 365;
    const DAY: i64 = evercandle::model::range::DAY;

    fn query(days: i64) -> Query {
        let start = Timestamp::from_date(2023, 1, 1).unwrap();
        Query {
            series: Series::parse("BTCUSDT", Interval::M1, None).unwrap(),
            range: TimeRange::new(start, start.plus(days * DAY)).unwrap(),
            sources: Sources::CacheOnly,
            forming: Forming::Exclude,
            priority: Priority::Interactive,
            deadline: None,
        }
    }

    fn style() -> Style {
        Style {
            time: TimeFormat::Rfc3339,
            decimals: DecimalFormat::Float,
            columns: (0..11).collect(),
            dialect: Dialect::Wire,
        }
    }

    /// A day of minutes, or the lack of it.
    fn day(query: &Query, day: i64, found: bool) -> Window {
        let start = query.range.start().plus(day * DAY);
        let range = TimeRange::new(start, start.plus(DAY)).unwrap();
        let grid = Grid::new(Interval::M1, None);
        let mut builder = BatchBuilder::new(query.series.clone(), 0);
        for slot in grid.slots(range).filter(|_| found) {
            builder.push(&Row {
                open_time: slot.as_micros(),
                close_time: grid.next(slot).as_micros() - 1_000,
                count: 7,
                values: [Printed::parse(b"12345.67").unwrap(); 8],
            });
        }
        let origin = Origin {
            provider: ProviderName::new("binance-vision"),
            fetched_at: start,
            verification: Verification::Structural,
        };
        let segment = Segment {
            range,
            origin,
            via: Via::Cache,
        };
        let gap = Gap {
            range,
            reason: GapReason::NoUpstreamLeft(Vec::new()),
        };
        Window::from(Answer {
            series: query.series.clone(),
            range,
            grid,
            batches: vec![builder.finish(range).unwrap().0],
            segments: found.then_some(segment).into_iter().collect(),
            gaps: (!found).then_some(gap).into_iter().collect(),
            resting: None,
            trail: Vec::new(),
            notices: Vec::new(),
        })
    }

    /// Days as they are asked for, and how many that were so far.
    fn days(query: &Query, days: i64, lacking: Option<i64>) -> (Rows, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let (query, count) = (query.clone(), asked.clone());
        let windows = futures::stream::iter(0..days).map(move |n| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(day(&query, n, lacking != Some(n)))
        });
        (Rows::Asked(windows.boxed()), asked)
    }

    fn told(query: &Query, rows: u64) -> Known {
        let mut story = Story::new(query.series.clone(), query.range);
        story.rows = rows;
        Known::Story(story, Scales::default())
    }

    /// Goal: memory stays flat however long the range and however slow the reader. Method: a year of minutes, taken
    /// frame by frame; nothing is asked for before it is needed, and no frame is large.
    #[tokio::test]
    async fn a_year_is_made_a_page_at_a_time_and_only_when_it_is_read() {
        let query = query(DAYS);
        let (rows, asked) = days(&query, DAYS, None);
        let known = told(&query, (DAYS * 1_440) as u64);
        let mut body = body((Format::Csv, style()), &query, known, rows, &Turns::new(), |_| {
            HeaderMap::new()
        });
        assert_eq!(asked.load(Ordering::Relaxed), 0, "nobody has read anything");
        let (mut lines, mut largest, mut total) = (0, 0, 0);
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            lines += data.iter().filter(|byte| **byte == b'\n').count();
            (largest, total) = (largest.max(data.len()), total + data.len());
            let needed = lines / 1_440 + 2;
            assert!(asked.load(Ordering::Relaxed) <= needed, "days were asked for too early");
        }
        assert_eq!(lines as i64, 1 + DAYS * 1_440);
        assert!(largest < 1 << 20, "{largest} of {total} bytes were held at once");
    }

    /// Goal: a reader who leaves leaves no question behind.
    #[tokio::test]
    async fn a_body_that_is_dropped_asks_no_more() {
        let query = query(DAYS);
        let (rows, asked) = days(&query, DAYS, None);
        let mut body = body(
            (Format::Json, style()),
            &query,
            told(&query, 1),
            rows,
            &Turns::new(),
            |_| HeaderMap::new(),
        );
        body.frame().await.unwrap().unwrap();
        // The stream of questions holds one of the two.
        assert_eq!(Arc::strong_count(&asked), 2);
        drop(body);
        assert_eq!(Arc::strong_count(&asked), 1);
    }

    /// Goal: what was called complete and then is not never looks complete.
    #[tokio::test]
    async fn a_body_that_turns_out_otherwise_is_broken_off() {
        let query = query(3);
        for (format, lacking, breaks) in [
            (Format::Csv, None, false),
            (Format::Csv, Some(1), true),
            (Format::Json, Some(2), true),
            (Format::ArrowStream, Some(0), true),
            (Format::Parquet, Some(1), true),
        ] {
            let (rows, _) = days(&query, 3, lacking);
            let body = body(
                (format, style()),
                &query,
                told(&query, 3 * 1_440),
                rows,
                &Turns::new(),
                |_| HeaderMap::new(),
            );
            assert_eq!(body.collect().await.is_err(), breaks, "{format:?} {lacking:?}");
        }
    }

    #[tokio::test]
    async fn what_was_not_known_is_told_in_trailers() {
        let query = query(2);
        let (rows, _) = days(&query, 2, Some(1));
        let beginning = Known::Beginning(Gathered::new(&query), Vec::new());
        let body = body(
            (Format::Csv, style()),
            &query,
            beginning,
            rows,
            &Turns::new(),
            |story| {
                let rows = axum::http::HeaderValue::from(story.rows);
                HeaderMap::from_iter([(axum::http::HeaderName::from_static("x-rows"), rows)])
            },
        );
        let whole = body.collect().await.unwrap();
        assert_eq!(whole.trailers().unwrap()["x-rows"], "1440");
    }
}
