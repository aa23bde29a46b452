//! One chunk as bytes: a plain Arrow IPC file of at most one record batch, uncompressed, so that what is mapped is what
//! is served and any Arrow tool can open it.
//!
//! Writing is serialising to memory; the digest of exactly those bytes goes into the file's name. Reading trusts
//! nothing: the digest is compared before a parser sees a byte; the footer's offsets are checked by us, because the
//! parser panics on some that are out of bounds; validation stays on; a panic that is left over is caught and counts as
//! damage; and the rows become a [`Batch`] only by its own proof.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_ipc::{MetadataVersion, root_as_footer};
use arrow_schema::{ArrowError, Schema};
use xxhash_rust::xxh3::xxh3_128;

use crate::model::batch::{Batch, schema_of};
use crate::model::range::{TimeRange, Timestamp};
use crate::model::series::Series;

use super::Piece;
use super::content::Content;
use super::layout::{ChunkName, Subject};
use super::story::{Story, Untold};

/// Where buffers begin in the file: what the widest vector instructions like.
const ALIGNMENT: usize = 64;
/// `ARROW1` and padding at the front, footer length and `ARROW1` at the back.
const SIZE_MIN: usize = 8 + 10;

/// A chunk in memory or mapped, verified.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// Klines, origins and holes.
    pub(super) content: Content,
    /// See [`Story::first_open`].
    pub(super) first_open: Option<Timestamp>,
}

/// Why bytes are not the chunk their name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unfit {
    /// A later version's; nothing is wrong with it.
    Newer,
    /// Not what was written: a word for metrics, and what was found.
    Damaged(&'static str, String),
}

/// A chunk to be written: its bytes, and the digest that goes into its name.
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    pub(super) rows: u64,
    pub(super) digest: u128,
}

/// Serialises a chunk.
pub(super) fn encode(
    series: &Series,
    subject: Subject,
    content: &Content,
    story: &Story,
) -> Result<Encoded, ArrowError> {
    let batches: Vec<Batch> = content.pieces.iter().map(|p| p.batch.clone()).collect();
    let batch = match batches.is_empty() {
        true => Batch::empty(series.clone()),
        false => Batch::concat(&batches).ok_or_else(|| ArrowError::InvalidArgumentError("klines overlap".into()))?,
    };
    let metadata = story
        .to_metadata(series, subject)
        .map_err(|e| ArrowError::ExternalError(Box::new(e)))?;
    let schema = Arc::new(schema_of(series).as_ref().clone().with_metadata(metadata));
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
    let room = batch.len() * 11 * 8 + 16 * 1024;
    let mut writer = FileWriter::try_new_with_options(Vec::with_capacity(room), &schema, options)?;
    if !batch.is_empty() {
        writer.write(&RecordBatch::try_new(schema.clone(), batch.rows().columns().to_vec())?)?;
    }
    let bytes = writer.into_inner()?;
    Ok(Encoded {
        digest: xxh3_128(&bytes),
        rows: batch.len() as u64,
        bytes,
    })
}

/// Verifies and parses a chunk. The columns of the result point into `bytes`.
pub(super) fn decode(series: &Series, name: &ChunkName, bytes: Buffer) -> Result<Chunk, Unfit> {
    if xxh3_128(&bytes) != name.digest {
        return Err(Unfit::Damaged(
            "digest",
            format!("{} bytes do not match the name", bytes.len()),
        ));
    }
    // A program that was handed crafted bytes must still answer from elsewhere.
    catch_unwind(AssertUnwindSafe(|| parse(series, name, bytes)))
        .unwrap_or_else(|_| Err(Unfit::Damaged("parse", "the parser panicked".into())))
}

