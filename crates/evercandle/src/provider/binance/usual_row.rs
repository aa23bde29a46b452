//! The row that nearly every line of an archive is: the last one again, in other digits.
//!
//! A month of minutes is seven megabytes of digits, and reading them must cost less than unpacking them. What takes
//! time is not arithmetic but waiting: where a field begins is known only once the one before has been measured. So the
//! careful reader reads one row, and its [`Shape`] (digits of times, digits behind each point) is taken for granted and
//! only checked in the rows that follow. Digits before the point do differ, but mostly not among prices. Whether all was
//! digits is asked once at the end of a row.
//!
//! Whatever does not fit is left to the careful reader, which must agree wherever this one succeeds: another shape,
//! nine digits on a side of the point, exponents, missing fields, and the last row of a file, because all reads are made
//! inside a window of fixed length, which spares the check of each against the file's end.
//!
//! Rejected: a pass that marks all commas first (twice the loads, and without vector instructions no faster).

use memchr::memchr;

use super::digits::{carries, eight_digits, measured, no_digit, right_aligned, values};
use super::micros_per_unit;
use crate::model::builder::PlainRow;
use crate::model::decimals::{COLUMNS, Scales};

/// Bytes within which a row must end. Usual ones take 90 to 170.
const WINDOW: usize = 256;
/// Bytes that the reads of one field may span.
const FIELD: usize = 40;

/// What the rows of a file have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    time_digits: usize,
    /// Digits before the point, in the price read last: a guess.
    price_digits: usize,
    scales: Scales,
    fractions: [Fraction; COLUMNS],
}

/// How a decimal goes on behind its whole digits.
#[derive(Clone, Copy, Debug)]
struct Fraction {
    digits: usize,
    /// Characters up to the comma: the digits and their point, if there is one.
    length: usize,
    /// What comes first: the point or already the comma.
    first: u8,
    /// What the whole digits count as in the mantissa.
    tens: u64,
}

impl Shape {
    /// The shape of a row whose open time has so many digits and whose decimals have these scales; `None` if such rows
    /// are not usual.
    pub(super) fn new(time_digits: usize, scales: Scales) -> Option<Shape> {
        // Milliseconds until the year 2286, or microseconds.
        let usual = (time_digits == 13 || time_digits == 16) && scales.iter().all(|s| *s <= 8);
        usual.then(|| Shape {
            time_digits,
            price_digits: 1,
            scales,
            fractions: scales.map(|scale| Fraction {
                digits: usize::from(scale),
                length: usize::from(scale + u8::from(scale > 0)),
                first: if scale > 0 { b'.' } else { b',' },
                tens: 10u64.pow(u32::from(scale)),
            }),
        })
    }

    /// The row that begins at `at`, if it has this shape, and where the next one begins.
    #[inline(always)]
    pub(super) fn row(&mut self, text: &[u8], at: usize) -> Option<(PlainRow, usize)> {
        let mut scan = Scan {
            window: text.get(at..)?.first_chunk()?,
            at: 0,
            damage: 0,
        };
        let columns = &self.fractions;
        let open_time = scan.time(self.time_digits)?;
        let (open, digits) = scan.decimal_of(self.price_digits, &columns[0])?;
        let (high, digits) = scan.decimal_of(digits, &columns[1])?;
        let (low, digits) = scan.decimal_of(digits, &columns[2])?;
        let (close, digits) = scan.decimal_of(digits, &columns[3])?;
        self.price_digits = digits;
        let (volume, _) = scan.decimal(&columns[4])?;
        let close_time = scan.time(self.time_digits)?;
        let (quote_volume, _) = scan.decimal(&columns[5])?;
        let count = scan.count()?;
        let (taker, _) = scan.decimal(&columns[6])?;
        let (taker_quote, _) = scan.decimal(&columns[7])?;
        if no_digit(scan.damage) {
            return None;
        }
        let after = at + scan.at;
        // Nothing behind the eleventh column means anything.
        let after = match scan.window.get(scan.at..scan.at + 2)? {
            b"0\n" => after + 2,
            _ => after + memchr(b'\n', &text[after..])? + 1,
        };
        let unit = micros_per_unit(open_time);
        let row = PlainRow {
            open_time: open_time.saturating_mul(unit),
            close_time: close_time.saturating_mul(unit),
            count,
            mantissas: [open, high, low, close, volume, quote_volume, taker, taker_quote],
            scales: self.scales,
        };
        Some((row, after))
    }
}

/// Where the scanner is. Every method moves past one field and its comma, or gives up.
struct Scan<'a> {
    window: &'a [u8; WINDOW],
    at: usize,
    /// Top bits are set once something that must be a digit was none; asked for only at the end of the row.
    damage: u64,
}

