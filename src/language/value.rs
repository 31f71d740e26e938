//! Values of settings: escapes and variables resolved, repeated settings merged, and the result
//! brought to the type that the plugin asks for. As `LogStash::Config::Mixin` does it.

use super::ast::{At, Quoted, Value, ValueKind};
use super::check::Checker;
use super::suggest;
use crate::diagnostic::{Diagnostic, Place, code};
use crate::event::FieldRef;
use crate::plugin::{Call, Kind, Literal, Options, Setting, Type};
use std::sync::Arc;

impl Checker<'_> {
    /// A value as written, escapes and variables resolved.
    pub(super) fn resolve(&mut self, value: &Value) -> Setting {
        let literal = match &value.kind {
            ValueKind::Bareword(text) => Literal::String(self.substitute(text, value.at)),
            ValueKind::Text(text) => Literal::String(self.text(text, value.at)),
            ValueKind::Number(text) => Literal::Number(text.parse().unwrap_or(f64::NAN), text.clone()),
            ValueKind::Array(elements) => Literal::Array(elements.iter().map(|e| self.resolve(e)).collect()),
            ValueKind::Hash(entries) => self.hash(entries),
            // A block in a value can only be a codec.
            ValueKind::Plugin(plugin) => Literal::Plugin(Arc::new(self.call(Kind::Codec, plugin))),
        };
        Setting { value: literal, place: value.at.0 }
    }

    /// The text between quotes, escapes (where `config.support_escapes`) and variables resolved.
    pub(super) fn text(&mut self, text: &Quoted, at: At) -> String {
        let unescaped = self.unescape(&text.raw);
        self.substitute(&unescaped, at)
    }

    /// Escapes resolved, where `config.support_escapes`.
    pub(super) fn unescape(&self, raw: &str) -> String {
        if self.language.support_escapes { unescape(raw) } else { raw.to_owned() }
    }

    fn hash(&mut self, entries: &[(Value, Value)]) -> Literal {
        let mut pairs: Vec<(Setting, Setting)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            // Keys are taken as they are: Logstash replaces variables in values alone.
            let text = match &key.kind {
                ValueKind::Text(text) => self.unescape(&text.raw),
                ValueKind::Bareword(text) | ValueKind::Number(text) => text.clone(),
                ValueKind::Array(_) | ValueKind::Hash(_) | ValueKind::Plugin(_) => continue,
            };
            let value = self.resolve(value);
            if pairs.iter().any(|(known, _)| known.as_str() == Some(&text)) {
                let message = format!("the key `{text}` stands twice in one hash");
                let label = "for several values, write an array: `=> [ … ]`";
                self.report(Diagnostic::error(code::DUPLICATE_KEY, key.at.0, message).label(label));
                continue;
            }
            pairs.push((Setting { value: Literal::String(text), place: key.at.0 }, value));
        }
        Literal::Hash(pairs)
    }

    fn substitute(&mut self, text: &str, at: At) -> String {
        match super::variable::substitute(text, self.language.environment) {
            Ok(text) => text.into_owned(),
            Err(error) => {
                let label = format!("set it, or give a default: `${{{}:value}}`", error.0);
                self.report(Diagnostic::error(code::VARIABLE, at.0, error.to_string()).label(label));
                text.to_owned()
            }
        }
    }

    /// Brings a setting to its type. `None`: it counts as not given (or the mistake is reported).
    pub(super) fn coerce(&mut self, name: &str, ty: Type, setting: Setting) -> Option<Setting> {
        let place = setting.place;
        let value = match ty {
            Type::Any => Some(setting.value),
            Type::Array => match setting.value {
                Literal::Array(elements) => Some(Literal::Array(elements)),
                Literal::Hash(_) | Literal::Plugin(_) => self.wrong(name, "an array", &setting),
                _ => Some(Literal::Array(vec![setting])),
            },
            Type::Hash => self.hash_of(name, setting),
            Type::Codec => self.codec_of(name, single(setting)),
            Type::Boolean => match single(setting) {
                Setting { value: Literal::String(text), .. } if text == "true" || text == "false" => {
                    Some(Literal::String(text))
                }
                other => self.wrong(name, "`true` or `false`", &other),
            },
            Type::Number => match single(setting) {
                Setting { value: Literal::Number(number, text), .. } => Some(Literal::Number(number, text)),
                other => match other.as_str().and_then(number) {
                    Some(number) => Some(number),
                    None => self.wrong(name, "a number", &other),
                },
            },
            Type::Bytes => {
                let single = single(setting);
                match single.as_str().and_then(bytes) {
                    Some(bytes) => Some(Literal::Number(bytes as f64, bytes.to_string())),
                    None => self.wrong(name, "a size such as `10mb`, `5 KiB` or a number of bytes", &single),
                }
            }
            Type::Enum(words) => match single(setting) {
                other if other.as_str().is_some_and(|text| words.contains(&text)) => Some(other.value),
                other => self.no_choice(name, words, &other),
            },
            Type::Field => match single(setting) {
                Setting { value: Literal::String(text), .. } if text.is_empty() => None,
                other if other.as_str().is_some() => self.field_of(name, other),
                other => self.wrong(name, "a field reference", &other),
            },
            Type::String | Type::Path | Type::Password => match single(setting) {
                other if other.as_str().is_some() => Some(other.value),
                other => self.wrong(name, "a text", &other),
            },
        };
        value.map(|value| Setting { value, place })
    }

    fn field_of(&mut self, name: &str, setting: Setting) -> Option<Literal> {
        let text = setting.as_str().unwrap_or_default();
        if FieldRef::parse(text).is_err() {
            let message = format!("`{name}` needs a field reference, not `{text}`");
            let label = "write a name, or `[outer][inner]`";
            self.report(Diagnostic::error(code::FIELD, setting.place, message).label(label));
            return None;
        }
        Some(setting.value)
    }

    fn codec_of(&mut self, name: &str, setting: Setting) -> Option<Literal> {
        match setting.value {
            Literal::Plugin(call) => Some(Literal::Plugin(call)),
            Literal::String(codec) => {
                self.spec(Kind::Codec, &codec, setting.place);
                let options = Options { settings: Vec::new(), place: setting.place };
                let id = format!("{codec}_codec");
                Some(Literal::Plugin(Arc::new(Call { name: codec, place: setting.place, id, options })))
            }
            _ => self.wrong(name, "a codec", &setting),
        }
    }

    /// A hash, or an array of keys and values in turn.
    fn hash_of(&mut self, name: &str, setting: Setting) -> Option<Literal> {
        let elements = match setting.value {
            Literal::Hash(pairs) => return Some(Literal::Hash(pairs)),
            Literal::Array(ref elements) if elements.len() % 2 == 0 => elements,
            _ => return self.wrong(name, "a hash", &setting),
        };
        let mut pairs: Vec<(Setting, Setting)> = Vec::new();
        for pair in elements.chunks_exact(2) {
            match pairs.iter_mut().find(|(key, _)| key.value == pair[0].value) {
                None if pair[0].as_str().is_none() => return self.wrong(name, "a hash", &setting),
                None => pairs.push((pair[0].clone(), pair[1].clone())),
                Some((_, value)) => append(value, pair[1].clone()),
            }
        }
        Some(Literal::Hash(pairs))
    }

    fn wrong(&mut self, name: &str, wanted: &str, setting: &Setting) -> Option<Literal> {
        let message = format!("`{name}` needs {wanted}, not {}", describe(&setting.value));
        self.report(Diagnostic::error(code::TYPE, setting.place, message).label(format!("expected {wanted}")));
        None
    }

    fn no_choice(&mut self, name: &str, words: &[&str], setting: &Setting) -> Option<Literal> {
        let message = format!("`{name}` can't be {}", describe(&setting.value));
        let near = setting.as_str().and_then(|text| suggest::did_you_mean(text, words.iter().copied()));
        let mistake = Diagnostic::error(code::CHOICE, setting.place, message);
        let mistake = mistake.label(near.unwrap_or_else(|| "no such choice".to_owned()));
        self.report(mistake.note(format!("`{name}` takes: {}", suggest::list(words.iter().copied()))));
        None
    }
}

