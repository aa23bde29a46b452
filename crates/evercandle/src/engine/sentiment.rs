//! How the market feels: the primary measure → today's reading of it, remembered → another measure, said to be one → the
//! last known reading, with its age → every upstream's reason.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::{Attempt, ProviderName, Via};
use crate::engine::Engine;
use crate::engine::attempt::{Errand, attempt};
use crate::engine::last_known::{Kind, Known};
use crate::engine::latest::{Shared, Wanted, from_the_future, too_old};
use crate::engine::upstream::Upstream;
use crate::error::Error;
use crate::model::range::{DAY, Timestamp};
use crate::provider::Call;
use crate::resilience::deadline::Deadline;
use crate::sentiment::{Measure, Reading, Secondary, Sentiment, SentimentAnswer, SentimentRequest, SentimentState};
use crate::telemetry;

/// Readings of one question at the most: every day since 2018, and a few years to come.
const READINGS_MAX: u32 = 10_000;
/// How old another measure's reading may be and still count as current; in microseconds.
const SECONDARY_CURRENT: i64 = 2 * DAY;
/// How long after a reading's end its successor may take to appear before its absence means something.
const DUE_AFTER: i64 = 6 * 3_600_000_000;

/// What the upstreams said about sentiment.
#[derive(Default)]
pub(crate) struct Read {
    found: Option<(Measure, Known<Vec<Reading>>, Via)>,
    reasons: Vec<(ProviderName, String)>,
    trail: Vec<Attempt>,
}

impl Engine {
    pub(crate) async fn sentiment(self: &Arc<Self>, request: &SentimentRequest) -> Result<SentimentAnswer, Error> {
        if !(1..=READINGS_MAX).contains(&request.count) {
            let found = request.count;
            return Err(Error::BadRequest(format!(
                "{found} readings were asked for: expected 1 to {READINGS_MAX}"
            )));
        }
        if let Some(sentiment) = self.fresh_readings(request.count) {
            telemetry::latest_read("sentiment", "hit");
            let trail = Vec::new();
            return Ok(SentimentAnswer { sentiment, trail });
        }
        telemetry::latest_read("sentiment", "miss");
        let (count, secondary) = (request.count, request.secondary == Secondary::Allow);
        let key = Wanted::Readings { count, secondary };
        let (engine, deadline) = (self.clone(), self.latest_deadline(request.deadline));
        let own = deadline.clone();
        let work = || async move { Shared::Readings(Arc::new(engine.read_sentiment(count, secondary, &own).await)) };
        let read = match self.latest_in_time(key, work, &deadline).await {
            Some(Shared::Readings(read)) => read,
            _ => Arc::default(),
        };
        let trail = read.trail.clone();
        if let Some((measure, known, via)) = &read.found
            && let Some(sentiment) = self.told_sentiment(measure, known, count, *via)
        {
            if !measure.is_primary() {
                telemetry::substitute_served(&known.provider);
            }
            self.last_known.was_answered(Kind::Sentiment);
            return Ok(SentimentAnswer { sentiment, trail });
        }
        let mut reasons = read.reasons.clone();
        let oldest = Duration::from_millis(self.latest_config.sentiment_stale_if_error_ms);
        if let Some(known) = self.last_known.readings(&Measure::FearAndGreed) {
            match known.age(&self.clock) {
                Some(age) if age <= oldest => {
                    if let Some(mut sentiment) = self.told_sentiment(&Measure::FearAndGreed, &known, count, Via::Cache)
                    {
                        match sentiment.state {
                            // Today's reading is the newest there is, whoever remembers it.
                            SentimentState::Current => self.last_known.was_answered(Kind::Sentiment),
                            SentimentState::Stale | SentimentState::LastKnown => {
                                sentiment.state = SentimentState::LastKnown;
                                self.last_known.was_served(Kind::Sentiment);
                            }
                        }
                        return Ok(SentimentAnswer { sentiment, trail });
                    }
                }
                Some(age) => reasons.push(too_old(age, oldest)),
                None => reasons.push(from_the_future()),
            }
        }
        self.last_known.was_refused(Kind::Sentiment);
        Err(Error::NoUpstream {
            what: "sentiment".to_owned(),
            reasons,
            retry_after: self.retry_after(|u| u.sentiment().is_some_and(|s| secondary || s.measure().is_primary())),
        })
    }

