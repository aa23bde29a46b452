//! Bending the rows of a REST page.

use super::Effect;
use crate::time::DAY;

/// How far ahead a row from the future opens.
const AHEAD: i64 = 2 * DAY;

/// One page of JSON cells with the unit of its instants.
pub(crate) struct Page<'a> {
    pub(crate) rows: &'a mut Vec<Vec<String>>,
    /// Counts of the page's unit per millisecond: 1, or 1000 where it speaks microseconds.
    pub(crate) per_millisecond: i64,
    /// Now, in microseconds.
    pub(crate) now: i64,
}

impl Page<'_> {
    /// Applies an effect, if it is one that bends rows.
    pub(crate) fn bend(&mut self, effect: &Effect) {
        let middle = self.rows.len() / 2;
        match effect {
            Effect::ExtraFields => {
                self.rows
                    .iter_mut()
                    .for_each(|cells| cells.extend(["\"extra\"".to_owned(), "null".to_owned()]));
            }
            Effect::QuotedNumbers => self.quote_numbers(),
            Effect::MissingRow if self.rows.len() > 2 => drop(self.rows.remove(middle)),
            Effect::FutureRow => self.add_future_row(),
            Effect::UnsettledRows { milliseconds } => self.unsettle(*milliseconds),
            Effect::PageRepeatsRows => {
                *self.rows = self
                    .rows
                    .drain(..)
                    .flat_map(|cells| std::iter::repeat_n(cells, 3))
                    .collect();
            }
            Effect::PageOutOfOrder => self.rows.rotate_left(middle),
            Effect::ImpossibleRow => {
                if let Some(cells) = self.rows.get_mut(middle).filter(|cells| cells.len() > 4) {
                    // A low above the high is impossible whether or not the row was flat.
                    cells[3] = cells[2].replacen('"', "\"9", 1);
                }
            }
            Effect::NotANumber => {
                if let Some(cell) = self.rows.get_mut(middle).and_then(|cells| cells.get_mut(4)) {
                    *cell = "\"NaN\"".to_owned();
                }
            }
            _ => {}
        }
    }

    fn quote_numbers(&mut self) {
        for cells in self.rows.iter_mut() {
            for slot in [0, 6, 8] {
                if let Some(cell) = cells.get_mut(slot) {
                    *cell = format!("\"{cell}\"");
                }
            }
        }
    }

    fn add_future_row(&mut self) {
        let Some(mut cells) = self.rows.last().cloned() else {
            return;
        };
        let ahead = AHEAD / 1000 * self.per_millisecond;
        for slot in [0, 6] {
            if let Some(cell) = cells.get_mut(slot) {
                *cell = (cell.parse().unwrap_or(0) + ahead).to_string();
            }
        }
        self.rows.push(cells);
    }

    fn unsettle(&mut self, milliseconds: i64) {
        let since = (self.now / 1000)
            .saturating_sub(milliseconds)
            .saturating_mul(self.per_millisecond);
        for cells in self.rows.iter_mut().filter(|cells| cells.len() > 8) {
            if cells[6].parse().unwrap_or(0) >= since {
                cells[4] = cells[2].clone();
                cells[8] = (1 + (self.now / 1000).rem_euclid(997)).to_string();
            }
        }
    }
}
