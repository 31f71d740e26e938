//! The top documents of a segment by their sort keys, and what is read of a document in the end.

use super::mapping::{FieldInfo, Kind, SOURCE};
use super::query::{Rows, Segment, failed, keyword_view, seek};
use super::{Partition, View, document_id};
use crate::search::ColumnValue;
use crate::search::error::SearchError;
use crate::search::sort::{By, SortKey, SortValue};
use std::collections::BinaryHeap;
use tantivy::columnar::{Column, DynamicColumn, StrColumn};
use tantivy::schema::Value as _;
use tantivy::store::StoreReader;
use tantivy::{DateTime, TantivyDocument, f64_to_u64, i64_to_u64};

/// Blocks of a document store kept while hits are read.
const STORE_BLOCKS: usize = 4;

/// A document that may be a hit.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Its sort values, in the order of the keys.
    pub values: Vec<SortValue>,
    /// Its number, which decides ties.
    pub seq: u64,
    /// Its score.
    pub score: f32,
    /// Its partition in the view, and its place there.
    pub partition: usize,
    pub segment: u32,
    pub doc: u32,
}

/// What Elasticsearch says of a text field that is sorted or aggregated by.
pub(crate) fn fielddata(field: &str) -> String {
    format!(
        "Text fields are not optimised for operations that require per-document field data like aggregations and \
         sorting, so these operations are disabled by default. Please use a keyword field instead. Alternatively, set \
         fielddata=true on [{field}] in order to load field data by uninverting the inverted index. Note that this can \
         use significant memory."
    )
}

/// How a sort key is read in one segment.
enum Reader<'a> {
    Seq(&'a Column<u64>),
    Score(&'a [f32]),
    Strings(StrColumn),
    Longs(Column<i64>),
    Doubles(Column<f64>),
    Bools(Column<bool>),
    Dates(Column<DateTime>),
    /// No document has a value; whether the field's values are numbers.
    Nothing(bool),
}

/// One sort key in one segment. Keys are made comparable: `class << 64 | value`, where the class
/// puts documents without a value before or behind the others.
struct KeyReader<'a> {
    reader: Reader<'a>,
    key: &'a SortKey,
}

fn millis(at: DateTime) -> i64 {
    at.into_timestamp_nanos().div_euclid(1_000_000)
}

impl KeyReader<'_> {
    fn raw(&self, doc: u32) -> Option<u64> {
        // Of several values the least counts ascending, the greatest descending.
        fn pick<T>(values: impl Iterator<Item = T>, map: impl Fn(T) -> u64, descending: bool) -> Option<u64> {
            let values = values.map(map);
            if descending { values.max() } else { values.min() }
        }
        let descending = self.key.descending;
        match &self.reader {
            Reader::Seq(column) => column.first(doc),
            Reader::Score(scores) => Some(f64_to_u64(f64::from(scores[doc as usize]))),
            // Room between ordinals for values that are not in this dictionary.
            Reader::Strings(column) => pick(column.term_ords(doc), |ord| ord * 2 + 1, descending),
            Reader::Longs(column) => pick(column.values_for_doc(doc), i64_to_u64, descending),
            Reader::Doubles(column) => pick(column.values_for_doc(doc), f64_to_u64, descending),
            Reader::Bools(column) => pick(column.values_for_doc(doc), u64::from, descending),
            Reader::Dates(column) => pick(column.values_for_doc(doc), |at| i64_to_u64(millis(at)), descending),
            Reader::Nothing(_) => None,
        }
    }

    fn key(&self, raw: Option<u64>) -> u128 {
        let (class, value) = match raw {
            None if self.key.missing_first => (0, 0),
            None => (2, 0),
            Some(raw) if self.key.descending => (1, !raw),
            Some(raw) => (1, raw),
        };
        (class << 64) | u128::from(value)
    }

    /// The key of a value that a client sent.
    fn after(&self, value: &SortValue) -> Result<u128, SearchError> {
        let float = value.float();
        Ok(self.key(match (&self.reader, value) {
            (_, SortValue::Missing { .. }) => None,
            (Reader::Strings(column), SortValue::Str(text)) => {
                let (ord, exact) = seek(column, text.as_bytes()).map_err(failed)?;
                Some(ord * 2 + u64::from(exact))
            }
            (Reader::Seq(_) | Reader::Bools(_), _) => float.map(|x| x.max(0.0) as u64),
            (Reader::Longs(_) | Reader::Dates(_), SortValue::Int(n)) => Some(i64_to_u64(*n)),
            (Reader::Longs(_) | Reader::Dates(_), _) => float.map(|x| i64_to_u64(x as i64)),
            (Reader::Doubles(_) | Reader::Score(_), _) => float.map(f64_to_u64),
            // Any value stands before or behind those without one.
            (Reader::Nothing(_), _) => Some(0),
            (Reader::Strings(_), _) => None,
        }))
    }

    fn value(&self, doc: u32) -> Result<SortValue, SearchError> {
        let raw = self.raw(doc);
        let Some(raw) = raw else {
            let number = !matches!(self.reader, Reader::Strings(_) | Reader::Nothing(false));
            return Ok(SortValue::Missing { number });
        };
        Ok(match &self.reader {
            Reader::Strings(column) => {
                let mut text = String::new();
                column.ord_to_str(raw / 2, &mut text).map_err(failed)?;
                SortValue::Str(text)
            }
            Reader::Longs(_) | Reader::Dates(_) => SortValue::Int(tantivy::u64_to_i64(raw)),
            Reader::Doubles(_) | Reader::Score(_) => SortValue::Float(tantivy::u64_to_f64(raw)),
            _ => SortValue::Int(raw as i64),
        })
    }
}

