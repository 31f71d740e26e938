//! Where the values of labels come from in an event, and the small numbers that stand for them while
//! a worker counts.
//!
//! Each worker has its own table of values, so nothing is shared and a value that was seen before
//! costs no allocation. The table is bounded by [`VALUES_MAX`]; what does not fit counts as
//! `other`, see [`super::deriver`].

use super::places::Places;
use super::print::Near;
use crate::event::{Batch, Entry, EventId, FieldId, FieldRef, Fields, Span, Template, Value, write_value};
use crate::index::Tier;
use rustc_hash::FxHashMap;

/// Different values of one label that a worker knows at a time.
pub const VALUES_MAX: usize = 16_384;
/// Longer label values count as `other`.
pub const VALUE_BYTES_MAX: usize = 256;
/// Stands for a value that is too long or one too many.
pub const UNKNOWN: u32 = u32::MAX;

/// The level of the event's tier.
pub const LEVEL: &str = "%{[@level]}";
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
            LEVEL => return Text::Level,
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
    /// Where the field stands in events.
    places: Places,
    /// Of levels: where `log` stands, which may have one too.
    log: Places,
    ids: FxHashMap<Box<[u8]>, u32>,
    values: Vec<Box<str>>,
    /// Values seen lately.
    near: Near,
    /// Texts of the events at hand.
    spans: Vec<Span>,
    scratch: Vec<u8>,
}

/// Stands for a value that is to be looked for.
const MISSED: u32 = u32::MAX - 1;
/// Stands for a text that is to be looked for: longer than any.
const NO_TEXT: Span = Span { start: 0, len: u32::MAX };
/// The text of a field that is not there.
const EMPTY: Span = Span { start: 0, len: 0 };

