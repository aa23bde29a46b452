//! Real answers of the real exchange through the real parsing code.
//!
//! The recordings are not part of the repository. They are looked for in `EVERCANDLE_RECORDED`, by default
//! `../shared/recorded` beside the workspace; where there are none, these tests say so and pass.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evercandle::config::{HttpConfig, ProviderConfig};
use evercandle::model::batch::DECIMAL_COLUMNS;
use evercandle::model::range::DAY;
use evercandle::provider::binance::{self, rest, vision};
use evercandle::provider::http::Http;
use evercandle::provider::{FetchError, Verdict, alternative_me, coingecko};
use evercandle::{Batch, Grid, Interval, Market, Nature, OddityKind, Series, Symbol, TimeRange, Timestamp};

/// The folder of recordings, or a line that says that there is none.
#[allow(
    clippy::disallowed_methods,
    reason = "where recordings are is not the program's business"
)]
#[allow(clippy::print_stderr, reason = "a skipped test must not look like a passed one")]
fn recorded() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recorded");
    let folder = std::env::var_os("EVERCANDLE_RECORDED").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no recordings at {}", folder.display());
    None
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .filter(|p| p.to_string_lossy().ends_with(ending) && p.is_file())
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no {ending} in {}", folder.display());
    found
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// `BTCUSDT-1h-2022-09-07` or `BTCUSDT-1h-2025-02`: the series and the period.
fn described(stem: &str, market: Market) -> (Series, TimeRange) {
    let mut parts = stem.splitn(3, '-');
    let mut part = || parts.next().unwrap();
    let series = Series::parse(part(), part().parse().unwrap(), Some(market)).unwrap();
    let date: Vec<i16> = part().split('-').map(|n| n.parse().unwrap()).collect();
    let day = date.get(2).copied().unwrap_or(1);
    let start = Timestamp::from_date(date[0], date[1] as i8, day as i8).unwrap();
    let end = match date.len() {
        3 => start.plus(DAY),
        _ => Grid::new(Interval::Mo1, None).next(start),
    };
    (series, TimeRange::new(start, end).unwrap())
}

fn zipped(member: &str, content: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.start_file(member, options).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().into_inner()
}

