//! A run of samples in few bytes: what differs from the sample before.
//!
//! Times come at regular intervals: the change of the distance is mostly 0 and costs one bit.
//! Counters mostly change by a small whole number, or not at all: one byte a sample; any other
//! number costs one byte and those that differ ([`put_number`]). A native histogram
//! costs a bit for each bucket and a number for each that changed, as long as its buckets are the
//! same ones.
//!
//! ```text
//! sample:    number [time]     the low bits of the number's first byte: 1: a time follows;
//!                              of histograms the number is the sum; 2: buckets follow anew;
//!                              4: the staleness marker
//! histogram: count zeros bitmap changed…     counts as numbers, differences to the one before
//! anew:      hint schema threshold (index…) (index…) (custom…)
//! ```

use crate::series::bytes::{Reader, number, put, put_number, put_signed};
use crate::series::{NativeHistogram, ResetHint, Sample, Value, stale_nan};
use std::sync::Arc;

/// Samples in a chunk at the most: reading one begins at its first, so that who looks back five minutes
/// reads half a chunk more than needed. A chunk has 90 bytes besides them.
const SAMPLES_MAX: u32 = 120;
/// Bytes of a chunk from which on a new one is begun.
const BYTES_MAX: usize = 16 << 10;

const TIME: u8 = 1;
const ANEW: u8 = 2;
const STALE: u8 = 4;

/// Samples of one kind, in order, compressed.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    count: u32,
    /// Of the first sample.
    pub(super) first_ms: i64,
    last: Last,
}

/// What the next sample differs from.
#[derive(Clone, Debug)]
struct Last {
    t: i64,
    distance: i64,
    number: f64,
    histogram: Option<Arc<NativeHistogram>>,
}

impl Chunk {
    /// A chunk whose first sample is at `t`.
    pub(super) fn new(t: i64, value: &Value) -> Chunk {
        let last = Last::new(t, value);
        let mut chunk = Chunk { bytes: Vec::new(), count: 0, first_ms: t, last };
        chunk.push(t, value);
        chunk
    }

    /// Appends a sample; false if it belongs in a new chunk. Times must rise.
    pub(super) fn append(&mut self, t: i64, value: &Value) -> bool {
        let same_kind = self.last.histogram.is_some() == value.histogram().is_some();
        if !same_kind || self.count >= SAMPLES_MAX || self.bytes.len() >= BYTES_MAX {
            return false;
        }
        self.push(t, value);
        true
    }

    fn push(&mut self, t: i64, value: &Value) {
        let distance = t - self.last.t;
        let time = if distance == self.last.distance { 0 } else { TIME };
        match value {
            Value::Float(value) => {
                put_number(&mut self.bytes, time, self.last.number, *value);
                self.last.number = *value;
                self.put_time(time, distance);
            }
            Value::Histogram(histogram) => self.push_histogram(histogram, time, distance),
        }
        (self.last.t, self.last.distance) = (t, distance);
        self.count += 1;
    }

    fn put_time(&mut self, time: u8, distance: i64) {
        if time != 0 {
            put_signed(&mut self.bytes, distance.wrapping_sub(self.last.distance));
        }
    }

    fn push_histogram(&mut self, histogram: &Arc<NativeHistogram>, time: u8, distance: i64) {
        if crate::series::is_stale(histogram.sum) {
            put_number(&mut self.bytes, time | STALE, self.last.number, self.last.number);
            return self.put_time(time, distance);
        }
        let before = self.last.histogram.take().unwrap_or_default();
        let same = self.count > 0 && same_buckets(&before, histogram);
        put_number(&mut self.bytes, if same { time } else { time | ANEW }, self.last.number, histogram.sum);
        self.last.number = histogram.sum;
        self.put_time(time, distance);
        let out = &mut self.bytes;
        if !same {
            put_buckets(out, histogram);
        }
        let empty = NativeHistogram::default();
        let before = if same { &*before } else { &empty };
        put_number(out, 0, before.count, histogram.count);
        put_number(out, 0, before.zero_count, histogram.zero_count);
        for (now, then) in [(&histogram.positive, &before.positive), (&histogram.negative, &before.negative)] {
            put_counts(out, now, if same { then } else { &[] });
        }
        self.last.histogram = Some(histogram.clone());
    }

    /// The time of the last sample.
    pub(super) fn last_ms(&self) -> i64 {
        self.last.t
    }

    /// How many samples there may be in a time, about, if they come at regular times.
    pub(super) fn within(&self, start_ms: i64, end_ms: i64) -> usize {
        let (span, count) = (self.last.t - self.first_ms, self.count as usize);
        let part = end_ms.min(self.last.t).saturating_sub(start_ms.max(self.first_ms)).max(0);
        if span <= 0 { count } else { (count as f64 * part as f64 / span as f64) as usize + 1 }
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        std::mem::size_of::<Chunk>() + self.bytes.capacity()
    }

    /// Gives back memory that no further sample needs.
    pub(super) fn close(&mut self) {
        self.bytes.shrink_to_fit();
        if let Some(histogram) = &mut self.last.histogram {
            *histogram = Arc::default();
        }
    }

