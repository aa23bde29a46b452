//! Which chunks of a series are there, and what they hold together: one [`Shelf`] per series.
//!
//! There is no database to corrupt or to fall behind: a shelf is rebuilt by listing the series' folder, and one `stat`
//! of the folder tells whether anybody, in this process or another, has changed it since. Chunks are opened and
//! verified when first needed and then stay open, so a warm read is slicing. Several files about one period may be
//! there at once (another process wrote too, or has not removed the older one yet); they overlay, sealed over live,
//! then later generation over earlier, each showing only where those above have nothing.

use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::model::interval::{Grid, Interval};
use crate::model::range::{HOUR, TimeRange, Timestamp};
use crate::model::series::Series;

use super::Held;
use super::chunk::{self, Chunk, Unfit};
use super::content::Content;
use super::disk::{self, Refused, Trusted};
use super::layout::{ChunkName, Period, Subject, live_unit, sealed_unit, series_folder};
use super::site::{Counted, Site};

/// A listing taken this soon after the folder's time was first seen may miss a change of the same tick of the file
/// system's clock (4 ms on Linux), and is taken once more.
const LISTING_SETTLES: Duration = Duration::from_millis(20);
/// How often a folder is listed anew because it changed under the listing, or a listed file was gone when it was opened.
const LISTINGS_MAX: usize = 8;
/// How often the time of last use is written to a file that is read.
const TOUCH_EVERY: i64 = HOUR;

/// What is held of one series.
pub(super) struct Shelf {
    pub(super) series: Series,
    pub(super) folder: PathBuf,
    /// One writer of a series at a time in this process: two would both rewrite the same chunk.
    pub(super) writing: Mutex<()>,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    listing: Option<Listing>,
    /// By the sealed period they belong to.
    groups: BTreeMap<Period, Group>,
    facts: Group,
    /// Survives re-listing: a grid's phase does not change.
    anchor: Option<Timestamp>,
}

/// When and how the folder was last listed.
#[derive(Clone, Copy)]
struct Listing {
    changed: Option<(i64, i64)>,
    first_seen: Instant,
    taken: Instant,
}

/// The files that overlay each other.
#[derive(Default)]
struct Group {
    files: BTreeMap<ChunkName, File>,
    /// What they hold together; absent until it is asked for.
    view: Option<Arc<View>>,
}

#[derive(Clone)]
enum File {
    Unopened,
    Open(Arc<OpenChunk>),
    /// Looked at and left alone, by inode: a file that is not for us is not opened again and again.
    Ignored(Option<u64>),
}

/// A verified chunk.
pub(super) struct OpenChunk {
    pub(super) chunk: Chunk,
    _counted: Counted,
    /// When the file was last marked as used.
    used: AtomicI64,
}

/// What the files of one sealed period hold together.
#[derive(Clone, Default)]
pub(super) struct View {
    pub(super) content: Content,
    /// The files it was made of, those that show first coming first.
    pub(super) chunks: Vec<(ChunkName, Arc<OpenChunk>)>,
    /// Generations by subject, of all files that are there, readable or not.
    pub(super) generations: BTreeMap<Subject, u32>,
    pub(super) first_open: Option<Timestamp>,
}

/// An answer, and the chunks it was made of.
struct Reading {
    held: Held,
    used: Vec<(ChunkName, Arc<OpenChunk>)>,
}

/// A view, and whether a file that was listed is gone and so missing from it.
#[derive(Default)]
struct Looked {
    view: Arc<View>,
    vanished: bool,
}

impl Shelf {
    pub(super) fn new(site: &Site, series: &Series) -> Shelf {
        let folder = site.dir().join(series_folder(series));
        disk::remove_dead_drafts(&folder, &site.boot, site.remote, site.clock.now());
        Shelf {
            series: series.clone(),
            folder,
            writing: Mutex::default(),
            state: RwLock::default(),
        }
    }

    /// What is held of a range.
    pub(super) fn read(&self, site: &Site, range: TimeRange) -> Held {
        let changed = disk::folder_changed(&self.folder).unwrap_or_default();
        let warm = {
            let state = self.state.read();
            match state.is_current(changed) {
                true => self.warm(&state, range),
                false => None,
            }
        };
        let Reading { held, used } = warm.unwrap_or_else(|| self.cold(site, range));
        for (name, chunk) in used {
            self.mark_used(site, &name, &chunk);
        }
        held
    }

