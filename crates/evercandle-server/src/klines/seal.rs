//! Which answers may be kept, and the tag they are asked about by.
//!
//! "Sealed" is meant conservatively, because a cache that keeps one does not ask for a day: every slot is held here, from
//! an archive whose published checksum matched, or is a gap that nothing can fill; and the newest slot closed days ago.
//! Not for ever, though: the exchange restates archives now and then, even years later, and with the checksum the tag
//! changes. What came from REST may still be replaced by the archive's rows, and what is fetched for this very answer
//! says `upstream` where the next one says `cache`; neither is sealed.
//!
//! The tag is a digest of where the klines came from, not of the klines: the archives' checksums vouch for those. It is a
//! weak one, because compression makes other bytes of the same answer.

use evercandle::model::range::DAY;
use evercandle::{Timestamp, Verification, Via};
use evercandle_formats::{Dialect, Story, Style, json};
use sha2::{Digest, Sha256};

/// Later than this after its end, a range whose archives are held rarely changes: most corrections come within a day.
const SETTLED_AFTER: i64 = 2 * DAY;

/// How long a sealed answer is kept before it is asked about again; `shared`: by anybody, rather than by the caller alone.
pub(crate) fn policy(shared: bool) -> &'static str {
    match shared {
        true => "public, max-age=86400",
        false => "private, max-age=86400",
    }
}

/// The entity tag of an answer that is sealed; `form`: what else decides its bytes.
pub(crate) fn tag(story: &Story, style: &Style, form: &str, now: Timestamp) -> Option<String> {
    let held = story.segments.iter().all(|segment| {
        segment.via == Via::Cache && matches!(segment.origin.verification, Verification::Checksum { .. })
    });
    let settled = story.range.end().plus(SETTLED_AFTER) <= now;
    let sealed = held
        && settled
        && !story.segments.is_empty()
        && story.is_complete()
        && story.notices.is_empty()
        && !story.grid.is_provisional();
    sealed.then(|| {
        let mut digest = Sha256::new();
        digest.update(form.as_bytes());
        digest.update(format!("{style:?}\n{}\n{}\n", story.series, story.range).as_bytes());
        for segment in &story.segments {
            digest.update(json::segment(segment).to_string().as_bytes());
        }
        for gap in &story.gaps {
            digest.update(json::gap(gap, story.grid, Dialect::Wire).to_string().as_bytes());
        }
        format!("W/\"{}\"", hex::encode(&digest.finalize()[..16]))
    })
}

/// Whether a caller who sent `If-None-Match` has what has this tag.
pub(crate) fn is_held(tag: &str, if_none_match: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    if_none_match
        .split(',')
        .any(|theirs| theirs.trim() == "*" || opaque(theirs) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        assert!(is_held("W/\"a\"", "\"b\", \"a\""));
        assert!(is_held("W/\"a\"", "W/\"a\""));
        assert!(is_held("W/\"a\"", "*"));
        assert!(!is_held("W/\"a\"", "\"b\""));
        assert!(!is_held("W/\"a\"", ""));
    }
}
