//! Gathers what aggregations ask for from one segment, straight from the columns.
//!
//! Every aggregation gets documents in blocks together with the bucket of its parent that each
//! stands in, finds its own buckets, and hands the documents on to those below. Only here is a
//! document looked at; what comes out are [`Partial`]s by key, which merge across segments.

mod buckets;
mod values;

use super::mapping::Kind;
use super::query::{Rows, Segment, keyword_view};
use crate::search::aggregation::digest::Digest;
use crate::search::aggregation::distinct::{self, Distinct};
use crate::search::aggregation::partial::{KEYS_MAX, Stats};
use crate::search::aggregation::rounding::{Last, Rounding};
use crate::search::aggregation::{Aggregation, BUCKETS_MAX, Bucket, Collect, Key, Partial};
use crate::search::ast::Scalar;
use crate::search::error::SearchError;
use buckets::{Buckets, MISSING, add_zeros, count, term_keys};
use rustc_hash::FxHashMap;
use tantivy::columnar::DynamicColumn;
use values::{Hashed, numbers, raw};

/// Documents handed on at once.
const BLOCK: usize = 1024;
/// Ordinals of a dictionary up to which buckets are found by place instead of by hash.
const DENSE_MAX: usize = 1 << 20;

/// Gathers for all aggregations of a request; one partial each.
pub(crate) fn collect(
    aggregations: &[Aggregation],
    segment: &Segment<'_>,
    rows: &Rows,
) -> Result<Vec<Partial>, SearchError> {
    let mut nodes = build(aggregations, segment, true)?;
    let mut docs = Vec::with_capacity(BLOCK);
    let parents = [0u32; BLOCK];
    let mut result = Ok(());
    rows.each(|doc| {
        docs.push(doc);
        if docs.len() == BLOCK && result.is_ok() {
            result = nodes.iter_mut().try_for_each(|node| node.add(&docs, &parents));
            docs.clear();
        }
    });
    result?;
    nodes.iter_mut().try_for_each(|node| node.add(&docs, &parents[..docs.len()]))?;
    nodes.into_iter().map(|node| node.finish(1).map(|mut partials| partials.remove(0))).collect()
}

fn build<'a>(aggregations: &'a [Aggregation], segment: &Segment<'_>, top: bool) -> Result<Vec<Node<'a>>, SearchError> {
    aggregations
        .iter()
        .map(|aggregation| {
            let gather = Gather::new(aggregation.shape.collect(), segment, top)?;
            Ok(Node { gather, subs: build(&aggregation.subs, segment, false)?, docs: Vec::new(), buckets: Vec::new() })
        })
        .collect()
}

/// One aggregation over one segment.
struct Node<'a> {
    gather: Gather<'a>,
    subs: Vec<Node<'a>>,
    /// What goes to those below, kept for its memory.
    docs: Vec<u32>,
    buckets: Vec<u32>,
}

enum Gather<'a> {
    Filters { rows: Vec<Rows>, buckets: Buckets },
    Terms { columns: Vec<DynamicColumn>, missing: Option<&'a Scalar>, zero: bool, buckets: Buckets },
    Rounded { columns: Vec<DynamicColumn>, rounding: &'a Rounding, last: Last, missing: Option<i64>, buckets: Buckets },
    Stepped { columns: Vec<DynamicColumn>, interval: f64, offset: f64, missing: Option<f64>, buckets: Buckets },
    Stats { columns: Vec<DynamicColumn>, missing: Option<f64>, stats: Vec<Stats> },
    Digest { columns: Vec<DynamicColumn>, missing: Option<f64>, digests: Vec<Digest> },
    Count { columns: Vec<DynamicColumn>, missing: bool, counts: Vec<u64> },
    Distinct { columns: Vec<Hashed>, missing: Option<u64>, distinct: Vec<Distinct> },
}

/// The columns of a field and its typed sub-fields.
fn columns(segment: &Segment<'_>, field: &str, numbers: bool) -> Result<Vec<DynamicColumn>, SearchError> {
    let Some(info) = segment.mapping.get(field).or_else(|| keyword_view(segment.mapping, field)) else {
        return Ok(Vec::new());
    };
    if info.kind == Kind::Text {
        return Err(SearchError::shard(super::hits::fielddata(field)));
    }
    let mut fields = vec![info];
    fields.extend(segment.mapping.sub_fields(&info.path));
    if numbers {
        let known = fields.len();
        fields.retain(|info| info.kind != Kind::Keyword && info.kind != Kind::Text);
        if fields.is_empty() && known > 0 {
            return Err(SearchError::shard(format!(
                "Field [{field}] of type [{}] is not supported for aggregation of numbers",
                info.es_type()
            )));
        }
    }
    let mut columns = Vec::new();
    for info in fields {
        columns.extend(segment.column(info)?);
    }
    Ok(columns)
}

impl<'a> Gather<'a> {
    fn new(collect: Collect<'a>, segment: &Segment<'_>, top: bool) -> Result<Gather<'a>, SearchError> {
        Ok(match collect {
            Collect::Filters(queries) => {
                let rows = queries.iter().map(|query| segment.rows(query)).collect::<Result<_, _>>()?;
                Gather::Filters { rows, buckets: Buckets::default() }
            }
            Collect::Terms { field, missing, zero } => {
                let columns = columns(segment, field, false)?;
                let buckets = match columns.first() {
                    Some(DynamicColumn::Str(column)) if top && column.num_terms() <= DENSE_MAX => {
                        Buckets::dense(column.num_terms())
                    }
                    _ => Buckets::default(),
                };
                Gather::Terms { columns, missing, zero, buckets }
            }
            Collect::Rounded { field, rounding, missing } => {
                let columns = columns(segment, field, true)?;
                let buckets = Buckets::default();
                Gather::Rounded { columns, rounding, last: Last::default(), missing, buckets }
            }
            Collect::Stepped { field, interval, offset, missing } => {
                let columns = columns(segment, field, true)?;
                Gather::Stepped { columns, interval, offset, missing, buckets: Buckets::default() }
            }
            Collect::Stats { field, missing } => {
                Gather::Stats { columns: columns(segment, field, true)?, missing, stats: Vec::new() }
            }
            Collect::Digest { field, missing } => {
                Gather::Digest { columns: columns(segment, field, true)?, missing, digests: Vec::new() }
            }
            Collect::Count { field, missing } => {
                Gather::Count { columns: columns(segment, field, false)?, missing, counts: Vec::new() }
            }
            Collect::Distinct { field, missing } => {
                let columns = columns(segment, field, false)?.into_iter().map(Hashed::new).collect::<Result<_, _>>()?;
                let missing = missing.map(|value| distinct::hash(value.text().as_bytes()));
                Gather::Distinct { columns, missing, distinct: Vec::new() }
            }
        })
    }
}

