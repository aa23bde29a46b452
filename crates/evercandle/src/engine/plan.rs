//! Who is asked for what: gaps × offers × past failures → steps. Pure.
//!
//! Failover is re-planning: nothing here knows what an outage is. A step that failed, or brought less than was hoped
//! for, is in [`Tried`] and is not planned again; what is still missing finds its next best upstream by itself. The
//! ladder "month → days → REST" is not written anywhere; it is what remains when the better rungs have been tried.
//!
//! The order, for each gap: a little (two pages' worth) is asked of whoever serves pages, unless it is a part of
//! something large, because two small queries are faster than any archive; otherwise whole months and days go to archives that can be expected to exist, since they
//! cost no quota and come with checksums; the rest goes to pages; and what nobody else will have goes to archives that
//! may have been published early.

use std::collections::HashSet;

use crate::model::interval::{Grid, Interval};
use crate::model::range::{DAY, RangeSet, TimeRange, Timestamp};
use crate::provider::{Form, Offer, Supply};
use crate::request::Priority;

/// Missing days of a month from which its monthly file costs less than its daily ones: a month compresses to about the
/// bytes of thirty days, but every day costs two requests.
const MONTH_PAYS_DAYS: usize = 6;
/// Pages that are asked for at once without looking for an archive.
const FEW_PAGES: u64 = 2;
/// Steps planned in one round; what is left is planned in the next.
const STEPS_MAX: usize = 4_096;

/// An upstream as the planner sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// What it can supply of the series.
    pub(crate) offer: Offer,
    /// Whether it may be called now.
    pub(crate) usable: bool,
}

/// One slice to ask one upstream for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Step {
    /// Index of the upstream among the views.
    pub(crate) upstream: usize,
    /// Whole slots, or the file's whole period.
    pub(crate) range: TimeRange,
    /// How it is asked.
    pub(crate) form: Form,
}

/// What was asked for already, with whatever result.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tried {
    files: HashSet<Step>,
    pages: Vec<RangeSet>,
}

impl Tried {
    /// A page counts for the slots it answered, a file as itself.
    pub(crate) fn mark(&mut self, step: Step) {
        if step.form == Form::Page {
            self.pages
                .resize_with(self.pages.len().max(step.upstream + 1), RangeSet::empty);
            self.pages[step.upstream].insert(step.range);
        } else {
            self.files.insert(step);
        }
    }

    fn paged(&self, upstream: usize) -> RangeSet {
        self.pages.get(upstream).cloned().unwrap_or_default()
    }
}

/// Everything a plan depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) grid: Grid,
    /// Whole slots, all of them closed.
    pub(crate) missing: &'a RangeSet,
    /// The exchange's time.
    pub(crate) now: Timestamp,
    pub(crate) priority: Priority,
    pub(crate) views: &'a [View],
    pub(crate) tried: &'a Tried,
}

/// The steps of the next round; none when nobody is left to ask.
pub(crate) fn plan(question: &Question<'_>) -> Vec<Step> {
    let mut round = Round {
        q: question,
        left: question.missing.clone(),
        steps: Vec::new(),
    };
    if question.priority != Priority::Bulk {
        round.a_little_from_pages();
    }
    round.archives(Expected::Yes);
    round.pages();
    round.archives(Expected::Perhaps);
    round.steps.truncate(STEPS_MAX);
    round.steps
}

/// Whether a file can be expected to exist, or just might.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Yes,
    Perhaps,
}

struct Round<'a> {
    q: &'a Question<'a>,
    /// Missing and not assigned in this round.
    left: RangeSet,
    steps: Vec<Step>,
}

