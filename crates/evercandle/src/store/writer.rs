//! From new klines to files that are there for good, or not at all.
//!
//! Merge with what is held, serialise, write and flush every file under a temporary name, rename them all, flush the
//! folder once, and only then let readers know and remove what was merged. Dying anywhere leaves temporary files, and
//! files that overlap harmlessly.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::answer::Verification;
use crate::model::batch::Batch;
use crate::model::interval::{Grid, Interval};
use crate::model::range::{RangeSet, TimeRange, Timestamp};
use crate::telemetry;

use super::chunk;
use super::content::Content;
use super::disk::{self, Draft};
use super::layout::{ChunkName, Period, Subject, live_unit, sealed_unit};
use super::ledger::{Shelf, View};
use super::site::Site;
use super::story::Story;
use super::{Hole, Parcel, StoreError, Written};

/// A file to be written: what goes in, and which files it makes superfluous.
struct Target {
    subject: Subject,
    generation: u32,
    content: Content,
    story: Story,
    superseded: Vec<ChunkName>,
}

/// Adds parcels to what is held.
pub(super) fn write(site: &Site, shelf: &Shelf, grid: Grid, parcels: &[Parcel]) -> Result<Written, StoreError> {
    let _alone = shelf.writing.lock();
    let interval = shelf.series.interval();
    let (_, anchor) = shelf.look_at(site, &[]);
    let grid = known_grid(interval, grid, anchor, parcels);
    let touched = touched(grid, parcels);
    let periods: BTreeSet<Period> = touched
        .iter()
        .flat_map(|range| Period::touching(sealed_unit(interval), range))
        .filter(|period| !touched.within(period.domain(grid)).is_empty())
        .collect();
    let periods: Vec<Period> = periods.into_iter().collect();
    let (views, _) = shelf.look_at(site, &periods);
    let mut targets = Vec::new();
    let mut written = Written::default();
    let mut restated = 0;
    for (period, view) in periods.iter().zip(&views) {
        let merged = merge(view, period.domain(grid), grid, parcels);
        written.rows += merged.rows;
        restated += merged.restated;
        targets.extend(plan(interval, grid, *period, view, &merged.content, &touched));
    }
    save(site, shelf, &targets, &mut written)?;
    telemetry::cache_restated(restated);
    Ok(written)
}

/// Remembers an instant before which the series has no kline.
pub(super) fn learn_first_open(site: &Site, shelf: &Shelf, first_open: Timestamp) -> Result<(), StoreError> {
    let _alone = shelf.writing.lock();
    let known = shelf.facts(site);
    if known.first_open == Some(first_open) {
        return Ok(());
    }
    let story = Story {
        first_open: Some(first_open),
        ..Story::default()
    };
    let target = Target {
        subject: Subject::Facts,
        generation: next_generation(&known, Subject::Facts),
        content: Content::default(),
        story,
        superseded: known.chunks.iter().map(|c| c.0).collect(),
    };
    save(site, shelf, &[target], &mut Written::default())
}

/// The grid, with its phase if anybody knows it.
fn known_grid(interval: Interval, asked: Grid, anchor: Option<Timestamp>, parcels: &[Parcel]) -> Grid {
    if !asked.is_provisional() {
        return asked;
    }
    let first = parcels.iter().find_map(|p| p.batch.span()).map(TimeRange::start);
    Grid::new(interval, first.or(anchor))
}

/// The slots about which something new is said.
fn touched(grid: Grid, parcels: &[Parcel]) -> RangeSet {
    let rows = parcels.iter().filter(|p| is_storable(p)).map(|p| p.batch.slots(grid));
    let mut touched = rows.fold(RangeSet::empty(), |all, slots| all.union(&slots));
    for hole in parcels.iter().flat_map(|p| &p.holes) {
        touched.insert(hole.range);
    }
    for parcel in parcels.iter().filter(|p| is_storable(p)) {
        touched = touched.union(&parcel.quiet);
    }
    touched
}

/// A kline that may still change is never stored.
fn is_storable(parcel: &Parcel) -> bool {
    parcel.origin.verification != Verification::Unsettled
}

struct Merged {
    content: Content,
    rows: usize,
    restated: usize,
}