fn reader<'a>(
    segment: &Segment<'_>,
    key: &SortKey,
    seq: &'a Column<u64>,
    scores: &'a [f32],
) -> Result<Reader<'a>, SearchError> {
    let path = match &key.by {
        By::Doc => return Ok(Reader::Seq(seq)),
        By::Score => return Ok(Reader::Score(scores)),
        By::Field(path) => path,
    };
    let Some(info) = segment.mapping.get(path).or_else(|| keyword_view(segment.mapping, path)) else {
        return Ok(Reader::Nothing(key.numeric_unmapped));
    };
    if info.kind == Kind::Text {
        return Err(SearchError::shard(fielddata(path)));
    }
    Ok(match segment.column(info)? {
        Some(DynamicColumn::Str(column)) => Reader::Strings(column),
        Some(DynamicColumn::I64(column)) => Reader::Longs(column),
        Some(DynamicColumn::F64(column)) => Reader::Doubles(column),
        Some(DynamicColumn::Bool(column)) => Reader::Bools(column),
        Some(DynamicColumn::DateTime(column)) => Reader::Dates(column),
        _ => Reader::Nothing(info.kind != Kind::Keyword),
    })
}

/// What is asked of a segment's documents.
pub(crate) struct Wanted<'a> {
    /// The sort keys.
    pub sort: &'a [SortKey],
    /// The values to go on strictly behind.
    pub after: Option<&'a [SortValue]>,
    /// How many.
    pub count: usize,
}

/// The top documents of a segment.
pub(crate) fn top(
    segment: &Segment<'_>,
    rows: &Rows,
    scores: &[f32],
    wanted: &Wanted<'_>,
    place: (usize, u32),
) -> Result<Vec<Candidate>, SearchError> {
    if wanted.count == 0 || rows.is_empty() {
        return Ok(Vec::new());
    }
    let seq = segment.reader.fast_fields().u64("_seq").map_err(failed)?;
    let readers = wanted
        .sort
        .iter()
        .map(|key| Ok(KeyReader { reader: reader(segment, key, &seq, scores)?, key }))
        .collect::<Result<Vec<_>, SearchError>>()?;
    let after = match wanted.after {
        None => None,
        Some(values) => {
            let keys = readers.iter().zip(values).map(|(reader, value)| reader.after(value));
            Some(keys.collect::<Result<Vec<u128>, _>>()?)
        }
    };
    let mut heap: BinaryHeap<(Vec<u128>, u64, u32)> = BinaryHeap::with_capacity(wanted.count + 1);
    let mut keys = Vec::with_capacity(readers.len());
    rows.each(|doc| {
        keys.clear();
        for (at, reader) in readers.iter().enumerate() {
            keys.push(reader.key(reader.raw(doc)));
            // Most documents are worse than the worst so far by their first key alone.
            if at == 0
                && heap.len() == wanted.count
                && let Some((worst, ..)) = heap.peek()
                && keys[0] > worst[0]
            {
                return;
            }
        }
        if after.as_ref().is_some_and(|after| keys <= *after) {
            return;
        }
        let number = seq.first(doc).unwrap_or_default();
        if heap.len() == wanted.count {
            let Some(mut worst) = heap.peek_mut() else { return };
            if (&keys, number) < (&worst.0, worst.1) {
                *worst = (keys.clone(), number, doc);
            }
        } else {
            heap.push((keys.clone(), number, doc));
        }
    });
    let candidate = |(_, seq, doc): (Vec<u128>, u64, u32)| {
        let values = readers.iter().map(|reader| reader.value(doc)).collect::<Result<_, _>>()?;
        let score = scores.get(doc as usize).copied().unwrap_or(1.0);
        Ok(Candidate { values, seq, score, partition: place.0, segment: place.1, doc })
    };
    heap.into_iter().map(candidate).collect()
}

