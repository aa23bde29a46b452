//! What may be kept, for how long, and how it is asked for again.

use crate::support::World;

/// A month of minutes: what comes from an archive, with a checksum.
const MONTH: &str = "/v1/klines?symbol=BTCUSDT&interval=1m&start=2024-03-01&end=2024-04-01&format=csv";

#[tokio::test]
async fn a_sealed_range_has_a_tag_and_is_not_sent_twice() {
    let world = World::new().await;
    let fetched = world.get(MONTH).await;
    assert_eq!((fetched.status, fetched.header("cache-control")), (200, "no-cache"));
    assert_eq!(
        (fetched.header("etag"), fetched.header("cache-status")),
        ("", "evercandle; fwd=miss")
    );
    assert_eq!(fetched.text().lines().count(), 1 + 31 * 1_440);

    let held = world.get(MONTH).await;
    let tag = held.header("etag");
    assert!(tag.starts_with("W/\"") && 20 < tag.len(), "{tag:?}");
    assert_eq!(held.header("cache-control"), "public, max-age=86400");
    assert_eq!(held.body, fetched.body);

    let same = world.ask("GET", MONTH, &[("If-None-Match", tag)]).await;
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, tag));
    assert_eq!(same.header("cache-status"), "evercandle; hit");
    let other = world.ask("GET", MONTH, &[("If-None-Match", "W/\"0\"")]).await;
    assert_eq!((other.status, other.body == held.body), (200, true));

    let head = world.ask("HEAD", MONTH, &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in [
        "etag",
        "content-type",
        "cache-control",
        "evercandle-rows",
        "evercandle-segments",
    ] {
        assert_eq!(head.header(name), held.header(name), "{name}");
    }

    // Whatever else decides the bytes makes another tag.
    let tag_of = async |path: &str| world.ask("HEAD", path, &[]).await.header("etag").to_owned();
    let mut tags = vec![tag.to_owned()];
    for more in ["&time=ms", "&decimals=exact", "&columns=close", "&columns=open,close"] {
        tags.push(tag_of(&format!("{MONTH}{more}")).await);
    }
    tags.push(tag_of(&MONTH.replace("csv", "ndjson")).await);
    tags.push(tag_of(&MONTH.replace("04-01", "03-31")).await);
    let distinct: std::collections::BTreeSet<&String> = tags.iter().filter(|tag| !tag.is_empty()).collect();
    assert_eq!(distinct.len(), tags.len(), "{tags:?}");
}

#[tokio::test]
async fn what_may_still_change_has_no_tag() {
    let world = World::new().await;
    for path in [
        // Closed a moment ago.
        "/v1/klines?symbol=BTCUSDT&interval=1m&limit=5",
        // Long ago, but from REST: the archive's rows may replace it.
        "/v1/klines?symbol=BTCUSDT&interval=1h&start=2024-01-01&end=2024-01-02",
        // Nothing vouches for nothing.
        "/v1/klines?symbol=BTCUSDT&interval=1d&start=2016-01-01&end=2016-01-09",
    ] {
        for _ in 0..2 {
            let reply = world.get(path).await;
            assert_eq!(
                (reply.status, reply.header("etag"), reply.header("cache-control")),
                (200, "", "no-cache"),
                "{path}"
            );
        }
    }
}
