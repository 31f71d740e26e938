//! XPath over a document, and nodes as the markup that libxml2 writes for them.

use super::reader::{Document, Element, Node};
use std::cell::RefCell;
use std::collections::HashMap;
use sxd_document::dom::{self, ChildOfElement, ParentOfChild};
use sxd_document::{Package, QName};
use sxd_xpath::{Context, Factory, Value, XPath, nodeset};

/// How many expressions a worker keeps compiled; past it, all are compiled anew.
const COMPILED_MAX: usize = 1024;

thread_local! {
    /// Compiled expressions by their text: they can't be sent from thread to thread.
    static COMPILED: RefCell<HashMap<String, Option<Compiled>>> = RefCell::default();
}

/// The tree in the form that XPath works on.
pub(super) struct Tree {
    package: Package,
    /// Prefixes that the root declares: expressions may use them.
    prefixes: Vec<(String, String)>,
}

/// An expression failed.
#[derive(Debug)]
pub(super) struct Failed;

/// An expression, and the prefixes that it uses.
struct Compiled {
    xpath: XPath,
    prefixes: Vec<String>,
}

impl Compiled {
    fn new(text: &str) -> Option<Compiled> {
        let xpath = guarded(|| Factory::new().build(text).ok().flatten())??;
        Some(Compiled { xpath, prefixes: prefixes(text) })
    }
}

/// Runs what belongs to the XPath library, which panics on some expressions. Nothing of ours is
/// changed when it does.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok()
}

/// Whether an expression is one.
pub(super) fn is_expression(text: &str) -> bool {
    Compiled::new(text).is_some()
}

/// The prefixes of names in an expression: what stands before a colon that is not doubled, outside
/// of texts.
fn prefixes(expression: &str) -> Vec<String> {
    let (mut found, mut quote, mut name) = (Vec::new(), None, String::new());
    let mut chars = expression.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) => {
                if c == open {
                    quote = None;
                }
                name.clear();
            }
            (None, '"' | '\'') => quote = Some(c),
            (None, ':') if chars.peek() == Some(&':') => {
                chars.next();
                name.clear();
            }
            (None, ':') => {
                if !name.is_empty() {
                    found.push(std::mem::take(&mut name));
                }
            }
            (None, c) if c.is_alphanumeric() || matches!(c, '_' | '-' | '.') => name.push(c),
            (None, _) => name.clear(),
        }
    }
    found
}

impl Tree {
    /// Makes the tree; without namespaces, names lose their prefixes.
    pub(super) fn new(document: &Document, without_namespaces: bool, without_blanks: bool) -> Tree {
        let package = Package::new();
        let mut prefixes = Vec::new();
        if let Some(root) = &document.root {
            let maker = Maker { dom: package.as_document(), without_namespaces, without_blanks };
            let element = maker.element(root, &mut vec![("xml", "http://www.w3.org/XML/1998/namespace")]);
            package.as_document().root().append_child(element);
            if !without_namespaces {
                let declared = root.attributes.iter().filter_map(|(name, value)| match name.as_str() {
                    "xmlns" => Some((name.clone(), value.clone())),
                    name => Some((name.strip_prefix("xmlns:")?.to_owned(), value.clone())),
                });
                prefixes.extend(declared);
            }
        }
        Tree { package, prefixes }
    }

