//! `serve --check`: what a configuration means, for people, and what is wrong with it.
//!
//! Nothing is sent. What a caller could not see until it hurts is said here: who may reach the daemon, who is told of
//! alerts, how much of the exchange's limit the watches take.

use std::io::ErrorKind;
use std::net::TcpListener;

use evercandle::config::{ADMIN_TOKEN_VARIABLE, API_KEY_VARIABLE};
use evercandle::schedule::{JobKind, Scheduler, Watches};
use evercandle::{Client, Config, Market, Series, Weight};
use evercandle_server::{Secrets, Webhooks};
use rustix::process::{Resource, getrlimit};

use crate::text;

/// Files besides connections: the cache, upstreams, the log.
const OTHER_FILES: u64 = 256;
/// Supervisors that wait ten seconds kill what has not ended by then; a second is for what is written last.
const DRAIN_MS_MAX: u64 = 9_000;

/// What a configuration means.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Report {
    /// A subject and what is said of it.
    facts: Vec<(&'static str, String)>,
    /// It would serve, but perhaps not as was meant.
    pub(super) warnings: Vec<String>,
    /// It would not serve.
    pub(super) problems: Vec<String>,
}

impl Report {
    pub(super) fn of(client: &Client, secrets: &Secrets, handed_over: bool) -> Report {
        let mut report = Report::default();
        let config = client.config();
        report.reach(config, handed_over);
        report.access(config, secrets);
        report.cache(client);
        report.upstreams(client);
        match Scheduler::new(client.clone()) {
            Ok(scheduler) => report.watches(client, scheduler.watches()),
            Err(error) => report.problem(error.to_string()),
        }
        report.alerts(config);
        report.limits(config);
        report
    }

    fn fact(&mut self, subject: &'static str, words: impl Into<String>) {
        self.facts.push((subject, words.into()));
    }

    fn warning(&mut self, words: impl Into<String>) {
        self.warnings.push(words.into());
    }

    fn problem(&mut self, words: impl Into<String>) {
        self.problems.push(words.into());
    }

    fn reach(&mut self, config: &Config, handed_over: bool) {
        let listen = config.server.listen;
        if handed_over {
            self.fact("listens on", "a socket that the supervisor hands over");
            return;
        }
        let who = match listen.ip().is_loopback() {
            true => "this machine only",
            false => "whoever reaches this address",
        };
        self.fact("listens on", format!("{listen}, for {who}"));
        match TcpListener::bind(listen) {
            Ok(_) => {}
            // Most likely by the daemon beside which a new configuration is looked at.
            Err(error) if error.kind() == ErrorKind::AddrInUse => self.warning(format!(
                "server.listen: {listen} is in use: whoever listens there has to end before this can serve"
            )),
            Err(error) => self.problem(format!("server.listen: {listen} cannot be listened on: {error}")),
        }
    }

    fn access(&mut self, config: &Config, secrets: &Secrets) {
        self.fact("open to all", "the pages (/ and /docs), /health/live and /health/ready");
        match &secrets.api_key {
            Some(_) => self.fact("data", format!("for whoever shows the key ({API_KEY_VARIABLE} is set)")),
            None => self.fact(
                "data",
                format!("for all: no key is asked for ({API_KEY_VARIABLE} is not set)"),
            ),
        }
        match &secrets.admin_token {
            Some(_) => self.fact(
                "administration",
                format!("for whoever shows the token ({ADMIN_TOKEN_VARIABLE} is set)"),
            ),
            None => self.fact("administration", format!("off ({ADMIN_TOKEN_VARIABLE} is not set)")),
        }
        if let Err(error) = secrets.check() {
            self.problem(error.to_string());
        }
        if let Some(warning) = exposed(config, secrets) {
            self.warning(warning);
        }
        let server = &config.server;
        let names = match (server.hosts.is_empty(), server.listen.ip().is_loopback()) {
            (true, true) => "localhost and addresses; any other name is refused (server.hosts)".to_owned(),
            (true, false) => "any (server.hosts lists none)".to_owned(),
            (false, _) => format!(
                "localhost, addresses and {}; any other is refused",
                server.hosts.join(", ")
            ),
        };
        self.fact("goes by", names);
        if !server.allow_origins.is_empty() {
            self.fact(
                "other sites",
                format!("pages of {} may read answers", server.allow_origins.join(", ")),
            );
        }
    }

