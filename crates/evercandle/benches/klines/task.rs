//! What a process of its own does, and what it reports: lines of a name and a number on stdout.

use std::fs;
use std::hint::black_box;
use std::io::Read;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use evercandle::provider::binance::vision;
use evercandle::{Answer, Client, Priority, Request, TimeRange};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

use super::world::{client, instant, long_year, series};
use super::{newest, plain_file};

/// First argument of a process that runs a task.
pub(crate) const MARK: &str = "task";

pub(crate) fn run(arguments: &[String]) {
    let began = Instant::now();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["warm", cache, days] => warm(QUICK_WORK, cache, days, |_| 0.0),
        ["warm-sum", cache, days] => warm(1, cache, days, |a| a.batches.iter().map(|b| sum(b.rows())).sum()),
        ["copy", folder, days @ "365"] => repeat(|| copied(folder, days).len()),
        ["copy", folder, days] => repeat_more(QUICK_WORK, || copied(folder, days).len()),
        ["copy-sum", folder, days] => repeat(|| copied(folder, days).iter().map(sum).sum::<f64>()),
        ["first", cache, days] => {
            let (runtime, client) = (runtime(), client(cache, None));
            black_box(get(&runtime, &client, newest(days.parse().unwrap())));
            report("seconds", began.elapsed().as_secs_f64());
        }
        ["copy-first", folder, days] => {
            black_box(copied(folder, days));
            report("seconds", began.elapsed().as_secs_f64());
        }
        ["decode", zip] => decode(zip),
        ["inflate", zip] => inflate(zip),
        ["zip-csv", zip] => zip_csv(zip),
        ["cold", internet] => cold(internet),
        ["transfer", internet, requests] => transfer(internet, requests),
        ["years", internet, years] => download_years(internet, years.parse().unwrap()),
        other => panic!("unknown task {other:?}"),
    }
    report("peak", memory("VmHWM"));
}

fn report(name: &str, value: f64) {
    println!("{name} {value}");
}

/// Bytes, from the kernel's account of this process.
fn memory(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kibibytes.unwrap_or(0.0) * 1024.0
}

/// Repetitions of what takes microseconds, for each of what takes milliseconds: below that, a first touch decides.
const QUICK_WORK: usize = 50;

/// The median of repetitions, after one that does not count.
fn repeat<T>(work: impl FnMut() -> T) {
    repeat_more(1, work);
}