/// A document as it is shown.
pub(crate) struct Document {
    pub id: String,
    pub source: Vec<u8>,
    /// Values of fields by their columns, for `docvalue_fields`.
    pub columns: Vec<(String, Vec<ColumnValue>)>,
}

/// Reads documents of a view; stores are opened once.
pub(crate) struct Documents<'a> {
    view: &'a View,
    open: Option<(usize, u32, StoreReader)>,
}

impl<'a> Documents<'a> {
    /// Nothing read yet.
    pub fn new(view: &'a View) -> Documents<'a> {
        Documents { view, open: None }
    }

    /// Reads one, with the values of the fields that `patterns` name.
    pub fn read(&mut self, at: &Candidate, source: bool, patterns: &[String]) -> Result<Document, SearchError> {
        let partition: &Partition = &self.view.partitions[at.partition];
        let searcher = partition.searcher().map_err(failed)?;
        let reader = searcher.segment_reader(at.segment);
        let mut bytes = Vec::new();
        if source {
            if self.open.as_ref().is_none_or(|(p, s, _)| (*p, *s) != (at.partition, at.segment)) {
                let store = reader.get_store_reader(STORE_BLOCKS).map_err(failed)?;
                self.open = Some((at.partition, at.segment, store));
            }
            if let Some((.., store)) = &self.open {
                let document: TantivyDocument = store.get(at.doc).map_err(failed)?;
                bytes = document.get_first(SOURCE).and_then(|v| v.as_bytes()).unwrap_or_default().to_vec();
            }
        }
        let mut id = None;
        if let Some(column) = reader.fast_fields().str("_id").map_err(failed)?
            && let Some(ord) = column.term_ords(at.doc).next()
        {
            let mut text = String::new();
            column.ord_to_str(ord, &mut text).map_err(failed)?;
            id = Some(text);
        }
        let mut columns = Vec::new();
        for pattern in patterns {
            for (name, info) in named(partition, pattern) {
                let mut values = Vec::new();
                // What came as another kind is a value of the field, too.
                for info in std::iter::once(info).chain(partition.mapping.sub_fields(&info.path)) {
                    if let Some(column) = super::query::column(reader, info)? {
                        values.extend(column_values(&column, at.doc)?);
                    }
                }
                if !values.is_empty() {
                    columns.push((name, values));
                }
            }
        }
        Ok(Document { id: id.unwrap_or_else(|| document_id(at.seq)), source: bytes, columns })
    }
}

/// The fields with a column that a name or a pattern means.
fn named<'p>(partition: &'p Partition, pattern: &str) -> Vec<(String, &'p FieldInfo)> {
    let mapping = &partition.mapping;
    if !pattern.contains('*') {
        let info = mapping.get(pattern).or_else(|| keyword_view(mapping, pattern));
        return info.map(|info| (pattern.to_owned(), info)).into_iter().collect();
    }
    let fields = mapping.fields().iter().filter(|info| info.kind != Kind::Text && info.of.is_none());
    fields
        .filter(|info| crate::search::pattern::like(pattern, &info.path))
        .map(|info| (info.path.to_string(), info))
        .collect()
}

fn column_values(column: &DynamicColumn, doc: u32) -> Result<Vec<ColumnValue>, SearchError> {
    Ok(match column {
        DynamicColumn::Str(column) => {
            let mut values = Vec::new();
            for ord in column.term_ords(doc) {
                let mut text = String::new();
                column.ord_to_str(ord, &mut text).map_err(failed)?;
                values.push(ColumnValue::Str(text));
            }
            values
        }
        DynamicColumn::I64(column) => column.values_for_doc(doc).map(ColumnValue::Int).collect(),
        DynamicColumn::F64(column) => column.values_for_doc(doc).map(ColumnValue::Float).collect(),
        DynamicColumn::Bool(column) => column.values_for_doc(doc).map(ColumnValue::Bool).collect(),
        DynamicColumn::DateTime(column) => {
            column.values_for_doc(doc).map(|at| ColumnValue::Date(at.into_timestamp_nanos())).collect()
        }
        _ => Vec::new(),
    })
}
