//! The local cache: which klines we hold, from whom, and how they are kept safe.

use crate::answer::Origin;
use crate::model::batch::Batch;
use crate::model::range::{RangeSet, TimeRange, Timestamp};

/// What the store holds of a range of one series.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Klines, in time order: each piece ends before the next begins.
    pub pieces: Vec<Piece>,
    /// The grid slots they fill.
    pub covered: RangeSet,
    /// Slots known to have no kline.
    pub holes: Vec<Hole>,
    /// Open time of some kline of the series, if any is held anywhere: the anchor of a `3d` grid.
    pub anchor: Option<Timestamp>,
    /// An instant before which the series has no kline, if that was ever learned.
    pub first_open: Option<Timestamp>,
}

/// Klines with one origin.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The klines.
    pub batch: Batch,
    /// Who supplied them.
    pub origin: Origin,
}

/// Slots known to have no kline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The slots.
    pub range: TimeRange,
    /// Whether the exchange is known to have halted.
    pub halt: bool,
    /// When an authoritative upstream last said so.
    pub checked_at: Timestamp,
}

use crate::clock::Clock;
use crate::config::CacheConfig;
use crate::model::interval::Grid;
use crate::model::series::Series;
/// stub
#[derive(Clone)]
pub struct Store;
/// stub
pub struct Parcel {
    /** b */
    pub batch: Batch,
    /** o */
    pub origin: Origin,
    /** h */
    pub holes: Vec<Hole>,
}
impl Store {
    /// stub
    pub fn open(_dir: std::path::PathBuf, _config: &CacheConfig, _clock: Clock) -> Result<Store, String> {
        Ok(Store)
    }
    /// stub
    pub fn read(&self, _series: &Series, _range: TimeRange) -> Held {
        Held::default()
    }
    /// stub
    pub fn write(&self, _series: &Series, _grid: Grid, _parcels: Vec<Parcel>) -> Result<(), String> {
        Err("stub".into())
    }
    /// stub
    pub fn learn_first_open(&self, _series: &Series, _first_open: Timestamp) -> Result<(), String> {
        Ok(())
    }
}
