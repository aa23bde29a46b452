//! From parsed rows, in whatever order a source printed them, to a [`Batch`].
//!
//! Sources repeat rows, interleave them and contradict themselves. The rules, the same for every provider:
//! rows are sorted by open time; a row repeated identically counts once; rows that contradict each other about one open
//! time are all withheld, so that the slot stays missing and is asked of the next upstream; a row outside the range that
//! was asked for makes the whole answer corrupt, because it shows that the answer is to another question.

use arrow_array::RecordBatch;

use super::batch::{Batch, BatchError, columns, schema};
use super::decimals::{COLUMNS, DecimalsBuilder, MANTISSA_MAX, POWERS, Printed, Scales, exact};
use super::range::{TimeRange, Timestamp};
use super::series::Series;

/// One kline as parsed. Times are microseconds since the epoch; `values` are in the order of
/// [`DECIMAL_COLUMNS`](super::batch::DECIMAL_COLUMNS).
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// When the kline opens: its identity.
    pub open_time: i64,
    /// The close time as published.
    pub close_time: i64,
    /// Number of trades.
    pub count: i64,
    /// Open, high, low, close, volume, quote volume, taker buy volume, taker buy quote volume.
    pub values: [Printed<'a>; COLUMNS],
}

/// What had to be put right, or was withheld, to make a batch of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Rows that repeated an earlier one exactly and were dropped.
    pub duplicates: usize,
    /// Open times about which rows contradicted each other; none of those rows was kept.
    pub conflicts: usize,
    /// Rows that came after a later one and were sorted into place.
    pub out_of_order: usize,
    /// Rows of another kind than was asked for, left out.
    pub foreign: usize,
}

/// One kline all of whose decimals say everything by integer and scale; otherwise as [`Row`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in Row")]
pub struct PlainRow {
    pub open_time: i64,
    pub close_time: i64,
    pub count: i64,
    /// All digits of each decimal as one integer.
    pub mantissas: [u64; COLUMNS],
    /// How many of them come after the point.
    pub scales: Scales,
}

impl PlainRow {
    /// A row as printed, if the doubles give it back.
    fn of(row: &Row<'_>) -> Option<PlainRow> {
        row.values.iter().all(|v| v.survives_a_double()).then(|| PlainRow {
            open_time: row.open_time,
            close_time: row.close_time,
            count: row.count,
            mantissas: row.values.map(|v| v.mantissa),
            scales: row.values.map(|v| v.scale),
        })
    }
}

/// Collects rows column by column.
#[derive(Debug)]
pub struct BatchBuilder {
    series: Series,
    open_time: Vec<i64>,
    close_time: Vec<i64>,
    count: Vec<i64>,
    values: [Vec<f64>; COLUMNS],
    decimals: DecimalsBuilder,
    /// Of the row taken last.
    latest: i64,
    waiting: Waiting,
    /// Set when a row did not come after the one before: order and texts then need the slow path.
    unsorted: Option<Vec<Owned>>,
}

/// Plain rows of the scales in force, not yet in the columns. A column is then converted at a stretch: one divisor, no
/// question of room for each value.
#[derive(Debug)]
struct Waiting {
    rows: usize,
    open_time: [i64; WAITING_MAX],
    close_time: [i64; WAITING_MAX],
    count: [i64; WAITING_MAX],
    mantissas: [[u64; WAITING_MAX]; COLUMNS],
}

/// Long enough for the vectors, short enough for the nearest cache.
const WAITING_MAX: usize = 64;

/// A row that outlives its source text; only the slow path makes these.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    open_time: i64,
    close_time: i64,
    count: i64,
    texts: [Box<[u8]>; COLUMNS],
}

impl BatchBuilder {
    /// Room for `rows` rows is set aside.
    pub fn new(series: Series, rows: usize) -> BatchBuilder {
        BatchBuilder {
            series,
            open_time: Vec::with_capacity(rows),
            close_time: Vec::with_capacity(rows),
            count: Vec::with_capacity(rows),
            values: std::array::from_fn(|_| Vec::with_capacity(rows)),
            decimals: DecimalsBuilder::default(),
            latest: i64::MIN,
            waiting: Waiting {
                rows: 0,
                open_time: [0; WAITING_MAX],
                close_time: [0; WAITING_MAX],
                count: [0; WAITING_MAX],
                mantissas: [[0; WAITING_MAX]; COLUMNS],
            },
            unsorted: None,
        }
    }

    /// Takes the next row as printed.
    pub fn push(&mut self, row: &Row<'_>) {
        if self.unsorted.is_some() || row.open_time <= self.latest {
            self.push_unsorted(row);
        } else {
            self.append(row);
        }
    }

    /// Takes the next row, unless its texts are needed, because it is out of order or a double would not give one back.
    /// Then it answers `false` and wants the row once more, by [`BatchBuilder::push`].
    #[inline]
    #[must_use]
    pub fn push_plain(&mut self, row: &PlainRow) -> bool {
        let digits = row.mantissas.iter().fold(0, |all, m| all | m);
        if self.unsorted.is_some() || row.open_time <= self.latest || digits >= MANTISSA_MAX {
            return false;
        }
        self.append_plain(row);
        true
    }

