//! The `xml` filter: a hash out of XML, and fields out of what XPath finds in it, as Logstash's
//! logstash-filter-xml.

mod query;
mod reader;
mod simple;

use super::common::{Name, set};
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, Entry, EventId, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use query::Tree;
use simple::Rules;
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "xml",
    summary: "Makes a hash of XML, and fields of what XPath finds in it.",
    options: &[
        Opt::new("force_array", Type::Boolean, Some("true"), "Whether elements become arrays even where there is one."),
        Opt::new(
            "force_content",
            Type::Boolean,
            Some("false"),
            "Whether an element that holds but text becomes a hash with `content`.",
        ),
        Opt::new("namespaces", Type::Hash, Some("{}"), "Prefixes for XPath and their namespaces."),
        Opt::new(
            "parse_options",
            Type::String,
            None,
            "Options of libxml2, separated by `|` or commas. Those with an effect are recover (the default: XPath works on broken documents too), strict and noblanks.",
        ),
        Opt::new("remove_namespaces", Type::Boolean, Some("false"), "Whether XPath sees names without namespaces."),
        Opt::required("source", Type::Field, "The field that holds the XML; an array of one is taken too."),
        Opt::new("store_xml", Type::Boolean, Some("true"), "Whether the hash is set; needs `target`."),
        Opt::new("suppress_empty", Type::Boolean, Some("true"), "Whether elements that hold nothing are left out."),
        Opt::new("target", Type::Field, None, "The field for the hash."),
        Opt::new("xpath", Type::Hash, Some("{}"), "Expressions and the fields for what they find."),
    ],
    examples: &[Example {
        title: "A hash and a field",
        config: r#"xml { source => "m" target => "doc" force_array => false xpath => { "/a/b/@id" => "id" } }"#,
        given: r#"{"m":"<a><b id=\"7\">x</b><c>y</c></a>"}"#,
        then: r#"{"doc":{"b":{"id":"7","content":"x"},"c":"y"},"id":"7"}"#,
    }],
    build: Build::Filter(build),
};

/// libxml2's options by their names in Ruby, without underscores.
const PARSE_OPTIONS: [&str; 25] = [
    "STRICT",
    "RECOVER",
    "NOENT",
    "DTDLOAD",
    "DTDATTR",
    "DTDVALID",
    "NOERROR",
    "NOWARNING",
    "PEDANTIC",
    "NOBLANKS",
    "SAX1",
    "XINCLUDE",
    "NONET",
    "NODICT",
    "NSCLEAN",
    "NOCDATA",
    "NOXINCNODE",
    "COMPACT",
    "OLD10",
    "NOBASEFIX",
    "HUGE",
    "DEFAULTXML",
    "DEFAULTHTML",
    "DEFAULTXSLT",
    "DEFAULTSCHEMA",
];

const FAILURE: &str = "_xmlparsefailure";

struct Plan {
    source: Name,
    target: Option<Name>,
    rules: Rules,
    xpath: Vec<(String, Name)>,
    namespaces: Vec<(String, String)>,
    without_namespaces: bool,
    without_blanks: bool,
    /// Whether XPath works on broken documents.
    recover: bool,
}

