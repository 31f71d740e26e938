//! Sets of documents of one segment.

/// A set of documents of one segment: queries are sets put together.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// None.
    Empty,
    /// All of so many.
    All(u32),
    /// One bit per document.
    Some(Bits),
}

/// One bit per document.
#[derive(Clone, Debug, PartialEq)]
pub struct Bits {
    words: Vec<u64>,
    len: u32,
}

impl Bits {
    /// Nothing of `len`.
    pub fn new(len: u32) -> Bits {
        Bits { words: vec![0; (len as usize).div_ceil(64)], len }
    }

    /// Adds one.
    #[inline]
    pub fn insert(&mut self, at: u32) {
        self.words[at as usize / 64] |= 1 << (at % 64);
    }

    /// Whether it is in.
    #[inline]
    pub fn contains(&self, at: u32) -> bool {
        self.words[at as usize / 64] & (1 << (at % 64)) != 0
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Those in it, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let mut word = word;
            std::iter::from_fn(move || {
                (word != 0).then(|| {
                    let bit = word.trailing_zeros();
                    word &= word - 1;
                    at as u32 * 64 + bit
                })
            })
        })
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.words.len() * 8
    }
}

impl Rows {
    /// Of a list of documents.
    pub fn of(docs: impl IntoIterator<Item = u32>, len: u32) -> Rows {
        let mut bits = Bits::new(len);
        let mut any = false;
        for doc in docs {
            bits.insert(doc);
            any = true;
        }
        if any { Rows::Some(bits) } else { Rows::Empty }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        match self {
            Rows::Empty => 0,
            Rows::All(len) => u64::from(*len),
            Rows::Some(bits) => bits.count(),
        }
    }

    /// Whether there is certainly none.
    pub fn is_empty(&self) -> bool {
        matches!(self, Rows::Empty) || matches!(self, Rows::All(0))
    }

    /// Whether it is in.
    #[inline]
    pub fn contains(&self, doc: u32) -> bool {
        match self {
            Rows::Empty => false,
            Rows::All(len) => doc < *len,
            Rows::Some(bits) => bits.contains(doc),
        }
    }

    /// Those in both.
    pub fn and(self, other: Rows) -> Rows {
        match (self, other) {
            (Rows::Empty, _) | (_, Rows::Empty) => Rows::Empty,
            (Rows::All(_), rows) | (rows, Rows::All(_)) => rows,
            (Rows::Some(mut a), Rows::Some(b)) => {
                let mut any = 0;
                for (a, b) in a.words.iter_mut().zip(&b.words) {
                    *a &= b;
                    any |= *a;
                }
                if any == 0 { Rows::Empty } else { Rows::Some(a) }
            }
        }
    }

    /// Those in either.
    pub fn or(self, other: Rows) -> Rows {
        match (self, other) {
            (Rows::Empty, rows) | (rows, Rows::Empty) => rows,
            (Rows::All(len), _) | (_, Rows::All(len)) => Rows::All(len),
            (Rows::Some(mut a), Rows::Some(b)) => {
                a.words.iter_mut().zip(&b.words).for_each(|(a, b)| *a |= b);
                Rows::Some(a)
            }
        }
    }

    /// Those that `other` has not.
    pub fn without(self, other: &Rows, len: u32) -> Rows {
        match (self, other) {
            (rows, Rows::Empty) => rows,
            (Rows::Empty, _) | (_, Rows::All(_)) => Rows::Empty,
            (Rows::All(_), Rows::Some(b)) => {
                let mut bits = Bits { words: b.words.iter().map(|word| !word).collect(), len };
                if let Some(last) = bits.words.last_mut()
                    && !len.is_multiple_of(64)
                {
                    *last &= (1 << (len % 64)) - 1;
                }
                Rows::Some(bits)
            }
            (Rows::Some(mut a), Rows::Some(b)) => {
                a.words.iter_mut().zip(&b.words).for_each(|(a, b)| *a &= !b);
                Rows::Some(a)
            }
        }
    }

    /// Those that at least `least` of the sets have.
    pub fn at_least(sets: &[Rows], least: usize, len: u32) -> Rows {
        let mut counts = vec![0u16; len as usize];
        for set in sets {
            set.each(|doc| counts[doc as usize] = counts[doc as usize].saturating_add(1));
        }
        let enough = counts.iter().enumerate().filter(|(_, count)| usize::from(**count) >= least);
        Rows::of(enough.map(|(doc, _)| doc as u32), len)
    }

    /// Calls `each` with those in it, in order.
    #[inline]
    pub fn each(&self, mut each: impl FnMut(u32)) {
        match self {
            Rows::Empty => {}
            Rows::All(len) => (0..*len).for_each(each),
            Rows::Some(bits) => {
                for (at, &word) in bits.words.iter().enumerate() {
                    let mut word = word;
                    while word != 0 {
                        each(at as u32 * 64 + word.trailing_zeros());
                        word &= word - 1;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(rows: &Rows) -> Vec<u32> {
        let mut list = Vec::new();
        rows.each(|doc| list.push(doc));
        list
    }

    fn sets() -> impl Strategy<Value = (u32, Vec<bool>, Vec<bool>)> {
        (1u32..200).prop_flat_map(|len| {
            let set = || proptest::collection::vec(any::<bool>(), len as usize);
            (Just(len), set(), set())
        })
    }

    fn rows(set: &[bool]) -> Rows {
        match set.iter().filter(|b| **b).count() {
            n if n == set.len() => Rows::All(n as u32),
            _ => Rows::of((0..set.len() as u32).filter(|&at| set[at as usize]), set.len() as u32),
        }
    }

    proptest! {
        #[test]
        fn like_lists_of_truths((len, a, b) in sets()) {
            let expect = |f: &dyn Fn(bool, bool) -> bool| -> Vec<u32> {
                (0..len).filter(|&at| f(a[at as usize], b[at as usize])).collect()
            };
            prop_assert_eq!(list(&rows(&a).and(rows(&b))), expect(&|a, b| a && b));
            prop_assert_eq!(list(&rows(&a).or(rows(&b))), expect(&|a, b| a || b));
            prop_assert_eq!(list(&rows(&a).without(&rows(&b), len)), expect(&|a, b| a && !b));
            prop_assert_eq!(list(&Rows::All(len).without(&rows(&b), len)), expect(&|_, b| !b));
            prop_assert_eq!(list(&Rows::at_least(&[rows(&a), rows(&b)], 2, len)), expect(&|a, b| a && b));
            prop_assert_eq!(rows(&a).count() as usize, list(&rows(&a)).len());
        }
    }
}
