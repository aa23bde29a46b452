//! alternative.me: the Crypto Fear & Greed Index, one number a day.
//!
//! The primary sentiment: free, without a key, and with a history since 2018. Other indices share its name and measure
//! something else, so the name in each answer is compared. `README.md` in this folder says what is known of it, and what
//! its owner asks of those who show it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::http::{Ask, Http, Method, Reply, StatusRules};
use super::settings::Settings;
use super::{Call, Entry, FetchError, Provider, Pulse, QuotaSpec, Roles, SentimentProvider};
use crate::answer::ProviderName;
use crate::config::{ConfigError, ProviderConfig};
use crate::model::range::Timestamp;
use crate::sentiment::{Measure, Reading};

mod fng;

/// Its name in the catalogue.
pub const NAME: &str = "alternative-me";

const HOST: &str = "api.alternative.me";
const PATH: &str = "/fng/";
/// It asks for no more than 60 a minute, counted over ten minutes.
const CALLS_PER_MINUTE: u32 = 60;
/// Thirteen years of readings take 500 kB.
const BYTES_MAX: usize = 4 << 20;
/// Its errors come from the machine itself, and a limit that does not say for how long is one per minute.
const RULES: StatusRules = StatusRules {
    throttled_for: Duration::from_secs(60),
    retry_server_errors: true,
};

/// The Fear & Greed Index.
pub const FNG: Entry = Entry {
    name: NAME,
    about: "the Crypto Fear & Greed Index, once a day",
    build: |config, http| {
        let fng = Arc::new(FearAndGreed::new(config, http)?);
        Ok(Roles {
            provider: fng.clone(),
            klines: None,
            prices: None,
            sentiment: Some(fng),
        })
    },
};

/// Asks for the index.
#[derive(Debug)]
pub struct FearAndGreed {
    http: Http,
    host: String,
    calls_per_minute: u32,
}

impl FearAndGreed {
    /// Reads the settings that `README.md` in this folder lists.
    pub fn new(config: &ProviderConfig, http: &Http) -> Result<FearAndGreed, ConfigError> {
        let settings = Settings::new(NAME, config, &["api"], &["calls_per_minute"])?;
        Ok(FearAndGreed {
            http: http.clone(),
            host: settings.hosts("api", &[HOST])?.swap_remove(0),
            calls_per_minute: settings.limit("calls_per_minute", CALLS_PER_MINUTE, u32::MAX)?,
        })
    }

    async fn send(&self, method: Method, count: u32) -> Result<Reply, FetchError> {
        let limit = count.to_string();
        let query = [("limit", limit.as_str()), ("format", "json")];
        let ask = Ask {
            method,
            ..Ask::text(&self.host, PATH, &query, BYTES_MAX)
        };
        self.http.send(ask).await
    }

    async fn ask(&self, count: u32) -> Result<Vec<Reading>, FetchError> {
        let reply = accept(self.send(Method::Get, count).await?)?;
        fng::parse(&reply.place, reply.text()?, reply.date())
    }
}

/// The reply if it is a 200; else what follows.
fn accept(reply: Reply) -> Result<Reply, FetchError> {
    match reply.refusal(RULES) {
        None => Ok(reply),
        // There is one page. If it is gone, that is no statement about the index.
        Some(FetchError::Absent(why)) => Err(FetchError::Rejected(why)),
        Some(refusal) => Err(refusal),
    }
}

/// Parses a body as [`FearAndGreed`] does: for tests against recorded answers.
#[doc(hidden)]
pub fn decode(body: &str, now: Option<Timestamp>) -> Result<Vec<Reading>, FetchError> {
    fng::parse("body", body, now)
}

#[async_trait]
impl Provider for FearAndGreed {
    fn name(&self) -> ProviderName {
        ProviderName::new(NAME)
    }

    fn quota(&self, _: Call<'_>) -> Option<QuotaSpec> {
        Some(QuotaSpec {
            group: NAME,
            weight_per_minute: self.calls_per_minute,
            weight: 1,
        })
    }

    async fn probe(&self, method: Method) -> Result<Pulse, FetchError> {
        match method {
            Method::Head => Pulse::of_head(self.send(Method::Head, 1).await?, accept),
            Method::Get => self.ask(1).await.map(|_| Pulse::Alive),
        }
    }
}

#[async_trait]
impl SentimentProvider for FearAndGreed {
    fn measure(&self) -> Measure {
        Measure::FearAndGreed
    }

    async fn readings(&self, count: u32) -> Result<Vec<Reading>, FetchError> {
        // To this upstream, a limit of 0 means everything there ever was.
        if count == 0 {
            return Err(FetchError::Rejected(format!(
                "{}{PATH}: no reading was asked for",
                self.host
            )));
        }
        let mut readings = self.ask(count).await?;
        readings.truncate(count as usize);
        Ok(readings)
    }
}

