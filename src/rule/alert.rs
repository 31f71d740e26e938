//! The state of alerts: pending, firing, resolved, by Prometheus' rules.

use crate::series::{Labels, Value};
use rustc_hash::FxHashMap;

/// How far an alert is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    /// It was active and is no more.
    Inactive,
    /// Its condition holds, not yet for long enough.
    Pending,
    /// It fires.
    Firing,
}

impl State {
    /// Its name in series and APIs.
    pub fn name(self) -> &'static str {
        match self {
            State::Inactive => "inactive",
            State::Pending => "pending",
            State::Firing => "firing",
        }
    }
}

/// An alert of one label set. Times are milliseconds since 1970.
#[derive(Clone, Debug)]
pub struct Alert {
    /// All of its labels, `alertname` included.
    pub labels: Labels,
    /// Texts for people.
    pub annotations: Vec<(String, String)>,
    /// How far it is.
    pub state: State,
    /// The value at the last evaluation.
    pub value: Value,
    /// Since when its condition holds.
    pub active_at: i64,
    /// When it began to fire.
    pub fired_at: Option<i64>,
    /// When it ended.
    pub resolved_at: Option<i64>,
    /// When it was last handed to the senders.
    pub last_sent_at: Option<i64>,
    /// Until when receivers may take it for firing without hearing of it.
    pub valid_until: i64,
    /// Since when it fires only because of `keep_firing_for`.
    pub keep_firing_since: Option<i64>,
}

/// A resolved alert is told to receivers for this long.
pub const RESOLVED_RETENTION: i64 = 15 * 60_000;

/// What is found active at an evaluation.
pub struct Found {
    /// All labels.
    pub labels: Labels,
    /// Texts for people.
    pub annotations: Vec<(String, String)>,
    /// The value.
    pub value: Value,
}

/// The alerts of one rule by their labels.
pub type Alerts = FxHashMap<Labels, Alert>;

/// The times of an evaluation, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Since 1970.
    pub now: i64,
    /// How long a condition must hold before the alert fires.
    pub hold: i64,
    /// How long the alert goes on firing afterwards.
    pub keep: i64,
    /// Whether we have just begun, and series may not be back yet: no alert ends.
    pub settling: bool,
}

/// Brings the alerts of a rule to a time; gives how many are pending or firing.
pub fn advance(alerts: &mut Alerts, found: Vec<Found>, times: Times) -> usize {
    let Times { now, hold, keep, settling } = times;
    let mut seen = rustc_hash::FxHashSet::default();
    for one in found {
        seen.insert(one.labels.clone());
        match alerts.get_mut(&one.labels) {
            Some(alert) if alert.state != State::Inactive => {
                alert.value = one.value;
                alert.annotations = one.annotations;
            }
            _ => {
                alerts.insert(one.labels.clone(), begin(one, now));
            }
        }
    }
    let mut active = 0;
    alerts.retain(|labels, alert| {
        if seen.contains(labels) {
            alert.keep_firing_since = None;
        } else if settling && alert.state != State::Inactive {
            active += 1;
            return true;
        } else {
            let keeps =
                alert.state == State::Firing && keep > 0 && now - *alert.keep_firing_since.get_or_insert(now) < keep;
            if !keeps {
                let old = alert.resolved_at.is_some_and(|at| now - at > RESOLVED_RETENTION);
                if alert.state == State::Pending || old {
                    return false;
                }
                if alert.state != State::Inactive {
                    alert.state = State::Inactive;
                    alert.resolved_at = Some(now);
                }
                return true;
            }
        }
        active += 1;
        if alert.state == State::Pending && now - alert.active_at >= hold {
            alert.state = State::Firing;
            alert.fired_at = Some(now);
        }
        // `for` became longer at a reload.
        if alert.state == State::Firing && now - alert.active_at < hold {
            alert.state = State::Pending;
            (alert.fired_at, alert.last_sent_at, alert.keep_firing_since) = (None, None, None);
        }
        true
    });
    active
}

fn begin(found: Found, now: i64) -> Alert {
    Alert {
        labels: found.labels,
        annotations: found.annotations,
        state: State::Pending,
        value: found.value,
        active_at: now,
        fired_at: None,
        resolved_at: None,
        last_sent_at: None,
        valid_until: 0,
        keep_firing_since: None,
    }
}

impl Alert {
    /// Whether receivers must hear of it at `now`: it is new, has ended since, or was last told
    /// longer ago than `resend_delay`.
    pub fn needs_sending(&self, now: i64, resend_delay: i64) -> bool {
        if self.state == State::Pending {
            return false;
        }
        match self.last_sent_at {
            None => true,
            Some(sent) => self.resolved_at.is_some_and(|at| at > sent) || sent + resend_delay < now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each evaluation finds, and the states afterwards: `-` none, `p`, `f`, `i`.
    fn check(found: &str, hold: i64, keep: i64, want: &str) {
        let mut alerts = Alerts::default();
        let labels = Labels::new([("alertname", "a")]);
        let mut states = String::new();
        for (at, holds) in found.chars().enumerate() {
            let one = || Found { labels: labels.clone(), annotations: Vec::new(), value: Value::Float(1.0) };
            let found = if holds == '1' { vec![one()] } else { Vec::new() };
            let now = at as i64 * 60_000;
            advance(&mut alerts, found, Times { now, hold: hold * 60_000, keep: keep * 60_000, settling: false });
            states.push(match alerts.get(&labels).map(|alert| alert.state) {
                None => '-',
                Some(State::Pending) => 'p',
                Some(State::Firing) => 'f',
                Some(State::Inactive) => 'i',
            });
        }
        assert_eq!(states, want, "{found} {hold} {keep}");
    }

    #[test]
    fn alerts_come_and_go() {
        check("0110", 0, 0, "-ffi");
        check("01110", 2, 0, "-ppfi");
        check("0101", 1, 0, "-p-p");
        check("01000", 0, 2, "-fffi");
        check("010100", 0, 2, "-fffff");
        check("10000000000000000011", 0, 0, "fiiiiiiiiiiiiiiii-ff");
    }
}
