//! xoshiro256++, seeded by splitmix64: random numbers whose sequence never changes under us.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

/// A bijection of the 64-bit numbers that looks random (the finalizer of splitmix64): different
/// numbers give different results.
pub(super) fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

impl Random {
    /// A stream that begins where the seed says.
    pub fn new(seed: u64) -> Random {
        let mut at = seed;
        let state = std::array::from_fn(|_| {
            at = at.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(at)
        });
        Random { state }
    }

    /// The next number.
    #[inline]
    #[allow(clippy::should_implement_trait)] // an endless stream of bare numbers, not an Iterator of Options
    pub fn next(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `end`.
    #[inline]
    pub fn below(&mut self, end: u64) -> u64 {
        ((self.next() as u128 * end as u128) >> 64) as u64
    }

    /// A number of `first..=last`.
    #[inline]
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True once in `n` times.
    #[inline]
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    #[inline]
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// One of these, each as often as its weight says.
    #[inline]
    pub fn weighted<T: Copy>(&mut self, of: &[(u32, T)]) -> T {
        let total: u64 = of.iter().map(|(weight, _)| *weight as u64).sum();
        let mut at = self.below(total);
        for &(weight, one) in of {
            match at.checked_sub(weight as u64) {
                Some(rest) => at = rest,
                None => return one,
            }
        }
        unreachable!("BUG: weights do not add up")
    }

    /// A number of `1..=last` of which small ones are far more frequent, as users and pages are.
    #[inline]
    pub fn popular(&mut self, last: u64) -> u64 {
        let product = (self.next() >> 32) * (self.next() >> 32);
        1 + ((product as u128 * last as u128) >> 64) as u64
    }

    /// A time in milliseconds, mostly near `usual`, with a long tail up to 64 times of it.
    #[inline]
    pub fn duration(&mut self, usual: u64) -> u64 {
        let near = usual / 2 + (self.below(usual) + self.below(usual)) / 2;
        if !self.one_in(12) {
            return near.max(1);
        }
        let doubled = (self.next() | (1 << 6)).trailing_zeros() as u64;
        (near << doubled) + self.below(usual << doubled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        // xoshiro256++ from the state 1, 2, 3, 4: the first outputs of the authors' C code.
        let mut random = Random { state: [1, 2, 3, 4] };
        let first: Vec<u64> = (0..4).map(|_| random.next()).collect();
        assert_eq!(first, [41943041, 58720359, 3588806011781223, 3591011842654386]);
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut random = Random::new(5);
        for _ in 0..10_000 {
            assert!(random.below(3) < 3);
            assert!((5..=6).contains(&random.between(5, 6)));
            assert!((1..=9).contains(&random.popular(9)));
            assert!((1..=64 * 300).contains(&random.duration(100)));
            assert_eq!(random.weighted(&[(0, 'a'), (1, 'b'), (0, 'c')]), 'b');
        }
    }
}