#[cfg(test)]
mod tests {
    use super::super::http::stub::{Act, Stub};
    use super::*;

    const BODY: &str = r#"{"name":"Fear and Greed Index","data":[{"value":"47","value_classification":"Neutral","timestamp":"1745280000","time_until_update":"6023"},{"value":"39","value_classification":"Fear","timestamp":"1745193600"}],"metadata":{"error":null}}"#;
    const DATE: &str = "Date: Tue, 22 Apr 2025 22:19:37 GMT\r\n";

    fn provider(stub: &Stub) -> FearAndGreed {
        FearAndGreed::new(&ProviderConfig::default(), &stub.http()).unwrap()
    }

    #[tokio::test]
    async fn readings_come_newest_first_and_no_more_than_asked_for() {
        let stub = Stub::start(|_| Act::Reply(200, DATE, BODY.into())).await;
        let fng = provider(&stub);
        let both = fng.readings(2).await.unwrap();
        assert_eq!(both.iter().map(|r| r.value).collect::<Vec<_>>(), [47.0, 39.0]);
        assert_eq!(both[0].valid_until.unwrap().to_string(), "2025-04-23T00:00:00Z");
        assert_eq!(fng.readings(1).await.unwrap(), both[..1]);
        assert!(matches!(fng.readings(0).await, Err(FetchError::Rejected(_))));
        assert_eq!(
            stub.targets(),
            [
                "/api.alternative.me/fng/?limit=2&format=json",
                "/api.alternative.me/fng/?limit=1&format=json"
            ]
        );
        let quota = fng.quota(Call::Readings(1)).unwrap();
        assert_eq!((quota.group, quota.weight_per_minute, quota.weight), (NAME, 60, 1));
    }

    #[tokio::test]
    async fn a_refusal_is_told_by_its_status() {
        for (status, headers, kind) in [
            (404, "", "rejected"),
            (429, "Retry-After: 9\r\n", "throttled"),
            (429, "", "throttled"),
            (403, "", "throttled"),
            (500, "", "unreachable"),
            (503, "", "unreachable"),
            (302, "", "unreachable"),
            (204, "", "unreachable"),
        ] {
            let stub = Stub::start(move |_| Act::Reply(status, headers, vec![])).await;
            let fng = provider(&stub);
            let error = fng.readings(1).await.unwrap_err();
            assert_eq!(error.policy().kind, kind, "{status}");
            assert!(error.to_string().contains("api.alternative.me/fng/"), "{error}");
            if let FetchError::Throttled { retry_after, told, .. } = error {
                let expected = if headers.is_empty() { 60 } else { 9 };
                assert_eq!((retry_after.as_secs(), told), (expected, !headers.is_empty()));
            }
            let pulse = fng.probe(Method::Head).await;
            match status {
                404 => assert_eq!(pulse, Ok(Pulse::MethodNotServed)),
                _ => assert_eq!(pulse.unwrap_err().policy().kind, kind, "{status}"),
            }
        }
    }

    #[tokio::test]
    async fn a_probe_is_a_head_or_the_newest_reading() {
        let stub = Stub::start(|_| Act::Reply(200, DATE, BODY.into())).await;
        for method in [Method::Head, Method::Get] {
            assert_eq!(provider(&stub).probe(method).await, Ok(Pulse::Alive));
        }
        let heads: Vec<String> = stub.asked.lock().iter().map(|head| head[..4].to_owned()).collect();
        assert_eq!(heads, ["HEAD", "GET "]);
        let portal = Stub::start(|_| Act::ok("<html>Sign in to the hotel</html>")).await;
        assert!(matches!(
            provider(&portal).probe(Method::Get).await,
            Err(FetchError::Corrupt(_))
        ));
    }

    #[test]
    fn settings_are_read_by_name() {
        let http = Http::new(&crate::config::HttpConfig::default(), None).unwrap();
        let build = |limits: &[(&str, u64)]| {
            let limits = limits
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect();
            let config = ProviderConfig {
                limits,
                ..ProviderConfig::default()
            };
            FearAndGreed::new(&config, &http)
        };
        let fng = build(&[("calls_per_minute", 5)]).unwrap();
        assert_eq!(fng.quota(Call::Probe).unwrap().weight_per_minute, 5);
        for wrong in [("calls_per_minute", 0), ("calls", 5)] {
            let error = build(&[wrong]).unwrap_err().to_string();
            assert!(error.contains(wrong.0) && error.contains("expected"), "{error}");
        }
    }
}
