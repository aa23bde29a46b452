//! The exchange's name for an instrument, and the ways people write it.
//!
//! Inside, a symbol is always the exchange's own spelling (`BTCUSDT`, `BTCUSD_PERP`). People also type `btcusdt`,
//! `BTC/USDT`, `BTC-USDT`, and the unified `BTC/USDT:USDT` (linear future) or `BTC/USD:BTC` (inverse future); these are
//! understood here and nowhere else. A symbol becomes part of URLs and of paths on disk, so what could leave either is
//! refused by an allow-list rather than escaped by a deny-list. Case is folded for ASCII only: Unicode upper-casing
//! changes letters (and lengths) in symbols the exchange really lists.

use std::fmt;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::series::Market;

/// Characters allowed in a symbol by the exchange's own pattern (`^[\w\-._&&[^a-z]]{1,50}$`, seen in error messages).
const CHARS_MAX: usize = 50;
/// Bytes of a percent-encoded symbol, so that `<SYMBOL>-1m-2024-01-01.zip` stays below the 255 a file name may have.
const ENCODED_BYTES_MAX: usize = 200;
/// Everything but letters, digits and `_` is encoded; the underscore of `BTCUSD_PERP` stays readable.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_');

/// An instrument in the exchange's own spelling: upper-case ASCII letters, digits and `_`, or non-ASCII letters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(Arc<str>);

/// Why a text is not a symbol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what the fields are")]
pub enum SymbolError {
    #[error("the symbol is empty: expected something like BTCUSDT or BTC/USDT")]
    Empty,
    #[error(
        "symbol {text:?} contains {found:?}: expected letters, digits and '_' (as BTCUSDT, BTC/USDT or BTCUSD_PERP)"
    )]
    Character { text: String, found: char },
    #[error("symbol {text:?} is too long: the exchange's symbols have at most {CHARS_MAX} characters")]
    TooLong { text: String },
    #[error("symbol {text:?} is not BASE/QUOTE, BASE-QUOTE or BASE/QUOTE:SETTLE")]
    Shape { text: String },
    #[error("symbol {text:?} belongs to market {implied}, but market {asked} was asked for")]
    Market {
        text: String,
        implied: Market,
        asked: Market,
    },
}

impl Symbol {
    /// Takes the exchange's own spelling, or the same in lower case.
    pub fn new(text: &str) -> Result<Symbol, SymbolError> {
        let shown = || text.chars().take(80).collect::<String>();
        if text.is_empty() {
            return Err(SymbolError::Empty);
        }
        if let Some(found) = text.chars().find(|c| !is_symbol_char(*c)) {
            return Err(SymbolError::Character { text: shown(), found });
        }
        let symbol = Symbol(text.to_ascii_uppercase().into());
        if text.chars().count() > CHARS_MAX || symbol.encoded().len() > ENCODED_BYTES_MAX {
            return Err(SymbolError::TooLong { text: shown() });
        }
        Ok(symbol)
    }

    /// Reads what a person typed, in any of the accepted spellings, and finds the market it belongs to.
    ///
    /// A spelling that names its market (`BTCUSD_PERP`, `BTC/USDT:USDT`) must agree with `asked`; one that does not is
    /// taken to be in `asked`, or in the spot market when nothing was asked for.
    ///
    /// ```
    /// use evercandle::model::{series::Market, symbol::Symbol};
    /// let (market, symbol) = Symbol::parse("btc/usdt:usdt", None).unwrap();
    /// assert_eq!((market, symbol.as_str()), (Market::Um, "BTCUSDT"));
    /// assert!(Symbol::parse("../etc/passwd", None).is_err());
    /// ```
    pub fn parse(text: &str, asked: Option<Market>) -> Result<(Market, Symbol), SymbolError> {
        let text = text.trim();
        let (symbol, implied) = spelled_out(text)?;
        match (implied, asked) {
            (Some(implied), Some(asked)) if implied != asked => Err(SymbolError::Market {
                text: text.chars().take(80).collect(),
                implied,
                asked,
            }),
            (implied, asked) => Ok((implied.or(asked).unwrap_or(Market::Spot), symbol)),
        }
    }

    /// The exchange's spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The date on which the contract expires, as it is spelled, if it is one that does: `240628` of `BTCUSDT_240628`.
    pub fn delivery_date(&self) -> Option<&str> {
        let (_, date) = self.0.rsplit_once('_')?;
        (date.len() == 6 && date.bytes().all(|b| b.is_ascii_digit())).then_some(date)
    }

