//! Events that code makes: `LogStash::Event.new(members)`, with the methods of the event at hand.
//!
//! They become events of the pipeline where code gives them to `new_event_block`.

use super::value::{Hash, Key, Value};
use super::{ELEMENTS_MAX, Outcome};
use parking_lot::Mutex;
use std::sync::Arc;

/// A new one, of a copy of a hash.
pub(super) fn new(members: Option<&Value>) -> Outcome {
    let mut fields = Hash::default();
    match members {
        None | Some(Value::Nil) => {}
        Some(Value::Hash(hash)) => {
            // Fields have names: a symbol is as good as its text.
            let members = hash.lock().clone();
            members.entries().iter().for_each(|(key, value)| fields.set(text(key), value.clone()));
        }
        Some(other) => return Err(format!("LogStash::Event.new takes a hash, not {}", other.class())),
    }
    Ok(Value::Event(Arc::new(Mutex::new(fields))))
}

fn text(key: &Key) -> Key {
    Key::Text(key.value().to_text().into())
}

/// Calls a method; `None` where there is none of that name.
pub(super) fn call(fields: &Arc<Mutex<Hash>>, name: &str, arguments: &[Value]) -> Outcome<Option<Value>> {
    if name == "to_hash" {
        return Ok(Some(Value::Hash(fields.clone())));
    }
    if !matches!(name, "get" | "set" | "include?" | "remove" | "tag") {
        return Ok(None);
    }
    let Some(Value::Text(first)) = arguments.first() else {
        return Err(format!("{name} takes the name of a field"));
    };
    let path = path(first);
    Ok(Some(match (name, arguments) {
        ("get", _) => find(fields, &path).unwrap_or(Value::Nil),
        ("include?", _) => Value::Bool(find(fields, &path).is_some()),
        ("set", [_, value]) => {
            let (holder, last) = holder(fields, &path, true)?;
            put(&holder, last, value.clone())?;
            value.clone()
        }
        ("remove", _) => {
            let (holder, last) = holder(fields, &path, false)?;
            let removed = holder.lock().remove(&last);
            removed.unwrap_or(Value::Nil)
        }
        _ => {
            let tag = Value::Text(first.clone());
            match find(fields, &["tags".into()]) {
                Some(Value::Array(tags)) => {
                    let mut tags = tags.lock();
                    if !tags.iter().any(|known| known.same(&tag, 0)) {
                        tags.push(tag);
                    }
                }
                _ => put(fields, Key::Text("tags".into()), Value::array(vec![tag]))?,
            }
            Value::Nil
        }
    }))
}

/// The names in `[a][b]`, from the outside in.
fn path(reference: &str) -> Vec<Arc<str>> {
    match reference.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.split("][").map(Into::into).collect(),
        None => vec![reference.into()],
    }
}

fn find(fields: &Arc<Mutex<Hash>>, path: &[Arc<str>]) -> Option<Value> {
    let first = fields.lock().get(&Key::Text(path.first()?.clone())).cloned()?;
    path[1..].iter().try_fold(first, |value, name| match value {
        Value::Hash(hash) => hash.lock().get(&Key::Text(name.clone())).cloned(),
        Value::Array(list) => list.lock().get(name.parse::<usize>().ok()?).cloned(),
        _ => None,
    })
}

/// The hash that has the last name of a path, and that name; `make` what is missing on the way.
fn holder(fields: &Arc<Mutex<Hash>>, path: &[Arc<str>], make: bool) -> Outcome<(Arc<Mutex<Hash>>, Key)> {
    let mut at = fields.clone();
    let (last, outer) = path.split_last().ok_or("a field has a name")?;
    for name in outer {
        let key = Key::Text(name.clone());
        let found = at.lock().get(&key).cloned();
        at = match found {
            Some(Value::Hash(inner)) => inner,
            None => {
                let inner = Value::hash(Hash::default());
                if make {
                    put(&at, key, inner.clone())?;
                }
                let Value::Hash(inner) = inner else { unreachable!("BUG: a hash is none") };
                inner
            }
            Some(other) => return Err(format!("cannot set a field within {}", other.class())),
        };
    }
    Ok((at, Key::Text(last.clone())))
}

fn put(hash: &Arc<Mutex<Hash>>, key: Key, value: Value) -> Outcome<()> {
    let mut hash = hash.lock();
    if hash.entries().len() >= ELEMENTS_MAX && hash.get(&key).is_none() {
        return Err(format!("a hash holds at most {ELEMENTS_MAX} members"));
    }
    hash.set(key, value);
    Ok(())
}
