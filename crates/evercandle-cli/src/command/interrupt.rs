//! Being asked to stop, by Ctrl-C or by a supervisor.
//!
//! A supervisor may be quick: whoever hears of it only from some later step on would miss what was said before, and a
//! signal that somebody listens to does not end the program by itself. So there is one ear, from the first step on, and
//! everybody who wants to know shares it.
//!
//! Work that blocks hears nothing: it writes to a reader that does not read, or reads what does not end. So the ear
//! outlives its patience with it, and ends the program.

use std::io;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use crate::exit::Exit;
use crate::screen::{Ink, Screen};
use crate::temporary;

/// How long work that is asked to stop may take until it counts as deaf: what listens stops at once.
const DEAF_AFTER: Duration = Duration::from_secs(2);

/// That the program is asked to stop: heard from the making on, told to everybody who has a copy, whenever they ask.
#[derive(Clone)]
pub(crate) struct Interrupt(Shared<BoxFuture<'static, ()>>);

impl Interrupt {
    /// Listens from now on. To be called inside of a runtime.
    pub(crate) fn listen() -> Interrupt {
        let asked = asked();
        let asked = async move {
            match asked {
                Ok(asked) => asked.await,
                // The signal still ends the program, in the operating system's way.
                Err(error) => {
                    tracing::warn!(%error, "signals cannot be listened to: a stop will be abrupt");
                    std::future::pending().await
                }
            }
        };
        Interrupt(asked.boxed().shared())
    }

    /// Ends the program if it still runs a while after it was asked to stop.
    pub(crate) fn end_the_deaf(self, screen: Screen) {
        tokio::spawn(async move {
            self.wait().await;
            tokio::time::sleep(DEAF_AFTER).await;
            screen.insist(&format!("{} interrupted", screen.ink(Ink::Bad, "error:")));
            temporary::remove();
            std::process::exit(Exit::Interrupted as i32);
        });
    }

    /// Returns when the program is asked to stop, or has been.
    pub(crate) async fn wait(self) {
        self.0.await;
    }
}

#[cfg(unix)]
fn asked() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn asked() -> io::Result<impl Future<Output = ()> + Send> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
