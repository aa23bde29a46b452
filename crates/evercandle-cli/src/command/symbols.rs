//! `symbols`: what a market lists.

use evercandle::provider::Instrument;
use serde_json::json;

use crate::args::{Global, Symbols};
use crate::exit::{Exit, Failure};
use crate::output::list::{Column, List, left};
use crate::screen::Screen;
use crate::session::Session;
use crate::text;

const COLUMNS: [Column; 5] = [
    left("symbol"),
    left("base"),
    left("quote"),
    left("status"),
    left("listed_at"),
];

/// The exchange's word for an instrument that trades.
const TRADING: &str = "TRADING";

pub(crate) async fn run(args: &Symbols, global: &Global, screen: &Screen) -> Result<Exit, Failure> {
    let session = Session::open(global, &args.internet, screen)?;
    let all = session.client.instruments(args.market).await?;
    let filter = args
        .filter
        .as_deref()
        .unwrap_or_default()
        .to_uppercase()
        .replace(['/', '-'], "");
    let mut found: Vec<&Instrument> = all
        .iter()
        .filter(|i| i.symbol.to_uppercase().contains(&filter))
        .filter(|i| args.all || i.status == TRADING)
        .collect();
    found.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    let hidden = all.iter().filter(|i| i.symbol.to_uppercase().contains(&filter)).count() - found.len();
    if found.is_empty() {
        let failure = Failure::bad_input(format!("market {} lists nothing like {filter:?}", args.market));
        let near = text::nearest(&filter, all.iter().map(|i| i.symbol.as_str()));
        return Err(match near {
            _ if hidden > 0 => failure.hint(format!(
                "{} stopped trading; --all lists them",
                text::count(hidden as u64, "instrument")
            )),
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None => failure,
        });
    }
    let listed = |i: &Instrument| i.listed_at.map(|t| t.to_string());
    let more = if hidden > 0 {
        format!("; {hidden} that do not trade are not shown (--all)")
    } else {
        String::new()
    };
    let list = List {
        columns: &COLUMNS,
        shown: found
            .iter()
            .map(|i| {
                let at = i.listed_at.map(text::instant).unwrap_or_default();
                vec![i.symbol.clone(), i.base.clone(), i.quote.clone(), i.status.clone(), at]
            })
            .collect(),
        values: found
            .iter()
            .map(|i| {
                vec![
                    json!(i.symbol),
                    json!(i.base),
                    json!(i.quote),
                    json!(i.status),
                    json!(listed(i)),
                ]
            })
            .collect(),
        footer: Some(format!(
            "{} in market {}{more}",
            text::count(found.len() as u64, "instrument"),
            args.market
        )),
    };
    list.print(args.format, screen)?;
    Ok(Exit::Complete)
}
