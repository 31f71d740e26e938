//! The query tree over one segment: every query becomes a set of documents.
//!
//! Text goes through postings, everything else through columns. Nothing but text is indexed, so
//! tantivy's own term, regexp and fuzzy queries are never asked for a column: they would find
//! nothing and say nothing. A field that a partition does not know matches nothing there.

mod cache;
mod numbers;
mod rows;
mod scoring;
mod strings;
mod text;
mod tokens;

pub(crate) use numbers::times;
pub(crate) use rows::Rows;
pub(crate) use strings::seek;

use super::mapping::{Explicit, FieldInfo, Kind, Mapping};
use crate::search::ast::{Bool, Match, On, Query, Range, Scalar, Test};
use crate::search::error::SearchError;
use crate::search::pattern;
use strings::Ordinals;
use tantivy::columnar::{DynamicColumn, StrColumn};
use tantivy::{Searcher, SegmentReader};
use text::Text;
use tokens::{combine, in_bounds, matcher, token_ordinals, tokens};

/// One segment and what a query needs to know around it.
pub(crate) struct Segment<'a> {
    /// The columns and postings.
    pub reader: &'a SegmentReader,
    /// The partition's searcher, for scores.
    pub searcher: &'a Searcher,
    /// The partition's fields.
    pub mapping: &'a Mapping,
    /// The stream, which is the index's name.
    pub stream: &'a str,
    /// Milliseconds since 1970 now.
    pub now_ms: i64,
}

/// A field as a query sees it.
#[derive(Clone, Copy)]
struct Target<'a> {
    info: &'a FieldInfo,
    /// A dynamic string by its whole values (`f.keyword`), not by its tokens.
    exact: bool,
}

pub(super) fn failed(error: impl std::fmt::Display) -> SearchError {
    SearchError::Index(error.to_string())
}

