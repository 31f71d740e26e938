//! `simple_query_string`: words, `"phrases"`, `+ | - * ~N ( )`. It never fails: what does not
//! parse is left out.

use super::{Kind, boolean, fields, members, minimum, number, operator, text, unsupported};
use crate::search::ast::{Bool, Fuzziness, Match, Minimum, On, Query, Scalar, Test};
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "simple_query_string", parse };

const DEPTH_MAX: usize = 100;

fn parse(body: &Value) -> Result<Query, SearchError> {
    let mut simple = Simple { fields: vec![("*".to_owned(), 1.0)], all: false, lenient: true };
    let (mut query, mut least, mut lenient, mut boost) = (None, None, None, 1.0);
    for (key, option) in members(body) {
        match key.as_str() {
            "query" => query = Some(text("simple_query_string", key, option)?),
            "fields" => {
                simple.fields = fields("simple_query_string", option)?;
                simple.lenient = simple.fields.iter().any(|(field, _)| field == "*");
            }
            "default_operator" => simple.all = operator(option)?,
            "lenient" => lenient = Some(boolean("simple_query_string", key, option)?),
            "minimum_should_match" => least = Some(minimum("simple_query_string", option)?),
            "boost" => boost = number("simple_query_string", key, option)? as f32,
            "flags"
            | "analyze_wildcard"
            | "analyzer"
            | "quote_field_suffix"
            | "fuzzy_max_expansions"
            | "fuzzy_prefix_length"
            | "fuzzy_transpositions"
            | "auto_generate_synonyms_phrase_query"
            | "_name" => {}
            _ => return Err(unsupported("simple_query_string", key)),
        }
    }
    let Some(query) = query else {
        return Err(SearchError::parsing("[simple_query_string] query text missing", "simple_query_string"));
    };
    simple.lenient = lenient.unwrap_or(simple.lenient);
    let mut chars: Vec<char> = query.chars().collect();
    chars.push('\0');
    let mut at = 0;
    let parsed = simple.group(&chars, &mut at, least, 0).unwrap_or(Query::Nothing);
    Ok(parsed.boosted(boost))
}

struct Simple {
    fields: Vec<(String, f32)>,
    all: bool,
    lenient: bool,
}

impl Simple {
    /// Clauses up to `)` or the end; none where there are none.
    fn group(&self, text: &[char], at: &mut usize, minimum: Option<Minimum>, depth: usize) -> Option<Query> {
        let (mut clauses, mut operators, mut not) = (Vec::new(), Vec::new(), false);
        let mut operator = self.all;
        while text[*at] != '\0' {
            let clause = match text[*at] {
                ')' if depth > 0 => break,
                '(' if depth < DEPTH_MAX => {
                    *at += 1;
                    let group = self.group(text, at, None, depth + 1);
                    *at += usize::from(text[*at] == ')');
                    group
                }
                '+' | '|' => {
                    operator = text[*at] == '+';
                    *at += 1;
                    continue;
                }
                '-' => {
                    not = !not;
                    *at += 1;
                    continue;
                }
                '(' | ')' => {
                    *at += 1;
                    continue;
                }
                c if c.is_whitespace() => {
                    *at += 1;
                    continue;
                }
                '"' => self.phrase(text, at),
                _ => self.word(text, at),
            };
            if let Some(clause) = clause {
                let negated = Bool { must_not: vec![clause.clone()], ..Bool::default() };
                clauses.push(if std::mem::take(&mut not) { Query::Bool(negated) } else { clause });
                operators.push(std::mem::replace(&mut operator, self.all));
            }
        }
        // The first operator between clauses decides; mixed ones nest to the left.
        let mut clauses = clauses.into_iter().zip(operators);
        let (mut query, _) = clauses.next()?;
        let mut last = None;
        for (clause, all) in clauses {
            query = match (query, last) {
                (Query::Bool(mut bool), Some(before)) if before == all => {
                    if all {
                        bool.must.push(clause)
                    } else {
                        bool.should.push(clause)
                    }
                    Query::Bool(bool)
                }
                (query, _) if all => Query::Bool(Bool { must: vec![query, clause], ..Bool::default() }),
                (query, _) => {
                    Query::Bool(Bool { should: vec![query, clause], minimum: minimum.clone(), ..Bool::default() })
                }
            };
            last = Some(all);
        }
        Some(query)
    }

    fn phrase(&self, text: &[char], at: &mut usize) -> Option<Query> {
        *at += 1;
        let mut phrase = String::new();
        while !matches!(text[*at], '"' | '\0') {
            *at += usize::from(text[*at] == '\\' && text[*at + 1] != '\0');
            phrase.push(text[*at]);
            *at += 1;
        }
        *at += usize::from(text[*at] == '"');
        let slop = self.distance(text, at).unwrap_or(0);
        Some(self.leaf(Test::Phrase { text: Scalar::Str(phrase), slop, prefix: false }))
    }

    fn distance(&self, text: &[char], at: &mut usize) -> Option<u32> {
        if text[*at] != '~' {
            return None;
        }
        let digits: String = text[*at + 1..].iter().take_while(|c| c.is_ascii_digit()).collect();
        *at += 1 + digits.len();
        digits.parse().ok()
    }

    fn word(&self, text: &[char], at: &mut usize) -> Option<Query> {
        let mut word = String::new();
        let mut prefix = false;
        loop {
            match text[*at] {
                '\0' | '"' | '(' | ')' | '|' | '+' | '~' => break,
                c if c.is_whitespace() => break,
                '*' if matches!(text[*at + 1], '\0' | ')' | '|' | '+') || text[*at + 1].is_whitespace() => {
                    prefix = true;
                    *at += 1;
                    break;
                }
                '\\' if text[*at + 1] != '\0' => *at += 1,
                _ => {}
            }
            word.push(text[*at]);
            *at += 1;
        }
        let edits = self.distance(text, at);
        if word.is_empty() {
            return prefix.then_some(Query::All);
        }
        Some(self.leaf(match edits {
            _ if prefix => Test::Prefix { value: word, fold: false, normalize: true },
            Some(edits) => Test::Fuzzy {
                value: word,
                fuzziness: Fuzziness::Edits(edits.min(2) as usize),
                prefix: 0,
                transpositions: true,
                normalize: true,
            },
            None => Test::Match(Match { all: self.all, ..Match::any(Scalar::Str(word)) }),
        }))
    }

    fn leaf(&self, test: Test) -> Query {
        let on = |(field, boost): &(String, f32)| {
            let lenient = self.lenient || field.contains('*');
            Query::On(On { field: field.clone(), test: test.clone(), lenient }).boosted(*boost)
        };
        Query::Best(self.fields.iter().map(on).collect())
    }
}
