//! Where the values of labels and metrics come from in an event, and the small numbers that stand
//! for label values while a worker counts.
//!
//! Each worker has its own table of values, so nothing is shared and a value that was seen before
//! costs no allocation. The table is bounded by [`VALUES_MAX`]; what does not fit counts as
//! `other`, see [`super::deriver`].

use crate::event::{Batch, EventId, FieldId, FieldRef, Template, Timestamp, Value, write_value};
use crate::index::Tier;
use rustc_hash::FxHashMap;

/// Different values of one label that a worker knows at a time.
pub const VALUES_MAX: usize = 16_384;
/// Longer label values count as `other`.
pub const VALUE_BYTES_MAX: usize = 256;
/// Stands for a value that is too long or one too many.
pub const UNKNOWN: u32 = u32::MAX;

/// `[@level]`: the level of the event's tier.
pub const LEVEL: &str = "[@level]";
/// `[@service]`: `service`, or `[service][name]` where that is a hash.
pub const SERVICE: &str = "[@service]";
/// `[@error]`: 1 for an event of level ERROR, else 0.
pub const ERROR: &str = "[@error]";

/// The label values of [`Tier::ALL`].
const LEVELS: [&str; Tier::ALL.len()] = ["ERROR", "WARN", "INFO", "DEBUG"];

/// Where the text of a label comes from.
#[derive(Clone, Debug)]
pub enum Text {
    /// The level of the event's tier.
    Level,
    /// `service`, or `[service][name]`.
    Service,
    /// A top-level field.
    Key(FieldId),
    /// Any other field.
    Field(FieldRef),
    /// A text around fields.
    Template(Template),
    /// Always the same.
    Constant(String),
}

impl Text {
    /// Reads what stands in the configuration; a field that an event lacks is empty.
    pub fn parse(text: &str) -> Text {
        match text {
            "%{[@level]}" => return Text::Level,
            "%{[@service]}" => return Text::Service,
            _ => {}
        }
        let template = Template::parse(text);
        if let Some(constant) = template.constant() {
            return Text::Constant(constant.to_owned());
        }
        match template.single_field() {
            Some(field) if field.steps().len() == 1 => Text::Key(field.first()),
            Some(field) => Text::Field(field.clone()),
            None => Text::Template(template),
        }
    }
}

/// A source of label values, with the numbers of those that were seen.
pub(super) struct Source {
    text: Text,
    /// As written: sources of one text are one source.
    pub(super) written: String,
    /// Where the field stood in the last event.
    at: usize,
    ids: FxHashMap<Box<[u8]>, u32>,
    values: Vec<Box<str>>,
    last: u32,
    scratch: Vec<u8>,
}

impl Source {
    pub(super) fn new(text: Text, written: &str) -> Source {
        let mut source = Source {
            text,
            written: written.to_owned(),
            at: 0,
            ids: FxHashMap::default(),
            values: Vec::new(),
            last: UNKNOWN,
            scratch: Vec::new(),
        };
        source.clear();
        source
    }

    pub(super) fn fork(&self) -> Source {
        Source::new(self.text.clone(), &self.written)
    }

