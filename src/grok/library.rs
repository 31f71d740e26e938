//! Pattern sets, and the expansion of `%{NAME:field:type}`.
//!
//! The legacy set comes from the crate `grok`, which ships it as data, with what we correct in
//! `config/grok/legacy.txt`. The ECS set is that one with its captures renamed to the documented
//! ECS fields (`config/grok/ecs-v1/*.txt`).

use super::GrokError;
use rustc_hash::FxHashMap;
use std::path::Path;
use std::sync::LazyLock;

/// How long an expanded pattern may get: definitions that double at each step end here.
const EXPANDED_BYTES_MAX: usize = 1 << 20;

/// Which of the two pattern sets of Logstash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Set {
    /// `ecs_compatibility => disabled`
    Legacy,
    /// `ecs_compatibility => v1` and `v8`
    Ecs,
}

type Patterns = FxHashMap<String, String>;

static LEGACY: LazyLock<Patterns> = LazyLock::new(|| {
    let mut patterns: Patterns =
        grok_patterns::patterns().iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    read(include_str!("../../config/grok/legacy.txt"), &mut patterns);
    patterns
});

static ECS: LazyLock<Patterns> = LazyLock::new(|| {
    let mut patterns = LEGACY.clone();
    for text in [
        include_str!("../../config/grok/ecs-v1/core.txt"),
        include_str!("../../config/grok/ecs-v1/web.txt"),
        include_str!("../../config/grok/ecs-v1/network.txt"),
        include_str!("../../config/grok/ecs-v1/application.txt"),
        include_str!("../../config/grok/ecs-v1/nagios.txt"),
    ] {
        read(text, &mut patterns);
    }
    patterns
});

/// Reads pattern lines, `NAME definition`. In our own files `NAME => a=[b][c], d=` renames the
/// captures of the definition so far: `%{X:a}` becomes `%{X:[b][c]}`, and `%{X:d}` just `%{X}`; `{X}=[b]` makes `%{X:[b]}` of `%{X}`.
fn read(text: &str, patterns: &mut Patterns) {
    for line in text.lines() {
        let Some((name, definition)) = split(line) else { continue };
        let definition = match definition.strip_prefix("=> ") {
            Some(renames) => rename(patterns.get(name).map_or("", String::as_str), renames),
            None => definition.to_owned(),
        };
        patterns.insert(name.to_owned(), definition);
    }
}

fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    if line.starts_with('#') {
        return None;
    }
    let (name, definition) = line.split_once(char::is_whitespace)?;
    Some((name, definition.trim_start()))
}

fn rename(definition: &str, renames: &str) -> String {
    let mut out = definition.to_owned();
    for (old, new) in renames.split(',').filter_map(|r| r.trim().split_once('=')) {
        let renamed = match old.strip_prefix('{') {
            // A reference that has no field yet.
            Some(name) => out.replace(&format!("%{{{name}"), &format!("%{{{}:{new}}}", name.trim_end_matches('}'))),
            None => {
                let end = if new.is_empty() { "}".to_owned() } else { format!(":{new}}}") };
                let named = out.replace(&format!(":{old}}}"), &end);
                named.replace(&format!("(?<{old}>"), &format!("(?<{new}>"))
            }
        };
        debug_assert!(renamed != out, "BUG: no capture `{old}` in {definition}");
        out = renamed;
    }
    out
}

/// A set of patterns, and what the user adds to it.
#[derive(Clone, Debug)]
pub struct Library {
    set: Set,
    own: Patterns,
}

/// A reference `%{NAME:field:type=definition}` in a pattern.
pub(super) struct Reference<'a> {
    /// The pattern's name.
    pub(super) name: &'a str,
    /// Where its captures go, with the type that may follow.
    pub(super) field: Option<&'a str>,
    /// A definition given in place.
    definition: Option<&'a str>,
    /// Bytes that the reference takes.
    pub(super) len: usize,
}

impl Library {
    /// One of the built-in sets.
    pub fn new(set: Set) -> Library {
        Library { set, own: Patterns::default() }
    }

    /// A built-in set with the pattern files of `paths`: each a folder, of which the files that
    /// fit `glob` are taken, or itself a file or glob. As in Logstash, one that is not there is
    /// no error.
    pub fn with(set: Set, paths: &[String], glob: &str) -> Result<Library, GrokError> {
        let mut library = Library::new(set);
        for path in paths {
            let whole = if Path::new(path).is_dir() { format!("{path}/{glob}") } else { path.clone() };
            let bad = |cause: String| GrokError::Files { path: whole.clone(), cause };
            let mut files = Vec::new();
            for file in glob::glob(&whole).map_err(|e| bad(e.to_string()))? {
                files.push(file.map_err(|e| bad(e.to_string()))?);
            }
            for file in files.iter().filter(|f| f.is_file()) {
                let text = std::fs::read_to_string(file)
                    .map_err(|e| GrokError::Files { path: file.display().to_string(), cause: e.to_string() })?;
                for (name, definition) in text.lines().filter_map(split) {
                    library.add(name, definition);
                }
            }
        }
        Ok(library)
    }

