//! The buckets that an aggregation finds in one segment, and their keys.

use super::super::query::failed;
use crate::search::aggregation::Key;
use crate::search::aggregation::partial::KEYS_MAX;
use crate::search::ast::Scalar;
use crate::search::error::SearchError;
use rustc_hash::FxHashMap;
use tantivy::columnar::DynamicColumn;

/// The column number of documents without a value.
pub(super) const MISSING: u32 = u32::MAX;

/// The buckets of an aggregation, numbered as they are found.
#[derive(Default)]
pub(super) struct Buckets {
    /// By parent's bucket, column and raw key.
    by_key: FxHashMap<(u32, u32, u64), u32>,
    /// By raw key alone, for one column at the top.
    by_place: Vec<u32>,
    pub(super) keys: Vec<(u32, u32, u64)>,
    pub(super) counts: Vec<u64>,
}

impl Buckets {
    pub(super) fn dense(places: usize) -> Buckets {
        Buckets { by_place: vec![u32::MAX; places], ..Buckets::default() }
    }

    /// Counts a document; returns the bucket's number.
    #[inline]
    pub(super) fn count(&mut self, parent: u32, column: u32, raw: u64) -> u32 {
        let at = self.at(parent, column, raw);
        self.counts[at as usize] += 1;
        at
    }

    #[inline]
    pub(super) fn at(&mut self, parent: u32, column: u32, raw: u64) -> u32 {
        let next = self.keys.len() as u32;
        let at = match self.by_place.get_mut(raw as usize) {
            Some(place) if column == 0 => {
                if *place == u32::MAX {
                    *place = next;
                }
                *place
            }
            _ => *self.by_key.entry((parent, column, raw)).or_insert(next),
        };
        if at == next {
            self.keys.push((parent, column, raw));
            self.counts.push(0);
        }
        at
    }
}

/// Counts a document once per different key.
#[inline]
pub(super) fn count(
    keys: &mut Vec<(u32, u64)>,
    doc: u32,
    parent: u32,
    buckets: &mut Buckets,
    below: &mut Vec<u32>,
    below_buckets: &mut Vec<u32>,
) {
    if keys.len() > 1 {
        keys.sort_unstable();
        keys.dedup();
    }
    for &(column, raw) in keys.iter() {
        below.push(doc);
        below_buckets.push(buckets.count(parent, column, raw));
    }
}

/// Values of the dictionaries that no document of the matches has.
pub(super) fn add_zeros(columns: &[DynamicColumn], buckets: &mut Buckets, parents: usize) {
    for (at, column) in columns.iter().enumerate() {
        let DynamicColumn::Str(column) = column else { continue };
        for parent in 0..parents as u32 {
            for ord in 0..column.num_terms().min(KEYS_MAX) as u64 {
                buckets.at(parent, at as u32, ord);
            }
        }
    }
}

/// The keys of `terms` buckets: dictionaries are read in their own order.
pub(super) fn term_keys(
    columns: &[DynamicColumn],
    missing: Option<&Scalar>,
    buckets: &Buckets,
) -> Result<Vec<Key>, SearchError> {
    let mut keys: Vec<Key> = Vec::with_capacity(buckets.keys.len());
    let mut strings: Vec<(u32, u64, usize)> = Vec::new();
    for (at, &(_, column, raw)) in buckets.keys.iter().enumerate() {
        keys.push(match columns.get(column as usize) {
            None => missing_key(columns.first(), missing),
            Some(DynamicColumn::Str(_)) => {
                strings.push((column, raw, at));
                Key::Slot(0)
            }
            Some(DynamicColumn::F64(_)) => Key::Float(raw),
            Some(DynamicColumn::Bool(_)) => Key::Bool(raw == 1),
            Some(DynamicColumn::DateTime(_)) => Key::Date(raw as i64),
            Some(_) => Key::Int(raw as i64),
        });
    }
    strings.sort_unstable();
    for run in strings.chunk_by(|a, b| a.0 == b.0) {
        let Some(DynamicColumn::Str(column)) = columns.get(run[0].0 as usize) else { continue };
        let ords: Vec<u64> = run.iter().map(|(_, ord, _)| *ord).collect();
        let mut places = run.iter().map(|(.., at)| *at);
        let each = |term: &[u8]| {
            if let Some(at) = places.next() {
                keys[at] = Key::Str(String::from_utf8_lossy(term).into());
            }
        };
        column.dictionary().sorted_ords_to_term_cb(&ords, each).map_err(failed)?;
    }
    Ok(keys)
}

/// The key of documents without a value: read as the field's kind reads it.
pub(super) fn missing_key(column: Option<&DynamicColumn>, missing: Option<&Scalar>) -> Key {
    let Some(value) = missing else { return Key::Str("".into()) };
    let number = || value.text().parse::<f64>().ok();
    match column {
        Some(DynamicColumn::I64(_)) => number().map(|x| Key::Int(x as i64)),
        Some(DynamicColumn::F64(_)) => number().map(Key::float),
        Some(DynamicColumn::Bool(_)) => Some(Key::Bool(value.text() == "true")),
        Some(DynamicColumn::DateTime(_)) => number().map(|x| Key::Date(x as i64)),
        _ => None,
    }
    .unwrap_or_else(|| Key::Str(value.text().into()))
}
