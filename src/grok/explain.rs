//! What a pattern will cost and why, for people: `logboom explain`.

use super::library::Reference;
use super::tree::{self, Node};
use super::{Grok, GrokError, Library, Options, UNSET};
use crate::regexp::MatchError;

/// What can be said of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The engine that answers first, and the one behind it.
    pub engine: String,
    /// Why that one.
    pub why: String,
    /// A text without which nothing matches: it sorts out most others before any engine.
    pub required: Option<String>,
    /// What is captured.
    pub fields: Vec<String>,
    /// What may be slow, or may capture otherwise than meant.
    pub warnings: Vec<String>,
}

/// Steps from which a text that does not match is called slow.
const SLOW_STEPS: u32 = 200_000;

/// Explains a pattern.
pub fn explain(pattern: &str, library: &Library, options: Options) -> Result<Explanation, GrokError> {
    let grok = Grok::compile(pattern, library, options)?;
    let tree = tree::parse(pattern, library, options.named_captures_only);
    let (engine, why) = match (&grok.0.scanner, &tree) {
        (Some(_), _) => {
            let why = "literals, classes and well-known parts only; texts that are not ASCII, or where a choice is open, go to PCRE2";
            ("scanner, then PCRE2", why.to_owned())
        }
        (None, Some(nodes)) => ("PCRE2", refusal(nodes, pattern, library)),
        (None, None) => ("PCRE2", refusal(&[], pattern, library)),
    };
    let required = tree.as_deref().and_then(tree::required);
    let fields: Vec<String> = grok.fields().iter().map(|capture| capture.field.clone()).collect();
    Ok(Explanation {
        engine: engine.to_owned(),
        why,
        required: required.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        warnings: warnings(pattern, library, options, tree.as_deref()),
        fields,
    })
}

/// Why the scanner does not follow the pattern.
fn refusal(nodes: &[Node], pattern: &str, library: &Library) -> String {
    let expanded = library.expand(pattern).unwrap_or_default();
    let forms = [
        ("(?=", "a look-ahead"),
        ("(?!", "a negative look-ahead"),
        ("(?<=", "a look-behind"),
        ("(?<!", "a negative look-behind"),
        ("(?i", "a flag"),
        ("(?m", "a flag"),
        ("(?x", "a flag"),
        ("(?(", "a condition"),
        ("\\k<", "a back-reference"),
        ("\\g<", "a call of a group"),
    ];
    let found = forms.iter().find(|(form, _)| own(pattern, form)).or_else(|| {
        // In a definition that the pattern refers to; those of the built-in parts are known.
        (nodes.is_empty() || has_opaque(nodes)).then(|| forms.iter().find(|(form, _)| expanded.contains(form)))?
    });
    match found {
        Some((_, what)) => format!("it has {what}, which needs going back"),
        None if has_opaque(nodes) => "it has a part that can match in several ways".to_owned(),
        None => "which way to take is only known further on".to_owned(),
    }
}

/// Whether `form` stands in the pattern itself.
fn own(pattern: &str, form: &str) -> bool {
    pattern.contains(form)
}

fn has_opaque(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match node {
        Node::Opaque => true,
        Node::Group(_, inner) | Node::Optional(inner) | Node::Repeat(inner, _) | Node::Atomic(inner) => {
            has_opaque(inner)
        }
        Node::Alternatives(ways) => ways.iter().any(|way| has_opaque(way)),
        _ => false,
    })
}

