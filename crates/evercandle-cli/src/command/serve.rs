//! `serve`: the daemon, until SIGTERM or Ctrl-C.

use std::path::Path;

use evercandle::Config;
use evercandle::config::{ADMIN_TOKEN_VARIABLE, API_KEY_VARIABLE};
use evercandle_server::{Secrets, ServeError, Server, Webhooks};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::args::{Global, Serve};
use crate::command::interrupt::Interrupt;
use crate::exit::{Exit, Failure};
use crate::screen::{Ink, Screen};
use crate::session::{self, Session};

mod check;

mod probe;

mod supervisor;

use check::Report;
use supervisor::Notice;

pub(crate) async fn run(args: &Serve, global: &Global, screen: &Screen, interrupt: Interrupt) -> Result<Exit, Failure> {
    if args.probe {
        let listen = match args.listen {
            Some(listen) => listen,
            None => session::config(global)?.server.listen,
        };
        return probe::run(listen, screen).await;
    }
    // One that was handed over is ours from here on, even to check.
    let socket = supervisor::socket()?;
    let secrets = Secrets {
        admin_token: Config::secret_from_environment(ADMIN_TOKEN_VARIABLE),
        api_key: Config::secret_from_environment(API_KEY_VARIABLE),
    };
    if !args.check {
        evercandle_server::install_recorder();
        allow_many_files();
    }
    let session = Session::open_with(global, &args.internet, screen, |config| {
        if let Some(listen) = args.listen {
            config.server.listen = listen;
        }
    });
    if args.check {
        return explain(session, &secrets, socket.is_some(), global);
    }
    let session = session?;
    let client = session.client.clone();
    if socket.is_none()
        && let Some(warning) = check::exposed(client.config(), &secrets)
    {
        tracing::warn!("{warning}");
    }
    let server = match socket {
        Some(socket) => Server::on_socket(socket, client, secrets),
        None => Server::bind(client, secrets).await,
    };
    let config = session.client.config();
    let webhooks = Webhooks::new(&config.alerts, &config.http, Config::secret_from_environment)
        .map_err(|error| Failure::bad_input(error.to_string()))?;
    let server = server.map_err(cannot)?.telling(webhooks);
    let url = format!("http://{}", server.address());
    // The address is the data of this command: a script reads it.
    crate::output::print(&format!("{url}\n"))?;
    let rehearse = session.simulator().map(|exchange| {
        let refuse = r#"{"effect":{"kind":"refuse"},"upstream":"binance"}"#;
        format!("\n  break  curl {exchange}/_simulator/faults -d '{refuse}'\n  repair curl -X DELETE {exchange}/_simulator/faults")
    });
    screen.say(&format!(
        "{}\n\n  look   {url}/\n  ask    curl '{url}/v1/klines?symbol=BTCUSDT&interval=1m&limit=3'\n  health curl {url}/health/scheduler{}\n\nCtrl-C stops it.",
        screen.ink(Ink::Title, "evercandle serves"),
        rehearse.unwrap_or_default()
    ));
    supervisor::tell(Notice::Ready);
    let stop = async {
        interrupt.wait().await;
        supervisor::tell(Notice::Stopping);
    };
    server.run(stop).await.map_err(cannot)?;
    screen.say("stopped");
    Ok(Exit::Complete)
}

/// `--check`: the explanation is what was asked for, so it is data.
fn explain(
    session: Result<Session, Failure>,
    secrets: &Secrets,
    handed_over: bool,
    global: &Global,
) -> Result<Exit, Failure> {
    let file = global.config.as_deref().filter(|path| *path != Path::new(""));
    let origin = file.map_or("defaults, file and environment".to_owned(), |path| {
        path.display().to_string()
    });
    let session = match session {
        Ok(session) => session,
        Err(failure) => {
            crate::output::print(&format!(
                "configuration: {origin}\nproblem: {failure}\nit cannot serve\n"
            ))?;
            return Ok(Exit::BadInput);
        }
    };
    let report = Report::of(&session.client, secrets, handed_over);
    crate::output::print(&format!("configuration: {origin}\n{}", report.text()))?;
    Ok(match report.problems.is_empty() {
        true => Exit::Complete,
        false => Exit::BadInput,
    })
}

/// Every connection is an open file, and the usual limit is meant for programs that have few.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

fn cannot(error: ServeError) -> Failure {
    match error {
        ServeError::Listen { .. } => Failure::new(Exit::Unexpected, error.to_string())
            .hint("another program may be using it; --listen 127.0.0.1:0 takes a free port"),
        ServeError::Secret(_) | ServeError::Watches(_) => {
            Failure::bad_input(error.to_string()).hint("evercandle serve --check explains the whole configuration")
        }
    }
}
