//! `convert_datatype`: numbers as Java's `BigDecimal` reads them.

use crate::diagnostic::{Diagnostic, Place, code};
use crate::event::{Batch, EventId, FieldRef, Value, write_java};
use crate::filter::common::set;

/// A field and what to make of it.
pub(super) struct Conversion {
    field: FieldRef,
    integer: bool,
    /// `FIELD_TYPE` as written, for the tags of failures.
    written: String,
}

/// What is wrong with a pair of `convert_datatype`.
pub(super) enum Mistake {
    Field(String),
    Datatype(String),
}

impl Mistake {
    /// The same for the reader: about the field's name or its type.
    pub(super) fn at(self, field: Place, datatype: Place) -> Diagnostic {
        match self {
            Mistake::Field(message) => Diagnostic::error(code::FIELD, field, message),
            Mistake::Datatype(text) => {
                Diagnostic::error(code::CHOICE, datatype, format!("`convert_datatype` can't convert to `{text}`"))
                    .label("`int` or `float`")
            }
        }
    }
}

impl Conversion {
    pub(super) fn new(field: &str, datatype: &str) -> Result<Conversion, Mistake> {
        let integer = match datatype.to_ascii_lowercase().as_str() {
            "int" => true,
            "float" => false,
            _ => return Err(Mistake::Datatype(datatype.to_owned())),
        };
        let written = format!("{field}_{datatype}");
        let field = FieldRef::parse(field).map_err(|error| Mistake::Field(error.to_string()))?;
        Ok(Conversion { field, integer, written })
    }

    /// Converts the field of an event, or tags it.
    pub(super) fn apply(&self, batch: &mut Batch, event: EventId, scratch: &mut Vec<u8>) {
        let old = batch.get(event, &self.field).unwrap_or(Value::Null);
        let new = match old {
            Value::Null | Value::Array(_) | Value::Object(_) | Value::Bool(_) | Value::Time(_) => None,
            Value::Int(_) | Value::Uint(_) | Value::Big(_) if self.integer => return,
            _ => {
                scratch.clear();
                write_java(batch, old, scratch);
                let decimal = std::str::from_utf8(scratch).ok().and_then(Decimal::parse);
                decimal.and_then(|decimal| if self.integer { decimal.whole(batch) } else { decimal.float() })
            }
        };
        match new {
            Some(new) => drop(set(batch, event, &self.field, new)),
            None => {
                let why = if old == Value::Null { "nullvalue" } else { "uncoercible" };
                batch.tag(event, &format!("_dataconversion{why}_{}", self.written));
            }
        }
    }
}

/// A decimal number as written: `-12.5e3`.
struct Decimal<'t> {
    text: &'t str,
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    exponent: i64,
}

/// Whole numbers of more digits are refused: they would fill memory, not fields.
const DIGITS_MAX: i64 = 1024;

impl Decimal<'_> {
    fn parse(text: &str) -> Option<Decimal<'_>> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => {
                let exponent = &unsigned[at + 1..];
                let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
                let is = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                (&unsigned[..at], is.then(|| exponent.parse::<i32>().ok())??.into())
            }
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = whole.bytes().chain(fraction.bytes());
        if whole.len() + fraction.len() == 0 || !digits.clone().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Decimal { text, negative: text.starts_with('-'), whole, fraction, exponent })
    }

    fn float(&self) -> Option<Value> {
        self.text.parse().ok().filter(|n: &f64| n.is_finite()).map(Value::Float)
    }

    /// The number without its fraction.
    fn whole(&self, batch: &mut Batch) -> Option<Value> {
        let point = self.whole.len() as i64 + self.exponent;
        if point > DIGITS_MAX {
            let zero = self.whole.bytes().chain(self.fraction.bytes()).all(|b| b == b'0');
            return zero.then_some(Value::Int(0));
        }
        let digits = self.whole.bytes().chain(self.fraction.bytes()).chain(std::iter::repeat(b'0'));
        let digits: String = digits.take(point.max(0) as usize).map(char::from).collect();
        Some(batch.whole(self.negative, &digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{event, shown};

    #[test]
    fn numbers() {
        let check = |datatype: &str, value: &str, want: &str| {
            let mut batch = Batch::new();
            let event = event(&mut batch, &format!(r#"{{"a":{value}}}"#));
            Conversion::new("a", datatype).ok().unwrap().apply(&mut batch, event, &mut Vec::new());
            let tagged = |why: &str| format!(r#"{{"a":{value},"tags":["_dataconversion{why}_a_{datatype}"]}}"#);
            let want = match want {
                "nullvalue" | "uncoercible" => tagged(want),
                want => format!(r#"{{"a":{want}}}"#),
            };
            assert_eq!(shown(&batch, event), want, "{value} to {datatype}");
        };
        check("int", r#""12""#, "12");
        check("INT", r#""-12.9""#, "-12");
        check("int", r#""+0012""#, "12");
        check("int", r#""1.25e1""#, "12");
        check("int", r#"".5""#, "0");
        check("int", r#""43947404257507186289""#, "43947404257507186289");
        check("int", r#""-43947404257507186289""#, "-43947404257507186289");
        check("int", "7.9", "7");
        check("int", r#"" 1""#, "uncoercible");
        check("int", r#""1e99999""#, "uncoercible");
        check("float", r#""95.43""#, "95.43");
        check("float", "3", "3.0");
        check("float", r#""1e3""#, "1000.0");
        for (bad, want) in
            [(r#""""#, "uncoercible"), ("true", "uncoercible"), ("[]", "uncoercible"), ("null", "nullvalue")]
        {
            check("int", bad, want);
            check("float", bad, want);
        }
    }
}
