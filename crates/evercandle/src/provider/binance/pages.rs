//! Klines and funding rates, a page at a time; and when a series began.
//!
//! One question is one page with both ends given: the markets disagree about what one end alone means (COIN-M counts
//! back from the end), and agree when both are there. Ends are inclusive upstream and half-open here.

use async_trait::async_trait;

use super::super::http::Ask;
use super::super::{FetchError, Fetched, Instrument, KlineProvider, Offer, Slice, Supply};
use super::rest::{LIST_BYTES_MAX, Rest, SMALL_BYTES_MAX};
use super::{exchange_info, funding, halts, rest_json};
use crate::answer::Verification;
use crate::model::batch::Batch;
use crate::model::funding::{ALL_SETTLE, MARGIN_HOURS};
use crate::model::interval::Grid;
use crate::model::range::{DAY, TimeRange, Timestamp};
use crate::model::series::{Kind, Market, Series};

/// A COIN-M question may span no more.
const CM_SPAN: i64 = 200 * DAY;
/// Rates per page, whatever the market; more than one an hour there are not.
const FUNDING_ROWS: u32 = 1_000;
const FUNDING_ENDPOINT: &str = "fundingRate";
/// Before the first future was listed, in milliseconds: 2019-01-01.
const BEFORE_FUTURES: &str = "1546300800000";
/// A page of 1500 rows takes 300 kB.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// The day from which spot archives carry microseconds (binance/binance-public-data README, 2025-01-09).
const MICROSECONDS_SINCE: (i16, i8, i8) = (2025, 1, 1);

#[async_trait]
impl KlineProvider for Rest {
    fn offer(&self, series: &Series) -> Option<Offer> {
        let door = self.find_door(series.market())?;
        let supply = match series.kind() {
            Kind::Klines => Supply::Pages {
                rows_max: door.rows_max,
                span_max: (series.market() == Market::Cm).then_some(CM_SPAN),
            },
            Kind::FundingRates => Supply::Pages {
                rows_max: FUNDING_ROWS - MARGIN_HOURS,
                span_max: None,
            },
        };
        Some(Offer {
            supply,
            authoritative: true,
        })
    }

    async fn fetch(&self, slice: &Slice) -> Result<Fetched, FetchError> {
        if slice.range.is_empty() {
            return Err(FetchError::Rejected(format!("{}: nothing was asked for", slice.series)));
        }
        match slice.series.kind() {
            Kind::Klines => self.page(slice).await,
            Kind::FundingRates => self.page_of_rates(slice).await,
        }
    }

    async fn first_open(&self, series: &Series) -> Result<Option<Timestamp>, FetchError> {
        let market = series.market();
        if series.kind() == Kind::FundingRates {
            let query = [
                ("symbol", series.symbol().as_str()),
                ("startTime", BEFORE_FUTURES),
                ("limit", "1"),
            ];
            let reply = self.ask(market, FUNDING_ENDPOINT, &query, PAGE_BYTES_MAX).await?;
            let (batch, _) = funding::page(series, whenever(), &reply.place, reply.text()?)?;
            let first = batch.open_times().first().map(|micros| Timestamp::from_micros(*micros));
            return Ok(first.map(|first| Grid::new(series.interval(), None).floor(first)));
        }
        if market == Market::Cm {
            // Counting back from the end, COIN-M cannot be asked for its first kline; its list says when it began.
            let reply = self.ask(market, "exchangeInfo", &[], LIST_BYTES_MAX).await?;
            let instruments = exchange_info::parse(&reply.place, reply.text()?)?;
            let Some(instrument) = instruments.into_iter().find(|i| i.symbol == series.symbol().as_str()) else {
                let place = &reply.place;
                return Err(FetchError::UnknownSymbol(format!(
                    "{place}: {} is not listed",
                    series.symbol()
                )));
            };
            // A coarse kline opens before the instant of listing.
            return Ok(instrument
                .listed_at
                .map(|at| Grid::new(series.interval(), None).floor(at)));
        }
        let query = [
            ("symbol", series.symbol().as_str()),
            ("interval", series.interval().as_str()),
            ("startTime", "0"),
            ("limit", "1"),
        ];
        let reply = self.ask(market, "klines", &query, PAGE_BYTES_MAX).await?;
        let (batch, _) = rest_json::klines(series, whenever(), &reply)?;
        Ok(batch.open_times().first().map(|micros| Timestamp::from_micros(*micros)))
    }