    /// Gives every sample, oldest first.
    pub(super) fn read(&self, mut each: impl FnMut(Sample)) {
        let mut reader = Reader(&self.bytes);
        let mut last = Last { t: self.first_ms, distance: 0, number: 0.0, histogram: None };
        let histograms = self.last.histogram.is_some();
        for _ in 0..self.count {
            match last.next(&mut reader, histograms) {
                Some(sample) => each(sample),
                // Only memory that is broken can come here.
                None => debug_assert!(false, "BUG: a chunk that can't be read"),
            }
        }
    }
}

impl Last {
    fn new(t: i64, value: &Value) -> Last {
        Last { t, distance: 0, number: 0.0, histogram: value.histogram().map(|_| Arc::default()) }
    }

    fn next(&mut self, reader: &mut Reader, histograms: bool) -> Option<Sample> {
        let (low, number) = number(reader, self.number)?;
        self.number = number;
        if low & TIME != 0 {
            self.distance = self.distance.wrapping_add(reader.signed()?);
        }
        self.t += self.distance;
        if !histograms {
            return Some(Sample::new(self.t, number));
        }
        if low & STALE != 0 {
            return Some(Sample::new(self.t, stale_histogram()));
        }
        let mut histogram = NativeHistogram::default();
        let before = self.histogram.take().unwrap_or_default();
        if low & ANEW != 0 {
            read_buckets(reader, &mut histogram)?;
        } else {
            histogram = (*before).clone();
        }
        histogram.sum = number;
        histogram.count = crate::series::bytes::number(reader, histogram.count)?.1;
        histogram.zero_count = crate::series::bytes::number(reader, histogram.zero_count)?.1;
        read_counts(reader, &mut histogram.positive)?;
        read_counts(reader, &mut histogram.negative)?;
        let histogram = Arc::new(histogram);
        self.histogram = Some(histogram.clone());
        Some(Sample { t: self.t, value: Value::Histogram(histogram) })
    }
}

/// The staleness marker of a series of histograms.
pub(super) fn stale_histogram() -> NativeHistogram {
    NativeHistogram { sum: stale_nan(), ..NativeHistogram::default() }
}

fn same_buckets(a: &NativeHistogram, b: &NativeHistogram) -> bool {
    let indices = |a: &[(i32, f64)], b: &[(i32, f64)]| a.iter().map(|(i, _)| i).eq(b.iter().map(|(i, _)| i));
    a.schema == b.schema
        && a.reset_hint == b.reset_hint
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && indices(&a.positive, &b.positive)
        && indices(&a.negative, &b.negative)
        && a.custom_values == b.custom_values
}

fn put_buckets(out: &mut Vec<u8>, histogram: &NativeHistogram) {
    out.push(match histogram.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    });
    put_signed(out, histogram.schema.into());
    out.extend_from_slice(&histogram.zero_threshold.to_le_bytes());
    for side in [&histogram.positive, &histogram.negative] {
        put(out, side.len() as u64);
        let mut before = 0;
        for &(index, _) in side {
            put_signed(out, i64::from(index) - before);
            before = index.into();
        }
    }
    put(out, histogram.custom_values.len() as u64);
    histogram.custom_values.iter().for_each(|bound| out.extend_from_slice(&bound.to_le_bytes()));
}

fn read_buckets(reader: &mut Reader, histogram: &mut NativeHistogram) -> Option<()> {
    histogram.reset_hint = match reader.byte()? {
        0 => ResetHint::Unknown,
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        _ => ResetHint::Gauge,
    };
    histogram.schema = reader.signed()?.try_into().ok()?;
    histogram.zero_threshold = reader.float()?;
    for side in [&mut histogram.positive, &mut histogram.negative] {
        let mut index = 0_i64;
        for _ in 0..reader.get()? {
            index += reader.signed()?;
            side.push((index.try_into().ok()?, 0.0));
        }
    }
    let bounds: Option<Vec<f64>> = (0..reader.get()?).map(|_| reader.float()).collect();
    histogram.custom_values = bounds?.into();
    Some(())
}

/// A bit for each bucket whose count changed, then these counts.
fn put_counts(out: &mut Vec<u8>, now: &[(i32, f64)], then: &[(i32, f64)]) {
    let before = |at: usize| then.get(at).map_or(0.0, |(_, count)| *count);
    let changed = |at: usize| now[at].1.to_bits() != before(at).to_bits();
    for from in (0..now.len()).step_by(8) {
        let bits = (from..now.len().min(from + 8)).filter(|&at| changed(at));
        out.push(bits.fold(0, |byte, at| byte | 1 << (at - from)));
    }
    for at in (0..now.len()).filter(|&at| changed(at)) {
        put_number(out, 0, before(at), now[at].1);
    }
}

fn read_counts(reader: &mut Reader, buckets: &mut [(i32, f64)]) -> Option<()> {
    let bits = reader.take(buckets.len().div_ceil(8))?;
    for (at, (_, count)) in buckets.iter_mut().enumerate() {
        if bits[at / 8] >> (at % 8) & 1 == 1 {
            *count = number(reader, *count)?.1;
        }
    }
    Some(())
}