    /// The primary measure, as fetched a moment ago.
    fn fresh_readings(&self, count: u32) -> Option<Sentiment> {
        let measure = Measure::FearAndGreed;
        let known = self.last_known.readings(&measure)?;
        self.is_fresh(&known, count)
            .then(|| self.told_sentiment(&measure, &known, count, Via::Cache))?
    }

    fn is_fresh(&self, known: &Known<Vec<Reading>>, count: u32) -> bool {
        let fresh = Duration::from_millis(self.latest_config.sentiment_fresh_ms);
        let young = known.since_told(&self.clock).is_some_and(|since| since < fresh);
        young && (known.is_all || known.value.len() >= count as usize)
    }

    /// Asks for the primary measure, then, if today's reading of it is not known either, for the others.
    async fn read_sentiment(self: &Arc<Self>, count: u32, secondary: bool, deadline: &Deadline) -> Read {
        let mut read = Read::default();
        let mut providers: Vec<&Arc<Upstream>> = self.upstreams.iter().filter(|u| u.sentiment().is_some()).collect();
        // Primary first; among the others, votes are at least a mood, positioning is not.
        let rank = |measure: Measure| match measure {
            Measure::FearAndGreed => 0,
            Measure::Votes { .. } => 1,
            Measure::LongShortRatio { .. } => 2,
        };
        providers.sort_by_key(|u| u.sentiment().map_or(u8::MAX, |s| rank(s.measure())));
        for upstream in providers {
            let Some(provider) = upstream.sentiment() else { continue };
            let measure = provider.measure();
            if !measure.is_primary() && (!secondary || self.knows_todays()) {
                continue;
            }
            // Another measure changes even less often than the primary one.
            if !measure.is_primary()
                && let Some(known) = self.last_known.readings(&measure)
                && self.is_fresh(&known, count)
            {
                read.found = Some((measure, known, Via::Cache));
                break;
            }
            let subject = measure.as_str();
            let errand = Errand {
                subject: &subject,
                range: None,
                form: "readings",
                call: Call::Readings(count),
            };
            let part = deadline.part(self.clock.instant());
            let ask = || provider.readings(count);
            let result = attempt(upstream, self.latest_terms(&part), errand, &mut read.trail, ask).await;
            match result {
                Ok(readings) if !readings.is_empty() => {
                    let now = self.clock.now();
                    let mut known = Known::new(readings.clone(), &upstream.name, readings[0].at, now, &self.clock);
                    known.is_all = readings.len() < count as usize;
                    self.last_known.keep_readings(&measure, known.clone());
                    read.found = Some((measure, known, Via::Upstream));
                    break;
                }
                Ok(_) => read
                    .reasons
                    .push((upstream.name.clone(), "it has no reading".to_owned())),
                Err(error) => read.reasons.push((upstream.name.clone(), error.to_string())),
            }
        }
        read
    }

    /// Whether the primary measure's reading is known that nothing has replaced yet.
    fn knows_todays(&self) -> bool {
        let known = self.last_known.readings(&Measure::FearAndGreed);
        known.is_some_and(|k| self.is_current(&k.value[0]))
    }

    fn is_current(&self, newest: &Reading) -> bool {
        // A day's reading appears some time after midnight; until the next one is due, it is the newest there is.
        let until = newest
            .valid_until
            .unwrap_or(newest.at.plus(DAY))
            .max(newest.at.plus(DAY));
        self.clock.now() < until.plus(DUE_AFTER)
    }

    fn told_sentiment(
        &self,
        measure: &Measure,
        known: &Known<Vec<Reading>>,
        count: u32,
        via: Via,
    ) -> Option<Sentiment> {
        let readings: Vec<Reading> = known.value.iter().take(count as usize).cloned().collect();
        let (newest, oldest) = (readings.first()?, readings.last()?);
        let current = match measure.is_primary() {
            true => self.is_current(newest),
            false => self.clock.now().since(newest.at) < SECONDARY_CURRENT,
        };
        let state = if current {
            SentimentState::Current
        } else {
            SentimentState::Stale
        };
        let days: HashSet<i64> = readings.iter().map(|r| r.at.as_micros().div_euclid(DAY)).collect();
        let span = oldest.at.as_micros().div_euclid(DAY)..newest.at.as_micros().div_euclid(DAY);
        let missing = span.filter(|day| measure.is_primary() && !days.contains(day));
        Some(Sentiment {
            measure: measure.clone(),
            missing: missing.map(|day| Timestamp::from_micros(day * DAY)).collect(),
            state,
            age: known.age(&self.clock)?,
            provider: known.provider.clone(),
            fetched_at: known.fetched_at,
            via,
            readings,
        })
    }
}