impl Round<'_> {
    fn a_little_from_pages(&mut self) {
        let rows: u64 = self.left.iter().map(|r| self.q.grid.count(r)).sum();
        let few = |offer: &Offer| match offer.supply {
            Supply::Pages { rows_max, .. } => rows <= FEW_PAGES * u64::from(rows_max),
            Supply::Archives { .. } => false,
        };
        if self.q.views.iter().any(|v| v.usable && few(&v.offer)) {
            self.pages();
        }
    }

    fn archives(&mut self, expected: Expected) {
        for (upstream, view) in self.q.views.iter().enumerate().filter(|(_, v)| v.usable) {
            if let Supply::Archives {
                days,
                months,
                day_lag,
                month_lag,
            } = view.offer.supply
            {
                let (day_lag, month_lag) = if expected == Expected::Yes {
                    (day_lag, month_lag)
                } else {
                    (0, 0)
                };
                let Some(hull) = self.left.hull() else { return };
                let calendar = Grid::new(Interval::Mo1, None);
                let months_touched: Vec<TimeRange> = calendar
                    .slots(TimeRange::clamped(calendar.floor(hull.start()), hull.end()))
                    .map(|start| calendar.slot(start))
                    .collect();
                for month in months_touched {
                    let pays = |missing_days: usize| !days || missing_days >= MONTH_PAYS_DAYS;
                    let out = month.end().plus(month_lag) <= self.q.now;
                    if months && out && pays(self.days_missing(month)) {
                        self.take_file(upstream, Form::Month, month);
                    }
                    if days {
                        self.days(upstream, month, day_lag, expected);
                    }
                    if months && out && expected == Expected::Perhaps {
                        self.take_file(upstream, Form::Month, month);
                    }
                }
            }
        }
    }

    fn days(&mut self, upstream: usize, month: TimeRange, lag: i64, expected: Expected) {
        let mut start = month.start();
        while start < month.end() {
            let day = TimeRange::clamped(start, start.plus(DAY));
            start = day.end();
            if day.end().plus(lag) <= self.q.now {
                let (missing, whole) = (self.rows_missing(day), self.q.grid.count(day));
                // A hole inside a day is one small query for whoever serves pages, if they may still be asked for it.
                if missing * 2 >= whole || expected == Expected::Perhaps || !self.pages_remain(day) {
                    self.take_file(upstream, Form::Day, day);
                }
            }
        }
    }

    fn pages(&mut self) {
        for (upstream, view) in self.q.views.iter().enumerate().filter(|(_, v)| v.usable) {
            if let Supply::Pages { rows_max, span_max } = view.offer.supply {
                let untried = self.left.difference(&self.q.tried.paged(upstream));
                for range in paged(self.q.grid, &untried, rows_max, span_max) {
                    self.steps.push(Step {
                        upstream,
                        range,
                        form: Form::Page,
                    });
                    self.left.remove(range);
                }
            }
        }
    }

    /// Assigns what is missing of a period to its file, unless nothing is or the file was tried.
    fn take_file(&mut self, upstream: usize, form: Form, period: TimeRange) {
        let step = Step {
            upstream,
            range: period,
            form,
        };
        let slots = self.q.grid.align(period);
        if self.left.within(slots).is_empty() || self.q.tried.files.contains(&step) {
            return;
        }
        self.steps.push(step);
        self.left.remove(slots);
    }

    fn rows_missing(&self, period: TimeRange) -> u64 {
        self.left
            .within(self.q.grid.align(period))
            .iter()
            .map(|r| self.q.grid.count(r))
            .sum()
    }

    fn days_missing(&self, month: TimeRange) -> usize {
        let missing = self.left.within(self.q.grid.align(month));
        let days: HashSet<i64> = missing
            .iter()
            .flat_map(|r| r.start().as_micros().div_euclid(DAY)..=(r.end().as_micros() - 1).div_euclid(DAY))
            .collect();
        days.len()
    }

    /// Whether somebody who serves pages can still be asked for what is missing of `day`.
    fn pages_remain(&self, day: TimeRange) -> bool {
        let missing = self.left.within(self.q.grid.align(day));
        self.q.views.iter().enumerate().any(|(upstream, view)| {
            let serves_pages = matches!(view.offer.supply, Supply::Pages { .. });
            view.usable && serves_pages && !missing.difference(&self.q.tried.paged(upstream)).is_empty()
        })
    }
}

/// The fewest pages that cover `wanted`: each begins at a wanted slot, ends at one, and keeps to the limits. A page may
/// span what is held already; asking for it again costs less than another page.
fn paged(grid: Grid, wanted: &RangeSet, rows_max: u32, span_max: Option<i64>) -> Vec<TimeRange> {
    let mut pages: Vec<TimeRange> = Vec::new();
    let mut covered_until = Timestamp::EPOCH;
    for range in wanted.iter() {
        let mut start = range.start().max(covered_until);
        if let Some(last) = pages.last_mut() {
            let reach = furthest(grid, last.start(), rows_max, span_max).min(range.end());
            // The page before still has room for the beginning of this range.
            if reach > start {
                *last = TimeRange::clamped(last.start(), reach);
                start = reach;
            }
        }
        while start < range.end() {
            let end = furthest(grid, start, rows_max, span_max).min(range.end());
            pages.push(TimeRange::clamped(start, end));
            start = end;
        }
        covered_until = range.end();
    }
    pages
}

