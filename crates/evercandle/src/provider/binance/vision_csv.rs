//! Klines as the archives print them: twelve comma-separated columns, straight into a batch.
//!
//! Nearly all rows look like the one before, so they are read by [`usual_row`](super::usual_row), which gives up at the
//! first surprise. What it gives up on is read here, strictly and with words for what is wrong, by code that need not be
//! fast. The two must agree wherever the first one succeeds; a test holds them to it.
//!
//! Known surprises: a header line (futures, since about 2022, file by file; never trusted for the meaning of columns,
//! because COIN-M's is wrong), the same header again further down, carriage returns, a byte order mark, a blank line at
//! the end, further columns behind the twelfth, numbers in scientific notation.

use memchr::{memchr, memchr_iter};

use super::micros_per_unit;
use super::usual_row::Shape;
use crate::model::batch::{Batch, COLUMN_NAMES};
use crate::model::builder::{BatchBuilder, Repairs, Row};
use crate::model::decimals::{COLUMNS, Printed, Scales};
use crate::model::range::TimeRange;
use crate::model::series::Series;

/// Columns that mean something. A twelfth, `ignore`, follows in every known file.
const FIELDS: usize = 11;
/// Bytes of a row at the least, to set room aside.
const ROW_BYTES_MIN: usize = 90;

/// All klines of a file, each of which must open in `range`; otherwise what is wrong and in which line.
pub(super) fn parse(series: &Series, range: TimeRange, text: &[u8]) -> Result<(Batch, Repairs), String> {
    parse_as(series, range, text, Shape::new)
}

/// As [`parse`]; `shape_of` says what the rows after one of so many digits of time and such scales are expected to be like.
fn parse_as(
    series: &Series,
    range: TimeRange,
    text: &[u8],
    shape_of: impl Fn(usize, Scales) -> Option<Shape>,
) -> Result<(Batch, Repairs), String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut builder = BatchBuilder::new(series.clone(), text.len() / ROW_BYTES_MIN);
    let header = header(text);
    let mut at = 0;
    let mut shape: Option<Shape> = None;
    while at < text.len() {
        if let Some((row, after)) = shape.as_mut().and_then(|shape| shape.row(text, at))
            && builder.push_plain(&row)
        {
            at = after;
            continue;
        }
        let (line, after) = line_at(text, at);
        if line.is_empty() {
            if !text[at..].iter().all(u8::is_ascii_whitespace) {
                return Err(format!("line {}: empty, but not the last", line_number(text, at)));
            }
            break;
        }
        if header != Some(line) {
            let row = any_row(line).map_err(|why| format!("line {}: {why}", line_number(text, at)))?;
            builder.push(&row);
            let time_digits = line.iter().take_while(|b| **b != b',').count();
            shape = shape_of(time_digits, builder.scales());
        }
        at = after;
    }
    builder.finish(range).map_err(|e| e.to_string())
}

/// The first line, if it is a header: neither its first field nor its first price is a number. Asking for both keeps a
/// damaged first row from passing as one.
fn header(text: &[u8]) -> Option<&[u8]> {
    let (line, _) = line_at(text, 0);
    let mut fields = line.split(|b| *b == b',');
    let (time, price) = (fields.next()?, fields.next()?);
    let numeric = |field: &[u8]| field.first().is_some_and(|b| b.is_ascii_digit() || b"-+.".contains(b));
    (!time.is_empty() && !price.is_empty() && !numeric(time) && !numeric(price)).then_some(line)
}

/// The line that begins at `at`, without its end, and where the next one begins.
fn line_at(text: &[u8], at: usize) -> (&[u8], usize) {
    let end = memchr(b'\n', &text[at..]).map_or(text.len(), |n| at + n);
    let line = &text[at..end];
    (line.strip_suffix(b"\r").unwrap_or(line), (end + 1).min(text.len()))
}

fn line_number(text: &[u8], at: usize) -> usize {
    memchr_iter(b'\n', &text[..at]).count() + 1
}

