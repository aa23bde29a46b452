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
    format: Format,
    style: Style,
    query: &Query,
    known: Known,
    rows: Rows,
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
