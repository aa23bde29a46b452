//! What can go wrong, each by name.
//!
//! Three families: the connection fails, the answer is another one, or the content is subtly not the truth.
//! The third is the dangerous one, and every entry of it has happened to somebody.

use serde::{Deserialize, Serialize};

use crate::time::TimeUnit;

/// One thing going wrong. In JSON: `{"kind":"truncated_day","hour":18}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    // --- the connection ---------------------------------------------------------------------------------------------
    /// The connection is reset as soon as the request has been read: the nearest to "refused" that one port can do.
    Refuse,
    /// The connection is accepted and nothing ever comes.
    BlackHole,
    /// Headers and some of the body, then a reset.
    ResetMidBody {
        /// Bytes of body before the reset.
        after: usize,
    },
    /// `Content-Length` promises more than is sent before an orderly close.
    ShortBody {
        /// Bytes that never come.
        missing: usize,
    },
    /// The body drips.
    Trickle {
        /// Its speed.
        bytes_per_second: u32,
    },
    /// A chunked body that never ends; it is blanks, as fast as the client reads them.
    EndlessBody,
    /// A chunked body that ends without its last chunk.
    UnfinishedChunks,
    /// The server thinks for a while before the first byte.
    Latency {
        /// How long.
        milliseconds: u64,
    },

    // --- another answer ---------------------------------------------------------------------------------------------
    /// This status with this body.
    Status {
        /// The status code.
        status: u16,
        /// The body, sent as text.
        #[serde(default)]
        body: String,
    },
    /// 429 with `Retry-After`.
    RateLimited {
        /// Seconds to wait.
        retry_after: i64,
    },
    /// 418 with `Retry-After` and the end of the ban in words.
    Banned {
        /// Seconds left.
        retry_after: i64,
    },
    /// 403: the firewall's HTML from REST hosts, AccessDenied XML from the archive.
    Forbidden,
    /// 451, the geographical block.
    RestrictedLocation,
    /// A JSON error with this code: -1000, -1003, -1007, -1008, -1016, -1120, -1121.
    ApiError {
        /// The code.
        code: i32,
    },
    /// HEAD is not served, GET is: this status without a body. Only touches HEAD.
    HeadNotServed {
        /// 404, 405 or 501.
        status: u16,
    },
    /// 200 with a page of HTML: a captive portal, a listing browser, a challenge.
    Html,
    /// 200 with a small gzip body that unpacks to this many mebibytes of blanks.
    GzipBomb {
        /// Mebibytes after unpacking.
        mebibytes: usize,
    },
    /// 200 with no body at all.
    EmptyBody,
    /// 200 with `[]`.
    EmptyArray,
    /// 200 with `{}`.
    EmptyObject,
    /// The right answer, cut in the middle: JSON that does not end.
    TruncatedBody,

    // --- REST content -----------------------------------------------------------------------------------------------
    /// Pages hold at most this many rows, whatever was asked.
    CapRows {
        /// Rows per page.
        rows: usize,
    },
    /// Rows of another symbol.
    WrongSymbol {
        /// Whose rows.
        symbol: String,
    },
    /// Rows of another interval, in the REST spelling.
    WrongInterval {
        /// Which.
        interval: String,
    },
    /// Rows of a window moved by this much.
    WrongRange {
        /// Later when positive.
        hours: i64,
    },
    /// A row of the day after tomorrow at the end of the page.
    FutureRow,
    /// Rows with more than twelve cells.
    ExtraFields,
    /// Rows whose numbers come as strings and strings as numbers in slots 0, 6 and 8.
    QuotedNumbers,
    /// `/time` is wrong by this much.
    ClockSkew {
        /// Ahead when positive.
        milliseconds: i64,
    },
    /// Klines that closed less than this long ago still show another close and count, which change as the clock moves.
    UnsettledRows {
        /// How long after the close.
        milliseconds: i64,
    },
    /// Every row of the page three times.
    PageRepeatsRows,
    /// The halves of the page in the wrong order.
    PageOutOfOrder,
    /// One row in the middle of the page is missing.
    MissingRow,

    // --- prices: Binance's tickers, and CoinGecko's prices where the same can happen --------------------------------
    /// The price and the time of this long ago.
    StalePrice {
        /// How old.
        hours: i64,
    },
    /// An answer about many lacks this symbol (or coin id).
    MissingTicker {
        /// Which.
        symbol: String,
    },
    /// Every price reads like this: `0.00000000`, `NaN`, nothing; `null` if no text is given.
    PriceText {
        /// What is in the place of the price.
        #[serde(default)]
        text: Option<String>,
    },
    /// The first ticker of the answer carries this name with its own values.
    MislabelledTicker {
        /// The wrong name.
        symbol: String,
    },
    /// Every ticker of an answer about many comes twice, the second time with the values of an hour ago.
    DuplicateTickers,

    // --- CoinGecko --------------------------------------------------------------------------------------------------
    /// A refusal in one of the shapes that CoinGecko uses.
    CoinGeckoError {
        /// Which shape.
        shape: ErrorShape,
        /// The status code.
        status: u16,
        /// The code in the body, often not the status: 10002, 10010, 1020.
        code: i64,
        /// The sentence in the body.
        #[serde(default)]
        message: String,
        /// Seconds to wait, if that is said.
        #[serde(default)]
        retry_after: Option<i64>,
    },

    // --- alternative.me ---------------------------------------------------------------------------------------------
    /// 200 with no data and this in `metadata.error`.
    FearGreedError {
        /// The sentence.
        message: String,
    },
    /// The newest day does not say when the next is due.
    NoTimeUntilUpdate,
    /// The newest days are not there.
    MissingNewestDays {
        /// How many.
        days: usize,
    },
    /// The newest value is this number, whatever an index may be.
    FearGreedValue {
        /// 101, -1.
        value: i64,
    },

    // --- rows, by REST or by archive --------------------------------------------------------------------------------
    /// A row in the middle whose low is above its high.
    ImpossibleRow,
    /// A row in the middle whose close is `NaN`.
    NotANumber,

    // --- archive content: the checksum agrees with the file unless the name says otherwise ---------------------------
    /// 404 although it should be there.
    NotFound,
    /// Published this much later than usual.
    Delayed {
        /// Extra hours.
        hours: i64,
    },
    /// The sidecar carries a hash of nothing.
    WrongChecksum,
    /// The sidecar carries the hash of an earlier version; the archive is right.
    StaleChecksum,
    /// The sidecar is 404; the archive is there.
    MissingChecksum,
    /// The archive is an earlier version; the sidecar is right. A re-publication caught half way.
    TornPair,
    /// Not a zip that can be read, yet the checksum agrees.
    CorruptZip,
    /// No rows from this hour of the last day of the file on.
    TruncatedDay {
        /// Hour of day, 0 to 23.
        hour: u8,
    },
    /// A monthly file with only its first days.
    ShortMonth {
        /// How many days.
        days: u8,
    },
    /// A file without the rows of one day of the month.
    MissingDay {
        /// Day of month, 1 to 31.
        day: u8,
    },
    /// A monthly file whose volumes disagree with the daily files and REST.
    MonthlyDiffers,
    /// A re-publication: other volumes, a matching checksum, a new ETag and a later date.
    Revised,
    /// The same bytes under another ETag.
    ChangedEtag,
    /// Every row of the first hour three times.
    DuplicateRows,
    /// Two halves in the wrong order.
    UnorderedRows,
    /// Every row of the first hour again, with other volumes.
    ConflictingRows,
    /// One row of the day after the period.
    StrayRow,
    /// A header line whatever the era, or none, or one in the middle again.
    Header {
        /// Which.
        style: HeaderStyle,
    },
    /// Instants in this unit whatever the era.
    Unit {
        /// Which.
        unit: TimeUnit,
    },
    /// The second half of the rows in the other unit.
    MixedUnits,
    /// Rows of the first hour shifted off the grid, as in February 2018.
    OffGrid,
    /// A tiny archive that unpacks to this much.
    ZipBomb {
        /// Mebibytes after unpacking.
        mebibytes: usize,
    },
    /// A second CSV in the archive.
    TwoMembers,
    /// A member named `../../evil.csv`.
    EvilMemberName,
}