    /// The results of an expression as texts; without `namespaces` the root's prefixes hold.
    pub(super) fn find(&self, expression: &str, namespaces: &[(String, String)]) -> Result<Vec<String>, Failed> {
        let mut context = Context::new();
        let namespaces = if namespaces.is_empty() { &self.prefixes } else { namespaces };
        namespaces.iter().for_each(|(prefix, uri)| context.set_namespace(prefix, uri));
        COMPILED.with_borrow_mut(|compiled| {
            if !compiled.contains_key(expression) {
                if compiled.len() >= COMPILED_MAX {
                    compiled.clear();
                }
                compiled.insert(expression.to_owned(), Compiled::new(expression));
            }
            let compiled = compiled.get(expression).and_then(Option::as_ref).ok_or(Failed)?;
            if !compiled.prefixes.iter().all(|used| namespaces.iter().any(|(prefix, _)| prefix == used)) {
                return Err(Failed);
            }
            let document = self.package.as_document();
            let value = guarded(|| compiled.xpath.evaluate(&context, document.root()).map_err(|_| Failed));
            let value = value.unwrap_or(Err(Failed))?;
            Ok(match value {
                Value::Nodeset(nodes) => nodes.document_order().into_iter().map(show).collect(),
                Value::Boolean(false) => Vec::new(),
                Value::Boolean(true) => vec!["true".to_owned()],
                Value::Number(number) => {
                    let mut text = Vec::new();
                    crate::event::ruby::write_float(number, &mut text);
                    vec![String::from_utf8_lossy(&text).into_owned()]
                }
                Value::String(text) => vec![text],
            })
        })
    }
}

struct Maker<'d> {
    dom: dom::Document<'d>,
    without_namespaces: bool,
    without_blanks: bool,
}

impl<'d> Maker<'d> {
    /// Makes an element; `scope` is the prefixes that hold and their namespaces.
    fn element<'e>(&self, from: &'e Element, scope: &mut Vec<(&'e str, &'e str)>) -> dom::Element<'d> {
        let before = scope.len();
        for (name, value) in &from.attributes {
            match name.strip_prefix("xmlns:") {
                Some(prefix) => scope.push((prefix, value)),
                None if name == "xmlns" => scope.push(("", value)),
                None => {}
            }
        }
        let uri = |prefix: &str| scope.iter().rev().find(|(known, _)| *known == prefix).map(|(_, uri)| *uri);
        let (prefix, local) = from.name.split_once(':').unwrap_or(("", &from.name));
        let element = match uri(prefix).filter(|uri| !uri.is_empty() && !self.without_namespaces) {
            Some(uri) => {
                let element = self.dom.create_element(QName::with_namespace_uri(Some(uri), local));
                element.set_preferred_prefix((!prefix.is_empty()).then_some(prefix));
                element
            }
            None if self.without_namespaces => self.dom.create_element(local),
            None => self.dom.create_element(QName::new(&from.name)),
        };
        for (name, value) in &from.attributes {
            let declared = name.strip_prefix("xmlns:").or((name == "xmlns").then_some(""));
            match (declared, name.split_once(':')) {
                (Some(_), _) if self.without_namespaces => {}
                (Some(""), _) => element.set_default_namespace_uri(Some(value)),
                (Some(prefix), _) => element.register_prefix(prefix, value),
                (None, Some((_, local))) if self.without_namespaces => drop(element.set_attribute_value(local, value)),
                (None, Some((prefix, local))) if uri(prefix).is_some() => {
                    let name = QName::with_namespace_uri(uri(prefix), local);
                    let attribute = element.set_attribute_value(name, value);
                    attribute.set_preferred_prefix(Some(prefix));
                }
                _ => drop(element.set_attribute_value(QName::new(name), value)),
            }
        }
        for child in &from.children {
            match child {
                Node::Element(child) => element.append_child(self.element(child, scope)),
                Node::Text(text, _) if text.is_empty() || (self.without_blanks && text.trim().is_empty()) => {}
                Node::Text(text, _) => element.append_child(self.dom.create_text(text)),
                Node::Comment(text) => element.append_child(self.dom.create_comment(text)),
                Node::Instruction(target, rest) => {
                    let rest = (!rest.is_empty()).then_some(rest.as_str());
                    element.append_child(self.dom.create_processing_instruction(target, rest));
                }
            }
        }
        scope.truncate(before);
        element
    }
}

