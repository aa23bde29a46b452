//! The fear and greed index: one number a day, and the days it forgot.

use super::Market;
use super::noise::Noise;
use crate::time::{DAY, instant_of};
use jiff::civil::{Date, date};

/// The first day of the index.
const FIRST_DAY: Date = date(2018, 2, 1);
/// Days without a value, as on record.
const MISSING_DAYS: [Date; 4] = [
    date(2018, 4, 14),
    date(2018, 4, 15),
    date(2018, 4, 16),
    date(2024, 10, 26),
];
/// The highest value of each class, in order.
const CLASSES: [(u8, &str); 5] = [
    (25, "Extreme Fear"),
    (46, "Fear"),
    (54, "Neutral"),
    (75, "Greed"),
    (100, "Extreme Greed"),
];

/// The index of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FearGreed {
    /// Midnight UTC at which the day begins, in microseconds.
    pub day: i64,
    /// 5 to 95.
    pub value: u8,
    /// `Extreme Fear`, `Fear`, `Neutral`, `Greed` or `Extreme Greed`.
    pub class: &'static str,
}

impl Market {
    /// The index of the UTC day that an instant falls in; `None` for days without one.
    pub fn fear_greed(&self, instant: i64) -> Option<FearGreed> {
        let index = instant.div_euclid(DAY);
        let day = index * DAY;
        if day < instant_of(FIRST_DAY) || MISSING_DAYS.into_iter().any(|missing| instant_of(missing) == day) {
            return None;
        }
        let noise = Noise::new(self.seed(), "fear and greed");
        let mood = 30.0 * noise.smooth(0, index, 40) + 12.0 * noise.smooth(1, index, 7) + 3.0 * noise.signed(2, index);
        let value = (50.0 + mood).round().clamp(5.0, 95.0) as u8;
        let class = CLASSES.iter().find(|(highest, _)| value <= *highest);
        Some(FearGreed {
            day,
            value,
            class: class.map_or("", |(_, class)| class),
        })
    }

    /// The index of every day from the first to the one an instant falls in, newest first.
    pub fn fear_greed_until(&self, instant: i64) -> Vec<FearGreed> {
        let first = instant_of(FIRST_DAY).div_euclid(DAY);
        (first..=instant.div_euclid(DAY).min(first + DAYS_MAX))
            .rev()
            .filter_map(|day| self.fear_greed(day * DAY))
            .collect()
    }
}

/// A century: clocks can be set to any year.
const DAYS_MAX: i64 = 36_525;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_values_in_their_class_and_some_days_have_none() {
        let market = Market::new(1);
        let newest = crate::time::parse_instant("2024-11-01").unwrap();
        let history = market.fear_greed_until(newest + DAY / 2);
        assert_eq!(history[0].day, newest);
        let days = (newest - instant_of(FIRST_DAY)) / DAY + 1;
        assert_eq!(history.len() as i64, days - MISSING_DAYS.len() as i64);
        assert!(
            history
                .iter()
                .all(|row| (5..=95).contains(&row.value) && !row.class.is_empty())
        );
        assert_eq!(market.fear_greed(instant_of(MISSING_DAYS[3])), None);
    }
}