fn merge(view: &View, domain: TimeRange, grid: Grid, parcels: &[Parcel]) -> Merged {
    let mut merged = Merged {
        content: view.content.clone(),
        rows: 0,
        restated: 0,
    };
    for parcel in parcels {
        let batch = match is_storable(parcel) {
            true => parcel.batch.slice(domain),
            false => Batch::empty(parcel.batch.series().clone()),
        };
        let put = merged.content.put(&batch, &parcel.origin, grid);
        merged.rows += put.accepted;
        merged.restated += put.restated;
        if is_storable(parcel) && !parcel.quiet.is_empty() {
            merged.content.put_quiet(&parcel.quiet.within(domain));
        }
        let inside = |hole: &Hole| Hole {
            range: hole.range.intersect(domain),
            ..*hole
        };
        let holes: Vec<Hole> = parcel
            .holes
            .iter()
            .map(inside)
            .filter(|h| !h.range.is_empty())
            .collect();
        merged.content.put_holes(&holes);
    }
    merged
}

/// Which files hold a sealed period's content: one for all of it when nothing in it can be missing any more (or one is
/// there already), else one for each live period that changed.
fn plan(
    interval: Interval,
    grid: Grid,
    period: Period,
    view: &View,
    merged: &Content,
    touched: &RangeSet,
) -> Vec<Target> {
    let (live, sealed) = (live_unit(interval), sealed_unit(interval));
    let is_sealed = view
        .chunks
        .iter()
        .any(|(name, _)| name.subject == Subject::Period(period));
    let is_complete = || merged.known().covers(period.domain(grid));
    let periods: Vec<Period> = match live == sealed || is_sealed || is_complete() {
        true => vec![period],
        false => Period::touching(live, period.range())
            .filter(|p| period.range().covers(p.range()) && !touched.within(p.domain(grid)).is_empty())
            .collect(),
    };
    let anchor = |domain: TimeRange| (interval == Interval::D3 && !grid.is_provisional()).then_some(domain.start());
    periods
        .into_iter()
        .filter_map(|part| {
            let domain = part.domain(grid);
            let content = merged.within(domain);
            let bases: Vec<_> = view
                .chunks
                .iter()
                .filter(|(name, _)| belongs(name, part, period))
                .collect();
            let subject = Subject::Period(part);
            if let [(name, base)] = bases.as_slice()
                && name.subject == subject
                && base.chunk.content.same(&content)
            {
                return None;
            }
            Some(Target {
                subject,
                generation: next_generation(view, subject),
                story: Story::of(interval, &content, anchor(domain)),
                content,
                superseded: bases.iter().map(|c| c.0).collect(),
            })
        })
        .collect()
}

/// Whether a file's content is all inside the part to be written.
fn belongs(name: &ChunkName, part: Period, whole: Period) -> bool {
    match name.subject {
        Subject::Period(subject) => part == whole || subject == part,
        Subject::Facts => false,
    }
}

fn next_generation(view: &View, subject: Subject) -> u32 {
    view.generations
        .get(&subject)
        .map_or(1, |highest| highest.saturating_add(1))
}

/// Writes all targets, then makes them visible together.
fn save(site: &Site, shelf: &Shelf, targets: &[Target], written: &mut Written) -> Result<(), StoreError> {
    if targets.is_empty() {
        return Ok(());
    }
    let folder = shelf.folder.as_path();
    let at = |action: &'static str| move |source| StoreError::io(folder, action, source);
    let changed_folders = disk::create_folder(folder).map_err(at("create folder"))?;
    let mut drafts = Vec::with_capacity(targets.len());
    for target in targets {
        let encoded = chunk::encode(&shelf.series, target.subject, &target.content, &target.story)
            .map_err(|e| StoreError::io(folder, "serialise for", io::Error::other(e)))?;
        let size = encoded.bytes.len() as u64;
        site.check_room(size).map_err(at("write to"))?;
        let name = ChunkName {
            subject: target.subject,
            generation: target.generation,
            rows: encoded.rows,
            digest: encoded.digest,
        };
        let draft = draft(site, folder, &encoded.bytes).map_err(at("write to"))?;
        drafts.push((draft, name));
        written.files += 1;
        written.bytes += size;
    }
    for (draft, name) in drafts {
        draft.publish(&folder.join(name.to_string())).map_err(at("rename in"))?;
    }
    for changed in std::iter::once(folder).chain(changed_folders.iter().map(|f| f.as_path())) {
        disk::sync_folder(changed).map_err(|e| StoreError::io(changed, "flush folder", e))?;
    }
    let superseded: Vec<ChunkName> = targets.iter().flat_map(|t| t.superseded.iter().copied()).collect();
    shelf.replace(site, &superseded);
    Ok(())
}

fn draft(site: &Site, folder: &Path, bytes: &[u8]) -> io::Result<Draft> {
    let write = || Draft::write(folder, bytes, &site.boot, site.clock.now());
    match write() {
        // Somebody cleared the cache since the folder was made.
        Err(e) if e.kind() == io::ErrorKind::NotFound => disk::create_folder(folder).and_then(|_| write()),
        other => other,
    }
}