/// A repeated setting: hashes merge, arrays join, different single values become an array.
pub(super) fn merge(first: &mut Setting, again: Setting) -> Result<(), Place> {
    match (&mut first.value, again.value) {
        (Literal::Hash(pairs), Literal::Hash(more)) => {
            for (key, value) in more {
                match pairs.iter_mut().find(|(known, _)| known.value == key.value) {
                    None => pairs.push((key, value)),
                    Some((_, known)) => merge_entry(known, value),
                }
            }
        }
        (Literal::Hash(_), _) => return Err(again.place),
        (Literal::Array(elements), Literal::Array(more)) => elements.extend(more),
        (Literal::Array(elements), value) => elements.push(Setting { value, place: again.place }),
        (_, Literal::Array(more)) => {
            let mut elements = vec![first.clone()];
            elements.extend(more);
            first.value = Literal::Array(elements);
        }
        (known, value) if *known != value => {
            let elements = vec![first.clone(), Setting { value, place: again.place }];
            first.value = Literal::Array(elements);
        }
        _ => {}
    }
    Ok(())
}

/// The same key in two hashes that merge: nothing is doubled.
fn merge_entry(known: &mut Setting, value: Setting) {
    match (&mut known.value, value.value) {
        (Literal::Hash(_), inner @ Literal::Hash(_)) => {
            // Two hashes always merge.
            let _ = merge(known, Setting { value: inner, place: value.place });
        }
        (_, Literal::Array(more)) => more.into_iter().for_each(|element| append_new(known, element)),
        (_, single) => append_new(known, Setting { value: single, place: value.place }),
    }
}

