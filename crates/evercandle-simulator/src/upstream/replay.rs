//! Recorded answers instead of invented ones.
//!
//! A folder of recordings holds REST pages (`rest-klines/BTCUSDT_1h_2025-01-01.json`, arrays of rows, spot) and archive files
//! (`vision/spot|um|cm/BTCUSDT-1m-2020-01-01.zip`, `.csv` already unpacked, `.zip.CHECKSUM`).
//! For every symbol it holds, the recording speaks alone: rows it lacks do not exist, files it lacks are 404.
//! Mixing it with invented rows would make a chart nobody could check. Other symbols come from the market as ever.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use super::binance_vision::{Archive, ArchiveKey, pack_csv, unpack_csv};
use crate::market::{Anchor, ExchangeMarket, Interval, Series};
use crate::time::{TimeUnit, parse_instant};

/// At or above this an instant is in microseconds: as milliseconds it is the year 5138.
const MICROSECONDS_FROM: i64 = 100_000_000_000_000;
/// When a file without a date of its own was published, for `Last-Modified`.
const UNKNOWN_DATE: &str = "2023-01-01T04:00:00Z";

/// Rows and files read from a folder.
#[derive(Debug, Clone)]
pub struct Replay {
    held: Arc<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Rows as JSON cells in milliseconds, by open time in microseconds.
    rows: BTreeMap<Series, BTreeMap<i64, Vec<String>>>,
    archives: BTreeMap<ArchiveKey, Arc<Archive>>,
    checksums: BTreeMap<ArchiveKey, String>,
    symbols: BTreeSet<(ExchangeMarket, String)>,
}

impl Replay {
    /// Reads a folder. Files that are not recordings of klines are passed over.
    pub fn open(folder: impl AsRef<Path>) -> io::Result<Self> {
        let mut held = Held::default();
        for path in files_in(&folder.as_ref().join("rest-klines"))? {
            held.read_rest_page(&path)?;
        }
        for market in [ExchangeMarket::Spot, ExchangeMarket::UsdM, ExchangeMarket::CoinM] {
            for path in files_in(&folder.as_ref().join("vision").join(market.name()))? {
                held.read_archive(market, &path)?;
            }
        }
        for series in held.rows.keys() {
            held.symbols.insert((series.market, series.symbol.clone()));
        }
        Ok(Self { held: Arc::new(held) })
    }

    /// Every series with at least one row.
    pub fn series(&self) -> Vec<Series> {
        self.held.rows.keys().cloned().collect()
    }

    /// The object keys of the archives held: `data/spot/daily/klines/…`.
    pub fn archive_keys(&self) -> Vec<String> {
        self.held.archives.keys().map(ArchiveKey::key).collect()
    }

    /// Whether it holds anything about a symbol, and therefore everything.
    pub(crate) fn speaks_for(&self, market: ExchangeMarket, symbol: &str) -> bool {
        self.held.symbols.contains(&(market, symbol.to_owned()))
    }

    /// Rows by the REST paging rule.
    pub(crate) fn page(
        &self,
        series: &Series,
        open_times: Range<i64>,
        limit: usize,
        anchor: Anchor,
        unit: TimeUnit,
    ) -> Vec<Vec<String>> {
        let Some(rows) = self.held.rows.get(series) else {
            return Vec::new();
        };
        if open_times.is_empty() {
            return Vec::new();
        }
        let window = rows.range(open_times).map(|(_, cells)| in_unit(cells, unit));
        match anchor {
            Anchor::Oldest => window.take(limit).collect(),
            Anchor::Newest => {
                let mut newest: Vec<_> = window.rev().take(limit).collect();
                newest.reverse();
                newest
            }
        }
    }

    pub(crate) fn archive(&self, key: &ArchiveKey) -> Option<Arc<Archive>> {
        self.held.archives.get(key).cloned()
    }

    /// The sidecar as it was recorded, where it was.
    pub(crate) fn checksum(&self, key: &ArchiveKey) -> Option<&str> {
        self.held.checksums.get(key).map(String::as_str)
    }
}

