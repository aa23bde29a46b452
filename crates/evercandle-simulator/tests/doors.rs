//! Doors: what a client meets below HTTP, and that it can change under its hands.
#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use evercandle_simulator::{Config, Door, DoorBehaviour, Handle, Request, Simulator, time};
use serde_json::{Value, json};

const PING: &[u8] = b"GET /api.binance.com/api/v3/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

fn start() -> Handle {
    let now = time::parse_instant("2024-06-01T12:00:30Z").unwrap();
    Simulator::start_blocking(Config::default().at(now)).unwrap()
}

fn connect(door: &Door) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&door.addr(), Duration::from_millis(300))?;
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    Ok(stream)
}

fn ping(door: &Door) -> std::io::Result<String> {
    let mut stream = connect(door)?;
    stream.write_all(PING)?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

#[test]
fn an_open_door_leads_to_the_same_simulator() {
    let handle = start();
    let door = handle.open_door_blocking().unwrap();
    assert_eq!(door.url(), format!("http://{}", door.addr()));
    assert_ne!(door.addr(), handle.addr());
    assert!(ping(&door).unwrap().ends_with("{}"));
    assert_eq!(handle.journal().len(), 1);
}

#[test]
fn a_shut_door_refuses_and_opens_again_at_the_same_address() {
    let handle = start();
    let door = handle.open_door_blocking().unwrap();
    for _ in 0..3 {
        door.behave(DoorBehaviour::Refused).unwrap();
        assert_eq!(connect(&door).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        door.behave(DoorBehaviour::Open).unwrap();
        assert!(ping(&door).unwrap().contains("200 OK"));
    }
}

#[test]
fn connecting_to_a_black_hole_hangs() {
    let handle = start();
    let door = handle.open_door_blocking().unwrap();
    door.behave(DoorBehaviour::BlackHole).unwrap();
    for _ in 0..3 {
        assert_eq!(connect(&door).unwrap_err().kind(), ErrorKind::TimedOut);
    }
    door.behave(DoorBehaviour::Open).unwrap();
    assert!(ping(&door).unwrap().contains("200 OK"));
}

#[test]
fn a_silent_door_accepts_and_says_nothing() {
    let handle = start();
    let door = handle.open_door_blocking().unwrap();
    door.behave(DoorBehaviour::Silent).unwrap();
    let kind = ping(&door).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{kind}");
    assert!(handle.journal().is_empty());
}

#[test]
fn a_door_can_reset_whoever_connects() {
    let handle = start();
    let door = handle.open_door_blocking().unwrap();
    door.behave(DoorBehaviour::ResetOnConnect).unwrap();
    let kind = ping(&door).unwrap_err().kind();
    assert!(
        matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{kind}"
    );
}

/// Goal: a client with a pool must notice the switch. Method: keep a connection, shut the door, read from it.
#[test]
fn switching_a_door_cuts_the_connections_there_are() {
    let handle = start();
    let door = handle.open_door_blocking().unwrap();
    let mut stream = connect(&door).unwrap();
    stream
        .write_all(b"GET /api.binance.com/api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"{}") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        reply.extend(byte);
    }
    door.behave(DoorBehaviour::Refused).unwrap();
    let end = stream.read(&mut [0; 1024]);
    assert!(
        matches!(&end, Ok(0))
            || end
                .as_ref()
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionReset),
        "{end:?}"
    );
}

#[test]
fn doors_close_with_the_simulator() {
    let handle = start();
    let door = handle.open_door_blocking().unwrap();
    let other = handle.open_door_blocking().unwrap();
    assert!(handle.close_door(door.id()) && !handle.close_door(door.id()));
    assert!(connect(&door).is_err());
    drop(handle);
    assert!(connect(&other).is_err());
    assert_eq!(
        other.behave(DoorBehaviour::Open).unwrap_err().kind(),
        ErrorKind::NotConnected
    );
}

#[tokio::test]
async fn doors_work_beside_a_runtime_with_one_thread() {
    let handle = Simulator::start(Config::default()).await.unwrap();
    let door = handle.open_door().await.unwrap();
    door.behave(DoorBehaviour::Refused).unwrap();
    assert!(tokio::net::TcpStream::connect(door.addr()).await.is_err());
    door.behave(DoorBehaviour::Open).unwrap();
    assert!(tokio::net::TcpStream::connect(door.addr()).await.is_ok());
}

#[test]
fn doors_are_opened_switched_and_closed_over_http() {
    let handle = start();
    let call = |method: &str, route: &str, body: &str| -> (u16, Value) {
        let mut request = Request::new(method, &format!("_simulator/{route}"));
        request.body = body.to_owned().into();
        let response = handle.respond(&request, handle.clock().now()).response;
        (response.status, serde_json::from_slice(&response.body).unwrap())
    };
    let (_, opened) = call("POST", "doors", "");
    assert_eq!((&opened["id"], &opened["behaviour"]), (&json!(1), &json!("open")));
    let (_, switched) = call("POST", "doors?id=1", r#"{"behaviour":"refused"}"#);
    assert_eq!(
        (&switched["url"], &switched["behaviour"]),
        (&opened["url"], &json!("refused"))
    );
    let door = handle.doors().remove(0);
    assert_eq!(connect(&door).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(call("POST", "doors?id=7", "").0, 400);
    assert_eq!(call("POST", "doors?id=1", r#"{"behaviour":"ajar"}"#).0, 400);
    assert_eq!(call("GET", "doors", "").1.as_array().unwrap().len(), 1);
    call("DELETE", "doors?id=1", "");
    assert_eq!(call("GET", "doors", "").1, json!([]));
}

#[cfg(feature = "tls")]
mod tls {
    use std::sync::Arc;

    use super::*;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{CertificateError, ClientConfig, ClientConnection, Error, RootCertStore, Stream};

    /// Pings through a door with a client that trusts its issuer and nobody else.
    fn ping(door: &Door, name: &str) -> std::io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(door.issuer_pem().as_bytes()).unwrap())
            .unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut tcp = connect(door)?;
        let mut stream = Stream::new(&mut client, &mut tcp);
        stream.write_all(PING)?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        Ok(reply)
    }

    fn complaint(door: &Door, name: &str) -> Error {
        let error = ping(door, name).unwrap_err();
        error.into_inner().unwrap().downcast_ref::<Error>().unwrap().clone()
    }

    /// Goal: each certificate is wrong in one way only. Method: a client that trusts the issuer names its complaint.
    #[test]
    fn bad_papers_are_bad_for_one_reason_each() {
        let handle = start();
        let door = handle.open_door_blocking().unwrap();
        door.behave(DoorBehaviour::TlsWrongHost).unwrap();
        assert!(door.url().starts_with("https://127.0.0.1:"));
        assert!(matches!(
            complaint(&door, "127.0.0.1"),
            Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })
        ));
        assert!(ping(&door, "elsewhere.example").unwrap().contains("200 OK"));
        door.behave(DoorBehaviour::TlsExpired).unwrap();
        assert!(matches!(
            complaint(&door, "127.0.0.1"),
            Error::InvalidCertificate(CertificateError::ExpiredContext { .. })
        ));
        door.behave(DoorBehaviour::TlsSelfSigned).unwrap();
        assert!(matches!(complaint(&door, "127.0.0.1"), Error::InvalidCertificate(_)));
        assert_eq!(handle.journal().len(), 1);
    }

    #[test]
    fn a_handshake_can_be_reset() {
        let handle = start();
        let door = handle.open_door_blocking().unwrap();
        door.behave(DoorBehaviour::TlsResetInHandshake).unwrap();
        let kind = ping(&door, "127.0.0.1").unwrap_err().kind();
        assert!(
            matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
            "{kind}"
        );
    }
}
