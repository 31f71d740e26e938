//! Between values of events and values of code, and what code does to an event.

use crate::event::joda::{parse_iso8601, write_iso8601};
use crate::event::{Batch, Entry, EventId, FieldId, Timestamp, Value};
use crate::filter::common::{includes, set, stamp};
use crate::script::{self, DEPTH_MAX, Hash, Host, Outcome};

/// An event, for code.
pub(super) struct Target<'a> {
    pub(super) batch: &'a mut Batch,
    pub(super) event: EventId,
    pub(super) created: &'a mut Vec<EventId>,
    pub(super) now: Timestamp,
    /// Where `map_meta.timeout` and `map_meta.inactivity_timeout` go.
    pub(super) meta: Option<(&'a mut Option<f64>, &'a mut Option<f64>)>,
}

impl Host for Target<'_> {
    fn get(&mut self, field: &str) -> Outcome {
        let field = self.batch.reference(field).map_err(|error| error.to_string())?;
        Ok(self.batch.get(self.event, &field).map_or(script::Value::Nil, |value| to_script(self.batch, value)))
    }

    fn set(&mut self, field: &str, value: &script::Value) -> Outcome<()> {
        let reference = self.batch.reference(field).map_err(|error| error.to_string())?;
        let value = from_script(self.batch, value, 0)?;
        if set(self.batch, self.event, &reference, value) { Ok(()) } else { Err(format!("cannot set {field}")) }
    }

    fn remove(&mut self, field: &str) -> Outcome {
        let field = self.batch.reference(field).map_err(|error| error.to_string())?;
        let removed = self.batch.remove(self.event, &field);
        Ok(removed.map_or(script::Value::Nil, |value| to_script(self.batch, value)))
    }

    fn includes(&mut self, field: &str) -> Outcome<bool> {
        let field = self.batch.reference(field).map_err(|error| error.to_string())?;
        Ok(includes(self.batch, self.event, &field))
    }

    fn tag(&mut self, tag: &str) {
        self.batch.tag(self.event, tag);
    }

    fn cancel(&mut self) {
        self.batch.cancel(self.event);
    }

    fn timestamp(&mut self) -> Option<Timestamp> {
        self.batch.timestamp(self.event)
    }

    fn create(&mut self, members: &script::Value) -> Outcome<()> {
        if !matches!(members, script::Value::Hash(_)) {
            return Err("an event is made of a hash".to_owned());
        }
        let made = event(members, self.batch, self.now);
        self.created.push(made);
        Ok(())
    }

    fn meta(&mut self, name: &str, value: &script::Value) -> Outcome<()> {
        let seconds = match value {
            script::Value::Nil => None,
            value => Some(value.number().ok_or_else(|| format!("map_meta.{name} must be a number"))?),
        };
        if let Some((timeout, inactivity)) = &mut self.meta {
            **(if name == "timeout" { timeout } else { inactivity }) = seconds;
        }
        Ok(())
    }
}

/// A new event of the members of a hash, as Logstash's `Event.new`.
pub(super) fn event(members: &script::Value, batch: &mut Batch, now: Timestamp) -> EventId {
    let event = batch.new_event();
    if let Ok(Value::Object(members)) = from_script(batch, members, 0) {
        for at in 0..members.len() {
            let Entry { key, value, .. } = batch.entries(members)[at];
            let time = match (key, value) {
                (FieldId::TIMESTAMP, Value::Str(text)) => parse_iso8601(batch.text(text)).map(Value::Time),
                (FieldId::TIMESTAMP, Value::Time(_)) => Some(value),
                (FieldId::TIMESTAMP, _) => None,
                _ => Some(value),
            };
            if let Some(value) = time {
                batch.set_key(event, key, value);
            }
        }
    }
    stamp(batch, event, now);
    event
}

