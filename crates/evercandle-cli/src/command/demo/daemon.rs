//! The last act: the same questions by HTTP, put to a daemon as any other program would, while nobody else answers.

use std::path::Path;
use std::time::{Duration, Instant};

use evercandle::{Client, Clock, Grid};
use evercandle_server::{Secrets, Server};
use evercandle_simulator as sim;
use serde_json::Value;
use tokio::sync::oneshot;

use super::{MONTH, MONTH_BEFORE, Stage, instant, range};
use crate::exit::{Exit, Failure};
use crate::screen::Ink;
use crate::text;

const NUMBER: &str = "6";
const TITLE: &str = "The same by HTTP";
/// Of a row, after the time it opened: what the exchange prints and everybody looks at.
const COLUMNS: &str = "open,high,low,close,volume";

impl Stage<'_> {
    /// Serves the cache of the acts before, and asks for what they asked for.
    pub(super) async fn daemon(&mut self, cache: &Path) -> Result<(), Failure> {
        let scene = "a daemon over the cache of act 1; still everything else is down";
        self.heading(NUMBER, TITLE, scene)?;
        let mut config = self.config(cache)?;
        config.server.listen = ([127, 0, 0, 1], 0).into();
        config.schedule.enabled = false;
        config.latest.price_fresh_ms = 0;
        config.latest.substitute_fresh_ms = 0;
        let client = Client::with_clock(config, Clock::held(self.now))?;
        let server = Server::bind(client, Secrets::default()).await.map_err(cannot)?;
        let caller = Caller::new(format!("http://{}", server.address()))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));

        let klines = |(start, end): (&str, &str)| {
            format!(
                "/v1/klines?symbol=BTCUSDT&interval=1m&start={start}&end={end}&format=csv&decimals=exact&columns={COLUMNS}"
            )
        };
        let month = caller.get(&klines(MONTH)).await?;
        let rows: Vec<&str> = month.body.lines().skip(1).collect();
        self.told(&month, &text::count(rows.len() as u64, "kline"))?;
        let before = caller.get(&klines(MONTH_BEFORE)).await?;
        self.told(&before, &before.word("title"))?;
        let price = caller.get("/v1/price/BTCUSDT").await?;
        let said = format!("{}, {}", price.word("price"), price.word("state").replace('_', " "));
        self.told(&price, &said)?;
        let health = caller.get("/health").await?;
        self.told(&health, &format!("{}: {}", health.word("status"), health.upstreams()))?;

        let slots = Grid::new(self.series.interval(), None).count(range(MONTH));
        let unequal = self.differing(&rows);
        self.unequal += unequal;
        let said = match unequal {
            0 => "every value that came by HTTP equals the exchange's own, digit for digit".to_owned(),
            n => self.ink(
                Ink::Bad,
                &format!("{} differ from the exchange's own", text::count(n, "row")),
            ),
        };
        self.fact("checked", &said)?;
        self.summary.push(vec![
            format!("{NUMBER}  {TITLE}"),
            "daemon".to_owned(),
            text::thousands(rows.len() as u64),
            text::took(month.took),
            text::thousands(slots.saturating_sub(rows.len() as u64)),
            if month.is_complete { "complete" } else { "incomplete" }.to_owned(),
        ]);
        let _ = stop.send(());
        serving.await.map_err(cannot)?.map_err(cannot)
    }

    fn told(&self, reply: &Reply, what: &str) -> Result<(), Failure> {
        self.fact("asked", &format!("GET {}", reply.path))?;
        let ink = if reply.status == 200 { Ink::Good } else { Ink::Bad };
        let status = self.ink(ink, &reply.status.to_string());
        self.fact("answered", &format!("{status} in {}: {what}", text::took(reply.took)))
    }

    /// How many rows of the month are not what the simulated exchange made.
    fn differing(&self, rows: &[&str]) -> u64 {
        let series = sim::Series::new(sim::ExchangeMarket::Spot, "BTCUSDT", sim::Interval::M1);
        let month = range(MONTH);
        let truth = self
            .handle
            .market()
            .klines(&series, month.start().as_micros()..month.end().as_micros());
        let wrong = truth.iter().zip(rows).filter(|(kline, row)| {
            let fields = kline.fields(sim::TimeUnit::Microseconds);
            row.split(',').ne(fields[1..=5].iter().map(String::as_str))
        });
        (wrong.count() + truth.len().abs_diff(rows.len())) as u64
    }
}

/// Any other program.
struct Caller {
    http: reqwest::Client,
    address: String,
}

/// What it got.
struct Reply {
    path: String,
    status: u16,
    /// As its header says.
    is_complete: bool,
    body: String,
    took: Duration,
}

impl Caller {
    fn new(address: String) -> Result<Caller, Failure> {
        let http = reqwest::Client::builder().no_proxy().build().map_err(cannot)?;
        Ok(Caller { http, address })
    }

    async fn get(&self, path: &str) -> Result<Reply, Failure> {
        let begun: Instant = instant();
        let response = self
            .http
            .get(format!("{}{path}", self.address))
            .send()
            .await
            .map_err(cannot)?;
        let status = response.status().as_u16();
        let complete = response.headers().get("evercandle-complete");
        let is_complete = complete.is_some_and(|complete| complete == "?1");
        let body = response.text().await.map_err(cannot)?;
        Ok(Reply {
            path: path.to_owned(),
            status,
            is_complete,
            body,
            took: begun.elapsed(),
        })
    }
}

impl Reply {
    /// What a JSON answer says there.
    fn word(&self, name: &str) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body[name].as_str().unwrap_or("?").to_owned()
    }

    /// How `/health` says every upstream is.
    fn upstreams(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let upstreams = body["providers"].as_object().into_iter().flatten();
        let said = upstreams.map(|(name, how)| format!("{name} {}", how["status"].as_str().unwrap_or("?")));
        said.collect::<Vec<_>>().join(", ")
    }
}

fn cannot(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Unexpected, format!("the demo's daemon does not answer: {error}"))
}
