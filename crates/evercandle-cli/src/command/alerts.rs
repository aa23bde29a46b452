//! `alerts`: the rules by which somebody is told.

use evercandle::alert::{self, RuleName};
use serde_json::json;

use crate::args::{Alerts, AlertsFormat, Global, ListFormat};
use crate::exit::{Exit, Failure};
use crate::output::list::{Column, List, left};
use crate::screen::Screen;
use crate::session;

const COLUMNS: [Column; 5] = [
    left("name"),
    left("severity"),
    left("hold_seconds"),
    left("summary"),
    left("runbook").spare(),
];

pub(crate) fn run(args: &Alerts, global: &Global, screen: &Screen) -> Result<Exit, Failure> {
    let config = session::config(global)?.alerts;
    let format = match args.format {
        Some(AlertsFormat::Prometheus) => {
            crate::output::print(&alert::prometheus_rules(&config))?;
            return Ok(Exit::Complete);
        }
        Some(AlertsFormat::Table) => Some(ListFormat::Table),
        Some(AlertsFormat::Csv) => Some(ListFormat::Csv),
        Some(AlertsFormat::Json) => Some(ListFormat::Json),
        None => None,
    };
    let rules = alert::rules(&config);
    let summary = |rule: &alert::Rule| rule.summary.replace("{subject}", subject(rule.name));
    let hold = |rule: &alert::Rule| rule.hold.as_millis() as f64 / 1e3;
    let list = List {
        columns: &COLUMNS,
        shown: rules
            .iter()
            .map(|rule| {
                vec![
                    rule.name.as_str().to_owned(),
                    rule.severity.as_str().to_owned(),
                    format!("{} s", hold(rule)),
                    summary(rule),
                    rule.runbook.to_owned(),
                ]
            })
            .collect(),
        values: rules
            .iter()
            .map(|rule| {
                vec![
                    json!(rule.name.as_str()),
                    json!(rule.severity.as_str()),
                    json!(hold(rule)),
                    json!(summary(rule)),
                    json!(rule.runbook),
                ]
            })
            .collect(),
        footer: None,
    };
    list.print(format, screen)?;
    Ok(Exit::Complete)
}

/// Who a rule is about, where nobody in particular is.
fn subject(name: RuleName) -> &'static str {
    match name {
        RuleName::ServingStale => "values",
        RuleName::NoPrices => "it is about",
        RuleName::SchedulerStuck => "a kind",
        _ => "An upstream",
    }
}
