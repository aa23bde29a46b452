//! `--probe`: asks the daemon that listens there whether it can serve, for supervisors that run a command and have no
//! other program at hand, as in a container without a shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::exit::{Exit, Failure};
use crate::screen::Screen;

/// A supervisor that asks every few seconds wants an answer before it asks again.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn run(listen: SocketAddr, screen: &Screen) -> Result<Exit, Failure> {
    let url = format!("http://{}/health/ready", reached_at(listen));
    let unavailable =
        |error: reqwest::Error| Failure::new(Exit::Unavailable, format!("{url} does not answer: {error}"));
    // Else there is nothing to speak TLS with, without which no client is made.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .map_err(unavailable)?;
    let response = http.get(&url).send().await.map_err(unavailable)?;
    let status = response.status();
    crate::output::print(&response.text().await.map_err(unavailable)?)?;
    if status.is_success() {
        return Ok(Exit::Complete);
    }
    screen.say(&format!("{url} answered {status}"));
    Ok(Exit::Unavailable)
}

/// Who listens on every address is asked on this machine's own.
fn reached_at(listen: SocketAddr) -> SocketAddr {
    let own: IpAddr = match listen {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    match listen.ip().is_unspecified() {
        true => SocketAddr::new(own, listen.port()),
        false => listen,
    }
}
