//! From the bytes of an archive to the bytes of the one file in it.
//!
//! A checksum that matches does not make a zip: unreadable ones have been published with correct checksums, so every
//! claim in the headers is checked against its bound before memory is given out for it, and the result against size and
//! CRC. Anything but one plain file of the expected name is refused, which also settles absolute names, `..` and the
//! rest of what archives can be made to say.

use libdeflater::{Decompressor, crc32};
use rawzip::{CompressionMethod, ZipArchive};

/// Uncompressed bytes per compressed one. Dead markets (the same flat row over and over) reach about 20; the format's
/// own maximum, which only bombs reach, is beyond 1000.
const RATIO_MAX: u64 = 64;
/// What a file of almost nothing may take all the same.
const SIZE_FREE: u64 = 64 << 10;

/// The content of the archive's only member, which must be called `member`; otherwise what is wrong.
pub(super) fn unpack(zip: &[u8], member: &str, size_max: u64) -> Result<Vec<u8>, String> {
    if !zip.starts_with(b"PK") {
        let head: String = String::from_utf8_lossy(&zip[..zip.len().min(60)])
            .escape_debug()
            .to_string();
        return Err(format!("not a zip archive: it begins with \"{head}\""));
    }
    let broken = |e: rawzip::Error| format!("not a readable zip archive: {e}");
    let archive = ZipArchive::from_slice(zip).map_err(broken)?;
    let mut entries = archive.entries();
    let entry = entries.next_entry().map_err(broken)?.ok_or("the archive is empty")?;
    let name = entry.file_path();
    if name.as_bytes() != member.as_bytes() {
        let found = String::from_utf8_lossy(name.as_bytes()).escape_debug().to_string();
        return Err(format!("the archive holds \"{found}\" instead of {member}"));
    }
    if entries.next_entry().map_err(broken)?.is_some() {
        return Err("the archive holds more than one file".into());
    }
    if entry.flags().is_encrypted() {
        return Err("the archive is encrypted".into());
    }
    let (packed, size) = (entry.compressed_size_hint(), entry.uncompressed_size_hint());
    if size > size_max {
        return Err(format!("{member} claims {size} bytes: more than {size_max}"));
    }
    if size > SIZE_FREE.saturating_add(packed.saturating_mul(RATIO_MAX)) {
        return Err(format!(
            "{member} claims {size} bytes out of {packed}: more than {RATIO_MAX} times as many"
        ));
    }
    let data = archive.get_entry(entry.wayfinder()).map_err(broken)?;
    let content = match entry.compression_method() {
        CompressionMethod::STORE => data.data().to_vec(),
        CompressionMethod::DEFLATE => inflate(data.data(), size)?,
        other => return Err(format!("{member} is compressed by a method not used before: {other:?}")),
    };
    if content.len() as u64 != size {
        return Err(format!("{member} has {} bytes instead of {size}", content.len()));
    }
    let (found, expected) = (crc32(&content), entry.crc32());
    if found != expected {
        return Err(format!("{member} has CRC {found:08x} instead of {expected:08x}"));
    }
    Ok(content)
}

fn inflate(packed: &[u8], size: u64) -> Result<Vec<u8>, String> {
    let mut content = vec![0; usize::try_from(size).map_err(|e| e.to_string())?];
    let written = Decompressor::new()
        .deflate_decompress(packed, &mut content)
        .map_err(|e| format!("the archive cannot be decompressed: {e}"))?;
    content.truncate(written);
    Ok(content)
}
