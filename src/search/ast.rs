//! The one tree that every way to ask is parsed to: the JSON of the Query DSL, Lucene query
//! strings, parameters of the address. What a leaf means for a field is decided where the field's
//! kind is known (`index::query`), since partitions may know different fields.
//!
//! It names neither HTTP nor the search library.

/// A query: which documents, and with what weight.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// Every document.
    All,
    /// No document.
    Nothing,
    /// Clauses combined.
    Bool(Bool),
    /// A test of one field, or of every field that a pattern with `*` names.
    On(On),
    /// Documents by their ids.
    Ids(Vec<String>),
    /// Any of them; the best score counts.
    Best(Vec<Query>),
    /// The documents of the query, each with this score.
    Constant(Box<Query>, f32),
    /// The score of the query times a factor.
    Boosted(Box<Query>, f32),
}

/// Clauses combined as Elasticsearch's `bool`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bool {
    /// All must match, and count for the score.
    pub must: Vec<Query>,
    /// All must match.
    pub filter: Vec<Query>,
    /// At least [`Bool::minimum`] must match, and count for the score.
    pub should: Vec<Query>,
    /// None may match.
    pub must_not: Vec<Query>,
    /// How many of `should`; none: one where there is neither `must` nor `filter`, else zero.
    pub minimum: Option<Minimum>,
}

impl Bool {
    /// How many of the `should` clauses must match.
    pub fn required(&self) -> usize {
        match &self.minimum {
            Some(minimum) => minimum.of(self.should.len()),
            None if self.must.is_empty() && self.filter.is_empty() && !self.should.is_empty() => 1,
            None => 0,
        }
    }
}

/// `minimum_should_match`.
#[derive(Clone, Debug, PartialEq)]
pub enum Minimum {
    /// So many; where negative, all but so many.
    Count(i64),
    /// So many percent, rounded down; where negative, all but so many percent.
    Percent(i64),
    /// With more than that many clauses the minimum behind applies, else all; ascending.
    Above(Vec<(usize, Minimum)>),
}

impl Minimum {
    /// How many of `clauses` must match.
    pub fn of(&self, clauses: usize) -> usize {
        let all = clauses as i64;
        let count = match self {
            Minimum::Count(n) if *n < 0 => all + n,
            Minimum::Count(n) => *n,
            Minimum::Percent(p) if *p < 0 => all - all * -p / 100,
            Minimum::Percent(p) => all * p / 100,
            Minimum::Above(steps) => match steps.iter().rev().find(|(limit, _)| clauses > *limit) {
                Some((_, minimum)) => minimum.of(clauses) as i64,
                None => all,
            },
        };
        count.max(0) as usize
    }

    /// Parses `2`, `-1`, `75%`, `-25%`, `3<90%`, `2<-25% 9<-3`.
    pub fn parse(text: &str) -> Option<Minimum> {
        let text = text.trim();
        if text.contains('<') {
            let mut steps = Vec::new();
            for step in text.split_whitespace() {
                let (limit, minimum) = step.split_once('<')?;
                steps.push((limit.trim().parse().ok()?, Minimum::parse(minimum)?));
            }
            return Some(Minimum::Above(steps));
        }
        match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().map(Minimum::Percent),
            None => text.parse().ok().map(Minimum::Count),
        }
    }
}

/// A test of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct On {
    /// The dotted path, perhaps with `*` in it.
    pub field: String,
    /// What its values have to pass.
    pub test: Test,
    /// A value that the field's kind can't read matches nothing instead of being an error.
    pub lenient: bool,
}

/// A value as it stands in a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Text.
    Str(String),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

impl Scalar {
    /// The value as text, as a text field would be asked for it.
    pub fn text(&self) -> String {
        match self {
            Scalar::Str(s) => s.clone(),
            Scalar::Int(n) => n.to_string(),
            Scalar::Float(n) => super::number::double(*n),
            Scalar::Bool(b) => b.to_string(),
        }
    }
}

/// What the values of a field have to pass; one value that passes is enough.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The very value or token.
    Term { value: Scalar, fold: bool },
    /// One of the values or tokens.
    Terms(Vec<Scalar>),
    /// The tokens of a text.
    Match(Match),
    /// The tokens of a text, in this order; the last may be a beginning.
    Phrase { text: Scalar, slop: u32, prefix: bool },
    /// A beginning. `normalize` lowercases it for text.
    Prefix { value: String, fold: bool, normalize: bool },
    /// A pattern with `*` and `?`.
    Wildcard { pattern: String, fold: bool, normalize: bool },
    /// A regular expression of Lucene for the whole value or token.
    Regexp { pattern: String, fold: bool },
    /// Within an edit distance.
    Fuzzy { value: String, fuzziness: Fuzziness, prefix: usize, transpositions: bool, normalize: bool },
    /// Between bounds.
    Range(Range),
    /// Any value at all.
    Exists,
}

