//! Reads XML into a tree, and goes on behind mistakes, which it remembers: XPath works on what a
//! broken document has, as libxml2's recovery does.
//!
//! Nothing outside of the text is ever read: no DTD, no entity.

use std::borrow::Cow;

/// How deep elements may nest, as in libxml2.
const DEPTH_MAX: usize = 256;

/// An element, its name and those of its attributes as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Node>,
}

/// What stands in an element.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Element(Element),
    /// Text, and how it was written.
    Text(String, Written),
    Comment(String),
    /// Its target and the rest.
    Instruction(String, String),
}

/// How a text was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Written {
    /// As markup; differs from the text where it had entities.
    Markup(String),
    CData,
}

/// A document.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub root: Option<Element>,
    /// Whether it broke a rule of XML.
    pub malformed: bool,
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    open: Vec<Element>,
    document: Document,
}

/// Reads a document.
pub(super) fn read(text: &str) -> Document {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { text, at: 0, open: Vec::new(), document: Document::default() };
    while reader.at < text.len() {
        reader.step();
    }
    reader.document.malformed |= !reader.open.is_empty();
    while !reader.open.is_empty() {
        reader.close();
    }
    reader.document.malformed |= reader.document.root.is_none();
    if let Some(root) = &reader.document.root {
        reader.document.malformed |= !prefixes_declared(root, &mut vec!["xml", "xmlns"]);
    }
    reader.document
}

/// Whether every prefix of a name has its namespace.
fn prefixes_declared<'e>(element: &'e Element, known: &mut Vec<&'e str>) -> bool {
    let before = known.len();
    known.extend(element.attributes.iter().filter_map(|(name, _)| name.strip_prefix("xmlns:")));
    let is_known = |name: &str| name.split_once(':').is_none_or(|(prefix, _)| known.contains(&prefix));
    let mut all = is_known(&element.name) && element.attributes.iter().all(|(name, _)| is_known(name));
    for child in &element.children {
        if let Node::Element(child) = child {
            all = all && prefixes_declared(child, known);
        }
    }
    known.truncate(before);
    all
}

impl Reader<'_> {
    fn wrong(&mut self) {
        self.document.malformed = true;
    }

    /// Reads up to the end of one thing.
    fn step(&mut self) {
        let rest = &self.text[self.at..];
        match memchr::memchr(b'<', rest.as_bytes()) {
            None => self.text_up_to(rest.len()),
            Some(0) => self.markup(),
            Some(length) => self.text_up_to(length),
        }
    }

    fn text_up_to(&mut self, length: usize) {
        let raw = &self.text[self.at..self.at + length];
        self.at += length;
        if self.open.is_empty() {
            self.document.malformed |= !raw.trim().is_empty();
            return;
        }
        let text = self.unescaped(raw).into_owned();
        self.add(Node::Text(text, Written::Markup(raw.to_owned())));
    }

    fn add(&mut self, node: Node) {
        if let Some(top) = self.open.last_mut() {
            top.children.push(node);
        }
    }

    /// The text up to `end`, which it goes behind; without it, the rest, which is a mistake.
    fn up_to(&mut self, start: usize, end: &str) -> String {
        let from = (self.at + start).min(self.text.len());
        let rest = &self.text[from..];
        match rest.find(end) {
            Some(length) => {
                self.at = from + length + end.len();
                rest[..length].to_owned()
            }
            None => {
                self.wrong();
                self.at = self.text.len();
                rest.to_owned()
            }
        }
    }

    fn markup(&mut self) {
        let rest = &self.text[self.at..];
        if rest.starts_with("<!--") {
            let comment = self.up_to(4, "-->");
            self.add(Node::Comment(comment));
        } else if rest.starts_with("<![CDATA[") {
            let text = self.up_to(9, "]]>");
            self.document.malformed |= self.open.is_empty();
            self.add(Node::Text(text, Written::CData));
        } else if rest.starts_with("<?") {
            let inner = self.up_to(2, "?>");
            let (target, rest) = inner.split_once(char::is_whitespace).unwrap_or((&inner, ""));
            let node = Node::Instruction(target.to_owned(), rest.trim_start().to_owned());
            self.add(node);
        } else if rest.starts_with("<!") {
            self.declaration();
        } else if rest.starts_with("</") {
            let name = self.up_to(2, ">").trim_end().to_owned();
            self.end_tag(&name);
        } else if rest[1..].starts_with(|c: char| c.is_alphabetic() || c == '_' || c == ':') {
            self.start_tag();
        } else {
            // A bare `<` is text to a reader that goes on.
            self.wrong();
            let length = 1 + memchr::memchr(b'<', &rest.as_bytes()[1..]).unwrap_or(rest.len() - 1);
            self.text_up_to(length);
        }
    }

    /// `<!DOCTYPE … [ … ]>` is gone over.
    fn declaration(&mut self) {
        let (mut depth, mut quote) = (0i32, None);
        for (at, c) in self.text[self.at..].char_indices() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => quote = Some(c),
                (None, '[') => depth += 1,
                (None, ']') => depth -= 1,
                (None, '>') if depth <= 0 => {
                    self.at += at + 1;
                    return;
                }
                _ => {}
            }
        }
        self.wrong();
        self.at = self.text.len();
    }

    /// Closes the element of this name and those in it that are still open.
    fn end_tag(&mut self, name: &str) {
        if self.open.last().is_some_and(|top| top.name == name) {
            return self.close();
        }
        self.wrong();
        if let Some(at) = self.open.iter().rposition(|element| element.name == name) {
            while self.open.len() > at {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        let Some(element) = self.open.pop() else { return };
        if !self.open.is_empty() {
            self.add(Node::Element(element));
        } else if self.document.root.is_none() {
            self.document.root = Some(element);
        } else {
            self.wrong();
        }
    }

    fn start_tag(&mut self) {
        let name_end = |text: &str| text.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>' | '=' | '<'));
        let rest = &self.text[self.at + 1..];
        let length = name_end(rest).unwrap_or(rest.len());
        let mut element = Element { name: rest[..length].to_owned(), ..Element::default() };
        self.at += 1 + length;
        let empty = loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("/>") {
                self.at += 2;
                break true;
            }
            if trimmed.starts_with('>') {
                self.at += 1;
                break false;
            }
            if trimmed.is_empty() || trimmed.starts_with('<') {
                self.wrong();
                break false;
            }
            if trimmed.len() == rest.len() {
                // No space between attributes.
                self.wrong();
            }
            if !self.attribute(&mut element) {
                self.wrong();
            }
        };
        if self.open.len() >= DEPTH_MAX {
            self.wrong();
            self.at = self.text.len();
            return;
        }
        self.open.push(element);
        if empty {
            self.close();
        }
    }

    /// Reads an attribute; false where it is none, of which at least one character is gone over.
    fn attribute(&mut self, element: &mut Element) -> bool {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '/' | '>' | '<')).unwrap_or(rest.len());
        if length == 0 {
            self.at += rest.chars().next().map_or(1, char::len_utf8);
            return false;
        }
        let name = &rest[..length];
        self.at += length;
        let Some(value) = rest[length..].trim_start().strip_prefix('=') else { return false };
        let value = value.trim_start();
        let Some(quote @ ('"' | '\'')) = value.chars().next() else {
            self.at = self.text.len() - value.len();
            return false;
        };
        self.at = self.text.len() - value.len() + 1;
        let Some(length) = value[1..].find(quote) else {
            self.at = self.text.len();
            return false;
        };
        let raw = &value[1..=length];
        self.at += length + 1;
        let value = self.unescaped(raw).replace(['\n', '\t', '\r'], " ");
        let fits = !raw.contains('<') && !element.attributes.iter().any(|(known, _)| known == name);
        if fits {
            element.attributes.push((name.to_owned(), value));
        }
        fits
    }

    /// A text with its entities replaced; line ends are `\n`.
    fn unescaped<'r>(&mut self, raw: &'r str) -> Cow<'r, str> {
        if memchr::memchr2(b'&', b'\r', raw.as_bytes()).is_none() {
            return raw.into();
        }
        let raw = raw.replace("\r\n", "\n").replace('\r', "\n");
        let (mut out, mut rest) = (String::with_capacity(raw.len()), raw.as_str());
        while let Some(at) = rest.find('&') {
            out.push_str(&rest[..at]);
            let entity = rest[at + 1..].split_once(';').filter(|(name, _)| name.len() <= 10);
            match entity.and_then(|(name, behind)| Some((character(name)?, behind))) {
                Some((c, behind)) => {
                    out.push(c);
                    rest = behind;
                }
                None => {
                    self.wrong();
                    out.push('&');
                    rest = &rest[at + 1..];
                }
            }
        }
        out.push_str(rest);
        out.into()
    }
}

