//! The `tld` filter: the parts of a host's name by the public suffix list, as Logstash's
//! logstash-filter-tld.
//!
//! The list is the one of the crate `psl`, with its rules for private domains (`github.io`).

use super::common::set;
use super::{Filter, Run};
use crate::event::{Batch, Entry, EventId, FieldId, FieldRef, Span, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};

pub(super) static SPEC: Spec = Spec {
    name: "tld",
    summary: "Tells the public suffix, the domain and the subdomain of a host's name.",
    options: &[
        Opt::new("source", Type::Field, Some("message"), "The field with the name."),
        Opt::new("target", Type::Field, Some("tld"), "The field under which the parts are put."),
    ],
    examples: &[Example {
        title: "A name with a subdomain",
        config: r#"tld { source => "host" }"#,
        given: r#"{"host":"www.google.co.uk"}"#,
        then: r#"{"tld":{"tld":"co.uk","sld":"google","trd":"www","domain":"google.co.uk","subdomain":"www.google.co.uk","top_level_domain":"co.uk"}}"#,
    }],
    build: Build::Filter(build),
};

#[derive(Clone)]
struct Tld {
    source: FieldRef,
    target: FieldRef,
    /// The names of the parts.
    keys: [FieldId; 6],
    lower: String,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let field = |name, default| options.field(name).unwrap_or_else(|| FieldRef::of(default));
    let keys = ["tld", "sld", "trd", "domain", "subdomain", "top_level_domain"].map(FieldId::intern);
    Ok(Box::new(Tld { source: field("source", "message"), target: field("target", "tld"), keys, lower: String::new() }))
}

impl Filter for Tld {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            if self.event(batch, event) {
                run.matched.push(event);
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Tld {
    fn event(&mut self, batch: &mut Batch, event: EventId) -> bool {
        let Some(Value::Str(source)) = batch.get(event, &self.source) else { return false };
        let Some(name) = self.normal(batch, source) else { return false };
        let Some(lengths) = lengths(batch.text(name)) else { return false };
        let whole = name.len as usize;
        let (suffix, domain) = (whole - lengths.0, whole - lengths.1);
        let part = |start: usize, end: usize| Value::Str(name.slice(start, end));
        // A name that is a domain has no further parts.
        let sub = domain > 0;
        let tld = part(suffix, whole);
        let values = [
            tld,
            part(domain, suffix - 1),
            if sub { part(0, domain - 1) } else { Value::Null },
            part(domain, whole),
            if sub { part(0, whole) } else { Value::Null },
            tld,
        ];
        let mut entries = [Entry::element(Value::Null); 6];
        for ((entry, key), value) in entries.iter_mut().zip(self.keys).zip(values) {
            *entry = Entry::new(key, value);
        }
        let list = batch.list(&entries);
        set(batch, event, &self.target, Value::Object(list))
    }

    /// The name stripped and in small letters; `None` for what is no name.
    fn normal(&mut self, batch: &mut Batch, source: Span) -> Option<Span> {
        let text = batch.text(source);
        let stripped = text.trim();
        if stripped.is_empty() || stripped.starts_with('.') || stripped.contains("://") {
            return None;
        }
        if stripped.len() == text.len() && !text.chars().any(char::is_uppercase) {
            return Some(source);
        }
        self.lower.clear();
        self.lower.extend(stripped.chars().flat_map(char::to_lowercase));
        Some(batch.push_text(&self.lower))
    }
}

/// The lengths of the suffix and of the domain at the end of a name; `None` where the list has no
/// rule for it, or it is a suffix itself.
fn lengths(name: &str) -> Option<(usize, usize)> {
    let domain = psl::domain(name.as_bytes())?;
    let suffix = domain.suffix();
    suffix.is_known().then(|| (suffix.as_bytes().len(), domain.as_bytes().len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{event, run, shown};

    #[test]
    fn parts() {
        let check = |name: &str, want: &str| {
            let mut batch = Batch::new();
            let event = event(&mut batch, &serde_json::json!({ "message": name }).to_string());
            let matched = run(build, "{}", &mut batch, event);
            assert_eq!(matched, !want.is_empty(), "{name}");
            batch.remove_key(event, FieldId::MESSAGE);
            let want = if want.is_empty() { "{}".to_owned() } else { format!(r#"{{"tld":{want}}}"#) };
            assert_eq!(shown(&batch, event), want, "{name}");
        };
        check(
            "google.com",
            r#"{"tld":"com","sld":"google","trd":null,"domain":"google.com","subdomain":null,"top_level_domain":"com"}"#,
        );
        check(
            " Foo.bar.Google.co.uk ",
            r#"{"tld":"co.uk","sld":"google","trd":"foo.bar","domain":"google.co.uk","subdomain":"foo.bar.google.co.uk","top_level_domain":"co.uk"}"#,
        );
        for none in ["com", "co.uk", "localhost", "host.nosuchtld", "10.0.0.1", "", ".com", "http://a.com", "a b"] {
            check(none, "");
        }
    }
}