fn unzipped(bytes: &[u8]) -> String {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    std::io::read_to_string(archive.by_index(0).unwrap()).unwrap()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

/// The rows of a file by open time in microseconds, as printed.
fn csv_rows(text: &str) -> BTreeMap<i64, Vec<String>> {
    let rows = text.lines().filter(|l| l.starts_with(|c: char| c.is_ascii_digit()));
    rows.map(|line| {
        let fields: Vec<String> = line.trim_end().split(',').map(str::to_owned).collect();
        (micros(&fields[0], &fields[0]), fields)
    })
    .collect()
}

fn json_rows(text: &str) -> BTreeMap<i64, Vec<String>> {
    let rows: Vec<Vec<serde_json::Value>> = serde_json::from_str(text).unwrap();
    let bare = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    rows.iter()
        .map(|row| {
            let fields: Vec<String> = row.iter().map(bare).collect();
            (micros(&fields[0], &fields[0]), fields)
        })
        .collect()
}

fn micros(time: &str, open_time: &str) -> i64 {
    let unit = if open_time.len() > 14 { 1 } else { 1_000 };
    time.parse::<i64>().unwrap() * unit
}

/// Every value of every row, printed back, is the text it came from.
fn assert_printed_back(batch: &Batch, rows: &BTreeMap<i64, Vec<String>>, what: &str) {
    assert_eq!(batch.len(), rows.len(), "{what}");
    for (row, (open_time, fields)) in rows.iter().enumerate() {
        assert_eq!(batch.open_times()[row], *open_time, "{what}");
        assert_eq!(batch.close_times()[row], micros(&fields[6], &fields[0]), "{what}");
        assert_eq!(batch.counts()[row].to_string(), fields[8], "{what}");
        for column in DECIMAL_COLUMNS {
            assert_eq!(
                batch.print(row, column).as_ref(),
                Some(&fields[column]),
                "{what} row {row}"
            );
        }
    }
}

/// Every archive and every bare CSV, decoded, with its source text.
fn archives(folder: &Path) -> Vec<(String, Batch, String)> {
    let mut all = Vec::new();
    for market in Market::ALL {
        let folder = folder.join("vision").join(market.as_str());
        for path in files(&folder, ".zip") {
            let (bytes, name) = (std::fs::read(&path).unwrap(), name(&path));
            let (series, range) = described(name.strip_suffix(".zip").unwrap(), market);
            let published = std::fs::read_to_string(folder.join(format!("{name}.CHECKSUM")));
            let digest = published.map_or_else(
                |_| sha256(&bytes),
                |line| <[u8; 32]>::try_from(hex::decode(&line[..64]).unwrap()).unwrap(),
            );
            let (batch, repairs) = vision::decode(&series, range, name, &bytes, &digest).unwrap();
            assert_eq!(repairs, Default::default(), "{name}");
            all.push((name.to_owned(), batch, unzipped(&bytes)));
        }
        if market == Market::Cm {
            continue;
        }
        for path in files(&folder, ".csv") {
            let (text, name) = (std::fs::read_to_string(&path).unwrap(), name(&path));
            let stem = name.strip_suffix(".csv").unwrap();
            let (series, range) = described(stem, market);
            let zip = zipped(name, text.as_bytes());
            let (batch, _) = vision::decode(&series, range, &format!("{stem}.zip"), &zip, &sha256(&zip)).unwrap();
            all.push((name.to_owned(), batch, text));
        }
    }
    all
}

/// Every page of REST klines, decoded, with its source text.
fn pages(folder: &Path) -> Vec<(String, Batch, String)> {
    let whenever = TimeRange::clamped(Timestamp::EPOCH, Timestamp::MAX);
    let decoded = files(&folder.join("rest-klines"), ".json").into_iter().map(|path| {
        let (text, name) = (std::fs::read_to_string(&path).unwrap(), name(&path).to_owned());
        let mut parts = name.split('_');
        let (symbol, interval) = (parts.next().unwrap(), parts.next().unwrap());
        let series = Series::parse(symbol, interval.parse().unwrap(), None).unwrap();
        let (batch, repairs) = rest::decode(&series, whenever, &text).unwrap();
        assert_eq!(repairs, Default::default(), "{name}");
        (name, batch, text)
    });
    decoded.collect()
}

#[test]
fn every_archive_verifies_and_prints_back_digit_for_digit() {
    let Some(folder) = recorded() else { return };
    let all = archives(&folder);
    let total: usize = all.iter().map(|(_, batch, _)| batch.len()).sum();
    assert!(total > 10_000, "{total} rows");
    for (name, batch, text) in &all {
        assert_printed_back(batch, &csv_rows(text), name);
    }
}

#[test]
fn fragments_of_archives_quoted_by_others_are_read_too() {
    let Some(folder) = recorded() else { return };
    for path in files(&folder.join("vision/quoted"), ".csv") {
        let text = std::fs::read_to_string(&path).unwrap();
        let (market, rest) = name(&path).split_once('-').unwrap();
        let stem = rest.split('.').next().unwrap();
        let (series, range) = described(stem, market.parse().unwrap());
        let zip = zipped(&format!("{stem}.csv"), text.as_bytes());
        let (batch, _) = vision::decode(&series, range, &format!("{stem}.zip"), &zip, &sha256(&zip)).unwrap();
        assert_printed_back(&batch, &csv_rows(&text), stem);
    }
}

#[test]
fn every_page_prints_back_digit_for_digit() {
    let Some(folder) = recorded() else { return };
    for (name, batch, text) in pages(&folder) {
        assert_printed_back(&batch, &json_rows(&text), &name);
    }
}

#[test]
fn archives_and_pages_agree_but_for_the_rows_known_to_have_been_restated() {
    let Some(folder) = recorded() else { return };
    let list = std::fs::read_to_string(folder.join("meta/vision-vs-rest-restatements.json")).unwrap();
    let list: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
    let mut restated: BTreeSet<(String, i64)> = BTreeSet::new();
    for row in &list {
        let of = |key: &str| row[key].as_str().unwrap().to_owned();
        let open_time = row["vision_row"][0].as_str().unwrap();
        restated.insert((
            format!("{}/{}", of("symbol"), of("interval")),
            micros(open_time, open_time),
        ));
    }
    let mut asked: BTreeMap<(String, i64), (usize, usize)> = BTreeMap::new();
    let pages = pages(&folder);
    let key = |batch: &Batch| format!("{}/{}", batch.series().symbol(), batch.series().interval());
    for (page, (_, batch, _)) in pages.iter().enumerate() {
        for (row, open_time) in batch.open_times().iter().enumerate() {
            asked.insert((key(batch), *open_time), (page, row));
        }
    }
    let (mut same, mut differing) = (0, 0);
    for (name, batch, _) in archives(&folder) {
        if batch.series().market() != Market::Spot {
            continue;
        }
        for (row, open_time) in batch.open_times().iter().enumerate() {
            let at = (key(&batch), *open_time);
            let Some(&(page, other)) = asked.get(&at) else { continue };
            let page = &pages[page].1;
            // Archives print microseconds since 2025, pages milliseconds; the instant is the same.
            let equal = batch.close_times()[row] / 1_000 == page.close_times()[other] / 1_000
                && batch.counts()[row] == page.counts()[other]
                && DECIMAL_COLUMNS
                    .iter()
                    .all(|c| batch.print(row, *c) == page.print(other, *c));
            assert_eq!(equal, !restated.contains(&at), "{name} row {row} ({open_time})");
            same += usize::from(equal);
            differing += usize::from(!equal);
        }
    }
    assert!(same > 2_000 && differing > 0, "{same} rows agree, {differing} do not");
}

#[test]
fn what_the_exchange_published_strangely_is_kept() {
    let Some(folder) = recorded() else { return };
    let (mut short, mut still) = (0, 0);
    for (_, batch, _) in pages(&folder).iter().chain(&archives(&folder)) {
        let grid = Grid::new(batch.series().interval(), None);
        let oddities = batch.oddities(grid);
        short += oddities
            .iter()
            .filter(|o| o.kind == OddityKind::UnusualCloseTime)
            .count();
        still += batch.floats(5).iter().filter(|volume| **volume == 0.0).count();
    }
    assert!(short >= 5, "{short} klines that closed early");
    assert!(still >= 5, "{still} klines without a trade");
}

#[test]
fn the_halts_we_know_explain_every_recorded_gap_of_the_reference_pair() {
    let Some(folder) = recorded() else { return };
    let http = Http::new(&HttpConfig::default(), None).unwrap();
    let provider = (binance::SPOT.build)(&ProviderConfig::default(), &http)
        .unwrap()
        .klines
        .unwrap();
    let mut gaps = 0;
    for (name, batch, _) in pages(&folder) {
        let (series, Some(span)) = (batch.series(), batch.span()) else {
            continue;
        };
        let grid = Grid::new(series.interval(), None);
        if series.symbol().as_str() != "BTCUSDT" || grid.is_provisional() {
            continue;
        }
        let held = batch.slots(grid);
        for slot in grid.slots(span).filter(|slot| !held.contains(*slot)) {
            let slot = grid.slot(slot);
            let explained = provider.known_halts(series).iter().any(|halt| halt.overlaps(slot));
            assert!(explained, "{name}: {slot}");
            gaps += 1;
        }
    }
    assert!(gaps > 10, "{gaps} missing klines");
}

#[test]
fn lists_of_instruments_of_all_markets_are_read() {
    let Some(folder) = recorded() else { return };
    let read = |file: &str| {
        let text = std::fs::read_to_string(folder.join("rest-misc").join(file)).unwrap();
        rest::decode_instruments(&text).unwrap()
    };
    let spot = read("cryptofeed-api.binance.com_api_v3_exchangeInfo.json");
    assert_eq!(spot.len(), 1_695);
    assert_eq!(spot.iter().filter(|i| i.status == "BREAK").count(), 433);
    let um = read("cryptofeed-fapi.binance.com_fapi_v1_exchangeInfo.json");
    assert_eq!(um.len(), 122);
    assert!(um.iter().any(|i| i.status == "PENDING_TRADING"));
    let cm = read("cryptofeed-dapi.binance.com_dapi_v1_exchangeInfo.json");
    let perpetual = cm.iter().find(|i| i.symbol == "BTCUSD_PERP").unwrap();
    assert_eq!((perpetual.status.as_str(), perpetual.base.as_str()), ("TRADING", "BTC"));
    assert_eq!(perpetual.listed_at.unwrap().to_string(), "2020-08-10T07:00:00Z");
    assert!(um.iter().chain(&cm).all(|i| i.listed_at.is_some()) && spot.iter().all(|i| i.listed_at.is_none()));
    for sample in files(&folder.join("rest-misc/docs-sample"), ".json") {
        if name(&sample).contains("exchange_info") {
            assert!(
                !rest::decode_instruments(&std::fs::read_to_string(&sample).unwrap())
                    .unwrap()
                    .is_empty()
            );
        }
    }
}

#[test]
fn recorded_refusals_lead_to_the_right_decision() {
    let Some(folder) = recorded() else { return };
    let refusal = |file: &str, now: i64| {
        let body = std::fs::read_to_string(folder.join("rest-misc/errors").join(file)).unwrap();
        let status = file.split('-').find_map(|part| part.parse().ok()).unwrap();
        rest::decode_error(status, &body, Timestamp::from_millis(now))
    };
    let wait = |error: FetchError| match error {
        FetchError::Throttled { retry_after, .. } => retry_after,
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        refusal("docs-400-minus1121.json", 0),
        FetchError::UnknownSymbol(_)
    ));
    let current = refusal("docs-418-minus1003-current.json", 1_659_146_400_000 - 90_000);
    assert_eq!(wait(current), Duration::from_secs(90));
    let older = refusal("issue-418-minus1003-2021.json", 1_618_228_675_371 - 7_000);
    assert_eq!(wait(older), Duration::from_secs(7));
    assert_eq!(wait(refusal("template-429-minus1003.json", 0)), Duration::from_secs(60));
    let restricted = refusal("issue-451-restricted.json", 0);
    assert_eq!(restricted.policy().verdict, Verdict::Throttled);
    assert!(wait(restricted) >= Duration::from_secs(3_600));
}

