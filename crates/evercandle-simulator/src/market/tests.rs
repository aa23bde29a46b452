use super::*;
use crate::time::{DAY, MINUTE, SECOND, parse_instant};

fn at(text: &str) -> i64 {
    parse_instant(text).unwrap()
}

fn spot(symbol: &str, interval: Interval) -> Series {
    Series::new(ExchangeMarket::Spot, symbol, interval)
}

#[test]
fn two_markets_with_one_seed_agree_and_with_two_seeds_do_not() {
    let series = spot("ETHUSDT", Interval::M5);
    let day = at("2024-02-29")..at("2024-03-01");
    let rows = Market::new(7).klines(&series, day.clone());
    assert_eq!(rows.len(), 288);
    assert_eq!(rows, Market::new(7).klines(&series, day.clone()));
    assert_ne!(rows, Market::new(8).klines(&series, day));
}

/// Adds rows up by the grid of a coarser interval, the slow and obvious way.
fn add_up(rows: &[Kline], grid: Grid) -> Vec<Kline> {
    let mut sums: Vec<Kline> = Vec::new();
    for row in rows {
        let open_time = grid.floor(row.open_time);
        match sums.last_mut() {
            Some(sum) if sum.open_time == open_time => sum.absorb(row),
            _ => sums.push(Kline {
                open_time,
                ..row.clone()
            }),
        }
    }
    sums
}

/// All columns but `close_time`, which a halt may cut short in one interval and not in another.
fn values(rows: &[Kline]) -> Vec<Kline> {
    rows.iter()
        .map(|row| Kline {
            close_time: 0,
            ..row.clone()
        })
        .collect()
}

#[test]
fn every_interval_is_the_exact_sum_of_its_minutes() {
    let market = Market::new(3);
    let cases = [
        (spot("BTCUSDT", Interval::M1), "2023-03-20", "2023-04-03"),
        (spot("ADABTC", Interval::M1), "2018-02-05", "2018-02-12"),
        (
            Series::new(ExchangeMarket::CoinM, "BTCUSD_230630", Interval::M1),
            "2023-06-26",
            "2023-07-03",
        ),
        (
            Series::new(ExchangeMarket::UsdM, "1000SHIBUSDT", Interval::M1),
            "2021-05-10",
            "2021-05-17",
        ),
    ];
    for (minutes, start, end) in cases {
        let rows = market.klines(&minutes, at(start)..at(end));
        for interval in Interval::ALL
            .into_iter()
            .filter(|it| (Interval::M3..=Interval::W1).contains(it))
        {
            if interval == Interval::D3 {
                continue;
            }
            let series = Series {
                interval,
                ..minutes.clone()
            };
            let coarse = market.klines(&series, at(start)..at(end));
            assert_eq!(
                values(&coarse),
                values(&add_up(&rows, market.grid(&series).unwrap())),
                "{series:?}"
            );
        }
    }
}

#[test]
fn months_and_three_days_are_the_exact_sum_of_their_days() {
    let market = Market::new(3);
    let days = market.klines(&spot("SOLUSDT", Interval::D1), 0..at("2021-01-01"));
    for interval in [Interval::D3, Interval::Mo1] {
        let series = spot("SOLUSDT", interval);
        let coarse = market.klines(&series, 0..at("2020-12-31"));
        let mut expected = add_up(&days, market.grid(&series).unwrap());
        expected.truncate(coarse.len());
        // The last three days may reach into the next year, where this test has no days.
        assert_eq!(
            values(&coarse)[..coarse.len() - 1],
            values(&expected)[..coarse.len() - 1],
            "{interval}"
        );
    }
}

#[test]
fn a_minute_is_the_sum_of_its_seconds_but_for_the_quote_columns() {
    let market = Market::new(3);
    for (symbol, start) in [
        ("BTCUSDT", "2018-01-04T02:58:00Z"),
        ("ADABTC", "2024-05-05T05:00:00Z"),
        ("PEPEUSDT", "2024-05-05T05:00:00Z"),
    ] {
        let range = at(start)..at(start) + 10 * MINUTE;
        let seconds = market.klines(&spot(symbol, Interval::S1), range.clone());
        let minutes = market.klines(&spot(symbol, Interval::M1), range);
        let unquoted = |rows: &[Kline]| -> Vec<Kline> {
            values(rows)
                .into_iter()
                .map(|row| Kline {
                    quote_volume: 0,
                    taker_quote: 0,
                    ..row
                })
                .collect()
        };
        assert_eq!(
            unquoted(&minutes),
            unquoted(&add_up(&seconds, Grid::new(Interval::M1, 0))),
            "{symbol}"
        );
    }
}