impl Source {
    pub(super) fn new(text: Text, written: &str) -> Source {
        let mut source = Source {
            text,
            written: written.to_owned(),
            places: Places::new(),
            log: Places::new(),
            ids: FxHashMap::default(),
            values: Vec::new(),
            near: Near::new(),
            spans: Vec::new(),
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
        self.near.clear();
        if matches!(self.text, Text::Level) {
            LEVELS.iter().for_each(|level| {
                self.intern(level);
            });
        }
    }

    /// The numbers of events' values, one after the other. The number of a level is that of its
    /// [`Tier`].
    pub(super) fn fill(&mut self, batch: &Batch, events: &[EventId], ids: &mut Vec<u32>) {
        ids.clear();
        match self.text {
            Text::Key(key) => self.fill_near(batch, events, ids, |source, fields| source.text_at(fields, key)),
            Text::Service => {
                let key = service_key();
                self.fill_near(batch, events, ids, |source, fields| source.text_at(fields, key));
            }
            Text::Level => self.fill_near(batch, events, ids, Source::level_at),
            Text::Constant(ref text) => {
                let text = text.clone();
                ids.resize(events.len(), self.intern(&text));
            }
            Text::Field(_) | Text::Template(_) => ids.extend(events.iter().map(|&event| self.id(batch, event))),
        }
    }

    /// [`Source::fill`] where the texts of events mostly stand at one place, and were mostly seen
    /// lately: two short loops, whose rounds do not wait for each other.
    #[inline(always)]
    fn fill_near(
        &mut self,
        batch: &Batch,
        events: &[EventId],
        ids: &mut Vec<u32>,
        text: impl Fn(&Source, Fields) -> Span,
    ) {
        let look = batch.look();
        let mut spans = std::mem::take(&mut self.spans);
        spans.clear();
        spans.extend(events.iter().map(|&event| text(self, look.event(event))));
        let mut missed = false;
        ids.resize(events.len(), MISSED);
        for (id, &span) in ids.iter_mut().zip(&spans) {
            *id = self.near.find(look, span).unwrap_or(MISSED);
            missed |= *id == MISSED;
        }
        self.spans = spans;
        if missed {
            for (id, &event) in ids.iter_mut().zip(events).filter(|(id, _)| **id == MISSED) {
                *id = if matches!(self.text, Text::Level) { self.level(batch, event) } else { self.id(batch, event) };
            }
        }
    }

    /// The text of a top-level field where one would look first, [`NO_TEXT`] where there is another.
    #[inline(always)]
    fn text_at(&self, fields: Fields, key: FieldId) -> Span {
        if fields.names & key.bit() == 0 {
            return EMPTY;
        }
        match self.places.look(fields) {
            Some(Entry { key: at, value: Value::Str(span), .. }) if *at == key => *span,
            _ => NO_TEXT,
        }
    }

    /// The text that says the level of an event, if it stands where one would look first and no field
    /// before it may say another; [`NO_TEXT`] where that takes a closer look.
    #[inline(always)]
    fn level_at(&self, fields: Fields) -> Span {
        let levels = fields.names & FieldId::level_bits();
        if levels == 0 {
            return EMPTY;
        }
        let at = self.places.first(fields.names);
        match fields.get(at) {
            Some(Entry { key, value: Value::Str(span), .. })
                if key.is_level()
                    && !span.is_empty()
                    && (levels == key.bit()
                        || levels == key.bit() | FieldId::LOG.bit() && self.log_stands_behind(at, fields)) =>
            {
                *span
            }
            _ => NO_TEXT,
        }
    }

    #[inline(always)]
    fn log_stands_behind(&self, at: usize, fields: Fields) -> bool {
        let log = self.log.first(fields.names);
        at < log && fields.get(log).is_some_and(|entry| entry.key == FieldId::LOG)
    }

    /// The number of an event's level.
    fn level(&mut self, batch: &Batch, event: EventId) -> u32 {
        let tier = Tier::of_event(batch, event) as u32;
        let fields = batch.look().event(event);
        let names = fields.names;
        if names & FieldId::level_bits() == 0 {
            self.near.learn(b"", tier);
            return tier;
        }
        for (at, field) in batch.fields(event).iter().enumerate() {
            if field.key == FieldId::LOG {
                self.log.learn(names, at);
            } else if field.key.is_level() {
                self.places.learn(names, at);
            }
        }
        let span = self.level_at(fields);
        // Behind a text that names no level others may say it.
        if span.len != NO_TEXT.len && Tier::of_level(batch.text(span)).is_some() {
            self.near.learn(batch.bytes(span), tier);
        }
        tier
    }

    /// The number of an event's value.
    fn id(&mut self, batch: &Batch, event: EventId) -> u32 {
        let value = match &self.text {
            Text::Key(key) => self.places.find(batch, event, *key).copied(),
            Text::Service => match self.places.find(batch, event, service_key()) {
                Some(Value::Object(list)) => {
                    batch.entries(*list).iter().find(|e| e.key == name_key()).map(|entry| entry.value)
                }
                value => value.copied(),
            },
            Text::Field(field) => batch.get(event, field),
            Text::Template(template) => {
                self.scratch.clear();
                template.render_present(batch, event, &mut self.scratch);
                return self.number_of_scratch();
            }
            Text::Level | Text::Constant(_) => None,
        };
        match value {
            Some(Value::Str(span)) => self.number(batch.bytes(span)),
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

    fn number(&mut self, text: &[u8]) -> u32 {
        if let Some(id) = self.near.find_text(text) {
            return id;
        }
        let id = self.find(text);
        if id != UNKNOWN {
            self.near.learn(text, id);
        }
        id
    }

    /// The number of a value that was not seen lately.
    fn find(&mut self, bytes: &[u8]) -> u32 {
        match self.ids.get(bytes) {
            Some(&id) => id,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::event;
    use proptest::prelude::*;

    /// Lines that say a level in one of several places, or seem to; all orders of two fields, so that
    /// what was learned of one misleads about the next.
    const LINES: [&str; 16] = [
        r#"{"level":"INFO","log":{"level":"ERROR"}}"#,
        r#"{"log":{"level":"ERROR"},"level":"INFO"}"#,
        r#"{"level":"DEBUG","log":{"file":"a"}}"#,
        r#"{"log":{"file":"a"},"level":"DEBUG"}"#,
        r#"{"level":"x","log":{"level":"WARN"}}"#,
        r#"{"level":"","log":{"level":"WARN"}}"#,
        r#"{"level":"","a":1}"#,
        r#"{"level":"x"}"#,
        r#"{"level":"ERROR"}"#,
        r#"{"a":1,"level":" error "}"#,
        r#"{"level":"a level whose name is longer than a print is"}"#,
        r#"{"severity":"WARN","level":"DEBUG"}"#,
        r#"{"level":"DEBUG","severity":"WARN"}"#,
        r#"{"level":3,"severity":"WARN"}"#,
        r#"{"log":"INFO","level":"ERROR"}"#,
        r#"{"a":"ERROR"}"#,
    ];

    proptest! {
        #[test]
        fn levels_are_those_of_the_index(picked in prop::collection::vec(0..LINES.len(), 1..60)) {
            let mut source = Source::new(Text::Level, LEVEL);
            let (mut batch, mut ids) = (Batch::new(), Vec::new());
            let events: Vec<EventId> = picked.iter().map(|&at| event(&mut batch, LINES[at])).collect();
            // Parts, as a worker brings them: later ones find what was learned.
            for events in events.chunks(7) {
                source.fill(&batch, events, &mut ids);
                let want: Vec<u32> = events.iter().map(|&event| Tier::of_event(&batch, event) as u32).collect();
                prop_assert_eq!(&ids, &want);
            }
        }

        #[test]
        fn a_column_has_each_events_text(
            lines in prop::collection::vec((0..4_u8, "[ab]{0,2}|[ab]{15,34}", any::<bool>()), 1..80)
        ) {
            let mut batch = Batch::new();
            let line = |(kind, text, first): &(u8, String, bool)| match (kind, first) {
                (0, _) => (format!(r#"{{"b":"{text}"}}"#), String::new()),
                (1, true) => (format!(r#"{{"service":"{text}","b":1}}"#), text.clone()),
                (1, false) => (format!(r#"{{"b":1,"service":"{text}"}}"#), text.clone()),
                (2, _) => (format!(r#"{{"service":{{"name":"{text}"}}}}"#), text.clone()),
                _ => (r#"{"b":2,"service":17}"#.to_owned(), "17".to_owned()),
            };
            let (lines, want): (Vec<String>, Vec<String>) = lines.iter().map(line).unzip();
            let events: Vec<EventId> = lines.iter().map(|line| event(&mut batch, line)).collect();
            let mut source = Source::new(Text::Service, "%{[@service]}");
            let mut ids = Vec::new();
            for (events, want) in events.chunks(16).zip(want.chunks(16)) {
                source.fill(&batch, events, &mut ids);
                let got: Vec<&str> = ids.iter().map(|&id| source.value(id)).collect();
                prop_assert_eq!(got, want);
            }
        }

        #[test]
        fn numbers_are_of_values(values in prop::collection::vec("[a-d]{0,40}", 0..300)) {
            let mut source = Source::new(Text::Key(service_key()), "%{service}");
            for value in &values {
                let id = source.number(value.as_bytes());
                prop_assert_eq!(source.value(id), value);
            }
        }
    }
}
