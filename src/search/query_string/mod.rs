//! Lucene's query language, as `query_string` and `?q=` speak it:
//!
//! ```text
//! level:ERROR AND @timestamp:[now-1h TO now]      +must -not  a && (b || !c)
//! message:"connection reset"~2   path:/\/var\/.*/   duration:>1000   user:jo?n*   name~1   title^3
//! ```
//!
//! Follows Lucene's classic parser as Elasticsearch 7.10 uses it, its precedence included: there
//! is none between AND and OR; each operator marks the clauses beside it as required or optional.
//! A text that does not parse is an error, never an empty result. It does no I/O.

mod lex;

use super::ast::{Bool, Fuzziness, Match, Minimum, On, Query, Range, Scalar, Test};
use lex::{Token, lex, unescape};

/// Groups in groups at the most: a parse must not overflow the stack.
const DEPTH_MAX: usize = 100;
/// Clauses at the most, as `indices.query.bool.max_clause_count`.
const CLAUSES_MAX: usize = 1024;

/// How a query string is read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The fields that a term without a field is looked for in, with their boosts.
    pub fields: Vec<(String, f32)>,
    /// Values that a field can't read match nothing instead of being an error.
    pub lenient: bool,
    /// `default_operator`: AND.
    pub all: bool,
    /// `allow_leading_wildcard`.
    pub leading_wildcard: bool,
    /// `phrase_slop`.
    pub slop: u32,
    /// `fuzziness`, for `term~` without a number.
    pub fuzziness: Fuzziness,
    /// `fuzzy_prefix_length`.
    pub fuzzy_prefix: usize,
    /// `time_zone`.
    pub zone: Option<String>,
    /// `minimum_should_match`.
    pub minimum: Option<Minimum>,
}

impl Default for Reading {
    fn default() -> Reading {
        Reading {
            fields: vec![("*".to_owned(), 1.0)],
            lenient: true,
            all: false,
            leading_wildcard: true,
            slop: 0,
            fuzziness: Fuzziness::Auto(3, 6),
            fuzzy_prefix: 0,
            zone: None,
            minimum: None,
        }
    }
}

/// Parses a query string; the error is what Lucene would say of the place.
pub fn parse(text: &str, reading: &Reading) -> Result<Query, String> {
    let tokens = lex(text).map_err(|e| format!("Cannot parse '{text}': {e}"))?;
    if tokens.len() == 1 {
        return Ok(Query::Nothing);
    }
    let mut parser = Parser { tokens: &tokens, at: 0, reading, depth: 0, clauses: 0 };
    let query = parser.clauses(None).and_then(|query| match parser.peek() {
        Token::End => Ok(query),
        token => Err(parser.unexpected(token)),
    });
    let mut query = query.map_err(|e| format!("Cannot parse '{text}': {e}"))?;
    if let (Query::Bool(bool), Some(minimum)) = (&mut query, &reading.minimum) {
        bool.minimum = Some(minimum.clone());
    }
    Ok(query)
}

/// Escapes what the language would read as an operator (`escape: true`).
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\+-!():^[]\"{}~*?|&/".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[derive(Clone, Copy, PartialEq)]
enum Occur {
    Must,
    Should,
    Not,
}

