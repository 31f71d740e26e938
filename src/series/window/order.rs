//! Series come in the same order from one write to the next, but for a few that come or go: what is
//! known of the one at the same place need not be looked for.

/// Goes along the numbers of the last write.
pub(super) struct Follow<'a> {
    before: &'a [u32],
    at: usize,
}

impl<'a> Follow<'a> {
    pub(super) fn new(before: &'a [u32]) -> Follow<'a> {
        Follow { before, at: 0 }
    }

    /// The number of the next series, if it is the one that is expected, or the one behind it; else it
    /// has to be looked for, and has come since.
    pub(super) fn next(&mut self, is: impl Fn(u32) -> bool) -> Option<u32> {
        for at in self.at..self.before.len().min(self.at + 2) {
            if is(self.before[at]) {
                self.at = at + 1;
                return Some(self.before[at]);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_is_passed_over() {
        let before = [1, 2, 3, 4, 5];
        let mut follow = Follow::new(&before);
        let found: Vec<Option<u32>> =
            [1, 9, 2, 4, 5, 6].into_iter().map(|id| follow.next(|known| known == id)).collect();
        assert_eq!(found, [Some(1), None, Some(2), Some(4), Some(5), None]);
    }
}
