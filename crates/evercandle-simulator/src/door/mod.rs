//! Side doors: further addresses of the same simulator, whose trouble is below HTTP.
//!
//! A fault can reset a connection once its request has been read; it cannot refuse one, because the port it came by is
//! open for everybody else. A door has a port of its own, so it can be shut, be deaf, or present the wrong papers, and be
//! switched while a client holds on to it. Every switch cuts the connections there are: a pool of them would otherwise
//! hide the change.
//!
//! A door keeps a second socket bound to its port that never listens. While the door is shut, that one makes the answer
//! "refused" and keeps the port from being given to somebody else. Each door has a thread, so that it can be switched from
//! anywhere, with a runtime or without.

#[cfg(feature = "tls")]
mod papers;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
#[cfg(feature = "tls")]
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};

use crate::server::converse;
use crate::simulator::{Simulator, WeakSimulator};

/// Connections waiting to be accepted at an open door.
const BACKLOG: u32 = 1024;
/// Connections held by a silent door; the oldest go first.
const SILENT_MAX: usize = 10_000;
/// How long a connection may take before a deaf door is believed to be deaf. On loopback it takes microseconds.
const DEAF_AFTER: Duration = Duration::from_millis(100);
/// Connections that may slip in before that: a queue of length zero holds one.
const QUEUE_MAX: usize = 16;

/// How a door treats those who knock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoorBehaviour {
    /// It serves as the main address does.
    Open,
    /// Nothing listens: connections are refused.
    Refused,
    /// Nobody answers at all: connecting hangs until the client gives up.
    BlackHole,
    /// Connections are accepted and nothing ever comes.
    Silent,
    /// Connections are accepted and reset at once.
    ResetOnConnect,
    /// TLS with a certificate that vouches for itself.
    #[cfg(feature = "tls")]
    TlsSelfSigned,
    /// TLS with a certificate that has expired; its issuer is [`Door::issuer_pem`].
    #[cfg(feature = "tls")]
    TlsExpired,
    /// TLS with a certificate for somebody else; its issuer is [`Door::issuer_pem`].
    #[cfg(feature = "tls")]
    TlsWrongHost,
    /// The connection is reset after the client's first message of the TLS handshake.
    #[cfg(feature = "tls")]
    TlsResetInHandshake,
}

impl DoorBehaviour {
    fn scheme(self) -> &'static str {
        match self {
            DoorBehaviour::Open
            | DoorBehaviour::Refused
            | DoorBehaviour::BlackHole
            | DoorBehaviour::Silent
            | DoorBehaviour::ResetOnConnect => "http",
            #[cfg(feature = "tls")]
            _ => "https",
        }
    }
}

/// A further address of a simulator. Clones are the same door; it is there until closed or the simulator ends.
#[derive(Clone)]
pub struct Door {
    inner: Arc<Inner>,
}

struct Inner {
    id: u64,
    addr: SocketAddr,
    behaviour: Mutex<DoorBehaviour>,
    orders: UnboundedSender<Order>,
    #[cfg(feature = "tls")]
    papers: Arc<papers::Papers>,
}

enum Order {
    Behave(DoorBehaviour, mpsc::Sender<io::Result<()>>),
    Close(mpsc::Sender<io::Result<()>>),
}

impl Door {
    /// Names it over HTTP.
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// The socket, the same whatever it does.
    pub fn addr(&self) -> SocketAddr {
        self.inner.addr
    }

    /// `http://127.0.0.1:PORT`, or `https://` while it speaks TLS: what `EVERCANDLE_INTERNET` wants.
    pub fn url(&self) -> String {
        format!("{}://{}", self.behaviour().scheme(), self.inner.addr)
    }

    /// What it does now.
    pub fn behaviour(&self) -> DoorBehaviour {
        *self.inner.behaviour.lock()
    }