fn parse(series: &Series, name: &ChunkName, bytes: Buffer) -> Result<Chunk, Unfit> {
    let (rows, metadata) = record_batch(series, bytes)?;
    let story = Story::from_metadata(metadata.metadata(), series, name.subject).map_err(|untold| match untold {
        Untold::Newer => Unfit::Newer,
        Untold::Broken(why) => Unfit::Damaged("story", why),
    })?;
    let found = rows.as_ref().map_or(0, RecordBatch::num_rows) as u64;
    if found != name.rows || found != story.rows {
        let said = format!("{found} rows, the name says {}, the story {}", name.rows, story.rows);
        return Err(Unfit::Damaged("rows", said));
    }
    let domain = match name.subject {
        Subject::Period(period) => period.domain(story.grid(series.interval())),
        Subject::Facts => TimeRange::clamped(Timestamp::EPOCH, Timestamp::EPOCH),
    };
    let batch = match rows {
        Some(rows) => Batch::try_new(series.clone(), rows, story.decimals.clone(), domain)
            .map_err(|e| Unfit::Damaged("klines", e.to_string()))?,
        None => Batch::empty(series.clone()),
    };
    let pieces = pieces(&batch, &story)?;
    Ok(Chunk {
        content: Content {
            pieces,
            covered: story.covered,
            holes: story.holes,
        },
        first_open: story.first_open,
    })
}

/// The segments' klines; together they must be all there are.
fn pieces(batch: &Batch, story: &Story) -> Result<Vec<Piece>, Unfit> {
    let pieces: Vec<Piece> = match story.segments.as_slice() {
        [(range, origin)] if batch.span() == Some(*range) => vec![Piece {
            batch: batch.clone(),
            origin: origin.clone(),
        }],
        segments => segments
            .iter()
            .map(|(range, origin)| Piece {
                batch: batch.slice(*range),
                origin: origin.clone(),
            })
            .collect(),
    };
    let told: usize = pieces.iter().map(|p| p.batch.len()).sum();
    if told != batch.len() || pieces.iter().any(|p| p.batch.is_empty()) {
        return Err(Unfit::Damaged("story", "segments are not the rows".into()));
    }
    Ok(pieces)
}

/// The one record batch, if there is one, and the schema with its metadata.
fn record_batch(series: &Series, bytes: Buffer) -> Result<(Option<RecordBatch>, Schema), Unfit> {
    let damaged = |why: String| Unfit::Damaged("parse", why);
    let arrow = |e: ArrowError| Unfit::Damaged("parse", e.to_string());
    let size = bytes.len();
    if size < SIZE_MIN {
        return Err(damaged(format!("{size} bytes are too few")));
    }
    let tail: [u8; 10] = bytes[size - 10..].try_into().expect("ten bytes were taken");
    let footer_size = read_footer_length(tail).map_err(arrow)?;
    let footer_start = (size - 10)
        .checked_sub(footer_size)
        .ok_or_else(|| damaged("footer larger than the file".into()))?;
    let footer = root_as_footer(&bytes[footer_start..size - 10]).map_err(|e| damaged(e.to_string()))?;
    let found = try_fb_to_schema(footer.schema().ok_or_else(|| damaged("no schema".into()))?).map_err(arrow)?;
    let expected = schema_of(series);
    if found.fields() != expected.fields() {
        return Err(Unfit::Damaged("schema", format!("columns {:?}", found.fields())));
    }
    if footer.version() != MetadataVersion::V5 || footer.dictionaries().is_some_and(|d| !d.is_empty()) {
        return Err(damaged("not the format version or features we write".into()));
    }
    let blocks = footer.recordBatches();
    let block = match blocks.as_ref().map_or(0, |b| b.len()) {
        0 => return Ok((None, found)),
        1 => *blocks.expect("it has a length").get(0),
        more => return Err(damaged(format!("{more} record batches"))),
    };
    let inside = |offset: i64, length: i64| {
        offset >= 8 && length >= 0 && offset.checked_add(length).is_some_and(|end| end <= footer_start as i64)
    };
    let length = i64::from(block.metaDataLength())
        .checked_add(block.bodyLength())
        .filter(|_| block.metaDataLength() >= 8 && block.bodyLength() >= 0);
    if !length.is_some_and(|length| inside(block.offset(), length)) {
        return Err(damaged(format!("record batch outside the file: {block:?}")));
    }
    let (offset, length) = (block.offset() as usize, length.unwrap_or_default() as usize);
    let data = bytes.slice_with_length(offset, length);
    let decoder = FileDecoder::new(Arc::new(found.clone()), footer.version()).with_require_alignment(true);
    let rows = decoder.read_record_batch(&block, &data).map_err(arrow)?;
    Ok((rows, found))
}
