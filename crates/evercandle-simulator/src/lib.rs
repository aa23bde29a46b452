//! A pretend internet of market data, from a deterministic market: Binance's REST interfaces and its archive,
//! CoinGecko's index, and the fear and greed index of alternative.me.
//!
//! A library that survives its providers can only be tested against providers that fail on command, and against a truth
//! that the test can compute for itself. Both are here. This crate depends on none of the project's own,
//! so that it can disagree with them.
//!
//! # Use
//!
//! Every request arrives as `http://127.0.0.1:PORT/<original host>/<original path>?<query>`:
//!
//! ```
//! use evercandle_simulator::{Config, Effect, ExchangeMarket, Fault, Interval, Series, Simulator, time};
//!
//! let now = time::parse_instant("2024-06-01T12:00:00Z").unwrap();
//! let handle = Simulator::start_blocking(Config::default().at(now))?;
//!
//! // The archive answers 503 twice; whatever the library does about it is in the journal.
//! handle.inject(Fault::new(Effect::Status { status: 503, body: String::new() }).on("binance-vision").times(2));
//! let internet = handle.base_url(); // goes into EVERCANDLE_INTERNET
//! # let _ = internet;
//! assert_eq!(handle.journal().count("data.binance.vision"), 0);
//!
//! // What is true can be asked without any HTTP.
//! let series = Series::new(ExchangeMarket::Spot, "BTCUSDT", Interval::H1);
//! let day = now - 36 * time::HOUR..now - 12 * time::HOUR;
//! assert_eq!(handle.market().klines(&series, day).len(), 24);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! - [`Simulator::start`] serves from the current runtime, [`Simulator::start_blocking`] from a thread of its own;
//!   both give a [`Handle`], which is a [`Simulator`] with an address and stops when dropped.
//! - [`Simulator::respond`] answers one [`Request`] without a socket.
//! - [`Market`] is the truth, [`Clock`] the time, [`Faults`] what goes wrong, [`Journal`] what was asked.
//! - [`Market::ticker`], [`Market::index_quote`] and [`Market::fear_greed`] are the truth behind every price route.
//! - [`Simulator::set_status`] stops a symbol and lets it trade again.
//! - [`Simulator::peak_weights`] and [`Simulator::calls_in_quarantine`] tell whether callers kept to the limits.
//! - A [`Door`] is a further address that can refuse, hang, reset or, with the feature `tls`, show the wrong certificate.
//! - [`Replay`] puts recordings in the place of the market for the symbols it holds.
//!
//! Real sockets need real time: a test on tokio's paused clock hands its requests to [`Simulator::respond`] instead,
//! and moves [`Clock`] itself. Under a fixed clock no minute ends on its own, so quotas do not refill until it is moved.
//!
//! # What it is not
//!
//! No order books, no WebSocket streams, no mark, index or continuous klines: those paths answer 404.
//! Tickers and index prices come from the market even where klines are replayed. Trade numbers and offers in tickers,
//! volumes and supplies of coins and all ratios are inventions, the same at every start but not derived from each other.
//! No DNS, hence none of its failures, and no TLS but that of a [`Door`] with the feature `tls`. Spot and futures of one name move on separate paths.
//! A listing knows keys and dates; its sizes and ETags are inventions until a file has been served.
//!
//! # By curl
//!
//! ```text
//! curl $SIM/api.binance.com/api/v3/klines?symbol=BTCUSDT\&interval=1m\&limit=3
//! curl $SIM/api.binance.com/api/v3/ticker/24hr?symbol=BTCUSDT
//! curl $SIM/fapi.binance.com/fapi/v1/fundingRate?symbol=BTCUSDT\&limit=3
//! curl $SIM/fapi.binance.com/futures/data/globalLongShortAccountRatio?symbol=BTCUSDT\&period=1h
//! curl $SIM/api.coingecko.com/api/v3/simple/price?ids=bitcoin\&vs_currencies=usd
//! curl $SIM/api.alternative.me/fng/?limit=3
//! curl $SIM/data.binance.vision/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-05-30.zip -o day.zip
//! curl $SIM/_simulator/faults                                        # those in force
//! curl $SIM/_simulator/faults -d '{"effect":{"kind":"refuse"},"upstream":"binance-vision"}'
//! curl $SIM/_simulator/faults -d '{"effect":{"kind":"rate_limited","retry_after":7},"upstream":"binance-spot","times":3}'
//! curl $SIM/_simulator/faults -d '{"effect":{"kind":"truncated_day","hour":18},"path":"BTCUSDT-1m-2024-05-30"}'
//! curl -X DELETE $SIM/_simulator/faults                              # all, or ?id=3
//! curl $SIM/_simulator/faults -d '{"effect":{"kind":"head_not_served","status":405},"upstream":"binance-spot"}'
//! curl $SIM/_simulator/faults -d '{"effect":{"kind":"price_text","text":"NaN"},"path":"ticker/price"}'
//! curl $SIM/_simulator/faults -d '{"effect":{"kind":"refuse"},"flapping":{"down":2000000,"up":5000000}}'
//! curl $SIM/_simulator/journal                                       # DELETE forgets it
//! curl $SIM/_simulator/clock                                         # what time it is
//! curl $SIM/_simulator/clock -d '{"at":"2024-06-01T00:00:00Z"}'      # stop it there
//! curl $SIM/_simulator/clock -d '{"advance":60000000}'               # a minute on, in microseconds
//! curl $SIM/_simulator/clock -d '{"real":{"offset":0}}'              # let it run again
//! curl "$SIM/_simulator/truth?market=um&symbol=BTCUSDT&interval=fundingRate&start=2024-05-01&end=2024-05-02"
//! curl "$SIM/_simulator/truth?market=spot&symbol=BTCUSDT&interval=1h&start=2024-05-01&end=2024-05-02"
//! curl $SIM/_simulator/halts -d '{"market":"spot","start":1714550400000000,"end":1714554000000000,"kind":"absent"}'
//! curl -X POST $SIM/_simulator/doors                                 # {"id":1,"url":"http://127.0.0.1:PORT",…}
//! curl $SIM/_simulator/doors?id=1 -d '{"behaviour":"refused"}'       # open, black_hole, silent, reset_on_connect
//! curl -X DELETE $SIM/_simulator/doors                               # all, or ?id=1
//! curl $SIM/_simulator/status -d '{"market":"spot","symbol":"ETHUSDT","status":"HALT"}'
//! curl $SIM/_simulator/politeness                                    # peak weights, calls made too early
//! ```

#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod time;

mod clock;
mod config;
mod control;
mod door;
mod fault;
mod journal;
mod market;
mod message;
mod politeness;
mod server;
mod simulator;
mod upstream;

pub use clock::{Clock, ClockMode};
pub use config::{CoinGeckoRules, Config, Publication, Quotas, Throttling};
pub use door::{Door, DoorBehaviour};
pub use fault::{ActiveFault, Effect, ErrorShape, Fault, FaultId, Faults, Flapping, HeaderStyle};
pub use journal::{Entry, Journal};
pub use market::{
    Anchor, Coin, CoinSource, Ending, ExchangeMarket, FearGreed, FundingRate, Grid, Halt, HaltKind, IndexQuote,
    Interval, Kline, Market, Scales, Series, SymbolSpec, SymbolStatus, Ticker, coins, decimal, known_halts, universe,
};
pub use message::{Delivery, Reply, Request, Response};
pub use politeness::PeakWeight;
pub use server::Handle;
pub use simulator::Simulator;
pub use time::TimeUnit;
pub use upstream::Upstream;
pub use upstream::replay::Replay;
