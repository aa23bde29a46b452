//! Everything about an answer but its rows, as JSON; Python makes its objects of it when somebody looks.
//!
//! Instants are microseconds since the epoch, durations seconds.

use evercandle::store::{Damage, Evicted, SeriesSummary, StoreStats, VerifyReport};
use evercandle::{
    Answer, Attempt, CircuitState, Gap, GapReason, Grid, Health, MissingPrice, Nature, Outcome, Price, PriceState,
    Prices, ProviderName, Segment, SentimentAnswer, Series, TimeRange, UpstreamHealth, Verification, Waiting,
};
use serde_json::{Value, json};

pub(crate) fn answer(answer: &Answer) -> Value {
    json!({
        "series": series(&answer.series),
        "start": answer.range.start().as_micros(),
        "end": answer.range.end().as_micros(),
        "segments": answer.segments.iter().map(segment).collect::<Vec<_>>(),
        "gaps": answer.gaps.iter().map(|g| gap(g, answer.grid)).collect::<Vec<_>>(),
        "trail": trail(&answer.trail),
        "notices": answer.notices,
    })
}

fn series(series: &Series) -> Value {
    json!({
        "exchange": series.exchange().as_str(),
        "market": series.market().as_str(),
        "symbol": series.symbol().as_str(),
        "interval": series.label(),
        "volume_unit": series.market().volume_unit().as_str(),
        "quote_volume_unit": series.market().quote_volume_unit().as_str(),
    })
}

fn segment(segment: &Segment) -> Value {
    let sha256 = match &segment.origin.verification {
        Verification::Checksum { sha256, .. } => Some(sha256),
        Verification::Structural | Verification::Unsettled => None,
    };
    json!({
        "start": segment.range.start().as_micros(),
        "end": segment.range.end().as_micros(),
        "provider": segment.origin.provider.as_str(),
        "via": segment.via.as_str(),
        "fetched_at": segment.origin.fetched_at.as_micros(),
        "verification": segment.origin.verification.as_str(),
        "sha256": sha256,
    })
}

pub(crate) fn gap(gap: &Gap, grid: Grid) -> Value {
    let tried = match &gap.reason {
        GapReason::NoUpstreamLeft(tried) => tried.as_slice(),
        _ => &[],
    };
    json!({
        "start": gap.range.start().as_micros(),
        "end": gap.range.end().as_micros(),
        "slots": grid.count(gap.range),
        "reason": gap.reason.as_str(),
        "final": gap.reason.is_final(),
        "tried": reasons(tried),
    })
}

pub(crate) fn waiting(waiting: &Waiting) -> Value {
    json!({
        "until": waiting.until.as_micros(),
        "gives_up_at": waiting.gives_up_at.as_micros(),
        "reasons": reasons(&waiting.reasons),
    })
}

pub(crate) fn reasons(reasons: &[(ProviderName, String)]) -> Value {
    let told = |(name, what): &(ProviderName, String)| json!({"provider": name.as_str(), "what": what});
    reasons.iter().map(told).collect()
}

fn trail(trail: &[Attempt]) -> Value {
    trail.iter().map(attempt).collect()
}

fn attempt(attempt: &Attempt) -> Value {
    let (outcome, rows, why) = match &attempt.outcome {
        Outcome::Rows(rows) => ("rows", Some(*rows), None),
        Outcome::Answered => ("answered", None, None),
        Outcome::Failed { kind, why } => (*kind, None, Some(why.as_str())),
    };
    json!({
        "provider": attempt.provider.as_str(),
        "start": attempt.range.map(|r| r.start().as_micros()),
        "end": attempt.range.map(|r| r.end().as_micros()),
        "form": attempt.form,
        "number": attempt.number,
        "at": attempt.at.as_micros(),
        "took": attempt.took.as_secs_f64(),
        "outcome": outcome,
        "rows": rows,
        "why": why,
    })
}

pub(crate) fn prices(prices: &Prices) -> Value {
    json!({
        "prices": prices.prices.iter().map(price).collect::<Vec<_>>(),
        "missing": prices.missing.iter().map(missing).collect::<Vec<_>>(),
        "trail": trail(&prices.trail),
    })
}