    /// The answer, if everything it needs is open already.
    fn warm(&self, state: &State, range: TimeRange) -> Option<Reading> {
        let facts = state.facts.view.as_ref()?;
        if self.series.interval() == Interval::D3 && state.anchor.is_none() {
            return None;
        }
        let views = state
            .groups_of(&self.series, range)
            .map(|(_, group)| group.view.clone())
            .collect::<Option<Vec<_>>>()?;
        Some(self.assemble(state, &views, facts, range))
    }

    /// As [`Shelf::warm`], opening what is not open.
    fn cold(&self, site: &Site, range: TimeRange) -> Reading {
        let mut state = self.state.write();
        self.refresh(&mut state, site, false);
        let periods: Vec<Period> = state
            .groups_of(&self.series, range)
            .map(|(period, _)| *period)
            .collect();
        let views = self.look_patiently(&mut state, site, &periods);
        let facts = self.look_facts(&mut state, site);
        self.learn_anchor(&mut state, site);
        self.assemble(&state, &views, &facts, range)
    }

    /// What is held of these periods. When somebody replaced a file between our listing and our opening it, what
    /// replaced it is there now.
    fn look_patiently(&self, state: &mut State, site: &Site, periods: &[Period]) -> Vec<Arc<View>> {
        let mut looked: Vec<Looked> = Vec::new();
        for _ in 0..LISTINGS_MAX {
            let look = |period| state.groups.get_mut(period).map(|group| self.look(group, site));
            looked = periods.iter().map(look).map(Option::unwrap_or_default).collect();
            if !looked.iter().any(|l| l.vanished) {
                break;
            }
            self.refresh(state, site, true);
        }
        looked.into_iter().map(|l| l.view).collect()
    }

    fn look_facts(&self, state: &mut State, site: &Site) -> Arc<View> {
        let view = self.look(&mut state.facts, site).view;
        // A series without facts is the usual case, and is known.
        state.facts.view.get_or_insert_with(|| view.clone());
        view
    }

    /// What the files of a group hold together, opening those that are not open.
    fn look(&self, group: &mut Group, site: &Site) -> Looked {
        if let Some(view) = &group.view {
            return Looked {
                view: view.clone(),
                vanished: false,
            };
        }
        let mut view = View::default();
        let (mut vanished, mut unreadable) = (false, false);
        let names: Vec<ChunkName> = group.files.keys().copied().collect();
        for name in names {
            let highest = view.generations.entry(name.subject).or_default();
            *highest = name.generation.max(*highest);
            match group.files.get(&name) {
                Some(File::Open(chunk)) => view.chunks.push((name, chunk.clone())),
                Some(File::Unopened) => match open(site, &self.series, &self.folder, &name) {
                    Ok(chunk) => {
                        let chunk = Arc::new(chunk);
                        group.files.insert(name, File::Open(chunk.clone()));
                        view.chunks.push((name, chunk));
                    }
                    Err(Unopened::Gone) => {
                        group.files.remove(&name);
                        vanished = true;
                    }
                    Err(Unopened::Unreadable) => unreadable = true,
                    Err(Unopened::Ignored(inode)) => {
                        group.files.insert(name, File::Ignored(inode));
                    }
                },
                Some(File::Ignored(_)) | None => {}
            }
        }
        view.chunks.sort_by_key(|(name, _)| std::cmp::Reverse(standing(name)));
        for (_, open) in &view.chunks {
            view.content.fill(&open.chunk.content);
            view.first_open = view.first_open.or(open.chunk.first_open);
        }
        let view = Arc::new(view);
        if !vanished && !unreadable {
            group.view = Some(view.clone());
        }
        Looked { view, vanished }
    }

    /// A three-day grid's phase: any kline's open time tells, wherever it is. That no kline opened before some instant
    /// tells nothing: it may be the beginning of the first archive.
    fn learn_anchor(&self, state: &mut State, site: &Site) {
        if self.series.interval() != Interval::D3 || state.anchor.is_some() {
            return;
        }
        let with_rows = |group: &Group| group.files.keys().any(|n| n.rows > 0);
        let periods: Vec<Period> = state
            .groups
            .iter()
            .filter(|(_, g)| with_rows(g))
            .map(|(p, _)| *p)
            .collect();
        for period in periods {
            let Some(group) = state.groups.get_mut(&period) else {
                continue;
            };
            let view = self.look(group, site).view;
            state.anchor = view
                .content
                .pieces
                .first()
                .and_then(|p| p.batch.span())
                .map(TimeRange::start);
            if state.anchor.is_some() {
                return;
            }
        }
    }

