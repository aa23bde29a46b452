//! The table of funding rates inside an archive, as text, and the ways it can be wrong.
//!
//! Those of klines that can befall three columns befall these too.

use super::archive_key::{ArchiveKey, Period};
use crate::fault::{Effect, HeaderStyle};
use crate::market::FundingRate;
use crate::time::{DAY, HOUR, TimeUnit, day_of};

const HEADER: &str = "calc_time,funding_interval_hours,last_funding_rate\n";

pub(super) struct FundingSheet {
    rows: Vec<FundingRate>,
    header: HeaderStyle,
    unit: TimeUnit,
    mixed: bool,
    not_a_number: bool,
}

impl FundingSheet {
    /// The table as the exchange would publish it.
    pub(super) fn new(rows: Vec<FundingRate>) -> Self {
        Self {
            rows,
            header: HeaderStyle::Present,
            unit: TimeUnit::Milliseconds,
            mixed: false,
            not_a_number: false,
        }
    }

    /// Makes it wrong.
    pub(super) fn spoil(&mut self, key: &ArchiveKey, effect: &Effect) {
        let (start, end) = (key.period.start(), key.period.end());
        let first_day = |row: &FundingRate| row.funding_time < start + DAY;
        match effect {
            Effect::TruncatedDay { hour } => {
                let cut = end - DAY + i64::from(*hour) * HOUR;
                self.rows.retain(|row| row.funding_time < cut);
            }
            Effect::ShortMonth { days } => {
                if let Period::Month(_) = key.period {
                    self.rows
                        .retain(|row| row.funding_time < start + i64::from(*days) * DAY);
                }
            }
            Effect::MissingDay { day } => self.rows.retain(|row| day_of(row.funding_time).day() != *day as i8),
            Effect::MonthlyDiffers | Effect::Revised => self.restate(),
            Effect::DuplicateRows => {
                let thrice = |row: FundingRate| std::iter::repeat_n(row.clone(), if first_day(&row) { 3 } else { 1 });
                self.rows = std::mem::take(&mut self.rows).into_iter().flat_map(thrice).collect();
            }
            Effect::UnorderedRows => {
                let half = self.rows.len() / 2;
                self.rows.rotate_left(half);
            }
            Effect::ConflictingRows => {
                let twice = |row: FundingRate| {
                    let twin = first_day(&row).then(|| FundingRate {
                        rate: row.rate + 1,
                        ..row.clone()
                    });
                    std::iter::once(row).chain(twin)
                };
                self.rows = std::mem::take(&mut self.rows).into_iter().flat_map(twice).collect();
            }
            Effect::StrayRow => {
                if let Some(last) = self.rows.last().cloned() {
                    let funding_time = end + DAY;
                    self.rows.push(FundingRate { funding_time, ..last });
                }
            }
            Effect::NotANumber => self.not_a_number = true,
            Effect::Header { style } => self.header = *style,
            Effect::Unit { unit } => self.unit = *unit,
            Effect::MixedUnits => self.mixed = true,
            _ => {}
        }
    }

    /// Every third rate another one.
    fn restate(&mut self) {
        for row in self.rows.iter_mut().step_by(3) {
            row.rate -= 1_000;
        }
    }

    /// The text of the CSV.
    pub(super) fn csv(&self) -> Vec<u8> {
        let mut text = String::new();
        let half = self.rows.len() / 2;
        for (position, row) in self.rows.iter().enumerate() {
            let header = match self.header {
                HeaderStyle::Absent => false,
                HeaderStyle::Present => position == 0,
                HeaderStyle::Repeated => position == 0 || position == half,
            };
            if header {
                text.push_str(HEADER);
            }
            let unit = match (self.mixed && position >= half, self.unit) {
                (false, unit) => unit,
                (true, TimeUnit::Milliseconds) => TimeUnit::Microseconds,
                (true, TimeUnit::Microseconds) => TimeUnit::Milliseconds,
            };
            let rate = match self.not_a_number && position == half {
                true => "NaN".to_owned(),
                false => row.rate_text(),
            };
            let (time, hours) = (unit.count(row.funding_time), row.interval_hours);
            text.push_str(&format!("{time},{hours},{rate}\n"));
        }
        text.into_bytes()
    }
}
