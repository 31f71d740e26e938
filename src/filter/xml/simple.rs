//! An element as a hash, by the rules of Ruby's XmlSimple.

use super::reader::{Element, Node, Written};
use crate::event::Data;

/// XmlSimple's options.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Elements become arrays even where there is one of them.
    pub force_array: bool,
    /// An element that holds but text becomes a hash too.
    pub force_content: bool,
    /// Elements that hold nothing are left out.
    pub suppress_empty: bool,
}

/// The key of text beside attributes or elements.
const CONTENT: &str = "content";
/// Elements of this name alone become an array.
const ANONYMOUS: &str = "anon";

type Hash = Vec<(Data, Data)>;

impl Rules {
    /// The value that an element is.
    pub(super) fn value(self, element: &Element) -> Data {
        let attribute = |(name, value): &(String, String)| (text(name), text(value));
        let mut hash: Hash = element.attributes.iter().map(attribute).collect();
        let texts = || {
            element.children.iter().filter_map(|child| match child {
                Node::Text(text, written) => Some((text, written)),
                _ => None,
            })
        };
        let mut elements = element.children.iter().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            _ => None,
        });
        match elements.next() {
            Some(first) => {
                for child in std::iter::once(first).chain(elements) {
                    let value = self.value(child);
                    if self.suppress_empty && element.attributes.is_empty() && is_empty(&value) {
                        continue;
                    }
                    let name = child.name.split_once(':').map_or(child.name.as_str(), |(_, name)| name);
                    self.merge(&mut hash, name, value);
                }
                if texts().any(|(text, _)| !text.trim().is_empty()) {
                    let mut parts: Vec<Data> = texts().map(|(inner, written)| as_written(inner, written)).collect();
                    let content = if parts.len() == 1 { parts.remove(0) } else { Data::List(parts) };
                    put(&mut hash, CONTENT, content);
                }
            }
            None if texts().next().is_some() => {
                let inner: String = texts().map(|(text, _)| text.as_str()).collect();
                return self.text(element, hash, inner);
            }
            None => {}
        }
        let arrays = hash.iter().filter(|(_, value)| matches!(value, Data::List(_))).count();
        if arrays == 1
            && let Some(at) = hash.iter().position(|(key, _)| key.as_text() == Some(ANONYMOUS))
            && matches!(hash[at].1, Data::List(_))
        {
            return hash.swap_remove(at).1;
        }
        if hash.is_empty() && self.suppress_empty { Data::Null } else { Data::Map(hash) }
    }

    /// An element that holds but text.
    fn text(self, element: &Element, mut hash: Hash, inner: String) -> Data {
        if element.attributes.is_empty() && inner.trim().is_empty() {
            return Data::Map(Vec::new());
        }
        if element.attributes.is_empty() && !self.force_content {
            return Data::Text(inner.into());
        }
        self.merge(&mut hash, CONTENT, Data::Text(inner.into()));
        Data::Map(hash)
    }

    /// Adds a value under a key; one that is there makes an array.
    fn merge(self, hash: &mut Hash, key: &str, value: Data) {
        let known = hash.iter_mut().find(|(known, _)| known.as_text() == Some(key));
        match (known, value) {
            (Some((_, Data::List(values))), value) => values.push(value),
            (Some((_, first)), value) => {
                let first_value = std::mem::replace(first, Data::Null);
                *first = Data::List(vec![first_value, value]);
            }
            (None, value @ Data::List(_)) => hash.push((text(key), Data::List(vec![value]))),
            (None, value) if self.force_array && key != CONTENT => hash.push((text(key), Data::List(vec![value]))),
            (None, value) => hash.push((text(key), value)),
        }
    }
}

fn text(text: &str) -> Data {
    Data::Text(text.into())
}

fn put(hash: &mut Hash, key: &str, value: Data) {
    match hash.iter_mut().find(|(known, _)| known.as_text() == Some(key)) {
        Some((_, known)) => *known = value,
        None => hash.push((text(key), value)),
    }
}

/// Text between elements stays as it was written, entities and all.
fn as_written(inner: &str, written: &Written) -> Data {
    match written {
        Written::Markup(raw) => text(raw),
        Written::CData => text(inner),
    }
}

fn is_empty(value: &Data) -> bool {
    match value {
        Data::Null => true,
        Data::Map(pairs) => pairs.is_empty(),
        Data::Text(text) => text.trim().is_empty(),
        _ => false,
    }
}
