//! The rows of a series as Arrow columns, with the proof that they are fit to store and to serve.
//!
//! [`Batch::try_new`] is the only way in, so whoever holds a batch may rely on it: the columns are those of
//! [`schema_of`] its series, open times (or funding times) rise strictly and lie in the range that was asked for, and
//! every number is finite and, unless it is a funding rate, not negative. What the exchange itself published strangely (a high below the close, an open off the grid, a close time
//! before its time) is kept as published and can be listed with [`Batch::oddities`]; it is never repaired.
//!
//! A batch is cheap to clone and to slice: columns are shared, and so are the [`Decimals`].

use std::sync::{Arc, LazyLock};

use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, Decimal128Array, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::decimals::{COLUMNS, Decimals, plain};
use super::funding;
use super::interval::Grid;
use super::range::{RangeSet, TimeRange, Timestamp};
use super::series::{Kind, Market, Series};

/// Names of the columns, in order: the exchange's own archive names.
pub const COLUMN_NAMES: [&str; 11] = [
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
];

/// Position in the schema of each of the eight decimal columns.
pub const DECIMAL_COLUMNS: [usize; COLUMNS] = [1, 2, 3, 4, 5, 7, 9, 10];

const OPEN_TIME: usize = 0;
const CLOSE_TIME: usize = 6;
const COUNT: usize = 8;

/// The Arrow schema of a market's klines.
///
/// `open_time` and `close_time` are `timestamp[us, UTC]`, `count` (trades) is `int64`, the rest `float64`; nothing is
/// nullable. The market decides only the field metadata `unit` of the volume columns
/// ([`Market::volume_unit`], [`Market::quote_volume_unit`]).
pub fn schema(market: Market) -> SchemaRef {
    static SCHEMAS: LazyLock<[SchemaRef; 3]> = LazyLock::new(|| Market::ALL.map(|m| Arc::new(build_schema(m))));
    let index = Market::ALL.iter().position(|m| *m == market).unwrap_or(0);
    SCHEMAS[index].clone()
}

fn build_schema(market: Market) -> Schema {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = COLUMN_NAMES.iter().enumerate().map(|(i, name)| {
        let unit = match *name {
            "volume" | "taker_buy_volume" => Some(market.volume_unit()),
            "quote_volume" | "taker_buy_quote_volume" => Some(market.quote_volume_unit()),
            _ => None,
        };
        let kind = match i {
            OPEN_TIME | CLOSE_TIME => time.clone(),
            COUNT => DataType::Int64,
            _ => DataType::Float64,
        };
        let field = Field::new(*name, kind, false);
        match unit {
            Some(unit) => field.with_metadata([("unit".to_owned(), unit.as_str().to_owned())]),
            None => field,
        }
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// The Arrow schema of a series: of klines [`schema`], of funding rates [`funding::schema`].
pub fn schema_of(series: &Series) -> SchemaRef {
    match series.kind() {
        Kind::Klines => schema(series.market()),
        Kind::FundingRates => funding::schema(),
    }
}

/// Names of the columns of a kind, in order.
pub const fn column_names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Klines => &COLUMN_NAMES,
        Kind::FundingRates => &funding::COLUMN_NAMES,
    }
}

/// Positions in the schema of the decimal columns of a kind.
pub const fn decimal_columns(kind: Kind) -> &'static [usize] {
    match kind {
        Kind::Klines => &DECIMAL_COLUMNS,
        Kind::FundingRates => &funding::DECIMAL_COLUMNS,
    }
}

/// Rows of one series, sorted by time, each at most once: klines by open time, funding rates by funding time.
#[derive(Clone, Debug)]
pub struct Batch {
    series: Series,
    rows: RecordBatch,
    decimals: Arc<Decimals>,
}

/// Why rows are not a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what the fields are")]
pub enum BatchError {
    #[error("columns are not those of a kline batch: expected {expected}, found {found}")]
    Schema { expected: String, found: String },
    #[error("row {row} opens at {open_time}, not after the row before it")]
    NotRising { row: usize, open_time: Timestamp },
    #[error("row {row} opens at {open_time}, outside the range {range} that was asked for")]
    OutOfRange {
        row: usize,
        open_time: Timestamp,
        range: TimeRange,
    },
    #[error("row {row} (open time {open_time}) has {column} = {value}: expected a finite number, not negative")]
    BadNumber {
        row: usize,
        open_time: Timestamp,
        column: &'static str,
        value: String,
    },
}

