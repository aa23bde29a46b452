//! How a double gives back the decimal the exchange printed.
//!
//! People compute with doubles, and doubles are what a file can be mapped as; but `0.10000000` and `0.1` are different
//! answers to "what did the exchange say". A printed decimal is an integer *mantissa* over a power of ten, its *scale*.
//! When the mantissa is below 2^52 the nearest double, printed with the same number of fraction digits, is that decimal
//! again, digit for digit. So a batch of doubles needs only the scale of each column, which is constant over long
//! stretches (a [`ScaleRun`]), and the text of the few values that do not fit ([`Exception`]): quote volumes of long
//! klines, volumes of meme coins, or a value printed with another number of digits than its neighbours.
//!
//! Rejected: `Decimal128` columns (no one computes in them, and they double the file); strings (an allocation a value).

use super::range::{TimeRange, Timestamp};

/// The eight columns of printed decimals, in the order of the exchange's row.
pub const COLUMNS: usize = 8;
/// Mantissas below this survive the way through a double: rounding at the column's scale errs by less than one half.
pub(super) const MANTISSA_MAX: u64 = 1 << 52;
const MANTISSA_MAX_F64: f64 = MANTISSA_MAX as f64;
/// Powers of ten up to this one are exact doubles, so one division is correctly rounded (Clinger's fast path).
const SCALE_MAX: u8 = 22;

pub(super) const POWERS: [f64; SCALE_MAX as usize + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Fraction digits of each decimal column.
pub type Scales = [u8; COLUMNS];

/// A printed decimal: `mantissa / 10^scale`, with the text it was read from. Not negative, unless it was
/// [read as one that may be](Printed::parse_signed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printed<'a> {
    /// All digits as one integer. Meaningless when `plain` is false.
    pub mantissa: u64,
    /// Digits after the point.
    pub scale: u8,
    /// Whether mantissa and scale say everything: canonical digits, at most 19 of them, no exponent.
    pub plain: bool,
    /// The characters as the exchange printed them.
    pub text: &'a [u8],
}

impl<'a> Printed<'a> {
    /// Reads one printed decimal. `None` when the text is not a finite, non-negative number.
    ///
    /// Scientific notation and more than 19 digits are accepted (both have been published), but are kept as text.
    pub fn parse(text: &'a [u8]) -> Option<Printed<'a>> {
        let (mut mantissa, mut scale, mut digits, mut point) = (0u64, 0u8, 0usize, false);
        for &byte in text {
            match byte {
                b'0'..=b'9' => {
                    digits += 1;
                    mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                    scale = scale.saturating_add(u8::from(point));
                }
                b'.' if !point => point = true,
                _ => return Printed::unusual(text),
            }
        }
        let canonical = text.first().is_some_and(u8::is_ascii_digit)
            && text.last().is_some_and(u8::is_ascii_digit)
            && !(text.len() > 1 && text[0] == b'0' && text[1] != b'.');
        if digits == 0 || digits > 19 || scale > SCALE_MAX || !canonical {
            return Printed::unusual(text);
        }
        Some(Printed {
            mantissa,
            scale,
            plain: true,
            text,
        })
    }

    /// As [`Printed::parse`], of a number that may have a minus before it; and whether it has. Mantissa and scale are
    /// those of the magnitude, the text is all of it.
    pub fn parse_signed(text: &'a [u8]) -> Option<(Printed<'a>, bool)> {
        match text.strip_prefix(b"-") {
            None => Some((Printed::parse(text)?, false)),
            Some(magnitude) if magnitude.first().is_some_and(u8::is_ascii_digit) => {
                let magnitude = Printed::parse(magnitude)?;
                Some((Printed { text, ..magnitude }, true))
            }
            Some(_) => None,
        }
    }

    fn unusual(text: &'a [u8]) -> Option<Printed<'a>> {
        // The float parser also reads "inf" and "nan"; a number has a digit in it.
        text.iter().any(u8::is_ascii_digit).then_some(())?;
        let value: f64 = fast_float2::parse(text).ok()?;
        (value.is_finite() && value.is_sign_positive()).then_some(Printed {
            mantissa: 0,
            scale: 0,
            plain: false,
            text,
        })
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        if self.plain && self.mantissa <= 1 << 53 {
            self.mantissa as f64 / POWERS[usize::from(self.scale.min(SCALE_MAX))]
        } else {
            fast_float2::parse(self.text).unwrap_or(f64::NAN)
        }
    }

    /// Whether the nearest double, printed with [`Printed::scale`] fraction digits, is this text again.
    pub fn survives_a_double(self) -> bool {
        self.plain && self.mantissa < MANTISSA_MAX
    }
}

/// From `from` on, until the next run, decimals are printed with these many fraction digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleRun {
    /// Open time of the first kline the scales apply to.
    pub from: Timestamp,
    /// Fraction digits of each column.
    pub scales: Scales,
}

/// A value whose text the double and the scale do not give back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Open time of the kline.
    pub open_time: Timestamp,
    /// Which of the eight decimal columns.
    pub column: u8,
    /// The characters as the exchange printed them.
    pub text: Box<str>,
}