/// A value of an event for code: a copy.
pub(super) fn to_script(batch: &Batch, value: Value) -> script::Value {
    match value {
        Value::Null => script::Value::Nil,
        Value::Bool(b) => script::Value::Bool(b),
        Value::Int(n) => script::Value::Int(n),
        Value::Uint(_) | Value::Big(_) => script::Value::Float(batch.number(value).unwrap_or(f64::NAN)),
        Value::Float(n) => script::Value::Float(n),
        Value::Str(span) => script::Value::text(batch.text(span)),
        Value::Time(at) => script::Value::Time(at),
        Value::Array(list) => {
            script::Value::array(batch.entries(list).iter().map(|entry| to_script(batch, entry.value)).collect())
        }
        Value::Object(list) => {
            let mut hash = Hash::default();
            for entry in batch.entries(list) {
                hash.set(script::Key::Text(batch.name(entry.key).into()), to_script(batch, entry.value));
            }
            script::Value::hash(hash)
        }
    }
}

/// A value of code for an event.
pub(super) fn from_script(batch: &mut Batch, value: &script::Value, depth: usize) -> Outcome<Value> {
    if depth > DEPTH_MAX {
        return Err("nested too deep for an event".to_owned());
    }
    Ok(match value {
        script::Value::Nil => Value::Null,
        script::Value::Bool(b) => Value::Bool(*b),
        script::Value::Int(n) => Value::Int(*n),
        script::Value::Float(n) => Value::Float(*n),
        script::Value::Text(text) | script::Value::Symbol(text) => batch.str(text),
        script::Value::Event(_) => return Err("an event can't be the value of a field".to_owned()),
        script::Value::Time(at) => Value::Time(*at),
        script::Value::Array(list) => {
            let list = list.lock().clone();
            let mut entries = Vec::with_capacity(list.len());
            for element in &list {
                entries.push(Entry::element(from_script(batch, element, depth + 1)?));
            }
            Value::Array(batch.list(&entries))
        }
        script::Value::Hash(hash) => {
            let hash = hash.lock().clone();
            let mut entries = Vec::with_capacity(hash.entries().len());
            for (key, value) in hash.entries() {
                let key = batch.key(&key.value().to_text());
                let value = from_script(batch, value, depth + 1)?;
                // Keys that differ in kind alone become one.
                entries.retain(|entry: &Entry| entry.key != key);
                entries.push(Entry::new(key, value));
            }
            Value::Object(batch.list(&entries))
        }
    })
}

/// A value of code as JSON; what is too deep is null.
pub(super) fn to_json(value: &script::Value, depth: usize) -> serde_json::Value {
    match value {
        _ if depth > DEPTH_MAX => serde_json::Value::Null,
        script::Value::Nil => serde_json::Value::Null,
        script::Value::Bool(b) => (*b).into(),
        script::Value::Int(n) => (*n).into(),
        script::Value::Float(n) => (*n).into(),
        script::Value::Text(text) | script::Value::Symbol(text) => text.as_ref().into(),
        script::Value::Event(_) => serde_json::Value::Null,
        script::Value::Time(at) => {
            let mut text = Vec::new();
            write_iso8601(*at, &mut text);
            String::from_utf8_lossy(&text).into()
        }
        script::Value::Array(list) => list.lock().clone().iter().map(|element| to_json(element, depth + 1)).collect(),
        script::Value::Hash(hash) => {
            let hash = hash.lock().clone();
            let members = hash.entries().iter().map(|(key, value)| (key.value().to_text(), to_json(value, depth + 1)));
            serde_json::Value::Object(members.collect())
        }
    }
}

/// JSON as a value of code.
pub(super) fn from_json(value: &serde_json::Value) -> script::Value {
    match value {
        serde_json::Value::Null => script::Value::Nil,
        serde_json::Value::Bool(b) => script::Value::Bool(*b),
        serde_json::Value::Number(n) => {
            n.as_i64().map_or_else(|| script::Value::Float(n.as_f64().unwrap_or_default()), script::Value::Int)
        }
        serde_json::Value::String(text) => script::Value::text(text),
        serde_json::Value::Array(list) => script::Value::array(list.iter().map(from_json).collect()),
        serde_json::Value::Object(members) => {
            let mut hash = Hash::default();
            members
                .iter()
                .for_each(|(name, value)| hash.set(script::Key::Text(name.as_str().into()), from_json(value)));
            script::Value::hash(hash)
        }
    }
}