impl Segment<'_> {
    /// Documents in the segment.
    pub fn docs(&self) -> u32 {
        self.reader.max_doc()
    }

    /// The documents that a query matches.
    pub fn rows(&self, query: &Query) -> Result<Rows, SearchError> {
        match query {
            Query::All => Ok(Rows::All(self.docs())),
            Query::Nothing => Ok(Rows::Empty),
            Query::Constant(query, _) | Query::Boosted(query, _) => self.rows(query),
            Query::Best(queries) => self.any(queries),
            Query::Bool(bool) => self.bool(bool),
            Query::Ids(ids) => self.ids(ids),
            Query::On(on) => self.on(on),
        }
    }

    fn any(&self, queries: &[Query]) -> Result<Rows, SearchError> {
        let mut rows = Rows::Empty;
        for query in queries {
            rows = rows.or(self.rows(query)?);
        }
        Ok(rows)
    }

    fn bool(&self, bool: &Bool) -> Result<Rows, SearchError> {
        let mut rows = Rows::All(self.docs());
        for clause in bool.filter.iter().chain(&bool.must) {
            rows = rows.and(self.rows(clause)?);
        }
        let required = bool.required();
        if required > bool.should.len() {
            return Ok(Rows::Empty);
        }
        match required {
            0 => {}
            1 => rows = rows.and(self.any(&bool.should)?),
            least => {
                let sets = bool.should.iter().map(|query| self.rows(query)).collect::<Result<Vec<_>, _>>()?;
                rows = rows.and(Rows::at_least(&sets, least, self.docs()));
            }
        }
        for clause in &bool.must_not {
            if rows.is_empty() {
                // The clause must still be one that the fields can read.
                self.rows(clause)?;
                continue;
            }
            rows = rows.without(&self.rows(clause)?, self.docs());
        }
        Ok(rows)
    }

    /// Documents by id: one that a client gave, or one made of the document's number.
    fn ids(&self, ids: &[String]) -> Result<Rows, SearchError> {
        let mut rows = Rows::Empty;
        let columns = self.reader.fast_fields();
        let given = columns.str("_id").map_err(failed)?;
        let numbers = columns.u64("_seq").map_err(failed)?;
        for id in ids {
            if let Some(column) = &given {
                let ordinals = strings::term(column, id).map_err(failed)?;
                rows = rows.or(strings::rows(column, &ordinals, self.docs()));
            }
            if let Some(seq) = super::seq_of_id(id) {
                let mut found = Vec::new();
                numbers.get_docids_for_value_range(seq..=seq, 0..self.docs(), &mut found);
                // A document whose id was given is not found by its number.
                found.retain(|&doc| given.as_ref().is_none_or(|column| !column.ords().index.has_value(doc)));
                rows = rows.or(Rows::of(found, self.docs()));
            }
        }
        Ok(rows)
    }

    fn on(&self, on: &On) -> Result<Rows, SearchError> {
        match on.field.as_str() {
            "_index" => return Ok(self.index_name(&on.test)),
            "_id" => return self.id(&on.test),
            _ => {}
        }
        if on.test == Test::Exists {
            return self.exists(&on.field);
        }
        let targets = self.targets(&on.field, &on.test);
        // Where a field has sub-fields of other kinds, what one can't read the others may.
        let lenient = on.lenient || targets.len() > 1;
        let mut rows = Rows::Empty;
        for target in targets {
            match self.test(target, &on.test) {
                Ok(found) => rows = rows.or(found),
                Err(SearchError::Shard { kind: "query_shard_exception" | "parse_exception", .. }) if lenient => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }

    fn index_name(&self, test: &Test) -> Rows {
        let is = |value: &Scalar| value.text() == self.stream;
        let matches = match test {
            Test::Term { value, .. } => is(value),
            Test::Terms(values) => values.iter().any(is),
            Test::Match(Match { text, .. }) | Test::Phrase { text, .. } => is(text),
            Test::Prefix { value, .. } => self.stream.starts_with(value.as_str()),
            Test::Wildcard { pattern, .. } => pattern::like(pattern, self.stream),
            Test::Exists => true,
            _ => false,
        };
        if matches { Rows::All(self.docs()) } else { Rows::Empty }
    }

    fn id(&self, test: &Test) -> Result<Rows, SearchError> {
        match test {
            Test::Term { value, .. } => self.ids(&[value.text()]),
            Test::Match(Match { text, .. }) | Test::Phrase { text, .. } => self.ids(&[text.text()]),
            Test::Terms(values) => self.ids(&values.iter().map(Scalar::text).collect::<Vec<_>>()),
            Test::Exists => Ok(Rows::All(self.docs())),
            _ => Ok(Rows::Empty),
        }
    }

    /// The fields that a name or a pattern of names means.
    fn targets(&self, name: &str, test: &Test) -> Vec<Target<'_>> {
        let mut targets = Vec::new();
        if !name.contains('*') {
            self.add_targets(name, &mut targets);
            return targets;
        }
        // Tests of tokens find what whole values would find, too; patterns may not.
        let values = matches!(
            test,
            Test::Term { .. } | Test::Prefix { .. } | Test::Wildcard { .. } | Test::Regexp { .. } | Test::Fuzzy { .. }
        );
        for info in self.mapping.fields() {
            let path = info.of.as_deref().unwrap_or(&info.path);
            if pattern::like(name, path) {
                targets.push(Target { info, exact: is_exact(info) });
                if values && info.kind == Kind::Keyword && !is_exact(info) {
                    targets.push(Target { info, exact: true });
                }
            } else if is_dynamic_string(info) && pattern::like(name, &format!("{path}.keyword")) {
                targets.push(Target { info, exact: true });
            }
        }
        targets
    }

    fn add_targets<'s>(&'s self, name: &str, targets: &mut Vec<Target<'s>>) {
        if let Some(info) = self.mapping.get(name) {
            targets.push(Target { info, exact: is_exact(info) });
            for kind in Kind::ALL {
                if let Some(info) = self.mapping.sub_field(name, kind) {
                    targets.push(Target { info, exact: false });
                }
            }
        } else if let Some(info) = keyword_view(self.mapping, name) {
            targets.push(Target { info, exact: true });
        }
    }

    /// Documents with any value in a field, or below it.
    fn exists(&self, name: &str) -> Result<Rows, SearchError> {
        let mut rows = Rows::Empty;
        let view = keyword_view(self.mapping, name).map(|info| info.path.clone());
        for info in self.mapping.fields() {
            let path = info.of.as_deref().unwrap_or(&info.path);
            let named = match name.contains('*') {
                true => pattern::like(name, path),
                false => {
                    path == name
                        || view.as_deref() == Some(&*info.path)
                        || path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
                }
            };
            if !named {
                continue;
            }
            let found = match info.kind {
                Kind::Text => self.text(info).any().map_err(failed)?,
                _ => match self.column(info)? {
                    Some(DynamicColumn::Str(column)) => strings::with_value(column.ords(), self.docs()),
                    Some(DynamicColumn::I64(column)) => strings::with_value(&column, self.docs()),
                    Some(DynamicColumn::F64(column)) => strings::with_value(&column, self.docs()),
                    Some(DynamicColumn::Bool(column)) => strings::with_value(&column, self.docs()),
                    Some(DynamicColumn::DateTime(column)) => strings::with_value(&column, self.docs()),
                    _ => Rows::Empty,
                },
            };
            rows = rows.or(found);
        }
        Ok(rows)
    }

    /// The column of a field; none where the segment was written before the field was seen.
    pub fn column(&self, info: &FieldInfo) -> Result<Option<DynamicColumn>, SearchError> {
        column(self.reader, info)
    }

    fn text(&self, info: &FieldInfo) -> Text<'_> {
        Text { reader: self.reader, field: info.field }
    }

    fn test(&self, target: Target<'_>, test: &Test) -> Result<Rows, SearchError> {
        match target.info.kind {
            Kind::Text => self.test_text(target.info, test),
            Kind::Keyword => match self.column(target.info)? {
                Some(DynamicColumn::Str(column)) => self.test_strings(target, &column, test),
                _ => Ok(Rows::Empty),
            },
            _ => self.test_number(target.info, test),
        }
    }

    fn test_number(&self, info: &FieldInfo, test: &Test) -> Result<Rows, SearchError> {
        let column = self.column(info)?;
        let range = |range: &Range| numbers::range(column.as_ref(), info.kind, range, self.docs(), self.now_ms);
        match test {
            Test::Term { value, .. } => range(&numbers::point(value)),
            Test::Match(Match { text, .. }) | Test::Phrase { text, .. } => range(&numbers::point(text)),
            Test::Terms(values) => {
                let mut rows = Rows::Empty;
                for value in values {
                    rows = rows.or(range(&numbers::point(value))?);
                }
                Ok(rows)
            }
            Test::Range(bounds) => range(bounds),
            // Found by its digits, as what a client sees as text.
            Test::Fuzzy { value, .. } => range(&numbers::point(&Scalar::Str(value.clone()))),
            Test::Prefix { .. } | Test::Wildcard { .. } | Test::Regexp { .. } => {
                let name = match test {
                    Test::Prefix { .. } => "prefix",
                    Test::Wildcard { .. } => "wildcard",
                    _ => "regexp",
                };
                let reason = format!(
                    "Can only use {name} queries on keyword, text and wildcard fields - not on [{}] which is of type [{}]",
                    info.path,
                    info.es_type()
                );
                Err(SearchError::query(reason.clone(), Some(("illegal_argument_exception", reason))))
            }
            Test::Exists => self.exists(&info.path),
        }
    }

    fn test_text(&self, info: &FieldInfo, test: &Test) -> Result<Rows, SearchError> {
        let text = self.text(info);
        match test {
            Test::Term { value, fold: false } => text.term(&value.text()).map_err(failed),
            Test::Terms(values) => {
                let mut rows = Rows::Empty;
                for value in values {
                    rows = rows.or(text.term(&value.text()).map_err(failed)?);
                }
                Ok(rows)
            }
            Test::Match(wanted) => {
                let tokens = tokens(&wanted.text.text());
                let sets = tokens
                    .iter()
                    .enumerate()
                    .map(|(at, (_, token))| match (wanted.fuzziness, wanted.prefix && at + 1 == tokens.len()) {
                        (_, true) => text.matching(token, |_| true),
                        (Some(fuzziness), _) => text.matching("", |other| text::near(other, token, fuzziness, 0, true)),
                        (None, _) => text.term(token),
                    })
                    .collect::<tantivy::Result<Vec<_>>>()
                    .map_err(failed)?;
                Ok(combine(wanted, sets, self.docs()))
            }
            Test::Phrase { text: phrase, slop, prefix } => {
                text.phrase(&tokens(&phrase.text()), *slop, *prefix).map_err(failed)
            }
            Test::Range(range) => {
                let inside = |token: &str| in_bounds(token, range);
                text.matching("", inside).map_err(failed)
            }
            Test::Exists => text.any().map_err(failed),
            test => {
                let (prefix, matcher) = matcher(test)?;
                text.matching(&prefix, |token| matcher(token)).map_err(failed)
            }
        }
    }

    fn test_strings(&self, target: Target<'_>, column: &StrColumn, test: &Test) -> Result<Rows, SearchError> {
        let rows = |ordinals: &Ordinals| strings::rows(column, ordinals, self.docs());
        if target.exact {
            return Ok(match test {
                Test::Match(Match { text, .. }) | Test::Phrase { text, .. } => {
                    rows(&strings::term(column, &text.text()).map_err(failed)?)
                }
                Test::Term { value, fold: false } => rows(&strings::term(column, &value.text()).map_err(failed)?),
                Test::Terms(values) => {
                    let mut found = Rows::Empty;
                    for value in values {
                        found = found.or(rows(&strings::term(column, &value.text()).map_err(failed)?));
                    }
                    found
                }
                Test::Prefix { value, fold: false, .. } => rows(&strings::prefix(column, value).map_err(failed)?),
                Test::Range(range) => {
                    let inside = |value: &str| in_bounds(value, range);
                    rows(&strings::matching(column, inside).map_err(failed)?)
                }
                Test::Exists => strings::with_value(column.ords(), self.docs()),
                test => {
                    let (_, matcher) = matcher(test)?;
                    rows(&strings::matching(column, |value| matcher(value)).map_err(failed)?)
                }
            });
        }
        let key = || format!("{}\u{0}{test:?}", target.info.path);
        let sets = cache::get_or(self.reader, key, || token_ordinals(column, test))?;
        let mut sets: Vec<Rows> = sets.iter().map(rows).collect();
        Ok(match test {
            Test::Match(wanted) => combine(wanted, sets, self.docs()),
            _ => sets.drain(..).fold(Rows::Empty, Rows::or),
        })
    }
}

/// Whether somebody asked for whole values when the field was made.
fn is_exact(info: &FieldInfo) -> bool {
    matches!(info.explicit, Some(Explicit::Keyword | Explicit::Ip))
}

/// Whether it is shown as text with a sub-field `keyword`.
pub(super) fn is_dynamic_string(info: &FieldInfo) -> bool {
    info.kind == Kind::Keyword && info.explicit.is_none() && info.of.is_none()
}

/// The field that `f.keyword` is a view of.
pub(super) fn keyword_view<'m>(mapping: &'m Mapping, name: &str) -> Option<&'m FieldInfo> {
    let stem = name.strip_suffix(".keyword")?;
    mapping.get(stem).filter(|info| is_dynamic_string(info))
}

/// The column of a field in a segment.
pub(super) fn column(reader: &SegmentReader, info: &FieldInfo) -> Result<Option<DynamicColumn>, SearchError> {
    let handles = reader.fast_fields().dynamic_column_handles(&info.path).map_err(failed)?;
    match handles.into_iter().next() {
        Some(handle) => handle.open().map(Some).map_err(failed),
        None => Ok(None),
    }
}
