//! What a chunk says about itself, in the Arrow schema's metadata, so that a file alone is enough to know what it is.
//!
//! Two keys hold JSON: `evercandle` (identity, covered slots, holes, segments) and `evercandle.decimals` (what gives
//! every double back as the exchange printed it). Times are microseconds since the epoch. The types here are the file
//! format and nothing else uses them; a change of meaning is a new [`FORMAT`].

use std::collections::HashMap;

use arrow_schema::Metadata;
use serde::{Deserialize, Serialize};

use crate::answer::{Origin, ProviderName, Verification};
use crate::model::decimals::{Decimals, Exception, ScaleRun, Scales};
use crate::model::interval::{Grid, Interval};
use crate::model::range::{RangeSet, TimeRange, Timestamp};
use crate::model::series::Series;

use super::content::Content;
use super::layout::{FORMAT, Subject, live_unit};
use super::{Hole, Piece};

const STORY_KEY: &str = "evercandle";
const DECIMALS_KEY: &str = "evercandle.decimals";

/// What a chunk says about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Story {
    /// Some slot's start on a `3d` grid; absent on every other, and while the phase is unknown.
    pub(super) anchor: Option<Timestamp>,
    /// An instant before which the series has no kline.
    pub(super) first_open: Option<Timestamp>,
    /// How many klines there are.
    pub(super) rows: u64,
    /// The slots they fill.
    pub(super) covered: RangeSet,
    /// Slots known to have none.
    pub(super) holes: Vec<Hole>,
    /// Runs of klines with one origin: from the first's open time to just after the last's, in time order.
    pub(super) segments: Vec<(TimeRange, Origin)>,
    /// How the doubles print.
    pub(super) decimals: Decimals,
}

/// The story cannot be told from this metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Untold {
    /// Written by a later version: nothing is wrong with the file, but it is not for us.
    Newer,
    /// It says something it cannot mean.
    Broken(String),
}

impl Story {
    /// The story of `content`, which lies in one period.
    pub(super) fn of(interval: Interval, content: &Content, anchor: Option<Timestamp>) -> Story {
        let mut decimals = Decimals::default();
        for piece in &content.pieces {
            if let Some(span) = piece.batch.span() {
                decimals.append(&piece.batch.decimals().within(span));
            }
        }
        Story {
            anchor,
            first_open: None,
            rows: content.rows() as u64,
            covered: content.covered.clone(),
            holes: content.holes.clone(),
            segments: segments(&content.pieces, interval),
            decimals,
        }
    }

    /// The grid the story was told on.
    pub(super) fn grid(&self, interval: Interval) -> Grid {
        Grid::new(interval, self.anchor)
    }

    /// As schema metadata.
    pub(super) fn to_metadata(&self, series: &Series, subject: Subject) -> serde_json::Result<HashMap<String, String>> {
        let file = StoryFile {
            format: FORMAT,
            series: identity(series),
            subject: subject.to_string(),
            anchor: self.anchor.map(Timestamp::as_micros),
            first_open: self.first_open.map(Timestamp::as_micros),
            rows: self.rows,
            covered: self.covered.iter().map(ends).collect(),
            holes: self.holes.iter().map(HoleFile::of).collect(),
            segments: self
                .segments
                .iter()
                .map(|(range, origin)| SegmentFile::of(*range, origin))
                .collect(),
        };
        let decimals = DecimalsFile {
            scales: self
                .decimals
                .runs()
                .iter()
                .map(|r| (r.from.as_micros(), r.scales))
                .collect(),
            exceptions: self
                .decimals
                .exceptions()
                .iter()
                .map(|e| (e.open_time.as_micros(), e.column, e.text.clone()))
                .collect(),
        };
        Ok(HashMap::from([
            (STORY_KEY.to_owned(), serde_json::to_string(&file)?),
            (DECIMALS_KEY.to_owned(), serde_json::to_string(&decimals)?),
        ]))
    }

    /// From schema metadata, if it is about this series and subject.
    pub(super) fn from_metadata(metadata: &Metadata, series: &Series, subject: Subject) -> Result<Story, Untold> {
        let text = |key: &str| {
            metadata
                .get(key)
                .ok_or_else(|| Untold::Broken(format!("no metadata {key:?}")))
        };
        let broken = |e: serde_json::Error| Untold::Broken(e.to_string());
        let story = text(STORY_KEY)?;
        let version: VersionFile = serde_json::from_str(story).map_err(broken)?;
        if version.format != FORMAT {
            return Err(Untold::Newer);
        }
        let file: StoryFile = serde_json::from_str(story).map_err(broken)?;
        let said = (file.series.as_str(), file.subject.as_str());
        let expected = (identity(series), subject.to_string());
        if said != (expected.0.as_str(), expected.1.as_str()) {
            return Err(Untold::Broken(format!(
                "says it is {said:?}, lies where {expected:?} does"
            )));
        }
        let decimals: DecimalsFile = serde_json::from_str(text(DECIMALS_KEY)?).map_err(broken)?;
        let story = Story {
            anchor: file.anchor.map(instant).transpose()?,
            first_open: file.first_open.map(instant).transpose()?,
            rows: file.rows,
            covered: file.covered.into_iter().map(range).collect::<Result<_, _>>()?,
            holes: file.holes.into_iter().map(HoleFile::read).collect::<Result<_, _>>()?,
            segments: file
                .segments
                .into_iter()
                .map(SegmentFile::read)
                .collect::<Result<_, _>>()?,
            decimals: decimals.read()?,
        };
        story.check()?;
        Ok(story)
    }

