//! Exponential buckets as Prometheus' native histograms have them.
//!
//! At schema `s` a power of two is cut into `2^s` buckets; bucket `i` takes the values above
//! `2^((i-1)/2^s)` up to and including `2^(i/2^s)`. Values are put into buckets of the finest
//! schema by workers ([`index`]); what is kept is coarser as soon as more than
//! [`BUCKETS_MAX`] buckets hold something ([`Counts`]). Merging two neighbours is exact, so the
//! order of values and of merges does not matter.

use crate::series::{NativeHistogram, ResetHint};
use rustc_hash::FxHashMap;
use std::sync::LazyLock;

/// The finest schema: buckets grow by 0.27 %.
pub const SCHEMA_MAX: i8 = 8;
/// The coarsest: one bucket for sixteen powers of two.
const SCHEMA_MIN: i8 = -4;
/// Buckets that one histogram has at the most, as Prometheus' libraries advise.
pub const BUCKETS_MAX: usize = 160;
/// Values nearer to zero than this count as zero: 2⁻¹²⁸, as in Prometheus' libraries.
pub const ZERO_THRESHOLD: f64 = 2.938735877055719e-39;

const PER_OCTAVE: usize = 1 << SCHEMA_MAX;

struct Table {
    /// The upper bounds between 0.5 and 1.
    bounds: [f64; PER_OCTAVE + 1],
    /// For the first eight bits of a fraction, the first bucket that may hold it.
    first: [u16; 256],
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut bounds = [0.0; PER_OCTAVE + 1];
    for (at, bound) in bounds.iter_mut().enumerate() {
        *bound = 0.5 * (at as f64 / PER_OCTAVE as f64).exp2();
    }
    bounds[PER_OCTAVE] = 1.0;
    let first = std::array::from_fn(|bits| {
        let least = 0.5 + bits as f64 / 512.0;
        bounds.partition_point(|&bound| bound < least) as u16
    });
    Table { bounds, first }
});

/// The bucket of a value at [`SCHEMA_MAX`]; the value must be finite and greater than
/// [`ZERO_THRESHOLD`].
#[inline]
fn index(table: &Table, value: f64) -> i32 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = value.to_bits();
    let exponent = (bits >> 52) as i32 - 1022;
    let fraction = f64::from_bits((bits & MANTISSA) | 1022 << 52);
    let mut at = table.first[(bits >> 44) as usize & 0xff] as usize;
    // Buckets are wider than half of a 512th, so at most two bounds lie within one; no branch, since
    // how many of them are below can't be foreseen.
    at += usize::from(table.bounds[at] < fraction);
    at += usize::from(table.bounds[at] < fraction);
    at as i32 + (exponent - 1) * PER_OCTAVE as i32
}

/// A bucket of [`SCHEMA_MAX`] at a coarser schema.
#[inline]
fn coarser(index: i32, by: u32) -> i32 {
    // Rounded up, since a bucket holds its upper bound.
    (index + ((1 << by) - 1)) >> by
}

/// Indices of buckets, in order, with their counts.
pub type Buckets = Vec<(i32, u64)>;

/// What values fell into, with how many steps coarser buckets than those of [`SCHEMA_MAX`].
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many steps coarser; less than what it is added to can do nothing wrong.
    pub coarser: u32,
    /// Buckets of values above zero; one may stand there twice.
    pub positive: Vec<(i32, u32)>,
    /// Buckets of values below zero.
    pub negative: Vec<(i32, u32)>,
    /// Values that are zero.
    pub zero: u64,
}

impl Tally {
    /// Forgets what was counted, and keeps the memory.
    pub fn clear(&mut self) {
        self.positive.clear();
        self.negative.clear();
        self.zero = 0;
    }
}

/// Puts values into buckets; has the memory for that.
#[derive(Default)]
pub struct Sorter {
    positive: Vec<i32>,
    negative: Vec<i32>,
    counts: Vec<u32>,
}

impl Sorter {
    /// Adds finite values to a tally, in buckets as coarse as that says.
    pub fn tally(&mut self, values: &[f64], into: &mut Tally) {
        let table = &*TABLE;
        for &value in values {
            if value > ZERO_THRESHOLD {
                self.positive.push(index(table, value));
            } else if value < -ZERO_THRESHOLD {
                self.negative.push(index(table, -value));
            } else {
                into.zero += 1;
            }
        }
        put_together(&mut self.positive, into.coarser, &mut self.counts, &mut into.positive);
        put_together(&mut self.negative, into.coarser, &mut self.counts, &mut into.negative);
    }
}

