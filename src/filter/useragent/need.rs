//! What a pattern needs: texts of which one stands in everything that it matches.
//!
//! Patterns are searched for these first, all in one pass, so that a user agent is matched
//! against a handful of a thousand patterns. A pattern that this can't read needs nothing.

/// Shorter texts stand in too much to be worth a search.
const SHORT: usize = 3;
/// More texts for one pattern are not worth it either.
const MANY: usize = 64;

/// Texts in small letters of which one stands (in whatever letters) in every text that the
/// pattern matches; `None` where there is no such list.
pub(super) fn need(pattern: &str) -> Option<Vec<String>> {
    let mut reader = Reader { rest: pattern, depth: 0 };
    let need = reader.alternatives()?;
    reader.rest.is_empty().then_some(need)?
}

struct Reader<'p> {
    rest: &'p str,
    depth: usize,
}

/// What a part of a pattern needs; `None` in the inner place for nothing. The outer `None` is a
/// pattern that can't be read.
type Need = Option<Option<Vec<String>>>;

/// One thing in a row of things.
enum Item {
    Letter(char),
    /// A group and what it needs.
    Group(Option<Vec<String>>),
    /// Anything else.
    Other,
}

impl<'p> Reader<'p> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Alternatives up to the end or a closing parenthesis: one of each is needed.
    fn alternatives(&mut self) -> Need {
        let mut all = self.row()?;
        while let Some(rest) = self.rest.strip_prefix('|') {
            self.rest = rest;
            let more = self.row()?;
            all = match (all, more) {
                (Some(mut all), Some(more)) if all.len() + more.len() <= MANY => {
                    all.extend(more);
                    Some(all)
                }
                _ => None,
            };
        }
        Some(all)
    }

    /// Things in a row: the best of what they need.
    fn row(&mut self) -> Need {
        let (mut best, mut run) = (None, String::new());
        loop {
            if self.rest.is_empty() || self.rest.starts_with(['|', ')']) {
                offer(&mut best, run);
                return Some(best);
            }
            let item = self.item()?;
            let repeated = self.repetition()?;
            match (item, repeated) {
                (Item::Letter(c), None) => run.push(c.to_ascii_lowercase()),
                // Once at least: it ends the run, but belongs to it.
                (Item::Letter(c), Some(true)) => {
                    run.push(c.to_ascii_lowercase());
                    offer(&mut best, std::mem::take(&mut run));
                }
                (item, repeated) => {
                    offer(&mut best, std::mem::take(&mut run));
                    if let (Item::Group(Some(texts)), None | Some(true)) = (item, repeated) {
                        better(&mut best, texts);
                    }
                }
            }
        }
    }

    fn item(&mut self) -> Option<Item> {
        Some(match self.next()? {
            '\\' => match self.next()? {
                c if c.is_ascii_punctuation() || c == ' ' => Item::Letter(c),
                'd' | 'w' | 's' | 'b' | 'D' | 'W' | 'S' => Item::Other,
                _ => return None,
            },
            '[' => {
                self.class()?;
                Item::Other
            }
            '(' => return self.group(),
            '.' | '^' | '$' => Item::Other,
            '*' | '+' | '?' | '{' => return None,
            c if c.is_ascii() => Item::Letter(c),
            // Case is folded for ASCII alone.
            _ => Item::Other,
        })
    }

    fn group(&mut self) -> Option<Item> {
        let mut counts = true;
        if let Some(rest) = self.rest.strip_prefix('?') {
            if let Some(rest) = rest.strip_prefix(':') {
                self.rest = rest;
            } else if rest.starts_with(['=', '!']) {
                self.rest = &rest[1..];
                counts = false;
            } else {
                return None;
            }
        }
        self.depth += 1;
        if self.depth > 100 {
            return None;
        }
        let need = self.alternatives()?;
        self.depth -= 1;
        self.rest = self.rest.strip_prefix(')')?;
        Some(if counts { Item::Group(need) } else { Item::Other })
    }

    fn class(&mut self) -> Option<()> {
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.rest = rest;
        }
        let mut first = true;
        loop {
            match self.next()? {
                ']' if !first => return Some(()),
                '[' => return None,
                '\\' => drop(self.next()?),
                _ => {}
            }
            first = false;
        }
    }

    /// Whether what was read is repeated, and if so, whether it must stand there once at least.
    fn repetition(&mut self) -> Option<Option<bool>> {
        let at_least_once = match self.rest.chars().next() {
            Some('*' | '?') => false,
            Some('+') => true,
            Some('{') => {
                let end = self.rest.find('}')?;
                let least = self.rest[1..end].split(',').next()?.parse::<u32>().ok()?;
                self.rest = &self.rest[end..];
                least > 0
            }
            _ => return Some(None),
        };
        self.next();
        if self.rest.starts_with(['?', '+']) {
            self.next();
        }
        Some(Some(at_least_once))
    }
}

fn offer(best: &mut Option<Vec<String>>, run: String) {
    if run.len() >= SHORT {
        better(best, vec![run]);
    }
}

/// Keeps the texts of which the shortest is longer; of equal ones, the fewer.
fn better(best: &mut Option<Vec<String>>, texts: Vec<String>) {
    let rank = |texts: &[String]| {
        let shortest = texts.iter().map(String::len).min().unwrap_or(0);
        (shortest.min(6), std::cmp::Reverse(texts.len()), shortest)
    };
    if best.as_ref().is_none_or(|best| rank(best) < rank(&texts)) {
        *best = Some(texts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs() {
        let check = |pattern: &str, want: &[&str]| {
            let found = need(pattern).unwrap_or_default();
            assert_eq!(found, want, "{pattern}");
        };
        check(r"(Chrome)/(\d+)\.(\d+)", &["chrome"]);
        check(r"^(iPod|iPhone|iPad)x*", &["ipod", "iphone", "ipad"]);
        check(r"Foo?bar", &["bar"]);
        check(r"abc+de", &["abc"]);
        check(r"(?:abcdef|)xyz", &["xyz"]);
        check(r"(?:abcdef)?", &[]);
        check(r"(abc){0,3}", &[]);
        check(r"(abc){2}", &["abc"]);
        check(r"a|bcd", &[]);
        check(r"(?!abcd)efg", &["efg"]);
        check(r"[^abc]\.com/\d", &[".com/"]);
        check(r"(?i)abcd", &[]);
        check(r"größe", &[]);
        check(r"ab\xc4cdef", &[]);
    }
}
