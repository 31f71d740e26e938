//! Runs a search over segments, several at a time, and merges what they give.

use super::View;
use super::aggregate;
use super::hits::{Candidate, Documents, Wanted, top};
use super::mapping::{Kind, Mapping};
use super::query::{Rows, Segment, failed, keyword_view};
use crate::search::aggregation::Partial;
use crate::search::aggregation::partial::merge as merge_partials;
use crate::search::ast::{Query, Range};
use crate::search::request::Request;
use crate::search::sort::{By, SortKey, SortValue, compare};
use crate::search::{Found, Hit, SearchError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tantivy::Searcher;

/// Documents below which one thread does it all.
const ALONE_MAX: u64 = 50_000;

/// What is asked.
pub(crate) struct Plan<'a> {
    pub request: &'a Request,
    pub query: &'a Query,
    /// The sort keys; by score where none were given.
    pub sort: Vec<SortKey>,
    pub after: Option<Vec<SortValue>>,
}

impl Plan<'_> {
    fn wants(&self) -> usize {
        self.request.from + self.request.size
    }

    fn by_score(&self) -> bool {
        self.sort.iter().any(|key| key.by == By::Score)
    }

    fn needs_scores(&self) -> bool {
        (self.by_score() && self.wants() > 0) || self.request.track_scores || self.request.min_score.is_some()
    }
}

/// One segment to look at.
pub(crate) struct Unit {
    partition: usize,
    segment: u32,
    docs: u32,
    searcher: Searcher,
}

/// What one or more segments gave.
#[derive(Default)]
pub(crate) struct Gathered {
    total: u64,
    candidates: Vec<Candidate>,
    partials: Vec<Partial>,
    timed_out: bool,
}

/// Whether a stream has a field of that name.
pub(crate) fn knows(mapping: &Mapping, field: &str) -> bool {
    mapping.get(field).is_some() || keyword_view(mapping, field).is_some()
}

/// Whether it is a date.
pub(crate) fn is_date(mapping: &Mapping, field: &str) -> bool {
    mapping.get(field).is_some_and(|info| info.kind == Kind::Date)
}

/// The nanoseconds that a range of dates means.
pub(crate) fn times(range: &Range, now_ms: i64) -> Result<Option<(i64, i64)>, SearchError> {
    super::query::times(range, now_ms)
}

/// The segments of partitions.
pub(crate) fn units(view: &View, partitions: impl Iterator<Item = usize>) -> Result<Vec<Unit>, SearchError> {
    let mut units = Vec::new();
    for partition in partitions {
        let searcher = view.partitions[partition].searcher().map_err(failed)?;
        for (at, reader) in searcher.segment_readers().iter().enumerate() {
            let (segment, docs) = (at as u32, reader.max_doc());
            units.push(Unit { partition, segment, docs, searcher: searcher.clone() });
        }
    }
    // The largest first, so that threads end together.
    units.sort_by_key(|unit| std::cmp::Reverse(unit.docs));
    Ok(units)
}

/// Looks at all segments.
pub(crate) fn run(view: &View, units: &[Unit], plan: &Plan<'_>) -> Result<Gathered, SearchError> {
    let until = plan.request.timeout.map(|timeout| Instant::now() + timeout);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut gathered = Gathered::default();
        while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
            if until.is_some_and(|until| Instant::now() >= until) {
                gathered.timed_out = true;
                break;
            }
            gathered.add(run_one(view, unit, plan)?, plan)?;
        }
        Ok::<_, SearchError>(gathered)
    };
    let docs: u64 = units.iter().map(|unit| u64::from(unit.docs)).sum();
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    if units.len() < 2 || docs < ALONE_MAX || cores < 2 {
        return work();
    }
    let parts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores.min(units.len())).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
    });
    let mut all = Gathered::default();
    for part in parts {
        all.add(part?, plan)?;
    }
    Ok(all)
}

fn run_one(view: &View, unit: &Unit, plan: &Plan<'_>) -> Result<Gathered, SearchError> {
    let partition = &view.partitions[unit.partition];
    let segment = Segment {
        reader: unit.searcher.segment_reader(unit.segment),
        searcher: &unit.searcher,
        mapping: &partition.mapping,
        stream: &partition.stream,
        now_ms: plan.request.now_ms,
    };
    let mut rows = segment.rows(plan.query)?;
    let mut scores = Vec::new();
    if plan.needs_scores() && !rows.is_empty() {
        scores = segment.scores(plan.query, &rows)?;
    }
    if let Some(least) = plan.request.min_score {
        let mut enough = Vec::new();
        rows.each(|doc| enough.extend((scores[doc as usize] >= least).then_some(doc)));
        rows = Rows::of(enough, segment.docs());
    }
    let partials = match plan.request.aggregations.is_empty() {
        true => Vec::new(),
        false => aggregate::collect(&plan.request.aggregations, &segment, &rows)?,
    };
    if let Some(filter) = &plan.request.post_filter {
        rows = rows.and(segment.rows(filter)?);
    }
    let wanted = Wanted { sort: &plan.sort, after: plan.after.as_deref(), count: plan.wants() };
    let candidates = top(&segment, &rows, &scores, &wanted, (unit.partition, unit.segment))?;
    Ok(Gathered { total: rows.count(), candidates, partials, timed_out: false })
}

impl Gathered {
    fn add(&mut self, other: Gathered, plan: &Plan<'_>) -> Result<(), SearchError> {
        self.total += other.total;
        self.timed_out |= other.timed_out;
        self.candidates.extend(other.candidates);
        self.cut(plan);
        if !other.partials.is_empty() {
            merge_partials(&mut self.partials, other.partials)?;
        }
        Ok(())
    }

    /// Keeps the best.
    fn cut(&mut self, plan: &Plan<'_>) {
        self.candidates.sort_by(|a, b| compare(&a.values, &b.values, &plan.sort).then(a.seq.cmp(&b.seq)));
        self.candidates.truncate(plan.wants());
    }
}

/// Reads the page of documents.
pub(crate) fn merge(view: &View, gathered: Gathered, plan: &Plan<'_>, shards: usize) -> Result<Found, SearchError> {
    let Gathered { total, candidates, partials, timed_out } = gathered;
    let request = plan.request;
    let scored = plan.by_score() || request.track_scores;
    let max_score = candidates.iter().map(|c| c.score).reduce(f32::max).filter(|_| scored);
    let patterns: Vec<String> = request.docvalue_fields.iter().map(|shown| shown.field.clone()).collect();
    let needs_source = request.shows_source() || !request.fields.is_empty();
    let mut documents = Documents::new(view);
    let mut hits = Vec::new();
    for candidate in candidates.into_iter().skip(request.from) {
        let document = documents.read(&candidate, needs_source, &patterns)?;
        hits.push(Hit {
            index: view.partitions[candidate.partition].stream.clone(),
            id: document.id,
            score: scored.then_some(candidate.score),
            sort: candidate.values,
            source: document.source,
            seq: candidate.seq,
            columns: document.columns,
        });
    }
    Ok(Found { total, hits, max_score, partials, shards, timed_out })
}
