//! YAML as a tree whose nodes know their places, and reading records of it so that every mistake
//! is told at once: unknown keys, wrong types, missing fields.

use crate::diagnostic::{Diagnostic, Place, code};
use crate::language::suggest;
use crate::promql::duration;
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::HashMap;

/// Nodes that a file may have, aliases unfolded: more is refused.
const NODES_MAX: usize = 1_000_000;
/// Nesting deeper than this is refused.
const DEPTH_MAX: usize = 64;

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub place: Place,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A text; `plain`: written without quotes and not as a block.
    Scalar {
        /// What it says.
        text: String,
        /// Whether it may be a number, `true` or nothing.
        plain: bool,
    },
    /// `- a`
    List(Vec<Node>),
    /// `a: b`
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// What a message calls it.
    fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar { .. } if self.is_null() => "nothing",
            Kind::Scalar { .. } => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// Whether nothing is written there.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// Reads the first document of a text; nothing for an empty one. `file` is the number that places
/// carry.
pub fn parse(text: &str, file: u32) -> Result<Option<Node>, Box<Diagnostic>> {
    let offsets: Vec<u32> = text.char_indices().map(|(at, _)| at as u32).chain([text.len() as u32]).collect();
    let byte = |index: usize| offsets.get(index).copied().unwrap_or(text.len() as u32);
    let mut builder = Builder { anchors: HashMap::new(), nodes: 0, stack: Vec::new(), done: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = byte(error.marker().index());
            let message = format!("cannot read YAML: {}", error.info());
            Box::new(Diagnostic::error(code::YAML, Place { file, start: at, end: at + 1 }, message))
        })?;
        let place = Place { file, start: byte(span.start.index()), end: byte(span.end.index()) };
        builder.event(event, place).map_err(|message| Box::new(Diagnostic::error(code::YAML, place, message)))?;
        if let Some(done) = builder.done.take() {
            return Ok(if done.is_null() { None } else { Some(done) });
        }
    }
    Ok(None)
}

struct Builder {
    anchors: HashMap<usize, Node>,
    nodes: usize,
    stack: Vec<(Node, usize)>,
    done: Option<Node>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, place: Place) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                self.put(Node { kind: Kind::Scalar { text: text.into_owned(), plain }, place }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(Kind::List(Vec::new()), place, anchor),
            Event::MappingStart(anchor, _) => self.open(Kind::Map(Vec::new()), place, anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((mut node, anchor)) = self.stack.pop() else { return Ok(()) };
                node.place.end = place.end.max(node.place.start);
                self.put(node, anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned().ok_or("cannot read YAML: an alias without its anchor")?;
                self.nodes += count(&node);
                self.put(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, kind: Kind, place: Place, anchor: usize) -> Result<(), String> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(format!("cannot read YAML: it is nested deeper than {DEPTH_MAX}"));
        }
        self.stack.push((Node { kind, place }, anchor));
        Ok(())
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!("cannot read YAML: it has more than {NODES_MAX} nodes"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut().map(|(node, _)| &mut node.kind) {
            None => self.done = Some(node),
            Some(Kind::List(items)) => items.push(node),
            Some(Kind::Map(pairs)) => match pairs.last_mut() {
                Some((_, value)) if matches!(&value.kind, Kind::List(items) if items.is_empty() && value.place == PENDING) =>
                {
                    *value = node;
                }
                _ => pairs.push((node, Node { kind: Kind::List(Vec::new()), place: PENDING })),
            },
            Some(Kind::Scalar { .. }) => {}
        }
        Ok(())
    }
}

/// The place of a value that has not come yet.
const PENDING: Place = Place { file: u32::MAX, start: u32::MAX, end: u32::MAX };

fn count(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => 1,
        Kind::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Kind::Map(pairs) => 1 + pairs.iter().map(|(key, value)| count(key) + count(value)).sum::<usize>(),
    }
}