/// A node as markup; an attribute as its value.
fn show(node: nodeset::Node) -> String {
    let mut out = String::new();
    match node {
        nodeset::Node::Root(root) => {
            out.push_str("<?xml version=\"1.0\"?>\n");
            for child in root.children() {
                if let Some(element) = child.element() {
                    write_element(element, 0, true, &mut out);
                    out.push('\n');
                }
            }
        }
        nodeset::Node::Element(element) => write_element(element, 0, true, &mut out),
        nodeset::Node::Attribute(attribute) => out.push_str(attribute.value()),
        nodeset::Node::Text(text) => escape(text.text(), false, &mut out),
        nodeset::Node::Comment(comment) => out.push_str(&format!("<!--{}-->", comment.text())),
        nodeset::Node::Namespace(namespace) => out.push_str(namespace.uri()),
        nodeset::Node::ProcessingInstruction(instruction) => write_instruction(instruction, &mut out),
    }
    out
}

fn write_instruction(instruction: dom::ProcessingInstruction, out: &mut String) {
    out.push_str(&format!("<?{}", instruction.target()));
    if let Some(value) = instruction.value() {
        out.push_str(&format!(" {value}"));
    }
    out.push_str("?>");
}

/// Writes an element; children stand on lines of their own unless there is text among them.
fn write_element(element: dom::Element, depth: usize, lines: bool, out: &mut String) {
    let name = |prefix: Option<&str>, local: &str| match prefix {
        Some(prefix) => format!("{prefix}:{local}"),
        None => local.to_owned(),
    };
    let qualified = name(element.preferred_prefix(), element.name().local_part());
    out.push('<');
    out.push_str(&qualified);
    let parent = element.parent().and_then(ParentOfChild::element);
    let outer = parent.map_or(Vec::new(), |parent| parent.namespaces_in_scope());
    if let Some(uri) = element.default_namespace_uri() {
        write_attribute("xmlns", uri, out);
    }
    let mut declared = element.namespaces_in_scope();
    declared.sort_by_key(|namespace| namespace.prefix());
    for namespace in declared {
        let inherited = |known: &dom::Namespace| known.prefix() == namespace.prefix() && known.uri() == namespace.uri();
        if !namespace.prefix().is_empty() && namespace.prefix() != "xml" && !outer.iter().any(inherited) {
            write_attribute(&format!("xmlns:{}", namespace.prefix()), namespace.uri(), out);
        }
    }
    for attribute in element.attributes() {
        write_attribute(&name(attribute.preferred_prefix(), attribute.name().local_part()), attribute.value(), out);
    }
    let children = element.children();
    if children.is_empty() {
        return out.push_str("/>");
    }
    out.push('>');
    let lines = lines && !children.iter().any(|child| matches!(child, ChildOfElement::Text(_)));
    let line = |depth: usize, out: &mut String| {
        if lines {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    for child in children {
        line(depth + 1, out);
        match child {
            ChildOfElement::Element(child) => write_element(child, depth + 1, lines, out),
            ChildOfElement::Text(text) => escape(text.text(), false, out),
            ChildOfElement::Comment(comment) => out.push_str(&format!("<!--{}-->", comment.text())),
            ChildOfElement::ProcessingInstruction(instruction) => write_instruction(instruction, out),
        }
    }
    line(depth, out);
    out.push_str(&format!("</{qualified}>"));
}

fn write_attribute(name: &str, value: &str, out: &mut String) {
    out.push_str(&format!(" {name}=\""));
    escape(value, true, out);
    out.push('"');
}

fn escape(text: &str, attribute: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '"' if attribute => out.push_str("&quot;"),
            '\n' if attribute => out.push_str("&#10;"),
            '\t' if attribute => out.push_str("&#9;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_expressions() {
        let check = |expression: &str, want: &[&str]| assert_eq!(prefixes(expression), want, "{expression}");
        check("/a/h:b[@x:c = 'y:z']/text()", &["h", "x"]);
        check("child::b/descendant-or-self::h:c", &["h"]);
        check("//*[local-name() = \"a:b\"]", &[]);
    }
}
