//! Listing the bucket, both protocols, a thousand keys a page.
//!
//! The tree is walked lazily in key order and everything up to the marker is skipped folder by folder,
//! because the whole bucket has tens of millions of keys and nobody asks for more than a page.
//! Sizes and ETags of files that were never built are plausible, not true: a listing is a hint.

use std::collections::BTreeSet;

use super::archive_key::{ArchiveKey, Content, FUNDING, Period, market_folder};
use super::{Archive, BinanceVision};
use crate::market::{Ending, ExchangeMarket, Interval, Series, SymbolSpec};
use crate::message::{Request, Response};
use crate::time::{DAY, day_of, instant_of, iso, month_next};
use crate::upstream::World;

/// Keys per page, which S3 does not let anybody raise.
const KEYS_MAX: usize = 1000;
const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Something on a page.
enum Entry {
    File { key: String, modified: i64, size: usize },
    Folder(String),
}

impl Entry {
    fn name(&self) -> &str {
        match self {
            Entry::File { key, .. } => key,
            Entry::Folder(prefix) => prefix,
        }
    }
}

/// What was asked.
struct Question {
    prefix: String,
    after: String,
    by_folder: bool,
    version_two: bool,
    keys_max: usize,
}

pub(super) fn answer(vision: &BinanceVision, world: &World, request: &Request, now: i64) -> Response {
    if request.decoded_path().trim_matches('/') != "data.binance.vision" {
        return Response::new(404, "application/xml", "<Error><Code>NoSuchBucket</Code></Error>");
    }
    let question = read(request);
    let mut page = Page {
        question,
        entries: Vec::new(),
        folders: BTreeSet::new(),
        truncated: false,
    };
    walk(vision, world, now, &mut page);
    Response::new(200, "application/xml", page.xml()).with("Server", "AmazonS3")
}

/// What a browser gets at the archive's own host: 200 and HTML, whatever the query.
pub(super) fn browser_page() -> Response {
    let page = "<!DOCTYPE html>\n<html>\n<head><title>Binance Data Collection</title></head>\n\
                <body><div id=\"listing\"></div><script src=\"list.js\"></script></body>\n</html>\n";
    Response::new(200, "text/html", page)
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn read(request: &Request) -> Question {
    let mut question = Question {
        prefix: String::new(),
        after: String::new(),
        by_folder: false,
        version_two: false,
        keys_max: KEYS_MAX,
    };
    for (name, value) in request.query_pairs() {
        match name.as_str() {
            "prefix" => question.prefix = value,
            "delimiter" => question.by_folder = value == "/",
            "marker" | "start-after" | "continuation-token" => question.after = value,
            "list-type" => question.version_two = value == "2",
            "max-keys" => question.keys_max = value.parse().unwrap_or(KEYS_MAX).min(KEYS_MAX),
            _ => {}
        }
    }
    question
}

/// One page being filled in key order.
struct Page {
    question: Question,
    entries: Vec<Entry>,
    folders: BTreeSet<String>,
    truncated: bool,
}

impl Page {
    /// Whether anything under a folder can be on this page; if it can only be as a folder, puts it there.
    fn enters(&mut self, folder: &str) -> bool {
        let prefix = &self.question.prefix;
        if self.truncated || !(folder.starts_with(prefix.as_str()) || prefix.starts_with(folder)) {
            return false;
        }
        // Everything in a folder sorts between `folder` and `folder` with its slash replaced by the next character.
        let past_all = folder < self.question.after.as_str() && !self.question.after.starts_with(folder);
        if past_all {
            return false;
        }
        let is_below = folder.len() > prefix.len();
        if self.question.by_folder && is_below {
            let first = folder[prefix.len()..]
                .find('/')
                .map_or(folder.len(), |slash| prefix.len() + slash + 1);
            let common = folder[..first].to_owned();
            if common.as_str() > self.question.after.as_str() && self.folders.insert(common.clone()) {
                self.push(Entry::Folder(common));
            }
            return false;
        }
        true
    }

    fn offer(&mut self, key: String, modified: i64, size: usize) {
        if key.starts_with(&self.question.prefix) && key > self.question.after {
            self.push(Entry::File { key, modified, size });
        }
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() < self.question.keys_max {
            self.entries.push(entry);
        } else {
            self.truncated = true;
        }
    }

    fn xml(&self) -> String {
        let question = &self.question;
        let mut xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"{XMLNS}\">");
        let mut element = |name: &str, text: &str| xml.push_str(&format!("<{name}>{}</{name}>", escape(text)));
        element("Name", "data.binance.vision");
        element("Prefix", &question.prefix);
        let last = self.entries.last().map_or("", Entry::name);
        if question.version_two {
            element("KeyCount", &self.entries.len().to_string());
            if self.truncated {
                element("NextContinuationToken", last);
            }
        } else {
            element("Marker", &question.after);
            // Version one names the next marker only when a delimiter was given.
            if self.truncated && question.by_folder {
                element("NextMarker", last);
            }
        }
        element("MaxKeys", &question.keys_max.to_string());
        if question.by_folder {
            element("Delimiter", "/");
        }
        element("IsTruncated", if self.truncated { "true" } else { "false" });
        for entry in &self.entries {
            if let Entry::File { key, modified, size } = entry {
                let etag = Archive::new(key.clone(), 0).etag.replace('"', "&quot;");
                xml.push_str(&format!(
                    "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{etag}</ETag>\
                     <Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                    escape(key),
                    iso(*modified)
                ));
            }
        }
        for entry in &self.entries {
            if let Entry::Folder(prefix) = entry {
                xml.push_str(&format!(
                    "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                    escape(prefix)
                ));
            }
        }
        xml.push_str("</ListBucketResult>");
        xml
    }
}