    /// Forgets all values.
    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.values.clear();
        self.last = UNKNOWN;
        if matches!(self.text, Text::Level) {
            LEVELS.iter().for_each(|level| {
                self.intern(level);
            });
        }
    }

    /// The number of an event's value. `tier` is that of the event, if anybody asks.
    #[inline]
    pub(super) fn id(&mut self, batch: &Batch, event: EventId, tier: Tier) -> u32 {
        let value = match &self.text {
            Text::Level => return tier as u32,
            Text::Constant(_) => {
                if self.last == UNKNOWN {
                    let Text::Constant(text) = &self.text else { return UNKNOWN };
                    let text = text.clone();
                    self.last = self.intern(&text);
                }
                return self.last;
            }
            Text::Key(key) => find(batch, event, *key, &mut self.at),
            Text::Service => match find(batch, event, service_key(), &mut self.at) {
                Some(Value::Object(list)) => {
                    batch.entries(list).iter().find(|e| e.key == name_key()).map(|entry| entry.value)
                }
                value => value,
            },
            Text::Field(field) => batch.get(event, field),
            Text::Template(template) => {
                self.scratch.clear();
                template.render_present(batch, event, &mut self.scratch);
                return self.number_of_scratch();
            }
        };
        match value {
            Some(Value::Str(span)) => {
                let bytes = batch.bytes(span);
                if self.last != UNKNOWN && *self.values[self.last as usize].as_bytes() == *bytes {
                    return self.last;
                }
                self.number(bytes)
            }
            None | Some(Value::Null) => self.number(b""),
            Some(value) => {
                self.scratch.clear();
                write_value(batch, value, &mut self.scratch);
                self.number_of_scratch()
            }
        }
    }

    fn number_of_scratch(&mut self) -> u32 {
        let scratch = std::mem::take(&mut self.scratch);
        let id = self.number(&scratch);
        self.scratch = scratch;
        id
    }

    #[inline]
    fn number(&mut self, bytes: &[u8]) -> u32 {
        match self.ids.get(bytes) {
            Some(&id) => {
                self.last = id;
                id
            }
            None => self.add(bytes),
        }
    }

    #[cold]
    fn add(&mut self, bytes: &[u8]) -> u32 {
        if bytes.len() > VALUE_BYTES_MAX || self.values.len() >= VALUES_MAX {
            return UNKNOWN;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => self.intern(text),
            Err(_) => UNKNOWN,
        }
    }

    /// The number of a text, a new one if need be.
    pub(super) fn intern(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.ids.get(text.as_bytes()) {
            return id;
        }
        let id = self.values.len() as u32;
        self.values.push(text.into());
        self.ids.insert(text.as_bytes().into(), id);
        id
    }

    /// The text of a number.
    pub(super) fn value(&self, id: u32) -> &str {
        &self.values[id as usize]
    }
}

fn service_key() -> FieldId {
    static KEY: std::sync::LazyLock<FieldId> = std::sync::LazyLock::new(|| FieldId::intern("service"));
    *KEY
}

fn name_key() -> FieldId {
    static KEY: std::sync::LazyLock<FieldId> = std::sync::LazyLock::new(|| FieldId::intern("name"));
    *KEY
}

/// A top-level field, looked for first where it stood in the event before: lines repeat the order
/// of their fields.
#[inline]
fn find(batch: &Batch, event: EventId, key: FieldId, at: &mut usize) -> Option<Value> {
    let fields = batch.fields(event);
    if let Some(entry) = fields.get(*at)
        && entry.key == key
    {
        return Some(entry.value);
    }
    let found = fields.iter().position(|entry| entry.key == key)?;
    *at = found;
    Some(fields[found].value)
}

/// Where the number of a metric comes from.
#[derive(Clone, Debug)]
pub enum Number {
    /// Each event is worth 1.
    One,
    /// 1 for an event of level ERROR, else 0.
    Error,
    /// A field.
    Field(FieldRef),
}

impl Number {
    /// The number of an event; `None` where it has none. `at` is where the field stood last.
    #[inline]
    pub(super) fn read(&self, batch: &Batch, event: EventId, tier: Tier, at: &mut usize) -> Option<f64> {
        let value = match self {
            Number::One => return Some(1.0),
            Number::Error => return Some(f64::from(tier == Tier::Error)),
            Number::Field(field) if field.steps().len() == 1 => find(batch, event, field.first(), at)?,
            Number::Field(field) => batch.get(event, field)?,
        };
        match value {
            Value::Str(span) => batch.text(span).trim().parse().ok(),
            Value::Bool(truth) => Some(f64::from(truth)),
            Value::Time(at) => Some(seconds(at)),
            value => value.as_number(),
        }
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.seconds() as f64 + f64::from(at.subsec_nanos()) / 1e9
}
