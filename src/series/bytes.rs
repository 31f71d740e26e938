//! Small numbers in few bytes: what chunks, the log of the window and the books of derived metrics are
//! written with.

/// Appends a number, seven bits a byte, the lowest first.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a number that may be negative.
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, zigzag(number));
}

/// Small numbers of either sign become small ones without.
pub(crate) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// What [`zigzag`] undid.
pub(crate) fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Appends a text behind its length.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads what was put. Every method gives `None` where the bytes end too early.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub(crate) fn get(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0_u64, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        self.get().map(unzigzag)
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn float(&mut self) -> Option<f64> {
        let bytes = self.take(8)?;
        Some(f64::from_le_bytes(bytes.try_into().ok()?))
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.get()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }
}

/// Appends a number as what changed since `last`: nothing, a whole number, or the bytes that
/// differ. `low` are three bits that travel in the same byte.
///
/// ```text
/// byte 0: low (3 bits) | form (2 bits) | small (3 bits)
///   form 0: the same                      form 1: whole difference, zigzag, 0 to 6 in `small`;
///   form 2: the same sign and top bytes:          7: in the bytes behind
///           `small` leading bytes are equal, the others follow
/// ```
pub(crate) fn put_number(out: &mut Vec<u8>, low: u8, last: f64, value: f64) {
    debug_assert!(low < 8);
    if last.to_bits() == value.to_bits() {
        return out.push(low);
    }
    if let Some(difference) = whole_difference(last, value) {
        let coded = zigzag(difference);
        if coded < 7 {
            return out.push(low | 1 << 3 | (coded as u8) << 5);
        }
        // A long difference is no shorter than the bytes themselves.
        if coded < 1 << 42 {
            out.push(low | 1 << 3 | 7 << 5);
            return put(out, coded);
        }
    }
    let bytes = (last.to_bits() ^ value.to_bits()).to_be_bytes();
    let equal = bytes.iter().take_while(|&&byte| byte == 0).count().min(7);
    out.push(low | 2 << 3 | (equal as u8) << 5);
    out.extend_from_slice(&bytes[equal..]);
}

/// The difference of two whole numbers, where it gives back the second exactly.
fn whole_difference(last: f64, value: f64) -> Option<i64> {
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if !(last.abs() <= WHOLE_MAX && value.abs() <= WHOLE_MAX) {
        return None;
    }
    let difference = value as i64 - last as i64;
    let back = (last as i64 + difference) as f64;
    (last.fract() == 0.0 && back.to_bits() == value.to_bits()).then_some(difference)
}

/// Reads what [`put_number`] wrote: `low` and the number.
pub(crate) fn number(reader: &mut Reader, last: f64) -> Option<(u8, f64)> {
    let head = reader.byte()?;
    let (low, form, small) = (head & 7, head >> 3 & 3, head >> 5);
    let value = match form {
        0 => last,
        1 => {
            let coded = if small < 7 { u64::from(small) } else { reader.get()? };
            (last as i64).wrapping_add(unzigzag(coded)) as f64
        }
        _ => {
            let mut bytes = [0; 8];
            bytes[small as usize..].copy_from_slice(reader.take(8 - small as usize)?);
            f64::from_bits(last.to_bits() ^ u64::from_be_bytes(bytes))
        }
    };
    Some((low, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_number() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            any::<i16>().prop_map(f64::from),
            any::<i64>().prop_map(|n| n as f64),
            Just(-0.0),
            Just(crate::series::stale_nan()),
            0.0..1.0_f64,
        ]
    }

    proptest! {
        #[test]
        fn numbers_come_back_bit_by_bit(numbers in prop::collection::vec((any_number(), 0..8_u8), 1..40)) {
            let mut out = Vec::new();
            let mut last = 0.0;
            for &(value, low) in &numbers {
                put_number(&mut out, low, last, value);
                last = value;
            }
            let mut reader = Reader(&out);
            last = 0.0;
            for &(value, low) in &numbers {
                let (got_low, got) = number(&mut reader, last).unwrap();
                prop_assert_eq!((got_low, got.to_bits()), (low, value.to_bits()));
                last = got;
            }
            prop_assert!(reader.0.is_empty());
        }

        #[test]
        fn varints_come_back(numbers in prop::collection::vec(any::<i64>(), 0..20)) {
            let mut out = Vec::new();
            numbers.iter().for_each(|&n| put_signed(&mut out, n));
            let mut reader = Reader(&out);
            let back: Vec<i64> = std::iter::from_fn(|| reader.signed()).collect();
            prop_assert_eq!(back, numbers);
        }
    }

    #[test]
    fn what_is_cut_off_is_told() {
        assert_eq!(Reader(&[0x80]).get(), None);
        assert_eq!(Reader(&[0xff; 12]).get(), None);
        assert!(number(&mut Reader(&[2 << 3, 1]), 0.0).is_none());
        assert_eq!(Reader(&[3, b'a']).text(), None);
    }
}