/// A part of a pattern, as written.
enum Part<'a> {
    Text(&'a str),
    Reference(Reference<'a>),
}

fn parts(pattern: &str) -> Vec<Part<'_>> {
    let (mut parts, mut rest) = (Vec::new(), pattern);
    while let Some(at) = rest.find("%{") {
        let (before, from) = rest.split_at(at);
        let Some(reference) = Reference::parse(from) else {
            let (text, behind) = rest.split_at(at + 2);
            parts.push(Part::Text(text));
            rest = behind;
            continue;
        };
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        rest = &from[reference.len..];
        parts.push(Part::Reference(reference));
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

fn is_wild(name: &str) -> bool {
    matches!(name, "DATA" | "GREEDYDATA" | "GREEDYMULTILINE")
}

fn warnings(pattern: &str, library: &Library, options: Options, tree: Option<&[Node]>) -> Vec<String> {
    let mut warnings = Vec::new();
    let parts = parts(pattern);
    let wild = |part: &Part| match part {
        Part::Reference(reference) => is_wild(reference.name),
        Part::Text(text) => matches!(*text, ".*" | ".*?" | ".+" | ".+?"),
    };
    if parts.first().is_some_and(wild) && parts.len() > 1 {
        warnings.push(
            "it begins with what fits everything: a text that does not match is tried from each of its places; begin with `^`"
                .to_owned(),
        );
    }
    for pair in parts.windows(2) {
        if wild(&pair[0]) && wild(&pair[1]) {
            warnings
                .push("two parts that fit everything stand side by side: the first takes all or nothing".to_owned());
        }
    }
    let greedy = parts.iter().filter(|p| matches!(p, Part::Reference(r) if r.name == "GREEDYDATA")).count();
    if greedy > 1 {
        warnings.push(format!(
            "{greedy} × %{{GREEDYDATA}}: each takes as much as it can, so that what the next one gets depends on the \
             last place where the text between them stands; %{{DATA}} or %{{NOTSPACE}} says where it ends"
        ));
    }
    let fields: Vec<&str> = parts
        .iter()
        .filter_map(|part| if let Part::Reference(r) = part { r.field } else { None })
        .map(|field| field.split(':').next().unwrap_or(field))
        .collect();
    for (at, field) in fields.iter().enumerate() {
        if fields[..at].contains(field) && !fields[..at - 1].contains(field) && !pattern.contains('|') {
            warnings.push(format!("`{field}` is captured twice: the field becomes an array"));
        }
    }
    if tree.is_some_and(nested) || (tree.is_none() && is_slow(pattern, library, options)) {
        warnings.push(
            "a repeat inside of a repeat: a text that almost matches may take very long, up to `timeout_millis`"
                .to_owned(),
        );
    }
    warnings
}

/// Whether a repeat without an end holds another one that can follow itself.
fn nested(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match node {
        Node::Repeat(inner, _) => only_repeats(inner) || nested(inner),
        Node::Group(_, inner) | Node::Optional(inner) | Node::Atomic(inner) => nested(inner),
        Node::Alternatives(ways) => ways.iter().any(|way| nested(way)),
        _ => false,
    })
}

/// Whether all that a group holds is one repeat: `(a+)+`.
fn only_repeats(nodes: &[Node]) -> bool {
    match nodes {
        [Node::Class { max: u32::MAX, .. }] => true,
        [Node::Group(_, inner)] => only_repeats(inner),
        [Node::Alternatives(ways)] => ways.iter().any(|way| only_repeats(way)),
        _ => false,
    }
}

/// Whether a long text of one kind takes very many steps.
fn is_slow(pattern: &str, library: &Library, options: Options) -> bool {
    let limited = Options { match_limit: SLOW_STEPS, ..options };
    let Ok(grok) = Grok::compile(pattern, library, limited) else { return false };
    let mut scratch = super::Scratch { spans: vec![UNSET; 0] };
    ["a", "1", " ", "a ", "a.", "\"a\""].iter().any(|piece| {
        let text = piece.repeat(60) + "\u{1}";
        matches!(grok.captures_by_regexp(&text, &mut scratch), Err(MatchError::Limit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grok::Set;

    fn check(pattern: &str, engine: &str, why: &str, warnings: &[&str]) {
        let got = explain(pattern, &Library::new(Set::Legacy), Options::default()).unwrap();
        assert_eq!(got.engine, engine, "{pattern}");
        assert!(got.why.contains(why), "{pattern}: {}", got.why);
        assert_eq!(got.warnings.len(), warnings.len(), "{pattern}: {:?}", got.warnings);
        for (got, part) in got.warnings.iter().zip(warnings) {
            assert!(got.contains(part), "{pattern}: {got}");
        }
    }

    #[test]
    fn engines_and_their_reasons() {
        check("%{COMBINEDAPACHELOG}", "scanner, then PCRE2", "well-known parts", &[]);
        check("^%{WORD:a} (?=xy)%{WORD:b}", "PCRE2", "a look-ahead", &[]);
        check("(?i)error %{WORD:a}", "PCRE2", "a flag", &[]);
    }

    #[test]
    fn what_is_slow_or_ambiguous() {
        check("%{DATA:a} %{WORD:b}", "scanner, then PCRE2", "", &["begins with what fits everything"]);
        check("^%{GREEDYDATA:a} %{GREEDYDATA:b}", "scanner, then PCRE2", "", &["2 × %{GREEDYDATA}"]);
        check("^a %{DATA:a}%{DATA:b}$", "scanner, then PCRE2", "", &["side by side"]);
        check("^%{WORD:a} %{INT:a}", "scanner, then PCRE2", "", &["captured twice"]);
    }

    #[test]
    fn required_texts_and_fields() {
        let got = explain("login of %{WORD:[user][name]}", &Library::new(Set::Ecs), Options::default()).unwrap();
        assert_eq!(got.required.as_deref(), Some("login of "));
        assert_eq!(got.fields, ["[user][name]"]);
    }
}
