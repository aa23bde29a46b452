//! Coins whose names here were checked by hand, by their names on the exchange, and names that changed hands.
//!
//! A wrong name would show another coin's price, so this list has what is beyond doubt; everything else is learnt.

/// The exchange's name of a coin and CoinGecko's, as of October 2026.
const COINS: &[(&str, &str)] = &[
    ("1INCH", "1inch"),
    ("AAVE", "aave"),
    ("ADA", "cardano"),
    ("ALGO", "algorand"),
    ("APT", "aptos"),
    ("ARB", "arbitrum"),
    ("ATOM", "cosmos"),
    ("AVAX", "avalanche-2"),
    ("AXS", "axie-infinity"),
    ("BABYDOGE", "baby-doge-coin"),
    ("BAT", "basic-attention-token"),
    ("BCH", "bitcoin-cash"),
    ("BNB", "binancecoin"),
    ("BONK", "bonk"),
    ("BTC", "bitcoin"),
    ("BTTC", "bittorrent"),
    ("CAKE", "pancakeswap-token"),
    ("CHZ", "chiliz"),
    ("COMP", "compound-governance-token"),
    ("CRV", "curve-dao-token"),
    ("DAI", "dai"),
    ("DASH", "dash"),
    ("DOGE", "dogecoin"),
    ("DOT", "polkadot"),
    ("EGLD", "elrond-erd-2"),
    ("ENA", "ethena"),
    ("ENJ", "enjincoin"),
    ("ENS", "ethereum-name-service"),
    ("ETC", "ethereum-classic"),
    ("ETH", "ethereum"),
    ("FDUSD", "first-digital-usd"),
    ("FET", "fetch-ai"),
    ("FIL", "filecoin"),
    ("FLOKI", "floki"),
    ("FLOW", "flow"),
    ("GALA", "gala"),
    ("GRT", "the-graph"),
    ("HBAR", "hedera-hashgraph"),
    ("ICP", "internet-computer"),
    ("IMX", "immutable-x"),
    ("INJ", "injective-protocol"),
    ("IOTA", "iota"),
    ("KAVA", "kava"),
    ("KSM", "kusama"),
    ("LDO", "lido-dao"),
    ("LINK", "chainlink"),
    ("LTC", "litecoin"),
    ("LUNA", "terra-luna-2"),
    ("LUNC", "terra-luna"),
    ("MANA", "decentraland"),
    ("MOG", "mog-coin"),
    ("NEAR", "near"),
    ("NEO", "neo"),
    ("ONT", "ontology"),
    ("OP", "optimism"),
    ("ORDI", "ordinals"),
    ("PAXG", "pax-gold"),
    ("PENDLE", "pendle"),
    ("PEPE", "pepe"),
    ("POL", "polygon-ecosystem-token"),
    ("PYTH", "pyth-network"),
    ("QTUM", "qtum"),
    ("RENDER", "render-token"),
    ("RUNE", "thorchain"),
    ("SAND", "the-sandbox"),
    ("SEI", "sei-network"),
    ("SHIB", "shiba-inu"),
    ("SNX", "havven"),
    ("SOL", "solana"),
    ("STX", "blockstack"),
    ("SUI", "sui"),
    ("SUSHI", "sushi"),
    ("THETA", "theta-token"),
    ("TIA", "celestia"),
    ("TON", "the-open-network"),
    ("TRX", "tron"),
    ("TUSD", "true-usd"),
    ("UNI", "uniswap"),
    ("USDC", "usd-coin"),
    ("USDT", "tether"),
    ("USTC", "terrausd"),
    ("VET", "vechain"),
    ("WBTC", "wrapped-bitcoin"),
    ("WIF", "dogwifcoin"),
    ("WLD", "worldcoin-wld"),
    ("XEC", "ecash"),
    ("XLM", "stellar"),
    ("XMR", "monero"),
    ("XNO", "nano"),
    ("XRP", "ripple"),
    ("XTZ", "tezos"),
    ("YFI", "yearn-finance"),
    ("ZEC", "zcash"),
    ("ZIL", "zilliqa"),
];

/// Names that the exchange has given up, and what followed. Some were exchanged at another rate than one to one, so the
/// successor's price is not theirs.
const GIVEN_UP: &[(&str, &str)] = &[
    ("BCC", "BCH"),
    ("BTT", "BTTC"),
    ("EOS", "A"),
    ("ERD", "EGLD"),
    ("FTM", "S"),
    ("KLAY", "KAIA"),
    ("LEND", "AAVE"),
    ("MATIC", "POL"),
    ("MKR", "SKY"),
    ("NANO", "XNO"),
    ("PAX", "USDP"),
    ("RNDR", "RENDER"),
    ("VEN", "VET"),
];

/// The coin of a base, if it is beyond doubt.
pub(super) fn coin(base: &str) -> Option<&'static str> {
    find(COINS, base)
}

/// What followed a name that was given up.
pub(super) fn successor(base: &str) -> Option<&'static str> {
    find(GIVEN_UP, base)
}

fn find(sorted: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    let at = sorted.binary_search_by_key(&name, |(known, _)| known).ok()?;
    Some(sorted[at].1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_lists_are_sorted_and_name_nothing_twice() {
        for list in [COINS, GIVEN_UP] {
            assert!(list.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
        let coins: BTreeSet<&str> = COINS.iter().map(|(_, coin)| *coin).collect();
        assert_eq!(coins.len(), COINS.len(), "two symbols share a coin");
        assert!(COINS.iter().all(|(base, _)| successor(base).is_none()));
        let plain = |coin: &str| {
            coin.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        assert!(COINS.iter().all(|(_, coin)| plain(coin)));
        assert_eq!(
            (coin("BTC"), coin("LUNA"), successor("MATIC")),
            (Some("bitcoin"), Some("terra-luna-2"), Some("POL"))
        );
    }
}