/// What is wrong so far.
pub type Mistakes = Vec<Diagnostic>;

fn wrong(node: &Node, what: &str, want: &str) -> Diagnostic {
    let mut place = node.place;
    if !matches!(node.kind, Kind::Scalar { .. }) {
        place.end = place.start + 1;
    }
    Diagnostic::error(code::RULE_VALUE, place, format!("`{what}` needs {want}, not {}", node.describe()))
}

/// The fields of a mapping. Those that nobody asked for are mistakes.
pub struct Fields<'n> {
    /// Where the mapping is.
    pub place: Place,
    pairs: Vec<(&'n Node, &'n Node)>,
    asked: Vec<&'static str>,
    what: &'static str,
}

impl<'n> Fields<'n> {
    /// The fields of a node; `what` names the mapping in messages: "a rule".
    pub fn of(node: &'n Node, what: &'static str, mistakes: &mut Mistakes) -> Fields<'n> {
        let mut pairs: Vec<(&Node, &Node)> = Vec::new();
        match &node.kind {
            Kind::Map(all) => {
                for (key, value) in all {
                    merge(key, value, &mut pairs, mistakes);
                }
            }
            _ if node.is_null() => {}
            _ => mistakes.push(wrong(node, what, "a mapping")),
        }
        Fields { place: node.place, pairs, asked: Vec::new(), what }
    }

    /// The value of a field, and where its key is.
    pub fn get(&mut self, name: &'static str) -> Option<&'n Node> {
        self.asked.push(name);
        let found = self.pairs.iter().find(|(key, _)| key.text() == Some(name));
        found.map(|(_, value)| *value).filter(|value| !value.is_null())
    }

    /// Where the key of a field is; the mapping's beginning where there is none.
    pub fn key(&self, name: &str) -> Place {
        let found = self.pairs.iter().find(|(key, _)| key.text() == Some(name));
        found.map_or(Place { end: self.place.start + 1, ..self.place }, |(key, _)| key.place)
    }

    /// A text.
    pub fn text(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Option<&'n Node> {
        let node = self.get(name)?;
        if node.text().is_none() {
            mistakes.push(wrong(node, name, "a text"));
            return None;
        }
        Some(node)
    }

    /// A duration in milliseconds.
    pub fn duration(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Option<i64> {
        let node = self.text(name, mistakes)?;
        match duration::parse(node.text()?) {
            Ok(duration) => Some(duration),
            Err(message) => {
                mistakes.push(Diagnostic::error(code::RULE_VALUE, node.place, message));
                None
            }
        }
    }

    /// A number, or whatever else `parse` reads.
    pub fn parsed<T>(
        &mut self,
        name: &'static str,
        want: &str,
        parse: impl Fn(&str) -> Option<T>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        let node = self.text(name, mistakes)?;
        let text = node.text()?;
        let parsed = parse(text);
        if parsed.is_none() {
            let message = format!("`{name}` needs {want}, not `{text}`");
            mistakes.push(Diagnostic::error(code::RULE_VALUE, node.place, message));
        }
        parsed
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Option<bool> {
        let parse = |text: &str| match text {
            "true" | "True" | "TRUE" | "yes" | "on" => Some(true),
            "false" | "False" | "FALSE" | "no" | "off" => Some(false),
            _ => None,
        };
        self.parsed(name, "`true` or `false`", parse, mistakes)
    }

    /// A list.
    pub fn list(&mut self, name: &'static str, mistakes: &mut Mistakes) -> &'n [Node] {
        match self.get(name) {
            None => &[],
            Some(Node { kind: Kind::List(items), .. }) => items,
            Some(node) => {
                mistakes.push(wrong(node, name, "a list"));
                &[]
            }
        }
    }

    /// A list of texts; one text stands for a list of it.
    pub fn texts(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Vec<&'n Node> {
        match self.get(name) {
            None => Vec::new(),
            Some(Node { kind: Kind::List(items), .. }) => {
                items
                    .iter()
                    .filter(|item| item.text().is_none())
                    .for_each(|item| mistakes.push(wrong(item, name, "texts")));
                items.iter().filter(|item| item.text().is_some()).collect()
            }
            Some(node) if node.text().is_some() => vec![node],
            Some(node) => {
                mistakes.push(wrong(node, name, "a list"));
                Vec::new()
            }
        }
    }

    /// A mapping of texts to texts.
    pub fn pairs(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Vec<(&'n Node, &'n Node)> {
        let Some(node) = self.get(name) else { return Vec::new() };
        let Kind::Map(_) = &node.kind else {
            mistakes.push(wrong(node, name, "a mapping"));
            return Vec::new();
        };
        let fields = Fields::of(node, "a mapping", mistakes);
        let mut pairs = fields.pairs;
        pairs.retain(|(key, value)| {
            let text = key.text().is_some() && value.text().is_some();
            if !text {
                mistakes.push(wrong(value, key.text().unwrap_or(name), "a text"));
            }
            text
        });
        pairs
    }

    /// Tells the fields that nobody asked for.
    pub fn finish(self, mistakes: &mut Mistakes) {
        for (key, _) in &self.pairs {
            let Some(name) = key.text() else {
                mistakes.push(Diagnostic::error(code::RULE_KEY, key.place, "a key must be a text"));
                continue;
            };
            if self.asked.contains(&name) {
                continue;
            }
            let message = format!("{} has no `{name}`", self.what);
            let near = suggest::did_you_mean(name, self.asked.iter().copied());
            let known = format!("{} has: {}", self.what, suggest::list(self.asked.iter().copied()));
            mistakes.push(
                Diagnostic::error(code::RULE_KEY, key.place, message).label(near.unwrap_or_default()).note(known),
            );
        }
    }
}

/// Takes a pair in; `<<: *anchor` brings the pairs that are not there yet.
fn merge<'n>(key: &'n Node, value: &'n Node, pairs: &mut Vec<(&'n Node, &'n Node)>, mistakes: &mut Mistakes) {
    if key.text() == Some("<<") {
        match &value.kind {
            Kind::Map(more) => {
                for (key, value) in more {
                    if !pairs.iter().any(|(known, _)| known.text() == key.text()) {
                        pairs.push((key, value));
                    }
                }
            }
            Kind::List(maps) => maps.iter().for_each(|map| merge(key, map, pairs, mistakes)),
            Kind::Scalar { .. } => mistakes.push(wrong(value, "<<", "a mapping")),
        }
        return;
    }
    if let Some(at) = pairs.iter().position(|(known, _)| known.text() == key.text()) {
        // Brought by a merge: the written one counts.
        if pairs[at].0.place.start < key.place.start && !std::ptr::eq(pairs[at].0, key) {
            let message = format!("`{}` stands there twice", key.text().unwrap_or_default());
            mistakes.push(Diagnostic::error(code::RULE_KEY, key.place, message));
        }
        pairs[at] = (key, value);
        return;
    }
    pairs.push((key, value));
}

/// Where a part of a scalar's text stands in the file: exactly if the text is written as it is, else
/// the whole scalar.
pub fn within(node: &Node, span: std::ops::Range<usize>, source: &str) -> Place {
    let Some(text) = node.text() else { return node.place };
    let range = node.place.start as usize..(node.place.end as usize).min(source.len());
    let Some(raw) = source.get(range.clone()) else { return node.place };
    let whole = {
        let first = raw.lines().next().map_or(1, |line| line.trim_end().len().max(1));
        Place { end: node.place.start + first as u32, ..node.place }
    };
    // The line of the text in which the part begins, and the line of the file that ends like it.
    let start = text[..span.start.min(text.len())].rfind('\n').map_or(0, |at| at + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let number = text[..start].matches('\n').count();
    let candidates: Vec<(usize, usize)> = raw
        .split_inclusive('\n')
        .scan(0, |at, line| {
            let begin = *at;
            *at += line.len();
            Some((begin, line))
        })
        .filter_map(|(begin, written)| written.find(line).map(|column| (begin, column)))
        .collect();
    let exact =
        if line.trim().is_empty() { None } else { candidates.get(number.min(candidates.len().saturating_sub(1))) };
    let Some((begin, column)) = exact else {
        // Folded or escaped: the part itself, if it stands there once.
        let part = text.get(span).unwrap_or_default();
        return match (raw.find(part), raw.rfind(part)) {
            (Some(at), Some(last)) if at == last && !part.is_empty() => {
                let start = node.place.start + at as u32;
                Place { file: node.place.file, start, end: start + part.len() as u32 }
            }
            _ => whole,
        };
    };
    let at = range.start + begin + column + (span.start - start).min(line.len());
    let len = span.len().min(line.len() - (span.start - start).min(line.len())).max(1);
    Place { file: node.place.file, start: at as u32, end: (at + len) as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Node {
        parse(text, 0).unwrap().unwrap()
    }

    #[test]
    fn trees_know_their_places() {
        let text = "a: 1\nb:\n  - x\n  - {c: \"y\"}\n";
        let node = read(text);
        let mut mistakes = Vec::new();
        let mut fields = Fields::of(&node, "a test", &mut mistakes);
        assert_eq!(fields.text("a", &mut mistakes).unwrap().text(), Some("1"));
        let list = fields.list("b", &mut mistakes);
        assert_eq!(&text[list[0].place.range()], "x");
        let mut inner = Fields::of(&list[1], "an item", &mut mistakes);
        assert_eq!(&text[inner.get("c").unwrap().place.range()], "\"y\"");
        inner.finish(&mut mistakes);
        fields.finish(&mut mistakes);
        assert_eq!(mistakes, []);
    }

    #[test]
    fn mistakes_come_all_at_once() {
        let node = read("nane: 1\nlist: x\nfor: 5\na: 1\na: 2\n");
        let mut mistakes = Vec::new();
        let mut fields = Fields::of(&node, "a test", &mut mistakes);
        fields.text("name", &mut mistakes);
        fields.list("list", &mut mistakes);
        fields.duration("for", &mut mistakes);
        fields.get("a");
        fields.finish(&mut mistakes);
        let messages: Vec<&str> = mistakes.iter().map(|mistake| mistake.message.as_str()).collect();
        let want = [
            "`a` stands there twice",
            "`list` needs a list, not a text",
            "`5` is no duration such as `1h30m`",
            "a test has no `nane`",
        ];
        assert_eq!(messages, want);
        assert_eq!(mistakes[3].label, "did you mean `name`?");
    }

    #[test]
    fn anchors_and_merges() {
        let node = read("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n");
        let mut mistakes = Vec::new();
        let mut fields = Fields::of(&node, "a test", &mut mistakes);
        let used = fields.get("use").unwrap();
        let mut used = Fields::of(used, "a use", &mut mistakes);
        assert_eq!(used.get("x").and_then(Node::text), Some("1"));
        assert_eq!(used.get("y").and_then(Node::text), Some("3"));
    }

    #[test]
    fn parts_of_texts_have_places() {
        let check = |source: &str, part: &str| {
            let node = read(source);
            let mut mistakes = Vec::new();
            let mut fields = Fields::of(&node, "a test", &mut mistakes);
            let expr = fields.get("expr").unwrap();
            let at = expr.text().unwrap().find(part).unwrap();
            assert_eq!(&source[within(expr, at..at + part.len(), source).range()], part, "{source}");
        };
        check("expr: sum(x)", "x");
        check("expr: 'sum(x) + y'", "y");
        check("expr: |\n  sum(x)\n    + rat(y)\nfor: 5m\n", "rat");
        check("expr: >-\n  sum(x)\n  + rat(y)\n", "x");
    }
}
