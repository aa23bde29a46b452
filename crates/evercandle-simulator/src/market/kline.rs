//! One kline as integers, and the three ways the exchange prints it.
//!
//! Prices and quantities are mantissas with a scale per symbol: a float would lose the last digits of a
//! nineteen-digit quote volume, and this crate is the one place that must never be wrong about a digit.

use crate::time::TimeUnit;

/// How many digits follow the decimal point in each kind of column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scales {
    /// Open, high, low and close.
    pub price: u8,
    /// Volume and taker volume (slots 5 and 9).
    pub quantity: u8,
    /// Quote volume and taker quote volume (slots 7 and 10); base volume on COIN-M.
    pub quote: u8,
}

/// One kline. Field order is the exchange's slot order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Kline {
    /// Opening instant, in microseconds: the identity of the kline within its series.
    pub open_time: i64,
    /// Price mantissas at `scales.price`.
    pub open: i64,
    /// Highest price.
    pub high: i64,
    /// Lowest price.
    pub low: i64,
    /// Last price.
    pub close: i64,
    /// Base volume at `scales.quantity`; contracts on COIN-M.
    pub volume: i128,
    /// Last instant of the kline, in microseconds; earlier than the grid says where a halt cut it short.
    pub close_time: i64,
    /// Quote volume at `scales.quote`; base volume on COIN-M.
    pub quote_volume: i128,
    /// Number of trades.
    pub trades: u64,
    /// The part of `volume` that takers bought.
    pub taker_base: i128,
    /// The part of `quote_volume` that takers bought.
    pub taker_quote: i128,
    /// Where the decimal points go.
    pub scales: Scales,
}

/// The slots whose values REST prints as JSON numbers; the others are strings.
const NUMBER_SLOTS: [usize; 3] = [0, 6, 8];

impl Kline {
    /// The twelve values in slot order, as the exchange prints them, without quotes.
    pub fn fields(&self, unit: TimeUnit) -> [String; 12] {
        let price = |mantissa: i64| decimal(i128::from(mantissa), self.scales.price);
        [
            unit.count(self.open_time).to_string(),
            price(self.open),
            price(self.high),
            price(self.low),
            price(self.close),
            decimal(self.volume, self.scales.quantity),
            unit.count(self.close_time).to_string(),
            decimal(self.quote_volume, self.scales.quote),
            self.trades.to_string(),
            decimal(self.taker_base, self.scales.quantity),
            decimal(self.taker_quote, self.scales.quote),
            "0".to_owned(),
        ]
    }

    /// The twelve JSON cells of a REST row: three numbers, nine quoted strings.
    pub fn rest_cells(&self, unit: TimeUnit) -> Vec<String> {
        let quote = |(slot, text): (usize, String)| {
            if NUMBER_SLOTS.contains(&slot) {
                text
            } else {
                format!("\"{text}\"")
            }
        };
        self.fields(unit).into_iter().enumerate().map(quote).collect()
    }

    /// One REST row: `[1502942400000,"4261.48000000",…,"0"]`.
    pub fn rest_row(&self, unit: TimeUnit) -> String {
        format!("[{}]", self.rest_cells(unit).join(","))
    }

    /// One CSV line without its line feed.
    pub fn csv_line(&self, unit: TimeUnit) -> String {
        let mut line = Vec::with_capacity(160);
        self.write_csv(unit, &mut line);
        line.pop();
        String::from_utf8(line).unwrap_or_default()
    }

    /// Appends the CSV line and its line feed: the path that months of minutes go through.
    pub(crate) fn write_csv(&self, unit: TimeUnit, out: &mut Vec<u8>) {
        let mut column = |mantissa: i128, scale: u8, end: u8| {
            write_decimal(out, mantissa, scale);
            out.push(end);
        };
        column(i128::from(unit.count(self.open_time)), 0, b',');
        for price in [self.open, self.high, self.low, self.close] {
            column(i128::from(price), self.scales.price, b',');
        }
        column(self.volume, self.scales.quantity, b',');
        column(i128::from(unit.count(self.close_time)), 0, b',');
        column(self.quote_volume, self.scales.quote, b',');
        column(i128::from(self.trades), 0, b',');
        column(self.taker_base, self.scales.quantity, b',');
        column(self.taker_quote, self.scales.quote, b',');
        column(0, 0, b'\n');
    }

    /// Lengthens this kline by the one that follows it.
    pub(crate) fn absorb(&mut self, later: &Kline) {
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume += later.volume;
        self.close_time = later.close_time;
        self.quote_volume += later.quote_volume;
        self.trades += later.trades;
        self.taker_base += later.taker_base;
        self.taker_quote += later.taker_quote;
    }
}

/// A mantissa as text with exactly `scale` digits after the point.
pub fn decimal(mantissa: i128, scale: u8) -> String {
    let mut out = Vec::with_capacity(24);
    write_decimal(&mut out, mantissa, scale);
    String::from_utf8(out).unwrap_or_default()
}

fn write_decimal(out: &mut Vec<u8>, mantissa: i128, scale: u8) {
    // Forty digits hold any 128-bit integer.
    let mut digits = [b'0'; 40];
    let mut start = digits.len();
    let magnitude = mantissa.unsigned_abs();
    if let Ok(mut rest) = u64::try_from(magnitude) {
        while rest > 0 {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    } else {
        let mut rest = magnitude;
        while rest > 0 {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    let point = digits.len() - usize::from(scale);
    let start = start.min(point - 1);
    if mantissa < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[start..point]);
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(&digits[point..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_print_every_digit() {
        let cases = [
            (0, 8, "0.00000000"),
            (0, 0, "0"),
            (-5, 2, "-0.05"),
            (426_148_000_000, 8, "4261.48000000"),
            (1_234_567_890_123_456_789_012, 8, "12345678901234.56789012"),
        ];
        for (mantissa, scale, expected) in cases {
            assert_eq!(decimal(mantissa, scale), expected);
        }
    }
}