    async fn server_time(&self, market: Market) -> Result<Option<Timestamp>, FetchError> {
        let reply = self.ask(market, "time", &[], SMALL_BYTES_MAX).await?;
        exchange_info::server_time(&reply.place, reply.text()?).map(Some)
    }

    fn lists(&self, market: Market) -> bool {
        self.serves(market)
    }

    async fn instruments(&self, market: Market) -> Result<Vec<Instrument>, FetchError> {
        let reply = self.ask(market, "exchangeInfo", &[], LIST_BYTES_MAX).await?;
        exchange_info::parse(&reply.place, reply.text()?)
    }

    fn known_halts(&self, series: &Series) -> &'static [TimeRange] {
        halts::known(series.market())
    }
}

impl Rest {
    async fn page_of_rates(&self, slice: &Slice) -> Result<Fetched, FetchError> {
        let page = Page::of(slice, FUNDING_ROWS);
        let (_, start, end) = page.query();
        let query = [
            ("symbol", slice.series.symbol().as_str()),
            ("startTime", &start),
            ("endTime", &end),
            ("limit", &FUNDING_ROWS.to_string()),
        ];
        let market = slice.series.market();
        let reply = self.ask(market, FUNDING_ENDPOINT, &query, PAGE_BYTES_MAX).await?;
        let (batch, repairs) = funding::page(&slice.series, page.range, &reply.place, reply.text()?)?;
        Ok(Fetched {
            answered: page.answered_rates(&batch),
            batch,
            verification: Verification::Structural,
            repairs,
        })
    }

    async fn page(&self, slice: &Slice) -> Result<Fetched, FetchError> {
        let market = slice.series.market();
        let door = self.door(market)?;
        let page = Page::of(slice, door.rows_max);
        let (limit, start, end) = page.query();
        let query = [
            ("symbol", slice.series.symbol().as_str()),
            ("interval", slice.series.interval().as_str()),
            ("startTime", &start),
            ("endTime", &end),
            ("limit", &limit),
        ];
        // Spot archives are printed in microseconds since then; asked to do the same, REST prints the same close times.
        let since = Timestamp::from_date(MICROSECONDS_SINCE.0, MICROSECONDS_SINCE.1, MICROSECONDS_SINCE.2);
        let exact = market == Market::Spot && since.is_some_and(|t| t <= page.range.start());
        let header = exact.then_some(("x-mbx-time-unit", "MICROSECOND"));
        let path = format!("{}/klines", door.base);
        let at = |host| Ask {
            header,
            ..Ask::text(host, &path, &query, PAGE_BYTES_MAX)
        };
        let reply = self.send(door, &at).await?;
        // A page is parsed in well under a millisecond, which is no longer than handing it to another thread and back.
        let (batch, repairs) = rest_json::klines(&slice.series, page.range, &reply)?;
        Ok(Fetched {
            answered: page.answered(&batch),
            batch,
            verification: Verification::Structural,
            repairs,
        })
    }
}

/// One question: a slice, or as much of it as one page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    range: TimeRange,
    /// Rows asked for: the slots of the range.
    pub(super) limit: u32,
    grid: Grid,
    market: Market,
}

impl Page {
    pub(super) fn of(slice: &Slice, rows_max: u32) -> Page {
        let market = slice.series.market();
        let grid = Grid::new(slice.series.interval(), None);
        let start = slice.range.start();
        let mut end = slice.range.end().min(grid.advance(grid.ceil(start), rows_max));
        if market == Market::Cm && slice.series.kind() == Kind::Klines {
            end = end.min(start.plus(CM_SPAN));
        }
        let range = TimeRange::clamped(start, end);
        let limit = u32::try_from(grid.count(range)).unwrap_or(rows_max).clamp(1, rows_max);
        Page {
            range,
            limit,
            grid,
            market,
        }
    }