    fn append(&mut self, row: &Row<'_>) {
        if let Some(plain) = PlainRow::of(row) {
            return self.append_plain(&plain);
        }
        self.settle();
        self.latest = row.open_time;
        self.open_time.push(row.open_time);
        self.close_time.push(row.close_time);
        self.count.push(row.count);
        for (column, value) in self.values.iter_mut().zip(&row.values) {
            column.push(value.to_f64());
        }
        self.decimals.push(Timestamp::from_micros(row.open_time), &row.values);
    }

    #[inline]
    fn append_plain(&mut self, row: &PlainRow) {
        if !self.decimals.continues(row.scales) {
            self.settle();
            let open_time = Timestamp::from_micros(row.open_time);
            self.decimals.push_plain(open_time, row.scales);
        }
        if self.waiting.rows >= WAITING_MAX {
            self.settle();
        }
        let (at, waiting) = (self.waiting.rows % WAITING_MAX, &mut self.waiting);
        waiting.open_time[at] = row.open_time;
        waiting.close_time[at] = row.close_time;
        waiting.count[at] = row.count;
        for (column, mantissa) in waiting.mantissas.iter_mut().zip(row.mantissas) {
            column[at] = mantissa;
        }
        waiting.rows = at + 1;
        self.latest = row.open_time;
    }

    /// Moves the waiting rows to the columns.
    #[inline(never)]
    fn settle(&mut self) {
        let (waiting, scales) = (&mut self.waiting, self.decimals.scales());
        let rows = waiting.rows.min(WAITING_MAX);
        self.open_time.extend_from_slice(&waiting.open_time[..rows]);
        self.close_time.extend_from_slice(&waiting.close_time[..rows]);
        self.count.extend_from_slice(&waiting.count[..rows]);
        for ((column, mantissas), scale) in self.values.iter_mut().zip(&waiting.mantissas).zip(scales) {
            let divisor = POWERS[usize::from(scale)];
            column.extend(mantissas[..rows].iter().map(|m| exact(*m) / divisor));
        }
        waiting.rows = 0;
    }

    #[cold]
    fn push_unsorted(&mut self, row: &Row<'_>) {
        let owned = Owned {
            open_time: row.open_time,
            close_time: row.close_time,
            count: row.count,
            texts: row.values.map(|v| v.text.into()),
        };
        self.unsorted.get_or_insert_default().push(owned);
    }

    /// Fraction digits of each decimal in the row taken last, or before it where its own are of no use.
    pub fn scales(&self) -> Scales {
        self.decimals.scales()
    }

    /// How many rows were taken so far.
    pub fn len(&self) -> usize {
        self.open_time.len() + self.waiting.rows + self.unsorted.as_ref().map_or(0, Vec::len)
    }

    /// Whether no row was taken yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batch, if every row lies in `range` and every number is one.
    pub fn finish(mut self, range: TimeRange) -> Result<(Batch, Repairs), BatchError> {
        match self.unsorted.take() {
            None => Ok((self.build(range)?, Repairs::default())),
            Some(rest) => self.put_in_order(rest, range),
        }
    }

    fn build(mut self, range: TimeRange) -> Result<Batch, BatchError> {
        self.settle();
        let all = columns([self.open_time, self.close_time], self.count, self.values);
        let rows = RecordBatch::try_new(schema(self.series.market()), all).map_err(|e| BatchError::Schema {
            expected: "columns of one length".into(),
            found: e.to_string(),
        })?;
        Batch::try_new(self.series, rows, self.decimals.finish(), range)
    }

    /// The slow path: everything becomes owned rows again, is sorted, and is compared with its neighbours.
    fn put_in_order(self, rest: Vec<Owned>, range: TimeRange) -> Result<(Batch, Repairs), BatchError> {
        let mut repairs = Repairs::default();
        let sorted_part = BatchBuilder { unsorted: None, ..self };
        let series = sorted_part.series.clone();
        let whole = TimeRange::clamped(Timestamp::EPOCH, Timestamp::MAX);
        let sorted = sorted_part.build(whole)?;
        let mut rows: Vec<Owned> = (0..sorted.len()).map(|row| owned(&sorted, row)).collect();
        let mut latest = rows.last().map_or(i64::MIN, |r| r.open_time);
        for row in &rest {
            repairs.out_of_order += usize::from(row.open_time < latest);
            latest = latest.max(row.open_time);
        }
        rows.extend(rest);
        rows.sort_by_key(|r| r.open_time);
        let mut builder = BatchBuilder::new(series, rows.len());
        for same in rows.chunk_by(|a, b| a.open_time == b.open_time) {
            if same.iter().all(|r| *r == same[0]) {
                repairs.duplicates += same.len() - 1;
                builder.append_owned(&same[0]);
            } else {
                repairs.conflicts += 1;
            }
        }
        Ok((builder.build(range)?, repairs))
    }

