//! A dissection as the user writes it, compiled to delimiters and parts.

use crate::event::FieldRef;
use crate::filter::common::Name;
use memchr::memmem::Finder;

/// What becomes of a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// `%{}`, `%{?name}`: nothing.
    Skip,
    /// `%{name}`: it is set.
    Normal,
    /// `%{+name}`: it is added to what is there.
    Append,
    /// `%{&name}`: it is set under the name that another part holds.
    Indirect,
}

/// The text between two delimiters.
pub(super) struct Part {
    pub kind: Kind,
    pub field: Name,
    /// For [`Kind::Append`], what stands between the old value and the new.
    pub joint: String,
    /// For [`Kind::Indirect`], the first other part of the same name.
    pub other: Option<usize>,
}

/// What separates parts.
struct Delimiter {
    finder: Finder<'static>,
    /// Several in a row count as one (`->`).
    greedy: bool,
}

/// A compiled mapping.
pub(super) struct Mapping {
    pub parts: Vec<Part>,
    /// Indices of the parts to save, in the order in which that is done.
    pub saved: Vec<usize>,
    /// The text before the first part.
    first: String,
    /// Between a part and the next: one less than there are parts.
    delimiters: Vec<Delimiter>,
}

/// A part as written: its kind, its name without marks, the position of `%{+name/2}`, `->`.
struct Field<'t> {
    kind: Kind,
    name: &'t str,
    position: u32,
    greedy: bool,
}

impl Mapping {
    /// Compiles a mapping, which is not empty; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Mapping, String> {
        let (mut fields, mut between) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some((delimiter, field, behind)) = next_field(rest) {
            between.push(delimiter);
            fields.push(Field::parse(field)?);
            rest = behind;
        }
        if fields.is_empty() {
            return Err("a mapping needs a field such as `%{name}`".to_owned());
        }
        // Braces without a field at the end belong to no delimiter.
        let last = &text[text.rfind('}').map_or(0, |at| at + 1)..];
        if !last.is_empty() {
            between.push(last);
            fields.push(Field { kind: Kind::Skip, name: "auto_added_skip", position: 0, greedy: false });
        }
        let delimiter = |(text, field): (&&str, &Field)| Delimiter {
            finder: Finder::new(text.as_bytes()).into_owned(),
            greedy: field.greedy,
        };
        let delimiters = between[1..].iter().zip(&fields).map(delimiter).collect();
        let mut saved: Vec<usize> = (0..fields.len()).filter(|&at| fields[at].kind != Kind::Skip).collect();
        saved.sort_by_key(|&at| match fields[at].kind {
            Kind::Skip | Kind::Normal => (0, 0),
            Kind::Append => (1, fields[at].position),
            Kind::Indirect => (2, 0),
        });
        let part = |at: usize| {
            let Field { kind, name, .. } = fields[at];
            let other = |&other: &usize| other != at && fields[other].name == name;
            Part {
                kind,
                // Logstash takes the empty name of `%{->}` for a name like any other.
                field: if name.is_empty() { Name::Fixed(FieldRef::of("")) } else { Name::plain(name) },
                joint: if between[at].is_empty() { " ".to_owned() } else { between[at].to_owned() },
                other: (0..fields.len()).find(other),
            }
        };
        let parts = (0..fields.len()).map(part).collect();
        Ok(Mapping { parts, saved, first: between[0].to_owned(), delimiters })
    }

    /// Says in `parts` where each part of a text lies; false where the mapping does not fit.
    #[inline]
    pub(super) fn cut(&self, text: &[u8], parts: &mut Vec<(usize, usize)>) -> bool {
        parts.clear();
        if text.is_empty() || !text.starts_with(self.first.as_bytes()) {
            return false;
        }
        let mut at = self.first.len();
        for delimiter in &self.delimiters {
            // An empty delimiter is found nowhere.
            if delimiter.finder.needle().is_empty() {
                return false;
            }
            let start = at;
            let Some(found) = delimiter.find(&text[start..]) else { return false };
            parts.push((start, start + found));
            // At the very start of a text Logstash does not pass the delimiter.
            if start + found > 0 {
                at = start + found + delimiter.finder.needle().len();
            }
            while delimiter.greedy && text[at..].starts_with(delimiter.finder.needle()) {
                at += delimiter.finder.needle().len();
            }
        }
        parts.push((at, text.len()));
        true
    }
}

impl Delimiter {
    #[inline]
    fn find(&self, text: &[u8]) -> Option<usize> {
        match self.finder.needle() {
            [byte] => memchr::memchr(*byte, text),
            _ => self.finder.find(text),
        }
    }
}

/// The delimiter before the next `%{…}`, what stands in that, and the rest.
fn next_field(text: &str) -> Option<(&str, &str, &str)> {
    let open = text.find("%{")?;
    let close = open + text[open..].find('}')?;
    Some((&text[..open], &text[open + 2..close], &text[close + 1..]))
}

impl<'t> Field<'t> {
    fn parse(text: &'t str) -> Result<Field<'t>, String> {
        let mut chars = text.chars();
        let (kind, rest) = match chars.next() {
            None => (Kind::Skip, text),
            Some('?') => (Kind::Skip, chars.as_str()),
            Some('+') => (Kind::Append, chars.as_str()),
            Some('&') => (Kind::Indirect, chars.as_str()),
            Some(_) => (Kind::Normal, text),
        };
        if text.starts_with("+&") || text.starts_with("&+") {
            return Err(format!("`%{{{text}}}` can't be both added (`+`) and named by another field (`&`)"));
        }
        let (name, position, greedy) = suffixes(rest);
        if matches!(kind, Kind::Append | Kind::Indirect) && name.is_empty() {
            return Err(format!("`%{{{text}}}` needs a name behind its mark"));
        }
        Ok(Field { kind, name, position, greedy })
    }
}

/// A name without `->`, `/2`, `/2->` or `->/2` at its end; the number in it and whether there
/// is an arrow.
fn suffixes(text: &str) -> (&str, u32, bool) {
    let number = |text: &str| -> Option<(usize, u32)> {
        let digits = text.bytes().rev().take(3).take_while(u8::is_ascii_digit).count();
        let start = text.len().checked_sub(digits + 1)?;
        let is = (1..=2).contains(&digits) && text.as_bytes()[start] == b'/';
        is.then(|| (start, text[start + 1..].parse().unwrap_or(0)))
    };
    if let Some(name) = text.strip_suffix("->") {
        return match number(name) {
            Some((start, position)) => (&name[..start], position, true),
            None => (name, 0, true),
        };
    }
    match number(text) {
        Some((start, position)) => match text[..start].strip_suffix("->") {
            Some(name) => (name, position, true),
            None => (&text[..start], position, false),
        },
        None => (text, 0, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_at_the_end_of_names() {
        let check = |text: &str, want: (&str, u32, bool)| assert_eq!(suffixes(text), want, "{text}");
        check("a", ("a", 0, false));
        check("a->", ("a", 0, true));
        check("a/2", ("a", 2, false));
        check("a/12->", ("a", 12, true));
        check("a->/3", ("a", 3, true));
        check("a/123", ("a/123", 0, false));
        check("a/b", ("a/b", 0, false));
        check("->", ("", 0, true));
        check("/1", ("", 1, false));
        check("", ("", 0, false));
    }
}
