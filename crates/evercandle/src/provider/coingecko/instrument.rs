//! What an exchange's symbol is about: base, currency, multiplier, contract.
//!
//! The exchange writes base and quote together, so a symbol is split by the quotes it is known to use. Futures of cheap
//! coins are of a thousand or a million at once and say so before the base (`1000SHIB`); `1INCH` is a coin. A quote in
//! a stablecoin is taken as US dollars, which is nearly true and said in the label.

use crate::model::series::Market;

/// A symbol, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instrument<'a> {
    /// One unit of what is bought and sold, without multiplier.
    pub(super) base: &'a str,
    /// What it is paid in, in the exchange's spelling.
    pub(super) quote: &'a str,
    /// The currency that stands for it here.
    pub(super) currency: &'static str,
    /// How many units the price is for, as a power of ten.
    pub(super) multiplier: u32,
    pub(super) contract: Contract<'a>,
}

/// What is delivered, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contract<'a> {
    /// At once: the spot market.
    Spot,
    Perpetual,
    /// On a day, as `YYMMDD`.
    Delivered(&'a str),
}

/// Quotes of the spot and USD-M markets, and the currencies that stand for them. No quote ends with another one here,
/// or a symbol could be split in two ways.
const QUOTES: &[(&str, &str)] = &[
    ("USDT", "usd"),
    ("USDC", "usd"),
    ("FDUSD", "usd"),
    ("TUSD", "usd"),
    ("BUSD", "usd"),
    ("USDP", "usd"),
    ("USD1", "usd"),
    ("DAI", "usd"),
    ("BTC", "btc"),
    ("ETH", "eth"),
    ("BNB", "bnb"),
    ("EUR", "eur"),
    ("EURI", "eur"),
    ("GBP", "gbp"),
    ("TRY", "try"),
    ("BRL", "brl"),
    ("AUD", "aud"),
    ("JPY", "jpy"),
    ("RUB", "rub"),
    ("UAH", "uah"),
    ("NGN", "ngn"),
    ("ZAR", "zar"),
    ("PLN", "pln"),
    ("ARS", "ars"),
    ("MXN", "mxn"),
    ("CZK", "czk"),
    ("IDR", "idr"),
];
/// COIN-M is quoted in dollars and in nothing else.
const COIN_QUOTES: &[(&str, &str)] = &[("USD", "usd")];

/// Multipliers written before a base, the longest first.
const MULTIPLIERS: &[(&str, u32)] = &[("1000000", 6), ("10000", 4), ("1000", 3)];
/// The one base that is written with an `M` for a million; elsewhere `1M…` may be a name.
const MILLIONS: (&str, &str) = ("1M", "BABYDOGE");

/// Takes a symbol apart; `None` when its quote is not one we know.
pub(super) fn read(market: Market, symbol: &str) -> Option<Instrument<'_>> {
    let (pair, contract) = match (market, symbol.rsplit_once('_')) {
        (Market::Spot, None) => (symbol, Contract::Spot),
        (Market::Um, None) => (symbol, Contract::Perpetual),
        (Market::Cm, Some((pair, "PERP"))) => (pair, Contract::Perpetual),
        (Market::Um | Market::Cm, Some((pair, date))) if is_date(date) => (pair, Contract::Delivered(date)),
        _ => return None,
    };
    let quotes = if market == Market::Cm { COIN_QUOTES } else { QUOTES };
    let (base, (quote, currency)) = quotes.iter().find_map(|known| {
        let base = pair.strip_suffix(known.0)?;
        (!base.is_empty()).then_some((base, *known))
    })?;
    let (base, multiplier) = unmultiplied(base);
    Some(Instrument {
        base,
        quote,
        currency,
        multiplier,
        contract,
    })
}

