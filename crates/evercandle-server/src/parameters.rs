//! A URL's parameters, each known and written once.
//!
//! A parameter that is misspelt and ignored is an answer to another question, so what is not known is refused, with what
//! was probably meant; so is what is said twice.

use std::collections::HashSet;
use std::fmt::Display;

use evercandle::{Error, Market, Symbol};
use evercandle_formats::words;
use percent_encoding::percent_decode_str;

use crate::problem::Problem;

/// What other interfaces call what we call otherwise.
const CALLED_OTHERWISE: [(&str, &str); 12] = [
    ("starttime", "start"),
    ("since", "start"),
    ("from", "start"),
    ("endtime", "end"),
    ("until", "end"),
    ("to", "end"),
    ("timeframe", "interval"),
    ("resolution", "interval"),
    ("pair", "symbol"),
    ("ticker", "symbol"),
    ("fields", "columns"),
    ("filter", "search"),
];

/// The parameters of a request.
pub(crate) struct Parameters {
    pairs: Vec<(&'static str, String)>,
}

impl Parameters {
    /// Reads a query as browsers and programs write it; `known`: what the route takes.
    pub(crate) fn read(query: Option<&str>, known: &'static [&'static str]) -> Result<Parameters, Problem> {
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            let Some(known) = known.iter().copied().find(|known| *known == name) else {
                return Err(unknown(&name, known));
            };
            if pairs.iter().any(|(earlier, _)| *earlier == known) {
                return Err(Problem::parameter(known, "was given twice").hint("keep one of them"));
            }
            pairs.push((known, value));
        }
        Ok(Parameters { pairs })
    }

    /// As written, if it was.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    /// As written; `like`: what it could be.
    pub(crate) fn required(&self, name: &str, like: &str) -> Result<&str, Problem> {
        self.text(name)
            .ok_or_else(|| Problem::parameter(name, "is missing").hint(format!("add {name}={like}")))
    }

    /// Read by something that says what it expected.
    pub(crate) fn parsed<T, E: Display>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        let read = |text: &str| read(text).map_err(|error| Problem::parameter(name, error.to_string()));
        self.text(name).map(read).transpose()
    }

    /// A number between two.
    pub(crate) fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Problem> {
        self.parsed(name, |text| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|n| plain && (least..=most).contains(n));
            number.ok_or_else(|| {
                format!(
                    "{:?} is not a whole number from {least} to {most}",
                    words::foreign(&shortened(text))
                )
            })
        })
    }

    /// One of some words.
    pub(crate) fn one_of<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*choice));
        }
        let known: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let problem = Problem::parameter(
            name,
            format!("{:?} is not one of {}", shortened(text), known.join(", ")),
        );
        Err(match words::nearest(&shortened(text), known) {
            Some(near) => problem.hint(format!("did you mean {name}={near}?")),
            None => problem,
        })
    }

    /// The market, if one was named.
    pub(crate) fn market(&self) -> Result<Option<Market>, Problem> {
        self.one_of("market", &Market::ALL.map(|market| (market.as_str(), market)))
    }

    /// What stands between commas; nothing if the name is absent.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let items = self.text(name).into_iter().flat_map(|text| text.split(','));
        items.map(str::trim).filter(|item| !item.is_empty()).collect()
    }

    /// The symbols with their markets, in the order written, each once.
    pub(crate) fn symbols(&self, symbols_max: usize) -> Result<Vec<(Market, Symbol)>, Problem> {
        let market = self.market()?;
        let (mut symbols, mut known) = (Vec::new(), HashSet::new());
        for word in self.list("symbols") {
            let one = Symbol::parse(word, market)
                .map_err(|error| Problem::parameter("symbols", Error::from(error).to_string()))?;
            if known.insert(one.clone()) {
                symbols.push(one);
            }
        }
        match symbols.len() {
            found if symbols_max < found => Err(Problem::too_much(format!(
                "symbols: {found} symbols, and one question has at most {symbols_max} (server.symbols_max)"
            ))
            .hint("ask for them in several requests")),
            _ => Ok(symbols),
        }
    }
}

/// A symbol as people write it, with its market.
pub(crate) fn symbol(text: &str, market: Option<Market>) -> Result<(Market, Symbol), Problem> {
    Symbol::parse(text, market).map_err(|error| Problem::parameter("symbol", Error::from(error).to_string()))
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let folded = name.to_ascii_lowercase().replace('_', "");
    let otherwise = CALLED_OTHERWISE.iter().find(|(theirs, _)| *theirs == folded);
    let meant = otherwise
        .map(|(_, ours)| *ours)
        .filter(|ours| known.contains(ours))
        .or_else(|| words::nearest(&shortened(name), known.iter().copied()));
    let takes = match known.is_empty() {
        true => "it takes no parameters".to_owned(),
        false => format!("it takes {}", known.join(", ")),
    };
    let problem = Problem::parameter(&shortened(name), format!("there is no such parameter here; {takes}"));
    match meant {
        Some(near) => problem.hint(format!("did you mean {near}?")),
        None => problem,
    }
}

/// What is repeated to the caller is no longer than it needs to be recognised.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

fn decoded(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => {
            Err(Problem::parameter(&shortened(text), "is not UTF-8").hint("percent-encode the bytes of its UTF-8 form"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["symbol", "interval", "start", "limit", "format"];

    fn refused(query: &str) -> String {
        let problem = Parameters::read(Some(query), KNOWN).err().unwrap();
        format!("{problem:?}")
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_was_meant() {
        for (query, named) in [
            ("symbl=A", "did you mean symbol?"),
            ("startTime=1", "did you mean start?"),
            ("timeframe=1m", "did you mean interval?"),
            ("symbol=A&symbol=B", "was given twice"),
            ("symbol=%ff", "is not UTF-8"),
            ("nonsense=1", "it takes symbol, interval, start, limit, format"),
        ] {
            assert!(refused(query).contains(named), "{query}: {}", refused(query));
        }
    }

    #[test]
    fn values_are_decoded_and_bounded() {
        let parameters =
            Parameters::read(Some("symbol=BTC%2FUSDT&start=2024-01-01+12:30&limit=5&&format"), KNOWN).unwrap();
        assert_eq!(parameters.text("symbol"), Some("BTC/USDT"));
        assert_eq!(parameters.text("start"), Some("2024-01-01 12:30"));
        assert_eq!(parameters.number("limit", 1, 10).unwrap(), Some(5));
        assert!(parameters.number("limit", 6, 10).is_err());
        assert_eq!(parameters.text("format"), Some(""));
        assert!(parameters.one_of("format", &[("json", 1)]).is_err());
    }
}
