//! `cache`: what is held, whether it is sound, and making room.

use std::io::Write;
use std::path::Path;

use evercandle::config::CacheConfig;
use evercandle::store::{Eviction, SeriesSummary, Store, StoreError};
use evercandle::{Clock, Series};
use serde_json::json;

use crate::args::{Cache, CacheAction, Evict, Global, ListFormat};
use crate::exit::{Exit, Failure};
use crate::output::list::{Column, List, left, right};
use crate::screen::{Ink, Screen};
use crate::{range, session, text};

const COLUMNS: [Column; 9] = [
    left("market").spare(),
    left("symbol"),
    left("interval"),
    right("klines").spare(),
    left("first"),
    left("until"),
    right("parts").spare(),
    right("files").spare(),
    right("bytes"),
];

pub(crate) fn run(args: &Cache, global: &Global, screen: &Screen) -> Result<Exit, Failure> {
    let config = session::config(global)?;
    let dir = config.cache_dir()?;
    match &args.action {
        CacheAction::Path => {
            writeln!(std::io::stdout(), "{}", dir.display())?;
            Ok(Exit::Complete)
        }
        CacheAction::Ls { filter, format } => ls(&open(&dir, &config.cache)?, filter.as_deref(), *format, screen),
        CacheAction::Stats => stats(&open(&dir, &config.cache)?),
        CacheAction::Verify => verify(&open(&dir, &config.cache)?, screen),
        CacheAction::Evict(evict) => remove(&open(&dir, &config.cache)?, evict, screen),
    }
}

fn open(dir: &Path, config: &CacheConfig) -> Result<Store, Failure> {
    Ok(Store::open(dir.to_owned(), config, Clock::system()).map_err(cache)?)
}

fn cache(error: StoreError) -> evercandle::Error {
    evercandle::Error::Cache(error.to_string())
}

fn ls(store: &Store, filter: Option<&str>, format: Option<ListFormat>, screen: &Screen) -> Result<Exit, Failure> {
    let filter = filter.unwrap_or_default().to_lowercase();
    let mut all = store.list().map_err(cache)?;
    all.retain(|s| s.series.to_string().to_lowercase().contains(&filter));
    all.sort_by(|a, b| a.series.cmp(&b.series));
    let bytes: u64 = all.iter().map(|s| s.bytes).sum();
    let rows: usize = all.iter().map(|s| s.rows).sum();
    let ends = |s: &SeriesSummary| s.span().map(|span| (span.start(), span.end()));
    let list = List {
        columns: &COLUMNS,
        shown: all
            .iter()
            .map(|s| {
                vec![
                    s.series.market().to_string(),
                    s.series.symbol().to_string(),
                    s.series.label().to_owned(),
                    text::thousands(s.rows as u64),
                    ends(s).map(|e| text::instant(e.0)).unwrap_or_default(),
                    ends(s).map(|e| text::instant(e.1)).unwrap_or_default(),
                    s.covered.len().to_string(),
                    s.files.to_string(),
                    text::bytes(s.bytes),
                ]
            })
            .collect(),
        values: all
            .iter()
            .map(|s| {
                vec![
                    json!(s.series.market().as_str()),
                    json!(s.series.symbol().as_str()),
                    json!(s.series.label()),
                    json!(s.rows),
                    json!(ends(s).map(|e| e.0.to_string())),
                    json!(ends(s).map(|e| e.1.to_string())),
                    json!(s.covered.len()),
                    json!(s.files),
                    json!(s.bytes),
                ]
            })
            .collect(),
        footer: Some(match all.len() {
            0 => format!("nothing is held in {}", store.dir().display()),
            n => format!(
                "{n} series, {}, {}",
                text::count(rows as u64, "kline"),
                text::bytes(bytes)
            ),
        }),
    };
    list.print(format, screen)?;
    Ok(Exit::Complete)
}

