//! Integers from characters, eight of them in one register.
//!
//! A *value* is a character with the bits of `0` removed: digits become 0 to 9, everything else becomes larger. The first
//! character's value is the lowest byte. Nothing here branches, so that a row's fields are worked on at once.

/// Eight times the character `0`.
const ZEROS: u64 = 0x3030_3030_3030_3030;
const TOPS: u64 = 0x8080_8080_8080_8080;

/// The values of eight characters.
#[inline(always)]
pub(super) fn values(characters: [u8; 8]) -> u64 {
    u64::from_le_bytes(characters) ^ ZEROS
}

/// Sets the top bit of the first byte that is no digit, and of none below it.
#[inline(always)]
pub(super) fn carries(values: u64) -> u64 {
    // Adding 0x76 carries anything larger than 9 into the top bit of its byte. A carry can spoil only bytes behind the
    // first that is no digit.
    values.wrapping_add(0x7676_7676_7676_7676) | values
}

/// Whether [`carries`], of some values or or-ed of many, tells of anything that is no digit.
#[inline(always)]
pub(super) fn no_digit(carries: u64) -> bool {
    carries & TOPS != 0
}

/// How many of eight values come before the end of the digits, if a point or a comma ends them. What
/// comes before anything else must be checked.
#[inline(always)]
pub(super) fn measured(values: u64) -> usize {
    // Characters of digits have a bit that points and commas lack; in values it is the other way round.
    ((values & 0x1010_1010_1010_1010).trailing_zeros() / 8) as usize
}

/// The first `count` values, at most eight, moved to the end, with zeros in front.
#[inline(always)]
pub(super) fn right_aligned(values: u64, count: usize) -> u64 {
    // In two halves, because a shift by all 64 bits is not one.
    let half = 32 - 4 * count as u32;
    values.wrapping_shl(half).wrapping_shl(half)
}

/// The number that eight values of digits make, first one lowest: neighbours are joined to pairs, fours and eight.
#[inline(always)]
pub(super) fn eight_digits(values: u64) -> u64 {
    // Each factor adds a lane, times its power of ten, to the lane above.
    let pairs = (values.wrapping_mul((10 << 8) + 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul((100 << 16) + 1) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul((10_000 << 32) + 1) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &[u8; 8]) -> u64 {
        values(*text)
    }

    #[test]
    fn digits_are_taken_eight_at_a_time() {
        for (text, expected) in [
            (b"12345678", (12_345_678, 8)),
            (b"1,345678", (1, 1)),
            (b"00000009", (9, 8)),
            (b"1234567.", (1_234_567, 7)),
            (b".1234567", (0, 0)),
            (b"99999999", (99_999_999, 8)),
            (b"90.,.,.,", (90, 2)),
        ] {
            let digits = measured(of(text));
            let aligned = right_aligned(of(text), digits);
            assert_eq!((eight_digits(aligned), digits), expected, "{text:?}");
            assert!(!no_digit(carries(aligned)));
        }
    }

    #[test]
    fn no_character_but_a_digit_passes_for_one() {
        for (place, character) in (0..8).flat_map(|place| (0..=255u8).map(move |c| (place, c))) {
            let mut text = *b"90909090";
            text[place] = character;
            assert_eq!(no_digit(carries(of(&text))), !character.is_ascii_digit(), "{text:?}");
        }
    }
}