/// Moves indices, which are mostly close to each other, with how often each is there.
fn put_together(indices: &mut Vec<i32>, by: u32, counts: &mut Vec<u32>, out: &mut Vec<(i32, u32)>) {
    let Some(&first) = indices.first() else { return };
    let (least, most) =
        indices.iter().fold((first, first), |(least, most), &index| (least.min(index), most.max(index)));
    let (least, most) = (coarser(least, by), coarser(most, by));
    let width = (most - least) as usize + 1;
    if width > 4 * indices.len() {
        out.extend(indices.drain(..).map(|index| (coarser(index, by), 1)));
        return;
    }
    counts.clear();
    counts.resize(width, 0);
    for index in indices.drain(..) {
        counts[(coarser(index, by) - least) as usize] += 1;
    }
    let some = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    out.extend(some.map(|(at, &count)| (least + at as i32, count)));
}

/// How many values each bucket holds.
#[derive(Clone, PartialEq, Debug)]
pub struct Counts {
    schema: i8,
    zero: u64,
    positive: FxHashMap<i32, u64>,
    negative: FxHashMap<i32, u64>,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts { schema: SCHEMA_MAX, zero: 0, positive: FxHashMap::default(), negative: FxHashMap::default() }
    }
}

impl Counts {
    /// Adds values.
    pub fn add(&mut self, tally: &Tally) {
        self.zero += tally.zero;
        while self.coarseness() < tally.coarser {
            self.reduce();
        }
        let by = self.coarseness() - tally.coarser;
        for (into, buckets) in [(&mut self.positive, &tally.positive), (&mut self.negative, &tally.negative)] {
            for &(index, count) in buckets {
                *into.entry(coarser(index, by)).or_insert(0) += u64::from(count);
            }
        }
        self.limit();
    }

    /// How many steps coarser its buckets are than those of [`SCHEMA_MAX`].
    pub fn coarseness(&self) -> u32 {
        (SCHEMA_MAX - self.schema) as u32
    }

    /// The greater of both, bucket by bucket, at the coarser of both schemas.
    pub fn raise(&mut self, other: &Counts) {
        self.combine(other, u64::max);
    }

    /// Adds what another one counted, at the coarser of both schemas.
    pub fn merge(&mut self, other: &Counts) {
        self.combine(other, |own, more| own + more);
    }

    fn combine(&mut self, other: &Counts, with: fn(u64, u64) -> u64) {
        while self.schema > other.schema {
            self.reduce();
        }
        let mut other = other.clone();
        while other.schema > self.schema {
            other.reduce();
        }
        self.zero = with(self.zero, other.zero);
        for (into, from) in [(&mut self.positive, other.positive), (&mut self.negative, other.negative)] {
            for (index, count) in from {
                let known = into.entry(index).or_insert(0);
                *known = with(*known, count);
            }
        }
        self.limit();
    }

    fn limit(&mut self) {
        while self.positive.len() + self.negative.len() > BUCKETS_MAX && self.schema > SCHEMA_MIN {
            self.reduce();
        }
    }

    fn reduce(&mut self) {
        self.schema -= 1;
        for side in [&mut self.positive, &mut self.negative] {
            let mut half = FxHashMap::default();
            for (index, count) in side.drain() {
                *half.entry(coarser(index, 1)).or_insert(0) += count;
            }
            *side = half;
        }
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.zero + self.positive.values().sum::<u64>() + self.negative.values().sum::<u64>()
    }

    /// As the rest of the house knows it.
    pub fn native(&self, sum: f64) -> NativeHistogram {
        let (positive, negative) = (sorted(&self.positive), sorted(&self.negative));
        native(self.schema, self.zero, self.total(), sum, &positive, &negative)
    }

    /// The schema, zeros and sorted buckets, to be stored.
    pub fn parts(&self) -> (i8, u64, Buckets, Buckets) {
        (self.schema, self.zero, sorted(&self.positive), sorted(&self.negative))
    }

    /// What [`Counts::parts`] told.
    pub fn of_parts(schema: i8, zero: u64, positive: Buckets, negative: Buckets) -> Counts {
        let schema = schema.clamp(SCHEMA_MIN, SCHEMA_MAX);
        let mut counts =
            Counts { schema, zero, positive: positive.into_iter().collect(), negative: negative.into_iter().collect() };
        counts.limit();
        counts
    }
}

fn sorted(side: &FxHashMap<i32, u64>) -> Buckets {
    let mut all: Buckets = side.iter().map(|(&index, &count)| (index, count)).collect();
    all.sort_unstable();
    all
}

