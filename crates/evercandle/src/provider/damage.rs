//! Tests: random damage to a body, so that every format can be shown to end in an error or in something valid.

use proptest::prelude::*;

/// One change to some bytes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, usize),
    Cut(prop::sample::Index),
}

pub(super) fn change() -> impl Strategy<Value = Change> {
    let at = || any::<prop::sample::Index>();
    // Half of the bytes written are ones that mean something to some parser.
    let byte = || {
        prop_oneof![
            any::<u8>(),
            prop::sample::select(b"0919,.\n\r-+eE\"[]{}<>&PK\x00\xff ".to_vec())
        ]
    };
    prop_oneof![
        (at(), byte()).prop_map(|(i, b)| Change::Set(i, b)),
        (at(), 0u8..8).prop_map(|(i, bit)| Change::Flip(i, bit)),
        (at(), 1usize..200).prop_map(|(i, n)| Change::Remove(i, n)),
        (at(), prop::collection::vec(byte(), 1..30)).prop_map(|(i, b)| Change::Insert(i, b)),
        (at(), 1usize..300).prop_map(|(i, n)| Change::Repeat(i, n)),
        at().prop_map(Change::Cut),
    ]
}

pub(super) fn damaged(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len();
        match change {
            Change::Set(at, byte) => bytes[at.index(len)] = *byte,
            Change::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
            Change::Remove(at, n) => drop(bytes.drain(at.index(len)..(at.index(len) + n).min(len))),
            Change::Insert(at, new) => drop(bytes.splice(at.index(len)..at.index(len), new.clone())),
            Change::Repeat(at, n) => {
                let part = bytes[at.index(len)..(at.index(len) + n).min(len)].to_vec();
                bytes.splice(at.index(len)..at.index(len), part);
            }
            Change::Cut(at) => bytes.truncate(at.index(len)),
        }
    }
    bytes
}
