//! Klines as REST prints them: an array of arrays, read straight into columns.
//!
//! Each element is kept as the text between its commas until its slot says what it is. So a decimal is never a double on
//! the way, and it does not matter whether a number comes with quotes or without. More elements than the twelve known
//! ones are ignored, fewer are refused: something has changed and guessing would mislabel columns.

use std::fmt;

use serde::de::{self, DeserializeSeed, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::FetchError;
use super::super::http::Reply;
use super::super::json;
use super::vision_csv::twelve_fields;
use crate::model::batch::{Batch, COLUMN_NAMES};
use crate::model::builder::{BatchBuilder, Repairs};
use crate::model::range::TimeRange;
use crate::model::series::Series;

/// Elements of a row; the last has no meaning.
const ELEMENTS: usize = 12;
/// Bytes of a row at the least, to set room aside.
const ROW_BYTES_MIN: usize = 100;

/// Klines of a reply; every row must lie in `range`.
pub(super) fn klines(series: &Series, range: TimeRange, reply: &Reply) -> Result<(Batch, Repairs), FetchError> {
    parse(series, range, &reply.place, reply.text()?)
}

/// As [`klines`], from a body alone.
pub(super) fn parse(
    series: &Series,
    range: TimeRange,
    place: &str,
    body: &str,
) -> Result<(Batch, Repairs), FetchError> {
    let corrupt = |why: &dyn fmt::Display| FetchError::Corrupt(format!("{place}: not a page of klines: {why}"));
    let mut builder = BatchBuilder::new(series.clone(), body.len() / ROW_BYTES_MIN);
    let mut reader = serde_json::Deserializer::from_str(body);
    de::Deserializer::deserialize_seq(&mut reader, Rows(&mut builder))
        .and_then(|()| reader.end())
        .map_err(|e| corrupt(&e))?;
    builder.finish(range).map_err(|e| corrupt(&e))
}

struct Rows<'b>(&'b mut BatchBuilder);

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of klines")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while rows.next_element_seed(OneRow(self.0))?.is_some() {}
        Ok(())
    }
}

struct OneRow<'b>(&'b mut BatchBuilder);

impl<'de> DeserializeSeed<'de> for OneRow<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for OneRow<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a kline of {ELEMENTS} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut texts = [""; ELEMENTS];
        for (slot, text) in texts.iter_mut().enumerate() {
            let raw: &RawValue = elements
                .next_element()?
                .ok_or_else(|| de::Error::invalid_length(slot, &self))?;
            *text = json::printed(raw);
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        let row = twelve_fields(|slot| texts[slot].as_bytes()).map_err(|slot| {
            let name = COLUMN_NAMES.get(slot).unwrap_or(&"");
            de::Error::custom(format_args!("{name} = {:?}", texts[slot]))
        })?;
        self.0.push(&row);
        Ok(())
    }
}