    fn append_owned(&mut self, row: &Owned) {
        let fallback = Printed {
            mantissa: 0,
            scale: 0,
            plain: false,
            text: b"nan",
        };
        let values = std::array::from_fn(|i| Printed::parse(&row.texts[i]).unwrap_or(fallback));
        self.append(&Row {
            open_time: row.open_time,
            close_time: row.close_time,
            count: row.count,
            values,
        });
    }
}

fn owned(batch: &Batch, row: usize) -> Owned {
    let texts = super::batch::DECIMAL_COLUMNS.map(|column| {
        batch
            .print(row, column)
            .unwrap_or_default()
            .into_bytes()
            .into_boxed_slice()
    });
    Owned {
        open_time: batch.open_times()[row],
        close_time: batch.close_times()[row],
        count: batch.counts()[row],
        texts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::interval::{Grid, Interval};
    use crate::model::range::MINUTE;

    fn series() -> Series {
        Series::parse("BTCUSDT", Interval::M1, None).unwrap()
    }

    fn all() -> TimeRange {
        TimeRange::clamped(Timestamp::EPOCH, Timestamp::from_micros(1_000 * MINUTE))
    }

    fn row(minute: i64, close: &str) -> Row<'_> {
        let one = Printed::parse(b"1.00").unwrap();
        let mut values = [one; COLUMNS];
        values[3] = Printed::parse(close.as_bytes()).unwrap();
        Row {
            open_time: minute * MINUTE,
            close_time: (minute + 1) * MINUTE - 1,
            count: 3,
            values,
        }
    }

    fn build(rows: &[(i64, &str)]) -> (Batch, Repairs) {
        let mut builder = BatchBuilder::new(series(), rows.len());
        for (minute, close) in rows {
            builder.push(&row(*minute, close));
        }
        builder.finish(all()).unwrap()
    }

    fn minutes(batch: &Batch) -> Vec<i64> {
        batch.open_times().iter().map(|t| t / MINUTE).collect()
    }

    #[test]
    fn rows_are_sorted_repeats_count_once_and_contradictions_are_withheld() {
        let (batch, repairs) = build(&[
            (1, "1.00"),
            (2, "2.00"),
            (2, "2.00"),
            (5, "5.00"),
            (4, "4.50"),
            (3, "3.00"),
            (5, "5.01"),
        ]);
        assert_eq!(minutes(&batch), [1, 2, 3, 4]);
        assert_eq!(
            repairs,
            Repairs {
                duplicates: 1,
                conflicts: 1,
                out_of_order: 2,
                foreign: 0,
            }
        );
        assert_eq!(batch.print(3, 4).as_deref(), Some("4.50"));
    }

    #[test]
    fn order_makes_no_difference_to_the_batch() {
        let (sorted, repairs) = build(&[(1, "1.0"), (2, "17928899123.62484339"), (3, "3.000")]);
        assert_eq!(repairs, Repairs::default());
        let (unsorted, _) = build(&[(3, "3.000"), (2, "17928899123.62484339"), (1, "1.0")]);
        assert!(sorted.same_klines(&unsorted));
        assert_eq!(unsorted.print(1, 4).as_deref(), Some("17928899123.62484339"));
    }

    #[test]
    fn a_row_outside_the_range_shows_an_answer_to_another_question() {
        let mut builder = BatchBuilder::new(series(), 1);
        builder.push(&row(1_000, "1.00"));
        assert!(
            builder
                .finish(all())
                .unwrap_err()
                .to_string()
                .contains("outside the range")
        );
    }

    #[test]
    fn slices_share_and_join_again() {
        let (batch, _) = build(&[(1, "1.0"), (2, "2.00"), (4, "4.0"), (5, "5.0"), (9, "9.0")]);
        let at = |m| Timestamp::from_micros(m * MINUTE);
        for cut in 0..12 {
            let (left, right) = (
                batch.slice(TimeRange::clamped(at(0), at(cut))),
                batch.slice(TimeRange::clamped(at(cut), at(99))),
            );
            assert!(minutes(&left).iter().all(|m| *m < cut) && minutes(&right).iter().all(|m| *m >= cut));
            assert!(Batch::concat(&[left, right]).unwrap().same_klines(&batch));
        }
        assert!(Batch::concat(&[batch.clone(), batch.clone()]).is_none());
        let slots = batch.slots(Grid::new(Interval::M1, None));
        let ranges: Vec<_> = slots
            .iter()
            .map(|r| (r.start().as_micros() / MINUTE, r.end().as_micros() / MINUTE))
            .collect();
        assert_eq!(ranges, [(1, 3), (4, 6), (9, 10)]);
    }

    #[test]
    fn exact_decimals_carry_every_digit() {
        let (batch, _) = build(&[(1, "1.50"), (2, "17928899123.62484339"), (3, "8.764e-5")]);
        assert_eq!(batch.scale(4), Some(8));
        let exact = batch.decimal128(4, 8).unwrap();
        assert_eq!(exact.values().as_ref(), [150_000_000, 1_792_889_912_362_484_339, 8_764]);
        let printed = batch.printed(4).unwrap();
        assert_eq!(
            printed.iter().flatten().collect::<Vec<_>>(),
            ["1.50", "17928899123.62484339", "8.764e-5"]
        );
    }
}
