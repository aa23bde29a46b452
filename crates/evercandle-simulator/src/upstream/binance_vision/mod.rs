//! The archive: daily and monthly zips of klines, each with a sidecar that holds its hash.
//!
//! Files follow the conventions of their era (header or none, milliseconds or microseconds), appear with the usual delay,
//! and are absent, not empty, where nothing traded. The bucket behind them can be listed.

mod archive;
mod archive_key;
mod funding_sheet;
mod listing;
mod sheet;
mod zip_file;

use std::sync::Arc;

use super::World;
use crate::config::Publication;
use crate::fault::Effect;
use crate::message::{Request, Response};
use crate::time::{HOUR, http_date};

pub(crate) use archive::Archive;
use archive::Ready;
pub(crate) use archive_key::ArchiveKey;
use archive_key::Content;
use funding_sheet::FundingSheet;
use sheet::Sheet;
pub(crate) use zip_file::unpack_csv;
use zip_file::{Member, pack};

/// The archive with the files it has ready.
pub(crate) struct BinanceVision {
    publication: Publication,
    ready: Ready,
}

impl BinanceVision {
    pub(crate) fn new(publication: Publication) -> Self {
        Self {
            publication,
            ready: Ready::default(),
        }
    }

    /// Forgets every archive, because history has changed.
    pub(crate) fn forget(&self) {
        self.ready.clear();
    }

    /// Serves `data.binance.vision`.
    pub(crate) fn object(&self, world: &World, request: &Request, effects: &[Effect], now: i64) -> Response {
        let path = request.decoded_path();
        let key = path.trim_start_matches('/');
        if key.is_empty() {
            return listing::browser_page();
        }
        let (zip_key, is_sidecar) = match key.strip_suffix(".CHECKSUM") {
            Some(zip_key) => (zip_key, true),
            None => (key, false),
        };
        let Some(archive_key) = ArchiveKey::parse(zip_key) else {
            return no_such_key(key);
        };
        let Some(archive) = self.archive(world, &archive_key, effects, now) else {
            return no_such_key(key);
        };
        if !is_sidecar {
            let served = if effects.contains(&Effect::TornPair) {
                Arc::new(self.earlier(world, &archive_key, archive.modified))
            } else {
                archive
            };
            return file(
                request,
                &served.etag,
                served.modified,
                "application/zip",
                served.zip.clone(),
            );
        }
        let text = match effects {
            effects if effects.contains(&Effect::MissingChecksum) => return no_such_key(key),
            effects if effects.contains(&Effect::StaleChecksum) => self
                .earlier(world, &archive_key, archive.modified)
                .checksum(&archive_key.stem()),
            effects if effects.contains(&Effect::WrongChecksum) => {
                let reversed: String = archive.sha256.chars().rev().collect();
                format!("{reversed}  {}.zip", archive_key.stem())
            }
            _ => match world.replays(archive_key.series.market, &archive_key.series.symbol) {
                Some(replay) => replay
                    .checksum(&archive_key)
                    .map_or_else(|| archive.checksum(&archive_key.stem()), str::to_owned),
                None => archive.checksum(&archive_key.stem()),
            },
        };
        let etag = Archive::new(text.clone(), archive.modified).etag;
        file(request, &etag, archive.modified, "binary/octet-stream", text)
    }

    /// Serves the bucket.
    pub(crate) fn listing(&self, world: &World, request: &Request, now: i64) -> Response {
        listing::answer(self, world, request, now)
    }

    /// The instant an archive came out, if it is out and holds anything.
    fn published(&self, world: &World, key: &ArchiveKey, now: i64, extra_hours: i64) -> Option<i64> {
        let spec = world.market.symbol(key.series.market, &key.series.symbol)?;
        let grid = world.market.grid(&key.series)?;
        let at = key
            .published_at(&grid, &self.publication)
            .saturating_add(extra_hours.saturating_mul(HOUR));
        let ended = world.market.ended(key.series.market, &key.series.symbol)?;
        let traded = ended > key.period.start() && grid.floor(spec.listed) < key.period.end();
        (traded && at <= now).then_some(at)
    }

