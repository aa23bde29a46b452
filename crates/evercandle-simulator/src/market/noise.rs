//! Randomness without state: the value at any place is a hash of the place.
//!
//! A generator that must be run from the start cannot answer "what was 2019-03-04 12:07?" without the years before it.
//! A hash can, so any page of any series costs the same, and two processes with one seed agree for ever.

/// A named stream of hashed values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    key: u64,
}

impl Noise {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let key = name.bytes().fold(
            mix(seed ^ 0x9e37_79b9_7f4a_7c15),
            |key, byte| mix(key ^ u64::from(byte)),
        );
        Self { key }
    }

    /// Sixty-four bits belonging to `index` in `lane`; lanes keep one purpose from echoing another.
    pub(crate) fn bits(self, lane: u64, index: i64) -> u64 {
        mix(self.key ^ mix((index as u64).wrapping_mul(0xd1b5_4a32_d192_ed03) ^ lane.rotate_left(48)))
    }

    /// A number in `[0, 1)`.
    pub(crate) fn unit(self, lane: u64, index: i64) -> f64 {
        (self.bits(lane, index) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in `[-1, 1)`.
    pub(crate) fn signed(self, lane: u64, index: i64) -> f64 {
        self.unit(lane, index) * 2.0 - 1.0
    }

    /// Noise that varies smoothly: hashed values every `period` places, joined by a curve.
    pub(crate) fn smooth(self, lane: u64, index: i64, period: i64) -> f64 {
        let cell = index.div_euclid(period);
        let x = index.rem_euclid(period) as f64 / period as f64;
        let eased = x * x * (3.0 - 2.0 * x);
        let (left, right) = (self.signed(lane, cell), self.signed(lane, cell + 1));
        left + (right - left) * eased
    }
}

/// The finaliser of SplitMix64.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// `1/n!` for the series of the exponential; thirteen powers reach the last bit for arguments below a half.
const INVERSE_FACTORIALS: [f64; 14] = {
    let mut table = [1.0; 14];
    let mut n = 1;
    while n < table.len() {
        table[n] = table[n - 1] / n as f64;
        n += 1;
    }
    table
};

/// `e^x` from additions and multiplications alone.
///
/// The one in `std` calls the platform's mathematics library, and platforms differ in the last bit:
/// enough to move a price by a tick and break "one seed, one market".
pub(crate) fn exp(x: f64) -> f64 {
    let x = x.clamp(-700.0, 700.0);
    let k = (x * std::f64::consts::LOG2_E).round();
    let r = x - k * std::f64::consts::LN_2;
    let sum = INVERSE_FACTORIALS
        .iter()
        .rev()
        .fold(0.0, |sum, coefficient| sum * r + coefficient);
    sum * f64::from_bits(((1023 + k as i64) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_twelve_digits() {
        for x in [-9.5, -1.0, 0.0, 0.3, 1.0, 11.4] {
            assert!((exp(x) / f64::exp(x) - 1.0).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn smooth_noise_meets_itself_at_the_seams() {
        let noise = Noise::new(1, "seam");
        for cell in -3..3 {
            let edge = cell * 64;
            assert!((noise.smooth(2, edge, 64) - noise.signed(2, cell)).abs() < 1e-12);
            assert!((noise.smooth(2, edge - 1, 64) - noise.smooth(2, edge, 64)).abs() < 0.05);
        }
    }
}
