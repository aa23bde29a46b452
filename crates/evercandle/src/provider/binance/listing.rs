//! What the archive's bucket says it holds: a page of keys in S3's XML.
//!
//! The same question put to the archive's own host is answered with a web page and 200, so the document's root is
//! pinned: what is not a listing is a fault, never an empty listing. An empty one says as little as a typo does.

use crate::model::range::Timestamp;

const ROOT: &str = "<ListBucketResult";

/// The keys of a page, in the bucket's order; otherwise what the text is instead.
pub(super) fn keys(xml: &str) -> Result<Vec<String>, String> {
    let mut body = xml.trim_start_matches('\u{feff}').trim_start();
    if body.starts_with("<?xml") {
        body = body.split_once("?>").map_or("", |(_, rest)| rest).trim_start();
    }
    let after = body.strip_prefix(ROOT).ok_or("not a bucket listing")?;
    if !after.starts_with(['>', ' ', '\n', '\r', '\t', '/']) {
        return Err("not a bucket listing".into());
    }
    let whole = body.trim_end();
    if !whole.ends_with("</ListBucketResult>") && !whole.ends_with("/>") {
        return Err("a bucket listing that breaks off".into());
    }
    let mut keys = Vec::new();
    let mut rest = after;
    while let Some((_, from)) = rest.split_once("<Key>") {
        let (key, after) = from.split_once("</Key>").ok_or("a bucket listing that breaks off")?;
        if key.contains('<') {
            return Err(format!("a bucket listing with an odd key: {key:?}"));
        }
        keys.push(unescape(key));
        rest = after;
    }
    Ok(keys)
}

/// The five entities of XML; names of archives hold no other.
fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

/// The first instant of the day or month an archive is named after. Months are not always padded with a zero.
pub(super) fn period_start(key: &str, prefix: &str) -> Option<Timestamp> {
    let date = key.strip_prefix(prefix)?.strip_suffix(".zip")?;
    let mut parts = date.split('-');
    let year: i16 = parts.next()?.parse().ok()?;
    let month: i8 = parts.next()?.parse().ok()?;
    let day: i8 = parts.next().map_or(Some(1), |d| d.parse().ok())?;
    parts.next().is_none().then(|| Timestamp::from_date(year, month, day))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-";

    #[test]
    fn keys_come_out_of_a_listing_and_out_of_nothing_else() {
        let page = |inner: &str| {
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                 <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>x</Name>{inner}</ListBucketResult>"
            )
        };
        let two =
            page("<Contents><Key>a/b&amp;c.zip</Key><Size>1</Size></Contents><Contents><Key>币.zip</Key></Contents>");
        assert_eq!(keys(&two).unwrap(), ["a/b&c.zip", "币.zip"]);
        assert_eq!(keys(&page("")).unwrap(), Vec::<String>::new());
        assert_eq!(keys("<ListBucketResult xmlns=\"x\"/>").unwrap(), Vec::<String>::new());
        for wrong in [
            "",
            "{}",
            "<!DOCTYPE html><html><body>Binance Data Collection</body></html>",
            "<html><ListBucketResult></ListBucketResult></html>",
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
            "<ListBucketResults></ListBucketResults>",
            "<ListBucketResult><Contents><Key>a</Key>",
            "<ListBucketResult><Contents><Key>a</ListBucketResult>",
            "<ListBucketResult><Contents><Key><b></Key></ListBucketResult>",
        ] {
            assert!(keys(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_archive_s_name_says_when_its_period_begins() {
        let start = |date: &str| period_start(&format!("{PREFIX}{date}"), PREFIX).map(|t| t.to_string());
        assert_eq!(start("2017-08-17.zip").as_deref(), Some("2017-08-17T00:00:00Z"));
        assert_eq!(start("2020-08.zip").as_deref(), Some("2020-08-01T00:00:00Z"));
        assert_eq!(start("2020-8.zip").as_deref(), Some("2020-08-01T00:00:00Z"));
        for other in [
            "2020-08-01.zip.CHECKSUM",
            "2020-13.zip",
            "2020.zip",
            "2020-08-01-02.zip",
            ".zip",
        ] {
            assert_eq!(start(other), None, "{other}");
        }
        assert_eq!(period_start("data/other.zip", PREFIX), None);
    }
}