impl Scan<'_> {
    /// The values of eight characters, first one lowest.
    #[inline(always)]
    fn eight(&self, at: usize) -> Option<u64> {
        let bytes: &[u8; 8] = self.window.get(at..at + 8)?.try_into().ok()?;
        Some(values(*bytes))
    }

    #[inline(always)]
    fn is(&self, at: usize, byte: u8) -> bool {
        self.window.get(at) == Some(&byte)
    }

    /// One comparison for all the reads of a field, from which the compiler concludes that they are inside.
    #[inline(always)]
    fn has_room(&self) -> Option<()> {
        (self.at <= WINDOW - FIELD).then_some(())
    }

    #[inline(always)]
    fn time(&mut self, digits: usize) -> Option<i64> {
        self.has_room()?;
        let digits = digits % 32;
        let (first, last) = (self.eight(self.at)?, self.eight(self.at + digits - 8)?);
        if !self.is(self.at + digits, b',') {
            return None;
        }
        self.damage |= carries(first) | carries(last);
        self.at += digits + 1;
        Some((eight_digits(right_aligned(first, digits - 8)) * 100_000_000 + eight_digits(last)) as i64)
    }

    #[inline(always)]
    fn count(&mut self) -> Option<i64> {
        self.has_room()?;
        let values = self.eight(self.at)?;
        let digits = measured(values);
        if digits == 0 || !self.is(self.at + digits, b',') {
            return None;
        }
        let values = right_aligned(values, digits);
        self.damage |= carries(values);
        self.at += digits + 1;
        Some(eight_digits(values) as i64)
    }

    /// A decimal's mantissa, and how many digits come before its point.
    #[inline(always)]
    fn decimal(&mut self, fraction: &Fraction) -> Option<(u64, usize)> {
        self.has_room()?;
        let whole = self.eight(self.at)?;
        let digits = measured(whole);
        // Superfluous zeros are kept as text, which is not for here.
        if digits == 0 || (whole as u8 == 0 && digits > 1) {
            return None;
        }
        let whole = right_aligned(whole, digits);
        self.damage |= carries(whole);
        let behind = self.fraction(self.at + digits, fraction)?;
        Some((eight_digits(whole) * fraction.tens + behind, digits))
    }

    /// As [`Scan::decimal`], with a guess at the digits before the point.
    #[inline(always)]
    fn decimal_of(&mut self, digits: usize, fraction: &Fraction) -> Option<(u64, usize)> {
        self.has_room()?;
        let digits = digits % 16;
        let values = self.eight(self.at)?;
        let whole = right_aligned(values, digits);
        let superfluous = values as u8 == 0 && digits > 1;
        if no_digit(carries(whole)) || !self.is(self.at + digits, fraction.first) || superfluous {
            return self.decimal(fraction);
        }
        let behind = self.fraction(self.at + digits, fraction)?;
        Some((eight_digits(whole) * fraction.tens + behind, digits))
    }

    /// From the point at `at` to behind the comma.
    #[inline(always)]
    fn fraction(&mut self, at: usize, fraction: &Fraction) -> Option<u64> {
        let values = right_aligned(self.eight(at + 1)?, fraction.digits);
        let comma = at + fraction.length % 16;
        if !self.is(at, fraction.first) || !self.is(comma, b',') {
            return None;
        }
        self.damage |= carries(values);
        self.at = comma + 1;
        Some(eight_digits(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape::new(13, [2, 2, 2, 2, 0, 8, 3, 8]).unwrap()
    }

    fn read(line: &str) -> Option<PlainRow> {
        let text = format!("{line}{}", " ".repeat(WINDOW));
        shape().row(text.as_bytes(), 0).map(|(row, _)| row)
    }

    const ROW: &str = "1704067200000,99.58,100.62,98.02,101.61,35,1704067259999,1519.40398340,27,0.766,4.24218110,0\n";

    #[test]
    fn a_row_of_the_shape_is_taken() {
        let row = read(ROW).unwrap();
        assert_eq!(
            (row.open_time, row.close_time),
            (1_704_067_200_000_000, 1_704_067_259_999_000)
        );
        assert_eq!(row.count, 27);
        assert_eq!(
            row.mantissas,
            [9_958, 10_062, 9_802, 10_161, 35, 151_940_398_340, 766, 424_218_110]
        );
        assert!(read(&ROW.replace("101.61", "12345678.61")).is_some());
        assert!(read(&ROW.replace(",0\n", ",7,8\r\n")).is_some());
    }

    #[test]
    fn anything_else_is_left_alone() {
        for (from, to) in [
            ("1704067200000", "170406720000"),
            ("1704067200000", "17040672000000"),
            ("1704067200000", "1704067200000000"),
            ("1704067200000", "170406:200000"),
            ("99.58", "99.5"),
            ("99.58", "99.580"),
            ("99.58", "9a.58"),
            ("99.58", "099.58"),
            ("99.58", "99"),
            ("99.58", ".58"),
            ("99.58", "\"99.58\""),
            ("99.58", "-9.58"),
            ("99.58", "9e-58"),
            ("100.62", "01.62"),
            ("100.62", "123456789.62"),
            ("100.62", ""),
            (",35,", ",,"),
            (",35,", ",3.5,"),
            (",35,", ",3:5,"),
            (",35,", ",3-5,"),
            (",27,", ",2.7,"),
            (",27,", ",2:7,"),
            (",27,", ",123456789,"),
            (",4.24218110,0\n", ",4.24218110\n"),
            (",4.24218110,0\n", ",4.24218110,0"),
        ] {
            assert_eq!(read(&ROW.replacen(from, to, 1)), None, "{from:?} as {to:?}");
        }
        assert!(Shape::new(12, [0; COLUMNS]).is_none());
        assert!(Shape::new(13, [9; COLUMNS]).is_none());
        assert!(shape().row(ROW.as_bytes(), 0).is_none());
    }
}
