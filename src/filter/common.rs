//! What filters share: the options that every filter has, and how Logstash's `event.set` and
//! `event.sprintf` behave where a filter names fields.
//!
//! The common options apply to the events on which a filter succeeded, always in the order
//! add_field, remove_field, add_tag, remove_tag (Logstash's `filter_matched`).

use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, Entry, EventId, FieldId, FieldRef, Template, Timestamp, Value, ruby};
use crate::plugin::{Built, Literal, Options, Setting};
use std::borrow::Cow;

/// The name of a field, perhaps made from others: `[a][b]`, `%{kind}_count`.
#[derive(Clone, Debug)]
pub enum Name {
    /// The same for all events.
    Fixed(FieldRef),
    /// Another for each event.
    Rendered(Template),
    /// No field reference; Logstash raises when it is used.
    Bad,
}

impl Name {
    /// A name in which `%{…}` stands for a field's value.
    pub fn new(text: &str) -> Name {
        let template = Template::parse(text);
        if template.constant().is_none() { Name::Rendered(template) } else { Name::plain(text) }
    }

    /// A name as it is.
    pub fn plain(text: &str) -> Name {
        FieldRef::parse(text).map_or(Name::Bad, Name::Fixed)
    }

    /// The reference of a name that is the same for all events.
    pub fn fixed(&self) -> Option<&FieldRef> {
        match self {
            Name::Fixed(field) => Some(field),
            _ => None,
        }
    }

    /// The reference for an event; `None` where it is none.
    pub fn resolve(&self, batch: &mut Batch, event: EventId, scratch: &mut Vec<u8>) -> Option<Cow<'_, FieldRef>> {
        match self {
            Name::Fixed(field) => Some(Cow::Borrowed(field)),
            Name::Rendered(template) => {
                scratch.clear();
                template.render(batch, event, scratch);
                batch.reference(std::str::from_utf8(scratch).ok()?).ok().map(Cow::Owned)
            }
            Name::Bad => None,
        }
    }
}

/// The field that an option names, or one that the filter goes by without it.
pub fn field(options: &Options, name: &str, default: &str) -> FieldRef {
    options.field(name).unwrap_or_else(|| FieldRef::parse(default).expect("BUG: a default is no field reference"))
}

/// The fields that an option lists.
pub fn fields(options: &Options, name: &str) -> Built<Vec<FieldRef>> {
    let (mut fields, mut wrong) = (Vec::new(), Vec::new());
    for setting in options.list(name) {
        match FieldRef::parse(setting.as_str().unwrap_or_default()) {
            Ok(field) => fields.push(field),
            Err(error) => wrong.push(Diagnostic::error(code::FIELD, setting.place, error.to_string())),
        }
    }
    if wrong.is_empty() { Ok(fields) } else { Err(wrong) }
}

/// The tags that an option lists, or those that the filter gives without it.
pub fn tags(options: &Options, name: &str, default: &[&str]) -> Vec<String> {
    match options.has(name) {
        true => options.strings(name),
        false => default.iter().map(|&tag| tag.to_owned()).collect(),
    }
}

/// The template of a setting; what is no text reads as Ruby's `to_s` writes it.
pub fn template(setting: &Setting) -> Template {
    match setting.as_str() {
        Some(text) => Template::parse(text),
        None => {
            let mut out = Vec::new();
            inspect(setting, &mut out);
            Template::parse(&String::from_utf8_lossy(&out))
        }
    }
}

fn inspect(setting: &Setting, out: &mut Vec<u8>) {
    match &setting.value {
        Literal::String(text) => ruby::write_quoted(text, out),
        Literal::Number(_, text) => out.extend_from_slice(text.as_bytes()),
        Literal::Array(elements) => {
            out.push(b'[');
            for (at, element) in elements.iter().enumerate() {
                out.extend_from_slice(if at > 0 { b", " } else { b"" });
                inspect(element, out);
            }
            out.push(b']');
        }
        Literal::Hash(pairs) => {
            out.push(b'{');
            for (at, (key, value)) in pairs.iter().enumerate() {
                out.extend_from_slice(if at > 0 { b", " } else { b"" });
                inspect(key, out);
                out.extend_from_slice(b"=>");
                inspect(value, out);
            }
            out.push(b'}');
        }
        Literal::Plugin(call) => out.extend_from_slice(call.name.as_bytes()),
    }
}

/// The text of a template for an event, as a value.
pub fn render(template: &Template, batch: &mut Batch, event: EventId, scratch: &mut Vec<u8>) -> Value {
    scratch.clear();
    template.render(batch, event, scratch);
    Value::Str(batch.push_bytes(scratch))
}