fn symbols(names: &[&str]) -> Vec<Symbol> {
    names.iter().map(|name| Symbol::new(name).unwrap()).collect()
}

#[test]
fn tickers_of_every_shape_are_read() {
    let Some(folder) = recorded() else { return };
    let folder = folder.join("rest-misc/docs-sample");
    let mut read = 0;
    for path in files(&folder, ".json").into_iter().chain(files(&folder, ".txt")) {
        let file = name(&path);
        if !["24h", "24hr"].iter().any(|word| file.contains(word)) {
            continue;
        }
        // The documents comment their samples.
        let text = std::fs::read_to_string(&path).unwrap();
        let body: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
        let asked = symbols(&["BNBBTC", "BTCUSDT", "NOSUCHUSDT"]);
        let quotes = rest::decode_tickers(&body.join("\n"), &asked).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(quotes.quotes.len(), 1, "{file}: {quotes:?}");
        let quote = &quotes.quotes[0];
        assert_eq!(quote.price.as_str(), "4.00000200", "{file}");
        assert_eq!(quote.as_of, Timestamp::from_millis(1_499_869_899_040), "{file}");
        assert_eq!(quotes.refused.len(), 2, "{file}");
        read += 1;
    }
    assert!(read >= 8, "{read} samples");
}

/// One recorded exchange with CoinGecko: what was asked, the status, the body.
fn coingecko_answers(folder: &Path) -> Vec<(String, u16, String)> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        (
            answer["request"]["uri"].as_str().unwrap().to_owned(),
            answer["status"]["code"].as_u64().unwrap() as u16,
            answer["body"].as_str().unwrap().to_owned(),
        )
    };
    files(&folder.join("coingecko/http"), ".json")
        .into_iter()
        .map(read)
        .collect()
}

