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
    /// 200 with a page of HTML: a captive portal, a listing browser, a challenge.
    Html,
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
    /// Rows with more than twelve cells.
    ExtraFields,
    /// Rows whose numbers come as strings and strings as numbers in slots 0, 6 and 8.
    QuotedNumbers,
    /// `/time` is wrong by this much.
    ClockSkew {
        /// Ahead when positive.
        milliseconds: i64,
    },
    /// Klines that closed less than this long ago still show other values, a different one at every request.
    UnsettledRows {
        /// How long after the close.
        milliseconds: i64,
    },
    /// One row in the middle of the page is missing.
    MissingRow,

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

/// What kind of request an effect can touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Anything,
    RestKlines,
    RestTime,
    /// The zip and its sidecar, which must tell one story.
    Archive,
    Sidecar,
}

impl Effect {
    pub(crate) fn reach(&self) -> Reach {
        use Effect::*;
        match self {
            CapRows { .. } | WrongSymbol { .. } | ExtraFields | QuotedNumbers | UnsettledRows { .. } | MissingRow => {
                Reach::RestKlines
            }
            ClockSkew { .. } => Reach::RestTime,
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

    /// Changes the rows of a REST page. `now_count` is now in the unit of the rows.
    pub(crate) fn change_rest_rows(&self, rows: &mut Vec<Vec<String>>, now_count: i64, now: i64) {
        match self {
            Effect::ExtraFields => rows
                .iter_mut()
                .for_each(|cells| cells.extend(["\"extra\"".into(), "null".into()])),
            Effect::QuotedNumbers => {
                for cells in rows {
                    for slot in [0, 6, 8] {
                        cells[slot] = format!("\"{}\"", cells[slot]);
                    }
                }
            }
            Effect::MissingRow if rows.len() > 2 => {
                rows.remove(rows.len() / 2);
            }
            Effect::UnsettledRows { milliseconds } => {
                for cells in rows.iter_mut().rev() {
                    let close: i64 = cells[6].parse().unwrap_or_default();
                    // In microseconds a second is a million counts, in milliseconds a thousand.
                    let per_millisecond = if now_count == now { 1000 } else { 1 };
                    if close >= now_count - milliseconds * per_millisecond {
                        cells[8] = format!("{}", 1 + now.rem_euclid(997));
                    }
                }
            }
            _ => {}
        }
    }
}
