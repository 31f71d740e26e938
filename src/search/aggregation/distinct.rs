//! How many different values there are: exact up to a limit, then estimated (HyperLogLog with
//! 2^14 registers, ± 0.8 %) so that memory stays bounded.

use rustc_hash::FxHashSet;

/// Hashes kept exactly.
const EXACT_MAX: usize = 100_000;
const BITS: u32 = 14;

/// Different values, by 64-bit hashes of them.
#[derive(Clone, Debug)]
pub enum Distinct {
    /// All hashes.
    Exact(FxHashSet<u64>),
    /// HyperLogLog's registers.
    Registers(Box<[u8]>),
}

impl Default for Distinct {
    fn default() -> Distinct {
        Distinct::Exact(FxHashSet::default())
    }
}

/// The hash of a value.
pub fn hash(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

impl Distinct {
    /// One more value.
    pub fn add(&mut self, hash: u64) {
        match self {
            Distinct::Exact(hashes) => {
                hashes.insert(hash);
                if hashes.len() > EXACT_MAX {
                    let mut registers = vec![0; 1 << BITS].into_boxed_slice();
                    hashes.iter().for_each(|&hash| register(&mut registers, hash));
                    *self = Distinct::Registers(registers);
                }
            }
            Distinct::Registers(registers) => register(registers, hash),
        }
    }

    /// What another one holds, too.
    pub fn merge(&mut self, other: Distinct) {
        match (&mut *self, other) {
            (_, Distinct::Exact(hashes)) => hashes.into_iter().for_each(|hash| self.add(hash)),
            (Distinct::Registers(this), Distinct::Registers(other)) => {
                this.iter_mut().zip(&other).for_each(|(a, b)| *a = (*a).max(*b));
            }
            (Distinct::Exact(hashes), Distinct::Registers(mut registers)) => {
                hashes.iter().for_each(|&hash| register(&mut registers, hash));
                *self = Distinct::Registers(registers);
            }
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        match self {
            Distinct::Exact(hashes) => hashes.len() as u64,
            Distinct::Registers(registers) => estimate(registers),
        }
    }
}

fn register(registers: &mut [u8], hash: u64) {
    let at = (hash >> (64 - BITS)) as usize;
    let rank = ((hash << BITS) | (1 << (BITS - 1))).leading_zeros() as u8 + 1;
    registers[at] = registers[at].max(rank);
}

fn estimate(registers: &[u8]) -> u64 {
    let m = registers.len() as f64;
    let alpha = 0.7213 / (1.0 + 1.079 / m);
    let sum: f64 = registers.iter().map(|&rank| 0.5f64.powi(i32::from(rank))).sum();
    let zeros = registers.iter().filter(|&&rank| rank == 0).count();
    let raw = alpha * m * m / sum;
    if raw <= 2.5 * m && zeros > 0 { (m * (m / zeros as f64).ln()).round() as u64 } else { raw.round() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_then_near() {
        let mut all = Distinct::default();
        let mut parts = [Distinct::default(), Distinct::default()];
        for n in 0..500_000u64 {
            all.add(hash(&n.to_le_bytes()));
            parts[usize::from(n > 20_000)].add(hash(&n.to_le_bytes()));
        }
        let near = |count: u64| (count as f64 / 500_000.0 - 1.0).abs() < 0.03;
        assert!(near(all.count()), "{}", all.count());
        assert_eq!(parts[0].count(), 20_001);
        let [mut small, large] = parts;
        small.merge(large);
        assert_eq!(small.count(), all.count());
    }
}