    fn assemble(&self, state: &State, views: &[Arc<View>], facts: &View, range: TimeRange) -> Reading {
        let asked = Grid::new(self.series.interval(), state.anchor).align(range);
        let mut held = Held {
            anchor: state.anchor,
            first_open: facts.first_open,
            ..Held::default()
        };
        let mut used = Vec::new();
        let mut covered = Vec::new();
        for view in views {
            let part = view.content.within(asked);
            if part.is_empty() {
                continue;
            }
            held.pieces.extend(part.pieces);
            covered.extend(part.covered.iter());
            held.holes.extend(part.holes);
            used.extend(view.chunks.iter().filter(|(name, _)| name.is_about(asked)).cloned());
        }
        held.covered = covered.into_iter().collect();
        Reading { held, used }
    }

    fn mark_used(&self, site: &Site, name: &ChunkName, chunk: &OpenChunk) {
        let now = site.clock.now();
        let before = chunk.used.load(Ordering::Relaxed);
        if now.as_micros().saturating_sub(before) > TOUCH_EVERY && site.readonly().is_none() {
            chunk.used.store(now.as_micros(), Ordering::Relaxed);
            if let Ok(file) = Trusted::open(&self.folder.join(name.to_string())) {
                file.touch(now);
            }
        }
    }

    /// Lists the folder again if it changed.
    fn refresh(&self, state: &mut State, site: &Site, force: bool) {
        let now = site.clock.instant();
        let Ok(changed) = disk::folder_changed(&self.folder) else {
            return;
        };
        if !force && state.is_current(changed) {
            return;
        }
        let names = if changed.is_some() {
            self.names()
        } else {
            BTreeSet::new()
        };
        let first_seen = match &state.listing {
            Some(listing) if listing.changed == changed => listing.first_seen,
            _ => now,
        };
        state.listing = Some(Listing {
            changed,
            first_seen,
            taken: now,
        });
        self.shelve(state, names);
    }

    /// The chunks in the folder. While a process replaces a chunk, a listing may come too early for the new name and too
    /// late for the old one; so two listings in a row must agree.
    fn names(&self) -> BTreeSet<ChunkName> {
        let list = || -> BTreeSet<ChunkName> {
            let names = disk::names(&self.folder).unwrap_or_default();
            names.iter().filter_map(|n| n.parse().ok()).collect()
        };
        let mut names = list();
        for _ in 0..LISTINGS_MAX {
            let again = list();
            if again == names {
                break;
            }
            names = again;
        }
        names
    }

    /// Takes over what is open from the groups as they were.
    fn shelve(&self, state: &mut State, names: BTreeSet<ChunkName>) {
        let (live, sealed) = (live_unit(self.series.interval()), sealed_unit(self.series.interval()));
        let mut groups: BTreeMap<Period, Group> = BTreeMap::new();
        let mut facts = Group::default();
        for name in names {
            let group = match name.subject {
                Subject::Facts => &mut facts,
                Subject::Period(period) if period.unit() == live || period.unit() == sealed => {
                    groups.entry(Period::around(sealed, period.start())).or_default()
                }
                Subject::Period(_) => continue,
            };
            group.files.insert(name, File::Unopened);
        }
        self.keep_open(&mut facts, std::mem::take(&mut state.facts));
        for (period, old) in std::mem::take(&mut state.groups) {
            if let MapEntry::Occupied(mut new) = groups.entry(period) {
                self.keep_open(new.get_mut(), old);
            }
        }
        (state.groups, state.facts) = (groups, facts);
    }

    fn keep_open(&self, new: &mut Group, old: Group) {
        if new.files.keys().eq(old.files.keys()) {
            new.view = old.view;
        }
        for (name, file) in old.files {
            let Some(place) = new.files.get_mut(&name) else {
                continue;
            };
            *place = match file {
                // Another file has taken the name since.
                File::Ignored(inode) if inode != disk::inode(&self.folder.join(name.to_string())) => {
                    new.view = None;
                    File::Unopened
                }
                other => other,
            };
        }
    }