    /// `limit`, `startTime`, `endTime`: both ends inclusive, in milliseconds, which every market understands.
    fn query(&self) -> (String, String, String) {
        (
            self.limit.to_string(),
            // Rounded up, or a range that begins just after a kline would fetch that kline again.
            self.range.start().plus(999).as_millis().to_string(),
            self.range.end().plus(-1).as_millis().to_string(),
        )
    }

    /// As [`Page::answered`], of rates, which are in time order in every market. A page that stops long before its end
    /// may have been cut; then it answers up to the last instant at which every contract is settled, and what is asked
    /// next begins there.
    fn answered_rates(&self, batch: &Batch) -> TimeRange {
        let Some(&last) = batch.open_times().last() else {
            return self.range;
        };
        let seen = Timestamp::from_micros(last - last.rem_euclid(ALL_SETTLE));
        match seen.plus(ALL_SETTLE) < self.range.end() && seen > self.range.start() {
            true => TimeRange::clamped(self.range.start(), seen),
            false => self.range,
        }
    }

    /// The part of the range this page is the whole answer for. A page that stops short of the range may have been cut,
    /// whatever its length, so it answers only as far as it reaches: on COIN-M back to its first row, because rows are
    /// counted back from the end; elsewhere up to its last. What lies beyond is asked for by itself.
    fn answered(&self, batch: &Batch) -> TimeRange {
        let (Some(&first), Some(&last)) = (batch.open_times().first(), batch.open_times().last()) else {
            return self.range;
        };
        let (first, last) = (Timestamp::from_micros(first), Timestamp::from_micros(last));
        match self.market {
            Market::Cm if first > self.grid.ceil(self.range.start()) => TimeRange::clamped(first, self.range.end()),
            Market::Spot | Market::Um if self.grid.next(last) < self.range.end() => {
                TimeRange::clamped(self.range.start(), last.plus(1))
            }
            _ => self.range,
        }
    }
}