    /// Switches it; it has happened on return. Connections through it are cut.
    pub fn behave(&self, behaviour: DoorBehaviour) -> io::Result<()> {
        let mut known = self.inner.behaviour.lock();
        self.order(|done| Order::Behave(behaviour, done))?;
        *known = behaviour;
        Ok(())
    }

    /// Closes it for good.
    pub fn close(&self) {
        // A door that has closed already is what was wanted.
        let _ = self.order(Order::Close);
    }

    /// The certificate of those who issued the ones this door shows, for clients that are to trust them.
    #[cfg(feature = "tls")]
    pub fn issuer_pem(&self) -> String {
        self.inner.papers.issuer_pem()
    }

    fn order(&self, order: impl FnOnce(mpsc::Sender<io::Result<()>>) -> Order) -> io::Result<()> {
        let closed = || io::Error::new(io::ErrorKind::NotConnected, "the door is closed");
        let (done, told) = mpsc::channel();
        self.inner.orders.send(order(done)).map_err(|_| closed())?;
        told.recv().map_err(|_| closed())?
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("id", &self.inner.id)
            .field("addr", &self.inner.addr)
            .field("behaviour", &self.behaviour())
            .finish_non_exhaustive()
    }
}

/// The doors of one simulator.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    book: Mutex<(u64, Vec<Door>)>,
}

impl Doors {
    /// Opens one on a free port of the loopback address.
    pub(crate) fn open(&self, simulator: WeakSimulator) -> io::Result<Door> {
        let (orders, received) = unbounded_channel();
        let (tell, told) = mpsc::channel();
        #[cfg(feature = "tls")]
        let papers = Arc::new(papers::Papers::new()?);
        let keeper = Keeper {
            simulator,
            #[cfg(feature = "tls")]
            papers: Arc::clone(&papers),
        };
        std::thread::Builder::new()
            .name("evercandle-door".to_owned())
            .spawn(move || keep(keeper, received, tell))?;
        let addr = told.recv().map_err(io::Error::other)??;
        let mut book = self.book.lock();
        book.0 += 1;
        let door = Door {
            inner: Arc::new(Inner {
                id: book.0,
                addr,
                behaviour: Mutex::new(DoorBehaviour::Open),
                orders,
                #[cfg(feature = "tls")]
                papers,
            }),
        };
        book.1.push(door.clone());
        Ok(door)
    }

    pub(crate) fn list(&self) -> Vec<Door> {
        self.book.lock().1.clone()
    }

    /// Closes one and forgets it; `false` if there is none of that name.
    pub(crate) fn close(&self, id: u64) -> bool {
        let mut book = self.book.lock();
        let Some(position) = book.1.iter().position(|door| door.id() == id) else {
            return false;
        };
        book.1.swap_remove(position).close();
        true
    }

    pub(crate) fn close_all(&self) {
        self.book.lock().1.drain(..).for_each(|door| door.close());
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        // The last reference may go away on a door's own thread, which cannot wait for itself.
        for door in self.book.get_mut().1.drain(..) {
            let (done, _) = mpsc::channel();
            let _ = door.inner.orders.send(Order::Close(done));
        }
    }
}

/// Who stands behind a door.
struct Keeper {
    simulator: WeakSimulator,
    #[cfg(feature = "tls")]
    papers: Arc<papers::Papers>,
}

/// The life of a door's thread.
fn keep(keeper: Keeper, mut orders: UnboundedReceiver<Order>, tell: mpsc::Sender<io::Result<SocketAddr>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(tell.send(Err(error))),
    };
    runtime.block_on(async move {
        let opened = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).and_then(|anchor| {
            let addr = anchor.local_addr()?;
            Ok((anchor, addr, stand(&keeper, DoorBehaviour::Open, addr)?))
        });
        let (_anchor, addr, mut watch) = match opened {
            Ok((anchor, addr, watch)) => {
                let _ = tell.send(Ok(addr));
                (anchor, addr, watch)
            }
            Err(error) => return drop(tell.send(Err(error))),
        };
        while let Some(order) = orders.recv().await {
            if let Some(watch) = watch.take() {
                watch.abort();
                // Only when the task is gone are its listener and its connections.
                let _ = watch.await;
            }
            match order {
                Order::Close(done) => return drop(done.send(Ok(()))),
                Order::Behave(behaviour, done) => {
                    let stood = stand(&keeper, behaviour, addr);
                    let _ = done.send(stood.map(|task| watch = task));
                }
            }
        }
    });
    runtime.shutdown_background();
}

