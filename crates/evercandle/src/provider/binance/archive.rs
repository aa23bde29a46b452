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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::CompressionMethod::{Deflated, Stored};
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(members: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, content) in members {
            let options = SimpleFileOptions::default().compression_method(method);
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn why(zip: &[u8]) -> String {
        unpack(zip, "a.csv", 1 << 20).unwrap_err()
    }

    #[test]
    fn the_one_expected_file_comes_out() {
        let content = b"1,2,3\n".repeat(1_000);
        for method in [Deflated, Stored] {
            let zip = archive(&[("a.csv", &content)], method);
            assert_eq!(unpack(&zip, "a.csv", 1 << 20).unwrap(), content);
        }
        assert_eq!(unpack(&archive(&[("a.csv", b"")], Stored), "a.csv", 10).unwrap(), b"");
    }

    #[test]
    fn anything_else_is_refused_and_named() {
        for name in ["b.csv", "/a.csv", "../a.csv", "x/a.csv", "A.CSV", "a.csv/"] {
            let refused = why(&archive(&[(name, b"1")], Deflated));
            assert!(refused.contains("instead of a.csv"), "{name}: {refused}");
        }
        let two = archive(&[("a.csv", b"1"), ("b.csv", b"2")], Deflated);
        assert!(why(&two).contains("more than one file"));
        assert!(why(&archive(&[], Deflated)).contains("the archive is empty"));
        assert!(why(b"<!DOCTYPE html><html>").contains("begins with \"<!DOCTYPE html>"));
        assert!(why(b"").contains("not a zip"));
        assert!(why(b"PK").contains("not a readable zip"));
    }

    #[test]
    fn claims_are_bounded_before_they_are_believed() {
        let bomb = archive(&[("a.csv", &vec![b'0'; 1 << 20])], Deflated);
        assert!(why(&bomb).contains("more than 64 times as many"), "{}", why(&bomb));
        let large = archive(&[("a.csv", b"123456")], Stored);
        assert!(
            unpack(&large, "a.csv", 5)
                .unwrap_err()
                .contains("claims 6 bytes: more than 5")
        );
    }

    #[test]
    fn lies_of_the_directory_are_found_out() {
        let zip = archive(&[("a.csv", &b"1,2\n".repeat(50))], Deflated);
        let directory = zip.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        let changed = |at: usize, bytes: &[u8]| {
            let mut changed = zip.clone();
            changed[directory + at..directory + at + bytes.len()].copy_from_slice(bytes);
            why(&changed)
        };
        assert!(changed(8, &[1, 0]).contains("encrypted"));
        assert!(changed(10, &[12, 0]).contains("method not used before"));
        assert!(changed(16, &[0; 4]).contains("CRC"));
        // More compressed bytes than the file has, or a size that only a further header could explain.
        assert!(changed(20, &[0, 0, 0, 127]).contains("not a readable zip"));
        assert!(!changed(20, &[255; 8]).is_empty());
        assert!(changed(24, &[201, 0, 0, 0]).contains("200 bytes instead of 201"));
        assert!(changed(24, &[199, 0, 0, 0]).contains("cannot be decompressed"));
    }

    #[test]
    fn damage_is_noticed_whichever_byte_it_hits() {
        let content = b"1704067200000,42283.58000000,42298.62000000\n".repeat(20);
        let zip = archive(&[("a.csv", &content)], Deflated);
        let mut noticed = 0;
        for at in 0..zip.len() {
            for flip in [0x01, 0x80] {
                let mut damaged = zip.clone();
                damaged[at] ^= flip;
                // Bytes that say nothing about the content (times, attributes) may change; the content may not.
                match unpack(&damaged, "a.csv", 1 << 20) {
                    Ok(found) => assert_eq!(found, content, "byte {at}"),
                    Err(_) => noticed += 1,
                }
            }
        }
        assert!(noticed > zip.len() / 2);
        for end in 0..zip.len() {
            assert!(unpack(&zip[..end], "a.csv", 1 << 20).is_err(), "cut at {end}");
        }
    }
}
