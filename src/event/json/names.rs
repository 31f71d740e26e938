//! The names of JSON members to ids, without hashing: log lines repeat the order of their keys,
//! so each name remembers the two that followed it last, and a guess costs one comparison.

use crate::event::FieldId;
use crate::event::batch::LocalNames;
use crate::event::field::LOCAL;
use rustc_hash::FxHashMap;

/// How many names a parser remembers; what goes past is looked up in the process's table.
const NAMES_MAX: usize = 4096;
/// Names up to this length are compared as two words.
const SHORT: usize = 16;

/// What one parser knows of names.
pub(super) struct Names {
    known: Vec<Known>,
    by_name: FxHashMap<Box<str>, u32>,
    /// The one before.
    last: u32,
}

struct Known {
    id: FieldId,
    /// Those that followed last and before that.
    next: [u32; 2],
    len: u32,
    words: [u64; 2],
    name: Box<str>,
    /// The name in quotes as it stands in JSON, where that is no more than 16 bytes …
    quoted: u128,
    /// … and a bit for each bit of it; 0 for names that are longer, or written with escapes.
    mask: u128,
}

impl Default for Names {
    fn default() -> Names {
        // The first is no name: it stands before the first name of a document, and its
        // comparison fails on every name but the empty one, whose id it has.
        Names { known: vec![Known::new(FieldId::EMPTY, "")], by_name: FxHashMap::default(), last: 0 }
    }
}

impl Names {
    /// Begins a document.
    pub(super) fn begin(&mut self) {
        self.last = 0;
    }

    /// The id of the next name.
    #[inline]
    pub(super) fn id(&mut self, name: &str, local: &mut LocalNames) -> FieldId {
        let words = words(name.as_bytes());
        for guess in self.known[self.last as usize].next {
            let known = &self.known[guess as usize];
            if known.is(name, words) {
                self.last = guess;
                return known.id;
            }
        }
        self.miss(name, local)
    }

    /// The id of the next name, and its length with quotes, if it is one that was guessed; it
    /// stands at the beginning of `json`, quotes and all, which has 16 bytes at least.
    #[inline]
    pub(super) fn guess(&mut self, json: &[u8]) -> Option<(FieldId, usize)> {
        let window = u128::from_le_bytes(json.get(..16)?.try_into().expect("BUG: sixteen bytes"));
        for guess in self.known[self.last as usize].next {
            let known = &self.known[guess as usize];
            let hit = if known.mask != 0 { window & known.mask == known.quoted } else { known.stands_in(json) };
            if hit {
                self.last = guess;
                return Some((known.id, known.len as usize + 2));
            }
        }
        None
    }

    #[cold]
    fn miss(&mut self, name: &str, local: &mut LocalNames) -> FieldId {
        let at = match self.by_name.get(name) {
            Some(&at) => at,
            None => {
                let id = local.key(name);
                // The id of a name that only the batch knows must not outlive the batch.
                if id.0 & LOCAL != 0 || self.known.len() >= NAMES_MAX {
                    return id;
                }
                let at = self.known.len() as u32;
                self.known.push(Known::new(id, name));
                self.by_name.insert(name.into(), at);
                at
            }
        };
        let next = &mut self.known[self.last as usize].next;
        *next = [at, next[0]];
        self.last = at;
        self.known[at as usize].id
    }
}

impl Known {
    fn new(id: FieldId, name: &str) -> Known {
        let quoted = format!("\"{name}\"");
        let plain = !name.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\');
        let (mut bytes, mut mask) = ([0; 16], [0; 16]);
        if plain && quoted.len() <= 16 {
            bytes[..quoted.len()].copy_from_slice(quoted.as_bytes());
            mask[..quoted.len()].fill(0xff);
        }
        Known {
            id,
            next: [0; 2],
            len: name.len() as u32,
            words: words(name.as_bytes()),
            name: name.into(),
            quoted: u128::from_le_bytes(bytes),
            mask: u128::from_le_bytes(mask),
        }
    }

    /// A name too long for a mask.
    fn stands_in(&self, json: &[u8]) -> bool {
        let name = self.name.as_bytes();
        name.len() > 14
            && json.get(name.len() + 1) == Some(&b'"')
            && json[0] == b'"'
            && &json[1..=name.len()] == name
            && !name.iter().any(|&b| b < 0x20 || b == b'"' || b == b'\\')
    }

    #[inline]
    fn is(&self, name: &str, words: [u64; 2]) -> bool {
        self.len as usize == name.len() && self.words == words && (name.len() <= SHORT || *self.name == *name)
    }
}

/// Two words that are equal for names of the same length up to [`SHORT`] if and only if the
/// names are, and that differ for most longer ones.
#[inline]
fn words(name: &[u8]) -> [u64; 2] {
    let n = name.len();
    if n >= 8 {
        [u64::from_le_bytes(eight(&name[..8])), u64::from_le_bytes(eight(&name[n - 8..]))]
    } else if n >= 4 {
        [four(&name[..4]), four(&name[n - 4..])]
    } else if n > 0 {
        [name[0] as u64 | (name[n / 2] as u64) << 8 | (name[n - 1] as u64) << 16, 0]
    } else {
        [0; 2]
    }
}

#[inline]
fn eight(bytes: &[u8]) -> [u8; 8] {
    bytes.try_into().expect("BUG: eight bytes")
}

#[inline]
fn four(bytes: &[u8]) -> u64 {
    u32::from_le_bytes(bytes.try_into().expect("BUG: four bytes")) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_their_ids_in_whatever_order() {
        let (mut names, mut local) = (Names::default(), LocalNames::default());
        let long = "a name of more than sixteen bytes";
        let longer = "a name of more then sixteen bytes";
        let lines: [&[&str]; 5] = [
            &["level", "message", "x", long],
            &["level", "x", "", longer, long],
            &["message", "level", "level", "xy", "xyz", "xaz", "abcd", "abce", "abcdefgh", "abcdefgi"],
            &["", "", "level"],
            &["level", "message", "x", long],
        ];
        for _round in 0..3 {
            for line in lines {
                names.begin();
                for name in line {
                    assert_eq!(names.id(name, &mut local), FieldId::intern(name), "{name}");
                }
            }
        }
    }

    #[test]
    fn words_tell_short_names_apart() {
        let mut all = std::collections::HashSet::new();
        let mut add = |name: &[u8]| assert!(all.insert((name.len(), words(name))), "{name:?}");
        for len in 1..=SHORT {
            for at in 0..len {
                let mut name = vec![b'a'; len];
                name[at] = b'b';
                add(&name);
            }
        }
    }
}
