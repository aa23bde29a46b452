//! Keys, tokens, and what they open.

use evercandle_server::Secrets;

use crate::support::{Daemon, status};

const KEY: &str = "a-key-of-16-characters";
const TOKEN: &str = "a-token-of-16-characters";

fn secrets(api_key: Option<&str>, admin_token: Option<&str>) -> Secrets {
    Secrets {
        api_key: api_key.map(str::to_owned),
        admin_token: admin_token.map(str::to_owned),
    }
}

/// A request with these further header lines and this body.
fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    )
}

async fn order(daemon: &Daemon, method: &str, path: &str, body: &str) -> (u16, String) {
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    let answer = daemon.ask(&request(method, path, &token, body)).await;
    (status(&answer), answer)
}

/// Goal: every kind of path with every key, over a real connection.
#[tokio::test]
async fn pages_are_open_data_wants_the_key_and_the_administration_its_token() {
    let daemon = Daemon::with(secrets(Some(KEY), Some(TOKEN)), |_| {}).await;
    let key = format!("X-Api-Key: {KEY}\r\n");
    let bearer = format!("Authorization: Bearer {KEY}\r\n");
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    // Path, then: without anything, with the key, as a bearer, with the token.
    let table = [
        ("GET /health/live", [200, 200, 200, 200]),
        ("GET /health", [401, 200, 200, 401]),
        ("GET /metrics", [401, 200, 200, 401]),
        ("GET /v1/nothing", [401, 404, 404, 401]),
        ("GET /admin/cache/verify", [401, 401, 401, 200]),
        ("POST /admin/nothing", [401, 401, 401, 404]),
        ("GET /admin/cache/evict", [401, 401, 401, 405]),
    ];
    for (what, expected) in table {
        let (method, path) = what.split_once(' ').unwrap();
        for (headers, expected) in ["", &key, &bearer, &token].into_iter().zip(expected) {
            let answer = daemon.ask(&request(method, path, headers, "")).await;
            // Nobody counts metrics in this process.
            let found = status(&answer);
            let is_as_expected = found == expected || (path == "/metrics" && expected == 200 && found != 401);
            assert!(is_as_expected, "{what} with {headers:?}: {answer}");
            if found == 401 {
                let answer = answer.to_lowercase();
                assert!(answer.contains("www-authenticate: bearer"), "{answer}");
                assert!(answer.contains("application/problem+json"), "{answer}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_is_never_read_from_an_address_or_a_cookie() {
    let daemon = Daemon::with(secrets(Some(KEY), Some(TOKEN)), |_| {}).await;
    for (path, headers) in [
        (format!("/health?api_key={KEY}"), String::new()),
        (format!("/health?access_token={KEY}"), String::new()),
        ("/health".to_owned(), format!("Cookie: api_key={KEY}\r\n")),
        (
            "/admin/cache/verify".to_owned(),
            format!("Cookie: admin_token={TOKEN}\r\n"),
        ),
    ] {
        let answer = daemon.ask(&request("GET", &path, &headers, "")).await;
        assert_eq!(status(&answer), 401, "{path} {headers}");
    }
}

#[tokio::test]
async fn without_a_token_there_is_no_administration() {
    let daemon = Daemon::with(secrets(Some(KEY), None), |_| {}).await;
    for what in ["/admin", "/admin/cache/verify", "/admin/cache/evict", "/admin/refresh"] {
        let (status, answer) = order(&daemon, "POST", what, "{}").await;
        assert_eq!(status, 404, "{what}: {answer}");
    }
}

#[tokio::test]
async fn a_guessable_secret_stops_the_daemon_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    for (api_key, admin_token) in [(None, Some("")), (Some("short"), None), (None, Some("0123456789abcde"))] {
        let mut config = evercandle::Config::default();
        config.cache.dir = Some(dir.path().to_owned());
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        let client = evercandle::Client::new(config).unwrap();
        let refused = evercandle_server::Server::bind(client, secrets(api_key, admin_token)).await;
        let words = refused.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(words.contains("expected at least 16"), "{words}");
    }
}

#[tokio::test]
async fn a_circuit_is_forced_and_reset_by_hand() {
    let daemon = Daemon::with(secrets(None, Some(TOKEN)), |_| {}).await;
    let path = "/admin/providers/binance/circuit";
    for (action, circuit) in [("force_open", "open"), ("force_closed", "closed"), ("reset", "closed")] {
        let (status, answer) = order(&daemon, "POST", path, &format!(r#"{{"action":"{action}"}}"#)).await;
        assert_eq!(status, 200, "{answer}");
        assert!(
            answer.ends_with(&format!(r#"{{"provider":"binance","circuit":"{circuit}"}}"#)),
            "{answer}"
        );
    }
    for (path, body, expected) in [
        ("/admin/providers/binanse/circuit", r#"{"action":"reset"}"#, 404),
        (path, r#"{"action":"burn"}"#, 400),
        (path, r#"{"action":"reset","force":true}"#, 400),
        (path, "{", 400),
        (path, "", 400),
    ] {
        let (status, answer) = order(&daemon, "POST", path, body).await;
        assert_eq!(status, expected, "{body}: {answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
}

/// Goal: a no means that nothing was done.
#[tokio::test]
async fn an_order_whose_answer_could_not_be_read_is_not_carried_out() {
    let daemon = Daemon::with(secrets(None, Some(TOKEN)), |_| {}).await;
    let headers = format!("Authorization: Bearer {TOKEN}\r\nAccept-Encoding: identity;q=0\r\n");
    let path = "/admin/providers/binance/circuit";
    let answer = daemon
        .ask(&request("POST", path, &headers, r#"{"action":"force_open"}"#))
        .await;
    assert_eq!(status(&answer), 406, "{answer}");
    assert!(answer.contains("problem:not-acceptable"), "{answer}");
    let schedule = daemon.get("/health/scheduler").await;
    assert!(!schedule.contains(r#""circuit":"open""#), "{schedule}");
}

#[tokio::test]
async fn what_is_watched_is_refreshed_when_somebody_wants_it() {
    let daemon = Daemon::with(secrets(None, Some(TOKEN)), |config| {
        config.schedule.enabled = true;
        config.schedule.klines.clear();
        config.schedule.sentiment = false;
    })
    .await;
    let runs = async || {
        let answer = daemon.get("/health/scheduler").await;
        answer
            .split(r#""runs":"#)
            .filter_map(|rest| rest.split([',', '}']).next()?.parse::<u32>().ok())
            .max()
    };
    let reaches = async |wanted: u32| {
        for _ in 0..500 {
            if runs().await == Some(wanted) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("no run {wanted}: {}", daemon.get("/health/scheduler").await);
    };
    reaches(1).await;
    let (status, answer) = order(&daemon, "POST", "/admin/refresh?kind=prices", "").await;
    assert_eq!(status, 202, "{answer}");
    assert!(answer.ends_with(r#"{"begun":true}"#), "{answer}");
    reaches(2).await;
    for (path, expected) in [
        ("/admin/refresh?kind=klines", r#"{"begun":false}"#),
        ("/admin/refresh?kind=price", "expected klines, prices or sentiment"),
        ("/admin/refresh?sort=prices", "unknown field"),
    ] {
        let (_, answer) = order(&daemon, "POST", path, "").await;
        assert!(answer.contains(expected), "{path}: {answer}");
    }
}

#[tokio::test]
async fn the_cache_is_verified_behind_the_callers_back_and_reports() {
    let daemon = Daemon::with(secrets(None, Some(TOKEN)), |_| {}).await;
    let (_, answer) = order(&daemon, "GET", "/admin/cache/verify", "").await;
    assert!(answer.contains(r#""status":"never""#), "{answer}");
    let (status, answer) = order(&daemon, "POST", "/admin/cache/verify", "").await;
    assert_eq!(status, 202, "{answer}");
    let mut report = String::new();
    for _ in 0..200 {
        report = order(&daemon, "GET", "/admin/cache/verify", "").await.1;
        if !report.contains(r#""status":"running""#) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(report.contains(r#""status":"completed""#), "{report}");
    assert!(report.contains(r#""damaged":[]"#), "{report}");
}

#[tokio::test]
async fn an_eviction_says_what_it_is_about_or_is_refused() {
    let daemon = Daemon::with(secrets(None, Some(TOKEN)), |_| {}).await;
    for (body, expected) in [
        (r#"{"to_bytes":0}"#, 200),
        (r#"{"series":{"symbol":"BTCUSDT","interval":"1m"}}"#, 200),
        (r#"{"series":{"symbol":"BTCUSDT","interval":"1m","market":"um"}}"#, 200),
        ("{}", 400),
        (r#"{"to_bytes":0,"series":{"symbol":"BTCUSDT","interval":"1m"}}"#, 400),
        (r#"{"series":{"symbol":"../../etc","interval":"1m"}}"#, 400),
        (r#"{"series":{"symbol":"BTCUSDT","interval":"1 minute"}}"#, 400),
        (r#"{"to_bytes":-1}"#, 400),
        (r#"{"all":true}"#, 400),
        ("{", 400),
    ] {
        let (status, answer) = order(&daemon, "POST", "/admin/cache/evict", body).await;
        assert_eq!(status, expected, "{body}: {answer}");
        assert!(status == 200 || answer.contains(r#""status":400"#), "{answer}");
    }
}