#[test]
fn every_row_is_possible() {
    let market = Market::new(11);
    for spec in universe() {
        for interval in [Interval::S1, Interval::M1, Interval::H1] {
            let series = Series::new(spec.market, spec.name.clone(), interval);
            let start = spec.listed + 40 * DAY;
            let end = if interval == Interval::H1 {
                start + 5 * DAY
            } else {
                start + 2 * HOUR
            };
            for row in market.klines(&series, start..end) {
                let name = format!("{series:?} {row:?}");
                assert!(row.low > 0 && row.low <= row.open.min(row.close), "{name}");
                assert!(row.high >= row.open.max(row.close), "{name}");
                assert!(
                    row.taker_base <= row.volume && row.taker_quote <= row.quote_volume,
                    "{name}"
                );
                assert_eq!(row.trades == 0, row.volume == 0, "{name}");
                if spec.market != ExchangeMarket::CoinM && row.volume > 0 {
                    let digits = u32::from(row.scales.price + row.scales.quantity - row.scales.quote);
                    let quote = row.quote_volume * 10i128.pow(digits);
                    // Half a unit is lost to rounding per minute added up.
                    let slack = 10i128.pow(digits) * 60;
                    assert!(quote + slack >= row.volume * i128::from(row.low), "{name}");
                    assert!(quote <= row.volume * i128::from(row.high) + slack, "{name}");
                }
            }
        }
    }
}

#[test]
fn a_minute_opens_where_the_one_before_closed() {
    let market = Market::new(5);
    for symbol in ["BTCUSDT", "ADABTC", "币安人生USDT"] {
        let rows = market.klines(&spot(symbol, Interval::M1), at("2026-03-01")..at("2026-03-02"));
        assert_eq!(rows.len(), 1440);
        assert!(rows.windows(2).all(|pair| pair[0].close == pair[1].open), "{symbol}");
    }
    let quiet = market.klines(&spot("ADABTC", Interval::M1), at("2024-03-01")..at("2024-03-02"));
    assert!(quiet.iter().filter(|row| row.trades == 0).count() > 100);
}

#[test]
fn listings_begin_mid_period_and_coarse_klines_open_before_them() {
    let market = Market::new(1);
    let cases = [
        (Interval::M1, "2017-08-17T04:00:00Z"),
        (Interval::H1, "2017-08-17T04:00:00Z"),
        (Interval::D1, "2017-08-17"),
        (Interval::D3, "2017-08-17"),
        (Interval::W1, "2017-08-14"),
        (Interval::Mo1, "2017-08-01"),
    ];
    for (interval, expected) in cases {
        let first = market.page(
            &spot("BTCUSDT", interval),
            0..i64::MAX,
            1,
            Anchor::Oldest,
            0,
            at("2020-01-01"),
        );
        assert_eq!(first[0].open_time, at(expected), "{interval}");
    }
}

#[test]
fn the_halt_of_march_2023_is_silent_then_absent_and_cuts_the_kline_before_it() {
    let market = Market::new(1);
    let range = at("2023-03-24T11:00:00Z")..at("2023-03-24T15:00:00Z");
    let quarters = market.klines(&spot("BTCUSDT", Interval::M15), range.clone());
    let opens: Vec<_> = quarters
        .iter()
        .map(|row| (row.open_time - range.start) / MINUTE)
        .collect();
    assert_eq!(opens, [0, 15, 30, 45, 60, 75, 90, 180, 195, 210, 225]);
    assert!(
        quarters[2..7]
            .iter()
            .all(|row| row.trades == 0 && row.open == row.high && row.low == row.close)
    );
    let hours = market.klines(&spot("BTCUSDT", Interval::H1), range.clone());
    assert_eq!(hours.len(), 3);
    let stop = at("2023-03-24T12:40:00Z");
    assert!((stop - SECOND..stop).contains(&hours[1].close_time));
    assert_eq!(hours[0].close_time, at("2023-03-24T12:00:00Z") - 1);
    // The day went on after the halt, so it closes at midnight as ever.
    assert_eq!(
        market.klines(&spot("BTCUSDT", Interval::D1), at("2023-03-24")..at("2023-03-25"))[0].close_time,
        at("2023-03-25") - 1
    );
}