/// A socket that shares the door's port with those before and after it.
fn socket(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    // Elsewhere than on Linux two sockets share a port under this name.
    #[cfg(all(unix, not(target_os = "linux")))]
    socket.set_reuseport(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

/// Takes up a behaviour: the task that keeps it up, where one is needed.
fn stand(keeper: &Keeper, behaviour: DoorBehaviour, addr: SocketAddr) -> io::Result<Option<JoinHandle<()>>> {
    let listener = match behaviour {
        DoorBehaviour::Refused => return Ok(None),
        DoorBehaviour::BlackHole => socket(addr)?.listen(0)?,
        _ => socket(addr)?.listen(BACKLOG)?,
    };
    let simulator = keeper.simulator.clone();
    Ok(Some(match behaviour {
        DoorBehaviour::Refused | DoorBehaviour::Open => {
            tokio::spawn(accept(listener, move |stream| serve(stream, simulator.upgrade())))
        }
        DoorBehaviour::BlackHole => {
            let queued = fill(addr)?;
            tokio::spawn(async move {
                let _held = (listener, queued);
                std::future::pending().await
            })
        }
        DoorBehaviour::Silent => tokio::spawn(hold(listener)),
        DoorBehaviour::ResetOnConnect => tokio::spawn(accept(listener, |stream| async move {
            let _ = stream.set_zero_linger();
        })),
        #[cfg(feature = "tls")]
        DoorBehaviour::TlsResetInHandshake => tokio::spawn(accept(listener, |mut stream| async move {
            let _ = stream.read(&mut [0; 1]).await;
            let _ = stream.set_zero_linger();
        })),
        #[cfg(feature = "tls")]
        DoorBehaviour::TlsSelfSigned | DoorBehaviour::TlsExpired | DoorBehaviour::TlsWrongHost => {
            let acceptor = keeper.papers.acceptor(behaviour)?;
            tokio::spawn(accept(listener, move |stream| {
                let (acceptor, simulator) = (acceptor.clone(), simulator.upgrade());
                async move {
                    // Most clients hang up over the papers; that is what they are for.
                    if let (Ok(stream), Some(simulator)) = (acceptor.accept(stream).await, simulator) {
                        let _ = converse(stream, simulator).await;
                    }
                }
            }))
        }
    }))
}

async fn serve(stream: TcpStream, simulator: Option<Simulator>) {
    if let Some(simulator) = simulator {
        // A client that goes away in the middle is no news.
        let _ = converse(stream, simulator).await;
    }
}

/// Treats every connection in a task of its own; all end with this one.
async fn accept<F, T>(listener: TcpListener, treat: F)
where
    F: Fn(TcpStream) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let mut treated = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            treated.spawn(treat(stream));
            while treated.try_join_next().is_some() {}
        }
    }
}

/// Holds connections without a word.
async fn hold(listener: TcpListener) {
    let mut held = std::collections::VecDeque::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            held.push_back(stream);
            if held.len() > SILENT_MAX {
                held.pop_front();
            }
        }
    }
}

/// Fills the queue of a listener that never accepts, until the system drops whatever else arrives.
fn fill(addr: SocketAddr) -> io::Result<Vec<std::net::TcpStream>> {
    let mut queued = Vec::new();
    while queued.len() < QUEUE_MAX {
        match std::net::TcpStream::connect_timeout(&addr, DEAF_AFTER) {
            Ok(stream) => queued.push(stream),
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                return Ok(queued);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(
        "this system accepts more connections than its queue holds",
    ))
}
