//! Field names as interned ids, and field references (`[a][b][0]`).
//!
//! Names are interned once for the whole process, so a comparison of names is a
//! comparison of integers. The table only grows, which is why it is bounded:
//! past [`NAMES_MAX`] a name that comes with the data (never one that comes with the
//! configuration) lives in its batch alone, see [`crate::event::Batch::key`].

use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::sync::LazyLock;

/// How many names that come with the data are interned for ever. A service has hundreds;
/// what goes past this is user data used as keys, which must not grow the process.
pub const NAMES_MAX: usize = 65_536;
/// Longer names that come with the data are never interned process-wide.
pub const NAME_BYTES_MAX: usize = 256;
/// Ids from here on are local to a batch.
pub(super) const LOCAL: u32 = 1 << 31;

/// An interned field name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct FieldId(pub(super) u32);

macro_rules! well_known {
    ($($id:literal $constant:ident $name:literal),* $(,)?) => {
        impl FieldId {
            $(#[doc = concat!("`", $name, "`")] pub const $constant: FieldId = FieldId($id);)*
        }
        const WELL_KNOWN: &[&str] = &[$($name),*];
    };
}
// The number is the index in the list; a test checks it.
well_known! {
    0 EMPTY "", 1 MESSAGE "message", 2 TIMESTAMP "@timestamp", 3 VERSION "@version", 4 TAGS "tags",
    5 METADATA "@metadata", 6 EVENT "event", 7 ORIGINAL "original", 8 HOST "host", 9 TYPE "type",
    10 BAD_TIMESTAMP "_@timestamp", 11 LEVEL "level",
    12 LOG_LEVEL "log.level", 13 SEVERITY "severity", 14 LOGLEVEL "loglevel", 15 LOG_UNDERSCORE_LEVEL "log_level",
    16 LEVELNAME "levelname", 17 SEVERITY_TEXT "severity_text", 18 LVL "lvl", 19 LOG "log",
}

struct Names {
    names: boxcar::Vec<&'static str>,
    ids: RwLock<FxHashMap<&'static str, u32>>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let names = Names { names: boxcar::Vec::new(), ids: RwLock::new(FxHashMap::default()) };
    for name in WELL_KNOWN {
        names.add(name);
    }
    names
});

impl Names {
    fn add(&self, name: &str) -> u32 {
        let mut ids = self.ids.write();
        if let Some(&id) = ids.get(name) {
            return id;
        }
        // Leaked on purpose: names live as long as the process, and their number is bounded.
        let name: &'static str = Box::leak(name.into());
        let mut id = self.names.push(name) as u32;
        while is_left_out(id) {
            id = self.names.push(name) as u32;
        }
        ids.insert(name, id);
        id
    }
}

/// Whether an id would share its [`FieldId::bit`] with a name under which logs say their level. Such
/// ids are not given away, so that those bits say for sure which of these names an event has.
pub(super) fn is_left_out(id: u32) -> bool {
    id > FieldId::LOG.0 && FieldId(id).bit() & FieldId::level_bits() != 0
}

impl FieldId {
    /// Interns a name that the configuration or the program uses.
    pub fn intern(name: &str) -> FieldId {
        match Self::lookup(name) {
            Some(id) => id,
            None => FieldId(NAMES.add(name)),
        }
    }

    /// Interns a name that comes with the data, unless the table is full or the name too long.
    pub(super) fn intern_bounded(name: &str) -> Option<FieldId> {
        if let Some(id) = Self::lookup(name) {
            return Some(id);
        }
        if name.len() > NAME_BYTES_MAX || NAMES.names.count() >= NAMES_MAX {
            return None;
        }
        Some(FieldId(NAMES.add(name)))
    }

    /// Whether it is one of the names under which logs say their level.
    #[inline]
    pub fn is_level(self) -> bool {
        (FieldId::LEVEL.0..=FieldId::LVL.0).contains(&self.0)
    }

    /// The [`FieldId::bit`]s of all fields below which a level may stand: no other name has them.
    #[inline]
    pub(crate) const fn level_bits() -> u64 {
        const LEVELS: u64 = (1 << (FieldId::LVL.0 + 1)) - (1 << FieldId::LEVEL.0);
        LEVELS | 1 << FieldId::LOG.0
    }

    /// The id of a name that was interned before.
    pub fn lookup(name: &str) -> Option<FieldId> {
        NAMES.ids.read().get(name).map(|&id| FieldId(id))
    }

