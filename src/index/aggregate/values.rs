//! Values of documents, as aggregations want them: raw keys, numbers, hashes.

use super::super::query::failed;
use crate::search::aggregation::distinct;
use crate::search::error::SearchError;
use tantivy::columnar::{DynamicColumn, StrColumn};

/// A column whose values are counted as hashes; those of a dictionary are hashed once.
pub(super) enum Hashed {
    Strings(StrColumn, Vec<u64>),
    Numbers(DynamicColumn),
}

impl Hashed {
    pub(super) fn new(column: DynamicColumn) -> Result<Hashed, SearchError> {
        let DynamicColumn::Str(column) = column else { return Ok(Hashed::Numbers(column)) };
        let mut hashes = Vec::with_capacity(column.num_terms());
        let mut stream = column.dictionary().stream().map_err(failed)?;
        while stream.advance() {
            hashes.push(distinct::hash(stream.key()));
        }
        drop(stream);
        Ok(Hashed::Strings(column, hashes))
    }

    pub(super) fn each(&self, doc: u32, mut each: impl FnMut(u64)) {
        match self {
            Hashed::Strings(column, hashes) => column.term_ords(doc).for_each(|ord| each(hashes[ord as usize])),
            // Whole numbers and doubles of one value are one.
            Hashed::Numbers(column) => raw(column, doc, |raw| {
                let text = match column {
                    DynamicColumn::F64(_) if f64::from_bits(raw).fract() != 0.0 => raw.to_le_bytes(),
                    DynamicColumn::F64(_) => (f64::from_bits(raw) as i64).to_le_bytes(),
                    _ => raw.to_le_bytes(),
                };
                each(distinct::hash(&text));
            }),
        }
    }
}

/// The raw keys of a document's values.
#[inline]
pub(super) fn raw(column: &DynamicColumn, doc: u32, mut each: impl FnMut(u64)) {
    match column {
        DynamicColumn::Str(column) => column.term_ords(doc).for_each(each),
        DynamicColumn::I64(column) => column.values_for_doc(doc).for_each(|n| each(n as u64)),
        DynamicColumn::F64(column) => column.values_for_doc(doc).for_each(|x| each((x + 0.0).to_bits())),
        DynamicColumn::Bool(column) => column.values_for_doc(doc).for_each(|b| each(u64::from(b))),
        DynamicColumn::DateTime(column) => {
            column.values_for_doc(doc).for_each(|at| each(at.into_timestamp_nanos().div_euclid(1_000_000) as u64));
        }
        _ => {}
    }
}

/// The numbers of a document; returns whether there are any.
#[inline]
pub(super) fn numbers(columns: &[DynamicColumn], doc: u32, missing: Option<f64>, mut each: impl FnMut(f64)) {
    let mut any = false;
    for column in columns {
        let mut each = |x: f64| {
            any = true;
            each(x);
        };
        match column {
            DynamicColumn::I64(column) => column.values_for_doc(doc).for_each(|n| each(n as f64)),
            DynamicColumn::F64(column) => column.values_for_doc(doc).for_each(each),
            DynamicColumn::Bool(column) => column.values_for_doc(doc).for_each(|b| each(f64::from(u8::from(b)))),
            DynamicColumn::DateTime(column) => {
                column.values_for_doc(doc).for_each(|at| each(at.into_timestamp_nanos().div_euclid(1_000_000) as f64))
            }
            _ => {}
        }
    }
    if let (false, Some(missing)) = (any, missing) {
        each(missing);
    }
}
