//! What is measured on: a simulated exchange, a cache that holds a year, the same rows in one plain file, an archive.

use std::cell::OnceCell;
use std::fs;

use evercandle::{Client, Clock, Config, Interval, Request, Series, TimeRange, Timestamp};
use evercandle_simulator as sim;

use super::{newest, plain_file};

/// First and last day, the last excluded, of the year that is read and downloaded.
pub(crate) const DAYS_365: ((i16, i8, i8), (i16, i8, i8)) = ((2023, 1, 1), (2024, 1, 1));
/// Now: long after every archive that is used came out, and ten years after the symbol's first whole year.
const NOW: (i16, i8, i8) = (2027, 12, 1);
/// The end of the long download.
const LONG_END: (i16, i8, i8) = (2027, 9, 1);

pub(crate) struct World {
    sim: sim::Handle,
    folder: tempfile::TempDir,
    year: OnceCell<()>,
    requests: OnceCell<String>,
    latency: std::cell::Cell<Option<sim::FaultId>>,
}

pub(crate) fn instant((year, month, day): (i16, i8, i8)) -> Timestamp {
    Timestamp::from_date(year, month, day).unwrap()
}

pub(crate) fn series() -> Series {
    Series::parse("BTCUSDT", Interval::M1, None).unwrap()
}

/// The range of the long download's year number `year`, which counts from 0.
pub(crate) fn long_year(year: i16, years: i16) -> TimeRange {
    let (end, month, day) = LONG_END;
    let first = end - years + year;
    TimeRange::new(instant((first, month, day)), instant((first + 1, month, day))).unwrap()
}

/// A client with a cache in `dir`; without `internet` it must not need any.
pub(crate) fn client(dir: &str, internet: Option<&str>) -> Client {
    let mut config = Config {
        internet: Some(internet.unwrap_or("http://127.0.0.1:9").parse().unwrap()),
        ..Config::default()
    };
    config.cache.dir = Some(dir.into());
    Client::with_clock(config, Clock::held(instant(NOW))).unwrap()
}

impl World {
    pub(crate) fn new() -> World {
        let config = sim::Config::default().seed(7).at(instant(NOW).as_micros());
        World {
            sim: sim::Simulator::start_blocking(config).unwrap(),
            folder: tempfile::tempdir().unwrap(),
            year: OnceCell::new(),
            requests: OnceCell::new(),
            latency: std::cell::Cell::new(None),
        }
    }

    pub(crate) fn internet(&self) -> String {
        self.sim.base_url()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// A cache that holds the year; filling it also makes the simulator's archives of that year.
    pub(crate) fn full_cache(&self) -> String {
        let dir = self.path("cache");
        self.year.get_or_init(|| {
            self.sim.journal().clear();
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let client = client(&dir, Some(&self.internet()));
            let request = Request::new(series(), newest(365));
            let answer = runtime.block_on(client.get_data(request)).unwrap();
            assert!(answer.is_complete());
            let lines: Vec<String> = self.sim.journal().requests().iter().map(sim::Entry::target).collect();
            let file = self.path("requests");
            fs::write(&file, lines.join("\n")).unwrap();
            self.requests.set(file).unwrap();
            for days in [1, 30, 365] {
                let folder = self.path("plain");
                fs::create_dir_all(&folder).unwrap();
                let answer = runtime
                    .block_on(client.get_data(Request::new(series(), newest(days))))
                    .unwrap();
                let schema = answer.batches[0].rows().schema();
                let file = fs::File::create(plain_file(&folder, days)).unwrap();
                let mut writer = arrow_ipc::writer::FileWriter::try_new(file, &schema).unwrap();
                for batch in &answer.batches {
                    writer.write(batch.rows()).unwrap();
                }
                writer.finish().unwrap();
            }
        });
        dir
    }

    /// Folder of the same rows in one plain Arrow file per length.
    pub(crate) fn plain_files(&self) -> String {
        self.full_cache();
        self.path("plain")
    }

    /// File with the targets of every request that filled the cache.
    pub(crate) fn requests(&self) -> String {
        self.full_cache();
        self.requests.get().unwrap().clone()
    }

    /// The archive of a month, as a file.
    pub(crate) fn archive(&self) -> String {
        let name = "BTCUSDT-1m-2023-12.zip";
        let target = format!("data.binance.vision/data/spot/monthly/klines/BTCUSDT/1m/{name}");
        let reply = self.sim.respond(&sim::Request::get(&target), instant(NOW).as_micros());
        assert_eq!(reply.response.status, 200, "{target}");
        let path = self.path(name);
        fs::write(&path, &reply.response.body).unwrap();
        path
    }

    /// Makes the simulator think so long about every request.
    pub(crate) fn set_latency(&self, milliseconds: u64) {
        if let Some(fault) = self.latency.take() {
            self.sim.faults().clear(fault);
        }
        if milliseconds > 0 {
            let fault = sim::Fault::new(sim::Effect::Latency { milliseconds });
            self.latency.set(Some(self.sim.inject(fault)));
        }
    }

    /// Makes the archives of the long download, as far as the simulator can remember them.
    pub(crate) fn make_archives(&self, years: i16) {
        let months = evercandle::Grid::new(Interval::Mo1, None);
        let range = TimeRange::new(long_year(0, years).start(), instant(LONG_END)).unwrap();
        for month in months.slots(range) {
            let (year, month, _) = month.date();
            let target =
                format!("data.binance.vision/data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-{year:04}-{month:02}.zip");
            self.sim.respond(&sim::Request::get(&target), instant(NOW).as_micros());
        }
    }
}