    /// For a writer: what the files of these sealed periods hold, and the series' anchor.
    pub(super) fn look_at(&self, site: &Site, periods: &[Period]) -> (Vec<Arc<View>>, Option<Timestamp>) {
        let mut state = self.state.write();
        self.refresh(&mut state, site, false);
        let views = self.look_patiently(&mut state, site, periods);
        self.learn_anchor(&mut state, site);
        (views, state.anchor)
    }

    /// For a writer: what is known of the series as a whole.
    pub(super) fn facts(&self, site: &Site) -> Arc<View> {
        let mut state = self.state.write();
        self.refresh(&mut state, site, false);
        self.look_facts(&mut state, site)
    }

    /// After a write: new files are there, these are not needed any more. Readers see both changes as one.
    pub(super) fn replace(&self, site: &Site, superseded: &[ChunkName]) {
        let mut state = self.state.write();
        for name in superseded {
            // One that stays is shadowed by what replaced it, and tried again with the next write.
            let _ = disk::remove(&self.folder.join(name.to_string()));
        }
        self.refresh(&mut state, site, true);
    }

    /// Everything held, without keeping open what was not.
    pub(super) fn survey(&self, site: &Site, mut each: impl FnMut(&Content)) {
        let mut state = self.state.write();
        self.refresh(&mut state, site, false);
        let periods: Vec<Period> = state.groups.keys().copied().collect();
        for period in periods {
            let Some(group) = state.groups.get_mut(&period) else {
                continue;
            };
            let was_open = group.view.is_some();
            each(&self.look(group, site).view.content);
            if !was_open {
                group.view = None;
                for file in group.files.values_mut() {
                    if matches!(file, File::Open(_)) {
                        *file = File::Unopened;
                    }
                }
            }
        }
    }
}

impl State {
    /// Whether the listing is of the folder as it is.
    fn is_current(&self, changed: Option<(i64, i64)>) -> bool {
        self.listing.is_some_and(|listing| {
            let settled = listing.taken.duration_since(listing.first_seen) >= LISTING_SETTLES;
            listing.changed == changed && (settled || changed.is_none())
        })
    }

    /// The groups in which slots that overlap `range` may lie. All groups are of one unit, so they are in time order.
    fn groups_of(&self, series: &Series, range: TimeRange) -> impl Iterator<Item = (&Period, &Group)> {
        let bounds = Period::bounds(sealed_unit(series.interval()), range);
        bounds
            .into_iter()
            .flat_map(|(first, last)| self.groups.range(first..=last))
    }
}

/// What shows first: sealed, later, and among equals always the same.
fn standing(name: &ChunkName) -> (Option<super::layout::Unit>, u32, u64, u128) {
    let unit = match name.subject {
        Subject::Period(period) => Some(period.unit()),
        Subject::Facts => None,
    };
    (unit, name.generation, name.rows, name.digest)
}

/// Why a chunk is not open.
enum Unopened {
    Gone,
    Unreadable,
    Ignored(Option<u64>),
}

/// Opens and verifies one chunk; one that is damaged is moved to quarantine.
fn open(site: &Site, series: &Series, folder: &std::path::Path, name: &ChunkName) -> Result<OpenChunk, Unopened> {
    let path = folder.join(name.to_string());
    let file = Trusted::open(&path).map_err(|refused| match refused {
        Refused::Gone => Unopened::Gone,
        Refused::Foreign(why) => {
            tracing::warn!(file = %path.display(), why, "cache file ignored");
            Unopened::Ignored(disk::inode(&path))
        }
        Refused::Unreadable(error) => {
            tracing::warn!(file = %path.display(), %error, "cache file cannot be read");
            Unopened::Unreadable
        }
    })?;
    let bytes = file.content(site.may_map).map_err(|error| {
        tracing::warn!(file = %path.display(), %error, "cache file cannot be read");
        Unopened::Unreadable
    })?;
    match chunk::decode(series, name, bytes) {
        Ok(chunk) => Ok(OpenChunk {
            chunk,
            _counted: site.open_chunks.count(file.copied(site.may_map)),
            used: AtomicI64::new(file.modified.as_micros()),
        }),
        Err(Unfit::Newer) => Err(Unopened::Ignored(Some(file.inode))),
        Err(Unfit::Damaged(reason, detail)) => match site.quarantine(&path, reason, &detail) {
            true => Err(Unopened::Ignored(None)),
            false => Err(Unopened::Ignored(Some(file.inode))),
        },
    }
}
