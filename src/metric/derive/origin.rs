//! Which fields of events a metric is made of, so that whoever sees its series can find the events.

use super::{Definition, Number, Text};
use crate::event::FieldRef;
use std::collections::BTreeMap;

/// Fields that one label of a family is known to come from.
const FIELDS_MAX: usize = 8;

/// Where something of an event stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// The level of its tier.
    Level,
    /// `service`, or `service.name`.
    Service,
    /// A field, its names joined by dots as a search has them.
    Field(String),
}

/// What the series of a family were made of, over all definitions of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// By label: where its values stand. Labels whose values stand in no event as such are missing.
    pub labels: BTreeMap<String, Vec<Part>>,
    /// Where the values of the metric stand; none for those that count events.
    pub values: Vec<Part>,
}

impl Origin {
    /// Takes in one more definition.
    pub(super) fn add(&mut self, definition: &Definition) {
        for (label, text, _) in &definition.labels {
            let Some(part) = of_text(text) else { continue };
            let parts = self.labels.entry(label.clone()).or_default();
            if !parts.contains(&part) && parts.len() < FIELDS_MAX {
                parts.push(part);
            }
        }
        let part = match &definition.number {
            Number::One => None,
            Number::Error => Some(Part::Level),
            Number::Field(field) => of_field(field),
        };
        if let Some(part) = part.filter(|part| !self.values.contains(part))
            && self.values.len() < FIELDS_MAX
        {
            self.values.push(part);
        }
    }
}

fn of_text(text: &Text) -> Option<Part> {
    match text {
        Text::Level => Some(Part::Level),
        Text::Service => Some(Part::Service),
        Text::Key(key) => stored(key.known()).then(|| Part::Field(key.known().to_owned())),
        Text::Field(field) => of_field(field),
        // Put together from several, or from none.
        Text::Template(_) | Text::Constant(_) => None,
    }
}

fn of_field(field: &FieldRef) -> Option<Part> {
    // Elements of a list are no fields of their own there.
    let plain = field.steps().iter().all(|step| step.index.is_none());
    let names: Vec<&str> = field.steps().iter().map(|step| step.key.known()).collect();
    (plain && names.first().is_some_and(|name| stored(name))).then(|| Part::Field(names.join(".")))
}

/// What stands in `@metadata` is gone once the event is stored.
fn stored(name: &str) -> bool {
    name != "@metadata"
}
