//! Retention: which partitions have had their time. Dropping one is a line in the manifest.

use super::manifest::{Key, State};
use super::settings::{Clock, Retention};
use super::tier::Day;

/// The partitions that go, on the day `today`.
pub(super) fn expired(state: &State, retention: &Retention, today: Day) -> Vec<Key> {
    let gone = |key: &Key, written: Day| {
        let Some(days) = retention.days_of(key.tier) else { return false };
        let from = match retention.clock {
            Clock::Arrival => key.day.max(written),
            Clock::Event => key.day,
        };
        today.0 as i64 - from.0 as i64 > days as i64
    };
    let partitions = state.partitions.iter();
    partitions.filter(|(key, partition)| gone(key, partition.written)).map(|(key, _)| key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::manifest::PartitionState;
    use super::super::tier::Tier;
    use super::*;

    #[test]
    fn age_counts_by_tier_and_clock() {
        let check = |tier: Tier, day: i32, written: i32, clock: Clock, want: bool| {
            let mut state = State::default();
            let key = Key { stream: "s".into(), day: Day(day), tier };
            state.partitions.insert(key, PartitionState { segments: Vec::new(), written: Day(written) });
            let retention = Retention { clock, ..Retention::default() };
            assert_eq!(expired(&state, &retention, Day(1000)).len() == 1, want, "{tier} {day} {written} {clock:?}");
        };
        check(Tier::Error, 910, 910, Clock::Arrival, false);
        check(Tier::Error, 909, 909, Clock::Arrival, true);
        check(Tier::Debug, 993, 993, Clock::Arrival, false);
        check(Tier::Debug, 992, 992, Clock::Arrival, true);
        check(Tier::Info, 100, 999, Clock::Arrival, false);
        check(Tier::Info, 100, 999, Clock::Event, true);
        check(Tier::Warn, 2000, 999, Clock::Event, false);
    }

    #[test]
    fn no_days_is_for_ever() {
        let mut state = State::default();
        let key = Key { stream: "s".into(), day: Day(0), tier: Tier::Info };
        state.partitions.insert(key, PartitionState { segments: Vec::new(), written: Day(0) });
        let retention = Retention { days: [None; 4], clock: Clock::Event };
        assert!(expired(&state, &retention, Day(100_000)).is_empty());
    }
}