/// Visits every archive in key order, as far as the page wants.
fn walk(vision: &BinanceVision, world: &World, now: i64, page: &mut Page) {
    for market in [ExchangeMarket::CoinM, ExchangeMarket::UsdM, ExchangeMarket::Spot] {
        for tree in ["daily", "monthly"] {
            if tree == "monthly" {
                walk_funding(vision, world, now, market, page);
            }
            let folder = format!("data/{}/{tree}/klines/", market_folder(market));
            if !page.enters(&folder) {
                continue;
            }
            let mut symbols = world.market.symbols(market);
            symbols.sort_by(|left, right| left.name.cmp(&right.name));
            for spec in &symbols {
                let folder = format!("{folder}{}/", spec.name);
                if page.enters(&folder) {
                    walk_symbol(vision, world, now, spec, tree, &folder, page);
                }
            }
        }
    }
}

/// The months of every contract's funding rates; their folder sorts before that of klines.
fn walk_funding(vision: &BinanceVision, world: &World, now: i64, market: ExchangeMarket, page: &mut Page) {
    let folder = format!("data/{}/monthly/{FUNDING}/", market_folder(market));
    if market == ExchangeMarket::Spot || !page.enters(&folder) {
        return;
    }
    let mut symbols = world.market.symbols(market);
    symbols.sort_by(|left, right| left.name.cmp(&right.name));
    for spec in &symbols {
        let ended = world.market.ended(market, &spec.name).unwrap_or(i64::MAX);
        if matches!(spec.ending, Ending::Delivery(_)) || !page.enters(&format!("{folder}{}/", spec.name)) {
            continue;
        }
        let mut at = instant_of(day_of(spec.listed).first_of_month());
        while at < ended.min(now) && !page.truncated {
            if let Some(key) = ArchiveKey::of_funding_rates(market, &spec.name, at)
                && let Some(modified) = vision.published(world, &key, now, 0)
            {
                let name = key.key();
                let size = vision.ready.get(&name).map_or(1_000, |archive| archive.zip.len());
                page.offer(name.clone(), modified, size);
                page.offer(format!("{name}.CHECKSUM"), modified, 91);
            }
            at = month_next(at);
        }
    }
}

fn walk_symbol(
    vision: &BinanceVision,
    world: &World,
    now: i64,
    spec: &SymbolSpec,
    tree: &str,
    folder: &str,
    page: &mut Page,
) {
    let mut intervals: Vec<Interval> = Interval::ALL
        .into_iter()
        .filter(|interval| published_as(spec, *interval, tree))
        .collect();
    intervals.sort_by_key(|interval| interval.vision_name());
    for interval in intervals {
        let folder = format!("{folder}{}/", interval.vision_name());
        if !page.enters(&folder) {
            continue;
        }
        let ended = world.market.ended(spec.market, &spec.name).unwrap_or(i64::MAX);
        let mut at = instant_of(day_of(spec.listed));
        if tree == "monthly" {
            at = instant_of(day_of(spec.listed).first_of_month());
        }
        while at < ended.min(now) && !page.truncated {
            let (period, next) = if tree == "daily" {
                (Period::Day(at), at + DAY)
            } else {
                (Period::Month(at), month_next(at))
            };
            let key = ArchiveKey {
                content: Content::Klines,
                series: Series::new(spec.market, spec.name.clone(), interval),
                period,
            };
            if let Some(modified) = vision.published(world, &key, now, 0) {
                let name = key.key();
                let size = vision.ready.get(&name).map_or(60_000, |archive| archive.zip.len());
                page.offer(name.clone(), modified, size);
                page.offer(format!("{name}.CHECKSUM"), modified, 91);
            }
            at = next;
        }
    }
}

fn published_as(spec: &SymbolSpec, interval: Interval, tree: &str) -> bool {
    let known = interval != Interval::S1 || spec.market == ExchangeMarket::Spot;
    known && (tree == "monthly" || interval.has_daily_archives())
}
