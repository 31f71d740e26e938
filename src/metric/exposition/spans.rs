//! Native buckets as Prometheus' messages carry them: runs of neighbouring buckets and, within
//! them, how much each count differs from the one before.

/// A run of buckets: how far it begins behind the end of the one before (the first: its index), and
/// how many buckets it has.
pub type Span = (i32, u32);

/// Gaps of at most this many empty buckets are filled with zeros, which is shorter than a span.
const GAP_MAX: i64 = 2;

/// Runs and differences of buckets, which are sorted by index.
pub fn encode(buckets: &[(i32, f64)]) -> (Vec<Span>, Vec<i64>) {
    let (spans, counts) = runs(buckets);
    let mut before = 0;
    let deltas = counts.iter().map(|&count| {
        let count = count as i64;
        let delta = count - before;
        before = count;
        delta
    });
    (spans, deltas.collect())
}

/// Runs of buckets with their counts, gaps of one or two filled.
pub fn runs(buckets: &[(i32, f64)]) -> (Vec<Span>, Vec<f64>) {
    let (mut spans, mut counts): (Vec<Span>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut next: i64 = 0;
    for &(index, count) in buckets {
        let gap = i64::from(index) - next;
        match spans.last_mut() {
            Some(span) if (0..=GAP_MAX).contains(&gap) => {
                counts.extend(std::iter::repeat_n(0.0, gap as usize));
                span.1 += gap as u32 + 1;
            }
            _ => spans.push((gap as i32, 1)),
        }
        counts.push(count);
        next = i64::from(index) + 1;
    }
    (spans, counts)
}

/// The buckets of runs; counts come from `next`. `None` where there are fewer counts than buckets.
pub fn decode(spans: &[Span], mut next: impl FnMut() -> Option<f64>) -> Option<Vec<(i32, f64)>> {
    let mut buckets = Vec::new();
    let mut at: i32 = 0;
    for &(offset, length) in spans {
        at = at.checked_add(offset)?;
        for _ in 0..length {
            buckets.push((at, next()?));
            at = at.checked_add(1)?;
        }
    }
    Some(buckets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_cut_at_wide_gaps() {
        let check = |buckets: &[(i32, f64)], spans: &[Span], deltas: &[i64]| {
            assert_eq!(encode(buckets), (spans.to_vec(), deltas.to_vec()), "{buckets:?}");
            let mut count = 0;
            let mut deltas = deltas.iter();
            let back = decode(spans, || {
                count += deltas.next()?;
                Some(count as f64)
            });
            let back: Vec<_> = back.unwrap().into_iter().filter(|(_, count)| *count > 0.0).collect();
            assert_eq!(back, buckets);
        };
        check(&[], &[], &[]);
        check(&[(-3, 2.0), (-2, 5.0)], &[(-3, 2)], &[2, 3]);
        check(&[(0, 1.0), (3, 1.0)], &[(0, 4)], &[1, -1, 0, 1]);
        check(&[(0, 1.0), (4, 2.0)], &[(0, 1), (3, 1)], &[1, 1]);
    }
}
