//! Brings two histograms to a common layout, and sums many of them without losing small terms.

use super::histogram::{HistogramError, NativeHistogram, is_custom, merge};
use std::borrow::Cow;
use std::sync::Arc;

impl NativeHistogram {
    /// Changes `self` so that it can take in `other`, and gives `other` in the same layout.
    pub(super) fn reconcile<'h>(
        &mut self,
        other: &'h NativeHistogram,
    ) -> Result<Cow<'h, NativeHistogram>, HistogramError> {
        if is_custom(self.schema) != is_custom(other.schema) {
            return Err(HistogramError::Schemas);
        }
        if self.is_custom() {
            if self.custom_values == other.custom_values {
                return Ok(Cow::Borrowed(other));
            }
            let bounds = common(&self.custom_values, &other.custom_values);
            self.rebound(&bounds);
            let mut other = other.clone();
            other.rebound(&bounds);
            return Ok(Cow::Owned(other));
        }
        let mut threshold = self.zero_threshold.max(other.zero_threshold);
        loop {
            let next = other.threshold_from(self.threshold_from(threshold));
            if next == threshold || next.is_nan() {
                break;
            }
            threshold = next;
        }
        let schema = self.schema.min(other.schema);
        self.widen_zero(threshold);
        self.downscale(schema);
        if (other.schema, other.zero_threshold) == (schema, threshold) {
            return Ok(Cow::Borrowed(other));
        }
        let mut other = other.clone();
        other.widen_zero(threshold);
        other.downscale(schema);
        Ok(Cow::Owned(other))
    }

    /// The least zero threshold from `threshold` on that cuts through no populated bucket.
    pub(super) fn threshold_from(&self, threshold: f64) -> f64 {
        if threshold == self.zero_threshold {
            return threshold;
        }
        let mut threshold = threshold;
        loop {
            let cut = self.positive.iter().chain(&self.negative).find(|(index, count)| {
                *count != 0.0 && self.bound(index - 1) < threshold && threshold < self.bound(*index)
            });
            match cut {
                Some((index, _)) => threshold = self.bound(*index),
                None => return threshold,
            }
        }
    }

    /// Moves what lies within a wider zero bucket into it.
    pub fn widen_zero(&mut self, threshold: f64) {
        if threshold <= self.zero_threshold {
            return;
        }
        let (schema, mut moved) = (self.schema, 0.0);
        for side in [&mut self.positive, &mut self.negative] {
            side.retain(|(index, count)| {
                let within = super::upper_bound(index - 1, schema) < threshold;
                moved += if within { *count } else { 0.0 };
                !within
            });
        }
        self.zero_count += moved;
        self.zero_threshold = threshold;
    }

    /// Merges buckets into those of a coarser exponential schema.
    pub fn downscale(&mut self, schema: i32) {
        if self.is_custom() || schema >= self.schema {
            return;
        }
        let shift = (self.schema - schema).min(31);
        for side in [&mut self.positive, &mut self.negative] {
            side.iter_mut().for_each(|(index, _)| *index = ((*index - 1) >> shift) + 1);
            join(side);
        }
        self.schema = schema;
    }

    /// Merges custom buckets into those of a subset of the bounds.
    fn rebound(&mut self, bounds: &Arc<[f64]>) {
        for (index, _) in &mut self.positive {
            let upper = usize::try_from(*index).ok().and_then(|at| self.custom_values.get(at));
            *index = match upper {
                Some(upper) => bounds.partition_point(|bound| bound < upper) as i32,
                None => bounds.len() as i32,
            };
        }
        join(&mut self.positive);
        self.custom_values = bounds.clone();
    }
}

/// Adds up neighbours of the same index.
fn join(buckets: &mut Vec<(i32, f64)>) {
    buckets.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
}

fn common(one: &[f64], two: &[f64]) -> Arc<[f64]> {
    one.iter().filter(|bound| two.contains(bound)).copied().collect()
}

/// One step of Kahan's summation with Neumaier's improvement: the new sum and what it has lost.
pub fn kahan(more: f64, sum: f64, lost: f64) -> (f64, f64) {
    let total = sum + more;
    let lost = match () {
        () if total.is_infinite() => 0.0,
        () if sum.abs() >= more.abs() => lost + ((sum - total) + more),
        () => lost + ((more - total) + sum),
    };
    (total, lost)
}