/// A setting as a value.
pub fn literal(batch: &mut Batch, setting: &Setting) -> Value {
    match &setting.value {
        Literal::String(text) => batch.str(text),
        Literal::Number(number, text) => text.parse().map_or(Value::Float(*number), Value::Int),
        Literal::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(|element| Entry::element(literal(batch, element))).collect();
            Value::Array(batch.list(&elements))
        }
        Literal::Hash(pairs) => {
            let mut members: Vec<Entry> = Vec::with_capacity(pairs.len());
            for (key, value) in pairs {
                let key = FieldId::intern(key.as_str().unwrap_or_default());
                let value = literal(batch, value);
                members.push(Entry::new(key, value));
            }
            Value::Object(batch.list(&members))
        }
        Literal::Plugin(call) => batch.str(&call.name),
    }
}

/// Sets a field as `event.set` does; false where Logstash raises: `@timestamp` takes times only,
/// `tags` texts only, and a text has no members.
#[inline]
pub fn set(batch: &mut Batch, event: EventId, field: &FieldRef, value: Value) -> bool {
    let nested = field.steps().len() > 1;
    let taken = match field.first() {
        FieldId::TIMESTAMP if !nested => matches!(value, Value::Time(_)),
        FieldId::TAGS if nested => false,
        FieldId::TAGS => match value {
            Value::Null | Value::Str(_) => true,
            Value::Array(list) => batch.entries(list).iter().all(|e| matches!(e.value, Value::Str(_))),
            _ => false,
        },
        _ => true,
    };
    taken && batch.set(event, field, value)
}

/// An event made of nothing but the time, as Logstash's `Event.new`.
pub fn new_event(batch: &mut Batch, now: Timestamp) -> EventId {
    let event = batch.new_event();
    stamp(batch, event, now);
    event
}

/// Gives an event what each has: `@timestamp` and `@version`, unless they are there.
pub fn stamp(batch: &mut Batch, event: EventId, now: Timestamp) {
    if batch.get_key(event, FieldId::TIMESTAMP).is_none() {
        batch.set_key(event, FieldId::TIMESTAMP, Value::Time(now));
    }
    if batch.get_key(event, FieldId::VERSION).is_none() {
        let version = batch.str("1");
        batch.set_key(event, FieldId::VERSION, version);
    }
}

/// Whether an event has a field, as `event.include?`: null counts, except in an array.
pub fn includes(batch: &Batch, event: EventId, field: &FieldRef) -> bool {
    let steps = field.steps();
    let Some(mut value) = batch.get_key(event, field.first()) else { return false };
    for (at, step) in steps.iter().enumerate().skip(1) {
        let last = at + 1 == steps.len();
        value = match value {
            Value::Object(list) => match batch.entries(list).iter().find(|e| e.key == step.key) {
                Some(entry) => entry.value,
                None => return false,
            },
            Value::Array(list) => {
                let index = step.index.map(|i| if i < 0 { list.len() as i64 + i64::from(i) } else { i.into() });
                let element = index.and_then(|i| batch.entries(list).get(usize::try_from(i).ok()?));
                match element {
                    Some(entry) if !(last && entry.value == Value::Null) => entry.value,
                    _ => return false,
                }
            }
            _ => return false,
        };
    }
    true
}

/// The options add_field, remove_field, add_tag and remove_tag of one filter.
#[derive(Clone, Debug, Default)]
pub struct Common {
    add_field: Vec<(Name, Vec<Template>)>,
    remove_field: Vec<Name>,
    add_tag: Vec<Template>,
    remove_tag: Vec<Template>,
}

impl From<&Options> for Common {
    fn from(options: &Options) -> Common {
        let templates = |name| options.list(name).iter().map(template).collect();
        let add_field = options.hash("add_field").iter().map(|(name, value)| {
            let values = value.elements().iter().map(template).collect();
            (Name::new(name.as_str().unwrap_or_default()), values)
        });
        Common {
            add_field: add_field.collect(),
            remove_field: options.strings("remove_field").iter().map(|name| Name::new(name)).collect(),
            add_tag: templates("add_tag"),
            remove_tag: templates("remove_tag"),
        }
    }
}

impl Common {
    /// The `add_field` of an input: inputs add tags by an option of their own.
    pub fn of_input(options: &Options) -> Common {
        Common { add_tag: Vec::new(), remove_field: Vec::new(), remove_tag: Vec::new(), ..Common::from(options) }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.add_field.is_empty()
            && self.remove_field.is_empty()
            && self.add_tag.is_empty()
            && self.remove_tag.is_empty()
    }