fn slot<T: Default>(slots: &mut Vec<T>, at: u32) -> &mut T {
    if slots.len() <= at as usize {
        slots.resize_with(at as usize + 1, T::default);
    }
    &mut slots[at as usize]
}

impl Node<'_> {
    /// Adds documents, each with the parent's bucket that it stands in.
    fn add(&mut self, docs: &[u32], parents: &[u32]) -> Result<(), SearchError> {
        self.docs.clear();
        self.buckets.clear();
        let (below, below_buckets) = (&mut self.docs, &mut self.buckets);
        let pairs = docs.iter().copied().zip(parents.iter().copied());
        let mut keys: Vec<(u32, u64)> = Vec::new();
        match &mut self.gather {
            Gather::Filters { rows, buckets } => {
                for (doc, parent) in pairs {
                    for (at, rows) in rows.iter().enumerate() {
                        if rows.contains(doc) {
                            below.push(doc);
                            below_buckets.push(buckets.count(parent, 0, at as u64));
                        }
                    }
                }
            }
            Gather::Terms { columns, missing, buckets, .. } => {
                for (doc, parent) in pairs {
                    keys.clear();
                    for (at, column) in columns.iter().enumerate() {
                        raw(column, doc, |raw| keys.push((at as u32, raw)));
                    }
                    if keys.is_empty() && missing.is_some() {
                        keys.push((MISSING, 0));
                    }
                    count(&mut keys, doc, parent, buckets, below, below_buckets);
                }
            }
            Gather::Rounded { columns, rounding, last, missing, buckets } => {
                for (doc, parent) in pairs {
                    keys.clear();
                    numbers(columns, doc, missing.map(|ms| ms as f64), |ms| {
                        keys.push((0, rounding.round(ms as i64, last) as u64));
                    });
                    count(&mut keys, doc, parent, buckets, below, below_buckets);
                }
            }
            Gather::Stepped { columns, interval, offset, missing, buckets } => {
                for (doc, parent) in pairs {
                    keys.clear();
                    numbers(columns, doc, *missing, |x| {
                        let key = ((x - *offset) / *interval).floor() * *interval + *offset;
                        keys.push((0, (key + 0.0).to_bits()));
                    });
                    count(&mut keys, doc, parent, buckets, below, below_buckets);
                }
            }
            metric => metric.add(docs, parents),
        }
        if let Some(buckets) = self.gather.buckets()
            && buckets.keys.len() > KEYS_MAX
        {
            return Err(SearchError::Buckets { limit: BUCKETS_MAX, was: buckets.keys.len() });
        }
        if self.docs.is_empty() {
            return Ok(());
        }
        self.subs.iter_mut().try_for_each(|sub| sub.add(&self.docs, &self.buckets))
    }

    /// What was gathered in each of the parent's buckets.
    fn finish(self, parents: usize) -> Result<Vec<Partial>, SearchError> {
        let Node { gather, subs, .. } = self;
        let each = |count: usize| (0..count).map(|_| Partial::Empty).collect::<Vec<_>>();
        match gather {
            Gather::Filters { buckets, .. } => {
                let keys = buckets.keys.iter().map(|&(.., raw)| Key::Slot(raw as u32)).collect();
                distribute(buckets, keys, subs, parents)
            }
            Gather::Rounded { buckets, .. } => {
                let keys = buckets.keys.iter().map(|&(.., raw)| Key::Date(raw as i64)).collect();
                distribute(buckets, keys, subs, parents)
            }
            Gather::Stepped { buckets, .. } => {
                let keys = buckets.keys.iter().map(|&(.., raw)| Key::Float(raw)).collect();
                distribute(buckets, keys, subs, parents)
            }
            Gather::Terms { columns, missing, zero, mut buckets } => {
                if zero {
                    add_zeros(&columns, &mut buckets, parents);
                }
                let keys = term_keys(&columns, missing, &buckets)?;
                distribute(buckets, keys, subs, parents)
            }
            Gather::Stats { columns, mut stats, .. } => {
                stats.resize_with(parents, Stats::default);
                let date = is_date(&columns);
                Ok(stats.into_iter().map(|stats| Partial::Stats(Stats { date, ..stats })).collect())
            }
            Gather::Digest { columns, mut digests, .. } => {
                digests.resize_with(parents, Digest::default);
                let date = is_date(&columns);
                digests.iter_mut().for_each(|digest| digest.date = date);
                Ok(digests.into_iter().map(Partial::Digest).collect())
            }
            Gather::Count { mut counts, .. } => {
                counts.resize(parents, 0);
                Ok(counts.into_iter().map(Partial::Count).collect())
            }
            Gather::Distinct { distinct, .. } => {
                let mut partials: Vec<_> = distinct.into_iter().map(Partial::Distinct).collect();
                partials.extend(each(parents - partials.len()));
                Ok(partials)
            }
        }
    }
}

