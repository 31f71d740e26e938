//! The text index of one field in one segment: terms are gathered as a flat list of numbers, then
//! sorted into postings with positions once, at the end.
//!
//! Compared with a growing list per term this touches memory in order while texts arrive, and
//! allocates only by doubling a few vectors.

use std::io;
use tantivy::directory::{CompositeWrite, WritePtr};
use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::FieldSerializer;
use tantivy::schema::{Field, IndexRecordOption};
use xxhash_rust::xxh3::xxh3_64;

/// Positions between two values of one field (`position_increment_gap`), so that no phrase
/// matches across them.
const POSITION_GAP: u32 = 100;
/// Stands in the list of terms between two values.
const GAP: u32 = u32::MAX;

/// Gathers the texts of one field.
#[derive(Default)]
pub(super) struct TextWriter {
    terms: TermTable,
    /// The terms of all documents, one after the other.
    tokens: Vec<u32>,
    /// Documents with text, in order, and where their terms end.
    docs: Vec<(u32, u32)>,
    total_tokens: u64,
}

impl TextWriter {
    /// Begins a value of a document; documents come in order.
    pub fn begin(&mut self, doc: u32) {
        match self.docs.last() {
            Some(&(last, _)) if last == doc => self.tokens.push(GAP),
            _ => self.docs.push((doc, 0)),
        }
    }

    /// Adds a term of the value.
    #[inline]
    pub fn add(&mut self, term: &str) {
        let id = self.terms.id(term.as_bytes());
        self.tokens.push(id);
    }

    /// Ends the value.
    pub fn end(&mut self) {
        if let Some(last) = self.docs.last_mut() {
            last.1 = self.tokens.len() as u32;
        }
    }

    /// Bytes of memory in use, roughly.
    pub fn memory(&self) -> usize {
        self.tokens.len() * 4 + self.docs.len() * 8 + self.terms.memory()
    }

    /// The lengths of all documents as tantivy's norms, one byte each.
    pub fn norms(&self, docs: u32) -> Vec<u8> {
        let mut norms = vec![0; docs as usize];
        let mut start = 0;
        for &(doc, end) in &self.docs {
            let tokens = &self.tokens[start as usize..end as usize];
            let len = tokens.iter().filter(|&&t| t != GAP).count();
            norms[doc as usize] = FieldNormReader::fieldnorm_to_id(len as u32);
            start = end;
        }
        norms
    }

    /// Writes the field's dictionary, postings and positions.
    pub fn write(mut self, field: Field, norms: Option<FieldNormReader>, out: &mut InvertedFiles) -> io::Result<()> {
        let ranges = self.count();
        let occurrences = self.sort(&ranges);
        let order = self.terms.sorted();
        let mut writer = FieldSerializer::create(
            IndexRecordOption::WithFreqsAndPositions,
            self.total_tokens,
            out.terms.for_field(field),
            out.postings.for_field(field),
            out.positions.for_field(field),
            norms,
        )?;
        let mut deltas = Vec::new();
        for id in order {
            let list = &occurrences[ranges[id as usize] as usize..ranges[id as usize + 1] as usize];
            let docs = 1 + list.windows(2).filter(|pair| pair[0].0 != pair[1].0).count();
            writer.new_term(self.terms.term(id), docs as u32, true)?;
            for group in list.chunk_by(|a, b| a.0 == b.0) {
                deltas.clear();
                let mut last = 0;
                for &(_, position) in group {
                    deltas.push(position - last);
                    last = position;
                }
                writer.write_doc(group[0].0, group.len() as u32, &deltas);
            }
            writer.close_term()?;
        }
        writer.close()
    }