pub(crate) fn price(price: &Price) -> Value {
    let day = price.day.unwrap_or_default();
    json!({
        "symbol": price.symbol.as_str(),
        "market": price.market.as_str(),
        "price": price.price.value(),
        "text": price.price.as_str(),
        "state": price.state.as_str(),
        "halted": match &price.state { PriceState::Halted(word) => Some(word), _ => None },
        "nature": match price.nature { Nature::Exchange => "exchange", Nature::Substitute(_) => "substitute" },
        "substitute": match &price.nature { Nature::Exchange => None, Nature::Substitute(words) => Some(words) },
        "as_of": price.as_of.as_micros(),
        "age_seconds": price.age.as_secs_f64(),
        "change_percent": day.change_percent,
        "high": day.high,
        "low": day.low,
        "volume": day.volume,
        "quote_volume": day.quote_volume,
        "provider": price.provider.as_str(),
        "fetched_at": price.fetched_at.as_micros(),
        "via": price.via.as_str(),
    })
}

fn missing(missing: &MissingPrice) -> Value {
    json!({
        "symbol": missing.symbol.as_str(),
        "unknown": missing.unknown,
        "reasons": reasons(&missing.reasons),
        "retry_after": missing.retry_after.map(|d| d.as_secs_f64()),
    })
}

pub(crate) fn sentiment(answer: &SentimentAnswer) -> Value {
    let told = &answer.sentiment;
    let readings = told.readings.iter().map(|reading| {
        json!({
            "value": reading.value,
            "classification": reading.classification,
            "at": reading.at.as_micros(),
            "valid_until": reading.valid_until.map(|t| t.as_micros()),
        })
    });
    json!({
        "measure": told.measure.as_str(),
        "description": told.measure.describe(),
        "is_primary": told.measure.is_primary(),
        "readings": readings.collect::<Vec<_>>(),
        "missing": told.missing.iter().map(|t| t.as_micros()).collect::<Vec<_>>(),
        "state": told.state.as_str(),
        "age_seconds": told.age.as_secs_f64(),
        "provider": told.provider.as_str(),
        "fetched_at": told.fetched_at.as_micros(),
        "via": told.via.as_str(),
        "trail": trail(&answer.trail),
    })
}

pub(crate) fn health(health: &Health) -> Value {
    json!({
        "at": health.at.as_micros(),
        "common_cause_since": health.common_cause_since.map(|t| t.as_micros()),
        "cache_readonly": health.cache_readonly,
        "providers": health.upstreams.iter().map(upstream).collect::<Vec<_>>(),
    })
}

fn upstream(upstream: &UpstreamHealth) -> Value {
    let circuit = match upstream.state {
        CircuitState::Closed => "closed",
        CircuitState::Open => "open",
        CircuitState::HalfOpen => "half_open",
    };
    json!({
        "provider": upstream.provider.as_str(),
        "serves": upstream.serves,
        "status": upstream.status.as_str(),
        "circuit": circuit,
        "failure_count": upstream.failure_count,
        "success_count": upstream.success_count,
        "failures_total": upstream.failures_total,
        "skipped_total": upstream.skipped_total,
        "opened_at": upstream.opened_at.map(|t| t.as_micros()),
        "retry_at": upstream.retry_at.map(|t| t.as_micros()),
        "quarantine": upstream.quarantine,
        "last_error": upstream.last_error.as_ref().map(|(_, what)| what),
        "last_error_at": upstream.last_error.as_ref().map(|(at, _)| at.as_micros()),
    })
}

pub(crate) fn summaries(summaries: &[SeriesSummary]) -> Value {
    let told = |summary: &SeriesSummary| {
        let span: Option<TimeRange> = summary.span();
        json!({
            "series": series(&summary.series),
            "files": summary.files,
            "bytes": summary.bytes,
            "rows": summary.rows,
            "start": span.map(|s| s.start().as_micros()),
            "end": span.map(|s| s.end().as_micros()),
        })
    };
    summaries.iter().map(told).collect()
}

pub(crate) fn stats(stats: &StoreStats) -> Value {
    json!({
        "path": stats.dir.to_string_lossy(),
        "series": stats.series,
        "files": stats.files,
        "bytes": stats.bytes,
        "size_max": stats.size_max,
        "quarantined_files": stats.quarantined_files,
        "quarantined_bytes": stats.quarantined_bytes,
        "readonly": stats.readonly,
    })
}

pub(crate) fn verified(report: &VerifyReport) -> Value {
    let damage = |found: &[Damage]| -> Value {
        let told = |d: &Damage| json!({"file": d.file.to_string_lossy(), "why": d.why});
        found.iter().map(told).collect()
    };
    json!({
        "sound": report.sound,
        "bytes": report.bytes,
        "damaged": damage(&report.damaged),
        "skipped": damage(&report.skipped),
    })
}

pub(crate) fn evicted(evicted: &Evicted) -> Value {
    json!({"files": evicted.files, "bytes": evicted.bytes})
}
