//! Funding rates: what longs paid shorts, per unit of position, when a perpetual future was settled.
//!
//! A rate has an instant and no length. Contracts are settled on whole hours: every eight by default, many every four,
//! two or one, and the exchange changes that while a contract trades; and the instants it prints are a few milliseconds
//! after the hour. So no grid says when the next rate is due, and a missing one cannot be told by counting.
//! What can be told rests on two facts: a rate belongs to the hour it was settled in, and **at 00:00, 08:00 and 16:00
//! every contract is settled**, whatever its interval. Hence
//!
//! - the slots are hours, of which most are *quiet*: nothing was settled in them, and nothing is missing;
//! - a page begins at one of those three instants, so that its answer always has a row to begin with (`telling`), and
//!   an empty one is as suspicious as it is for klines;
//! - from a rate on, an answer is taken at its word until the next rate is overdue (`told`).
//!
//! Rates are negative as often as not. A decimal is kept as printed, as everywhere ([`decimals`](super::decimals)).

use std::sync::{Arc, LazyLock};

use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::batch::{Batch, BatchError};
use super::builder::Repairs;
use super::decimals::{COLUMNS, DecimalsBuilder, Printed};
use super::interval::{Grid, Interval};
use super::range::{HOUR, MINUTE, RangeSet, TimeRange, Timestamp};
use super::series::Series;

/// Names of the columns, in order.
///
/// `mark_price` and `interval_hours` are null where whoever supplied the row does not publish them: archives know the
/// interval and not the price, REST the price (of newer rates) and not the interval.
pub const COLUMN_NAMES: [&str; 4] = ["funding_time", "funding_rate", "mark_price", "interval_hours"];

/// Position in the schema of each decimal column.
pub const DECIMAL_COLUMNS: [usize; 2] = [RATE, MARK_PRICE];

const RATE: usize = 1;
const MARK_PRICE: usize = 2;
const INTERVAL_HOURS: usize = 3;

/// The slots in which rates are looked for.
pub(super) const SLOT: Interval = Interval::H1;
/// The exchange's word, as in its archives' folders.
pub(super) const LABEL: &str = "fundingRate";
/// At each multiple of this since the epoch, every contract is settled.
pub(crate) const ALL_SETTLE: i64 = 8 * HOUR;
/// How much longer than what is wanted a page may be.
pub(crate) const MARGIN_HOURS: u32 = 24;
/// A rate is published within seconds of its hour. When so much has passed, there is none if none is there.
pub const PUBLISHED_AFTER: i64 = 5 * MINUTE;
/// No contract is settled less often than once a day; longer intervals are damage.
const INTERVAL_HOURS_MAX: i64 = 24;

/// The Arrow schema of funding rates: `funding_time` is `timestamp[us, UTC]`, `interval_hours` `int64`, the rest
/// `float64`.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let kinds = [time, DataType::Float64, DataType::Float64, DataType::Int64];
        let fields = COLUMN_NAMES.iter().zip(kinds).enumerate();
        let fields = fields.map(|(column, (name, kind))| Field::new(*name, kind, column > RATE));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    });
    SCHEMA.clone()
}

/// The hours about which an answer leaves nothing to ask, given that it was complete for `answered`: from each rate on,
/// until the next one or until one is overdue.
///
/// Where no interval was published, that is when every contract is settled; but after the last rate it is as long as
/// the rate before it lasted, because the newest may be late, and must not be taken for one that does not exist.
pub(crate) fn told(batch: &Batch, answered: TimeRange) -> RangeSet {
    let hour = |row: usize| Grid::new(SLOT, None).floor(Timestamp::from_micros(batch.open_times()[row]));
    let interval = |row: usize| interval_hours(batch, row).map(|hours| hours.saturating_mul(HOUR));
    let stretch = |row: usize| {
        let (start, last) = (hour(row), row + 1 == batch.len());
        // Where the interval changes, the longer of the two may have been in force.
        let lasted = || (row > 0).then(|| start.since(hour(row - 1)));
        let between = match last {
            true => interval(row).or_else(lasted),
            false => interval(row).zip(interval(row + 1)).map(|(one, next)| one.max(next)),
        };
        let all_settle = floor(start, ALL_SETTLE).plus(ALL_SETTLE);
        let due = between.map_or(all_settle, |length| start.plus(length).min(all_settle));
        let next = if last { answered.end() } else { hour(row + 1) };
        TimeRange::clamped(start, due.min(next).max(start.plus(HOUR)))
    };
    (0..batch.len()).map(stretch).collect()
}

