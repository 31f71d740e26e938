//! The pairs of neighbouring bytes of a text, roughly: enough to say at once of many patterns
//! that the literal which each needs is not in the text.

/// A set of pairs, in which some share a place.
pub struct Pairs([u64; 64]);

impl Default for Pairs {
    fn default() -> Pairs {
        Pairs([0; 64])
    }
}

fn place(pair: &[u8]) -> u16 {
    ((u16::from(pair[0]) << 4) ^ u16::from(pair[1])) & 4095
}

impl Pairs {
    /// Makes it the set of a text.
    pub fn read(&mut self, text: &[u8]) {
        self.0.fill(0);
        for pair in text.windows(2) {
            let place = place(pair);
            self.0[(place >> 6) as usize] |= 1 << (place & 63);
        }
    }

    /// Whether all places are taken.
    pub(super) fn hold(&self, places: &[u16]) -> bool {
        places.iter().all(|place| self.0[(place >> 6) as usize & 63] >> (place & 63) & 1 == 1)
    }
}

/// The places of a literal's pairs.
pub(super) fn places(literal: &[u8]) -> Box<[u16]> {
    let mut places: Vec<u16> = literal.windows(2).map(place).collect();
    places.sort_unstable();
    places.dedup();
    places.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_that_is_there_is_never_denied() {
        let mut pairs = Pairs::default();
        pairs.read("Failed password for root from 10.0.0.1 port 22 é".as_bytes());
        assert!(pairs.hold(&places(b" port ")));
        assert!(pairs.hold(&places("é".as_bytes())));
        assert!(!pairs.hold(&places(b"session opened")));
        assert!(pairs.hold(&places(b"x")), "a single byte has no pair");
    }
}