#[test]
fn coingecko_s_samples_of_today_are_read() {
    let Some(folder) = recorded() else { return };
    let sample = |file: &str| std::fs::read_to_string(folder.join("coingecko/docs-sample").join(file)).unwrap();
    let simple = coingecko::decode_prices(Market::Spot, &symbols(&["BTCUSDT"]), &sample("simple_price.json")).unwrap();
    assert_eq!(simple.quotes[0].price.as_str(), "76975");
    assert_eq!(simple.quotes[0].as_of, Timestamp::from_millis(1_779_092_258_000));
    let both = symbols(&["BTCUSDT", "ETHUSDT"]);
    let markets = coingecko::decode_prices(Market::Spot, &both, &sample("coins_markets.json")).unwrap();
    assert_eq!((markets.quotes.len(), markets.quotes[0].price.as_str()), (1, "77671"));
    assert!(matches!(&markets.quotes[0].nature, Nature::Substitute(_)));
    assert_eq!(markets.quotes[0].day.unwrap().high, Some(78_419.0));
    assert_eq!(markets.refused[0].0, both[1]);
}

/// Goal: what CoinGecko leaves out of a good answer without a word is refused by name.
#[test]
fn what_coingecko_left_out_of_real_answers_is_noticed() {
    let Some(folder) = recorded() else { return };
    let answers = coingecko_answers(&folder);
    let body = |question: &str| {
        let found = answers
            .iter()
            .find(|(uri, status, _)| *status == 200 && uri.ends_with(question));
        &found.unwrap_or_else(|| panic!("{question}")).2
    };
    for (question, asked, quotes, reasons) in [
        // Years ago nobody asked for a time, and without one a price is none.
        (
            "/simple/price?ids=bitcoin&vs_currencies=usd",
            &["BTCUSDT"][..],
            0,
            &["no time"][..],
        ),
        (
            "/simple/price?ids=bitcoin&vs_currencies=ethereum",
            &["BTCETH"],
            0,
            &["no price in eth"],
        ),
        (
            "/simple/price?ids=bitcoin,%20ethereum,%20litecoin&vs_currencies=usd,%20myr,%20eth",
            &["BTCUSDT", "LTCETH"],
            0,
            &["no time", "not in the answer"],
        ),
        (
            "/coins/markets?ids=bitcoin&vs_currency=usd",
            &["BTCUSDT", "ETHUSDT"],
            1,
            &["not in the answer"],
        ),
        (
            "/coins/markets?ids=bitcoin,%20ethereum&vs_currency=eth",
            &["BTCETH", "LTCETH"],
            1,
            &["not in the answer"],
        ),
    ] {
        let read = coingecko::decode_prices(Market::Spot, &symbols(asked), body(question)).unwrap();
        assert_eq!(read.quotes.len(), quotes, "{question}: {read:?}");
        let said: Vec<&str> = read.refused.iter().map(|(_, why)| why.as_str()).collect();
        assert_eq!(said.len(), reasons.len(), "{question}: {said:?}");
        for (why, reason) in said.iter().zip(reasons) {
            assert!(why.contains(reason), "{question}: {why}");
        }
    }
}

