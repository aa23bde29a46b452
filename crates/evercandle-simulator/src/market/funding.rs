//! Funding: what longs paid shorts, settlement by settlement.
//!
//! Every eight hours by default; for quarters of a year at a time some contracts are settled every four hours or every
//! hour instead. The change comes at noon, so that it falls between two settlements of the slower rhythm; and whatever
//! the rhythm, 00:00, 08:00 and 16:00 belong to it. The instant printed is up to 47 milliseconds after the hour.
//! Half of the rates are the usual 0.01 %, the others anything, negative as often as not.

use std::ops::Range;

use super::{ExchangeMarket, Interval, Market, Noise, Series};
use crate::time::{DAY, HOUR, MINUTE, parse_instant};

/// How long a rhythm lasts at the least.
const RHYTHM_LASTS: i64 = 91 * DAY;
const NOON: i64 = 12 * HOUR;
/// Milliseconds between the hour and the instant printed, at the most.
const LATE_MAX: u64 = 47;
/// From when on mark prices were kept.
const MARK_PRICES_SINCE: &str = "2023-11-01";

/// One settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundingRate {
    /// As printed, in microseconds, but always on a millisecond.
    pub funding_time: i64,
    /// Hours between settlements at this one.
    pub interval_hours: i64,
    /// In units of 10^-8.
    pub rate: i64,
    /// As printed; empty where none was kept.
    pub mark_price: String,
}

impl FundingRate {
    /// The rate as printed.
    pub fn rate_text(&self) -> String {
        let sign = if self.rate < 0 { "-" } else { "" };
        let magnitude = self.rate.unsigned_abs();
        format!("{sign}{}.{:08}", magnitude / 100_000_000, magnitude % 100_000_000)
    }
}

impl Market {
    /// Every settlement of a contract whose printed instant is in the range, oldest first. Spot pairs and contracts that
    /// expire are never settled.
    pub fn funding_rates(&self, market: ExchangeMarket, symbol: &str, instants: Range<i64>) -> Vec<FundingRate> {
        let Some(spec) = self.symbol(market, symbol) else {
            return Vec::new();
        };
        let expires = matches!(spec.ending, super::Ending::Delivery(_));
        if market == ExchangeMarket::Spot || expires {
            return Vec::new();
        }
        let ended = self.ended(market, symbol).unwrap_or(i64::MAX);
        let noise = Noise::new(self.seed(), &format!("funding/{market}/{symbol}"));
        // Somebody must have held a position before anybody pays.
        let first = (instants.start - HOUR).max(spec.listed + 1);
        let first = first.div_euclid(HOUR) + i64::from(first.rem_euclid(HOUR) > 0);
        let last = instants.end.min(ended).div_euclid(HOUR);
        let settled = |hour: &i64| hour.rem_euclid(rhythm(noise, hour * HOUR)) == 0;
        (first..=last)
            .filter(settled)
            .map(|hour| self.settlement(market, symbol, noise, hour))
            .filter(|settled| instants.contains(&settled.funding_time) && settled.funding_time < ended)
            .collect()
    }

    fn settlement(&self, market: ExchangeMarket, symbol: &str, noise: Noise, hour: i64) -> FundingRate {
        let at = hour * HOUR;
        let late = match noise.bits(1, hour) % 3 {
            0 => 0,
            _ => noise.bits(2, hour) % (LATE_MAX + 1),
        };
        let rate = match noise.bits(3, hour) % 2 {
            0 => 10_000,
            _ => (noise.signed(4, hour) * 75_000.0).round() as i64,
        };
        let kept = market == ExchangeMarket::UsdM && at >= parse_instant(MARK_PRICES_SINCE).unwrap_or_default();
        let minute = Series::new(market, symbol, Interval::M1);
        let minutes = if kept {
            self.klines(&minute, at..at + MINUTE)
        } else {
            Vec::new()
        };
        FundingRate {
            funding_time: at + late as i64 * 1000,
            interval_hours: rhythm(noise, at),
            rate,
            mark_price: minutes.first().map_or_else(String::new, |kline| {
                let cells = kline.fields(crate::time::TimeUnit::Milliseconds);
                // Mark prices are printed with eight digits, whatever the contract's own step.
                let (whole, fraction) = cells[1].split_once('.').unwrap_or((&cells[1], ""));
                format!("{whole}.{fraction:0<8}")
            }),
        }
    }
}

/// Hours between settlements at an instant.
fn rhythm(noise: Noise, at: i64) -> i64 {
    let stretch = (at - NOON).div_euclid(RHYTHM_LASTS);
    match noise.bits(0, stretch) % 8 {
        0..5 => 8,
        5 | 6 => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn year(symbol: &str, market: ExchangeMarket) -> Vec<FundingRate> {
        let instant = |text| parse_instant(text).unwrap();
        Market::new(7).funding_rates(market, symbol, instant("2023-06-01")..instant("2024-06-01"))
    }

    #[test]
    fn every_contract_is_settled_at_midnight_at_eight_and_at_four_in_the_afternoon() {
        let settled = year("BTCUSDT", ExchangeMarket::UsdM);
        let eighths: Vec<i64> = settled
            .iter()
            .filter(|s| s.funding_time.rem_euclid(8 * HOUR) < MINUTE)
            .map(|s| s.funding_time.div_euclid(8 * HOUR))
            .collect();
        assert_eq!(eighths.len(), 366 * 3);
        assert!(eighths.windows(2).all(|pair| pair[1] == pair[0] + 1));
    }

    #[test]
    fn rates_come_in_both_signs_instants_are_late_and_rhythms_differ() {
        let all: Vec<FundingRate> = ["BTCUSDT", "ETHUSDT", "1000SHIBUSDT"]
            .iter()
            .flat_map(|symbol| year(symbol, ExchangeMarket::UsdM))
            .collect();
        assert!(all.iter().any(|s| s.rate < 0) && all.iter().any(|s| s.rate == 10_000));
        assert!(all.iter().any(|s| s.funding_time % HOUR > 0) && all.iter().all(|s| s.funding_time % HOUR < 48_000));
        let mut rhythms: Vec<i64> = all.iter().map(|s| s.interval_hours).collect();
        rhythms.sort();
        rhythms.dedup();
        assert!(rhythms.len() > 1, "{rhythms:?}");
        assert!(all.iter().any(|s| s.mark_price.is_empty()) && all.iter().any(|s| !s.mark_price.is_empty()));
    }

    #[test]
    fn what_is_no_perpetual_future_is_never_settled() {
        assert!(year("BTCUSDT", ExchangeMarket::Spot).is_empty());
        let market = Market::new(7);
        let deliveries = [ExchangeMarket::UsdM, ExchangeMarket::CoinM]
            .into_iter()
            .flat_map(|m| market.symbols(m))
            .filter(|spec| matches!(spec.ending, super::super::Ending::Delivery(_)));
        for spec in deliveries {
            assert!(year(&spec.name, spec.market).is_empty(), "{}", spec.name);
        }
    }

    #[test]
    fn a_rate_reads_as_the_exchange_prints_it() {
        let text = |rate| {
            FundingRate {
                funding_time: 0,
                interval_hours: 8,
                rate,
                mark_price: String::new(),
            }
            .rate_text()
        };
        assert_eq!(
            [text(10_000), text(-3_750_000), text(0)],
            ["0.00010000", "-0.03750000", "0.00000000"]
        );
    }
}