    fn check(&self) -> Result<(), Untold> {
        let apart = |ranges: Vec<TimeRange>| ranges.windows(2).all(|w| w[0].end() <= w[1].start());
        if !apart(self.holes.iter().map(|h| h.range).collect()) || !apart(self.segments.iter().map(|s| s.0).collect()) {
            return Err(Untold::Broken("holes or segments overlap".into()));
        }
        if self.holes.iter().any(|h| !self.covered.within(h.range).is_empty()) {
            return Err(Untold::Broken("a hole lies where a kline is".into()));
        }
        Ok(())
    }
}

/// Runs of one origin. A refresh adds a kline or two at a time, and a run for each would outgrow the klines; so
/// neighbours that one provider supplied within the length of a live period count as one, with the earlier time: the
/// age we claim is never less than the truth.
fn segments(pieces: &[Piece], interval: Interval) -> Vec<(TimeRange, Origin)> {
    let near = super::layout::Period::around(live_unit(interval), Timestamp::EPOCH)
        .range()
        .micros();
    let mut segments: Vec<(TimeRange, Origin)> = Vec::new();
    for piece in pieces {
        let Some(span) = piece.batch.span() else { continue };
        match segments.last_mut() {
            Some((range, origin)) if alike(origin, &piece.origin, near) => {
                origin.fetched_at = origin.fetched_at.min(piece.origin.fetched_at);
                *range = TimeRange::clamped(range.start(), span.end());
            }
            _ => segments.push((span, piece.origin.clone())),
        }
    }
    segments
}

fn alike(a: &Origin, b: &Origin, near: i64) -> bool {
    let later = |a: &Origin, b: &Origin| b.fetched_at.since(a.fetched_at);
    a.provider == b.provider
        && a.verification == b.verification
        && (a.fetched_at == b.fetched_at
            || (a.verification == Verification::Structural && (0..near).contains(&later(a, b).abs())))
}

fn identity(series: &Series) -> String {
    series.to_string()
}

fn ends(range: TimeRange) -> (i64, i64) {
    (range.start().as_micros(), range.end().as_micros())
}

fn instant(micros: i64) -> Result<Timestamp, Untold> {
    let t = Timestamp::from_micros(micros);
    (t.as_micros() == micros)
        .then_some(t)
        .ok_or_else(|| Untold::Broken(format!("no instant: {micros}")))
}

fn range((start, end): (i64, i64)) -> Result<TimeRange, Untold> {
    TimeRange::new(instant(start)?, instant(end)?).ok_or_else(|| Untold::Broken(format!("no range: {start}..{end}")))
}

/// Read first, so that a later version's other fields do not matter.
#[derive(Deserialize)]
struct VersionFile {
    format: u32,
}

#[derive(Serialize, Deserialize)]
struct StoryFile {
    format: u32,
    series: String,
    subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_open: Option<i64>,
    rows: u64,
    covered: Vec<(i64, i64)>,
    holes: Vec<HoleFile>,
    segments: Vec<SegmentFile>,
}

#[derive(Serialize, Deserialize)]
struct HoleFile {
    start: i64,
    end: i64,
    halt: bool,
    first_seen: i64,
    checked_at: i64,
}

impl HoleFile {
    fn of(hole: &Hole) -> HoleFile {
        let (start, end) = ends(hole.range);
        HoleFile {
            start,
            end,
            halt: hole.halt,
            first_seen: hole.first_seen.as_micros(),
            checked_at: hole.checked_at.as_micros(),
        }
    }

    fn read(self) -> Result<Hole, Untold> {
        Ok(Hole {
            range: range((self.start, self.end))?,
            halt: self.halt,
            first_seen: instant(self.first_seen)?,
            checked_at: instant(self.checked_at)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct SegmentFile {
    start: i64,
    end: i64,
    provider: String,
    fetched_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

impl SegmentFile {
    fn of(range: TimeRange, origin: &Origin) -> SegmentFile {
        let (start, end) = ends(range);
        let (sha256, etag) = match &origin.verification {
            Verification::Checksum { sha256, etag } => (Some(sha256.clone()), etag.clone()),
            Verification::Structural | Verification::Unsettled => (None, None),
        };
        SegmentFile {
            start,
            end,
            provider: origin.provider.to_string(),
            fetched_at: origin.fetched_at.as_micros(),
            sha256,
            etag,
        }
    }

    fn read(self) -> Result<(TimeRange, Origin), Untold> {
        let verification = match self.sha256 {
            Some(sha256) => Verification::Checksum {
                sha256,
                etag: self.etag,
            },
            None => Verification::Structural,
        };
        let origin = Origin {
            provider: ProviderName::new(&self.provider),
            fetched_at: instant(self.fetched_at)?,
            verification,
        };
        Ok((range((self.start, self.end))?, origin))
    }
}

#[derive(Serialize, Deserialize)]
struct DecimalsFile {
    /// From this open time on, so many fraction digits per decimal column.
    scales: Vec<(i64, Scales)>,
    /// Open time, decimal column, text.
    exceptions: Vec<(i64, u8, Box<str>)>,
}

impl DecimalsFile {
    fn read(self) -> Result<Decimals, Untold> {
        let run = |(from, scales)| {
            Ok(ScaleRun {
                from: instant(from)?,
                scales,
            })
        };
        let exception = |(open_time, column, text)| {
            Ok(Exception {
                open_time: instant(open_time)?,
                column,
                text,
            })
        };
        let runs = self.scales.into_iter().map(run).collect::<Result<_, Untold>>()?;
        let exceptions = self
            .exceptions
            .into_iter()
            .map(exception)
            .collect::<Result<_, Untold>>()?;
        Decimals::from_parts(runs, exceptions).ok_or_else(|| Untold::Broken("decimals out of order".into()))
    }
}
