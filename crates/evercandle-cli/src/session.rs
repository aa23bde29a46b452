//! A client as the command line describes it, and the simulated exchange behind it if one was asked for.

use std::path::Path;

use evercandle::config::parse_internet;
use evercandle::{Client, Config, Timestamp};
use evercandle_simulator::{Handle, Simulator};

use crate::args::{Global, Internet};
use crate::exit::{Exit, Failure};
use crate::screen::{Ink, Screen};
use crate::temporary;

/// What a command works with.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// Held so that it lasts as long as the client.
    simulated: Option<Handle>,
}

impl Session {
    /// Where the simulated exchange listens, if there is one.
    pub(crate) fn simulator(&self) -> Option<String> {
        self.simulated.as_ref().map(Handle::base_url)
    }

    /// Opens the cache. Sends nothing, except that `--simulate` starts its exchange.
    pub(crate) fn open(global: &Global, internet: &Internet, screen: &Screen) -> Result<Session, Failure> {
        Session::open_with(global, internet, screen, |_| {})
    }

    /// The same, after a last change of the configuration.
    pub(crate) fn open_with(
        global: &Global,
        internet: &Internet,
        screen: &Screen,
        change: impl FnOnce(&mut Config),
    ) -> Result<Session, Failure> {
        let mut config = config(global)?;
        change(&mut config);
        if let Some(url) = internet.internet.as_deref().filter(|url| !url.is_empty()) {
            config.internet = Some(parse_internet(url)?);
        }
        let simulated = match internet.simulate {
            true => Some(simulate(&mut config, internet.seed, screen)?),
            false => None,
        };
        Ok(Session {
            client: Client::new(config)?,
            simulated,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.client.clock().now()
    }
}

/// The configuration in force: defaults, file, environment, command line.
pub(crate) fn config(global: &Global) -> Result<Config, Failure> {
    let mut config = match global.config.as_deref().filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => Config::from_file(path)?,
        None => Config::from_environment()?,
    };
    if let Some(dir) = global.cache_dir.as_deref().filter(|dir| *dir != Path::new("")) {
        config.cache.dir = Some(dir.to_owned());
    }
    Ok(config)
}

/// Starts the exchange and moves the cache: a simulated kline must never lie among real ones.
fn simulate(config: &mut Config, seed: u64, screen: &Screen) -> Result<Handle, Failure> {
    let cannot =
        |e: std::io::Error| Failure::new(Exit::Unexpected, format!("the simulated exchange cannot start: {e}"));
    let handle = Simulator::start_blocking(evercandle_simulator::Config::default().seed(seed)).map_err(cannot)?;
    config.internet = Some(parse_internet(&handle.base_url())?);
    // A relay that the configuration names for one upstream would bring real data into the simulated cache.
    for provider in config.providers.values_mut() {
        provider.internet = None;
    }
    config.cache.dir = Some(match &config.cache.dir {
        Some(dir) => dir.join(format!("simulated-{seed}")),
        None => temporary::folder("evercandle-simulated-").map_err(cannot)?,
    });
    screen.say(&screen.ink(
        Ink::Warning,
        &format!("simulated exchange (seed {seed}): none of this is market data"),
    ));
    Ok(handle)
}