/// What is needed beside the doubles to print every value as the exchange did. Both lists are sorted by time.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Decimals {
    runs: Vec<ScaleRun>,
    exceptions: Vec<Exception>,
}

impl Decimals {
    /// From lists sorted by time (exceptions also by column within a kline); `None` when they are not.
    pub fn from_parts(runs: Vec<ScaleRun>, exceptions: Vec<Exception>) -> Option<Decimals> {
        let sorted = runs.windows(2).all(|w| w[0].from < w[1].from)
            && exceptions
                .windows(2)
                .all(|w| (w[0].open_time, w[0].column) < (w[1].open_time, w[1].column))
            && runs.iter().all(|r| r.scales.iter().all(|s| *s <= SCALE_MAX));
        sorted.then_some(Decimals { runs, exceptions })
    }

    /// Stretches of equal scales.
    pub fn runs(&self) -> &[ScaleRun] {
        &self.runs
    }

    /// Values kept as text.
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// The part that concerns klines opening inside `range`.
    #[must_use]
    pub fn within(&self, range: TimeRange) -> Decimals {
        let first = self.runs.partition_point(|r| r.from <= range.start()).saturating_sub(1);
        let runs = self.runs[first..]
            .iter()
            .filter(|r| r.from < range.end())
            .map(|r| ScaleRun {
                from: r.from.max(range.start()),
                scales: r.scales,
            })
            .collect();
        let from = self.exceptions.partition_point(|e| e.open_time < range.start());
        let to = self.exceptions.partition_point(|e| e.open_time < range.end());
        Decimals {
            runs,
            exceptions: self.exceptions[from..to.max(from)].to_vec(),
        }
    }

    /// Adds what concerns later klines. `later` must begin after everything here; its own order is kept.
    pub fn append(&mut self, later: &Decimals) {
        for run in &later.runs {
            if self.runs.last().is_none_or(|last| last.scales != run.scales) {
                self.runs.push(*run);
            }
        }
        self.exceptions.extend(later.exceptions.iter().cloned());
    }

    /// The scales in force at `open_time`.
    pub fn scales_at(&self, open_time: Timestamp) -> Scales {
        let after = self.runs.partition_point(|r| r.from <= open_time);
        self.runs
            .get(after.saturating_sub(1))
            .map_or([0; COLUMNS], |r| r.scales)
    }

    /// The text of one value, if it is kept as text.
    pub fn exception(&self, open_time: Timestamp, column: usize) -> Option<&str> {
        let found = self
            .exceptions
            .binary_search_by_key(&(open_time, column), |e| (e.open_time, usize::from(e.column)))
            .ok()?;
        Some(&self.exceptions[found].text)
    }

    /// The value as the exchange printed it, given its double.
    pub fn print(&self, open_time: Timestamp, column: usize, value: f64) -> String {
        match self.exception(open_time, column) {
            Some(text) => text.to_owned(),
            // Rust prints a double rounded exactly, so the fixed number of digits gives the mantissa back.
            None => format!("{value:.*}", usize::from(self.scales_at(open_time)[column])),
        }
    }

    /// The fewest fraction digits at which every value of `column` opening inside `range` is exact.
    /// Values in scientific notation count the digits of their plain form.
    pub fn scale_within(&self, range: TimeRange, column: usize) -> u8 {
        let part = self.within(range);
        let runs = part.runs.iter().map(|r| r.scales[column]);
        let texts = part
            .exceptions
            .iter()
            .filter(|e| usize::from(e.column) == column)
            .map(|e| plain(&e.text).1);
        runs.chain(texts).max().unwrap_or(0)
    }
}

/// Integer and scale of a printed decimal, whatever its notation; digits beyond 38 are cut off.
pub fn plain(text: &str) -> (i128, u8) {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().unwrap_or(0)),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: String = whole
        .chars()
        .chain(fraction.chars())
        .filter(char::is_ascii_digit)
        .take(38)
        .collect();
    let magnitude: i128 = digits.parse().unwrap_or(0);
    let mantissa = if number.starts_with('-') { -magnitude } else { magnitude };
    let scale = fraction.len() as i32 - exponent;
    if scale < 0 {
        (mantissa.saturating_mul(10i128.saturating_pow(scale.unsigned_abs())), 0)
    } else {
        (mantissa, scale.min(38) as u8)
    }
}

/// The double nearest to a mantissa that [survives](Printed::survives_a_double). Neither a call nor a branch, so that
/// columns of them are converted several at a time.
#[inline(always)]
pub(super) fn exact(mantissa: u64) -> f64 {
    // 2^52 has an exponent at which the fraction's bits count ones.
    f64::from_bits(mantissa | MANTISSA_MAX_F64.to_bits()) - MANTISSA_MAX_F64
}

