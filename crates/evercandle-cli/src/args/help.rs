//! What stands below the options on a page of help: what a person would ask next, and examples to copy.
//!
//! Every line of prose is a whole sentence, wrapped by the terminal it is read on.

pub(super) const EXAMPLES: &str = "\
Examples:
  evercandle demo                                   see it work, without network
  evercandle get BTCUSDT 1m --last 7d               a week of minutes, on the screen
  evercandle get BTC/USDT 1h --start 2024-01 --end 2024-02 --out january.parquet
  evercandle download BTCUSDT ETHUSDT 1m 1h --start 2020-01-01
  evercandle funding BTCUSDT --last 30d             what longs paid shorts
  evercandle chart BTCUSDT 4h --last 30d --out btc.png
  evercandle price BTCUSDT                          the newest price, and how far it can be trusted
  evercandle sentiment --days 90 --chart            the Fear & Greed Index
  evercandle status --watch                         how every upstream is doing

Exit codes:
  0    complete
  1    unexpected failure
  2    bad input: the command line, a symbol, a range, the configuration
  3    incomplete: something an upstream might still have is missing
  4    unavailable: nothing at all could be had
  5    the cache could not be used
  130  interrupted";

pub(super) const GET_EXAMPLES: &str = "\
Ranges are half-open and UTC: --end 2024-02-01 stops before that day begins.
An open end is now.
Without a range: the newest 100 klines.

Unless --best-effort is given, an incomplete answer prints no kline and exits with 3.
With it, what was found is printed, and the exit code is still 3.

Examples:
  evercandle get BTCUSDT 1m --last 7d
  evercandle get BTC/USDT:USDT 1h --start 2024-01-01 --end 2024-02-01 --format csv > um.csv
  evercandle get BTCUSD_PERP 1d --start 2023 --out btc.parquet --decimals exact
  evercandle get ETHUSDT 5m --last 2d --explain
  evercandle get BTCUSDT 1m --last 1d --columns open_time,close --format ndjson | jq .close";

pub(super) const FUNDING_EXAMPLES: &str = "\
A rate is what longs paid shorts, per unit of position, when the future was settled; negative when shorts paid.
Futures are settled every eight, four or one hours, and the exchange changes that now and then.
The columns are funding_time (a few milliseconds after the hour), funding_rate, mark_price and interval_hours.
Archives do not know the mark price and REST does not know the interval; what is not known is left empty.
Without a range: the newest 30 days.

A gap means that a settlement is missing: at 00:00, 08:00 and 16:00 UTC every future is settled, and some more often.

Examples:
  evercandle funding BTCUSDT --last 30d
  evercandle funding BTC/USD:BTC --start 2023 --end 2024 --format csv > funding.csv
  evercandle funding ETHUSDT --start 2020 --out eth-funding.parquet --decimals exact --explain";

pub(super) const DOWNLOAD_EXAMPLES: &str = "\
Whatever reads as an interval is one, the rest are symbols; every symbol is fetched at every interval.
A list (--file, or stdin with --file -) has one symbol a line, with its own intervals after it if need be.
Ctrl-C keeps what is stored; the same command again goes on from there.

Examples:
  evercandle download BTCUSDT 1m --start 2017-08
  evercandle download BTCUSDT ETHUSDT SOLUSDT 1m 1h 1d --last 1y --jobs 4
  evercandle download BTCUSDT ETHUSDT 1h fundingRate --market um --last 2y
  evercandle symbols --market um --format csv | tail -n +2 | cut -d, -f1 |
    evercandle download --file - 1d --last 2y";

pub(super) const GAPS_EXAMPLES: &str = "\
Examples:
  evercandle gaps BTCUSDT 1m --start 2018-01 --end 2019-01
  evercandle gaps BTCUSDT 1m --last 30d --offline --format json";

pub(super) const CHART_EXAMPLES: &str = "\
Without a range: the newest 120 klines.
Longer ranges are aggregated: each column takes the first open, the last close, the highest high, the lowest low and the \
sum of the volumes of the klines it stands for.

Examples:
  evercandle chart BTCUSDT 1h --last 7d
  evercandle chart BTCUSDT 1d --last 1y --out btc.png
  evercandle chart BTCUSDT 1m --last 1d --out btc.html --theme dark";

pub(super) const PRICE_EXAMPLES: &str = "\
The exchange is asked first.
When it cannot be asked, another instrument's price stands in, labelled SUBSTITUTE; then what was known before, with its age.
What is too old is refused: see latest.price_stale_if_error_ms in the configuration.