/// What page to ask for so that the answer begins with a rate, if the contract was traded, and with one more before
/// `range`, which shows how long a rate lasts; and so that it ends with one, if that has been published. At most
/// [`MARGIN_HOURS`] longer.
pub(super) fn telling(range: TimeRange, known_until: Timestamp) -> TimeRange {
    let start = floor(range.start(), ALL_SETTLE).plus(-ALL_SETTLE);
    let end = floor(range.end().plus(ALL_SETTLE - 1), ALL_SETTLE).plus(HOUR);
    TimeRange::clamped(start, end.min(known_until).max(range.end()))
}

/// The end of the last hour whose rate, if it has one, has been published at `now`.
pub(super) fn known_until(grid: Grid, now: Timestamp) -> Timestamp {
    grid.floor(now.plus(HOUR - PUBLISHED_AFTER))
}

fn floor(t: Timestamp, step: i64) -> Timestamp {
    t.plus(-t.as_micros().rem_euclid(step))
}

/// Hours between settlements when a row's rate was settled, where that was published.
pub fn interval_hours(batch: &Batch, row: usize) -> Option<i64> {
    let column = batch.rows().columns().get(INTERVAL_HOURS)?;
    let column = column.as_any().downcast_ref::<PrimitiveArray<Int64Type>>()?;
    (row < column.len() && column.is_valid(row)).then(|| column.value(row))
}