/// The test of `match`.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// What is asked for.
    pub text: Scalar,
    /// All tokens, not any.
    pub all: bool,
    /// How many tokens, where neither all nor any.
    pub minimum: Option<Minimum>,
    /// Tokens may differ so far.
    pub fuzziness: Option<Fuzziness>,
    /// The last token may be a beginning.
    pub prefix: bool,
    /// A text without tokens matches everything.
    pub empty_is_all: bool,
}

impl Match {
    /// Any token of `text`.
    pub fn any(text: Scalar) -> Match {
        Match { text, all: false, minimum: None, fuzziness: None, prefix: false, empty_is_all: false }
    }
}

/// An edit distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fuzziness {
    /// By the length of the term: none below `.0` characters, one below `.1`, else two.
    Auto(usize, usize),
    /// So many edits.
    Edits(usize),
}

impl Fuzziness {
    /// Edits allowed for a term.
    pub fn edits(self, term: &str) -> usize {
        match self {
            Fuzziness::Edits(n) => n.min(2),
            Fuzziness::Auto(low, high) => match term.chars().count() {
                n if n < low => 0,
                n if n < high => 1,
                _ => 2,
            },
        }
    }

    /// Parses `AUTO`, `AUTO:3,6`, `1`, `2.0`.
    pub fn parse(text: &str) -> Option<Fuzziness> {
        let upper = text.trim().to_ascii_uppercase();
        if upper == "AUTO" {
            return Some(Fuzziness::Auto(3, 6));
        }
        if let Some(bounds) = upper.strip_prefix("AUTO:") {
            let (low, high) = bounds.split_once(',')?;
            return Some(Fuzziness::Auto(low.trim().parse().ok()?, high.trim().parse().ok()?));
        }
        let edits: f64 = upper.parse().ok()?;
        (0.0..=2.0).contains(&edits).then_some(Fuzziness::Edits(edits as usize))
    }
}

/// The test of `range`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Range {
    /// The lower bound, and whether it belongs to the range.
    pub from: Option<(Scalar, bool)>,
    /// The upper bound, and whether it belongs to the range.
    pub to: Option<(Scalar, bool)>,
    /// How dates are written.
    pub format: Option<String>,
    /// The zone of dates that name none.
    pub zone: Option<String>,
}

impl Query {
    /// A test of a field.
    pub fn on(field: impl Into<String>, test: Test) -> Query {
        Query::On(On { field: field.into(), test, lenient: false })
    }

    /// The query with its score multiplied.
    pub fn boosted(self, boost: f32) -> Query {
        if boost == 1.0 { self } else { Query::Boosted(Box::new(self), boost) }
    }

    /// The ranges of `field` that every match must lie in, for pruning.
    pub fn ranges<'a>(&'a self, field: &str, out: &mut Vec<&'a Range>) {
        match self {
            Query::On(On { field: name, test: Test::Range(range), .. }) if name == field => out.push(range),
            Query::Bool(bool) => {
                for clause in bool.must.iter().chain(&bool.filter) {
                    clause.ranges(field, out);
                }
            }
            Query::Constant(query, _) | Query::Boosted(query, _) => query.ranges(field, out),
            _ => {}
        }
    }

    /// Whether scores can differ between matches: else nobody needs to count them.
    pub fn scores(&self) -> bool {
        match self {
            Query::All | Query::Nothing | Query::Ids(_) | Query::Constant(..) => false,
            Query::Boosted(query, _) => query.scores(),
            Query::On(on) => matches!(on.test, Test::Term { .. } | Test::Match(_) | Test::Phrase { .. }),
            Query::Best(queries) => queries.iter().any(Query::scores),
            Query::Bool(bool) => !bool.should.is_empty() || bool.must.iter().any(Query::scores),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimum_should_match() {
        let check = |text: &str, clauses, expected| {
            assert_eq!(Minimum::parse(text).unwrap().of(clauses), expected, "{text} of {clauses}");
        };
        check("2", 3, 2);
        check("-1", 3, 2);
        check("75%", 4, 3);
        check("-25%", 4, 3);
        check("50%", 3, 1);
        check("3<90%", 3, 3);
        check("3<90%", 10, 9);
        check("2<-25% 9<-3", 12, 9);
        assert_eq!(Minimum::parse("x"), None);
    }

    #[test]
    fn fuzziness() {
        assert_eq!(Fuzziness::parse("AUTO").unwrap().edits("ab"), 0);
        assert_eq!(Fuzziness::parse("auto").unwrap().edits("abcde"), 1);
        assert_eq!(Fuzziness::parse("AUTO:1,2").unwrap().edits("ab"), 2);
        assert_eq!(Fuzziness::parse("1").unwrap().edits("abcdefgh"), 1);
        assert_eq!(Fuzziness::parse("3"), None);
    }
}
