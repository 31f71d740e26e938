//! A distribution in bounded memory: a merging t-digest (Dunning), fine at the ends. While few
//! values are there it keeps every one, and percentiles are those of the values themselves,
//! interpolated between midpoints as Elasticsearch's digest does.

/// How fine it is: a centroid near the part `q` weighs at most `4 q (1 - q)` in a thousand of all.
/// Up to so many values are kept as they are.
const COMPRESSION: f64 = 1000.0;
/// Values waiting to be merged.
const BUFFER: usize = 4096;

/// A distribution of numbers.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    /// Mean and weight, by mean.
    centroids: Vec<(f64, f64)>,
    waiting: Vec<(f64, f64)>,
    min: f64,
    max: f64,
    /// The numbers are times in ms.
    pub date: bool,
}

impl Digest {
    /// One more number.
    pub fn add(&mut self, value: f64) {
        if self.waiting.is_empty() && self.centroids.is_empty() {
            (self.min, self.max) = (value, value);
        }
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
        self.waiting.push((value, 1.0));
        if self.waiting.len() >= BUFFER {
            self.compress();
        }
    }

    /// What another one holds, too.
    pub fn merge(&mut self, other: &Digest) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            (self.min, self.max) = (other.min, other.max);
        }
        (self.min, self.max) = (self.min.min(other.min), self.max.max(other.max));
        self.date |= other.date;
        self.waiting.extend(other.centroids.iter().chain(&other.waiting));
        if self.waiting.len() >= BUFFER {
            self.compress();
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.centroids.is_empty() && self.waiting.is_empty()
    }

    /// Brings waiting values in, and neighbours together as far as the middle allows.
    fn compress(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut all = std::mem::take(&mut self.waiting);
        all.append(&mut self.centroids);
        all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = all.iter().map(|(_, weight)| weight).sum();
        if all.len() as f64 <= COMPRESSION {
            self.centroids = all;
            return;
        }
        let mut before = 0.0;
        let mut current = all[0];
        for &(mean, weight) in &all[1..] {
            let joined = current.1 + weight;
            let q = (before + joined / 2.0) / total;
            if joined <= 4.0 * total * q * (1.0 - q) / COMPRESSION {
                current = (current.0 + (mean - current.0) * weight / joined, joined);
            } else {
                before += current.1;
                self.centroids.push(current);
                current = (mean, weight);
            }
        }
        self.centroids.push(current);
    }

    /// The value below which the part `q` (0 to 1) lies.
    pub fn quantile(&mut self, q: f64) -> Option<f64> {
        self.compress();
        let last = self.centroids.last()?.0;
        let total: f64 = self.centroids.iter().map(|(_, weight)| weight).sum();
        let index = q * total;
        let (mut before, mut left) = (0.0, None);
        for &(mean, weight) in &self.centroids {
            let middle = before + weight / 2.0;
            if index <= middle {
                let (left_middle, left_mean) = left.unwrap_or((0.0, self.min));
                if middle <= left_middle {
                    return Some(mean);
                }
                let part = ((index - left_middle) / (middle - left_middle)).clamp(0.0, 1.0);
                return Some(if weight == 1.0 && left.is_none() {
                    mean
                } else {
                    left_mean + (mean - left_mean) * part
                });
            }
            left = Some((middle, mean));
            before += weight;
        }
        let (left_middle, left_mean) = left?;
        let part = ((index - left_middle) / (total - left_middle)).clamp(0.0, 1.0);
        Some(if self.max > last { left_mean + (self.max - left_mean) * part } else { last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_exact() {
        let mut digest = Digest::default();
        for value in [151.0, 1.0, 101.0, 51.0] {
            digest.add(value);
        }
        for (q, expected) in [(0.01, 1.0), (0.25, 26.0), (0.5, 76.0), (0.75, 126.0), (0.99, 151.0)] {
            assert_eq!(digest.quantile(q), Some(expected), "{q}");
        }
        assert_eq!(Digest::default().quantile(0.5), None);
    }

    #[test]
    fn many_values_are_near() {
        let mut parts: Vec<Digest> = (0..4).map(|_| Digest::default()).collect();
        for n in 0..400_000u64 {
            // A permutation of the numbers below 400,009.
            let value = n * 7919 % 400_009;
            parts[n as usize % 4].add(value as f64);
        }
        let mut digest = Digest::default();
        parts.iter().for_each(|part| digest.merge(part));
        for q in [0.001, 0.01, 0.25, 0.5, 0.75, 0.99, 0.999] {
            let value = digest.quantile(q).unwrap();
            assert!((value / 400_009.0 - q).abs() < 0.003, "{q}: {value}");
        }
        assert!(digest.centroids.len() < 8000, "{}", digest.centroids.len());
    }
}
