//! Prints: short texts as numbers, so that those seen lately are told apart without a look at their
//! bytes elsewhere.

use crate::event::{Look, Span};

/// A power of two, far more than values that are common: two in one place cost a search each time.
const NEAR: usize = 1 << NEAR_BITS;
const NEAR_BITS: u32 = 8;
/// Longer texts have no print.
const LONGEST: usize = 32;

/// An odd number whose product's upper bits depend on all bits of the factor: 2⁶⁴ over the golden
/// ratio.
pub(super) const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A short text, different for different texts: its first sixteen bytes, of a longer one the last
/// sixteen too, and its length.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Print {
    first: [u64; 2],
    last: [u64; 2],
    len: u32,
}

impl Print {
    /// Equal to no text's.
    const NONE: Print = Print { first: [0; 2], last: [0; 2], len: u32::MAX };

    /// `None` for a text that is too long.
    fn of(text: &[u8]) -> Option<Print> {
        let words = |text: &[u8]| {
            let mut bytes = [0; 16];
            bytes[..text.len()].copy_from_slice(text);
            [0, 8].map(|half| u64::from_le_bytes(std::array::from_fn(|at| bytes[half + at])))
        };
        let (first, last) = match text.len() {
            ..=16 => (words(text), [0; 2]),
            17..=LONGEST => (words(&text[..16]), words(&text[text.len() - 16..])),
            _ => return None,
        };
        Some(Print { first, last, len: text.len() as u32 })
    }

    fn place(&self) -> usize {
        match self.len {
            ..=16 => place(self.first),
            _ => place_of_long(self.first, self.last),
        }
    }
}

#[inline(always)]
fn place([a, b]: [u64; 2]) -> usize {
    ((a ^ b.rotate_left(23)).wrapping_mul(SPREAD) >> (64 - NEAR_BITS)) as usize
}

#[inline(always)]
fn place_of_long([a, b]: [u64; 2], [c, d]: [u64; 2]) -> usize {
    place([a ^ c.rotate_left(41), b ^ d.rotate_left(13)])
}

/// What is kept of sixteen bytes, by the length of the text that begins there.
static KEEP: [[u64; 2]; 17] = {
    let mut keep = [[0; 2]; 17];
    let mut len = 1;
    while len < keep.len() {
        keep[len] = keep[len - 1];
        keep[len][(len - 1) / 8] |= 0xff << (8 * ((len - 1) % 8));
        len += 1;
    }
    keep
};

/// Texts seen lately, and the numbers that stand for them.
pub(super) struct Near(Box<[(Print, u32); NEAR]>);

impl Near {
    pub(super) fn new() -> Near {
        Near(Box::new([(Print::NONE, 0); NEAR]))
    }

    pub(super) fn clear(&mut self) {
        self.0.fill((Print::NONE, 0));
    }

    /// The number of a text in a batch. `None` also for a few that are at the very end of the batch.
    #[inline(always)]
    pub(super) fn find(&self, look: Look, span: Span) -> Option<u32> {
        let (start, len) = (span.start as usize, span.len);
        if let Some([keep_a, keep_b]) = KEEP.get(len as usize) {
            let [a, b] = look.sixteen(start)?;
            let (a, b) = (a & keep_a, b & keep_b);
            let (print, number) = &self.0[place([a, b])];
            // Without a branch for each part.
            let differ = (a ^ print.first[0]) | (b ^ print.first[1]) | u64::from(len ^ print.len);
            (differ == 0).then_some(*number)
        } else if len as usize <= LONGEST {
            let (first, last) = (look.sixteen(start)?, look.sixteen(start + len as usize - 16)?);
            let (print, number) = &self.0[place_of_long(first, last)];
            (*print == Print { first, last, len }).then_some(*number)
        } else {
            None
        }
    }

    /// The number of a text that stands elsewhere.
    pub(super) fn find_text(&self, text: &[u8]) -> Option<u32> {
        let wanted = Print::of(text)?;
        let (print, number) = &self.0[wanted.place()];
        (*print == wanted).then_some(*number)
    }

    /// Takes the place of whatever was there.
    pub(super) fn learn(&mut self, text: &[u8], number: u32) {
        if let Some(print) = Print::of(text) {
            self.0[print.place()] = (print, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Batch;
    use proptest::prelude::*;

    #[test]
    fn what_is_longer_than_a_print_has_none() {
        assert!(Print::of(&[b'a'; 32]).is_some());
        assert!(Print::of(&[b'a'; 33]).is_none());
    }

    proptest! {
        #[test]
        fn prints_are_equal_where_texts_are(one in "[ab]{0,34}", two in "[ab]{0,34}", cut in 0..34_usize, room in 0..40_usize) {
            // Random texts differ in many places; these in one.
            let mut close = one.clone().into_bytes();
            if let Some(byte) = close.get_mut(cut) {
                *byte = b'c';
            }
            let mut batch = Batch::new();
            let span = batch.push_text(&one);
            batch.push_text(&"x".repeat(room));
            for other in [two.as_bytes(), &close, one.as_bytes()] {
                let mut near = Near::new();
                near.learn(other, 7);
                let same = one.as_bytes() == other;
                prop_assert_eq!(near.find_text(one.as_bytes()), (same && one.len() <= LONGEST).then_some(7));
                let found = near.find(batch.look(), span);
                prop_assert!(found.is_none() || same);
                prop_assert!(found.is_some() || !same || one.len() > LONGEST || one.len() + room < 16);
            }
        }
    }
}
