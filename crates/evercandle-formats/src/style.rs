//! How klines are written, whatever the format.

use evercandle::Kind;
use evercandle::model::batch::column_names;

use crate::words;

/// How klines are written.
#[derive(Clone, Debug)]
pub struct Style {
    /// How times look in text formats.
    pub time: TimeFormat,
    /// How prices and volumes look.
    pub decimals: DecimalFormat,
    /// Positions in the store's schema.
    pub columns: Vec<usize>,
    /// For whom JSON is written.
    pub dialect: Dialect,
}

/// How times look in text formats; Arrow and Parquet have a type for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// `2024-01-01T00:00:00Z`
    #[default]
    Rfc3339,
    /// Milliseconds since the epoch.
    Ms,
    /// Microseconds since the epoch.
    Us,
}

/// How prices and volumes look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalFormat {
    /// Doubles, in the fewest digits that give them back.
    #[default]
    Float,
    /// As the exchange printed them: texts, and in Arrow and Parquet a decimal type.
    Exact,
}

/// For whom JSON is written: the same objects, spaced for eyes or packed for the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Of the command line: spaces, one kline a line; what an upstream said is its `why`.
    #[default]
    Shell,
    /// Of the daemon: no spaces; what an upstream said is its `what`, as everywhere in its interface.
    Wire,
}

impl Dialect {
    /// The name under which an upstream's words are told.
    pub(crate) fn said(self) -> &'static str {
        match self {
            Dialect::Shell => "why",
            Dialect::Wire => "what",
        }
    }
}

/// Why columns cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnError {
    /// There is no such column.
    Unknown {
        /// As written.
        name: String,
        /// What was probably meant.
        near: Option<&'static str>,
        /// Those there are.
        expected: &'static [&'static str],
    },
    /// A column can be written once.
    Twice(String),
}

impl std::fmt::Display for ColumnError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ColumnError::Unknown { name, expected, .. } => {
                write!(f, "unknown column {name:?}: expected some of {}", expected.join(", "))
            }
            ColumnError::Twice(name) => write!(f, "column {name} was asked for twice"),
        }
    }
}

impl std::error::Error for ColumnError {}

/// Positions of the columns of klines asked for, or of all.
pub fn columns<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<usize>, ColumnError> {
    columns_of(Kind::Klines, names)
}

/// Positions of the columns of a kind asked for, or of all.
pub fn columns_of<'a>(kind: Kind, names: impl IntoIterator<Item = &'a str>) -> Result<Vec<usize>, ColumnError> {
    let expected = column_names(kind);
    let mut columns = Vec::new();
    for name in names {
        let name = name.trim();
        let Some(column) = expected.iter().position(|c| *c == name) else {
            return Err(ColumnError::Unknown {
                name: name.to_owned(),
                near: words::nearest(name, expected.iter().copied()),
                expected,
            });
        };
        if columns.contains(&column) {
            return Err(ColumnError::Twice(name.to_owned()));
        }
        columns.push(column);
    }
    if columns.is_empty() {
        columns.extend(0..expected.len());
    }
    Ok(columns)
}
