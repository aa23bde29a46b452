//! The zip container, written by hand.
//!
//! A library would do for good archives; the bad ones (two members, names that climb, sizes that lie) need the bytes.
//! No member is older or newer than its period's publication, so the same archive always has the same hash.

use jiff::civil::DateTime;
use libdeflater::{CompressionLvl, Compressor, Decompressor};

use crate::time::day_of;

/// Fast and still three times smaller; nobody measures our compression.
const LEVEL: i32 = 1;
/// Version 2.0: deflate and folders.
const VERSION: u16 = 20;
/// General purpose bit 11: the name is UTF-8.
const FLAG_UTF8: u16 = 1 << 11;
const METHOD_DEFLATE: u16 = 8;

/// One file to be packed.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// Packs members into an archive dated `modified`.
pub(super) fn pack(members: &[Member], modified: i64) -> Vec<u8> {
    let (date, time) = dos(modified);
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for member in members {
        let packed = deflate(&member.content);
        let mut crc = libdeflater::Crc::new();
        crc.update(&member.content);
        let offset = archive.len() as u32;
        let mut shared = Vec::with_capacity(26);
        for short in [VERSION, FLAG_UTF8, METHOD_DEFLATE, time, date] {
            shared.extend(short.to_le_bytes());
        }
        for long in [crc.sum(), packed.len() as u32, member.content.len() as u32] {
            shared.extend(long.to_le_bytes());
        }
        shared.extend((member.name.len() as u16).to_le_bytes());
        shared.extend(0u16.to_le_bytes());

        archive.extend(b"PK\x03\x04");
        archive.extend(&shared);
        archive.extend(member.name.as_bytes());
        archive.extend(&packed);

        directory.extend(b"PK\x01\x02");
        directory.extend(VERSION.to_le_bytes());
        directory.extend(&shared);
        // Comment length, disk number, internal attributes; then external attributes.
        directory.extend([0; 6]);
        directory.extend([0; 4]);
        directory.extend(offset.to_le_bytes());
        directory.extend(member.name.as_bytes());
    }
    let (offset, count) = (archive.len() as u32, members.len() as u16);
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06");
    archive.extend([0; 4]);
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(offset.to_le_bytes());
    archive.extend([0; 2]);
    archive
}

/// The content of the first member of a recorded archive; `None` if this is no zip we can read.
pub(crate) fn unpack_csv(zip: &[u8]) -> Option<Vec<u8>> {
    let short = |at: usize| Some(u16::from_le_bytes(zip.get(at..at + 2)?.try_into().ok()?));
    let long = |at: usize| Some(u32::from_le_bytes(zip.get(at..at + 4)?.try_into().ok()?) as usize);
    // Sizes in a local header may be zero when the writer streamed; the directory always has them.
    let end = zip.windows(4).rposition(|window| window == b"PK\x05\x06")?;
    let directory = long(end + 16)?;
    let (method, packed, unpacked, local) = (
        short(directory + 10)?,
        long(directory + 20)?,
        long(directory + 24)?,
        long(directory + 42)?,
    );
    let start = local + 30 + usize::from(short(local + 26)?) + usize::from(short(local + 28)?);
    let data = zip.get(start..start + packed)?;
    if method != METHOD_DEFLATE {
        return Some(data.to_vec());
    }
    let mut content = vec![0; unpacked];
    Decompressor::new().deflate_decompress(data, &mut content).ok()?;
    Some(content)
}

fn deflate(content: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::new(LEVEL).unwrap_or_default());
    let mut packed = vec![0; compressor.deflate_compress_bound(content.len())];
    let length = compressor.deflate_compress(content, &mut packed).unwrap_or(0);
    packed.truncate(length);
    packed
}

/// The date and time words of a DOS directory, which count two-second steps from 1980.
fn dos(instant: i64) -> (u16, u16) {
    let at: DateTime = day_of(instant).at(4, 0, 0, 0);
    let date = ((at.year() - 1980).max(0) as u16) << 9 | (at.month() as u16) << 5 | at.day() as u16;
    (date, (at.hour() as u16) << 11)
}