    /// The name of a process-wide id; `None` for one that only its batch knows.
    pub fn name(self) -> Option<&'static str> {
        if self.0 & LOCAL != 0 {
            return None;
        }
        NAMES.names.get(self.0 as usize).copied()
    }

    /// One of 64 bits, for small sets of ids that may err on the side of "is in it".
    #[inline]
    pub(crate) fn bit(self) -> u64 {
        1 << (self.0 & 63)
    }

    /// The name of an id that came from [`FieldId::intern`].
    pub fn known(self) -> &'static str {
        self.name().expect("BUG: a batch-local field id outside of its batch")
    }
}

/// One step of a field reference: a key of a hash, or an index of an array.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Step {
    /// The key.
    pub key: FieldId,
    /// The same step as an array index (negative counts from the end), if it is a whole number.
    pub index: Option<i32>,
}

/// A parsed field reference: never empty.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FieldRef {
    steps: Box<[Step]>,
}

/// Why a text is no field reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot parse field reference `{0}`: expected a name or `[a][b]`")]
pub struct FieldRefError(pub String);

impl FieldRef {
    /// Parses `name` or `[a][b][0]` as Logstash's strict field reference parser does: brackets
    /// are balanced, without text between or around them; `a.b` is one name.
    pub fn parse(text: &str) -> Result<FieldRef, FieldRefError> {
        Self::parse_with(text, FieldId::intern)
    }

    /// The same with another way from names to ids, for references that come with the data.
    pub(super) fn parse_with(text: &str, mut id: impl FnMut(&str) -> FieldId) -> Result<FieldRef, FieldRefError> {
        let bad = || FieldRefError(text.to_owned());
        let mut step = |name: &str| Step { key: id(name), index: name.parse().ok() };
        if !text.contains(['[', ']']) {
            return if text.is_empty() { Err(bad()) } else { Ok(FieldRef { steps: Box::new([step(text)]) }) };
        }
        let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).ok_or_else(bad)?;
        if inner.split("][").any(|s| s.is_empty() || s.contains(['[', ']', ','])) {
            return Err(bad());
        }
        Ok(FieldRef { steps: inner.split("][").map(step).collect() })
    }

    /// A reference to one top-level field, whatever characters its name has.
    pub fn of(name: &str) -> FieldRef {
        FieldRef { steps: Box::new([Step::of(name)]) }
    }

    /// A reference of several nested names.
    pub fn path(names: &[&str]) -> FieldRef {
        assert!(!names.is_empty(), "BUG: an empty field reference");
        FieldRef { steps: names.iter().map(|n| Step::of(n)).collect() }
    }

    /// The steps from the top-level field down.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The top-level field.
    pub fn first(&self) -> FieldId {
        self.steps[0].key
    }
}

impl Step {
    fn of(name: &str) -> Step {
        Step { key: FieldId::intern(name), index: name.parse().ok() }
    }
}

impl std::fmt::Display for FieldRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.steps.iter().try_for_each(|step| write!(f, "[{}]", step.key.known()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_names_stand_at_their_numbers() {
        for (at, name) in WELL_KNOWN.iter().enumerate() {
            assert_eq!(FieldId::intern(name), FieldId(at as u32), "{name}");
        }
        assert_eq!(FieldId::LEVEL.known(), "level");
    }

    #[test]
    fn no_other_name_has_the_bit_of_a_level() {
        let mut local = crate::event::batch::LocalNames::default();
        for n in 0..200 {
            let name = format!("no_other_name_{n}");
            let long = name.repeat(NAME_BYTES_MAX / 10);
            for id in [FieldId::intern(&name), local.key(&long)] {
                assert_eq!(id.bit() & FieldId::level_bits(), 0, "{id:?}");
            }
            assert_eq!(FieldId::intern(&name).known(), name);
            assert_eq!(local.key(&long), local.key(&long));
        }
    }

    #[test]
    fn references() {
        let check = |text: &str, want: Option<&str>| {
            assert_eq!(FieldRef::parse(text).ok().map(|r| r.to_string()).as_deref(), want, "{text}");
        };
        check("a", Some("[a]"));
        check("a.b", Some("[a.b]"));
        check("[a]", Some("[a]"));
        check("[a][b][0]", Some("[a][b][0]"));
        check("[@metadata][x]", Some("[@metadata][x]"));
        for bad in ["", "[", "]", "[]", "[a", "a]", "[a]b", "a[b]", "[a][]", "[[a]]", "[a] [b]x"] {
            check(bad, None);
        }
    }
}
