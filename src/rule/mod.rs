//! Rules: Prometheus' rule files, their evaluation, the state of alerts, their unit tests, and what
//! carries alerts to an Alertmanager.
//!
//! Rules are read once, all mistakes of all files at once; a group is evaluated over anything
//! [`Queryable`](crate::series::Queryable). Only [`state`] writes to disk.

pub mod alert;
mod counts;
pub mod evidence;
pub mod file;
pub mod group;
pub mod load;
pub mod manager;
pub mod notify;
mod report;
mod schedule;
mod shown;
pub mod slo;
pub mod state;
pub mod store;
pub mod template;
pub mod unit;
pub mod yaml;

pub use alert::{Alert, State};
pub use file::{Group, Kind, Rule};
pub use group::{Evaluator, Health, Outcome, RuleState};

/// The label that holds the name of an alert.
pub const ALERT_NAME: &str = "alertname";
/// The series that is 1 while an alert is pending or firing.
pub const ALERTS: &str = "ALERTS";
/// The series that says since when an alert is active, in seconds since 1970.
pub const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
