//! Patterns over strings: wildcards, Lucene's regular expressions, names of fields with `*`.

use super::error::SearchError;
use regex::{Regex, RegexBuilder};

/// Bytes that a compiled pattern may take.
const SIZE_MAX: usize = 4 << 20;

fn build(pattern: &str, fold: bool) -> Result<Regex, SearchError> {
    RegexBuilder::new(pattern)
        .case_insensitive(fold)
        .dot_matches_new_line(true)
        .size_limit(SIZE_MAX)
        .build()
        .map_err(|_| SearchError::shard(format!("failed to compile the pattern [{pattern}]")))
}

/// A wildcard pattern as a regular expression for the whole value: `*`, `?`, `\` escapes.
pub fn wildcard(pattern: &str, fold: bool) -> Result<Regex, SearchError> {
    let mut out = String::from("^");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '\\' => out.push_str(&regex::escape(&chars.next().unwrap_or('\\').to_string())),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    build(&out, fold)
}

/// The literal beginning of a wildcard pattern: what every match begins with.
pub fn wildcard_prefix(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' => break,
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// A regular expression of Lucene for the whole value. Its `"literal"`, `@` (anything) and `#`
/// (nothing) are translated; `~`, `&` and `<1-9>` are refused, not misread.
pub fn regexp(pattern: &str, fold: bool) -> Result<Regex, SearchError> {
    let mut out = String::from("^(?:");
    let mut chars = pattern.chars();
    let mut class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped) => out.push_str(&regex::escape(escaped.encode_utf8(&mut [0; 4]))),
                None => return Err(SearchError::shard(format!("unexpected end of the pattern [{pattern}]"))),
            },
            '[' if class => out.push_str("\\["),
            '[' => {
                class = true;
                out.push('[');
            }
            ']' => {
                class = false;
                out.push(']');
            }
            '&' | '~' if class => {
                out.push('\\');
                out.push(c);
            }
            c if class => out.push(c),
            '"' => {
                let literal: String = chars.by_ref().take_while(|&c| c != '"').collect();
                out.push_str(&regex::escape(&literal));
            }
            '@' => out.push_str("(?:.*)"),
            '#' => out.push_str("[^\\s\\S]"),
            '&' | '~' | '<' => {
                return Err(SearchError::shard(format!("the operator [{c}] of regular expressions is not supported")));
            }
            '^' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push_str(")$");
    build(&out, fold)
}

/// Whether a name is like a pattern in which only `*` is special.
pub fn like(pattern: &str, name: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    while let Some((part, behind)) = rest.split_once('*') {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
        rest = behind;
    }
    name.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        let check = |pattern: &str, text: &str, expected| {
            assert_eq!(wildcard(pattern, false).unwrap().is_match(text), expected, "{pattern} {text}");
        };
        check("a*c", "abbc", true);
        check("a*c", "a\nc", true);
        check("a?c", "ac", false);
        check(r"a\*c", "a*c", true);
        check(r"a\*c", "abc", false);
        check("a.c", "abc", false);
        assert!(wildcard("A*", true).unwrap().is_match("ab"));
        assert_eq!(wildcard_prefix(r"a\*b*c"), "a*b");
    }

    #[test]
    fn lucene_expressions() {
        let check = |pattern: &str, text: &str, expected| {
            assert_eq!(regexp(pattern, false).unwrap().is_match(text), expected, "{pattern} {text}");
        };
        check("a.c", "abc", true);
        check("b", "abc", false);
        check("^a", "^a", true);
        check("[a-c]+", "abc", true);
        check("a{2,3}|x", "aaa", true);
        check(r#"a".*"c"#, "a.*c", true);
        check("@", "anything", true);
        check(r"\d", "d", true);
        assert!(regexp("~a", false).is_err());
        assert!(regexp("(", false).is_err());
    }

    #[test]
    fn names() {
        assert!(like("*", "a.b") && like("a.*", "a.b") && like("*b", "a.b") && like("a*c*e", "abcde"));
        assert!(!like("a", "ab") && !like("a*a", "a") && !like("a.*", "ab"));
    }
}