impl Held {
    /// `BTCUSDT_1h_2025-01-01.json`: the date names the window and nothing else.
    fn read_rest_page(&mut self, path: &Path) -> io::Result<()> {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let parts: Vec<&str> = stem.rsplitn(3, '_').collect();
        let [_, interval, symbol] = parts[..] else {
            return Ok(());
        };
        let Some(interval) = Interval::from_rest(interval) else {
            return Ok(());
        };
        let page: Vec<Vec<serde_json::Value>> = serde_json::from_slice(&fs::read(path)?)?;
        let rows = self
            .rows
            .entry(Series::new(ExchangeMarket::Spot, symbol, interval))
            .or_default();
        for row in page {
            let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
            if let Some(open_time) = cells.first().and_then(|cell| instant(cell)) {
                rows.insert(open_time, cells);
            }
        }
        Ok(())
    }

    /// `BTCUSDT-1m-2020-01-01.zip`, `.csv` or `.zip.CHECKSUM`.
    fn read_archive(&mut self, market: ExchangeMarket, path: &Path) -> io::Result<()> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((stem, kind)) = name.split_once('.') else {
            return Ok(());
        };
        let Some(key) = key_of(market, stem) else { return Ok(()) };
        let modified = parse_instant(UNKNOWN_DATE).unwrap_or_default();
        let bytes = fs::read(path)?;
        let (csv, zip) = match kind {
            "csv" => (bytes.clone(), pack_csv(stem, bytes, modified)),
            "zip" => match unpack_csv(&bytes) {
                Some(csv) => (csv, bytes),
                None => return Ok(()),
            },
            "zip.CHECKSUM" => {
                self.checksums.insert(key, String::from_utf8_lossy(&bytes).into_owned());
                return Ok(());
            }
            _ => return Ok(()),
        };
        let rows = self.rows.entry(key.series.clone()).or_default();
        for line in String::from_utf8_lossy(&csv).lines() {
            let Some((open_time, cells)) = csv_row(line) else {
                continue;
            };
            // A REST page, read earlier, knows better than an archive.
            rows.entry(open_time).or_insert(cells);
        }
        self.archives.insert(key, Arc::new(Archive::new(zip, modified)));
        Ok(())
    }
}

/// The archive a bare file name belongs to: a day if it ends in one, else a month.
fn key_of(market: ExchangeMarket, stem: &str) -> Option<ArchiveKey> {
    let mut parts = stem.split('-');
    let (symbol, interval) = (parts.next()?, parts.next()?);
    let tree = if parts.count() == 3 { "daily" } else { "monthly" };
    let folder = match market {
        ExchangeMarket::Spot => "spot",
        ExchangeMarket::UsdM => "futures/um",
        ExchangeMarket::CoinM => "futures/cm",
    };
    ArchiveKey::parse(&format!("data/{folder}/{tree}/klines/{symbol}/{interval}/{stem}.zip"))
}

/// One CSV line as JSON cells in milliseconds; `None` for headers and blank lines.
fn csv_row(line: &str) -> Option<(i64, Vec<String>)> {
    let columns: Vec<&str> = line.trim().split(',').collect();
    if columns.len() < 12 {
        return None;
    }
    let open_time = instant(columns[0])?;
    let cells = columns.iter().take(12).enumerate().map(|(slot, text)| match slot {
        0 | 6 => instant(text).map_or_else(|| (*text).to_owned(), |at| (at / 1000).to_string()),
        8 => (*text).to_owned(),
        _ => format!("\"{text}\""),
    });
    Some((open_time, cells.collect()))
}

/// A count of milliseconds or microseconds as an instant.
fn instant(text: &str) -> Option<i64> {
    let count: i64 = text.parse().ok()?;
    Some(if count >= MICROSECONDS_FROM {
        count
    } else {
        count.saturating_mul(1000)
    })
}

fn in_unit(cells: &[String], unit: TimeUnit) -> Vec<String> {
    let mut cells = cells.to_vec();
    if unit == TimeUnit::Microseconds {
        cells[0] = instant(&cells[0]).unwrap_or_default().to_string();
        cells[6] = (instant(&cells[6]).unwrap_or_default() + 999).to_string();
    }
    cells
}

/// The files directly in a folder, in order; none if the folder is not there.
fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
