//! A stream: its name and its mapping, which grows while segments are built on several threads.

use super::date;
use super::mapping::{self, Explicit, FIELDS_MAX, Kind, Mapping, RESERVED_NAMES};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One stream.
pub(super) struct Stream {
    pub name: Arc<str>,
    text_fields: Arc<[String]>,
    mapping: RwLock<Arc<Mapping>>,
    /// How many of the mapping's fields the manifest has.
    pub durable_fields: Mutex<usize>,
    /// Values that stayed in `_source` alone, because of a limit.
    pub unmapped: AtomicU64,
}

/// What decides the kind of a new field.
#[derive(Clone, Copy)]
pub(super) enum Sample<'a> {
    Text(&'a str),
    Of(Kind),
}

impl Stream {
    /// A stream that nobody saw before.
    pub fn new(name: Arc<str>, text_fields: Arc<[String]>) -> Stream {
        let mapping = Mapping::new(&text_fields);
        Stream::restored(name, text_fields, mapping, 0)
    }

    /// A stream as the manifest has it.
    pub fn restored(name: Arc<str>, text_fields: Arc<[String]>, mapping: Mapping, durable: usize) -> Stream {
        Stream {
            name,
            text_fields,
            mapping: RwLock::new(Arc::new(mapping)),
            durable_fields: Mutex::new(durable),
            unmapped: AtomicU64::new(0),
        }
    }

    /// The mapping as it is now.
    pub fn mapping(&self) -> Arc<Mapping> {
        self.mapping.read().clone()
    }

    /// The field at a path, which a first value makes; `None` at a limit.
    pub fn resolve(&self, path: &str, sample: Sample) -> Option<(u32, Kind)> {
        if let Some(found) = find(&self.mapping.read(), path) {
            return Some(found);
        }
        if !may_be_field(path) {
            return None;
        }
        let kind = match sample {
            Sample::Of(kind) => kind,
            Sample::Text(_) if mapping::is_text(path, &self.text_fields) => Kind::Text,
            Sample::Text(text) if date::detect(text).is_some() => Kind::Date,
            Sample::Text(_) => Kind::Keyword,
        };
        self.add(path, kind, None, None)
    }

    /// The sub-field for values of `kind` at the path of a field of another kind.
    pub fn resolve_sub(&self, path: &str, kind: Kind) -> Option<u32> {
        let sub = mapping::sub_path(path, kind);
        match self.add(&sub, kind, None, Some(path.into())) {
            Some((at, found)) if found == kind => Some(at),
            _ => None,
        }
    }

    /// Maps a field on request. An error if it is mapped otherwise already.
    pub fn map(&self, path: &str, explicit: Explicit) -> Result<(), String> {
        if !may_be_field(path) {
            return Err(format!("[{path}] cannot be the name of a field"));
        }
        let mut shared = self.mapping.write();
        if let Some(field) = shared.get(path) {
            let same = field.kind == explicit.kind() || (field.kind, explicit) == (Kind::Keyword, Explicit::Text);
            let old = field.es_type();
            return match same {
                true => Ok(()),
                false => Err(format!("mapper [{path}] cannot be changed from type [{old}] to [{}]", explicit.name())),
            };
        }
        if shared.fields().len() >= FIELDS_MAX {
            return Err(format!("Limit of total fields [{FIELDS_MAX}] has been exceeded"));
        }
        Arc::make_mut(&mut shared).add(path, explicit.kind(), Some(explicit), None, false);
        Ok(())
    }

    fn add(&self, path: &str, kind: Kind, explicit: Option<Explicit>, of: Option<Arc<str>>) -> Option<(u32, Kind)> {
        let mut shared = self.mapping.write();
        if let Some(found) = find(&shared, path) {
            return Some(found);
        }
        if shared.fields().len() >= FIELDS_MAX {
            return None;
        }
        let at = Arc::make_mut(&mut shared).add(path, kind, explicit, of, false);
        Some((at, kind))
    }

    /// Counts a value that no field has.
    pub fn count_unmapped(&self) {
        self.unmapped.fetch_add(1, Ordering::Relaxed);
    }
}

fn find(mapping: &Mapping, path: &str) -> Option<(u32, Kind)> {
    mapping.index_of(path).map(|at| (at, mapping.fields()[at as usize].kind))
}

/// A NUL would end the name of a column, an empty step can't be asked for.
fn may_be_field(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= 512
        && !path.contains('\0')
        && !RESERVED_NAMES.contains(&path)
        && !path.split('.').any(str::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_decides() {
        let stream = Stream::new("s".into(), Vec::new().into());
        let check = |path: &str, sample: Sample, want: Kind| {
            assert_eq!(stream.resolve(path, sample).map(|r| r.1), Some(want), "{path}");
        };
        check("n", Sample::Of(Kind::Long), Kind::Long);
        check("n", Sample::Text("x"), Kind::Long);
        check("at", Sample::Text("2015-01-02T03:04:05Z"), Kind::Date);
        check("id", Sample::Text("2015"), Kind::Keyword);
        check("error.message", Sample::Text("2015-01-02"), Kind::Text);
        assert!(stream.resolve("_id", Sample::Text("x")).is_none());
        assert!(stream.resolve("a..b", Sample::Text("x")).is_none());
        let sub = stream.resolve_sub("n", Kind::Keyword).unwrap();
        assert_eq!(stream.resolve_sub("n", Kind::Keyword), Some(sub));
        assert!(stream.map("n", Explicit::Integer).is_ok());
        assert!(stream.map("n", Explicit::Keyword).is_err());
    }

    #[test]
    fn fields_are_limited() {
        let stream = Stream::new("s".into(), Vec::new().into());
        for n in 0..FIELDS_MAX + 10 {
            stream.resolve(&format!("f{n}"), Sample::Of(Kind::Long));
        }
        assert_eq!(stream.mapping().fields().len(), FIELDS_MAX);
        assert!(stream.resolve("one.more", Sample::Of(Kind::Long)).is_none());
    }
}
