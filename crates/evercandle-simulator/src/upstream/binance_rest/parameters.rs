//! Reading a query string the way the exchange does: every parameter once, every parameter known, every value legal.

use super::error::ApiError;
use crate::message::Request;

const SYMBOL_LEGAL: &str = "^[\\w\\-._&&[^a-z]]{1,50}$";
const SYMBOLS_LEGAL: &str = "^\\[(\"[\\w\\-._&&[^a-z]]{1,50}\"(,\"[\\w\\-._&&[^a-z]]{1,50}\"){0,}){0,1}\\]$";
const NUMBER_LEGAL: &str = "^[0-9]{1,20}$";
/// Longest symbol the exchange accepts, in characters.
const SYMBOL_LENGTH_MAX: usize = 50;

/// The parameters of one request, handed out until none is left.
#[derive(Debug)]
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
    sent: usize,
}

impl Parameters {
    pub(super) fn of(request: &Request) -> Result<Self, ApiError> {
        let pairs = request.query_pairs();
        for (position, (name, _)) in pairs.iter().enumerate() {
            if pairs[..position].iter().any(|(earlier, _)| earlier == name) {
                return Err(ApiError::DuplicateParameter(name.clone()));
            }
        }
        Ok(Self {
            sent: pairs.len(),
            pairs,
        })
    }

    /// The value of an optional parameter.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        let Some(position) = self.pairs.iter().position(|(known, _)| known == name) else {
            return Ok(None);
        };
        let (name, value) = self.pairs.remove(position);
        if value.is_empty() {
            Err(ApiError::Empty(name))
        } else {
            Ok(Some(value))
        }
    }

    /// The value of a parameter that must be there.
    pub(super) fn require(&mut self, name: &'static str) -> Result<String, ApiError> {
        self.take(name)?.ok_or(ApiError::Mandatory(name))
    }

    /// A symbol's name, in upper case as the exchange insists.
    pub(super) fn symbol(&mut self) -> Result<String, ApiError> {
        let symbol = self.require("symbol")?;
        check_symbol(symbol)
    }

    /// A whole number that is not negative.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        if text.len() > 20 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ApiError::IllegalCharacters {
                parameter: name.to_owned(),
                legal: NUMBER_LEGAL,
            });
        }
        text.parse().map(Some).map_err(|_| ApiError::Overflow(name.to_owned()))
    }

    /// Refuses whatever nobody asked for.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        if self.pairs.is_empty() {
            return Ok(());
        }
        Err(ApiError::Unread {
            read: self.sent - self.pairs.len(),
            sent: self.sent,
        })
    }
}

/// `["BTCUSDT","ETHUSDT"]`, without blanks and without repetition.
pub(super) fn symbol_list(text: &str) -> Result<Vec<String>, ApiError> {
    let illegal = || ApiError::IllegalCharacters {
        parameter: "symbols".to_owned(),
        legal: SYMBOLS_LEGAL,
    };
    if text.contains(char::is_whitespace) {
        return Err(illegal());
    }
    let names: Vec<String> = serde_json::from_str(text).map_err(|_| illegal())?;
    let mut seen: Vec<&String> = names.iter().collect();
    seen.sort();
    if seen.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(ApiError::RepeatedSymbol);
    }
    for name in &names {
        check_symbol(name.clone()).map_err(|_| illegal())?;
    }
    if names.is_empty() {
        return Err(ApiError::Empty("symbols".to_owned()));
    }
    Ok(names)
}

pub(super) fn check_symbol(symbol: String) -> Result<String, ApiError> {
    let legal = |c: char| (c.is_alphanumeric() && !c.is_ascii_lowercase()) || matches!(c, '-' | '.' | '_');
    if symbol.chars().count() <= SYMBOL_LENGTH_MAX && symbol.chars().all(legal) {
        return Ok(symbol);
    }
    Err(ApiError::IllegalCharacters {
        parameter: "symbol".to_owned(),
        legal: SYMBOL_LEGAL,
    })
}