struct Parser<'a> {
    tokens: &'a [(Token, usize)],
    at: usize,
    reading: &'a Reading,
    depth: usize,
    clauses: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn second(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].0
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    fn unexpected(&self, token: &Token) -> String {
        let place = self.tokens[self.at].1;
        let what = match token {
            Token::End => "<EOF>".to_owned(),
            token => format!("\"{token:?}\""),
        };
        format!("Encountered {what} at line 1, column {place}.")
    }

    /// Clauses up to `)` or the end, all on `field` where one was named before the group.
    fn clauses(&mut self, field: Option<&str>) -> Result<Query, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("groups are nested deeper than {DEPTH_MAX}"));
        }
        let mut clauses: Vec<(Occur, Query)> = Vec::new();
        loop {
            let conjunction = match self.peek() {
                Token::And | Token::Or if !clauses.is_empty() => Some(self.next()),
                Token::End | Token::Right if !clauses.is_empty() => break,
                _ => None,
            };
            let modifier = match self.peek() {
                Token::Plus | Token::Minus | Token::Not => Some(self.next()),
                _ => None,
            };
            let joins = conjunction.is_none() && modifier.is_none();
            let query = self.clause(field, joins)?;
            self.clauses += 1;
            if self.clauses > CLAUSES_MAX {
                return Err("too_many_clauses: maxClauseCount is set to 1024".to_owned());
            }
            self.add(&mut clauses, conjunction, modifier, query);
        }
        self.depth -= 1;
        Ok(combine(clauses))
    }

    /// Lucene's rule: an operator marks the clause before it and the one behind it.
    fn add(
        &self,
        clauses: &mut Vec<(Occur, Query)>,
        conjunction: Option<Token>,
        modifier: Option<Token>,
        query: Query,
    ) {
        if let Some((occur, _)) = clauses.last_mut()
            && *occur != Occur::Not
        {
            match conjunction {
                Some(Token::And) => *occur = Occur::Must,
                Some(Token::Or) if self.reading.all => *occur = Occur::Should,
                _ => {}
            }
        }
        let not = matches!(modifier, Some(Token::Minus | Token::Not));
        let must = if self.reading.all {
            conjunction != Some(Token::Or)
        } else {
            modifier == Some(Token::Plus) || conjunction == Some(Token::And)
        };
        let occur = match (not, must) {
            (true, _) => Occur::Not,
            (_, true) => Occur::Must,
            _ => Occur::Should,
        };
        clauses.push((occur, query));
    }

    fn clause(&mut self, field: Option<&str>, joins: bool) -> Result<Query, String> {
        if *self.second() == Token::Colon
            && let Token::Term(name) | Token::Pattern(name) = self.peek().clone()
        {
            self.at += 2;
            let name = unescape(&name);
            return self.value(Some(&name), false);
        }
        self.value(field, joins)
    }

    /// A term, phrase, range or group, with its boost. `joins`: no operator or field stands right
    /// before it.
    fn value(&mut self, field: Option<&str>, joins: bool) -> Result<Query, String> {
        let token = self.next();
        let query = match token {
            Token::Left => {
                let group = self.clauses(field)?;
                if *self.peek() != Token::Right {
                    return Err(self.unexpected(self.peek()));
                }
                self.at += 1;
                group
            }
            Token::Term(term) => self.term(field, term, joins)?,
            Token::Pattern(pattern) => self.pattern(field, &pattern)?,
            Token::Quoted(text) => self.quoted(field, &unescape(&text))?,
            Token::Regexp(pattern) => self.leaf(field, Test::Regexp { pattern, fold: false }),
            Token::Range { from, to, open, close } => {
                let bound = |text: Option<String>, inclusive| text.map(|text| (Scalar::Str(text), inclusive));
                self.range(field, bound(from, open), bound(to, close))
            }
            _ => {
                self.at -= usize::from(token != Token::End);
                return Err(self.unexpected(&token));
            }
        };
        match self.peek() {
            &Token::Caret(boost) => {
                self.at += 1;
                Ok(query.boosted(boost as f32))
            }
            _ => Ok(query),
        }
    }

    fn term(&mut self, field: Option<&str>, term: String, joins: bool) -> Result<Query, String> {
        if let Token::Tilde(distance) = *self.peek() {
            self.at += 1;
            return Ok(self.fuzzy(field, unescape(&term), distance));
        }
        if field == Some("_exists_") {
            return Ok(Query::on(unescape(&term), Test::Exists));
        }
        if field.is_some()
            && let Some(range) = one_sided(&term)
        {
            return Ok(self.range(field, range.0, range.1));
        }
        let mut text = unescape(&term);
        // Terms without operators between them are analysed together.
        while joins && matches!(self.peek(), Token::Term(_)) && !self.second_is_operator() {
            let Token::Term(next) = self.next() else { break };
            text.push(' ');
            text.push_str(&unescape(&next));
        }
        Ok(self.leaf(field, Test::Match(Match { all: self.reading.all, ..Match::any(Scalar::Str(text)) })))
    }

    /// Whether the token behind the next keeps the next one from being joined to a text.
    fn second_is_operator(&self) -> bool {
        matches!(self.second(), Token::Colon | Token::Tilde(_) | Token::Caret(_) | Token::And | Token::Or)
    }

    fn fuzzy(&self, field: Option<&str>, value: String, distance: Option<f64>) -> Query {
        let fuzziness = match distance {
            None => self.reading.fuzziness,
            // The old way: a similarity between 0 and 1.
            Some(d) if d > 0.0 && d < 1.0 => {
                Fuzziness::Edits((((1.0 - d) * value.chars().count() as f64) as usize).min(2))
            }
            Some(d) => Fuzziness::Edits((d as usize).min(2)),
        };
        let prefix = self.reading.fuzzy_prefix;
        self.leaf(field, Test::Fuzzy { value, fuzziness, prefix, transpositions: true, normalize: true })
    }

    fn pattern(&mut self, field: Option<&str>, pattern: &str) -> Result<Query, String> {
        // A fuzzy mark behind a pattern means nothing, as in Lucene.
        if let Token::Tilde(_) = self.peek() {
            self.at += 1;
        }
        if pattern == "*" {
            return Ok(match field {
                None if self.reading.fields.iter().any(|(field, _)| field == "*") => Query::All,
                Some("*") => Query::All,
                Some("_exists_") => Query::All,
                field => self.leaf(field, Test::Exists),
            });
        }
        if field == Some("_exists_") {
            return Ok(Query::on(pattern, Test::Exists));
        }
        if !self.reading.leading_wildcard && pattern.starts_with(['*', '?']) {
            return Err("'*' or '?' not allowed as first character in WildcardQuery".to_owned());
        }
        let head = pattern.strip_suffix('*').filter(|head| !head.ends_with('\\') && !has_wildcard(head));
        let test = match head {
            Some(head) => Test::Prefix { value: unescape(head), fold: false, normalize: true },
            None => Test::Wildcard { pattern: pattern.to_owned(), fold: false, normalize: true },
        };
        Ok(self.leaf(field, test))
    }

    fn quoted(&mut self, field: Option<&str>, text: &str) -> Result<Query, String> {
        let mut slop = self.reading.slop;
        if let Token::Tilde(distance) = *self.peek() {
            self.at += 1;
            slop = distance.map_or(slop, |d| d as u32);
        }
        if field == Some("_exists_") {
            return Ok(Query::on(text, Test::Exists));
        }
        Ok(self.leaf(field, Test::Phrase { text: Scalar::Str(text.to_owned()), slop, prefix: false }))
    }

    fn range(&self, field: Option<&str>, from: Option<(Scalar, bool)>, to: Option<(Scalar, bool)>) -> Query {
        self.leaf(field, Test::Range(Range { from, to, format: None, zone: self.reading.zone.clone() }))
    }

    fn leaf(&self, field: Option<&str>, test: Test) -> Query {
        let on = |field: &str, lenient: bool| Query::On(On { field: field.to_owned(), test: test.clone(), lenient });
        if let Some(field) = field {
            return on(field, self.reading.lenient && self.reading.fields.iter().any(|(f, _)| f == "*"))
                .lenient_if_pattern(field);
        }
        let mut queries: Vec<Query> = self
            .reading
            .fields
            .iter()
            .map(|(field, boost)| on(field, self.reading.lenient || field.contains('*')).boosted(*boost))
            .collect();
        if queries.len() == 1 { queries.remove(0) } else { Query::Best(queries) }
    }
}

