//! `status`: how every upstream is doing, once or until Ctrl-C.
//!
//! Watching uses one client, so that its circuits live on from one table to the next. The table is shown far more often
//! than upstreams are probed: looking must not use up what they allow.

use std::time::Duration;

use evercandle::{Client, Control, Health};

use crate::args::{Global, Status, StatusFormat};
use crate::command::interrupt::Interrupt;
use crate::exit::{Exit, Failure};
use crate::output::list::json_text;
use crate::output::{self, health};
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::text;

/// How often upstreams are probed while watching.
const PROBE_EVERY: Duration = Duration::from_secs(30);
/// Moves to the top left of a terminal and clears it.
const HOME: &str = "\x1b[H\x1b[2J";

pub(crate) async fn run(
    args: &Status,
    global: &Global,
    screen: &Screen,
    interrupt: Interrupt,
) -> Result<Exit, Failure> {
    let session = Session::open(global, &args.internet, screen)?;
    if let Some(name) = &args.reset {
        reset(&session.client, name, screen)?;
    }
    let format = args.format.unwrap_or(StatusFormat::Table);
    if let Some(seconds) = args.watch {
        let every = Duration::from_secs(seconds);
        return tokio::select! {
            biased;
            () = interrupt.wait() => Ok(Exit::Complete),
            failure = watch(&session.client, every, format, !args.no_probe, screen) => failure,
        };
    }
    let health = match args.no_probe {
        true => session.client.health(),
        false => session.client.check().await,
    };
    output::print(&match format {
        StatusFormat::Table => health::shown(&health, screen),
        StatusFormat::Json => json_text(&format!("{:#}\n", health::object(&health))),
    })?;
    Ok(match health::can_serve(&health) {
        true => Exit::Complete,
        false => Exit::Unavailable,
    })
}

/// Lifts a ban.
fn reset(client: &Client, name: &str, screen: &Screen) -> Result<(), Failure> {
    let before = client.health();
    client.control(name, Control::Reset).map_err(|error| {
        let failure = Failure::from(error);
        match text::nearest(name, before.upstreams.iter().map(|u| u.provider.as_str())) {
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None => failure,
        }
    })?;
    let ban = before.upstreams.iter().find(|u| u.provider.as_str() == name);
    screen.say(&match ban.and_then(|u| u.quarantine.as_ref()) {
        Some(why) => screen.ink(
            Ink::Good,
            &format!("{name}: the ban is lifted ({})", text::foreign(why)),
        ),
        None => format!("{name}: there was no ban to lift"),
    });
    if let Some(why) = &before.cache_readonly {
        let what = format!(
            "the cache is only read, so the ban is still on disk: {}",
            text::foreign(why)
        );
        screen.say(&format!("{} {what}", screen.ink(Ink::Warning, "warning:")));
    }
    Ok(())
}

async fn watch(
    client: &Client,
    every: Duration,
    format: StatusFormat,
    probes: bool,
    screen: &Screen,
) -> Result<Exit, Failure> {
    let probing = async {
        loop {
            client.check().await;
            tokio::time::sleep(PROBE_EVERY).await;
        }
    };
    let showing = async {
        // The first probes are given a moment, so that the first table says something.
        if probes {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        loop {
            show(&client.health(), every, format, screen)?;
            tokio::time::sleep(every).await;
        }
    };
    tokio::select! {
        () = probing, if probes => Ok(Exit::Complete),
        failure = showing => failure,
    }
}

fn show(health: &Health, every: Duration, format: StatusFormat, screen: &Screen) -> Result<(), Failure> {
    let text = match format {
        StatusFormat::Json => json_text(&format!("{}\n", health::object(health))),
        StatusFormat::Table => {
            let home = if screen.stdout_is_terminal { HOME } else { "" };
            let at = text::second(health.at);
            let title = crate::screen::paint(screen.stdout_color, Ink::Title, &format!("{at} UTC"));
            let about = format!("shown every {}; Ctrl-C ends it", text::span(every.as_micros() as i64));
            let about = crate::screen::paint(screen.stdout_color, Ink::Faint, &about);
            format!("{home}{title}  {about}\n{}\n", health::shown(health, screen))
        }
    };
    Ok(output::print(&text)?)
}
