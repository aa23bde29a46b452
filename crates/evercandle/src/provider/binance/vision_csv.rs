//! Klines as the archives print them: twelve comma-separated columns, straight into a batch.
//!
//! Nearly all rows look alike, so they are read by a scanner that takes eight characters at a time, makes integers of
//! digits and gives up at the first surprise. What it gives up on is read again, strictly and with words for what is
//! wrong, by code that need not be fast. The two must agree wherever the first one succeeds; a test holds them to it.
//!
//! Known surprises: a header line (futures, since about 2022, file by file; never trusted for the meaning of columns,
//! because COIN-M's is wrong), the same header again further down, carriage returns, a byte order mark, a blank line at
//! the end, further columns behind the twelfth, numbers in scientific notation.

use memchr::{memchr, memchr_iter};

use super::micros_per_unit;
use crate::model::batch::{Batch, COLUMN_NAMES};
use crate::model::builder::{BatchBuilder, Repairs, Row};
use crate::model::decimals::{COLUMNS, Printed};
use crate::model::range::TimeRange;
use crate::model::series::Series;

/// Columns that mean something. A twelfth, `ignore`, follows in every known file.
const FIELDS: usize = 11;
/// Bytes of a row at the least, to set room aside.
const ROW_BYTES_MIN: usize = 90;

/// All klines of a file, each of which must open in `range`; otherwise what is wrong and in which line.
pub(super) fn parse(series: &Series, range: TimeRange, text: &[u8]) -> Result<(Batch, Repairs), String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut builder = BatchBuilder::new(series.clone(), text.len() / ROW_BYTES_MIN);
    let header = header(text);
    let mut at = 0;
    while at < text.len() {
        if let Some((row, after)) = usual_row(text, at) {
            builder.push(&row);
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
    let number = |slot: usize| whole(fields[slot]).ok_or_else(|| wrong(slot));
    let decimal = |slot: usize| Printed::parse(fields[slot]).ok_or_else(|| wrong(slot));
    let (open_time, close_time, count) = (number(0)?, number(6)?, number(8)?);
    let unit = micros_per_unit(open_time);
    let values: [Printed<'_>; COLUMNS] = [
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

/// The row that begins at `at` and where the next one begins, if nothing about it is unusual.
#[inline]
fn usual_row(text: &[u8], at: usize) -> Option<(Row<'_>, usize)> {
    let mut scan = Scan { text, at };
    let open_time = scan.whole()?;
    let prices = [scan.decimal()?, scan.decimal()?, scan.decimal()?, scan.decimal()?];
    let volume = scan.decimal()?;
    let close_time = scan.whole()?;
    let quote_volume = scan.decimal()?;
    let count = scan.whole()?;
    let taker = [scan.decimal()?, scan.decimal()?];
    let after = scan.next_line()?;
    let unit = micros_per_unit(open_time);
    let [open, high, low, close] = prices;
    let row = Row {
        open_time: open_time.saturating_mul(unit),
        close_time: close_time.saturating_mul(unit),
        count,
        values: [open, high, low, close, volume, quote_volume, taker[0], taker[1]],
    };
    Some((row, after))
}

/// Where the fast scanner is. Every method moves past one field and its comma, or gives up.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    /// The next eight bytes, first one lowest; the last bytes of a file are left to the careful reader.
    #[inline(always)]
    fn eight(&self, at: usize) -> Option<u64> {
        let bytes: &[u8; 8] = self.text.get(at..at + 8)?.try_into().ok()?;
        Some(u64::from_le_bytes(*bytes))
    }

    /// Digits from `at` on, sixteen at the most: their value and how many there are.
    #[inline(always)]
    fn digits(&self, at: usize) -> Option<(u64, usize)> {
        let (value, count) = leading_digits(self.eight(at)?);
        if count < 8 {
            return Some((value, count));
        }
        let (more, further) = leading_digits(self.eight(at + 8)?);
        Some((value * TENS[further] + more, 8 + further))
    }

    #[inline(always)]
    fn whole(&mut self) -> Option<i64> {
        let (value, count) = self.digits(self.at)?;
        let end = self.at + count;
        if count == 0 || *self.text.get(end)? != b',' {
            return None;
        }
        self.at = end + 1;
        // Sixteen digits at the most.
        Some(value as i64)
    }

    #[inline(always)]
    fn decimal(&mut self) -> Option<Printed<'a>> {
        let start = self.at;
        // Eight digits before the point are enough for what is usual.
        let (integer, before) = leading_digits(self.eight(start)?);
        let mut end = start + before;
        let (mut mantissa, mut scale) = (integer, 0);
        if *self.text.get(end)? == b'.' {
            let (fraction, after) = leading_digits(self.eight(end + 1)?);
            if after == 0 {
                return None;
            }
            mantissa = integer * TENS[after] + fraction;
            scale = after as u8;
            end += 1 + after;
        }
        let padded = before > 1 && self.text[start] == b'0';
        if before == 0 || padded || *self.text.get(end)? != b',' {
            return None;
        }
        self.at = end + 1;
        Some(Printed {
            mantissa,
            scale,
            plain: true,
            text: &self.text[start..end],
        })
    }

    /// Past whatever else the line holds: nothing behind the eleventh column means anything.
    #[inline(always)]
    fn next_line(&self) -> Option<usize> {
        if self.text.get(self.at..self.at + 2) == Some(b"0\n") {
            return Some(self.at + 2);
        }
        Some(self.at + memchr(b'\n', &self.text[self.at..])? + 1)
    }
}

const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The value of the digits that eight bytes (first one lowest) begin with, and how many they are.
#[inline(always)]
fn leading_digits(bytes: u64) -> (u64, usize) {
    // Digits become 0..=9, and adding 0x76 carries anything larger into the top bit of its byte. A carry can spoil
    // only bytes behind the first that is no digit.
    let values = bytes ^ 0x3030_3030_3030_3030;
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    let count = (others.trailing_zeros() / 8) as usize;
    if count == 0 {
        return (0, 0);
    }
    // Right-aligned, with zeros in front; then neighbours are joined to pairs, fours and eight.
    let aligned = values << (64 - 8 * count);
    let pairs = aligned.wrapping_mul(10).wrapping_add(aligned >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    let eight = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff;
    (eight, count)
}
