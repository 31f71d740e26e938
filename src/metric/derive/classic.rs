//! Which classic bucket a value falls into, without a search.
//!
//! Numbers are in the order of their bits, so the upper bits of a value lead to the first bound that
//! may be above it; from there it is mostly one step.

/// Bits of a number that are cut off: what is left tells eight cells between two powers of two.
const FINE: u32 = 49;
/// Bounds that are further apart than so many cells are searched.
const CELLS_MAX: usize = 4096;

/// Bounds of classic buckets, rising, to be asked for values.
pub(super) struct Search {
    /// Two more that nothing is above.
    bounds: Vec<f64>,
    /// The cell of the first bound.
    first: i64,
    /// For each cell from there to that of the last bound, how many bounds are in those before it.
    cells: Vec<u16>,
}

impl Search {
    pub(super) fn new(bounds: &[f64]) -> Search {
        // No negative zero: it equals the other one, but stands in another cell.
        let mut bounds: Vec<f64> = bounds.iter().map(|bound| bound + 0.0).collect();
        let first = bounds.first().map_or(0, |&bound| cell(bound));
        let last = bounds.last().map_or(-1, |&bound| cell(bound));
        let cells = match usize::try_from(last - first + 1) {
            Ok(count) if count <= CELLS_MAX => {
                let before = |at: i64| bounds.partition_point(|&bound| cell(bound) < at) as u16;
                (first..=last).map(before).collect()
            }
            _ => Vec::new(),
        };
        bounds.extend([f64::INFINITY; 2]);
        Search { bounds, first, cells }
    }

    /// How many bounds a finite value is above.
    #[inline]
    pub(super) fn bucket(&self, value: f64) -> usize {
        let at = cell(value) - self.first;
        match self.cells.get(at as usize) {
            Some(&before) => {
                let mut at = usize::from(before);
                // Without a branch, since nobody can foresee it; more of them are rare.
                at += usize::from(value > self.bounds[at]);
                at += usize::from(value > self.bounds[at]);
                while value > self.bounds[at] {
                    at += 1;
                }
                at
            }
            None if self.cells.is_empty() => self.bounds.partition_point(|&bound| bound < value),
            None if at < 0 => 0,
            None => self.bounds.len() - 2,
        }
    }
}

/// Numbers that are close have the same, greater ones none that is less.
#[inline]
fn cell(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    // Those of negative numbers fall where the numbers rise.
    (bits ^ ((bits >> 63) as u64 >> 1) as i64) >> FINE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::derive::BOUNDS;
    use proptest::prelude::*;

    #[test]
    fn no_bounds_have_one_bucket() {
        assert_eq!(Search::new(&[]).bucket(1.0), 0);
    }

    #[test]
    fn a_bound_is_in_its_bucket() {
        let search = Search::new(&BOUNDS);
        for (at, &bound) in BOUNDS.iter().enumerate() {
            assert_eq!(search.bucket(bound), at);
            assert_eq!(search.bucket(bound.next_up()), at + 1);
        }
    }

    proptest! {
        #[test]
        fn finds_what_a_search_finds(
            mut bounds in prop::collection::vec(prop_oneof![-5.0..5.0, Just(0.0), Just(-0.0), any::<f64>()], 0..40),
            values in prop::collection::vec(prop_oneof![-5.0..5.0, Just(0.0), Just(-0.0), any::<f64>()], 1..40),
        ) {
            bounds.retain(|bound: &f64| bound.is_finite());
            bounds.sort_by(f64::total_cmp);
            bounds.dedup();
            let search = Search::new(&bounds);
            for value in values.into_iter().filter(|value: &f64| value.is_finite()).chain(bounds.clone()) {
                prop_assert_eq!(search.bucket(value), bounds.partition_point(|&bound| bound < value), "{}", value);
            }
        }
    }
}
