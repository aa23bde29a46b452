//! What a supervisor such as systemd says to a daemon, and is told by it: the socket to serve on, and when it serves.
//!
//! Both are conventions of environment variables. Without them there is no supervisor, and nothing happens.

use std::net::TcpListener;

use evercandle::Config;
use listenfd::ListenFd;

use crate::exit::{Exit, Failure};

/// The socket that is listened on already, if one was handed over (`LISTEN_FDS`, `LISTEN_PID`).
pub(super) fn socket() -> Result<Option<TcpListener>, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::new(
            Exit::Unexpected,
            format!("the socket that was handed over cannot be used: {error}"),
        )
        .hint("expected one listening TCP socket (ListenStream= with an address and a port)")
    };
    let mut sockets = ListenFd::from_env();
    match sockets.len() {
        0 => Ok(None),
        1 => sockets.take_tcp_listener(0).map_err(cannot),
        several => Err(Failure::new(
            Exit::Unexpected,
            format!("{several} sockets were handed over: expected one"),
        )),
    }
}

/// Something a supervisor wants to know.
#[derive(Clone, Copy, Debug)]
pub(super) enum Notice {
    /// Callers are answered.
    Ready,
    /// Answers under way may end.
    Stopping,
}

impl Notice {
    fn words(self) -> &'static str {
        match self {
            Notice::Ready => "READY=1\nSTATUS=serving",
            Notice::Stopping => "STOPPING=1\nSTATUS=letting answers under way end",
        }
    }
}

/// Tells the supervisor, if there is one that listens (`NOTIFY_SOCKET`).
pub(super) fn tell(notice: Notice) {
    let Some(place) = Config::variable("NOTIFY_SOCKET").filter(|place| !place.is_empty()) else {
        return;
    };
    if let Err(error) = send(&place, notice.words()) {
        tracing::warn!(%error, ?notice, "the supervisor cannot be told");
    }
}

#[cfg(unix)]
fn send(place: &str, words: &str) -> std::io::Result<()> {
    use std::os::unix::net::UnixDatagram;
    let socket = UnixDatagram::unbound()?;
    // A supervisor that does not read must not stop us.
    socket.set_nonblocking(true)?;
    #[cfg(target_os = "linux")]
    if let Some(name) = place.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        return socket.send_to_addr(words.as_bytes(), &address).map(|_| ());
    }
    socket.send_to(words.as_bytes(), place).map(|_| ())
}

#[cfg(not(unix))]
fn send(_place: &str, _words: &str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;

    #[test]
    fn supervisors_are_told_by_path_and_by_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("evercandle-test-{}", std::process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (socket, place) in [
            (by_path, path.to_str().unwrap().to_owned()),
            (by_name, format!("@{name}")),
        ] {
            send(&place, Notice::Ready.words()).unwrap();
            let mut bytes = [0; 64];
            let read = socket.recv(&mut bytes).unwrap();
            assert!(bytes[..read].starts_with(b"READY=1\n"), "{place}");
        }
        assert!(send("/nonexistent/notify", "READY=1").is_err());
    }
}
