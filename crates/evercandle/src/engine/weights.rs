//! What a question would weigh, for whoever plans how much to ask; nothing is sent or charged.
//!
//! The providers say it, as they do for real calls. Told of the upstream that is asked first: what stands in for it has
//! limits of its own.

use crate::engine::Engine;
use crate::engine::upstream::Upstream;
use crate::health::Weight;
use crate::model::interval::Grid;
use crate::model::range::TimeRange;
use crate::model::series::{Market, Series};
use crate::provider::{Call, Form, QuotaSpec, Slice, Supply};

impl Engine {
    /// Whether anybody could be asked for a series at all.
    pub(crate) fn is_offered(&self, series: &Series) -> bool {
        self.upstreams.iter().any(|upstream| upstream.offer(series).is_some())
    }

    /// Of a series' newest so many klines.
    pub(crate) fn klines_weight(&self, series: &Series, rows: u32) -> Option<Weight> {
        let (upstream, page) = self.upstreams.iter().find_map(|upstream| {
            let Supply::Pages { rows_max, span_max } = upstream.offer(series)?.supply else {
                return None;
            };
            let slot = series.interval().nominal_micros();
            let spanned = span_max.map_or(rows_max, |span| u32::try_from(span / slot).unwrap_or(rows_max));
            Some((upstream, rows_max.min(spanned).max(1)))
        })?;
        let (grid, mut left) = (Grid::new(series.interval(), None), rows.max(1));
        let start = grid.floor(self.clock.now());
        let calls = std::iter::from_fn(|| {
            let rows = left.min(page);
            left -= rows;
            (rows != 0).then(|| Slice {
                series: series.clone(),
                range: TimeRange::clamped(start, grid.advance(start, rows)),
                form: Form::Page,
            })
        });
        self.sum(calls.filter_map(|slice| upstream.provider().quota(Call::Slice(&slice))))
    }

    /// Of the newest prices of so many instruments.
    pub(crate) fn prices_weight(&self, market: Market, symbols: usize) -> Option<Weight> {
        let at_once = |upstream: &Upstream| upstream.prices().map_or(0, |prices| prices.symbols_max(market));
        let upstream = self.upstreams.iter().find(|upstream| at_once(upstream) != 0)?;
        let questions = symbols.div_ceil(at_once(upstream));
        let of_one = |question| at_once(upstream).min(symbols - question * at_once(upstream));
        let calls = (0..questions).map(|question| Call::Prices(market, of_one(question)));
        self.sum(calls.filter_map(|call| upstream.provider().quota(call)))
    }

    fn sum(&self, calls: impl Iterator<Item = QuotaSpec>) -> Option<Weight> {
        let (mut spec, mut weight) = (None, 0);
        for call in calls {
            weight += u64::from(call.weight);
            spec = Some(call);
        }
        let quota = self.quotas.in_use(spec?);
        Some(Weight { weight, quota })
    }
}