    fn archive(&self, world: &World, key: &ArchiveKey, effects: &[Effect], now: i64) -> Option<Arc<Archive>> {
        if effects.contains(&Effect::NotFound) {
            return None;
        }
        // Recordings are of klines.
        if key.content == Content::Klines
            && let Some(replay) = world.replays(key.series.market, &key.series.symbol)
        {
            return replay.archive(key);
        }
        let late = effects.iter().fold(0i64, |hours, effect| match effect {
            Effect::Delayed { hours: more } => hours.saturating_add(*more),
            _ => hours,
        });
        let modified = self.published(world, key, now, late)?;
        let spoiling: Vec<&Effect> = effects.iter().filter(|effect| effect.changes_archives()).collect();
        if !spoiling.is_empty() {
            return self.build(world, key, modified, &spoiling).map(Arc::new);
        }
        self.ready
            .get_or_build(key.key(), || self.build(world, key, modified, &[]))
    }

    fn build(&self, world: &World, key: &ArchiveKey, modified: i64, effects: &[&Effect]) -> Option<Archive> {
        let mut members = vec![Member {
            name: format!("{}.csv", key.stem()),
            content: table(world, key, effects)?,
        }];
        let mut modified = modified;
        for effect in effects {
            match effect {
                Effect::TwoMembers => {
                    members.push(Member {
                        name: "README.csv".to_owned(),
                        content: members[0].content.clone(),
                    });
                }
                Effect::EvilMemberName => members[0].name = "../../evil.csv".to_owned(),
                Effect::ZipBomb { mebibytes } => {
                    members[0].content = vec![b'0'; (*mebibytes).min(crate::fault::BOMB_MEBIBYTES_MAX) * 1024 * 1024]
                }
                Effect::Revised => modified += HOUR,
                _ => {}
            }
        }
        let mut zip = pack(&members, modified);
        if effects.contains(&&Effect::CorruptZip) {
            // From the middle of the deflate stream on, nothing makes sense, the directory included.
            let half = zip.len() / 2;
            zip[half..].iter_mut().for_each(|byte| *byte = !*byte);
        }
        let mut archive = Archive::new(zip, modified);
        if effects.contains(&&Effect::ChangedEtag) {
            archive.etag = format!("\"{}\"", archive.sha256[32..].to_owned());
        }
        Some(archive)
    }

    /// The version from before a re-publication: other volumes, an hour earlier.
    /// Building a revision dates it an hour later, hence the two.
    fn earlier(&self, world: &World, key: &ArchiveKey, modified: i64) -> Archive {
        self.build(world, key, modified - 2 * HOUR, &[&Effect::Revised])
            .unwrap_or_else(|| Archive::new("", modified))
    }
}

/// The text of a file; `None` where nothing happened.
fn table(world: &World, key: &ArchiveKey, effects: &[&Effect]) -> Option<Vec<u8>> {
    let (market, symbol, period) = (
        key.series.market,
        &key.series.symbol,
        key.period.start()..key.period.end(),
    );
    match key.content {
        Content::Klines => {
            let rows = world.market.klines(&key.series, period);
            let mut sheet = (!rows.is_empty()).then(|| Sheet::new(key, rows))?;
            effects.iter().for_each(|effect| sheet.spoil(key, effect));
            Some(sheet.csv())
        }
        Content::FundingRates => {
            let rows = world.market.funding_rates(market, symbol, period);
            let mut sheet = (!rows.is_empty()).then(|| FundingSheet::new(rows))?;
            effects.iter().for_each(|effect| sheet.spoil(key, effect));
            Some(sheet.csv())
        }
    }
}

/// Packs a CSV that was recorded unpacked.
pub(crate) fn pack_csv(stem: &str, csv: Vec<u8>, modified: i64) -> Vec<u8> {
    pack(
        &[Member {
            name: format!("{stem}.csv"),
            content: csv,
        }],
        modified,
    )
}

/// A file with validators, or 304 for those who have it.
fn file(request: &Request, etag: &str, modified: i64, content_type: &str, body: impl Into<bytes::Bytes>) -> Response {
    let known = request
        .header("if-none-match")
        .is_some_and(|tags| tags == "*" || tags.contains(etag))
        || (request.header("if-none-match").is_none()
            && request.header("if-modified-since") == Some(http_date(modified).as_str()));
    let response = if known {
        Response {
            status: 304,
            headers: Vec::new(),
            body: bytes::Bytes::new(),
        }
    } else {
        Response::new(200, content_type, body).with("Accept-Ranges", "bytes")
    };
    response
        .with("ETag", etag)
        .with("Last-Modified", http_date(modified))
        .with("Server", "AmazonS3")
}

fn no_such_key(key: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code>\
         <Message>The specified key does not exist.</Message><Key>{}</Key></Error>",
        listing::escape(key)
    );
    Response::new(404, "application/xml", body).with("Server", "AmazonS3")
}
