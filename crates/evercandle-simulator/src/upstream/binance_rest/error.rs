//! The refusals of the Binance APIs, in their own words.

use crate::message::Response;

/// A refusal with its code; a variant per sentence the exchange uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiError {
    IllegalCharacters { parameter: String, legal: &'static str },
    DuplicateParameter(String),
    Mandatory(&'static str),
    Unread { read: usize, sent: usize },
    Empty(String),
    Overflow(String),
    InvalidInterval,
    InvalidSymbol,
    StartAfterEnd,
    LookupTooLong,
    BadCombination,
    InvalidValue(&'static str),
    BadTickerType,
    BadStatus,
    StatusMismatch,
    RepeatedSymbol,
    BadTimeUnit,
}

impl ApiError {
    pub(crate) fn code(&self) -> i32 {
        use ApiError::*;
        match self {
            StartAfterEnd => -1023,
            IllegalCharacters { .. } => -1100,
            DuplicateParameter(_) => -1101,
            Mandatory(_) => -1102,
            Unread { .. } => -1104,
            Empty(_) => -1105,
            Overflow(_) => -1108,
            InvalidInterval => -1120,
            InvalidSymbol => -1121,
            LookupTooLong => -1127,
            BadCombination => -1128,
            InvalidValue(_) => -1130,
            BadStatus => -1122,
            BadTickerType => -1139,
            RepeatedSymbol => -1151,
            BadTimeUnit => -1194,
            StatusMismatch => -1220,
        }
    }

    fn message(&self) -> String {
        use ApiError::*;
        match self {
            IllegalCharacters { parameter, legal } => {
                format!("Illegal characters found in parameter '{parameter}'; legal range is '{legal}'.")
            }
            DuplicateParameter(parameter) => format!("Duplicate values for parameter '{parameter}'."),
            Mandatory(parameter) => {
                format!("Mandatory parameter '{parameter}' was not sent, was empty/null, or malformed.")
            }
            Unread { read, sent } => {
                format!("Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.")
            }
            Empty(parameter) => format!("Parameter '{parameter}' was empty."),
            Overflow(parameter) => format!("Parameter '{parameter}' overflowed."),
            InvalidInterval => "Invalid interval.".to_owned(),
            InvalidSymbol => "Invalid symbol.".to_owned(),
            StartAfterEnd => "Start time is greater than end time.".to_owned(),
            LookupTooLong => "Lookup interval is too big. More than 200 days between startTime and endTime.".to_owned(),
            BadCombination => "Combination of optional parameters invalid.".to_owned(),
            InvalidValue(parameter) => format!("Data sent for parameter '{parameter}' is not valid."),
            BadStatus => "Invalid symbolStatus.".to_owned(),
            BadTickerType => "Invalid ticker type.".to_owned(),
            RepeatedSymbol => "Symbol is present multiple times in the list.".to_owned(),
            StatusMismatch => "The symbol's status does not match the requested symbolStatus.".to_owned(),
            BadTimeUnit => "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.".to_owned(),
        }
    }

    pub(crate) fn response(&self) -> Response {
        body(400, self.code(), &self.message())
    }
}

/// `{"code":-1121,"msg":"Invalid symbol."}`
pub(crate) fn body(status: u16, code: i32, message: &str) -> Response {
    Response::json(status, serde_json::json!({ "code": code, "msg": message }).to_string())
}

/// The sentence that goes with a code which faults can ask for.
pub(crate) fn by_code(code: i32) -> Response {
    let (status, message) = match code {
        -1000 => (500, "An unknown error occurred while processing the request."),
        -1001 => (500, "Internal error; unable to process your request. Please try again."),
        -1003 => (429, TOO_MANY),
        -1006 => (
            500,
            "An unexpected response was received from the message bus. Execution status unknown.",
        ),
        -1007 => (
            408,
            "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        ),
        -1008 => (
            503,
            "Server is currently overloaded with other requests. Please try again in a few minutes.",
        ),
        -1016 => (503, "This service is no longer available."),
        -1120 => (400, "Invalid interval."),
        -1121 => (400, "Invalid symbol."),
        _ => (400, "An error occurred."),
    };
    body(status, code, message)
}

/// What a 429 says when no limit is named.
pub(crate) const TOO_MANY: &str =
    "Too many requests. Please use WebSocket Streams for live updates to avoid polling the API.";