/// Something unusual that the exchange itself published; see [`Batch::oddities`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oddity {
    /// Open time of the kline.
    pub open_time: Timestamp,
    /// What is unusual.
    pub kind: OddityKind,
}

/// Kinds of [`Oddity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddityKind {
    /// Open or close lies outside low..high.
    PriceOutsideLowHigh,
    /// The open time is not on the interval's grid (known from February 2018).
    OffGrid,
    /// The close time is not the last instant before the next slot, as around trading halts.
    UnusualCloseTime,
}

impl Batch {
    /// Checks the rows; `range` is the half-open span of open times that was asked for.
    pub fn try_new(
        series: Series,
        rows: RecordBatch,
        decimals: Decimals,
        range: TimeRange,
    ) -> Result<Batch, BatchError> {
        let expected = schema_of(&series);
        let same = rows.num_columns() == expected.fields().len()
            && rows
                .schema()
                .fields()
                .iter()
                .zip(expected.fields())
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type())
            && rows
                .columns()
                .iter()
                .zip(expected.fields())
                .all(|(c, field)| field.is_nullable() || c.null_count() == 0);
        let rows = match same.then(|| RecordBatch::try_new(expected.clone(), rows.columns().to_vec())) {
            Some(Ok(rows)) => rows,
            _ => {
                let (expected, found) = (
                    format!("{:?}", expected.fields()),
                    format!("{:?}", rows.schema().fields()),
                );
                return Err(BatchError::Schema { expected, found });
            }
        };
        let batch = Batch {
            series,
            rows,
            decimals: Arc::new(decimals),
        };
        batch.check_times(range)?;
        match batch.series.kind() {
            Kind::Klines => batch.check_numbers()?,
            Kind::FundingRates => funding::check_numbers(&batch)?,
        }
        Ok(batch)
    }

    fn check_times(&self, range: TimeRange) -> Result<(), BatchError> {
        let times = self.open_times();
        if let Some(i) = times.windows(2).position(|w| w[0] >= w[1]) {
            return Err(BatchError::NotRising {
                row: i + 1,
                open_time: Timestamp::from_micros(times[i + 1]),
            });
        }
        // Sorted, so only the ends can lie outside.
        for row in [0, times.len().saturating_sub(1)] {
            if let Some(micros) = times.get(row) {
                let open_time = Timestamp::from_micros(*micros);
                if !range.contains(open_time) || open_time.as_micros() != *micros {
                    return Err(BatchError::OutOfRange { row, open_time, range });
                }
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), BatchError> {
        let bad = |row: usize, column: usize, value: String| BatchError::BadNumber {
            row,
            open_time: Timestamp::from_micros(self.open_times()[row]),
            column: COLUMN_NAMES[column],
            value,
        };
        for column in DECIMAL_COLUMNS {
            let values = self.floats(column);
            // Written without early exit and on integers so that it vectorises: one more in the exponent reaches the sign
            // only from infinity and NaN. Finding the culprit (or a negative zero, which may stay) is the rare case.
            let signs = values.iter().fold(0, |signs, v| {
                let bits = v.to_bits();
                signs | bits | bits.wrapping_add(f64::MIN_POSITIVE.to_bits())
            });
            let fit = signs >> 63 == 0;
            if !fit && let Some(row) = values.iter().position(|v| !(*v >= 0.0 && v.is_finite())) {
                return Err(bad(row, column, values[row].to_string()));
            }
        }
        match self.counts().iter().position(|n| *n < 0) {
            Some(row) => Err(bad(row, COUNT, self.counts()[row].to_string())),
            None => Ok(()),
        }
    }

    /// A batch of no rows.
    pub fn empty(series: Series) -> Batch {
        let rows = RecordBatch::new_empty(schema_of(&series));
        Batch {
            series,
            rows,
            decimals: Arc::default(),
        }
    }

    /// Which series the rows belong to.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// The columns, with the schema of [`schema_of`] the series.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// What gives every decimal back as printed. May know of more klines than this batch holds.
    pub fn decimals(&self) -> &Decimals {
        &self.decimals
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Open times in microseconds since the epoch, rising; of funding rates the funding times.
    pub fn open_times(&self) -> &[i64] {
        self.times(OPEN_TIME)
    }

    /// Close times as published, in microseconds. For display only: around halts they are not the next open. Empty for
    /// what is not klines.
    pub fn close_times(&self) -> &[i64] {
        self.times(CLOSE_TIME)
    }

    /// Number of trades of each kline. Empty for what is not klines.
    pub fn counts(&self) -> &[i64] {
        self.column::<Int64Type>(COUNT).map_or(&[], |c| c.values())
    }

    /// A decimal column by its position in the schema; empty when the column is not one of [`decimal_columns`]. Where
    /// a value [is null](Batch::is_null) the number means nothing.
    pub fn floats(&self, column: usize) -> &[f64] {
        self.column::<Float64Type>(column).map_or(&[], |c| c.values())
    }

    /// Whether a value was not published by whoever supplied the row. Klines have every value.
    pub fn is_null(&self, row: usize, column: usize) -> bool {
        let column = self.rows.columns().get(column);
        column.is_some_and(|c| row < c.len() && c.is_null(row))
    }

    fn times(&self, column: usize) -> &[i64] {
        self.column::<TimestampMicrosecondType>(column)
            .map_or(&[], |c| c.values())
    }

    fn column<T: ArrowPrimitiveType>(&self, column: usize) -> Option<&PrimitiveArray<T>> {
        self.rows.columns().get(column)?.as_any().downcast_ref()
    }

    /// From the first open time to just after the last; `None` when empty.
    pub fn span(&self) -> Option<TimeRange> {
        let (first, last) = (*self.open_times().first()?, *self.open_times().last()?);
        Some(TimeRange::clamped(
            Timestamp::from_micros(first),
            Timestamp::from_micros(last).plus(1),
        ))
    }

    /// The klines opening inside `range`, without copying.
    #[must_use]
    pub fn slice(&self, range: TimeRange) -> Batch {
        let (from, to) = (self.position(range.start()), self.position(range.end()));
        let rows = self.rows.slice(from, to.saturating_sub(from));
        Batch {
            series: self.series.clone(),
            rows,
            decimals: self.decimals.clone(),
        }
    }

    /// Index of the first kline opening at `t` or later. Most series have no holes, so the place is computed from
    /// the ends and only checked; a search would touch cold pages of a mapped file.
    fn position(&self, t: Timestamp) -> usize {
        let (times, t) = (self.open_times(), t.as_micros());
        let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
            return 0;
        };
        if t <= first {
            return 0;
        }
        if t > last {
            return times.len();
        }
        let step = ((last - first) / (times.len() as i64 - 1).max(1)).max(1);
        let guess = (((t - first) + step - 1) / step) as usize;
        match (times.get(guess.wrapping_sub(1)), times.get(guess)) {
            (Some(before), Some(at)) if *before < t && t <= *at => guess,
            _ => times.partition_point(|open| *open < t),
        }
    }

    /// The grid slots in which these rows are.
    pub fn slots(&self, grid: Grid) -> RangeSet {
        let mut joined: Vec<TimeRange> = Vec::new();
        let mut end = Timestamp::EPOCH;
        for &micros in self.open_times() {
            let open_time = Timestamp::from_micros(micros);
            if open_time == end
                && let Some(last) = joined.last_mut()
            {
                end = grid.next(open_time);
                *last = TimeRange::clamped(last.start(), end);
            } else {
                let slot = grid.slot(open_time);
                end = slot.end();
                joined.push(slot);
            }
        }
        joined.into_iter().collect()
    }

    /// One value as the exchange printed it, if it did. `column` counts the schema's columns and must be a decimal one.
    pub fn print(&self, row: usize, column: usize) -> Option<String> {
        let decimal = self.decimal(column).filter(|_| !self.is_null(row, column))?;
        let open_time = Timestamp::from_micros(*self.open_times().get(row)?);
        Some(self.decimals.print(open_time, decimal, *self.floats(column).get(row)?))
    }

    /// Which of the decimal columns this column of the schema is.
    fn decimal(&self, column: usize) -> Option<usize> {
        decimal_columns(self.series.kind()).iter().position(|c| *c == column)
    }

    /// A decimal column as the exchange printed it, text by text.
    pub fn printed(&self, column: usize) -> Option<StringArray> {
        self.decimal(column)?;
        Some((0..self.len()).map(|row| self.print(row, column)).collect())
    }

    /// A decimal column as `Decimal128(38, scale)`; exact when `scale` is at least [`Batch::scale`].
    pub fn decimal128(&self, column: usize, scale: u8) -> Option<Decimal128Array> {
        let rescale = |text: String| {
            let (mantissa, printed) = plain(&text);
            let digits = i32::from(scale) - i32::from(printed);
            if digits >= 0 {
                mantissa.saturating_mul(10i128.saturating_pow(digits.unsigned_abs()))
            } else {
                mantissa / 10i128.saturating_pow(digits.unsigned_abs())
            }
        };
        self.decimal(column)?;
        (0..self.len())
            .map(|row| self.print(row, column).map(rescale))
            .collect::<Decimal128Array>()
            .with_precision_and_scale(38, scale.min(38) as i8)
            .ok()
    }

    /// The fewest fraction digits at which every value of a decimal column is exact.
    pub fn scale(&self, column: usize) -> Option<u8> {
        let decimal = self.decimal(column)?;
        Some(self.span().map_or(0, |span| self.decimals.scale_within(span, decimal)))
    }

    /// What the exchange itself published strangely here, in time order. Known of klines only.
    pub fn oddities(&self, grid: Grid) -> Vec<Oddity> {
        if self.series.kind() != Kind::Klines {
            return Vec::new();
        }
        let [open, high, low, close] = [1, 2, 3, 4].map(|column| self.floats(column));
        let mut found = Vec::new();
        for (row, (&micros, &closes)) in self.open_times().iter().zip(self.close_times()).enumerate() {
            let open_time = Timestamp::from_micros(micros);
            let sane = low[row] <= open[row].min(close[row]) && open[row].max(close[row]) <= high[row];
            let next = grid.next(open_time);
            // The last unit before the next slot: a millisecond in older rows, a microsecond in newer ones.
            let usual = grid.is_provisional() || closes == next.as_micros() - 1 || closes == next.as_micros() - 1_000;
            let kinds = [
                (!sane, OddityKind::PriceOutsideLowHigh),
                (!grid.contains(open_time), OddityKind::OffGrid),
                (!usual, OddityKind::UnusualCloseTime),
            ];
            found.extend(
                kinds
                    .into_iter()
                    .filter(|k| k.0)
                    .map(|(_, kind)| Oddity { open_time, kind }),
            );
        }
        found
    }

    /// Joins batches of one series whose klines follow each other without overlap; copies the columns.
    /// `None` when they overlap, are out of order or belong to different series.
    pub fn concat(batches: &[Batch]) -> Option<Batch> {
        let series = batches.first()?.series.clone();
        let filled: Vec<&Batch> = batches.iter().filter(|b| !b.is_empty()).collect();
        let ordered = filled
            .windows(2)
            .all(|w| w[0].open_times().last() < w[1].open_times().first());
        if !ordered || filled.iter().any(|b| b.series != series) {
            return None;
        }
        let rows = arrow_select::concat::concat_batches(&schema_of(&series), filled.iter().map(|b| &b.rows)).ok()?;
        let mut decimals = Decimals::default();
        for batch in &filled {
            decimals.append(
                &batch
                    .span()
                    .map_or_else(Decimals::default, |span| batch.decimals.within(span)),
            );
        }
        Some(Batch {
            series,
            rows,
            decimals: Arc::new(decimals),
        })
    }

    /// Whether both hold the same rows: every column bit for bit, and every decimal's text.
    pub fn same_klines(&self, other: &Batch) -> bool {
        let texts = |b: &Batch| b.span().map(|span| b.decimals.within(span));
        self.series == other.series && self.rows.columns() == other.rows.columns() && texts(self) == texts(other)
    }
}

/// The columns in schema order, for building a record batch.
pub(crate) fn columns(times: [Vec<i64>; 2], count: Vec<i64>, decimals: [Vec<f64>; COLUMNS]) -> Vec<ArrayRef> {
    let time = |values: Vec<i64>| -> ArrayRef {
        Arc::new(PrimitiveArray::<TimestampMicrosecondType>::new(values.into(), None).with_timezone("UTC"))
    };
    let [open_time, close_time] = times;
    let mut decimals = decimals
        .map(|v| Arc::new(PrimitiveArray::<Float64Type>::new(v.into(), None)) as ArrayRef)
        .into_iter();
    let mut all: Vec<ArrayRef> = vec![time(open_time)];
    all.extend(decimals.by_ref().take(5));
    all.push(time(close_time));
    all.extend(decimals.by_ref().take(1));
    all.push(Arc::new(PrimitiveArray::<Int64Type>::new(count.into(), None)));
    all.extend(decimals);
    all
}
