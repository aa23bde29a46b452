//! Where axes are labelled, and with what: round prices, and instants at which a calendar unit begins.

use evercandle::model::range::{DAY, HOUR, MINUTE, SECOND};
use evercandle::{TimeRange, Timestamp};

use super::Plot;

/// Round prices in `low..=high`, at most about `count` of them, with the fraction digits they need.
pub(super) fn prices(low: f64, high: f64, count: usize) -> (Vec<f64>, usize) {
    let rough = (high - low) / count.max(1) as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return (vec![low], digits(low.abs().max(1.0) / 100.0));
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|s| *s >= rough * 0.999)
        .unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    let ticks = (first..).map(|n| n as f64 * step).take_while(|p| *p <= high).collect();
    let half = if (step / power - 2.5).abs() < 0.01 { 1 } else { 0 };
    (
        ticks,
        digits(power).max(if power >= 10.0 { 0 } else { digits(power) + half }),
    )
}

/// Fraction digits that show differences of `step`.
pub(super) fn digits(step: f64) -> usize {
    if step >= 1.0 || step <= 0.0 {
        0
    } else {
        ((-step.log10()).ceil() as usize).min(12)
    }
}

/// `42,000.50`.
pub(super) fn price(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let negative = whole.starts_with('-');
    let grouped = crate::text::thousands(whole.trim_start_matches('-').parse().unwrap_or(0));
    let sign = if negative { "-" } else { "" };
    if fraction.is_empty() {
        format!("{sign}{grouped}")
    } else {
        format!("{sign}{grouped}.{fraction}")
    }
}

/// A label on the time axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TimeTick {
    pub(super) column: usize,
    pub(super) label: String,
}

#[derive(Clone, Copy)]
enum Step {
    Micros(i64),
    Months(i64),
}

const STEPS: [Step; 22] = [
    Step::Micros(SECOND),
    Step::Micros(10 * SECOND),
    Step::Micros(30 * SECOND),
    Step::Micros(MINUTE),
    Step::Micros(5 * MINUTE),
    Step::Micros(15 * MINUTE),
    Step::Micros(30 * MINUTE),
    Step::Micros(HOUR),
    Step::Micros(2 * HOUR),
    Step::Micros(4 * HOUR),
    Step::Micros(6 * HOUR),
    Step::Micros(12 * HOUR),
    Step::Micros(DAY),
    Step::Micros(2 * DAY),
    Step::Micros(4 * DAY),
    Step::Micros(7 * DAY),
    Step::Micros(14 * DAY),
    Step::Months(1),
    Step::Months(3),
    Step::Months(6),
    Step::Months(12),
    Step::Months(60),
];

/// At most `count` instants at which a unit begins, each at the column that holds it.
pub(super) fn times(plot: &Plot, count: usize) -> Vec<TimeTick> {
    let column = |start: Timestamp| plot.columns.partition_point(|c| c.range.end() <= start);
    times_at(plot.range, column, count)
}

/// The same for columns of any kind; `column` says which holds an instant.
pub(super) fn times_at(range: TimeRange, column: impl Fn(Timestamp) -> usize, count: usize) -> Vec<TimeTick> {
    let steps = STEPS.into_iter();
    let (step, starts) = steps
        .map(|step| (step, starts(step, range, count)))
        .find(|(_, starts)| starts.len() <= count)
        .unwrap_or((Step::Months(1200), Vec::new()));
    let mut ticks: Vec<TimeTick> = Vec::new();
    let mut day = None;
    for start in starts {
        let column = column(start);
        if ticks.last().is_some_and(|t| t.column == column) {
            continue;
        }
        ticks.push(TimeTick {
            column,
            label: label(step, start, &mut day),
        });
    }
    ticks
}

/// One more than `count` at the most.
fn starts(step: Step, range: TimeRange, count: usize) -> Vec<Timestamp> {
    let (start, end) = (range.start(), range.end());
    match step {
        Step::Micros(step) => {
            let first = (start.as_micros() + step - 1).div_euclid(step);
            let all = (first..).map(|n| Timestamp::from_micros(n * step));
            all.take_while(|t| *t < end).take(count + 1).collect()
        }
        Step::Months(step) => {
            let (year, month, _) = start.date();
            let first = i64::from(year) * 12 + i64::from(month) - 1;
            let month = |n: i64| Timestamp::from_date((n / 12) as i16, (n % 12 + 1) as i8, 1).unwrap_or(Timestamp::MAX);
            let all = (first.div_euclid(step)..).map(|n| month(n * step));
            all.skip_while(|t| *t < start)
                .take_while(|t| *t < end)
                .take(count + 1)
                .collect()
        }
    }
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The day is named once, then only what changes.
fn label(step: Step, at: Timestamp, last_day: &mut Option<Timestamp>) -> String {
    let (year, month, day) = at.date();
    let name = MONTHS[usize::from(month.unsigned_abs()).saturating_sub(1) % 12];
    let new_day = *last_day != Some(at.floor_day());
    let new_year = last_day.is_none_or(|d| d.date().0 != year);
    *last_day = Some(at.floor_day());
    match step {
        Step::Months(12..) => year.to_string(),
        Step::Months(_) if new_year => format!("{name} {year}"),
        Step::Months(_) => name.to_owned(),
        Step::Micros(step) if step >= DAY => format!("{name} {day}"),
        Step::Micros(_) if new_day && at == at.floor_day() => format!("{name} {day}"),
        Step::Micros(step) => {
            let text = at.to_string();
            let length = if step < MINUTE { 8 } else { 5 };
            text.get(11..11 + length).unwrap_or_default().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn price_ticks_are_round_and_inside() {
        for (low, high, count, expected) in [
            (42_013.5, 44_870.1, 5, vec![43_000.0, 44_000.0]),
            (
                0.000_011,
                0.000_019,
                4,
                vec![0.000_012, 0.000_014, 0.000_016, 0.000_018],
            ),
            (99.0, 101.0, 4, vec![99.0, 99.5, 100.0, 100.5, 101.0]),
        ] {
            let (ticks, digits) = prices(low, high, count);
            let shown: Vec<String> = ticks.iter().map(|t| price(*t, digits)).collect();
            let expected: Vec<String> = expected.iter().map(|t| price(*t, digits)).collect();
            assert_eq!(shown, expected);
        }
        assert_eq!(price(42_000.5, 2), "42,000.50");
        assert_eq!(prices(5.0, 5.0, 4).0, vec![5.0]);
    }
}
