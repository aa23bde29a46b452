//! What reading, decoding and downloading klines costs, beside what a named alternative costs in the same run.
//!
//! Every measurement runs in a process of its own, so that its peak memory is its own and nothing is warm by accident;
//! the simulated exchange runs in the parent. An alternative takes turns with what it is compared to, because a busy
//! machine is busy for both. One table is printed at the end; ratios travel between machines, times do not.

#![allow(clippy::disallowed_methods, reason = "measuring reads clocks, files and arguments")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to a terminal"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop where it stands"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

mod task;

mod table;

mod world;

use table::{Aim, Row, Table};
use world::{DAYS_365, World};

/// The program's allocator, so that its memory is what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// Repetitions inside a process.
    repetitions: usize,
    /// Processes per measurement, taking turns with the alternative's.
    turns: usize,
    /// Years of the long download.
    years: i16,
}

const FULL: Effort = Effort {
    repetitions: 40,
    turns: 5,
    years: 10,
};
const QUICK: Effort = Effort {
    repetitions: 10,
    turns: 3,
    years: 3,
};

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let Some((task::MARK, task)) = arguments.split_first().map(|(a, rest)| (a.as_str(), rest)) {
        return task::run(task);
    }
    let effort = if arguments.iter().any(|a| a == "--quick") {
        QUICK
    } else {
        FULL
    };
    let wanted = arguments
        .iter()
        .find(|a| !a.starts_with('-'))
        .cloned()
        .unwrap_or_default();
    Bench {
        world: World::new(),
        effort,
        wanted,
        table: Table::default(),
    }
    .run();
}

struct Bench {
    world: World,
    effort: Effort,
    wanted: String,
    table: Table,
}

/// What a process reported: numbers by name.
type Report = BTreeMap<String, f64>;

impl Bench {
    fn run(mut self) {
        let (cache, plain) = (self.world.full_cache(), self.world.plain_files());
        for (name, days, aim) in [
            ("warm read, 1 day", 1, Aim::Within(50e-6)),
            ("warm read, 30 days", 30, Aim::None),
            ("warm read, 365 days", 365, Aim::Within(1e-3)),
        ] {
            let days = days.to_string();
            self.compare(
                name,
                &["warm", &cache, &days],
                "arrow-ipc FileReader",
                &["copy", &plain, &days],
                aim,
            );
        }
        self.compare(
            "warm read, 365 days, every value summed",
            &["warm-sum", &cache, "365"],
            "arrow-ipc FileReader",
            &["copy-sum", &plain, "365"],
            Aim::None,
        );
        for (name, days, aim) in [
            ("first read of a process, 1 day", 1, Aim::None),
            ("first read of a process, 365 days", 365, Aim::Within(20e-3)),
        ] {
            let days = days.to_string();
            self.compare(
                name,
                &["first", &cache, &days],
                "arrow-ipc FileReader",
                &["copy-first", &plain, &days],
                aim,
            );
        }
        let zip = self.world.archive();
        self.compare(
            "decode a month's archive, both checksums",
            &["decode", &zip],
            "libdeflate, inflate only",
            &["inflate", &zip],
            Aim::Ratio(1.6),
        );
        self.compare(
            "decode a month's archive, both checksums",
            &["decode", &zip],
            "zip + csv crates",
            &["zip-csv", &zip],
            Aim::None,
        );
        for (name, latency, aim) in [
            ("cold download, 365 days, 0 ms a request", 0, Aim::Within(1.0)),
            ("cold download, 365 days, 30 ms a request", 30, Aim::None),
        ] {
            if self.is_wanted(name) {
                self.world.set_latency(latency);
                let (internet, requests) = (self.world.internet(), self.world.requests());
                let plainly = ["transfer", &internet, &requests];
                self.compare(
                    name,
                    &["cold", &internet],
                    "the same requests, bodies dropped",
                    &plainly,
                    aim,
                );
                self.world.set_latency(0);
            }
        }
        self.long_download();
        self.table.print(&[
            "one-minute klines of the simulated BTCUSDT; the simulator shares this machine's cores with what is measured,",
            "and its archives were made before the clock started; files are in the page cache",
            "ratio: ours / alternative, medians of processes that took turns; peak: the process's largest resident set",
        ]);
    }

    fn is_wanted(&self, name: &str) -> bool {
        name.contains(&self.wanted)
    }

    fn compare(&mut self, name: &str, ours: &[&str], alternative: &str, theirs: &[&str], aim: Aim) {
        if !self.is_wanted(name) {
            return;
        }
        eprintln!("{name} …");
        let (mut our_turns, mut their_turns) = (Vec::new(), Vec::new());
        for _ in 0..self.effort.turns {
            our_turns.push(self.child(ours));
            their_turns.push(self.child(theirs));
        }
        self.table.add(Row {
            name: name.to_owned(),
            ours: median(&our_turns, "seconds"),
            alternative: alternative.to_owned(),
            theirs: median(&their_turns, "seconds"),
            aim,
            peaks: [&our_turns, &their_turns].map(|turns| median(turns, "peak")),
        });
    }

    /// Whether memory grows with what is downloaded.
    fn long_download(&mut self) {
        let years = self.effort.years.to_string();
        let name = format!("download of {years} years, a year at a time");
        if !self.is_wanted(&name) {
            return;
        }
        eprintln!("{name} …");
        self.world.make_archives(self.effort.years);
        let internet = self.world.internet();
        let report = self.child(&["years", &internet, &years]);
        let by_year = |kind: &str| -> String {
            let values = report.iter().filter(|(name, _)| name.starts_with(kind));
            let words: Vec<String> = values.map(|(_, bytes)| format!("{:.0}", bytes / 1e6)).collect();
            words.join(" ")
        };
        let (seconds, own, all) = (report["seconds"], by_year("own_"), by_year("all_"));
        self.table
            .note(format!("{name}: {seconds:.1} s; aim: memory that does not grow"));
        self.table.note(format!("  MB of its own after each year: {own}"));
        self.table.note(format!("  with mapped files:             {all}"));
        self.table.note(String::new());
    }

    /// Runs a task in a process of its own.
    fn child(&self, task: &[&str]) -> Report {
        let output = Command::new(std::env::current_exe().unwrap())
            .arg(task::MARK)
            .args(task)
            .env("EVERCANDLE_BENCH_REPETITIONS", self.effort.repetitions.to_string())
            .stderr(std::process::Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "{task:?}: {}", output.status);
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        lines
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect()
    }
}

fn median(reports: &[Report], name: &str) -> f64 {
    let mut values: Vec<f64> = reports.iter().map(|r| r[name]).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Where a plain Arrow file of so many days lies.
fn plain_file(folder: &str, days: i64) -> std::path::PathBuf {
    Path::new(folder).join(format!("{days}.arrow"))
}

/// The newest so many days of the year that is measured.
fn newest(days: i64) -> evercandle::TimeRange {
    let end = DAYS_365.1;
    let end = evercandle::Timestamp::from_date(end.0, end.1, end.2).unwrap();
    evercandle::TimeRange::new(end.plus(-days * evercandle::model::range::DAY), end).unwrap()
}