/// Any row, or what is wrong with it.
fn any_row(line: &[u8]) -> Result<Row<'_>, String> {
    let mut fields: [&[u8]; FIELDS] = [b""; FIELDS];
    let mut found = 0;
    for field in line.split(|b| *b == b',') {
        if let Some(place) = fields.get_mut(found) {
            *place = field;
        }
        found += 1;
    }
    if found < FIELDS {
        return Err(format!("{found} columns: expected at least {FIELDS}"));
    }
    let wrong = |slot: usize| {
        let text = String::from_utf8_lossy(&fields[slot][..fields[slot].len().min(60)])
            .escape_debug()
            .to_string();
        format!("{} = \"{text}\"", COLUMN_NAMES[slot])
    };
    twelve_fields(|slot| fields[slot]).map_err(wrong)
}

/// The row that the exchange's fields 0 to 10 make, wherever they are printed, or the field that does not hold what it
/// should. The places are the same on every market and in every source.
pub(super) fn twelve_fields<'a>(field: impl Fn(usize) -> &'a [u8]) -> Result<Row<'a>, usize> {
    let number = |slot: usize| whole(field(slot)).ok_or(slot);
    let decimal = |slot: usize| Printed::parse(field(slot)).ok_or(slot);
    let (open_time, close_time, count) = (number(0)?, number(6)?, number(8)?);
    let unit = micros_per_unit(open_time);
    let values: [Printed<'a>; COLUMNS] = [
        decimal(1)?,
        decimal(2)?,
        decimal(3)?,
        decimal(4)?,
        decimal(5)?,
        decimal(7)?,
        decimal(9)?,
        decimal(10)?,
    ];
    Ok(Row {
        open_time: open_time.saturating_mul(unit),
        close_time: close_time.saturating_mul(unit),
        count,
        values,
    })
}

