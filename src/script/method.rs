//! The methods of values.

use super::eval::Run;
use super::parser::Block;
use super::value::{Hash, Key, Value};
use super::{ELEMENTS_MAX, Outcome};
use crate::event::ruby;
use std::cmp::Ordering;
use std::ops::RangeInclusive;

/// What the parser needs to know of a method.
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) arguments: RangeInclusive<usize>,
    pub(super) block: bool,
    pub(super) needs_block: bool,
}

const fn plain(name: &'static str, least: usize, most: usize) -> Method {
    Method { name, arguments: least..=most, block: false, needs_block: false }
}

const fn with_block(name: &'static str, needs_block: bool) -> Method {
    Method { name, arguments: 0..=0, block: true, needs_block }
}

/// Every method, in alphabetical order.
const METHODS: &[Method] = &[
    plain("abs", 0, 0),
    with_block("all?", true),
    with_block("any?", false),
    plain("ceil", 0, 0),
    plain("compact", 0, 0),
    plain("count", 0, 0),
    plain("delete", 1, 1),
    plain("downcase", 0, 0),
    with_block("each", true),
    plain("empty?", 0, 0),
    plain("end_with?", 1, 1),
    plain("first", 0, 0),
    plain("flatten", 0, 0),
    plain("floor", 0, 0),
    plain("get", 1, 1),
    plain("has_key?", 1, 1),
    plain("include?", 1, 1),
    plain("join", 0, 1),
    plain("key?", 1, 1),
    plain("keys", 0, 0),
    plain("last", 0, 0),
    plain("length", 0, 0),
    with_block("map", true),
    plain("max", 0, 0),
    plain("merge", 1, 1),
    plain("min", 0, 0),
    plain("nil?", 0, 0),
    plain("push", 1, 1),
    with_block("reject", true),
    plain("remove", 1, 1),
    plain("reverse", 0, 0),
    plain("round", 0, 1),
    with_block("select", true),
    plain("set", 2, 2),
    plain("size", 0, 0),
    plain("sort", 0, 0),
    plain("split", 0, 1),
    plain("start_with?", 1, 1),
    plain("strip", 0, 0),
    with_block("sum", false),
    plain("tag", 1, 1),
    plain("to_a", 0, 0),
    plain("to_f", 0, 0),
    plain("to_hash", 0, 0),
    plain("to_i", 0, 0),
    plain("to_s", 0, 0),
    plain("to_sym", 0, 0),
    plain("uniq", 0, 0),
    plain("upcase", 0, 0),
    plain("values", 0, 0),
];

/// A method by name.
pub(super) fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// The names of all methods, for messages.
pub(super) fn names() -> String {
    METHODS.iter().map(|method| method.name).collect::<Vec<_>>().join(", ")
}

/// Calls one.
pub(super) fn call(run: &mut Run, on: &Value, name: &str, arguments: &[Value], block: Option<&Block>) -> Outcome {
    let missing = || Err(format!("undefined method `{name}' for {}", on.class()));
    match name {
        "nil?" => return Ok(Value::Bool(matches!(on, Value::Nil))),
        "to_s" => return Ok(Value::text(&on.to_text())),
        _ => {}
    }
    match on {
        Value::Nil => match name {
            "to_i" => Ok(Value::Int(0)),
            "to_f" => Ok(Value::Float(0.0)),
            "to_a" => Ok(Value::array(Vec::new())),
            _ => missing(),
        },
        Value::Int(_) | Value::Float(_) => number(on, name, arguments).unwrap_or_else(missing),
        Value::Time(at) => match name {
            "to_i" => Ok(Value::Int(at.seconds())),
            "to_f" => Ok(Value::Float(at.nanos() as f64 / 1e9)),
            _ => missing(),
        },
        Value::Text(text) => string(text, name, arguments).unwrap_or_else(missing),
        Value::Array(_) => array(run, on, name, arguments, block)?.map_or_else(missing, Ok),
        Value::Hash(_) => hash(run, on, name, arguments, block)?.map_or_else(missing, Ok),
        Value::Event(fields) => super::made::call(fields, name, arguments)?.map_or_else(missing, Ok),
        Value::Symbol(_) if name == "to_sym" => Ok(on.clone()),
        Value::Symbol(symbol) => match name {
            "length" | "size" | "empty?" => string(symbol, name, arguments).unwrap_or_else(missing),
            _ => missing(),
        },
        Value::Bool(_) => missing(),
    }
}