fn furthest(grid: Grid, start: Timestamp, rows_max: u32, span_max: Option<i64>) -> Timestamp {
    let by_rows = grid.advance(start, rows_max.max(1));
    let by_span = span_max.map_or(Timestamp::MAX, |span| grid.floor(start.plus(span)));
    by_rows.min(by_span).max(grid.next(start))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::range::{HOUR, MINUTE};

    const VISION: View = View {
        offer: Offer {
            supply: Supply::Archives {
                days: true,
                months: true,
                day_lag: 8 * HOUR,
                month_lag: 8 * DAY,
            },
            authoritative: false,
        },
        usable: true,
    };
    const REST: View = View {
        offer: Offer {
            supply: Supply::Pages {
                rows_max: 1_000,
                span_max: None,
            },
            authoritative: true,
        },
        usable: true,
    };

    fn day(month: i8, day: i8) -> Timestamp {
        Timestamp::from_date(2024, month, day).unwrap()
    }

    fn steps(interval: Interval, missing: &[(Timestamp, Timestamp)], views: &[View], tried: &Tried) -> Vec<String> {
        let missing: RangeSet = missing.iter().map(|(s, e)| TimeRange::clamped(*s, *e)).collect();
        let question = Question {
            grid: Grid::new(interval, None),
            missing: &missing,
            now: day(3, 10).plus(HOUR),
            priority: Priority::Interactive,
            views,
            tried,
        };
        plan(&question).iter().map(show).collect()
    }

    fn show(step: &Step) -> String {
        let date = |t: Timestamp| {
            let (_, month, day) = t.date();
            format!("{month:02}-{day:02}+{}", t.since(t.floor_day()) / MINUTE)
        };
        format!(
            "{} {} {}..{}",
            step.upstream,
            step.form.as_str(),
            date(step.range.start()),
            date(step.range.end())
        )
    }

    fn counts(steps: &[String]) -> Vec<(String, usize)> {
        let mut kinds: Vec<(String, usize)> = Vec::new();
        for step in steps {
            let kind = step.split(' ').take(2).collect::<Vec<_>>().join(" ");
            match kinds.iter_mut().find(|(k, _)| *k == kind) {
                Some((_, n)) => *n += 1,
                None => kinds.push((kind, 1)),
            }
        }
        kinds
    }

    #[test]
    fn whole_months_then_days_come_from_archives_and_the_tail_from_pages() {
        let got = steps(
            Interval::M1,
            &[(day(1, 1), day(3, 10).plus(60 * MINUTE))],
            &[VISION, REST],
            &Tried::default(),
        );
        // February's file is out since 2024-03-08; 1..8 March have daily files, the 9th ended an hour ago.
        let month = |m, next| format!("0 month {m:02}-01+0..{next:02}-01+0");
        assert_eq!(got[..2], [month(1, 2), month(2, 3)]);
        assert_eq!(counts(&got[2..]), [("0 day".to_owned(), 8), ("1 page".to_owned(), 2)]);
        assert_eq!(got.last().unwrap(), "1 page 03-09+1000..03-10+60");
    }

    #[test]
    fn a_little_is_asked_of_pages_and_of_archives_only_when_pages_are_not_to_be_had() {
        let one_day = [(day(2, 3), day(2, 4))];
        assert_eq!(
            counts(&steps(Interval::M1, &one_day, &[VISION, REST], &Tried::default())),
            [("1 page".to_owned(), 2)]
        );
        let down = View { usable: false, ..REST };
        assert_eq!(
            steps(Interval::M1, &one_day, &[VISION, down], &Tried::default()),
            ["0 day 02-03+0..02-04+0"]
        );
    }

    #[test]
    fn the_ladder_goes_from_month_to_days_to_pages_as_each_has_been_tried() {
        let january = [(day(1, 1), day(2, 1))];
        let period = TimeRange::clamped(day(1, 1), day(2, 1));
        let mut tried = Tried::default();
        assert_eq!(
            counts(&steps(Interval::M1, &january, &[VISION, REST], &tried)),
            [("0 month".to_owned(), 1)]
        );
        tried.mark(Step {
            upstream: 0,
            range: period,
            form: Form::Month,
        });
        assert_eq!(
            counts(&steps(Interval::M1, &january, &[VISION, REST], &tried)),
            [("0 day".to_owned(), 31)]
        );
        let mut start = period.start();
        while start < period.end() {
            tried.mark(Step {
                upstream: 0,
                range: TimeRange::clamped(start, start.plus(DAY)),
                form: Form::Day,
            });
            start = start.plus(DAY);
        }
        assert_eq!(
            counts(&steps(Interval::M1, &january, &[VISION, REST], &tried)),
            [("1 page".to_owned(), 45)]
        );
        tried.mark(Step {
            upstream: 1,
            range: period,
            form: Form::Page,
        });
        assert!(steps(Interval::M1, &january, &[VISION, REST], &tried).is_empty());
    }

    #[test]
    fn a_hole_inside_a_long_range_is_one_page_and_days_missing_from_a_month_are_days() {
        let mut tried = Tried::default();
        tried.mark(Step {
            upstream: 0,
            range: TimeRange::clamped(day(1, 1), day(2, 1)),
            form: Form::Month,
        });
        let missing = [
            (day(1, 4).plus(HOUR), day(1, 4).plus(2 * HOUR)),
            (day(1, 10), day(1, 13)),
        ];
        let got = steps(Interval::M1, &missing, &[VISION, REST], &tried);
        assert_eq!(counts(&got), [("0 day".to_owned(), 3), ("1 page".to_owned(), 1)]);
        assert!(got.contains(&"1 page 01-04+60..01-04+120".to_owned()));
    }

    #[test]
    fn archives_that_may_have_been_published_early_are_the_last_resort() {
        let yesterday = [(day(3, 9), day(3, 10))];
        let down = View { usable: false, ..REST };
        assert_eq!(
            steps(Interval::M1, &yesterday, &[VISION, down], &Tried::default()),
            ["0 day 03-09+0..03-10+0"]
        );
    }

    #[test]
    fn weeks_belong_to_the_month_they_open_in() {
        let monthly = View {
            offer: Offer {
                supply: Supply::Archives {
                    days: false,
                    months: true,
                    day_lag: 0,
                    month_lag: 0,
                },
                ..VISION.offer
            },
            usable: true,
        };
        // The week of Monday 29 January reaches into February, but its row is in January's file.
        let got = steps(Interval::W1, &[(day(1, 29), day(2, 5))], &[monthly], &Tried::default());
        assert_eq!(got, ["0 month 01-01+0..02-01+0"]);
    }

    proptest! {
        /// Goal: no gap is forgotten and no limit exceeded, whatever is missing.
        #[test]
        fn steps_cover_every_gap_that_somebody_could_fill(
            ranges in prop::collection::vec((0i64..80_000, 1i64..4_000), 1..12),
            rows_max in 20u32..1_500,
            vision in any::<bool>(),
        ) {
            let grid = Grid::new(Interval::M1, None);
            let missing: RangeSet = ranges
                .iter()
                .map(|(s, n)| TimeRange::clamped(day(1, 1).plus(s * MINUTE), day(1, 1).plus((s + n) * MINUTE)))
                .collect();
            let rest = View { offer: Offer { supply: Supply::Pages { rows_max, span_max: Some(2 * DAY) }, ..REST.offer }, usable: true };
            let views = [View { usable: vision, ..VISION }, rest];
            let tried = Tried::default();
            let question = Question { grid, missing: &missing, now: day(3, 10), priority: Priority::Bulk, views: &views, tried: &tried };
            let steps = plan(&question);
            let covered: RangeSet = steps.iter().map(|s| s.range).collect();
            prop_assert!(missing.difference(&covered).is_empty());
            for step in steps.iter().filter(|s| s.form == Form::Page) {
                prop_assert!(grid.count(step.range) <= u64::from(rows_max) && step.range.micros() <= 2 * DAY);
                prop_assert!(missing.contains(step.range.start()));
            }
        }
    }
}