/// An integer of one to eighteen digits, which always fits.
pub(super) fn whole(text: &[u8]) -> Option<i64> {
    let fits = (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    fits.then(|| text.iter().fold(0, |n, b| n * 10 + i64::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::interval::Interval;
    use crate::model::range::{DAY, Timestamp};
    use crate::model::series::Market;

    const HEADER: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,\
                          taker_buy_quote_volume,ignore";
    /// 2024-01-01, in milliseconds.
    const DAY_MS: i64 = 1_704_067_200_000;

    fn row(minute: i64) -> String {
        let open = DAY_MS + minute * 60_000;
        let close = open + 59_999;
        format!(
            "{open},42283.58000000,42298.62000000,42261.02000000,42298.61000000,35.92724000,{close},1519032.40398340,1327,23.18766000,980394.24218110,0"
        )
    }

    fn read(text: &str) -> Result<(Batch, Repairs), String> {
        read_as(Market::Spot, text)
    }

    fn read_as(market: Market, text: &str) -> Result<(Batch, Repairs), String> {
        let series = Series::parse("BTCUSDT", Interval::M1, Some(market)).unwrap();
        let start = Timestamp::from_millis(DAY_MS);
        parse(&series, TimeRange::clamped(start, start.plus(DAY)), text.as_bytes())
    }

    fn minutes(text: &str) -> Vec<i64> {
        let (batch, _) = read(text).unwrap();
        let open_times = batch.open_times().iter();
        open_times.map(|t| (t / 1_000 - DAY_MS) / 60_000).collect()
    }

    #[test]
    fn harmless_differences_make_no_difference() {
        let (a, b) = (row(0), row(1));
        let plain = format!("{a}\n{b}\n");
        let (expected, _) = read(&plain).unwrap();
        for text in [
            format!("{a}\n{b}"),
            format!("{a}\r\n{b}\r\n"),
            format!("\u{feff}{a}\n{b}\n"),
            format!("{a}\n{b}\n\n"),
            format!("{a}\n{b}\n\r\n  \n"),
            format!("{a},7,8\n{b},extra\n"),
            format!("{HEADER}\n{a}\n{b}\n"),
            format!("\u{feff}{HEADER}\r\n{a}\r\n{b}\r\n"),
            format!("{HEADER}\n{a}\n{HEADER}\n{b}\n{HEADER}\n"),
            // Eleven columns are all that mean something.
            format!("{}\n{}\n", a.trim_end_matches(",0"), b.trim_end_matches(",0")),
        ] {
            let (batch, repairs) = read(&text).unwrap();
            assert!(batch.same_klines(&expected), "{text}");
            assert_eq!(repairs, Repairs::default());
        }
        assert_eq!(minutes(&plain), [0, 1]);
        assert_eq!(minutes(""), Vec::<i64>::new());
        assert_eq!(minutes(&format!("{HEADER}\n")), Vec::<i64>::new());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let (a, b) = (row(0), row(1));
        for (text, expected) in [
            (format!("{a}\nbad,{b}\n"), "line 2: open_time = \"bad\""),
            (format!("{a}\n{b}\n{HEADER}\n"), "line 3: open_time = \"open_time\""),
            // A damaged first time does not make a header of a row.
            (b.replacen("17", "x7", 1), "line 1: open_time = \"x7"),
            (format!("{a}\n1,2,3\n"), "line 2: 3 columns"),
            ("<html></html>\n".to_owned(), "line 1: 1 columns"),
            (format!("{a}\n\n{b}\n"), "line 2: empty, but not the last"),
            (a.replace("35.92724000", "-1"), "line 1: volume = \"-1\""),
            (a.replace("35.92724000", "NaN"), "line 1: volume = \"NaN\""),
            (a.replace("35.92724000", "\"35.9\""), "line 1: volume"),
            (a.replace("35.92724000", ""), "line 1: volume = \"\""),
            (a.replace("1327", "1.5"), "line 1: count = \"1.5\""),
            (a.replace("1327", "-3"), "line 1: count = \"-3\""),
            (
                format!("{b}\n{}\n", row(1_440)),
                "2024-01-02T00:00:00Z, outside the range",
            ),
            (format!("{b}\n{}\n", row(-1)), "2023-12-31T23:59:00Z, outside the range"),
            // Seconds taken for milliseconds, nanoseconds for microseconds.
            (a.replacen("1704067200000", "1704067200", 1), "1970-01-20"),
            (
                a.replacen("1704067200000", "1704067200000000000", 1),
                "line 1: open_time",
            ),
            (
                a.replacen("1704067200000", "170406720000000000", 1),
                "outside the range",
            ),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(expected), "{error:?} instead of {expected:?}");
        }
    }

    #[test]
    fn each_row_says_by_its_magnitude_in_which_unit_its_times_are() {
        let micros = row(1)
            .replacen("1704067260000", "1704067260000000", 1)
            .replace("1704067319999", "1704067319999999");
        let (batch, _) = read(&format!("{}\n{micros}\n{}\n", row(0), row(2))).unwrap();
        let minute = 60_000_000;
        assert_eq!(batch.open_times(), [0, 1, 2].map(|m| DAY_MS * 1_000 + m * minute));
        assert_eq!(batch.close_times()[0], DAY_MS * 1_000 + minute - 1_000);
        assert_eq!(batch.close_times()[1], DAY_MS * 1_000 + 2 * minute - 1);
    }

    #[test]
    fn repeated_disordered_and_contradicting_rows_are_counted() {
        let other = row(3).replace("42283.58", "42283.59");
        let text = [row(0), row(2), row(1), row(2), row(3), other].join("\n");
        let (batch, repairs) = read(&text).unwrap();
        assert_eq!(batch.len(), 3);
        assert_eq!((repairs.duplicates, repairs.conflicts, repairs.out_of_order), (1, 1, 1));
    }

    #[test]
    fn odd_but_published_numbers_are_kept_as_printed() {
        for text in [
            "8.764e-5",
            "0",
            "0.0",
            "007.50",
            "1.",
            ".5",
            "123456789012345678.12345678",
            "1.1234567890123",
        ] {
            let (batch, _) = read(&row(0).replace("35.92724000", text)).unwrap();
            assert_eq!(batch.print(0, 5).as_deref(), Some(text));
        }
        // A still market, and a close time cut short by a halt.
        let still = row(5)
            .replace("1704067559999", "1704067501838")
            .replace(",1327,", ",0,");
        let (batch, _) = read(&still.replace("35.92724000", "0.00000000")).unwrap();
        assert_eq!((batch.floats(5)[0], batch.counts()[0]), (0.0, 0));
        assert_eq!(batch.close_times()[0], 1_704_067_501_838_000);
        // COIN-M: whole contracts, and taker columns printed in two ways.
        let (batch, _) = read_as(
            Market::Cm,
            &format!(
                "{HEADER}\n{DAY_MS},42283.5,42298.6,42261.0,42298.6,2594,1704067259999,6.13471020,41,0,0.00000000,0\n"
            ),
        )
        .unwrap();
        assert_eq!(
            (batch.print(0, 5).as_deref(), batch.print(0, 9).as_deref()),
            (Some("2594"), Some("0"))
        );
    }

    /// A decimal with that many digits before and behind its point, which `seed` fills.
    fn decimal(before: usize, behind: usize, seed: u64) -> String {
        let (whole, fraction) = (seed % 10u64.pow(before as u32), seed / 7 % 10u64.pow(behind as u32));
        match behind {
            0 => whole.to_string(),
            _ => format!("{whole}.{fraction:0behind$}"),
        }
    }

    /// Files whose rows share a shape, but for a few: other digits, odd fields, headers, carriage returns, nothing.
    fn files() -> impl Strategy<Value = String> {
        let scales = prop::collection::vec(prop_oneof![4 => Just(8usize), 3 => 0usize..10], 8);
        let file = (scales, prop::bool::weighted(0.7)).prop_flat_map(|(scales, millis)| {
            let decimals = prop::collection::vec((1usize..10, any::<u64>()), 8);
            let odd = prop::option::weighted(
                0.1,
                (
                    0usize..13,
                    "[0-9.e,\r\u{80}:/-]{0,9}|[0-9]{7,20}|[0-9]{1,9}\\.[0-9]{1,9}|[0-9]e-?[0-9]|",
                ),
            );
            let step = prop_oneof![30 => Just(1i64), 1 => -2i64..5];
            let end = prop_oneof![30 => Just("\n"), 1 => Just("\r\n"), 1 => Just(",x\n"), 1 => Just("\n\n")];
            let row = (decimals, 0u64..2_000_000_000, odd, step, end);
            prop::collection::vec(row, 1..90).prop_map(move |rows| {
                let mut minute = 0;
                let lines = rows.into_iter().map(|(d, count, odd, step, end)| {
                    minute += step;
                    let open = DAY_MS + minute * 60_000;
                    let (open, close) = match millis {
                        true => (open, open + 59_999),
                        false => (open * 1_000, open * 1_000 + 59_999_999),
                    };
                    let count = count >> (count % 31);
                    let d: Vec<String> = std::iter::zip(d, &scales)
                        .map(|((before, seed), behind)| decimal(before, *behind, seed))
                        .collect();
                    let mut fields: Vec<String> = vec![open.to_string()];
                    fields.extend_from_slice(&d[..5]);
                    fields.extend([close.to_string(), d[5].clone(), count.to_string()]);
                    fields.extend_from_slice(&d[6..]);
                    fields.push("0".to_owned());
                    if let Some((slot, text)) = odd {
                        fields.resize(13, String::new());
                        fields[slot] = text;
                    }
                    fields.join(",") + end
                });
                lines.collect::<String>()
            })
        });
        let change = prop::option::of((any::<prop::sample::Index>(), "[0-9:;/.,e\r\n -]"));
        (file, prop::bool::weighted(0.2), change).prop_map(|(rows, header, change)| {
            let mut text = if header { format!("{HEADER}\n{rows}") } else { rows };
            if let Some((place, character)) = change {
                let (place, whole) = (place.index(text.len()), text.is_ascii());
                if whole {
                    text.replace_range(place..place + 1, &character);
                }
            }
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_500))]
        /// Goal: what a file says does not depend on which reader its rows were left to.
        /// Method: files of rows of mostly one shape; read as usual, and again with no row being usual; same rows, same
        /// repairs, same complaint.
        #[test]
        fn the_fast_reader_agrees_with_the_careful_one(text in files()) {
            let series = Series::parse("BTCUSDT", Interval::M1, None).unwrap();
            let start = Timestamp::from_millis(DAY_MS);
            let range = TimeRange::clamped(start.plus(-DAY), start.plus(DAY));
            let fast = parse(&series, range, text.as_bytes());
            let slow = parse_as(&series, range, text.as_bytes(), |_, _| None);
            match (fast, slow) {
                (Ok((fast, repaired)), Ok((slow, expected))) => {
                    prop_assert!(fast.same_klines(&slow));
                    prop_assert_eq!(repaired, expected);
                }
                (fast, slow) => prop_assert_eq!(fast.err(), slow.err()),
            }
        }
    }
}