impl Query {
    /// A pattern of fields meets fields of many kinds: what one can't read, it lacks.
    fn lenient_if_pattern(mut self, field: &str) -> Query {
        if let Query::On(on) = &mut self {
            on.lenient |= field.contains('*');
        }
        self
    }
}

type Bounds = (Option<(Scalar, bool)>, Option<(Scalar, bool)>);

/// `>5`, `>=5`, `<5`, `<=5`.
fn one_sided(term: &str) -> Option<Bounds> {
    let bound = |text: &str, inclusive| (!text.is_empty()).then(|| Some((Scalar::Str(unescape(text)), inclusive)));
    if let Some(rest) = term.strip_prefix(">=") {
        return Some((bound(rest, true)?, None));
    }
    if let Some(rest) = term.strip_prefix("<=") {
        return Some((None, bound(rest, true)?));
    }
    if let Some(rest) = term.strip_prefix('>') {
        return Some((bound(rest, false)?, None));
    }
    Some((None, bound(term.strip_prefix('<')?, false)?))
}

fn has_wildcard(text: &str) -> bool {
    let mut escaped = false;
    text.chars().any(|c| {
        let wild = !escaped && matches!(c, '*' | '?');
        escaped = c == '\\' && !escaped;
        wild
    })
}

fn combine(mut clauses: Vec<(Occur, Query)>) -> Query {
    if clauses.len() == 1 && clauses[0].0 != Occur::Not {
        return clauses.remove(0).1;
    }
    let mut bool = Bool::default();
    for (occur, query) in clauses {
        match occur {
            Occur::Must => bool.must.push(query),
            Occur::Should => bool.should.push(query),
            Occur::Not => bool.must_not.push(query),
        }
    }
    Query::Bool(bool)
}

#[cfg(test)]
mod tests;
