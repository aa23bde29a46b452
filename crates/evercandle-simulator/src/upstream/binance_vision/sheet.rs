//! The table inside an archive, as text, and the ways it can be wrong.

use crate::fault::{Effect, HeaderStyle};
use crate::market::{ExchangeMarket, Kline};
use crate::time::{DAY, HOUR, TimeUnit, day_of, parse_instant};

use super::archive_key::{ArchiveKey, Period};

const HEADER: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n";
/// How far off the grid the February 2018 klines opened: 28 minutes and 14.789 seconds.
const OFF_GRID: i64 = 28 * 60_000_000 + 14_789_000;

/// Rows with the conventions of their era.
pub(super) struct Sheet {
    rows: Vec<Kline>,
    header: HeaderStyle,
    unit: TimeUnit,
    mixed: bool,
    not_a_number: bool,
}

impl Sheet {
    /// The table as the exchange would publish it for this period.
    pub(super) fn new(key: &ArchiveKey, rows: Vec<Kline>) -> Self {
        let (market, start) = (key.series.market, key.period.start());
        Self {
            rows,
            header: era_header(market, start),
            unit: era_unit(market, start),
            mixed: false,
            not_a_number: false,
        }
    }

    /// Makes it wrong.
    pub(super) fn spoil(&mut self, key: &ArchiveKey, effect: &Effect) {
        let (start, end) = (key.period.start(), key.period.end());
        let first_hour = |row: &Kline| row.open_time < start + HOUR.max(key.series.interval.length().unwrap_or(DAY));
        match effect {
            Effect::TruncatedDay { hour } => {
                let cut = end - DAY + i64::from(*hour) * HOUR;
                self.rows.retain(|row| row.open_time < cut);
            }
            Effect::ShortMonth { days } => {
                if let Period::Month(_) = key.period {
                    self.rows.retain(|row| row.open_time < start + i64::from(*days) * DAY);
                }
            }
            Effect::MissingDay { day } => self.rows.retain(|row| day_of(row.open_time).day() != *day as i8),
            Effect::MonthlyDiffers => {
                if let Period::Month(_) = key.period {
                    self.restate();
                }
            }
            Effect::Revised => self.restate(),
            Effect::DuplicateRows => {
                let thrice = |row: Kline| {
                    let copies = if first_hour(&row) { 3 } else { 1 };
                    std::iter::repeat_n(row, copies)
                };
                self.rows = std::mem::take(&mut self.rows).into_iter().flat_map(thrice).collect();
            }
            Effect::UnorderedRows => {
                let half = self.rows.len() / 2;
                self.rows.rotate_left(half);
            }
            Effect::ConflictingRows => {
                let twice = |row: Kline| {
                    let twin = first_hour(&row).then(|| Kline {
                        volume: row.volume * 2,
                        ..row.clone()
                    });
                    std::iter::once(row).chain(twin)
                };
                self.rows = std::mem::take(&mut self.rows).into_iter().flat_map(twice).collect();
            }
            Effect::StrayRow => {
                if let Some(last) = self.rows.last().cloned() {
                    let by = (end - last.open_time) + DAY;
                    self.rows.push(Kline {
                        open_time: last.open_time + by,
                        close_time: last.close_time + by,
                        ..last
                    });
                }
            }
            Effect::ImpossibleRow => {
                let middle = self.rows.len() / 2;
                if let Some(row) = self.rows.get_mut(middle) {
                    row.low = row.high * 9;
                }
            }
            Effect::NotANumber => self.not_a_number = true,
            Effect::Header { style } => self.header = *style,
            Effect::Unit { unit } => self.unit = *unit,
            Effect::MixedUnits => self.mixed = true,
            Effect::OffGrid => {
                for row in self.rows.iter_mut().filter(|row| first_hour(row)) {
                    row.open_time += OFF_GRID;
                    row.close_time += OFF_GRID;
                }
            }
            _ => {}
        }
    }

    /// Every third row with half of its volume again, trades included: values no other source agrees with.
    pub(super) fn restate(&mut self) {
        for row in self.rows.iter_mut().step_by(3) {
            row.volume += row.volume / 2;
            row.quote_volume += row.quote_volume / 2;
            row.trades += row.trades / 2;
        }
    }

    /// The text of the CSV.
    pub(super) fn csv(&self) -> Vec<u8> {
        // A row of the widest symbols is about 160 bytes.
        let mut text = Vec::with_capacity(self.rows.len() * 160 + HEADER.len());
        let half = self.rows.len() / 2;
        for (position, row) in self.rows.iter().enumerate() {
            let header = match self.header {
                HeaderStyle::Absent => false,
                HeaderStyle::Present => position == 0,
                HeaderStyle::Repeated => position == 0 || position == half,
            };
            if header {
                text.extend_from_slice(HEADER.as_bytes());
            }
            let unit = match (self.mixed && position >= half, self.unit) {
                (false, unit) => unit,
                (true, TimeUnit::Milliseconds) => TimeUnit::Microseconds,
                (true, TimeUnit::Microseconds) => TimeUnit::Milliseconds,
            };
            if self.not_a_number && position == half {
                let mut columns = row.fields(unit);
                columns[4] = "NaN".to_owned();
                text.extend_from_slice(columns.join(",").as_bytes());
                text.push(b'\n');
                continue;
            }
            row.write_csv(unit, &mut text);
        }
        text
    }
}

/// Spot never has a header; futures have one from the day their exporter changed.
fn era_header(market: ExchangeMarket, start: i64) -> HeaderStyle {
    let since = match market {
        ExchangeMarket::Spot => return HeaderStyle::Absent,
        ExchangeMarket::UsdM => "2022-06-01",
        ExchangeMarket::CoinM => "2021-01-01",
    };
    if start >= parse_instant(since).unwrap_or_default() {
        HeaderStyle::Present
    } else {
        HeaderStyle::Absent
    }
}

/// Spot counts microseconds from 2025 on; futures never do.
fn era_unit(market: ExchangeMarket, start: i64) -> TimeUnit {
    let spot_switch = parse_instant("2025-01-01").unwrap_or_default();
    match market {
        ExchangeMarket::Spot if start >= spot_switch => TimeUnit::Microseconds,
        _ => TimeUnit::Milliseconds,
    }
}
