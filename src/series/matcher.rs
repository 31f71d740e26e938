//! Which series are meant: conditions on one label each.

use super::Labels;
use std::fmt;

/// How a matcher compares.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, the whole value
    Regex,
    /// `!~`
    NotRegex,
}

/// A condition on one label. A label that is not there is an empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// How it compares.
    pub op: Op,
    /// The label.
    pub name: String,
    /// The value or pattern as written.
    pub value: String,
    regex: Option<regex::Regex>,
}

impl Matcher {
    /// A condition; the message says what is wrong with a pattern.
    pub fn new(op: Op, name: impl Into<String>, value: impl Into<String>) -> Result<Matcher, String> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            Op::Equal | Op::NotEqual => None,
            Op::Regex | Op::NotRegex => Some(anchored(&value)?),
        };
        Ok(Matcher { op, name, value, regex })
    }

    /// `name="value"`
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Matcher {
        Matcher { op: Op::Equal, name: name.into(), value: value.into(), regex: None }
    }

    /// Whether it holds for a value.
    pub fn matches(&self, value: &str) -> bool {
        let found = || self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.op {
            Op::Equal => self.value == value,
            Op::NotEqual => self.value != value,
            Op::Regex => found(),
            Op::NotRegex => !found(),
        }
    }

    /// Whether it holds for a label set.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name))
    }

    /// Whether all of `matchers` hold for a label set.
    pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
        matchers.iter().all(|matcher| matcher.matches_labels(labels))
    }
}

/// Prometheus' patterns cover the whole value, and the dot takes line ends too.
/// The message says what is wrong with the pattern.
pub fn anchored(pattern: &str) -> Result<regex::Regex, String> {
    // Checked alone first, so that a stray parenthesis can't close the group around it.
    let check = regex::RegexBuilder::new(pattern).dot_matches_new_line(true).build();
    check
        .and_then(|_| regex::Regex::new(&format!("^(?s:{pattern})$")))
        .map_err(|error| format!("cannot read the regular expression `{pattern}`: {}", reason(&error)))
}

/// The last line of the library's picture.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        (self.op, &self.name, &self.value) == (other.op, &other.name, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            Op::Equal => "=",
            Op::NotEqual => "!=",
            Op::Regex => "=~",
            Op::NotRegex => "!~",
        };
        write!(f, "{}{op}{}", self.name, super::notation::quoted(&self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_values_are_compared() {
        let check = |op, pattern: &str, value: &str, want: bool| {
            assert_eq!(Matcher::new(op, "a", pattern).unwrap().matches(value), want, "{op:?} {pattern} {value}");
        };
        check(Op::Equal, "x", "x", true);
        check(Op::Equal, "", "", true);
        check(Op::NotEqual, "x", "", true);
        check(Op::Regex, "a|b", "b", true);
        check(Op::Regex, "a|b", "ab", false);
        check(Op::Regex, "a.b", "a\nb", true);
        check(Op::Regex, "", "", true);
        check(Op::NotRegex, "5..", "404", true);
        check(Op::NotRegex, "5..", "503", false);
    }

    #[test]
    fn bad_patterns_are_told() {
        let error = Matcher::new(Op::Regex, "a", "a)(b").unwrap_err();
        assert!(error.starts_with("cannot read the regular expression `a)(b`: "), "{error}");
    }
}