fn stats(store: &Store) -> Result<Exit, Failure> {
    let stats = store.stats().map_err(cache)?;
    let mut out = std::io::stdout().lock();
    let limit = stats.size_max.map_or("none".to_owned(), text::bytes);
    writeln!(out, "folder       {}", stats.dir.display())?;
    writeln!(out, "series       {}", text::thousands(stats.series as u64))?;
    writeln!(out, "files        {}", text::thousands(stats.files as u64))?;
    writeln!(out, "size         {} ({} bytes)", text::bytes(stats.bytes), stats.bytes)?;
    writeln!(out, "size limit   {limit}")?;
    writeln!(
        out,
        "quarantined  {}, {}",
        text::count(stats.quarantined_files as u64, "file"),
        text::bytes(stats.quarantined_bytes)
    )?;
    writeln!(
        out,
        "writable     {}",
        stats.readonly.map_or("yes".to_owned(), |why| format!("no: {why}"))
    )?;
    out.flush()?;
    Ok(Exit::Complete)
}

fn verify(store: &Store, screen: &Screen) -> Result<Exit, Failure> {
    let bar = indicatif::ProgressBar::hidden();
    if screen.stderr_is_terminal && !screen.quiet {
        bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        let style = "{bar:32.green/black} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
        bar.set_style(
            indicatif::ProgressStyle::with_template(style).unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()),
        );
    }
    let report = store
        .verify(&mut |progress| {
            bar.set_length(progress.bytes_total);
            bar.set_position(progress.bytes);
        })
        .map_err(cache)?;
    bar.finish_and_clear();
    let mut out = std::io::stdout().lock();
    for damage in &report.damaged {
        writeln!(out, "damaged  {}: {}", damage.file.display(), damage.why)?;
    }
    for skipped in &report.skipped {
        writeln!(out, "skipped  {}: {}", skipped.file.display(), skipped.why)?;
    }
    writeln!(
        out,
        "{} sound ({}), {} damaged, {} skipped{}",
        text::count(report.sound as u64, "file"),
        text::bytes(report.bytes),
        report.damaged.len(),
        report.skipped.len(),
        match report.drafts_removed {
            0 => String::new(),
            n => format!(", {} removed", text::count(n as u64, "unfinished file")),
        }
    )?;
    out.flush()?;
    if report.damaged.is_empty() {
        return Ok(Exit::Complete);
    }
    Err(Failure::new(
        Exit::Cache,
        format!(
            "{} damaged and set aside",
            text::count(report.damaged.len() as u64, "file")
        ),
    )
    .hint("they are fetched again when next wanted; if this happens twice, suspect the disk"))
}

fn remove(store: &Store, args: &Evict, screen: &Screen) -> Result<Exit, Failure> {
    let what = match (args.to, args.all, args.series.as_slice()) {
        (Some(bytes), ..) => Eviction::ToSize(bytes),
        (None, true, _) => Eviction::All,
        (None, false, [symbol, what]) if super::funding::is_meant(what) => {
            Eviction::Series(super::funding::series(symbol, args.market)?)
        }
        (None, false, [symbol, interval]) => {
            let interval = range::interval(interval).map_err(Failure::bad_input)?;
            Eviction::Series(Series::parse(symbol, interval, args.market).map_err(evercandle::Error::from)?)
        }
        _ => return Err(Failure::bad_input("say what: SYMBOL INTERVAL, --to BYTES or --all")),
    };
    let evicted = store.evict(what).map_err(cache)?;
    let held: u64 = match args.to {
        Some(_) => store.list().map_err(cache)?.iter().map(|s| s.bytes).sum(),
        None => 0,
    };
    let said = format!(
        "removed {}, {}",
        text::count(evicted.files as u64, "file"),
        text::bytes(evicted.bytes)
    );
    screen.say(&screen.ink(Ink::Good, &said));
    if args.to.is_some_and(|to| held > to) {
        screen.say(&format!(
            "{} are still held: files written or read in the last minute are spared; try again in a minute",
            text::bytes(held)
        ));
    }
    Ok(Exit::Complete)
}