    /// Where the occurrences of each term begin, by term; one more at the end.
    fn count(&mut self) -> Vec<u32> {
        let mut starts = vec![0u32; self.terms.len() + 1];
        for &token in self.tokens.iter().filter(|&&t| t != GAP) {
            starts[token as usize + 1] += 1;
            self.total_tokens += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        starts
    }

    /// All (document, position), by term, then document, then position.
    fn sort(&self, starts: &[u32]) -> Vec<(u32, u32)> {
        let mut next = starts.to_vec();
        let mut sorted = vec![(0, 0); self.total_tokens as usize];
        let mut start = 0;
        for &(doc, end) in &self.docs {
            let mut position = 0;
            for &token in &self.tokens[start as usize..end as usize] {
                if token == GAP {
                    position += POSITION_GAP;
                    continue;
                }
                let at = &mut next[token as usize];
                sorted[*at as usize] = (doc, position);
                *at += 1;
                position += 1;
            }
            start = end;
        }
        sorted
    }
}

/// The three files that fields write their postings to.
pub(super) struct InvertedFiles {
    pub terms: CompositeWrite<WritePtr>,
    pub postings: CompositeWrite<WritePtr>,
    pub positions: CompositeWrite<WritePtr>,
}

impl InvertedFiles {
    /// Finishes the files.
    pub fn close(self) -> io::Result<()> {
        self.terms.close()?;
        self.postings.close()?;
        self.positions.close()
    }
}

/// Numbers terms in order of appearance.
#[derive(Default)]
struct TermTable {
    bytes: Vec<u8>,
    /// Where each term ends in `bytes`.
    ends: Vec<u32>,
    hashes: Vec<u32>,
    /// Term number + 1, or 0; a power of two, at most half full.
    slots: Vec<u32>,
}

impl TermTable {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn memory(&self) -> usize {
        self.bytes.len() + self.ends.len() * 8 + self.slots.len() * 4
    }

    #[inline]
    fn term(&self, id: u32) -> &[u8] {
        let start = if id == 0 { 0 } else { self.ends[id as usize - 1] };
        &self.bytes[start as usize..self.ends[id as usize] as usize]
    }

    #[inline]
    fn id(&mut self, term: &[u8]) -> u32 {
        if self.ends.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let hash = xxh3_64(term) as u32;
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.slots[at] {
                0 => break,
                id if self.hashes[id as usize - 1] == hash && self.term(id - 1) == term => return id - 1,
                _ => at = (at + 1) & mask,
            }
        }
        let id = self.ends.len() as u32;
        self.bytes.extend_from_slice(term);
        self.ends.push(self.bytes.len() as u32);
        self.hashes.push(hash);
        self.slots[at] = id + 1;
        id
    }

    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(1024);
        self.slots = vec![0; len];
        for (id, &hash) in self.hashes.iter().enumerate() {
            let mut at = hash as usize & (len - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (len - 1);
            }
            self.slots[at] = id as u32 + 1;
        }
    }

    /// Term numbers in the order of their bytes.
    fn sorted(&self) -> Vec<u32> {
        // The first eight bytes decide nearly always, and compare as one number.
        let mut keyed: Vec<(u64, u32)> = (0..self.len() as u32)
            .map(|id| {
                let term = self.term(id);
                let mut head = [0; 8];
                let len = term.len().min(8);
                head[..len].copy_from_slice(&term[..len]);
                (u64::from_be_bytes(head), id)
            })
            .collect();
        keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.term(a.1).cmp(self.term(b.1))));
        keyed.into_iter().map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn terms_are_numbered_once_and_sort_by_bytes(words in prop::collection::vec("[a-c\\x00é]{0,10}", 0..200)) {
            let mut table = TermTable::default();
            for word in &words {
                let id = table.id(word.as_bytes());
                prop_assert_eq!(table.term(id), word.as_bytes());
            }
            let sorted: Vec<Vec<u8>> = table.sorted().into_iter().map(|id| table.term(id).to_vec()).collect();
            let mut want: Vec<Vec<u8>> = words.iter().map(|w| w.as_bytes().to_vec()).collect();
            want.sort();
            want.dedup();
            prop_assert_eq!(sorted, want);
        }
    }

    #[test]
    fn occurrences_stand_by_term_with_gaps_between_values() {
        let mut writer = TextWriter::default();
        let mut add = |doc, text: &str| {
            writer.begin(doc);
            text.split(' ').for_each(|term| writer.add(term));
            writer.end();
        };
        add(1, "b a b");
        add(4, "a");
        add(4, "b");
        let ranges = writer.count();
        assert_eq!(ranges, [0, 3, 5]);
        assert_eq!(writer.sort(&ranges), [(1, 0), (1, 2), (4, 101), (1, 1), (4, 0)]);
        let norms: Vec<u32> = writer.norms(6).into_iter().map(FieldNormReader::id_to_fieldnorm).collect();
        assert_eq!(norms, [0, 3, 0, 0, 2, 0]);
    }
}
