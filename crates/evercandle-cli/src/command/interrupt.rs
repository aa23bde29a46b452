//! Being asked to stop, by Ctrl-C or by a supervisor.
//!
//! A supervisor may be quick: whoever hears of it only from some later step on would miss what was said before, and a
//! signal that somebody listens to does not end the program by itself. So there is one ear, from the first step on, and
//! everybody who wants to know shares it.

use std::io;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

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