A price is live: the exchange answered, and the price is young.
Or stale: it answered, but nothing was traded for a while.
Or halted: it answered that the market does not trade, with its word for why.
Or last known: nobody answered, and this is what was known before.
A young price that is not the exchange's is never live: its state is substitute.
In JSON and CSV, state is one of live, substitute, stale, halted and last_known, and nature is exchange or substitute.

Examples:
  evercandle price BTCUSDT
  evercandle price BTC/USDT:USDT --no-substitute
  evercandle price BTCUSDT --format json | jq -r .price
  evercandle price BTCUSDT --explain --deadline 2s";

pub(super) const PRICES_EXAMPLES: &str = "\
What could be had is printed; what could not is told on stderr, with every upstream's reason, and under missing in JSON.
The exit code is then 3, or 4 when there is no price at all, or 2 when all that is missing is unknown to the exchange.
A list (--file, or stdin with --file -) has one symbol a line, or several.

Examples:
  evercandle prices BTCUSDT ETHUSDT SOLUSDT
  evercandle prices btc/usdt,eth/usdt BTC/USDT:USDT --format json
  evercandle prices --market um --file list.txt --format csv > prices.csv";

pub(super) const SENTIMENT_EXAMPLES: &str = "\
The Crypto Fear & Greed Index of alternative.me is asked first: 0 is fear, 100 is greed, one reading a day.
When it cannot be had, and today's reading is not remembered, another measure stands in, said to be one.
Measures are never mixed.
Whoever shows the index must name its source: alternative.me.

Examples:
  evercandle sentiment
  evercandle sentiment --days 90 --chart
  evercandle sentiment --days 365 --out fear-and-greed.svg
  evercandle sentiment --days 30 --no-secondary --format csv";

pub(super) const STATUS_EXAMPLES: &str = "\
Every upstream that may be called is probed once, unless --no-probe is given; one that asked to be left alone is left alone.
With --watch, they are probed every 30 seconds, while the table follows every change; Ctrl-C ends it.
A circuit lives as long as its process, so that only --watch sees one open and close.
A ban is kept on disk, beside the cache: --reset NAME lifts it, for when the upstream has forgiven you and nobody told Evercandle.

An upstream is ok when it answers, and not asked when nothing is known of it yet.
It is degraded when its last call failed or it has yet to prove itself, and down when it failed repeatedly and is not asked for a while.
It is quarantined when it asked to be left alone.
The quota is what was used in this minute of what we allow ourselves (of what the upstream allows).

The exit code is 0 when some upstream can serve something, and 4 when none can; with --watch, it is 0.

Examples:
  evercandle status
  evercandle status --watch 5
  evercandle status --format json | jq '.upstreams[] | select(.status != \"ok\")'
  evercandle status --reset binance";

pub(super) const EVICT_EXAMPLES: &str = "\
Examples:
  evercandle cache evict BTCUSDT 1s
  evercandle cache evict --to 20G
  evercandle cache evict --all";

pub(super) const SYMBOLS_EXAMPLES: &str = "\
Examples:
  evercandle symbols usdt
  evercandle symbols --market cm --format csv";

pub(super) const ALERTS_EXAMPLES: &str = "\
The daemon evaluates them itself and tells the webhooks of the configuration; Prometheus can do the same with the rule file.
The thresholds are those under [alerts] in the configuration.

Examples:
  evercandle alerts
  evercandle alerts --format prometheus > evercandle.rules.yml
  promtool check rules evercandle.rules.yml";

pub(super) const SERVE_EXAMPLES: &str = "\
What is kept warm, how much is allowed and who is told of alerts is in the configuration: see evercandle config show.
EVERCANDLE_API_KEY makes callers show that key; EVERCANDLE_ADMIN_TOKEN opens the administration.
SIGTERM lets answers under way end, for server.drain_ms at the most. It logs on stderr, by default from level info.
A supervisor may hand over a listening socket (LISTEN_FDS) and is told when it serves (NOTIFY_SOCKET).

Examples:
  evercandle serve --simulate
  evercandle serve --check
  evercandle serve --listen 127.0.0.1:9090 --config evercandle.toml";

pub(super) const SIMULATE_EXAMPLES: &str = "\
Example:
  evercandle simulate --listen 127.0.0.1:9000 &
  evercandle get BTCUSDT 1m --last 1d --internet http://127.0.0.1:9000 --cache-dir /tmp/simulated";