    /// Whether a folder, file or glob of pattern files is there.
    pub fn is_there(path: &str) -> bool {
        Path::new(path).exists() || glob::glob(path).is_ok_and(|mut files| files.next().is_some())
    }

    /// Adds or replaces a pattern.
    pub fn add(&mut self, name: &str, definition: &str) {
        self.own.insert(name.to_owned(), definition.to_owned());
    }

    /// The definition of a pattern.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.own.get(name).or_else(|| self.built_in().get(name)).map(String::as_str)
    }

    /// Whether the definition of `name`, and all it refers to, is the built-in one.
    pub(super) fn is_built_in(&self, name: &str) -> bool {
        self.own.is_empty() || {
            let pattern = format!("%{{{name}}}");
            matches!((self.expand(&pattern), Library::new(self.set).expand(&pattern)), (Ok(a), Ok(b)) if a == b)
        }
    }

    fn built_in(&self) -> &'static Patterns {
        match self.set {
            Set::Legacy => &LEGACY,
            Set::Ecs => &ECS,
        }
    }

    /// The names of all patterns, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.built_in().keys().chain(self.own.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The regular expression that a pattern stands for. Fields become named groups.
    pub fn expand(&self, pattern: &str) -> Result<String, GrokError> {
        self.expand_with(pattern, true)
    }

    /// Like [`Library::expand`]; where `named_only` is false, a reference without a field is
    /// captured under its pattern's name.
    pub(super) fn expand_with(&self, pattern: &str, named_only: bool) -> Result<String, GrokError> {
        let mut out = String::with_capacity(pattern.len() * 4);
        self.expand_into(pattern, named_only, None, &mut Vec::new(), &mut out)?;
        Ok(out)
    }

    /// Like [`Library::expand_with`], for patterns that are too large for the engine: parts that
    /// are long and capture nothing are written once, at the end, and called from where they
    /// stand. Their groups' names begin with [`SHARED`] and come last.
    pub(super) fn expand_shared(&self, pattern: &str, named_only: bool) -> Result<String, GrokError> {
        let mut parts = Parts::default();
        let mut out = String::from("(?:");
        self.expand_into(pattern, named_only, Some(&mut parts), &mut Vec::new(), &mut out)?;
        out.push(')');
        for (name, text) in parts.0.iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
            out.extend(["(?<", SHARED, name, ">", text, "){0}"]);
        }
        Ok(out)
    }

    /// Appends what a pattern stands for. With `parts`, those that are worth it are called.
    fn expand_into<'a>(
        &'a self,
        pattern: &'a str,
        named_only: bool,
        mut parts: Option<&mut Parts<'a>>,
        inside: &mut Vec<&'a str>,
        out: &mut String,
    ) -> Result<(), GrokError> {
        let mut rest = pattern;
        while let Some(at) = rest.find("%{") {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let Some(reference) = Reference::parse(rest) else {
                out.push('%');
                rest = &rest[1..];
                continue;
            };
            rest = &rest[reference.len..];
            let name = reference.name;
            let definition = self.resolve(&reference)?;
            if inside.contains(&name) {
                return Err(GrokError::Circular { name: name.to_owned() });
            }
            match reference.field {
                Some(field) => out.extend(["(?<", name, ":", field, ">"]),
                None if named_only => out.push_str("(?:"),
                None => out.extend(["(?<", name, ">"]),
            }
            let called = match parts.as_deref_mut() {
                Some(parts) if named_only && reference.definition.is_none() => {
                    parts.holds(name, || self.shared(definition))?
                }
                _ => false,
            };
            if called {
                out.extend(["\\g<", SHARED, name, ">"]);
            } else {
                inside.push(name);
                self.expand_into(definition, named_only, parts.as_deref_mut(), inside, out)?;
                inside.pop();
            }
            out.push(')');
            if out.len() > EXPANDED_BYTES_MAX {
                return Err(GrokError::TooLong { name: name.to_owned() });
            }
        }
        out.push_str(rest);
        Ok(())
    }

    /// The text of a part that is called; `None` where it is short, or captures something.
    fn shared(&self, definition: &str) -> Result<Option<String>, GrokError> {
        let text = self.expand(definition)?;
        let captures = text.match_indices("(?<").any(|(at, _)| !text[at + 3..].starts_with(['=', '!']));
        Ok((!captures && text.len() >= SHARED_BYTES_MIN).then_some(text))
    }

    /// The definition that a reference means.
    pub(super) fn resolve<'a>(&'a self, reference: &Reference<'a>) -> Result<&'a str, GrokError> {
        let unknown = || GrokError::Unknown {
            name: reference.name.to_owned(),
            near: nearest(reference.name, &self.names()).map(str::to_owned),
        };
        reference.definition.or_else(|| self.get(reference.name)).ok_or_else(unknown)
    }
}

/// How the names of groups begin that stand for a shared part.
pub(super) const SHARED: &str = "shared_part_";
/// Shorter parts are not worth a call.
const SHARED_BYTES_MIN: usize = 400;