/// What a batch of rates promises of its numbers: a finite rate, a price that is not negative, a sensible interval.
pub(super) fn check_numbers(batch: &Batch) -> Result<(), BatchError> {
    let bad = |row: usize, column: usize, value: String| BatchError::BadNumber {
        row,
        open_time: Timestamp::from_micros(batch.open_times()[row]),
        column: COLUMN_NAMES[column],
        value,
    };
    for row in 0..batch.len() {
        let (rate, mark_price) = (batch.floats(RATE)[row], batch.floats(MARK_PRICE)[row]);
        if !rate.is_finite() {
            return Err(bad(row, RATE, rate.to_string()));
        }
        let fit = mark_price.is_finite() && mark_price >= 0.0;
        if !fit && !batch.is_null(row, MARK_PRICE) {
            return Err(bad(row, MARK_PRICE, mark_price.to_string()));
        }
        match interval_hours(batch, row) {
            Some(hours) if !(1..=INTERVAL_HOURS_MAX).contains(&hours) => {
                return Err(bad(row, INTERVAL_HOURS, hours.to_string()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether two rates of one hour are the same, as far as both were told.
pub(crate) fn same_values(a: &Batch, i: usize, b: &Batch, j: usize) -> bool {
    let mark_price = |batch: &Batch, row| (!batch.is_null(row, MARK_PRICE)).then(|| batch.floats(MARK_PRICE)[row]);
    let agree = |one: Option<f64>, other: Option<f64>| one.zip(other).is_none_or(|(one, other)| one == other);
    a.floats(RATE)[i] == b.floats(RATE)[j] && agree(mark_price(a, i), mark_price(b, j))
}

/// One rate as parsed.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// When it was settled, as printed, in microseconds since the epoch.
    pub funding_time: i64,
    /// The rate as printed.
    pub rate: &'a str,
    /// The mark price it was charged at, as printed, if it was.
    pub mark_price: Option<&'a str>,
    /// Hours between settlements, if that was printed.
    pub interval_hours: Option<i64>,
}

/// Collects rates; there are so few of them that each is kept by itself until the end.
#[derive(Debug)]
pub struct FundingBuilder {
    series: Series,
    rows: Vec<Owned>,
    foreign: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    funding_time: i64,
    rate: Box<str>,
    mark_price: Option<Box<str>>,
    interval_hours: Option<i64>,
}

impl Owned {
    fn hour(&self) -> i64 {
        self.funding_time.div_euclid(HOUR)
    }

    /// Whether both are the same settlement told twice; the instant may differ by some milliseconds.
    fn repeats(&self, other: &Owned) -> bool {
        let Owned { funding_time, .. } = *self;
        *self
            == Owned {
                funding_time,
                ..other.clone()
            }
    }
}

impl FundingBuilder {
    /// For the rates of one series.
    pub fn new(series: Series) -> FundingBuilder {
        FundingBuilder {
            series,
            rows: Vec::new(),
            foreign: 0,
        }
    }

    /// Takes the next rate; otherwise what is wrong with it.
    pub fn push(&mut self, row: &Row<'_>) -> Result<(), String> {
        let text = |name: &str, text: &str| format!("{name} = {text:?}");
        if Printed::parse_signed(row.rate.as_bytes()).is_none() {
            return Err(text("funding_rate", row.rate));
        }
        if let Some(mark_price) = row.mark_price.filter(|m| Printed::parse(m.as_bytes()).is_none()) {
            return Err(text("mark_price", mark_price));
        }
        if let Some(hours) = row.interval_hours.filter(|h| !(1..=INTERVAL_HOURS_MAX).contains(h)) {
            return Err(text("interval_hours", &hours.to_string()));
        }
        self.rows.push(Owned {
            funding_time: row.funding_time,
            rate: row.rate.into(),
            mark_price: row.mark_price.map(Into::into),
            interval_hours: row.interval_hours,
        });
        Ok(())
    }

    /// A row was left out, because it is no regular settlement.
    pub fn leave_out(&mut self) {
        self.foreign += 1;
    }

    /// The batch, if every rate lies in `range` and no hour has two. Rates that contradict each other cannot be
    /// withheld as klines are: their hour would then look quiet.
    pub fn finish(mut self, range: TimeRange) -> Result<(Batch, Repairs), String> {
        let mut repairs = Repairs {
            foreign: self.foreign,
            ..Repairs::default()
        };
        repairs.out_of_order = self
            .rows
            .windows(2)
            .filter(|w| w[1].funding_time < w[0].funding_time)
            .count();
        self.rows.sort_by_key(|row| row.funding_time);
        let mut rows: Vec<Owned> = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            match rows.last() {
                Some(last) if last.hour() == row.hour() && last.repeats(&row) => repairs.duplicates += 1,
                Some(last) if last.hour() == row.hour() => {
                    let hour = Timestamp::from_micros(row.hour().saturating_mul(HOUR));
                    let (one, other) = (&last.rate, &row.rate);
                    return Err(format!("two different rates in the hour of {hour}: {one} and {other}"));
                }
                _ => rows.push(row),
            }
        }
        let batch = build(self.series, &rows, range).map_err(|e| e.to_string())?;
        Ok((batch, repairs))
    }
}

fn build(series: Series, rows: &[Owned], range: TimeRange) -> Result<Batch, BatchError> {
    let mut decimals = DecimalsBuilder::default();
    let mut rates = Vec::with_capacity(rows.len());
    let mut mark_prices = Vec::with_capacity(rows.len());
    let zero = Printed::parse(b"0");
    for row in rows {
        let rate = Printed::parse_signed(row.rate.as_bytes());
        let mark_price = row.mark_price.as_deref().and_then(|m| Printed::parse(m.as_bytes()));
        rates.push(rate.map_or(f64::NAN, |(rate, negative)| match negative {
            true => -rate.to_f64().abs(),
            false => rate.to_f64(),
        }));
        mark_prices.push(mark_price.map(Printed::to_f64));
        if let (Some((rate, _)), Some(zero)) = (rate, zero) {
            // A price that is not there is printed like the one before it, so that nothing changes.
            let like_before = Printed {
                scale: decimals.scales()[1],
                ..zero
            };
            let mut printed = [zero; COLUMNS];
            (printed[0], printed[1]) = (rate, mark_price.unwrap_or(like_before));
            decimals.push(Timestamp::from_micros(row.funding_time), &printed);
        }
    }
    let times: Vec<i64> = rows.iter().map(|row| row.funding_time).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(PrimitiveArray::<TimestampMicrosecondType>::new(times.into(), None).with_timezone("UTC")),
        Arc::new(PrimitiveArray::<Float64Type>::new(rates.into(), None)),
        Arc::new(mark_prices.into_iter().collect::<PrimitiveArray<Float64Type>>()),
        Arc::new(
            rows.iter()
                .map(|row| row.interval_hours)
                .collect::<PrimitiveArray<Int64Type>>(),
        ),
    ];
    let columns = RecordBatch::try_new(schema(), columns).map_err(|e| BatchError::Schema {
        expected: "columns of one length".into(),
        found: e.to_string(),
    })?;
    Batch::try_new(series, columns, decimals.finish(), range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::series::Market;
    use crate::model::symbol::Symbol;

    /// 2024-01-01.
    const START: i64 = 1_704_067_200_000_000;

    fn series() -> Series {
        Series::funding_rates(Market::Um, Symbol::new("BTCUSDT").unwrap()).unwrap()
    }

    fn hours(from: i64, to: i64) -> TimeRange {
        TimeRange::clamped(
            Timestamp::from_micros(START + from * HOUR),
            Timestamp::from_micros(START + to * HOUR),
        )
    }

    /// Rates at these hours, three milliseconds late, each with the interval that was published with it.
    fn batch(rows: &[(i64, Option<i64>)]) -> Batch {
        let mut builder = FundingBuilder::new(series());
        for (hour, interval_hours) in rows {
            let row = Row {
                funding_time: START + hour * HOUR + 3_000,
                rate: "-0.00010000",
                mark_price: None,
                interval_hours: *interval_hours,
            };
            builder.push(&row).unwrap();
        }
        builder.finish(hours(-100, 1_000)).unwrap().0
    }

    #[track_caller]
    fn check_told(rows: &[(i64, Option<i64>)], answered: (i64, i64), expected: &[(i64, i64)]) {
        let told = told(&batch(rows), hours(answered.0, answered.1));
        let since = |t: Timestamp| (t.as_micros() - START) / HOUR;
        let told: Vec<_> = told.iter().map(|r| (since(r.start()), since(r.end()))).collect();
        assert_eq!(told, expected, "{rows:?}");
    }

    #[test]
    fn an_answer_is_believed_until_a_rate_is_overdue() {
        let unsaid = |hours: &[i64]| hours.iter().map(|h| (*h, None)).collect::<Vec<_>>();
        // Eight hours, and every hour: nothing is missing.
        check_told(&unsaid(&[0, 8, 16]), (0, 24), &[(0, 24)]);
        check_told(&unsaid(&[0, 1, 2, 3, 4, 5, 6, 7, 8]), (0, 9), &[(0, 9)]);
        // The range ends before the next rate is due.
        check_told(&unsaid(&[0, 8]), (0, 11), &[(0, 11)]);
        // At 8 o'clock everybody settles.
        check_told(&unsaid(&[0, 16]), (0, 24), &[(0, 8), (16, 24)]);
        check_told(&unsaid(&[0, 4, 12, 16]), (0, 20), &[(0, 8), (12, 20)]);
        check_told(&unsaid(&[0]), (0, 24), &[(0, 8)]);
        // Nothing is known of what comes before the first rate, and of nothing at all.
        check_told(&unsaid(&[8]), (0, 16), &[(8, 16)]);
        check_told(&[], (0, 16), &[]);
    }

    #[test]
    fn the_newest_rate_may_be_late_and_is_waited_for_as_long_as_those_before_it_lasted() {
        let unsaid = |hours: &[i64]| hours.iter().map(|h| (*h, None)).collect::<Vec<_>>();
        check_told(&unsaid(&[0, 4, 8]), (0, 13), &[(0, 12)]);
        check_told(&unsaid(&[0, 1, 2]), (0, 6), &[(0, 3)]);
        check_told(&unsaid(&[0, 8]), (0, 13), &[(0, 13)]);
        // Between rates that are there nothing is late any more.
        check_told(&unsaid(&[0, 4, 8, 16]), (0, 17), &[(0, 17)]);
    }

    #[test]
    fn where_the_interval_was_published_a_rate_is_overdue_after_it() {
        let every = |n: i64, hours: &[i64]| hours.iter().map(|h| (*h, Some(n))).collect::<Vec<_>>();
        check_told(&every(4, &[0, 4, 8, 12]), (0, 16), &[(0, 16)]);
        check_told(&every(4, &[0, 8, 12]), (0, 16), &[(0, 4), (8, 16)]);
        check_told(&every(1, &[0, 1, 3]), (0, 4), &[(0, 2), (3, 4)]);
        check_told(&every(4, &[0]), (0, 8), &[(0, 4)]);
        // From eight to four, and back: the first of the new interval may come after the old one.
        check_told(&[(0, Some(8)), (8, Some(4)), (12, Some(4))], (0, 16), &[(0, 16)]);
        check_told(&[(0, Some(4)), (8, Some(8)), (16, Some(8))], (0, 24), &[(0, 24)]);
    }

    #[test]
    fn what_is_asked_for_begins_where_every_contract_is_settled() {
        for (asked, widened) in [
            ((0, 5), (-8, 5)),
            ((3, 5), (-8, 5)),
            ((8, 9), (0, 9)),
            ((23, 30), (8, 30)),
        ] {
            let known = |until: i64| telling(hours(asked.0, asked.1), hours(until, until).start());
            assert_eq!(known(0), hours(widened.0, widened.1));
            // As long as it is known already, it ends there too.
            let end = (asked.1 + 7) / 8 * 8;
            assert_eq!(known(100), hours(widened.0, end + 1));
            assert_eq!(known(end), hours(widened.0, end.max(asked.1)));
        }
    }

    #[test]
    fn a_rate_is_known_five_minutes_after_its_hour_has_begun() {
        let at = |minutes: i64| known_until(Grid::new(SLOT, None), Timestamp::from_micros(START + minutes * MINUTE));
        assert_eq!(at(4), Timestamp::from_micros(START));
        assert_eq!(at(5), Timestamp::from_micros(START + HOUR));
        assert_eq!(at(64), Timestamp::from_micros(START + HOUR));
    }

    fn built(rows: &[(i64, &str, Option<&str>)]) -> Result<(Batch, Repairs), String> {
        let mut builder = FundingBuilder::new(series());
        for (millis, rate, mark_price) in rows {
            builder.push(&Row {
                funding_time: START + millis * 1_000,
                rate,
                mark_price: *mark_price,
                interval_hours: None,
            })?;
        }
        builder.finish(hours(0, 24))
    }

    #[test]
    fn a_rate_is_given_back_as_printed_whatever_its_sign_and_length() {
        let texts = [
            "0.00010000",
            "-0.00010000",
            "-0.03750000",
            "0.0001",
            "0.001",
            "-0.00000000",
            "-1.2e-7",
            "0",
        ];
        let rows: Vec<_> = (0i64..)
            .zip(texts)
            .map(|(n, text)| (n * 3_600_000, text, None))
            .collect();
        let (batch, _) = built(&rows).unwrap();
        for (row, text) in texts.iter().enumerate() {
            assert_eq!(batch.print(row, RATE).as_deref(), Some(*text));
            assert_eq!(batch.floats(RATE)[row], text.parse::<f64>().unwrap());
            assert_eq!(batch.print(row, MARK_PRICE), None);
        }
        let exact = batch.decimal128(RATE, 8).unwrap();
        assert_eq!(exact.values()[..3], [10_000, -10_000, -3_750_000]);
    }

    #[test]
    fn a_mark_price_that_was_not_published_is_null_and_the_others_are_as_printed() {
        let (batch, _) = built(&[
            (0, "0.1", Some("34287.54619963")),
            (3_600_000, "0.1", None),
            (7_200_000, "0.1", Some("34287.5")),
        ])
        .unwrap();
        let printed: Vec<_> = (0..3).map(|row| batch.print(row, MARK_PRICE)).collect();
        assert_eq!(
            printed,
            [Some("34287.54619963".to_owned()), None, Some("34287.5".to_owned())]
        );
        assert_eq!(batch.scale(MARK_PRICE), Some(8));
        assert!(batch.is_null(1, MARK_PRICE) && !batch.is_null(0, MARK_PRICE));
    }

    #[test]
    fn a_settlement_told_twice_counts_once_and_an_hour_with_two_rates_is_no_answer() {
        let (batch, repairs) = built(&[(28_800_003, "0.2", None), (0, "0.1", None), (17, "0.1", None)]).unwrap();
        assert_eq!((batch.len(), repairs.duplicates, repairs.out_of_order), (2, 1, 1));
        let error = built(&[(0, "0.1", None), (17, "0.2", None)]).unwrap_err();
        assert!(
            error.contains("two different rates in the hour of 2024-01-01T00:00:00Z"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_rate_is_refused_by_name() {
        for (rate, mark_price, named) in [
            ("NaN", None, "funding_rate"),
            ("", None, "funding_rate"),
            ("--1", None, "funding_rate"),
            ("-inf", None, "funding_rate"),
            ("0.1", Some("-5"), "mark_price"),
            ("0.1", Some("x"), "mark_price"),
        ] {
            let error = built(&[(0, rate, mark_price)]).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
        assert!(
            built(&[(25 * 3_600_000, "0.1", None)])
                .unwrap_err()
                .contains("outside the range")
        );
    }
}