fn append_new(known: &mut Setting, element: Setting) {
    if !known.elements().iter().any(|e| e.value == element.value) {
        append(known, element);
    }
}

/// Appends to an array; a single value becomes one.
fn append(known: &mut Setting, element: Setting) {
    match &mut known.value {
        Literal::Array(elements) => elements.push(element),
        _ => known.value = Literal::Array(vec![known.clone(), element]),
    }
}

/// The one element of an array of one; else the value itself.
fn single(setting: Setting) -> Setting {
    match setting.value {
        Literal::Array(mut elements) if elements.len() == 1 => elements.remove(0),
        _ => setting,
    }
}

fn describe(value: &Literal) -> String {
    match value {
        Literal::String(text) if text.chars().count() > 40 => "this text".to_owned(),
        Literal::String(text) => format!("`{text}`"),
        Literal::Number(_, text) => format!("`{text}`"),
        Literal::Array(elements) if elements.is_empty() => "an empty array".to_owned(),
        Literal::Array(elements) => format!("an array of {}", elements.len()),
        Literal::Hash(_) => "a hash".to_owned(),
        Literal::Plugin(call) => format!("a block `{}`", call.name),
    }
}

/// A text that Ruby would print the same as a number: `10`, `-1.5`; not `010`, `1e3`, `0x1f`.
fn number(text: &str) -> Option<Literal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let canonical = |d: &str| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit());
    let plain = canonical(whole) && (whole == "0" || !whole.starts_with('0'));
    let exact = fraction.is_none_or(|f| canonical(f) && (f == "0" || !f.ends_with('0')));
    (plain && exact && text != "-0").then(|| Some(Literal::Number(text.parse().ok()?, text.to_owned())))?
}

/// `10`, `10mb` (of 1000 each), `5 KiB` (of 1024 each), as the Filesize library reads them.
fn bytes(text: &str) -> Option<u64> {
    if let Ok(bytes) = text.parse() {
        return Some(bytes);
    }
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ','))?;
    let (amount, unit) = text.split_at(at);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let prefix = unit.strip_suffix('b')?;
    let (prefix, base) = prefix.strip_suffix('i').map_or((prefix, 1000_f64), |p| (p, 1024_f64));
    let power = ["", "k", "m", "g", "t", "p", "e"].iter().position(|p| *p == prefix)?;
    let amount: f64 = amount.replace(',', "").parse().ok()?;
    Some((amount * base.powi(power as i32)) as u64)
}

fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(quoted @ ('"' | '\'' | '\\')) => out.push(quoted),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('0') => out.push('\0'),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_numbers() {
        let check = |text: &str, want: bool| assert_eq!(number(text).is_some(), want, "{text}");
        for good in ["0", "10", "-3", "1.5", "0.25", "-0.5", "1.0"] {
            check(good, true);
        }
        for bad in ["", "-", "ten", "010", "1e3", "0x1f", " 1", "1.", ".5", "1.50", "1_000", "-0"] {
            check(bad, false);
        }
    }

    #[test]
    fn sizes() {
        let check = |text: &str, want: Option<u64>| assert_eq!(bytes(text), want, "{text}");
        check("1024", Some(1024));
        check("10mb", Some(10_000_000));
        check("5 KiB", Some(5120));
        check("1.5 GiB", Some(1_610_612_736));
        check("10 b", Some(10));
        check("ten", None);
        check("10 XB", None);
        check("mb", None);
    }

    #[test]
    fn escapes() {
        let check = |raw: &str, want: &str| assert_eq!(unescape(raw), want, "{raw}");
        check(r#"x\ty\n\\ \"q\""#, "x\ty\n\\ \"q\"");
        check(r"\d\'", r"\d'");
        check(r"a\", r"a\");
    }
}
