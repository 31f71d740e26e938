//! Names that come with the data to ids without a lock, for filters that make fields of them.

use super::{Batch, FieldId, NAME_BYTES_MAX, Span};

/// How many names a cache remembers. Another name in the same slot takes it over.
const SLOTS: usize = 256;

/// Remembers the ids of the names that one worker saw last: one comparison for each name in
/// place of a lock and a look-up in the process's table.
pub struct FieldCache {
    slots: Box<[(FieldId, &'static str); SLOTS]>,
}

impl Default for FieldCache {
    fn default() -> FieldCache {
        FieldCache { slots: Box::new([(FieldId::EMPTY, ""); SLOTS]) }
    }
}

impl FieldCache {
    /// The id of the name at `span`, as [`Batch::key`] gives it.
    #[inline]
    pub fn key(&mut self, batch: &mut Batch, span: Span) -> FieldId {
        let name = batch.bytes(span);
        let slot = &mut self.slots[slot(name)];
        if slot.1.as_bytes() == name {
            return slot.0;
        }
        Self::miss(slot, batch, span)
    }

    #[cold]
    fn miss(slot: &mut (FieldId, &'static str), batch: &mut Batch, span: Span) -> FieldId {
        let name = batch.text(span);
        if name.len() <= NAME_BYTES_MAX
            && let Some(id) = FieldId::lookup(name)
            && let Some(name) = id.name()
        {
            *slot = (id, name);
            return id;
        }
        let name = name.to_owned();
        batch.key(&name)
    }
}

fn slot(name: &[u8]) -> usize {
    let n = name.len();
    let word = |at: usize| name[at..].iter().take(8).fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let mixed = if n >= 8 {
        let eight = |at: usize| u64::from_le_bytes(name[at..at + 8].try_into().expect("BUG: eight bytes"));
        eight(0) ^ eight(n - 8).rotate_left(29)
    } else {
        word(0)
    };
    (mixed.wrapping_add(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gets_the_id_of_the_table() {
        let (mut cache, mut batch) = (FieldCache::default(), Batch::new());
        let names: Vec<String> = (0..600).map(|n| format!("n{n}{}", "x".repeat(n % 19))).collect();
        for _round in 0..3 {
            for name in names.iter().map(String::as_str).chain(["", "message", "größe"]) {
                let span = batch.push_text(name);
                assert_eq!(cache.key(&mut batch, span), FieldId::intern(name), "{name}");
            }
        }
        let long = "l".repeat(NAME_BYTES_MAX + 1);
        let span = batch.push_text(&long);
        let id = cache.key(&mut batch, span);
        assert_eq!(batch.name(id), long);
    }
}