    fn cache(&mut self, client: &Client) {
        let store = client.store();
        let dir = store.dir().display();
        let limit = match client.config().cache.size_max {
            Some(bytes) => format!("at most {}", text::bytes(bytes)),
            None => "of any size".to_owned(),
        };
        let config = &client.config().cache;
        // What opening it ran into, else a file that is made and gone again: permissions alone do not show a disk that is
        // mounted read-only.
        let written = match store.readonly() {
            Some(why) => Err(why),
            None => tempfile::tempfile_in(store.dir()).map_err(|error| error.to_string()),
        };
        if let Err(why) = written {
            self.fact("cache", format!("{dir}, only read"));
            return self.warning(format!(
                "cache.dir: {dir} cannot be written: {why}: it serves, and keeps nothing of what upstreams tell"
            ));
        }
        self.fact("cache", format!("{dir}, {limit}, can be written"));
        let Ok(space) = rustix::fs::statvfs(store.dir()) else {
            return;
        };
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if free < config.free_min {
            return self.warning(format!(
                "cache.free_min = {}: the disk has {} free: it serves, and keeps nothing of what upstreams tell until more is \
                 free",
                text::bytes(config.free_min),
                text::bytes(free)
            ));
        }
        let Some(size_max) = config.size_max else {
            return;
        };
        let held = store.stats().map_or(0, |stats| stats.bytes);
        let room = held.saturating_add(free.saturating_sub(config.free_min));
        if room < size_max {
            self.warning(format!(
                "cache.size_max = {}: the disk has room for {}, with cache.free_min = {} left free: it is full before the \
                 cache is, and then nothing is kept",
                text::bytes(size_max),
                text::bytes(room),
                text::bytes(config.free_min)
            ));
        }
    }

    fn upstreams(&mut self, client: &Client) {
        let upstreams = client.health().upstreams;
        let names: Vec<String> = upstreams.iter().map(|u| u.provider.to_string()).collect();
        if names.is_empty() {
            self.fact("asks", "nobody");
            return self.warning(
                "every upstream is disabled (providers.*.enabled = false): only what the cache holds is answered, and \
                 nothing is refreshed",
            );
        }
        self.fact("asks", names.join(", "));
        for what in ["klines", "prices", "sentiment"] {
            if !upstreams.iter().any(|u| u.serves.contains(&what)) {
                self.warning(format!(
                    "every upstream that serves {what} is disabled: {what} cannot be fetched"
                ));
            }
        }
    }

    fn watches(&mut self, client: &Client, watches: &Watches) {
        let config = &client.config().schedule;
        if !config.enabled {
            self.fact("kept warm", "nothing (schedule.enabled is false)");
            return;
        }
        let prices: usize = watches.prices.iter().map(|(_, symbols)| symbols.len()).sum();
        for (kind, what, every_ms) in [
            (
                JobKind::Klines,
                format!("{} series", text::thousands(watches.klines.len() as u64)),
                config.klines_ms,
            ),
            (JobKind::Prices, text::count(prices as u64, "price"), config.prices_ms),
            (JobKind::Sentiment, "the index".to_owned(), config.sentiment_ms),
        ] {
            let is_watched = match kind {
                JobKind::Klines => !watches.klines.is_empty(),
                JobKind::Prices => prices != 0,
                JobKind::Sentiment => watches.sentiment,
            };
            let words = match is_watched {
                true => format!(
                    "{}: {what}, every {}",
                    kind.as_str(),
                    text::span((every_ms * 1_000) as i64)
                ),
                false => format!("{}: nothing", kind.as_str()),
            };
            self.fact("kept warm", words);
        }
        for market in Market::ALL {
            let mut watched = watches
                .klines
                .iter()
                .filter(|series| series.market() == market)
                .peekable();
            if watched.peek().is_some() && !watched.any(|series| client.is_offered(series)) {
                self.warning(format!(
                    "every upstream that serves klines of market {market} is disabled: what is watched of it cannot be fetched"
                ));
            }
        }
        let rows_max = client.config().server.rows_max;
        for (index, watch) in config.klines.iter().enumerate() {
            if rows_max < u64::from(watch.rows) {
                self.warning(format!(
                    "schedule.klines[{index}].rows = {}: more than one answer may have (server.rows_max = {rows_max})",
                    watch.rows
                ));
            }
        }
        for load in loads(client, watches) {
            self.fact("weight", load.words());
            if load.allowed_per_minute < load.per_minute {
                self.warning(format!(
                    "{}: refreshing takes about {} of weight a minute and {} are allowed: refreshes will take longer than \
                     their period; watch fewer, or lengthen schedule.klines_ms",
                    load.group, load.per_minute, load.allowed_per_minute
                ));
            }
        }
    }

    fn alerts(&mut self, config: &Config) {
        let alerts = &config.alerts;
        if !alerts.enabled {
            self.fact("alerts", "off (alerts.enabled is false)");
            return;
        }
        if alerts.webhooks.is_empty() {
            self.fact("alerts", "shown by /health, told to nobody (alerts.webhooks is empty)");
        }
        match Webhooks::new(alerts, &config.http, Config::secret_from_environment) {
            Err(error) => return self.problem(error.to_string()),
            Ok(webhooks) => {
                for name in webhooks.in_the_clear() {
                    self.warning(format!(
                        "alerts.webhooks: {name}: its address begins with http:// and leads outside: whoever listens on the \
                         way can read it and use it; use https://"
                    ));
                }
            }
        }
        for webhook in &alerts.webhooks {
            let (name, format, variable) = (&webhook.name, &webhook.format, &webhook.url_variable);
            self.fact("alerts", format!("told to {name} ({format}, address from {variable})"));
        }
    }

