//! What every event gets where it has none: `@timestamp`, `@version`, its origin's fields, and
//! the input's `type`, `tags` and `add_field` (Logstash's `Event` constructor and
//! `LogStash::Inputs::Base#decorate`).

use crate::event::{Batch, EventId, FieldId, Timestamp, Value};
use crate::filter::common::Common;
use crate::plugin::Options;

/// The defaults of one input.
#[derive(Clone)]
pub(super) struct Defaults {
    kind: Option<String>,
    tags: Vec<String>,
    add_field: Common,
    /// For each origin of the batch at hand: its fields as top-level values, shared by all
    /// its events.
    origins: Vec<Vec<(FieldId, Value)>>,
    version: Value,
    /// `kind` in the batch at hand.
    kind_value: Option<Value>,
}

impl Defaults {
    pub(super) fn new(options: &Options) -> Defaults {
        Defaults {
            kind: options.str("type").map(str::to_owned),
            tags: options.strings("tags"),
            add_field: Common::of_input(options),
            origins: Vec::new(),
            version: Value::Null,
            kind_value: None,
        }
    }

    /// Makes ready for a batch: origin fields become values once.
    pub(super) fn begin(&mut self, batch: &mut Batch) {
        self.origins.clear();
        self.version = batch.str("1");
        self.kind_value = self.kind.as_ref().map(|kind| batch.str(kind));
        for at in 0..batch.origins.len() {
            let origin = batch.origins[at].clone();
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
            self.origins.push(batch.fields(scratch).iter().map(|e| (e.key, e.value)).collect());
        }
    }

    /// Fills in the events that one frame of `origin` gave.
    pub(super) fn apply(&mut self, batch: &mut Batch, events: &[EventId], origin: u32, now: Timestamp) {
        let at = Value::Time(batch.read_at.unwrap_or(now));
        for &event in events {
            if batch.get_key(event, FieldId::TIMESTAMP).is_none() {
                batch.set_key(event, FieldId::TIMESTAMP, at);
            }
            if batch.get_key(event, FieldId::VERSION).is_none() {
                batch.set_key(event, FieldId::VERSION, self.version);
            }
            if let Some(fields) = self.origins.get(origin as usize) {
                for &(key, value) in fields {
                    merge(batch, event, key, value);
                }
            }
            if let Some(kind) = self.kind_value
                && batch.get_key(event, FieldId::TYPE).is_none()
            {
                batch.set_key(event, FieldId::TYPE, kind);
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
