//! What every event gets where it has none: `@timestamp`, `@version`, its origin's fields, and
//! the input's `type`, `tags` and `add_field` (Logstash's `Event` constructor and
//! `LogStash::Inputs::Base#decorate`).

use crate::event::{Batch, Entry, EventId, FieldId, Timestamp, Value};
use crate::filter::common::Common;
use crate::plugin::Options;

/// The defaults of one input.
#[derive(Clone)]
pub(super) struct Defaults {
    kind: Option<String>,
    tags: Vec<String>,
    add_field: Common,
    /// For each origin of the batch at hand the fields that its events get, shared by all;
    /// behind them those of events without an origin.
    rows: Vec<Row>,
}

/// Top-level fields, and the bits of their keys.
#[derive(Clone, Default)]
struct Row {
    fields: Vec<Entry>,
    bits: u64,
}

impl Row {
    fn push(&mut self, key: FieldId, value: Value) {
        if self.fields.iter().any(|e| e.key == key) {
            return;
        }
        self.fields.push(Entry::new(key, value));
        self.bits |= key.bit();
    }
}

impl Defaults {
    pub(super) fn new(options: &Options) -> Defaults {
        Defaults {
            kind: options.str("type").map(str::to_owned),
            tags: options.strings("tags"),
            add_field: Common::of_input(options),
            rows: Vec::new(),
        }
    }

    /// Makes ready for a batch, so that all values are made once.
    pub(super) fn begin(&mut self, batch: &mut Batch, now: Timestamp) {
        let at = Value::Time(batch.read_at.unwrap_or(now));
        let version = batch.str("1");
        let kind = self.kind.as_ref().map(|kind| batch.str(kind));
        self.rows.resize_with(batch.origins.len() + 1, Row::default);
        for (number, row) in self.rows.iter_mut().enumerate() {
            row.bits = 0;
            row.fields.clear();
            row.push(FieldId::TIMESTAMP, at);
            row.push(FieldId::VERSION, version);
            if let Some(origin) = batch.origins.get(number).cloned() {
                // A scratch event builds nested fields; only its root's values are kept.
                let scratch = batch.new_event();
                for (field, text) in &origin.fields {
                    let value = batch.str(text);
                    batch.set(scratch, field, value);
                }
                for (field, number) in &origin.numbers {
                    batch.set(scratch, field, Value::Int(*number));
                }
                batch.cancel(scratch);
                batch.fields(scratch).iter().for_each(|e| row.push(e.key, e.value));
            }
            if let Some(kind) = kind {
                row.push(FieldId::TYPE, kind);
            }
        }
    }

    /// Fills in the events that one frame of `origin` gave; `u32::MAX` is none.
    pub(super) fn apply(&mut self, batch: &mut Batch, events: &[EventId], origin: u32) {
        let row = &self.rows[(origin as usize).min(self.rows.len() - 1)];
        for &event in events {
            if batch.names(event) & row.bits == 0 {
                batch.extend(event, &row.fields, row.bits);
            } else {
                row.fields.iter().for_each(|entry| merge(batch, event, entry.key, entry.value));
            }
            for tag in &self.tags {
                batch.tag(event, tag);
            }
        }
        self.add_field.apply(batch, events);
    }
}

/// Sets a top-level field where it is missing; a hash is merged, members that are there win.
fn merge(batch: &mut Batch, event: EventId, key: FieldId, value: Value) {
    match (batch.get_key(event, key), value) {
        (None, _) => batch.set_key(event, key, value),
        (Some(Value::Object(old)), Value::Object(new)) => {
            let merged = batch.merged(old, new);
            if merged.len() > old.len() {
                batch.set_key(event, key, Value::Object(merged));
            }
        }
        _ => {}
    }
}
