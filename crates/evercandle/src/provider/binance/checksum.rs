//! The sidecar of an archive: `<64 hex digits><2 spaces><file name>`, with or without a newline.

/// The published SHA-256, if `text` is a sidecar of `file_name` and nothing else; otherwise what it is instead.
pub(super) fn parse(text: &[u8], file_name: &str) -> Result<[u8; 32], String> {
    let shown = || {
        let head = &text[..text.len().min(100)];
        String::from_utf8_lossy(head).escape_debug().to_string()
    };
    let shape = || format!("not a checksum: {}", shown());
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (digits, rest) = line.split_at_checked(64).ok_or_else(shape)?;
    if digits.iter().any(u8::is_ascii_uppercase) {
        return Err(shape());
    }
    let mut sha256 = [0; 32];
    hex::decode_to_slice(digits, &mut sha256).map_err(|_| shape())?;
    let name = rest.strip_prefix(b"  ").ok_or_else(shape)?;
    if name != file_name.as_bytes() {
        return Err(format!("the checksum of another file: {}", shown()));
    }
    Ok(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "BTCUSDT-1m-2020-01-01.zip";

    #[test]
    fn a_sidecar_is_one_line_of_digest_and_name() {
        let digest = "0123456789abcdef".repeat(4);
        for end in ["", "\n", "\r\n"] {
            let parsed = parse(format!("{digest}  {NAME}{end}").as_bytes(), NAME).unwrap();
            assert_eq!(hex::encode(parsed), digest);
        }
        for wrong in [
            String::new(),
            digest.clone(),
            format!("{digest} {NAME}"),
            format!("{digest} *{NAME}"),
            format!("{digest}   {NAME}"),
            format!("{}  {NAME}", digest.to_uppercase()),
            format!("{}  {NAME}", &digest[1..]),
            format!("g{}  {NAME}", &digest[1..]),
            format!("{digest}  {NAME}\n\n"),
            format!("{digest}  {NAME} "),
            "<html>not found</html>".repeat(10),
        ] {
            assert!(parse(wrong.as_bytes(), NAME).is_err(), "{wrong:?}");
        }
        let other = parse(format!("{digest}  BTCUSDT-1m-2020-01-02.zip").as_bytes(), NAME).unwrap_err();
        assert!(
            other.contains("another file") && other.contains("2020-01-02"),
            "{other}"
        );
    }
}
