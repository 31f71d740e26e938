//! What may go wrong with every batch: said at once, then counted, and summed up at intervals.
//!
//! No clock of its own, and it writes no log: it says what is to be said.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// How much time lies between two messages at the least.
const INTERVAL: Duration = Duration::from_secs(30);

/// One kind of mishap.
#[derive(Default)]
pub(super) struct Repeated(Mutex<State>);

#[derive(Default)]
struct State {
    /// When it was said last.
    said: Option<Instant>,
    /// How often it happened since.
    times: u64,
    /// What it was the last time.
    cause: String,
}

/// What is to be said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// How often it happened since it was said.
    pub(super) times: u64,
    /// How long ago that was; `None` for the first time.
    pub(super) seconds: Option<u64>,
    /// What it was the last time.
    pub(super) cause: String,
}

impl Repeated {
    /// It happened again, `times` times; gives what is to be said now.
    pub(super) fn happened(&self, times: u64, cause: &dyn std::fmt::Display, now: Instant) -> Option<Said> {
        let mut state = self.0.lock();
        state.times += times;
        state.cause = cause.to_string();
        state.due(now)
    }

    /// What is to be said now of what happened before.
    pub(super) fn due(&self, now: Instant) -> Option<Said> {
        self.0.lock().due(now)
    }

    /// What was not said yet, at the end.
    pub(super) fn rest(&self, now: Instant) -> Option<Said> {
        self.0.lock().say(now)
    }

    /// How long until there may be something to say; `None` where nothing waits for it.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        let state = self.0.lock();
        let said = state.said.filter(|_| state.times > 0)?;
        Some(INTERVAL.saturating_sub(now.saturating_duration_since(said)))
    }
}

impl State {
    fn due(&mut self, now: Instant) -> Option<Said> {
        match self.said {
            Some(said) if now.saturating_duration_since(said) < INTERVAL => None,
            _ => self.say(now),
        }
    }

    fn say(&mut self, now: Instant) -> Option<Said> {
        if self.times == 0 {
            return None;
        }
        let seconds = self.said.map(|said| now.saturating_duration_since(said).as_secs());
        self.said = Some(now);
        Some(Said { times: std::mem::take(&mut self.times), seconds, cause: std::mem::take(&mut self.cause) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_summed_up() {
        let (repeated, begin) = (Repeated::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let said = |times, seconds, cause: &str| Some(Said { times, seconds, cause: cause.to_owned() });
        assert_eq!((repeated.due(at(0)), repeated.patience(at(0))), (None, None));
        assert_eq!(repeated.happened(2, &"a", at(1)), said(2, None, "a"));
        assert_eq!((repeated.due(at(40)), repeated.patience(at(40))), (None, None), "nothing happened since");
        assert_eq!(repeated.happened(1, &"b", at(41)), said(1, Some(40), "b"), "long ago");
        for second in 42..70 {
            assert_eq!(repeated.happened(5, &"c", at(second)), None);
        }
        assert_eq!(repeated.patience(at(70)), Some(Duration::from_secs(1)));
        assert_eq!(repeated.due(at(70)), None);
        assert_eq!(repeated.due(at(71)), said(140, Some(30), "c"));
        assert_eq!(repeated.rest(at(72)), None);
        assert_eq!(repeated.happened(1, &"d", at(72)), None);
        assert_eq!(repeated.rest(at(73)), said(1, Some(2), "d"), "at the end nothing is kept back");
    }
}