fn repeat_more<T>(factor: usize, mut work: impl FnMut() -> T) {
    let repetitions: usize = std::env::var("EVERCANDLE_BENCH_REPETITIONS").unwrap().parse().unwrap();
    let repetitions = repetitions * factor;
    black_box(work());
    let mut times: Vec<f64> = (0..repetitions)
        .map(|_| {
            let began = Instant::now();
            black_box(work());
            began.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    report("seconds", times[times.len() / 2]);
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn get(runtime: &Runtime, client: &Client, range: TimeRange) -> Answer {
    let answer = runtime
        .block_on(client.get_data(Request::new(series(), range)))
        .unwrap();
    // Not every minute of a year has a kline: the exchange stood still for some.
    assert!(
        answer.is_complete() && !answer.is_empty(),
        "an incomplete answer measures nothing"
    );
    answer
}

// --- reading ----------------------------------------------------------------------------------------------------------

fn warm(factor: usize, cache: &str, days: &str, look: impl Fn(&Answer) -> f64) {
    let (runtime, client, range) = (runtime(), client(cache, None), newest(days.parse().unwrap()));
    repeat_more(factor, || {
        let answer = get(&runtime, &client, range);
        (look(&answer), answer)
    });
}

/// The same rows from one plain file, as the library for such files reads them.
fn copied(folder: &str, days: &str) -> Vec<RecordBatch> {
    let file = fs::File::open(plain_file(folder, days.parse().unwrap())).unwrap();
    let reader = arrow_ipc::reader::FileReader::try_new_buffered(file, None).unwrap();
    reader.map(Result::unwrap).collect()
}

/// Every value of every column, so that every page is touched.
fn sum(rows: &RecordBatch) -> f64 {
    let columns = rows.columns().iter().map(|column| {
        if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
            floats.values().iter().sum::<f64>()
        } else if let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>() {
            times.values().iter().map(|&t| t as f64).sum()
        } else {
            column
                .as_primitive::<Int64Type>()
                .values()
                .iter()
                .map(|&n| n as f64)
                .sum()
        }
    });
    let total: f64 = columns.sum();
    assert!(total.is_finite() && rows.num_columns() > 0);
    total
}

// --- decoding ---------------------------------------------------------------------------------------------------------

fn decode(zip: &str) {
    let (bytes, name) = (fs::read(zip).unwrap(), zip.rsplit('/').next().unwrap());
    let published: [u8; 32] = Sha256::digest(&bytes).into();
    let december = TimeRange::new(instant((2023, 12, 1)), instant((2024, 1, 1))).unwrap();
    let series = series();
    repeat(|| vision::decode(&series, december, name, &bytes, &published).unwrap());
}

/// The least anybody has to do: the bytes of the file in the archive, unchecked and unread.
fn inflate(zip: &str) {
    let bytes = fs::read(zip).unwrap();
    let (start, packed, size) = {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
        let file = archive.by_index(0).unwrap();
        (
            file.data_start().unwrap() as usize,
            file.compressed_size() as usize,
            file.size() as usize,
        )
    };
    let mut inflater = libdeflater::Decompressor::new();
    repeat(|| {
        let mut text = vec![0; size];
        assert_eq!(
            inflater
                .deflate_decompress(&bytes[start..start + packed], &mut text)
                .unwrap(),
            size
        );
        text
    });
}

/// What one would write with the usual crates: inflate and CRC by `zip`, rows by `csv`, numbers by the standard library.
fn zip_csv(zip: &str) {
    let bytes = fs::read(zip).unwrap();
    repeat(|| {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
        let mut text = Vec::new();
        archive.by_index(0).unwrap().read_to_end(&mut text).unwrap();
        let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(&text[..]);
        let (mut whole, mut decimal) = (vec![Vec::new(); 3], vec![Vec::new(); 8]);
        let mut row = csv::StringRecord::new();
        while rows.read_record(&mut row).unwrap() {
            for (column, field) in [0, 6, 8].into_iter().enumerate() {
                whole[column].push(row[field].parse::<i64>().unwrap());
            }
            for (column, field) in [1, 2, 3, 4, 5, 7, 9, 10].into_iter().enumerate() {
                decimal[column].push(row[field].parse::<f64>().unwrap());
            }
        }
        (whole, decimal)
    });
}

// --- downloading ------------------------------------------------------------------------------------------------------

fn cold(internet: &str) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let began = Instant::now();
    let client = client(&folder.path().to_string_lossy(), Some(internet));
    let answer = get(&runtime, &client, newest(365));
    report("seconds", began.elapsed().as_secs_f64());
    drop(answer);
}

/// The requests of a cold download, as many at once, with nothing done about the answers.
fn transfer(internet: &str, requests: &str) {
    let targets = fs::read_to_string(requests).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let began = Instant::now();
    runtime().block_on(async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answers = futures::stream::iter(targets.lines()).map(|target| {
            let url = format!("{internet}/{}", target.trim_start_matches('/'));
            let sent = http.get(url).send();
            async move { sent.await.unwrap().bytes().await.unwrap().len() }
        });
        let total: usize = answers.buffer_unordered(8).fold(0, |a, b| async move { a + b }).await;
        assert!(total > 1_000_000, "only {total} bytes");
    });
    report("seconds", began.elapsed().as_secs_f64());
}

fn download_years(internet: &str, years: i16) {
    let folder = tempfile::tempdir().unwrap();
    let (runtime, client) = (runtime(), client(&folder.path().to_string_lossy(), Some(internet)));
    let began = Instant::now();
    for year in 0..years {
        let request = Request {
            priority: Priority::Bulk,
            ..Request::new(series(), long_year(year, years))
        };
        drop(runtime.block_on(client.get_data(request)).unwrap());
        // Two digits, so that they sort.
        report(&format!("own_{year:02}"), memory("RssAnon"));
        report(&format!("all_{year:02}"), memory("VmRSS"));
    }
    report("seconds", began.elapsed().as_secs_f64());
}