fn native(
    schema: i8,
    zero: u64,
    count: u64,
    sum: f64,
    positive: &[(i32, u64)],
    negative: &[(i32, u64)],
) -> NativeHistogram {
    let floats = |side: &[(i32, u64)]| side.iter().map(|&(index, count)| (index, count as f64)).collect();
    NativeHistogram {
        reset_hint: ResetHint::Unknown,
        schema: schema.into(),
        zero_threshold: ZERO_THRESHOLD,
        zero_count: zero as f64,
        count: count as f64,
        sum,
        positive: floats(positive),
        negative: floats(negative),
        ..NativeHistogram::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Adds values as a worker does.
    fn add(counts: &mut Counts, values: &[f64]) {
        let mut tally = Tally { coarser: counts.coarseness(), ..Tally::default() };
        Sorter::default().tally(values, &mut tally);
        counts.add(&tally);
    }

    #[test]
    fn buckets_hold_their_upper_bounds() {
        let check = |value: f64, want: i32| assert_eq!(index(&TABLE, value), want, "{value}");
        check(1.0, 0);
        check(2.0, 256);
        check(0.5, -256);
        check(1.0 + f64::EPSILON, 1);
        check(1024.0, 2560);
        check(f64::MAX, 1024 * 256);
        check(4.0 - 4.0 * f64::EPSILON, 512);
    }

    #[test]
    fn finer_buckets_lie_within_coarser_ones() {
        assert_eq!([-3, -2, -1, 0, 1, 2, 3].map(|i| coarser(i, 1)), [-1, -1, 0, 0, 1, 1, 2]);
        assert_eq!([-257, -256, 0, 1, 256, 257].map(|i| coarser(i, 8)), [-1, -1, 0, 1, 1, 2]);
    }

    #[test]
    fn quantiles_are_within_one_percent_over_six_orders_of_magnitude() {
        use rand::rngs::SmallRng;
        use rand::{Rng, SeedableRng};
        let mut random = SmallRng::seed_from_u64(5);
        let mut counts = Counts::default();
        let mut values: Vec<f64> = Vec::new();
        for _ in 0..1_000 {
            // Log-normal around 30 ms, and a uniform tail over 1 ms to 1,000 s.
            let batch: Vec<f64> = (0..10_000)
                .map(|n| match n % 10 {
                    0 => 10_f64.powf(random.random_range(-3.0..3.0)),
                    _ => {
                        let normal: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
                        (0.03 * (normal * 1.2).exp()).clamp(1e-3, 1e3)
                    }
                })
                .collect();
            add(&mut counts, &batch);
            values.extend(batch);
        }
        values.sort_unstable_by(f64::total_cmp);
        let native = counts.native(values.iter().sum());
        assert_eq!(counts.total(), 10_000_000);
        assert!(counts.positive.len() <= BUCKETS_MAX);
        // At the very ends, where the values stop within a bucket, its width (9 %) is the bound.
        for part in [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999] {
            let exact = values[(part * values.len() as f64) as usize];
            let got = crate::promql::of_native(part, &native);
            assert!((got / exact - 1.0).abs() < 0.01, "{part}: {got} instead of {exact}");
        }
    }

    proptest! {
        #[test]
        fn every_value_lies_in_its_bucket(value in prop_oneof![1e-30..1e30_f64, 1e-3..1e3_f64]) {
            let at = index(&TABLE, value);
            prop_assert!(crate::series::upper_bound(at, 8) >= value && crate::series::upper_bound(at - 1, 8) < value);
        }

        #[test]
        fn the_order_of_values_does_not_matter(
            values in prop::collection::vec(prop_oneof![1e-5..1e5_f64, 1.0..1.5_f64, -2.0..-1.0_f64, Just(0.0)], 1..600),
            cut in 0..600_usize
        ) {
            let (one, two) = values.split_at(cut.min(values.len()));
            let (mut forth, mut back, mut single) = (Counts::default(), Counts::default(), Counts::default());
            add(&mut forth, one);
            add(&mut forth, two);
            add(&mut back, two);
            add(&mut back, one);
            values.iter().for_each(|&value| add(&mut single, &[value]));
            prop_assert_eq!(forth.total(), values.len() as u64);
            prop_assert!(forth.positive.len() + forth.negative.len() <= BUCKETS_MAX);
            prop_assert_eq!(&single, &forth);
            let mut raised = forth.clone();
            raised.raise(&back);
            prop_assert_eq!(&raised, &forth);
            prop_assert_eq!(forth, back);
        }
    }
}