    /// Applies them to events on which the filter succeeded.
    pub fn apply(&self, batch: &mut Batch, events: &[EventId]) {
        if self.is_empty() || events.is_empty() {
            return;
        }
        let mut scratch = Vec::new();
        for (name, values) in &self.add_field {
            let constants: Vec<_> = values.iter().map(|value| constant(batch, value)).collect();
            for &event in events {
                let Some(field) = name.resolve(batch, event, &mut scratch) else { continue };
                for (template, constant) in values.iter().zip(&constants) {
                    let value = constant.unwrap_or_else(|| render(template, batch, event, &mut scratch));
                    add(batch, event, &field, value);
                }
            }
        }
        for name in &self.remove_field {
            for &event in events {
                if let Some(field) = name.resolve(batch, event, &mut scratch) {
                    batch.remove(event, &field);
                }
            }
        }
        for template in &self.add_tag {
            let constant = constant(batch, template);
            for &event in events {
                let tag = constant.unwrap_or_else(|| render(template, batch, event, &mut scratch));
                batch.append_tag(event, tag);
            }
        }
        if !self.remove_tag.is_empty() {
            events.iter().for_each(|&event| self.remove_tags(batch, event, &mut scratch));
        }
    }

    fn remove_tags(&self, batch: &mut Batch, event: EventId, scratch: &mut Vec<u8>) {
        let mut list = match batch.get_key(event, FieldId::TAGS) {
            None | Some(Value::Null | Value::Bool(false)) => return,
            Some(Value::Array(list)) => list,
            Some(one) => {
                let list = batch.list(&[Entry::element(one)]);
                batch.set_key(event, FieldId::TAGS, Value::Array(list));
                list
            }
        };
        let mut kept: Vec<Entry> = Vec::new();
        for template in &self.remove_tag {
            scratch.clear();
            template.render(batch, event, scratch);
            let is_tag = |entry: &&Entry| matches!(entry.value, Value::Str(span) if batch.bytes(span) == *scratch);
            if !batch.entries(list).iter().any(|entry| is_tag(&entry)) {
                continue;
            }
            kept.clear();
            kept.extend(batch.entries(list).iter().filter(|entry| !is_tag(entry)));
            list = batch.list(&kept);
            batch.set_key(event, FieldId::TAGS, Value::Array(list));
        }
    }
}

/// A text that is the same for all events is stored once per batch.
fn constant(batch: &mut Batch, template: &Template) -> Option<Value> {
    template.constant().map(|text| batch.str(text))
}

