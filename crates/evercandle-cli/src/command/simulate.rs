//! `simulate`: the simulated exchange on a socket, until Ctrl-C.

use std::io::Write;

use evercandle_simulator::{Config, Simulator, time};

use crate::args::Simulate;
use crate::command::interrupt::Interrupt;
use crate::exit::{Exit, Failure};
use crate::range::When;
use crate::screen::{Ink, Screen};

pub(crate) async fn run(args: &Simulate, screen: &Screen, interrupt: Interrupt) -> Result<Exit, Failure> {
    let mut config = Config::default().seed(args.seed);
    if let Some(When::At(at)) = args.now {
        config = config.at(at.as_micros());
    }
    config.listen = args.listen;
    let handle = Simulator::start(config).await.map_err(|e| {
        Failure::new(Exit::Unexpected, format!("cannot listen on {}: {e}", args.listen))
            .hint("another program may be using it; --listen 127.0.0.1:0 takes a free port")
    })?;
    let url = handle.base_url();
    // The address is the data of this command: a script reads it.
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{url}")?;
    stdout.flush()?;
    let clock = match args.now {
        Some(When::At(at)) => format!("its clock stands at {at}"),
        _ => "its clock is the system's".to_owned(),
    };
    let title = format!(
        "simulated exchange, seed {}: {clock} (now {})",
        args.seed,
        time::iso(handle.clock().now())
    );
    screen.say(&format!(
        "{}\n\n  use it     EVERCANDLE_INTERNET={url} evercandle get BTCUSDT 1m --last 1d --cache-dir /tmp/simulated\n  \
         break it   curl {url}/_simulator/faults -d '{{\"effect\":{{\"kind\":\"refuse\"}},\"upstream\":\"binance-vision\"}}'\n  \
         repair it  curl -X DELETE {url}/_simulator/faults\n  \
         watch it   curl {url}/_simulator/journal\n\nCtrl-C stops it.",
        screen.ink(Ink::Title, &title)
    ));
    interrupt.wait().await;
    let requests = crate::text::count(handle.journal().len() as u64, "request");
    screen.say(&format!("stopped after {requests}"));
    Ok(Exit::Complete)
}
