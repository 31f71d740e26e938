//! The numbers that metrics are of.

use super::places::Places;
use crate::event::{Batch, Entry, EventId, FieldRef, Timestamp, Value};

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

/// A field that holds numbers, and those of the events at hand.
pub(super) struct Numbers {
    pub(super) field: FieldRef,
    places: Places,
    values: Vec<f64>,
}

/// NaNs that no text and no calculation gives: no number, and not looked for yet.
const ABSENT: u64 = 0x7ff8_4c6f_6762_6f6f;
const MISSED: u64 = ABSENT + 1;

impl Numbers {
    pub(super) fn new(field: FieldRef) -> Numbers {
        Numbers { field, places: Places::new(), values: Vec::new() }
    }

    /// Reads the field of some events.
    pub(super) fn fill(&mut self, batch: &Batch, events: &[EventId]) {
        let Numbers { field, places, values } = self;
        values.clear();
        let [_] = field.steps() else {
            values.extend(events.iter().map(|&event| read(batch, batch.get(event, field).as_ref())));
            return;
        };
        let (key, look) = (field.first(), batch.look());
        let mut missed = false;
        values.resize(events.len(), 0.0);
        // What stands where one would look first, in a short loop of its own.
        for (value, &event) in values.iter_mut().zip(events) {
            let fields = look.event(event);
            *value = if fields.names & key.bit() == 0 {
                f64::from_bits(ABSENT)
            } else {
                match places.look(fields) {
                    Some(Entry { key: at, value: Value::Int(n), .. }) if *at == key => *n as f64,
                    Some(Entry { key: at, value: Value::Float(n), .. }) if *at == key => *n,
                    Some(Entry { key: at, value, .. }) if *at == key => read(batch, Some(value)),
                    _ => {
                        missed = true;
                        f64::from_bits(MISSED)
                    }
                }
            };
        }
        if missed {
            let all = events.iter().zip(values).filter(|(_, value)| value.to_bits() == MISSED);
            all.for_each(|(&event, value)| *value = read(batch, places.find(batch, event, key)));
        }
    }

    /// The numbers of the events that were read last; of those whose field holds none, what
    /// [`is_absent`].
    #[inline]
    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }
}

/// Whether it stands for no number. To be asked before anything is calculated with it.
#[inline]
pub(super) fn is_absent(value: f64) -> bool {
    value.to_bits() == ABSENT
}

#[inline]
fn read(batch: &Batch, value: Option<&Value>) -> f64 {
    let number = match value {
        Some(Value::Str(span)) => parse(batch.bytes(*span)),
        Some(Value::Bool(truth)) => Some(f64::from(*truth)),
        Some(Value::Time(at)) => Some(seconds(*at)),
        Some(value) => value.as_number(),
        None => None,
    };
    number.unwrap_or(f64::from_bits(ABSENT))
}

/// A text that is a number, perhaps with blanks around it.
#[inline]
fn parse(text: &[u8]) -> Option<f64> {
    // Digits alone, as sizes and times mostly are; so few of them are exact.
    if let 1..=15 = text.len() {
        let (mut whole, mut digits) = (0_u64, true);
        for byte in text {
            let digit = byte.wrapping_sub(b'0');
            digits &= digit < 10;
            whole = whole * 10 + u64::from(digit);
        }
        if digits {
            return Some(whole as f64);
        }
    }
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

fn seconds(at: Timestamp) -> f64 {
    at.seconds() as f64 + f64::from(at.subsec_nanos()) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::event;
    use proptest::prelude::*;

    fn got(numbers: &Numbers) -> Vec<Option<f64>> {
        numbers.values().iter().map(|&value| (!is_absent(value)).then_some(value)).collect()
    }

    #[test]
    fn fields_that_are_numbers() {
        let mut batch = Batch::new();
        let lines =
            [r#"{"n":7}"#, r#"{"a":1,"n":-0.5}"#, r#"{"n":" 12 "}"#, r#"{"n":"x"}"#, r#"{"a":3}"#, r#"{"n":true}"#];
        let events: Vec<EventId> = lines.iter().map(|line| event(&mut batch, line)).collect();
        let want = [Some(7.0), Some(-0.5), Some(12.0), None, None, Some(1.0)];
        let mut numbers = Numbers::new(FieldRef::of("n"));
        // The second time it knows where to look.
        for _ in 0..2 {
            numbers.fill(&batch, &events);
            assert_eq!(got(&numbers), want);
        }
        let mut batch = Batch::new();
        let events = [event(&mut batch, r#"{"o":{"n":"3e2"}}"#), event(&mut batch, r#"{"o":4}"#)];
        let mut numbers = Numbers::new(FieldRef::parse("[o][n]").unwrap());
        numbers.fill(&batch, &events);
        assert_eq!(got(&numbers), [Some(300.0), None]);
    }

    proptest! {
        #[test]
        fn digits_are_what_they_say(text in "[0-9]{0,18}|[ 0-9.e+-]{0,6}") {
            prop_assert_eq!(parse(text.as_bytes()), text.trim().parse().ok());
        }
    }
}
