//! `serve`: the daemon, until SIGTERM or Ctrl-C.

use evercandle::Config;
use evercandle::config::{ADMIN_TOKEN_VARIABLE, API_KEY_VARIABLE};
use evercandle_server::{Secrets, ServeError, Server, Webhooks};

use crate::args::{Global, Serve};
use crate::exit::{Exit, Failure};
use crate::screen::{Ink, Screen};
use crate::session::Session;

pub(crate) async fn run(args: &Serve, global: &Global, screen: &Screen) -> Result<Exit, Failure> {
    evercandle_server::install_recorder();
    let session = Session::open_with(global, &args.internet, screen, |config| {
        if let Some(listen) = args.listen {
            config.server.listen = listen;
        }
    })?;
    let secrets = Secrets {
        admin_token: Config::secret_from_environment(ADMIN_TOKEN_VARIABLE),
        api_key: Config::secret_from_environment(API_KEY_VARIABLE),
    };
    let config = session.client.config();
    let webhooks = Webhooks::new(&config.alerts, &config.http, Config::secret_from_environment)
        .map_err(|error| Failure::bad_input(error.to_string()))?;
    let server = Server::bind(session.client.clone(), secrets).await.map_err(cannot)?;
    let server = server.telling(webhooks);
    let url = format!("http://{}", server.address());
    // The address is the data of this command: a script reads it.
    crate::output::print(&format!("{url}\n"))?;
    screen.say(&format!(
        "{}\n\n  look   {url}/\n  ask    curl '{url}/v1/klines?symbol=BTCUSDT&interval=1m&limit=3'\n  health curl {url}/health/scheduler\n\nCtrl-C stops it.",
        screen.ink(Ink::Title, "evercandle serves")
    ));
    server.run(super::interrupt()).await.map_err(cannot)?;
    screen.say("stopped");
    Ok(Exit::Complete)
}

fn cannot(error: ServeError) -> Failure {
    Failure::new(Exit::Unexpected, error.to_string())
        .hint("another program may be using it; --listen 127.0.0.1:0 takes a free port")
}