/// Sets a field that is not there; else appends to it, as Ruby's `Array(old) << value`.
fn add(batch: &mut Batch, event: EventId, field: &FieldRef, value: Value) {
    // Logstash stops the pipeline here; an event without the field is the smaller harm.
    if field.first() == FieldId::TIMESTAMP && field.steps().len() == 1 {
        return;
    }
    match batch.get(event, field) {
        None => {
            set(batch, event, field, value);
        }
        Some(Value::Object(list)) => {
            let mut pairs = Vec::with_capacity(list.len() + 1);
            for at in 0..list.len() {
                let entry = batch.entries(list)[at];
                let name = batch.name(entry.key).to_owned();
                let name = batch.str(&name);
                let pair = batch.list(&[Entry::element(name), Entry::element(entry.value)]);
                pairs.push(Entry::element(Value::Array(pair)));
            }
            pairs.push(Entry::element(value));
            let list = batch.list(&pairs);
            set(batch, event, field, Value::Array(list));
        }
        Some(_) => {
            batch.append(event, field, value);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::diagnostic::Place;
    use crate::event::json::{self, Decoded, Parser};
    use crate::filter::{Filter, Run};
    use crate::plugin::{Built, Context};

    /// Options as the checker hands them over, from JSON.
    pub(crate) fn options(json: &str) -> Options {
        let serde_json::Value::Object(members) = serde_json::from_str(json).unwrap() else { panic!("no object") };
        let settings = members.into_iter().map(|(name, value)| (name, Place::default(), setting(value)));
        Options { settings: settings.collect(), place: Place::default() }
    }

    fn setting(value: serde_json::Value) -> Setting {
        let text = |text: String| Setting { value: Literal::String(text), place: Place::default() };
        let value = match value {
            serde_json::Value::Number(n) => Literal::Number(n.as_f64().unwrap(), n.to_string()),
            serde_json::Value::Array(elements) => Literal::Array(elements.into_iter().map(setting).collect()),
            serde_json::Value::Object(pairs) => {
                Literal::Hash(pairs.into_iter().map(|(key, value)| (text(key), setting(value))).collect())
            }
            serde_json::Value::String(string) => Literal::String(string),
            other => Literal::String(other.to_string()),
        };
        Setting { value, place: Place::default() }
    }

    /// An event from JSON.
    pub(crate) fn event(batch: &mut Batch, json: &str) -> EventId {
        let span = batch.push_text(json);
        match Parser::default().parse_event(batch, span) {
            Ok(Decoded::Event(event)) => event,
            other => panic!("{json}: {other:?}"),
        }
    }

    /// An event as JSON.
    pub(crate) fn shown(batch: &Batch, event: EventId) -> String {
        let mut out = Vec::new();
        json::write_event(batch, event, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// What constructors are told.
    pub(crate) fn context() -> Context {
        let (pipeline, id) = ("main".to_owned(), "test".to_owned());
        Context {
            pipeline,
            id,
            ecs: true,
            data: Default::default(),
            check_only: false,
            index: None,
            stats: None,
            derived: Default::default(),
            links: Default::default(),
        }
    }

    /// Builds a filter, runs it on one event and says whether it succeeded.
    pub(crate) fn run(
        build: fn(&Options, &Context) -> Built<Box<dyn Filter>>,
        settings: &str,
        batch: &mut Batch,
        event: EventId,
    ) -> bool {
        let mut filter = build(&options(settings), &context()).unwrap_or_else(|wrong| panic!("{settings}: {wrong:?}"));
        let (mut matched, mut created) = (Vec::new(), Vec::new());
        let now = Timestamp::new(1_466_000_000, 0);
        filter.run(batch, &mut Run { events: &[event], matched: &mut matched, created: &mut created, now });
        matched == [event]
    }

    fn check(settings: &str, before: &str, after: &str) {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        Common::from(&options(settings)).apply(&mut batch, &[event]);
        assert_eq!(shown(&batch, event), after, "{settings} on {before}");
    }

    #[test]
    fn add_field() {
        check(r#"{"add_field":{"a":"x"}}"#, r#"{"b":1}"#, r#"{"b":1,"a":"x"}"#);
        check(r#"{"add_field":{"a":"2"}}"#, r#"{"a":"1"}"#, r#"{"a":["1","2"]}"#);
        check(r#"{"add_field":{"a":["1","%{b}"]}}"#, r#"{"b":"2"}"#, r#"{"b":"2","a":["1","2"]}"#);
        check(r#"{"add_field":{"%{k}_x":"%{v}"}}"#, r#"{"k":"key","v":7}"#, r#"{"k":"key","v":7,"key_x":"7"}"#);
        check(r#"{"add_field":{"[x][y][z]":"1"}}"#, r#"{}"#, r#"{"x":{"y":{"z":"1"}}}"#);
        check(r#"{"add_field":{"a":"x"}}"#, r#"{"a":null}"#, r#"{"a":["x"]}"#);
        check(r#"{"add_field":{"a":"x"}}"#, r#"{"a":{"b":1}}"#, r#"{"a":[["b",1],"x"]}"#);
        check(r#"{"add_field":{"a":["x","%{a}"]}}"#, r#"{}"#, r#"{"a":["x","x"]}"#);
        check(r#"{"add_field":{"[@metadata][a]":"x","b":"%{[@metadata][a]}"}}"#, r#"{}"#, r#"{"b":"x"}"#);
        check(r#"{"add_field":{"[[bad":"x"}}"#, r#"{"a":1}"#, r#"{"a":1}"#);
    }

    #[test]
    fn remove_field() {
        check(r#"{"remove_field":["a","[n][a]"]}"#, r#"{"a":1,"n":{"a":1,"b":2}}"#, r#"{"n":{"b":2}}"#);
        check(r#"{"remove_field":"%{w}"}"#, r#"{"w":"x","x":1}"#, r#"{"w":"x"}"#);
        check(r#"{"remove_field":["[l][-1]","no"]}"#, r#"{"l":[1,2,3]}"#, r#"{"l":[1,2]}"#);
    }

    #[test]
    fn tags() {
        check(r#"{"add_tag":["a","%{x}"]}"#, r#"{"tags":["a"],"x":"b"}"#, r#"{"tags":["a","a","b"],"x":"b"}"#);
        check(r#"{"add_tag":"b"}"#, r#"{"tags":"a"}"#, r#"{"tags":["a","b"]}"#);
        check(r#"{"remove_tag":["a","%{x}"]}"#, r#"{"tags":["a","b","c","a"],"x":"b"}"#, r#"{"tags":["c"],"x":"b"}"#);
        check(r#"{"remove_tag":["a"]}"#, r#"{"tags":"a"}"#, r#"{"tags":[]}"#);
        check(r#"{"remove_tag":["a"]}"#, r#"{"b":1}"#, r#"{"b":1}"#);
    }

    #[test]
    fn the_order_is_fixed() {
        check(
            r#"{"add_tag":["t-%{a}"],"remove_tag":"t-x","add_field":{"b":"%{a}"},"remove_field":"a"}"#,
            r#"{"a":"1"}"#,
            r#"{"b":"1","tags":["t-%{a}"]}"#,
        );
    }
}