/// Appends a histogram by itself, for the log.
pub(super) fn put_histogram(out: &mut Vec<u8>, histogram: &NativeHistogram) {
    put_buckets(out, histogram);
    for number in [histogram.sum, histogram.count, histogram.zero_count] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for side in [&histogram.positive, &histogram.negative] {
        side.iter().for_each(|(_, count)| put_number(out, 0, 0.0, *count));
    }
}

/// Reads what [`put_histogram`] wrote.
pub(super) fn read_histogram(reader: &mut Reader) -> Option<NativeHistogram> {
    let mut histogram = NativeHistogram::default();
    read_buckets(reader, &mut histogram)?;
    (histogram.sum, histogram.count, histogram.zero_count) = (reader.float()?, reader.float()?, reader.float()?);
    for side in [&mut histogram.positive, &mut histogram.negative] {
        for (_, count) in side {
            *count = number(reader, 0.0)?.1;
        }
    }
    Some(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(value: &Value) -> String {
        match value {
            Value::Float(value) => format!("{:x}", value.to_bits()),
            Value::Histogram(h) if value.is_stale() => format!("stale {}", h.positive.len()),
            Value::Histogram(h) => format!("{h:?}"),
        }
    }

    fn round(samples: &[(i64, Value)]) -> usize {
        let mut chunks: Vec<Chunk> = Vec::new();
        for (t, value) in samples {
            if !chunks.last_mut().is_some_and(|chunk| chunk.append(*t, value)) {
                if let Some(chunk) = chunks.last_mut() {
                    chunk.close();
                }
                chunks.push(Chunk::new(*t, value));
            }
        }
        let mut got = Vec::new();
        chunks.iter().for_each(|chunk| chunk.read(|sample| got.push((sample.t, bits(&sample.value)))));
        let want: Vec<_> = samples.iter().map(|(t, value)| (*t, bits(value))).collect();
        assert_eq!(got, want);
        chunks.iter().map(|chunk| chunk.bytes.len()).sum()
    }

    #[test]
    fn regular_samples_are_small() {
        let times = (0..480).map(|n| n * 15_000);
        let idle: Vec<_> = times.clone().map(|t| (t, Value::Float(17.0))).collect();
        assert!(round(&idle) < 500);
        let counter: Vec<_> = times.clone().map(|t| (t, Value::Float((t / 15_000 * 3) as f64))).collect();
        assert!(round(&counter) < 520);
        let busy: Vec<_> = times.clone().map(|t| (t, Value::Float((t / 15_000 * 1_234) as f64))).collect();
        assert!(round(&busy) < 1_500);
        let gauge: Vec<_> = times.map(|t| (t, Value::Float((t as f64).sin()))).collect();
        assert!(round(&gauge) < 480 * 10);
    }

    #[test]
    fn histograms_that_grow_are_small() {
        let mut histogram = NativeHistogram { schema: 3, ..NativeHistogram::default() };
        histogram.positive = (0..100).map(|index| (index, 50.0)).collect();
        let samples: Vec<_> = (0..200_i64)
            .map(|n| {
                histogram.count += 3.0;
                histogram.sum += 0.37;
                for add in 0..3 {
                    histogram.positive[(n as usize * 7 + add * 31) % 100].1 += 1.0;
                }
                (n * 1_000, Value::from(histogram.clone()))
            })
            .collect();
        assert!(round(&samples) < 200 * 32, "{}", round(&samples));
    }

    fn any_histogram() -> impl Strategy<Value = NativeHistogram> {
        let side = || prop::collection::btree_map(-500..500_i32, 0..5_u32, 0..6);
        (side(), side(), -4..9_i32, any::<i16>(), 0..3_u8).prop_map(|(positive, negative, schema, sum, stale)| {
            let side = |side: std::collections::BTreeMap<i32, u32>| {
                side.into_iter().map(|(index, count)| (index, f64::from(count) * 0.5)).collect::<Vec<_>>()
            };
            let sum = if stale == 0 { stale_nan() } else { f64::from(sum) / 8.0 };
            NativeHistogram {
                schema,
                sum,
                count: 7.0,
                zero_count: 1.5,
                positive: side(positive),
                negative: side(negative),
                ..NativeHistogram::default()
            }
        })
    }

    proptest! {
        #[test]
        fn any_samples_come_back(
            values in prop::collection::vec((1..100_000_i64, prop_oneof![
                any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
                (0..50_u32).prop_map(|n| Value::Float(n.into())),
                any_histogram().prop_map(|h| Value::from(if crate::series::is_stale(h.sum) { stale_histogram() } else { h })),
            ]), 1..300)
        ) {
            let mut t = -5;
            let samples: Vec<_> = values.into_iter().map(|(step, value)| { t += step; (t, value) }).collect();
            round(&samples);
        }

        #[test]
        fn a_histogram_of_the_log_comes_back(histogram in any_histogram()) {
            let mut out = Vec::new();
            put_histogram(&mut out, &histogram);
            let back = read_histogram(&mut Reader(&out)).unwrap();
            prop_assert_eq!(bits(&Value::from(back)), bits(&Value::from(histogram)));
        }
    }
}