fn whenever() -> TimeRange {
    TimeRange::clamped(Timestamp::EPOCH, Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::super::http::Http;
    use super::super::super::http::stub::{Act, Stub};
    use super::super::super::{Call, Provider};
    use super::super::rest::tests::{START, page, rest, row, series, serving, slice};
    use super::super::rest::{decode, futures_weight};
    use super::*;
    use crate::config::HttpConfig;
    use crate::model::interval::Interval;
    use crate::model::range::MINUTE;

    #[tokio::test]
    async fn a_page_is_asked_for_with_both_ends_in_every_market() {
        for (market, path, symbol) in [
            (Market::Spot, "/api.binance.com/api/v3/klines", "BTCUSDT"),
            (Market::Um, "/fapi.binance.com/fapi/v1/klines", "BTCUSDT"),
            (Market::Cm, "/dapi.binance.com/dapi/v1/klines", "BTCUSD_PERP"),
        ] {
            let stub = Stub::start(|_| Act::Reply(200, "X-MBX-USED-WEIGHT-1M: 24\r\n", page([0, 1, 2]).into())).await;
            let asked = slice(market, Interval::M1, 3 * MINUTE);
            let rest = rest(&stub, market);
            let fetched = rest.fetch(&asked).await.unwrap();
            let query = format!(
                "symbol={symbol}&interval=1m&startTime={START}&endTime={}&limit=3",
                START + 179_999
            );
            assert_eq!(stub.targets(), [format!("{path}?{query}")]);
            assert_eq!(fetched.batch.len(), 3);
            assert_eq!(rest.reported_weight().map(|r| r.weight), Some(24));
            assert_eq!(rest.reported_weight(), None, "told once");
            assert_eq!(
                (fetched.answered, fetched.verification),
                (asked.range, Verification::Structural)
            );
        }
    }

    /// Goal: the engine pages on exactly where a page was cut, and never where it was not.
    #[test]
    fn a_page_answers_for_as_much_as_it_can_vouch_for() {
        let answered = |market, slots: i64, minutes: &[i64]| {
            let slice = slice(market, Interval::M1, slots * MINUTE);
            let page_of = Page::of(&slice, 5);
            let (batch, _) = decode(&slice.series, page_of.range, &page(minutes.iter().copied())).unwrap();
            let answered = page_of.answered(&batch);
            let from = |t: Timestamp| t.since(slice.range.start());
            (from(answered.start()), from(answered.end()))
        };
        for market in Market::ALL {
            assert_eq!(answered(market, 3, &[]), (0, 3 * MINUTE));
            assert_eq!(answered(market, 3, &[0, 1, 2]), (0, 3 * MINUTE));
            // A slice of more slots than a page has rows is answered as far as one page reaches.
            assert_eq!(answered(market, 9, &[0, 1, 2, 3, 4]), (0, 5 * MINUTE));
        }
        for market in [Market::Spot, Market::Um] {
            assert_eq!(
                answered(market, 3, &[0]),
                (0, 1),
                "a short page may have been cut after its last row"
            );
        }
        assert_eq!(
            answered(Market::Cm, 3, &[2]),
            (2 * MINUTE, 3 * MINUTE),
            "or, on COIN-M, before its first"
        );
        // More klines than slots, as in February 2018: the page is full before its last slot.
        let slice = slice(Market::Spot, Interval::M1, 3 * MINUTE);
        let odd = page([0, 1]).replace("]]", "],").replace(
            &row(1),
            &(row(0).replace(&START.to_string(), &(START + 9).to_string()) + "," + &row(1)),
        );
        let page_of = Page::of(&slice, 5);
        let (batch, _) = decode(
            &slice.series,
            page_of.range,
            &(odd.trim_end_matches(',').to_owned() + "]"),
        )
        .unwrap();
        assert_eq!(batch.len(), 3);
        assert_eq!(page_of.answered(&batch).end().since(slice.range.start()), MINUTE + 1);
        let counted_back = Page {
            market: Market::Cm,
            range: TimeRange::clamped(slice.range.start().plus(-MINUTE), slice.range.end()),
            ..page_of
        };
        assert_eq!(counted_back.answered(&batch), slice.range);
    }

    #[test]
    fn a_range_that_begins_just_after_a_kline_does_not_fetch_it_again() {
        let mut slice = slice(Market::Spot, Interval::M1, 3 * MINUTE);
        slice.range = TimeRange::clamped(slice.range.start().plus(1), slice.range.end());
        let (_, start, end) = Page::of(&slice, 1_000).query();
        assert_eq!((start, end), ((START + 1).to_string(), (START + 179_999).to_string()));
    }

    #[test]
    fn pages_and_weights_follow_the_market() {
        let http = Http::new(&HttpConfig::default(), None).unwrap();
        for (market, interval, micros, rows, weight, limit) in [
            (Market::Spot, Interval::M1, 1_000 * MINUTE, 1_000, 2, 1_000),
            (Market::Um, Interval::M1, 99 * MINUTE, 499, 1, 99),
            (Market::Um, Interval::M1, 100 * MINUTE, 499, 2, 100),
            (Market::Cm, Interval::M1, 9_999 * MINUTE, 499, 2, 499),
            (Market::Cm, Interval::D1, 400 * DAY, 499, 2, 200),
            (Market::Cm, Interval::Mo1, 400 * DAY, 499, 1, 7),
            (Market::Spot, Interval::Mo1, 400 * DAY, 1_000, 2, 14),
        ] {
            let (slice, rest) = (slice(market, interval, micros), serving(market, &http));
            let Some(Offer {
                supply: Supply::Pages { rows_max, span_max },
                authoritative: true,
            }) = rest.offer(&slice.series)
            else {
                panic!("{market}")
            };
            assert_eq!(
                (rows_max, span_max),
                (rows, (market == Market::Cm).then_some(200 * DAY))
            );
            let quota = rest.quota(Call::Slice(&slice)).unwrap();
            assert_eq!(quota.weight, weight, "{market} {interval}");
            assert_eq!(
                quota.group,
                if market == Market::Spot {
                    "binance-spot"
                } else {
                    "binance-futures"
                }
            );
            assert_eq!(Page::of(&slice, rows_max).limit, limit, "{market} {interval}");
        }
        assert_eq!(
            [1, 99, 100, 499, 500, 1_000, 1_001, 1_500].map(futures_weight),
            [1, 1, 2, 2, 5, 5, 10, 10]
        );
    }

    #[tokio::test]
    async fn answers_to_another_question_and_no_answers_are_corrupt() {
        for body in [
            page([0, 5]),
            page([-1]),
            "".into(),
            "{}".into(),
            "null".into(),
            r#"{"code":-1121,"msg":"Invalid symbol."}"#.into(),
            "<html><body>Sign in to the hotel</body></html>".into(),
            page([0, 1])[..200].to_owned(),
            page([0]) + "[]",
            page([0]).replace("1327", "1.5"),
            page([0]).replace("\"35.9\"", "\"-35.9\""),
            page([0]).replace("\"35.9\"", "null"),
            page([0]).replace("\"35.9\"", "\"NaN\""),
            page([0]).replace("\"35.9\"", "[1]"),
            page([0]).replace(",\"0\"]", "]"),
            "[[]]".into(),
            "[1]".into(),
            "[".repeat(100_000),
        ] {
            let sent = body.clone();
            let stub = Stub::start(move |_| Act::ok(sent.clone())).await;
            let error = rest(&stub, Market::Spot)
                .fetch(&slice(Market::Spot, Interval::M1, 3 * MINUTE))
                .await
                .unwrap_err();
            assert!(matches!(error, FetchError::Corrupt(_)), "{body:.80}: {error:?}");
            assert!(error.to_string().contains("api.binance.com/api/v3/klines"), "{error}");
        }
    }

    #[test]
    fn drift_in_the_shape_of_a_row_is_tolerated_where_it_cannot_mislead() {
        let slice = slice(Market::Spot, Interval::M1, MINUTE);
        let (expected, _) = decode(&slice.series, slice.range, &page([0])).unwrap();
        let read = |text: String| decode(&slice.series, slice.range, &text).unwrap().0;
        for text in [
            page([0])
                .replace("1327", "\"1327\"")
                .replace(&START.to_string(), &format!("\"{START}\"")),
            page([0]).replace("\"35.9\"", "35.9"),
            page([0]).replace(",\"0\"]", ",\"0\",7,{\"x\":[]}]"),
            page([0]).replace(',', " ,\n\t"),
        ] {
            assert!(read(text.clone()).same_klines(&expected), "{text}");
        }
        // No number passes through a double on its way.
        let exact = read(page([0]).replace("\"35.9\"", "17928899123.624843390"));
        assert_eq!(exact.print(0, 5).as_deref(), Some("17928899123.624843390"));
        let micros = read(
            page([0])
                .replace(&START.to_string(), &format!("{START}000"))
                .replace("259999", "259999999"),
        );
        assert_eq!(micros.open_times(), expected.open_times());
        assert_eq!(micros.close_times()[0], expected.close_times()[0] + 999);
    }

    #[tokio::test]
    async fn the_first_kline_is_asked_of_klines_or_of_the_list() {
        let stub = Stub::start(|target| match target.contains("exchangeInfo") {
            false => Act::ok(page([7])),
            true => Act::ok(
                r#"{"symbols":[{"symbol":"ETHUSD_PERP"},{"symbol":"BTCUSD_PERP","onboardDate":1597042800000,"contractStatus":"TRADING"}]}"#,
            ),
        })
        .await;
        let rest = rest(&stub, Market::Um);
        let first = rest
            .first_open(&series(Market::Um, Interval::M1))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(first.since(Timestamp::from_millis(START)), 7 * MINUTE);
        assert!(stub.targets()[0].ends_with("symbol=BTCUSDT&interval=1m&startTime=0&limit=1"));
        for (interval, expected) in [
            (Interval::H1, "2020-08-10T07:00:00Z"),
            (Interval::Mo1, "2020-08-01T00:00:00Z"),
        ] {
            let first = rest.first_open(&series(Market::Cm, interval)).await.unwrap().unwrap();
            assert_eq!(first.to_string(), expected);
        }
        let unlisted = Series::parse("XRPUSD_PERP", Interval::H1, Some(Market::Cm)).unwrap();
        assert!(matches!(
            rest.first_open(&unlisted).await,
            Err(FetchError::UnknownSymbol(_))
        ));
        let empty = Stub::start(|_| Act::ok("[]")).await;
        assert_eq!(
            self::rest(&empty, Market::Spot)
                .first_open(&series(Market::Spot, Interval::H1))
                .await
                .unwrap(),
            None
        );
    }
}