fn character(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| *c != '\0')?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(element: &Element) -> String {
        let attributes: String = element.attributes.iter().map(|(name, value)| format!(" {name}={value:?}")).collect();
        let children: Vec<String> = element
            .children
            .iter()
            .map(|child| match child {
                Node::Element(element) => shown(element),
                Node::Text(text, _) => format!("{text:?}"),
                Node::Comment(text) => format!("!{text}"),
                Node::Instruction(target, rest) => format!("?{target} {rest}"),
            })
            .collect();
        format!("{}{attributes}({})", element.name, children.join(","))
    }

    #[test]
    fn documents() {
        let check = |text: &str, want: &str, malformed: bool| {
            let document = read(text);
            assert_eq!(document.root.as_ref().map(shown).unwrap_or_default(), want, "{text}");
            assert_eq!(document.malformed, malformed, "{text}");
        };
        check("<a/>", "a()", false);
        check(
            "<?xml version='1.0'?>\n<!DOCTYPE a [<!ELEMENT a ANY>]>\n<a b='1' c=\"x&lt;&#65;\">t</a>\n",
            r#"a b="1" c="x<A"("t")"#,
            false,
        );
        check("<a>x<b/>y<![CDATA[<&]]><!--c--><?p q?></a>", r#"a("x",b(),"y","<&",!c,?p q)"#, false);
        check("<a xmlns:h='u'><h:b h:c='1'/></a>", r#"a xmlns:h="u"(h:b h:c="1"())"#, false);
        check("<h:a/>", "h:a()", true);
        check("<a><b>1<c></a>", r#"a(b("1",c()))"#, true);
        check("<a>1</b></a>", r#"a("1")"#, true);
        check("<a>&nope; &amp</a>", r#"a("&nope; &amp")"#, true);
        check("<a b=1 c='2' d>x", r#"a c="2"("x")"#, true);
        check("<a/><b/>", "a()", true);
        check("<a", "a()", true);
        check("<a /", "a()", true);
        check("plain", "", true);
        check("", "", true);
        assert!(read(&"<a>".repeat(100_000)).malformed);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[<>a/:=\"'&;!?#x\\[\\]\\- é]{0,32}") {
            read(&text);
        }
    }
}