/// The sum of many histograms, with what additions have lost kept aside.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    sum: NativeHistogram,
    /// The same layout as `sum`.
    lost: NativeHistogram,
}

impl HistogramSum {
    /// Begins with one histogram.
    pub fn new(first: NativeHistogram) -> HistogramSum {
        let mut lost = first.clone();
        lost.scale(0.0);
        let zero = |side: &mut Vec<(i32, f64)>| side.iter_mut().for_each(|(_, count)| *count = 0.0);
        zero(&mut lost.positive);
        zero(&mut lost.negative);
        (lost.zero_count, lost.count, lost.sum) = (0.0, 0.0, 0.0);
        HistogramSum { sum: first, lost }
    }

    /// Adds one more.
    pub fn add(&mut self, more: &NativeHistogram) -> Result<(), HistogramError> {
        let more = self.sum.reconcile(more)?;
        match self.sum.is_custom() {
            true => self.lost.rebound(&self.sum.custom_values),
            false => {
                self.lost.widen_zero(self.sum.zero_threshold);
                self.lost.downscale(self.sum.schema);
            }
        }
        let (sum, lost) = (&mut self.sum, &mut self.lost);
        sum.reset_hint = sum.reset_hint.with(more.reset_hint);
        (sum.zero_count, lost.zero_count) = kahan(more.zero_count, sum.zero_count, lost.zero_count);
        (sum.count, lost.count) = kahan(more.count, sum.count, lost.count);
        (sum.sum, lost.sum) = kahan(more.sum, sum.sum, lost.sum);
        add_buckets(&mut sum.positive, &mut lost.positive, &more.positive);
        add_buckets(&mut sum.negative, &mut lost.negative, &more.negative);
        Ok(())
    }

    /// Multiplies what has been added so far.
    pub fn scale(&mut self, factor: f64) {
        let hint = self.sum.reset_hint;
        self.sum.scale(factor);
        self.lost.scale(factor);
        self.sum.reset_hint = hint;
    }

    /// Divides what has been added so far.
    pub fn divide(&mut self, divisor: f64) {
        let hint = self.sum.reset_hint;
        self.sum.divide(divisor);
        self.lost.divide(divisor);
        self.sum.reset_hint = hint;
    }

    /// What has been added so far, without what was lost on the way.
    pub fn so_far(&self) -> &NativeHistogram {
        &self.sum
    }

    /// The sum.
    pub fn total(mut self) -> NativeHistogram {
        let hint = self.sum.reset_hint;
        self.lost.reset_hint = hint;
        // Same layout: this can't fail.
        let _same_layout = self.sum.add(&self.lost);
        self.sum
    }
}

fn add_buckets(sum: &mut Vec<(i32, f64)>, lost: &mut Vec<(i32, f64)>, more: &[(i32, f64)]) {
    let mut rest: Vec<(i32, f64)> = Vec::with_capacity(more.len());
    let (mut old, mut at) = (lost.iter().peekable(), 0);
    merge(sum, more, |have, count| {
        let index = more[at].0;
        while old.next_if(|(known, _)| *known < index).is_some() {}
        let before = old.next_if(|(known, _)| *known == index).map_or(0.0, |(_, lost)| *lost);
        let after;
        (*have, after) = kahan(count, *have, before);
        rest.push((index, after));
        at += 1;
    });
    merge(lost, &rest, |have, after| *have = after);
}

#[cfg(test)]
mod tests {
    use super::super::notation::parse_histogram;
    use super::*;

    #[test]
    fn small_terms_are_not_lost() {
        let read = |text: &str| parse_histogram(text).unwrap();
        let mut sum = HistogramSum::new(read("{{count:1e100 sum:1e100 buckets:[1e100 1]}}"));
        sum.add(&read("{{count:1 sum:1 buckets:[1 0 2]}}")).unwrap();
        sum.add(&read("{{count:-1e100 sum:-1e100 buckets:[-1e100]}}")).unwrap();
        assert!(sum.total().equals(&read("{{count:1 sum:1 buckets:[1 1 2]}}")));
    }
}
