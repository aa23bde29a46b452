//! Dividing a minute into its seconds, so that they add up to it again.

use super::bars::{Bars, Standstill, lane};
use super::kline::Kline;
use crate::time::SECOND;

/// Seconds in a minute, as a count of rows.
const SECONDS: usize = 60;

impl Bars {
    /// Divides a minute into the seconds that exist.
    pub(super) fn seconds_of(&self, minute: &Kline) -> Vec<Kline> {
        let spec = &self.spec;
        let first = minute.open_time / SECOND;
        let price_unit = 10i64.pow(u32::from(spec.scales.price - spec.tick_decimals));
        let lot_unit = 10i128.pow(u32::from(spec.scales.quantity - spec.lot_decimals));
        let weights: [u64; SECONDS] = std::array::from_fn(|s| {
            let bits = self.noise.bits(lane::SHARE, first + s as i64);
            // Three seconds in ten trade nothing, however busy the minute.
            if bits % 10 < 3 && s > 0 {
                0
            } else {
                1 + (bits >> 32) % 100
            }
        });
        let trades = divide(minute.trades as i64, &weights);
        let lots_total = (minute.volume / lot_unit) as i64;
        let traded = weights_of(&trades, &weights);
        let extra = divide(lots_total - minute.trades as i64, &traded);
        let lots: [i64; SECONDS] = std::array::from_fn(|s| trades[s] + extra[s]);
        let taker_total = (minute.taker_base / lot_unit) as i64;
        let takers = divide(taker_total, &lots.map(|lots| lots as u64));
        let lively: Vec<usize> = (0..SECONDS).filter(|&s| trades[s] > 0).collect();
        let pick = |salt: i64| match lively.len() {
            0 => usize::MAX,
            n => lively[(self.noise.bits(lane::EXTREME, first + salt) % n as u64) as usize],
        };
        let (peak, trough) = (pick(0), pick(1));
        let last = lively.last().copied().unwrap_or(usize::MAX);

        let mut price = minute.open;
        let mut rows = Vec::with_capacity(SECONDS);
        for s in 0..SECONDS {
            let open_time = minute.open_time + s as i64 * SECOND;
            let mut row = Kline {
                open_time,
                close_time: open_time + SECOND - 1,
                open: price,
                ..self.untraded(minute)
            };
            if trades[s] > 0 {
                let close = if s == last {
                    minute.close
                } else {
                    let straight = (minute.close - minute.open) as f64 * (s + 1) as f64 / SECONDS as f64;
                    let stray =
                        (minute.high - minute.low) as f64 * 0.3 * self.noise.signed(lane::DRIFT, first + s as i64);
                    let ticks = ((straight + stray) / price_unit as f64).round() as i64;
                    (minute.open + ticks * price_unit).clamp(minute.low, minute.high)
                };
                row.close = close;
                row.high = if s == peak { minute.high } else { price.max(close) };
                row.low = if s == trough { minute.low } else { price.min(close) };
                row.trades = trades[s] as u64;
                self.fill(&mut row, lots[s], takers[s]);
                price = close;
            } else {
                row.high = price;
                row.low = price;
                row.close = price;
            }
            if matches!(self.standstill(open_time, open_time + SECOND), Standstill::None) {
                rows.push(row);
            }
        }
        rows
    }
}

/// Shares a whole out by weight so that the parts add up to it exactly and weight zero gets nothing.
fn divide(whole: i64, weights: &[u64; SECONDS]) -> [i64; SECONDS] {
    let total: u64 = weights.iter().sum();
    let mut parts = [0; SECONDS];
    let (mut weight, mut given) = (0u64, 0i64);
    for (part, share) in parts.iter_mut().zip(weights) {
        weight += share;
        let until = (i128::from(whole) * i128::from(weight) / i128::from(total.max(1))) as i64;
        *part = until - given;
        given = until;
    }
    parts
}

/// The weights of those seconds that trade.
fn weights_of(trades: &[i64; SECONDS], weights: &[u64; SECONDS]) -> [u64; SECONDS] {
    std::array::from_fn(|s| if trades[s] > 0 { weights[s] } else { 0 })
}