/// The parts of a pattern that are called, in order; `None` for those that can't be.
#[derive(Default)]
struct Parts<'a>(Vec<(&'a str, Option<String>)>);

impl<'a> Parts<'a> {
    /// Whether `name` is called; asked for the first time, `text` tells.
    fn holds(
        &mut self,
        name: &'a str,
        text: impl FnOnce() -> Result<Option<String>, GrokError>,
    ) -> Result<bool, GrokError> {
        if let Some((_, text)) = self.0.iter().find(|(known, _)| *known == name) {
            return Ok(text.is_some());
        }
        let text = text()?;
        let called = text.is_some();
        self.0.push((name, text));
        Ok(called)
    }
}

impl<'a> Reference<'a> {
    /// Parses a reference at the start of `text`, which begins with `%{`.
    pub(super) fn parse(text: &'a str) -> Option<Reference<'a>> {
        let inner = text.strip_prefix("%{")?;
        let name_char = |c: char| matches!(c, 'A'..='z' | '0'..='9');
        let name = &inner[..inner.find(|c| !name_char(c)).unwrap_or(inner.len())];
        if name.is_empty() {
            return None;
        }
        let mut rest = &inner[name.len()..];
        let mut field = None;
        if let Some(behind) = rest.strip_prefix(':') {
            let end = behind.find(|c| !(name_char(c) || "@:.-".contains(c))).unwrap_or(behind.len());
            if end > 0 {
                field = Some(&behind[..end]);
                rest = &behind[end..];
            }
        }
        let mut definition = None;
        if let Some(behind) = rest.strip_prefix('=') {
            let end = balanced(behind)?;
            definition = Some(&behind[..end]);
            rest = &behind[end..];
        }
        let rest = &rest[rest.find('}')? + 1..];
        Some(Reference { name, field, definition, len: text.len() - rest.len() })
    }
}

/// Where the closing brace stands that ends a definition.
fn balanced(text: &str) -> Option<usize> {
    let (mut depth, mut escaped) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The name nearest to `name`, if any is near.
fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let best = names.iter().map(|n| (distance(name, n), *n)).min()?;
    (best.0 <= (name.len() / 3).max(1)).then_some(best.1)
}

fn distance(a: &str, b: &str) -> usize {
    let b = b.as_bytes();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let check = |text: &str, want: Option<(&str, Option<&str>, Option<&str>)>| {
            let got = Reference::parse(text).map(|r| (r.name, r.field, r.definition));
            assert_eq!(got, want, "{text}");
        };
        check("%{WORD}", Some(("WORD", None, None)));
        check("%{WORD:a}", Some(("WORD", Some("a"), None)));
        check("%{WORD:[a][b-c]:int} x", Some(("WORD", Some("[a][b-c]:int"), None)));
        check(r"%{X=\d{2}}", Some(("X", None, Some(r"\d{2}"))));
        check("%{WORD:a b}", Some(("WORD", Some("a"), None)));
        check("%{}", None);
        check("%{WORD", None);
    }

    #[test]
    fn every_pattern_of_both_sets_compiles() {
        for set in [Set::Legacy, Set::Ecs] {
            let library = Library::new(set);
            let names = library.names();
            assert!(names.len() > 300, "{}", names.len());
            for name in names {
                let expanded = library.expand(&format!("%{{{name}}}")).unwrap_or_else(|e| panic!("{name}: {e}"));
                crate::regexp::Regexp::new(&expanded).unwrap_or_else(|e| panic!("{name}: {e}\n{expanded}"));
            }
        }
    }

    /// Users name patterns in files of their own: a name that goes missing breaks their pipelines.
    #[test]
    fn no_name_of_a_pattern_goes_missing() {
        let (legacy, ecs) = (Library::new(Set::Legacy), Library::new(Set::Ecs));
        let only = |of: &Library, other: &Library| {
            let names = of.names().into_iter().filter(|name| other.get(name).is_none());
            names.collect::<Vec<_>>().join(" ")
        };
        let both: Vec<&str> = legacy.names().into_iter().filter(|name| ecs.get(name).is_some()).collect();
        let all = format!(
            "in both:\n{}\nin the legacy set alone: {}\nin the ECS set alone: {}",
            both.join("\n"),
            only(&legacy, &ecs),
            only(&ecs, &legacy)
        );
        insta::assert_snapshot!(all);
    }

    #[test]
    fn mistakes() {
        let mut library = Library::new(Set::Legacy);
        let unknown = library.expand("%{WRD:x}").unwrap_err();
        assert_eq!(unknown, GrokError::Unknown { name: "WRD".into(), near: Some("WORD".into()) });
        library.add("A", "%{B}");
        library.add("B", "x%{A}");
        assert_eq!(library.expand("%{A}"), Err(GrokError::Circular { name: "A".into() }));
        library.add("L0", &"x".repeat(100));
        for n in 0..16 {
            library.add(&format!("L{}", n + 1), &format!("%{{L{n}}}%{{L{n}}}"));
        }
        assert!(matches!(library.expand("%{L16}"), Err(GrokError::TooLong { .. })));
    }
}
