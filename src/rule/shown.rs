//! What others see of rules: copies of their states, renewed once what they say is on disk.
//!
//! So nobody hears of an alert that a crash would make begin anew, and nobody who asks waits for an
//! evaluation.

use super::alert::{Alert, State};
use super::group::{Health, RuleState};

/// A rule as it is shown.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Its alerts, those that have ended a while ago included.
    pub alerts: Vec<Alert>,
    /// How the last evaluation went.
    pub health: Health,
    /// When it was last evaluated, in milliseconds since 1970.
    pub evaluated_at: Option<i64>,
    /// How long that took, in seconds.
    pub duration: f64,
}

impl Shown {
    /// The rule as it is now.
    pub fn of(state: &RuleState) -> Shown {
        Shown {
            alerts: state.alerts.values().cloned().collect(),
            health: state.health.clone(),
            evaluated_at: state.evaluated_at,
            duration: state.duration,
        }
    }

    /// The state of a rule: that of the alert that is furthest.
    pub fn state(&self) -> State {
        self.alerts.iter().map(|alert| alert.state).max().unwrap_or(State::Inactive)
    }

    /// The alerts that are pending or firing.
    pub fn active(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(|alert| alert.resolved_at.is_none())
    }
}