    /// Percent-encoded UTF-8, safe as one segment of a URL or of a path on disk. Reversible.
    pub fn encoded(&self) -> String {
        utf8_percent_encode(&self.0, ENCODED).to_string()
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Letters of any script are real symbols' letters; marks, controls, separators and direction overrides are not.
fn is_symbol_char(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric() || (!c.is_ascii() && c.is_alphanumeric())
}

/// The exchange's spelling of `text`, and the market if the spelling names one.
fn spelled_out(text: &str) -> Result<(Symbol, Option<Market>), SymbolError> {
    let shape = || SymbolError::Shape {
        text: text.chars().take(80).collect(),
    };
    let joined = |base: &str, quote: &str| {
        // Both halves are checked alone first, so that a slash or dash left over is named as the culprit.
        Symbol::new(base).and(Symbol::new(quote))?;
        Symbol::new(&format!("{base}{quote}"))
    };
    let Some((base, rest)) = text.split_once('/') else {
        if let Some((base, quote)) = text.split_once('-') {
            return Ok((joined(base, quote)?, None));
        }
        let symbol = Symbol::new(text)?;
        let implied = implied_market(&symbol);
        return Ok((symbol, implied));
    };
    let Some((quote, settle)) = rest.split_once(':') else {
        return Ok((joined(base, rest)?, None));
    };
    let (settle, expiry) = match settle.split_once('-') {
        Some((settle, expiry)) => (settle, Some(expiry)),
        None => (settle, None),
    };
    let pair = joined(base, quote)?;
    let market = if settle.eq_ignore_ascii_case(quote) {
        Market::Um
    } else if settle.eq_ignore_ascii_case(base) {
        Market::Cm
    } else {
        return Err(shape());
    };
    let symbol = match (market, expiry) {
        (_, Some(expiry)) if is_expiry(expiry) => Symbol::new(&format!("{pair}_{expiry}"))?,
        (_, Some(_)) => return Err(shape()),
        (Market::Cm, None) => Symbol::new(&format!("{pair}_PERP"))?,
        (_, None) => pair,
    };
    Ok((symbol, Some(market)))
}

/// Suffixes that only futures have: `BTCUSD_PERP`, `BTCUSD_250328` (COIN-M), `BTCUSDT_250328` (USD-M).
fn implied_market(symbol: &Symbol) -> Option<Market> {
    let (pair, suffix) = symbol.as_str().rsplit_once('_')?;
    match suffix {
        "PERP" => Some(Market::Cm),
        expiry if is_expiry(expiry) && pair.ends_with("USD") => Some(Market::Cm),
        expiry if is_expiry(expiry) => Some(Market::Um),
        _ => None,
    }
}

fn is_expiry(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_people_use_means_the_exchanges_own() {
        for (typed, market, symbol) in [
            ("BTCUSDT", Market::Spot, "BTCUSDT"),
            ("btcusdt", Market::Spot, "BTCUSDT"),
            (" BTC/USDT ", Market::Spot, "BTCUSDT"),
            ("btc-usdt", Market::Spot, "BTCUSDT"),
            ("BTC/USDT:USDT", Market::Um, "BTCUSDT"),
            ("BTC/USDT:USDT-250328", Market::Um, "BTCUSDT_250328"),
            ("BTC/USD:BTC", Market::Cm, "BTCUSD_PERP"),
            ("BTC/USD:BTC-250328", Market::Cm, "BTCUSD_250328"),
            ("btcusd_perp", Market::Cm, "BTCUSD_PERP"),
            ("BTCUSD_250328", Market::Cm, "BTCUSD_250328"),
            ("BTCUSDT_250328", Market::Um, "BTCUSDT_250328"),
            ("1000SHIBUSDT", Market::Spot, "1000SHIBUSDT"),
            ("币安人生usdt", Market::Spot, "币安人生USDT"),
        ] {
            let (got_market, got) = Symbol::parse(typed, None).unwrap();
            assert_eq!((got_market, got.as_str()), (market, symbol), "{typed:?}");
        }
        assert_eq!(Symbol::parse("BTCUSDT", Some(Market::Um)).unwrap().0, Market::Um);
    }

    #[test]
    fn what_could_leave_a_path_or_a_url_is_refused_and_named() {
        for wrong in [
            "",
            " ",
            "..",
            "../x",
            "a/b/c",
            "BTC/",
            "/BTC",
            "BTC\\USDT",
            "BTC USDT",
            "BTC\nUSDT",
            "BTC\0USDT",
            "BTC%2e",
            "BTC?x=1",
            "BTC&limit=1",
            "BTC#",
            "BTC.USDT",
            "BTC/USDT:",
            "BTC/USDT:ETH",
            "BTC/USDT:USDT-soon",
            "\u{202e}TDSUCTB",
            "BTC--USDT",
            "https://x/y",
            "CON:",
            "BTC'",
        ] {
            let error = Symbol::parse(wrong, None).unwrap_err().to_string();
            assert!(error.contains("symbol"), "{wrong:?}: {error}");
        }
        assert!(matches!(Symbol::new(&"A".repeat(51)), Err(SymbolError::TooLong { .. })));
        assert!(matches!(
            Symbol::new(&"币".repeat(30)),
            Err(SymbolError::TooLong { .. })
        ));
    }

    #[test]
    fn a_spelling_that_names_its_market_must_agree_with_the_one_asked_for() {
        let error = Symbol::parse("BTCUSD_PERP", Some(Market::Spot)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "symbol \"BTCUSD_PERP\" belongs to market cm, but market spot was asked for"
        );
    }

    #[test]
    fn only_ascii_letters_change_case_and_only_non_ascii_ones_are_encoded() {
        assert_eq!(Symbol::new("ßusdt").unwrap().as_str(), "ßUSDT");
        assert_eq!(Symbol::new("BTCUSD_PERP").unwrap().encoded(), "BTCUSD_PERP");
        assert_eq!(Symbol::new("币USDT").unwrap().encoded(), "%E5%B8%81USDT");
    }
}