/// Where header lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderStyle {
    /// One, on top.
    Present,
    /// None.
    Absent,
    /// One on top and again in the middle.
    Repeated,
}

/// How CoinGecko words a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorShape {
    /// `{"error":"coin not found"}`
    Flat,
    /// `{"status":{"error_code":429,"error_message":"…"}}`
    Status,
    /// `{"error":{"status":{"timestamp":"…","error_code":10012,"error_message":"…"}}}`
    Nested,
    /// `{"status":500,"error":"Internal Server Error"}`
    Server,
}

/// What kind of request an effect can touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Anything,
    RestKlines,
    RestTime,
    /// Binance's tickers.
    Tickers,
    /// Binance's tickers and CoinGecko's prices.
    Prices,
    CoinGecko,
    FearGreed,
    /// Pages of klines and archives alike.
    Rows,
    /// The zip and its sidecar, which must tell one story.
    Archive,
    Sidecar,
}

impl Effect {
    pub(crate) fn reach(&self) -> Reach {
        use Effect::*;
        match self {
            CapRows { .. }
            | WrongSymbol { .. }
            | WrongInterval { .. }
            | WrongRange { .. }
            | FutureRow
            | PageRepeatsRows
            | PageOutOfOrder
            | ExtraFields
            | QuotedNumbers
            | UnsettledRows { .. }
            | MissingRow => Reach::RestKlines,
            ClockSkew { .. } => Reach::RestTime,
            MislabelledTicker { .. } | DuplicateTickers => Reach::Tickers,
            StalePrice { .. } | MissingTicker { .. } | PriceText { .. } => Reach::Prices,
            CoinGeckoError { .. } => Reach::CoinGecko,
            FearGreedError { .. } | NoTimeUntilUpdate | MissingNewestDays { .. } | FearGreedValue { .. } => {
                Reach::FearGreed
            }
            ImpossibleRow | NotANumber => Reach::Rows,
            WrongChecksum | StaleChecksum | MissingChecksum => Reach::Sidecar,
            NotFound
            | Delayed { .. }
            | TornPair
            | CorruptZip
            | TruncatedDay { .. }
            | ShortMonth { .. }
            | MissingDay { .. }
            | MonthlyDiffers
            | Revised
            | ChangedEtag
            | DuplicateRows
            | UnorderedRows
            | ConflictingRows
            | StrayRow
            | Header { .. }
            | Unit { .. }
            | MixedUnits
            | OffGrid
            | ZipBomb { .. }
            | TwoMembers
            | EvilMemberName => Reach::Archive,
            _ => Reach::Anything,
        }
    }

    /// Whether the bytes of an archive follow from it, and with them its checksum.
    pub(crate) fn changes_archives(&self) -> bool {
        use Effect::*;
        let elsewhere = matches!(self, NotFound | Delayed { .. } | TornPair);
        matches!(self.reach(), Reach::Archive | Reach::Rows) && !elsewhere
    }
}