fn number(on: &Value, name: &str, arguments: &[Value]) -> Option<Outcome> {
    let float = on.number()?;
    let whole = |n: f64| match n {
        n if n.abs() < 9.2e18 => Ok(Value::Int(n as i64)),
        _ => Err("the number is too large".to_owned()),
    };
    Some(match (name, on) {
        ("to_i" | "floor" | "ceil", Value::Int(n)) => Ok(Value::Int(*n)),
        ("to_i", _) => whole(float.trunc()),
        ("floor", _) => whole(float.floor()),
        ("ceil", _) => whole(float.ceil()),
        ("to_f", _) => Ok(Value::Float(float)),
        ("abs", Value::Int(n)) => n.checked_abs().map(Value::Int).ok_or_else(|| "the number is too large".to_owned()),
        ("abs", _) => Ok(Value::Float(float.abs())),
        ("round", _) => match (arguments, on) {
            ([], Value::Int(n)) | ([Value::Int(0..)], Value::Int(n)) => Ok(Value::Int(*n)),
            ([] | [Value::Int(0)], _) => whole(float.round()),
            ([Value::Int(digits @ 1..=15)], _) => {
                let factor = 10_f64.powi(*digits as i32);
                Ok(Value::Float((float * factor).round() / factor))
            }
            _ => Err("round takes a number of digits from 0 to 15".to_owned()),
        },
        _ => return None,
    })
}