    fn limits(&mut self, config: &Config) {
        let server = &config.server;
        self.fact(
            "refused",
            format!(
                "beyond {} requests at once, {} connections or {} event streams: 503; beyond {} klines or {} symbols in one \
                 question, or {} of body: 4xx",
                server.requests_max,
                server.connections_max,
                server.streams_max,
                text::thousands(server.rows_max),
                text::thousands(server.symbols_max as u64),
                text::bytes(server.body_bytes_max as u64),
            ),
        );
        let files = getrlimit(Resource::Nofile).maximum;
        let wanted = server.connections_max as u64 + OTHER_FILES;
        if files.is_some_and(|files| files < wanted) {
            self.warning(format!(
                "server.connections_max = {} wants {wanted} open files, and {} are allowed (ulimit -n, LimitNOFILE=)",
                server.connections_max,
                files.unwrap_or_default()
            ));
        }
        if DRAIN_MS_MAX < server.drain_ms {
            self.warning(format!(
                "server.drain_ms = {}: a supervisor that waits ten seconds kills answers under way; expected at most \
                 {DRAIN_MS_MAX}",
                server.drain_ms
            ));
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let width = self.facts.iter().map(|(subject, _)| subject.len()).max().unwrap_or(0);
        let mut text = String::new();
        let mut before = "";
        for (subject, words) in &self.facts {
            let shown = if *subject == before { "" } else { subject };
            text += &format!("{shown:<width$}  {words}\n");
            before = subject;
        }
        for (name, words) in [("warning", &self.warnings), ("problem", &self.problems)] {
            for words in words {
                text += &format!("{name}: {words}\n");
            }
        }
        text + match self.problems.is_empty() {
            true => "it can serve\n",
            false => "it cannot serve\n",
        }
    }
}

/// That everybody may ask, where that was not said on purpose.
pub(super) fn exposed(config: &Config, secrets: &Secrets) -> Option<String> {
    let listen = config.server.listen;
    (!listen.ip().is_loopback() && secrets.api_key.is_none()).then(|| {
        format!(
            "it listens on {listen} without a key: whoever reaches this address may ask for anything; set {API_KEY_VARIABLE}, \
             or put something in front that asks"
        )
    })
}

/// What refreshing takes of one of the exchange's limits.
struct Load {
    group: &'static str,
    per_refresh: u64,
    per_minute: u64,
    allowed_per_minute: u64,
    limit_per_minute: u64,
}

impl Load {
    fn words(&self) -> String {
        format!(
            "{}: at most about {} per refresh, {} a minute, of the {} we allow ourselves (the limit is {})",
            self.group, self.per_refresh, self.per_minute, self.allowed_per_minute, self.limit_per_minute
        )
    }
}

/// Per limit that is shared. From above: a series whose interval is longer than the period is not asked for each time.
fn loads(client: &Client, watches: &Watches) -> Vec<Load> {
    let config = &client.config().schedule;
    // What closes between two refreshes, and the one that straddles their border.
    let newest = |series: &Series| {
        let closed = (config.klines_ms * 1_000).div_ceil(series.interval().nominal_micros().unsigned_abs());
        u32::try_from(closed + 1).unwrap_or(u32::MAX)
    };
    let klines = watches.klines.iter().filter_map(|series| {
        let weight = client.klines_weight(series, newest(series))?;
        Some((weight, config.klines_ms))
    });
    let prices = watches.prices.iter().filter_map(|(market, symbols)| {
        let weight = client.prices_weight(*market, symbols.len())?;
        Some((weight, config.prices_ms))
    });
    let mut loads: Vec<(Load, f64)> = Vec::new();
    for (Weight { weight, quota }, every_ms) in klines.chain(prices) {
        let a_minute = weight as f64 * 60_000.0 / every_ms.max(1) as f64;
        match loads.iter_mut().find(|(load, _)| load.group == quota.group) {
            Some((load, per_minute)) => {
                load.per_refresh += weight;
                *per_minute += a_minute;
            }
            None => loads.push((
                Load {
                    group: quota.group,
                    per_refresh: weight,
                    per_minute: 0,
                    allowed_per_minute: u64::from(quota.allowed),
                    limit_per_minute: u64::from(quota.limit),
                },
                a_minute,
            )),
        }
    }
    let whole = |(load, per_minute): (Load, f64)| Load {
        per_minute: per_minute.ceil() as u64,
        ..load
    };
    loads.into_iter().map(whole).collect()
}