impl Gather<'_> {
    /// Adds documents to an aggregation that has no buckets of its own.
    fn add(&mut self, docs: &[u32], parents: &[u32]) {
        let pairs = docs.iter().copied().zip(parents.iter().copied());
        match self {
            Gather::Stats { columns, missing, stats } => {
                for (doc, parent) in pairs {
                    numbers(columns, doc, *missing, |x| slot(stats, parent).add(x));
                }
            }
            Gather::Digest { columns, missing, digests } => {
                for (doc, parent) in pairs {
                    numbers(columns, doc, *missing, |x| slot(digests, parent).add(x));
                }
            }
            Gather::Count { columns, missing, counts } => {
                for (doc, parent) in pairs {
                    let mut found = 0;
                    columns.iter().for_each(|column| raw(column, doc, |_| found += 1));
                    *slot(counts, parent) += if found == 0 && *missing { 1 } else { found };
                }
            }
            Gather::Distinct { columns, missing, distinct } => {
                for (doc, parent) in pairs {
                    let mut any = false;
                    for column in columns.iter() {
                        column.each(doc, |hash| {
                            any = true;
                            slot(distinct, parent).add(hash);
                        });
                    }
                    if let (false, Some(hash)) = (any, *missing) {
                        slot(distinct, parent).add(hash);
                    }
                }
            }
            _ => panic!("BUG: an aggregation with buckets is gathered by its node"),
        }
    }

    fn buckets(&self) -> Option<&Buckets> {
        match self {
            Gather::Filters { buckets, .. }
            | Gather::Terms { buckets, .. }
            | Gather::Rounded { buckets, .. }
            | Gather::Stepped { buckets, .. } => Some(buckets),
            _ => None,
        }
    }
}

fn is_date(columns: &[DynamicColumn]) -> bool {
    matches!(columns.first(), Some(DynamicColumn::DateTime(_)))
}

/// Puts buckets, with what is below them, into the parent's buckets that they belong to.
fn distribute(
    buckets: Buckets,
    keys: Vec<Key>,
    subs: Vec<Node<'_>>,
    parents: usize,
) -> Result<Vec<Partial>, SearchError> {
    let below = subs.into_iter().map(|sub| sub.finish(keys.len())).collect::<Result<Vec<_>, _>>()?;
    let mut below: Vec<_> = below.into_iter().map(Vec::into_iter).collect();
    let mut maps: Vec<FxHashMap<Key, Bucket>> = (0..parents).map(|_| FxHashMap::default()).collect();
    for (((parent, ..), count), key) in buckets.keys.into_iter().zip(buckets.counts).zip(keys) {
        let subs = below.iter_mut().filter_map(Iterator::next).collect();
        let bucket = Bucket { count, subs };
        match maps[parent as usize].entry(key) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(bucket);
            }
            // A field and its sub-field of another kind may give the same key.
            std::collections::hash_map::Entry::Occupied(mut entry) => entry.get_mut().merge(bucket)?,
        }
    }
    Ok(maps.into_iter().map(Partial::Buckets).collect())
}