fn is_date(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The base without its multiplier, and the multiplier as a power of ten. What follows one is never a digit.
pub(super) fn unmultiplied(base: &str) -> (&str, u32) {
    if base.strip_prefix(MILLIONS.0) == Some(MILLIONS.1) {
        return (MILLIONS.1, 6);
    }
    let stripped = MULTIPLIERS.iter().find_map(|(prefix, power)| {
        let rest = base.strip_prefix(prefix)?;
        rest.starts_with(|c: char| !c.is_ascii_digit())
            .then_some((rest, *power))
    });
    stripped.unwrap_or((base, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_base_quote_multiplier_and_contract() {
        use Contract::{Delivered, Perpetual, Spot};
        for (market, symbol, base, quote, currency, multiplier, contract) in [
            (Market::Spot, "BTCUSDT", "BTC", "USDT", "usd", 0, Spot),
            (Market::Spot, "BTCTUSD", "BTC", "TUSD", "usd", 0, Spot),
            (Market::Spot, "BTCFDUSD", "BTC", "FDUSD", "usd", 0, Spot),
            (Market::Spot, "USDCUSDT", "USDC", "USDT", "usd", 0, Spot),
            (Market::Spot, "USDTTRY", "USDT", "TRY", "try", 0, Spot),
            (Market::Spot, "ETHBTC", "ETH", "BTC", "btc", 0, Spot),
            (Market::Spot, "WBETHETH", "WBETH", "ETH", "eth", 0, Spot),
            (Market::Spot, "BTCEUR", "BTC", "EUR", "eur", 0, Spot),
            (Market::Spot, "BTCEURI", "BTC", "EURI", "eur", 0, Spot),
            (Market::Spot, "1INCHUSDT", "1INCH", "USDT", "usd", 0, Spot),
            (Market::Spot, "1MBABYDOGEUSDT", "BABYDOGE", "USDT", "usd", 6, Spot),
            (Market::Spot, "1MILUSDT", "1MIL", "USDT", "usd", 0, Spot),
            (Market::Spot, "1000SATSUSDT", "SATS", "USDT", "usd", 3, Spot),
            (Market::Um, "BTCUSDT", "BTC", "USDT", "usd", 0, Perpetual),
            (Market::Um, "1000SHIBUSDT", "SHIB", "USDT", "usd", 3, Perpetual),
            (Market::Um, "10000LADYSUSDT", "LADYS", "USDT", "usd", 4, Perpetual),
            (Market::Um, "1000000MOGUSDT", "MOG", "USDT", "usd", 6, Perpetual),
            (
                Market::Um,
                "BTCUSDT_240628",
                "BTC",
                "USDT",
                "usd",
                0,
                Delivered("240628"),
            ),
            (Market::Cm, "BTCUSD_PERP", "BTC", "USD", "usd", 0, Perpetual),
            (Market::Cm, "ETHUSD_240628", "ETH", "USD", "usd", 0, Delivered("240628")),
        ] {
            let expected = Instrument {
                base,
                quote,
                currency,
                multiplier,
                contract,
            };
            assert_eq!(read(market, symbol), Some(expected), "{market} {symbol}");
        }
        for (market, symbol) in [
            (Market::Spot, "BTCUSD"),
            (Market::Spot, "USDT"),
            (Market::Spot, "BTCRON"),
            (Market::Spot, "BTCUSDT_240628"),
            (Market::Um, "BTCUSDT_PERP"),
            (Market::Um, "BTCUSDT_24062"),
            (Market::Cm, "BTCUSD"),
            (Market::Cm, "BTCUSDT_PERP"),
            (Market::Spot, "币安人生"),
        ] {
            assert_eq!(read(market, symbol), None, "{market} {symbol}");
        }
    }

    #[test]
    fn no_quote_ends_with_another() {
        for (longer, _) in QUOTES {
            let shorter = QUOTES
                .iter()
                .filter(|(other, _)| other != longer && longer.ends_with(other));
            assert_eq!(shorter.count(), 0, "{longer}");
        }
    }

    #[test]
    fn a_multiplier_is_followed_by_a_name() {
        for (base, expected) in [
            ("1000", ("1000", 0)),
            ("1000000", ("1000000", 0)),
            ("10001INCH", ("10001INCH", 0)),
            ("100X", ("100X", 0)),
            ("1000X", ("X", 3)),
            ("1000币", ("币", 3)),
        ] {
            assert_eq!(unmultiplied(base), expected, "{base}");
        }
    }
}