struct Xml(Arc<Plan>);

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let mut errors = Vec::new();
    let store = options.bool("store_xml", true);
    if store && options.str("target").is_none() {
        let message = "`xml` needs the setting `target` to store the XML";
        errors.push(Diagnostic::error(code::REQUIRED, options.place, message).label("or `store_xml => false`"));
    }
    let (mut recover, mut without_blanks) = (true, false);
    if let Some(list) = options.str("parse_options") {
        recover = false;
        for word in list.split(['|', ',']).map(str::trim).filter(|word| !word.is_empty()) {
            let name = word.replace('_', "").to_ascii_uppercase();
            if !PARSE_OPTIONS.contains(&name.as_str()) {
                let message = format!("`parse_options` has no option `{word}`");
                errors.push(Diagnostic::error(code::CHOICE, options.place_of("parse_options"), message));
            }
            recover |= name == "RECOVER" || name.starts_with("DEFAULT");
            without_blanks |= name == "NOBLANKS";
        }
    }
    let pair = |(key, value): &(crate::plugin::Setting, crate::plugin::Setting)| {
        (key.as_str().unwrap_or_default().to_owned(), value.as_str().unwrap_or_default().to_owned())
    };
    for (expression, _) in options.hash("xpath") {
        let text = expression.as_str().unwrap_or_default();
        if !query::is_expression(text) {
            // Logstash starts, and tags each event.
            tracing::warn!("`{text}` is no XPath expression: events of this filter will fail");
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let xpath = options.hash("xpath").iter().map(pair);
    Ok(Box::new(Xml(Arc::new(Plan {
        source: Name::plain(options.str("source").unwrap_or_default()),
        target: options.str("target").filter(|_| store).map(Name::plain),
        rules: Rules {
            force_array: options.bool("force_array", true),
            force_content: options.bool("force_content", false),
            suppress_empty: options.bool("suppress_empty", true),
        },
        xpath: xpath.map(|(expression, field)| (expression, Name::plain(&field))).collect(),
        namespaces: options.hash("namespaces").iter().map(pair).collect(),
        without_namespaces: options.bool("remove_namespaces", false),
        without_blanks,
        recover,
    }))))
}

/// Logstash raises.
struct Raised;

impl Filter for Xml {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            match self.0.event(batch, event) {
                Ok(true) => run.matched.push(event),
                Ok(false) => {}
                Err(Raised) => batch.tag(event, FAILURE),
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Xml(self.0.clone()))
    }
}

impl Plan {
    fn event(&self, batch: &mut Batch, event: EventId) -> Result<bool, Raised> {
        let Name::Fixed(source) = &self.source else { return Err(Raised) };
        let value = match batch.get(event, source) {
            None | Some(Value::Null | Value::Bool(false)) => return Ok(false),
            Some(Value::Array(list)) => match batch.entries(list) {
                [only] => only.value,
                _ => return Err(Raised),
            },
            Some(value) => value,
        };
        let Value::Str(span) = value else { return Err(Raised) };
        let text = batch.text(span);
        if text.trim().is_empty() {
            return Ok(false);
        }
        let document = reader::read(text);
        let mut matched = false;
        if !self.xpath.is_empty() {
            if document.malformed && !self.recover {
                return Err(Raised);
            }
            matched = self.query(&document, batch, event)?;
        }
        if let Some(target) = &self.target {
            let root = document.root.as_ref().filter(|_| !document.malformed).ok_or(Raised)?;
            let value = self.rules.value(root).to_value(batch);
            put(batch, event, target, value)?;
            matched = true;
        }
        Ok(matched)
    }

    /// Sets what the expressions find; whether they found anything.
    fn query(&self, document: &reader::Document, batch: &mut Batch, event: EventId) -> Result<bool, Raised> {
        let tree = Tree::new(document, self.without_namespaces, self.without_blanks);
        let mut matched = false;
        for (expression, field) in &self.xpath {
            let found = tree.find(expression, &self.namespaces).map_err(|_| Raised)?;
            let value = match &found[..] {
                [] => continue,
                [only] if !self.rules.force_array => batch.str(only),
                all => {
                    let all: Vec<Entry> = all.iter().map(|text| Entry::element(batch.str(text))).collect();
                    Value::Array(batch.list(&all))
                }
            };
            matched = true;
            put(batch, event, field, value)?;
        }
        Ok(matched)
    }
}

fn put(batch: &mut Batch, event: EventId, name: &Name, value: Value) -> Result<(), Raised> {
    let Name::Fixed(field) = name else { return Err(Raised) };
    if set(batch, event, field, value) { Ok(()) } else { Err(Raised) }
}

#[cfg(test)]
mod tests;