#[test]
fn coingecko_s_real_refusals_lead_to_the_right_decision() {
    let Some(folder) = recorded() else { return };
    let (mut bad_questions, mut server_errors) = (0, 0);
    for (uri, status, body) in coingecko_answers(&folder)
        .into_iter()
        .filter(|(_, status, _)| *status != 200)
    {
        match coingecko::decode_error(status, &body) {
            FetchError::Rejected(why) => {
                assert!(why.contains("Missing parameter"), "{uri}: {why}");
                bad_questions += 1;
            }
            FetchError::Unreachable { retry: false, .. } => server_errors += 1,
            other => panic!("{uri}: {other:?}"),
        }
    }
    assert!(
        bad_questions >= 10 && server_errors >= 2,
        "{bad_questions} and {server_errors}"
    );
    let limited = std::fs::read_to_string(folder.join("coingecko/errors/issue-429-body.json")).unwrap();
    match coingecko::decode_error(429, &limited) {
        FetchError::Throttled { told: false, why, .. } => assert!(why.contains("exceeded the Rate Limit"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_year_of_fear_and_greed_is_read_day_by_day() {
    let Some(folder) = recorded() else { return };
    let folder = folder.join("sentiment");
    let text = std::fs::read_to_string(folder.join("fng-limit365-2024-04-22_2025-04-22.json")).unwrap();
    // Recorded with 6023 s to go until the next day.
    let now = Timestamp::from_date(2025, 4, 23).unwrap().plus(-6_023_000_000);
    let readings = alternative_me::decode(&text, Some(now)).unwrap();
    assert_eq!(readings.len(), 365);
    assert_eq!(
        (readings[0].value, readings[0].classification.as_deref()),
        (47.0, Some("Neutral"))
    );
    assert_eq!(readings[0].at, Timestamp::from_date(2025, 4, 22).unwrap());
    assert_eq!(readings[0].valid_until, Timestamp::from_date(2025, 4, 23));
    let missing: Vec<(i16, i8, i8)> = readings
        .windows(2)
        .filter(|pair| pair[1].at.plus(DAY) != pair[0].at)
        .map(|pair| pair[1].at.plus(DAY).date())
        .collect();
    assert_eq!(missing, [(2024, 10, 26)], "left out, not filled in");
    let table = std::fs::read_to_string(folder.join("fng-limit0-format-csv-2018-02-01_2024-05-01.rawbody")).unwrap();
    assert!(matches!(
        alternative_me::decode(&table, None),
        Err(FetchError::Corrupt(_))
    ));
}