fn string(text: &str, name: &str, arguments: &[Value]) -> Option<Outcome> {
    let other = match arguments {
        [Value::Text(other)] => Some(other.as_ref()),
        _ => None,
    };
    if !arguments.is_empty() && other.is_none() {
        return Some(Err(format!("{name} takes a text")));
    }
    Some(Ok(match (name, other) {
        ("to_i", _) => Value::Int(ruby::text_to_i(text)),
        ("to_f", _) => Value::Float(ruby::text_to_f(text)),
        ("length" | "size", _) => Value::Int(text.chars().count() as i64),
        ("to_sym", _) => Value::Symbol(text.into()),
        ("empty?", _) => Value::Bool(text.is_empty()),
        ("upcase", _) => Value::text(&text.to_uppercase()),
        ("downcase", _) => Value::text(&text.to_lowercase()),
        ("strip", _) => Value::text(text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\0')),
        ("reverse", _) => Value::text(&text.chars().rev().collect::<String>()),
        ("include?", Some(other)) => Value::Bool(text.contains(other)),
        ("start_with?", Some(other)) => Value::Bool(text.starts_with(other)),
        ("end_with?", Some(other)) => Value::Bool(text.ends_with(other)),
        ("split", other) => {
            let separator = other.unwrap_or(" ");
            let mut parts: Vec<Value> = match separator {
                " " => text.split_ascii_whitespace().map(Value::text).collect(),
                "" => text.chars().map(|c| Value::text(c.encode_utf8(&mut [0; 4]))).collect(),
                _ => text.split(separator).map(Value::text).collect(),
            };
            // Ruby drops empty parts at the end.
            while matches!(parts.last(), Some(Value::Text(text)) if text.is_empty()) {
                parts.pop();
            }
            Value::array(parts)
        }
        _ => return None,
    }))
}

fn array(run: &mut Run, on: &Value, name: &str, arguments: &[Value], block: Option<&Block>) -> Outcome<Option<Value>> {
    let Value::Array(shared) = on else { return Ok(None) };
    // Blocks may change the array that they go over: they go over it as it was.
    let list = shared.lock().clone();
    Ok(Some(match (name, arguments, block) {
        ("each", _, Some(block)) => {
            for element in list {
                run.block(block, &[element])?;
            }
            on.clone()
        }
        ("map", _, Some(block)) => {
            let mapped = list.into_iter().map(|element| run.block(block, &[element]));
            Value::array(mapped.collect::<Outcome<_>>()?)
        }
        ("select" | "reject", _, Some(block)) => {
            let mut kept = Vec::new();
            for element in list {
                if run.block(block, std::slice::from_ref(&element))?.truthy() == (name == "select") {
                    kept.push(element);
                }
            }
            Value::array(kept)
        }
        ("any?" | "all?", _, block) => {
            let wanted = name == "any?";
            for element in list {
                let holds = match block {
                    Some(block) => run.block(block, &[element])?,
                    None => element,
                };
                if holds.truthy() == wanted {
                    return Ok(Some(Value::Bool(wanted)));
                }
            }
            Value::Bool(!wanted)
        }
        ("sum", _, block) => {
            let mut sum = Value::Int(0);
            for element in list {
                let element = match block {
                    Some(block) => run.block(block, &[element])?,
                    None => element,
                };
                sum = super::eval::add(&sum, &element)?;
            }
            sum
        }
        ("push", [value], _) => {
            if list.len() >= ELEMENTS_MAX {
                return Err(format!("an array holds at most {ELEMENTS_MAX} elements"));
            }
            shared.lock().push(value.clone());
            on.clone()
        }
        ("delete", [value], _) => {
            let found = list.iter().any(|element| element.same(value, 0));
            *shared.lock() = list.into_iter().filter(|element| !element.same(value, 0)).collect();
            if found { value.clone() } else { Value::Nil }
        }
        ("include?", [value], _) => Value::Bool(list.iter().any(|element| element.same(value, 0))),
        ("join", separator, _) => {
            let separator = separator.first().map_or_else(String::new, Value::to_text);
            Value::text(&list.iter().map(Value::to_text).collect::<Vec<_>>().join(&separator))
        }
        _ => return unary(list, name),
    }))
}

/// Methods of arrays without arguments.
fn unary(mut list: Vec<Value>, name: &str) -> Outcome<Option<Value>> {
    Ok(Some(match name {
        "length" | "size" | "count" => Value::Int(list.len() as i64),
        "empty?" => Value::Bool(list.is_empty()),
        "first" => list.into_iter().next().unwrap_or(Value::Nil),
        "last" => list.pop().unwrap_or(Value::Nil),
        "to_a" => Value::array(list),
        "reverse" => Value::array(list.into_iter().rev().collect()),
        "compact" => Value::array(list.into_iter().filter(|element| !matches!(element, Value::Nil)).collect()),
        "flatten" => {
            let mut flat = Vec::new();
            flatten(list, &mut flat, 0)?;
            Value::array(flat)
        }
        "uniq" => {
            let mut kept: Vec<Value> = Vec::new();
            let mut seen = rustc_hash::FxHashSet::default();
            for element in list {
                let new = match Key::of(&element) {
                    Some(key) => seen.insert(key),
                    None => !kept.iter().any(|known| known.same(&element, 0)),
                };
                if new {
                    kept.push(element);
                }
            }
            Value::array(kept)
        }
        "sort" | "min" | "max" => {
            let mut wrong = None;
            list.sort_by(|a, b| {
                super::eval::compare(a, b).unwrap_or_else(|message| {
                    wrong = Some(message);
                    Ordering::Equal
                })
            });
            match (wrong, name) {
                (Some(message), _) => return Err(message),
                (None, "sort") => Value::array(list),
                (None, "min") => list.into_iter().next().unwrap_or(Value::Nil),
                (None, _) => list.pop().unwrap_or(Value::Nil),
            }
        }
        _ => return Ok(None),
    }))
}

fn flatten(list: Vec<Value>, out: &mut Vec<Value>, depth: usize) -> Outcome<()> {
    for element in list {
        match element {
            Value::Array(_) if depth > super::DEPTH_MAX => return Err("nested too deep".to_owned()),
            Value::Array(inner) => {
                let inner = inner.lock().clone();
                flatten(inner, out, depth + 1)?;
            }
            element => out.push(element),
        }
    }
    Ok(())
}

fn hash(run: &mut Run, on: &Value, name: &str, arguments: &[Value], block: Option<&Block>) -> Outcome<Option<Value>> {
    let Value::Hash(shared) = on else { return Ok(None) };
    let key = || arguments.first().and_then(Key::of).ok_or_else(|| "this can't be a key".to_owned());
    let simple = match name {
        "key?" | "has_key?" | "include?" => Some(Value::Bool(shared.lock().get(&key()?).is_some())),
        "delete" => Some(shared.lock().remove(&key()?).unwrap_or(Value::Nil)),
        "length" | "size" | "count" => Some(Value::Int(shared.lock().entries().len() as i64)),
        "empty?" => Some(Value::Bool(shared.lock().entries().is_empty())),
        _ => None,
    };
    if simple.is_some() {
        return Ok(simple);
    }
    let entries = shared.lock().entries().to_vec();
    let pair = |(key, value): (Key, Value)| [key.value(), value];
    Ok(Some(match (name, block) {
        ("keys", _) => Value::array(entries.into_iter().map(|(key, _)| key.value()).collect()),
        ("values", _) => Value::array(entries.into_iter().map(|(_, value)| value).collect()),
        ("to_a", _) => Value::array(entries.into_iter().map(|entry| Value::array(pair(entry).to_vec())).collect()),
        ("merge", _) => {
            let [Value::Hash(other)] = arguments else { return Err("merge takes a hash".to_owned()) };
            let other = other.lock().entries().to_vec();
            let mut merged = Hash::default();
            entries.into_iter().chain(other).for_each(|(key, value)| merged.set(key, value));
            Value::hash(merged)
        }
        ("each", Some(block)) => {
            for entry in entries {
                run.block(block, &pair(entry))?;
            }
            on.clone()
        }
        ("map", Some(block)) => {
            let mapped = entries.into_iter().map(|entry| run.block(block, &pair(entry)));
            Value::array(mapped.collect::<Outcome<_>>()?)
        }
        ("select" | "reject", Some(block)) => {
            let mut kept = Hash::default();
            for (key, value) in entries {
                if run.block(block, &[key.value(), value.clone()])?.truthy() == (name == "select") {
                    kept.set(key, value);
                }
            }
            Value::hash(kept)
        }
        ("any?" | "all?", Some(block)) => {
            let wanted = name == "any?";
            for entry in entries {
                if run.block(block, &pair(entry))?.truthy() == wanted {
                    return Ok(Some(Value::Bool(wanted)));
                }
            }
            Value::Bool(!wanted)
        }
        _ => return Ok(None),
    }))
}