/// Collects [`Decimals`] row by row, in time order.
///
/// Every change of scales begins a new run, even for a single row: a run costs less than the texts it saves.
#[derive(Debug, Default)]
pub struct DecimalsBuilder {
    decimals: Decimals,
    scales: Scales,
}

impl DecimalsBuilder {
    /// Whether a row of these scales whose values all survive would change nothing.
    #[inline]
    pub fn continues(&self, scales: Scales) -> bool {
        scales == self.scales && !self.decimals.runs.is_empty()
    }

    /// The scales in force.
    pub fn scales(&self) -> Scales {
        self.scales
    }

    /// Takes the next row, whose values all survive.
    pub fn push_plain(&mut self, open_time: Timestamp, scales: Scales) {
        if !self.continues(scales) {
            self.scales = scales;
            self.decimals.runs.push(ScaleRun {
                from: open_time,
                scales,
            });
        }
    }

    /// Takes the next row.
    pub fn push(&mut self, open_time: Timestamp, values: &[Printed<'_>; COLUMNS]) {
        let mut scales = values.map(|v| v.scale);
        for (column, value) in values.iter().enumerate() {
            if !value.plain {
                // It is kept as text and must not make its row look different from its neighbours.
                scales[column] = self.scales[column];
            }
            if !value.survives_a_double() {
                let text = String::from_utf8_lossy(value.text).into();
                self.decimals.exceptions.push(Exception {
                    open_time,
                    column: column as u8,
                    text,
                });
            }
        }
        self.push_plain(open_time, scales);
    }

    /// What was collected.
    pub fn finish(self) -> Decimals {
        self.decimals
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(n: i64) -> Timestamp {
        Timestamp::from_micros(n)
    }

    /// One row whose first column is `text` and whose others are `1.00`.
    fn row(text: &str) -> [Printed<'_>; COLUMNS] {
        let mut row = [Printed::parse(b"1.00").unwrap(); COLUMNS];
        row[0] = Printed::parse(text.as_bytes()).unwrap();
        row
    }

    #[test]
    fn numbers_the_exchange_could_not_have_meant_are_refused() {
        for wrong in [
            "", ".", "-1", "-0.5", "nan", "inf", "infinity", "1e999", "1.2.3", "0x10", "1 ", " 1", "1,5", "\"1\"", "e5",
        ] {
            assert_eq!(Printed::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_a_double_cannot_give_back_is_kept_as_text() {
        // A quote volume of a monthly kline, scientific notation, missing and superfluous zeros.
        for text in [
            "17928899123.62484339",
            "8.764e-5",
            ".5",
            "5.",
            "007.10",
            "0.00000001234567890123456789",
        ] {
            let mut builder = DecimalsBuilder::default();
            builder.push(at(1), &row(text));
            let decimals = builder.finish();
            assert_eq!(decimals.exception(at(1), 0), Some(text));
            assert_eq!(decimals.print(at(1), 0, row(text)[0].to_f64()), text);
        }
    }

    #[test]
    fn a_change_of_scale_begins_a_run_and_slices_keep_the_run_they_began_in() {
        let mut builder = DecimalsBuilder::default();
        for (n, text) in [(1, "5.00"), (2, "5.10"), (3, "5.100"), (4, "6.000"), (5, "7")] {
            builder.push(at(n), &row(text));
        }
        let decimals = builder.finish();
        assert_eq!(decimals.runs().len(), 3);
        assert_eq!(decimals.print(at(2), 0, 5.1), "5.10");
        assert_eq!(decimals.print(at(4), 0, 6.0), "6.000");
        let later = decimals.within(TimeRange::clamped(at(4), at(9)));
        assert_eq!(
            (later.runs().len(), later.print(at(4), 0, 6.0)),
            (2, "6.000".to_owned())
        );
        let mut joined = decimals.within(TimeRange::clamped(at(0), at(4)));
        joined.append(&later);
        assert_eq!(joined, decimals);
        assert_eq!(decimals.scale_within(TimeRange::clamped(at(1), at(3)), 0), 2);
        assert_eq!(decimals.scale_within(TimeRange::clamped(at(1), at(9)), 0), 3);
    }

    #[test]
    fn plain_form_of_any_notation() {
        assert_eq!(plain("12.50"), (1250, 2));
        assert_eq!(plain("8.764e-5"), (8764, 8));
        assert_eq!(plain("1.5E3"), (1500, 0));
        assert_eq!(plain("17928899123.62484339"), (1_792_889_912_362_484_339, 8));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn every_printed_decimal_comes_back_digit_for_digit(mantissa in any::<u64>(), shift in 0u32..64, scale in 0u8..19) {
            let digits = format!("{:0>width$}", mantissa >> shift, width = usize::from(scale) + 1);
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
            let text = if scale == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") };
            let value = Printed::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(value.to_f64(), text.parse::<f64>().unwrap());
            let mut builder = DecimalsBuilder::default();
            builder.push(at(7), &row(&text));
            prop_assert_eq!(builder.finish().print(at(7), 0, value.to_f64()), text);
        }
    }
}