#[test]
fn the_kline_in_progress_grows_second_by_second_into_the_final_one() {
    let market = Market::new(1);
    for interval in [Interval::M1, Interval::M5, Interval::H4, Interval::W1, Interval::Mo1] {
        let series = spot("BTCUSDT", interval);
        let grid = market.grid(&series).unwrap();
        let open_time = grid.floor(at("2024-05-05T05:00:00Z"));
        let end = grid.next(open_time);
        let mut volume = -1;
        for now in [
            open_time,
            open_time + 20 * SECOND,
            open_time + 40 * SECOND,
            end - SECOND,
        ] {
            let rows = market.klines_as_of(&series, open_time..end + DAY, now);
            assert_eq!(rows.len(), 1, "{interval}");
            assert_eq!((rows[0].open_time, rows[0].close_time), (open_time, end - 1));
            assert!(rows[0].volume >= volume);
            volume = rows[0].volume;
        }
        let closed = market.klines_as_of(&series, open_time..end, end);
        assert_eq!(Some(&closed[0]), market.kline(&series, open_time).as_ref());
        assert!(closed[0].volume >= volume);
    }
}

#[test]
fn pages_from_either_end_agree_with_the_whole_range() {
    let market = Market::new(1);
    let now = at("2024-01-01T00:00:30Z");
    for interval in [
        Interval::M1,
        Interval::M15,
        Interval::H8,
        Interval::D3,
        Interval::W1,
        Interval::Mo1,
    ] {
        let series = spot("BTCUSDT", interval);
        let range = at("2023-03-24T12:30:00Z")..i64::MAX;
        let all = market.klines_as_of(&series, range.start..now + DAY, now);
        let oldest = market.page(&series, range.clone(), 7, Anchor::Oldest, 0, now);
        let newest = market.page(&series, range.clone(), 7, Anchor::Newest, 0, now);
        assert_eq!(oldest, all[..7], "{interval}");
        assert_eq!(newest, all[all.len() - 7..], "{interval}");
    }
}

#[test]
fn delisted_and_expired_symbols_stop() {
    let market = Market::new(1);
    let luna = market.klines(&spot("LUNAUSDT", Interval::H1), at("2022-05-12")..at("2022-06-01"));
    assert_eq!(luna.last().unwrap().open_time, at("2022-05-13"));
    let delivery = Series::new(ExchangeMarket::CoinM, "BTCUSD_230630", Interval::M1);
    let rows = market.klines(&delivery, at("2023-06-30")..at("2023-07-01"));
    assert_eq!(rows.last().unwrap().open_time, at("2023-06-30T07:59:00Z"));
}

#[test]
fn prices_print_as_each_market_prints_them() {
    let market = Market::new(1);
    let row = |exchange, symbol| {
        let series = Series::new(exchange, symbol, Interval::M1);
        market
            .kline(&series, at("2024-05-05T05:00:00Z"))
            .unwrap()
            .fields(crate::time::TimeUnit::Milliseconds)
    };
    let digits = |text: &str| text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let shape = |fields: [String; 12]| [1, 5, 7, 9, 10].map(|slot| digits(&fields[slot]));
    assert_eq!(shape(row(ExchangeMarket::Spot, "DOGEUSDT")), [8, 8, 8, 8, 8]);
    assert_eq!(shape(row(ExchangeMarket::UsdM, "BTCUSDT")), [2, 3, 5, 3, 5]);
    assert_eq!(shape(row(ExchangeMarket::CoinM, "BTCUSD_PERP")), [1, 0, 8, 0, 8]);
    let pepe = market.kline(&spot("PEPEUSDT", Interval::D1), at("2024-05-05")).unwrap();
    assert!(pepe.volume > 1 << 53);
}

/// Goal: a path that grows for thousands of years ends at a price that can be counted, and not in a panic.
#[test]
fn prices_of_a_distant_future_can_still_be_told() {
    let market = Market::new(7);
    for of in [ExchangeMarket::Spot, ExchangeMarket::UsdM, ExchangeMarket::CoinM] {
        for symbol in market.symbols(of) {
            for interval in [Interval::S1, Interval::M1, Interval::D1] {
                let series = Series::new(of, symbol.name.clone(), interval);
                let day = at("8998-12-30")..at("8998-12-31");
                market.klines(&series, day);
            }
        }
    }
}
