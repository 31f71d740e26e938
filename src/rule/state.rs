//! The state of alerts on disk, so that a restart or crash neither loses one nor fires it anew.
//!
//! One JSON document, `alerts/state.json` below `path.data`, replaced whole ([`crate::durable`]). It is
//! written before alerts that began or ended are shown or handed to the senders; so after a crash at
//! any point, what anybody was told is known. A document that can't
//! be read is set aside, and alerts begin anew.

use super::alert::{Alert, State};
use crate::durable;
use crate::series::{Labels, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Version of the document.
const VERSION: u32 = 1;
/// A pending alert is taken up again if we were away for no longer than this, in milliseconds.
pub const OUTAGE_MAX: i64 = 3_600_000;

/// An alert as kept.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Kept {
    /// The group of its rule.
    pub group: String,
    /// The rule.
    pub rule: String,
    labels: BTreeMap<String, String>,
    annotations: Vec<(String, String)>,
    state: String,
    value: Option<f64>,
    active_at: i64,
    fired_at: Option<i64>,
    resolved_at: Option<i64>,
    last_sent_at: Option<i64>,
    valid_until: i64,
    keep_firing_since: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    written_at: i64,
    alerts: Vec<Kept>,
}

impl Kept {
    /// What is kept of an alert.
    pub fn new(group: &str, rule: &str, alert: &Alert) -> Kept {
        Kept {
            group: group.to_owned(),
            rule: rule.to_owned(),
            labels: alert.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            annotations: alert.annotations.clone(),
            state: alert.state.name().to_owned(),
            value: alert.value.float(),
            active_at: alert.active_at,
            fired_at: alert.fired_at,
            resolved_at: alert.resolved_at,
            last_sent_at: alert.last_sent_at,
            valid_until: alert.valid_until,
            keep_firing_since: alert.keep_firing_since,
        }
    }

    /// The alert again.
    pub fn alert(&self) -> Alert {
        let state = match self.state.as_str() {
            "firing" => State::Firing,
            "pending" => State::Pending,
            _ => State::Inactive,
        };
        Alert {
            labels: Labels::new(self.labels.iter()),
            annotations: self.annotations.clone(),
            state,
            value: Value::Float(self.value.unwrap_or(f64::NAN)),
            active_at: self.active_at,
            fired_at: self.fired_at,
            resolved_at: self.resolved_at,
            last_sent_at: self.last_sent_at,
            valid_until: self.valid_until,
            keep_firing_since: self.keep_firing_since,
        }
    }
}

/// Where the state is kept.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// The state below `path.data`; makes its folder.
    pub fn open(data: &Path) -> io::Result<StateFile> {
        let folder = data.join("alerts");
        fs::create_dir_all(&folder)?;
        Ok(StateFile { path: folder.join("state.json") })
    }

    /// What was kept; pending alerts only if that is not too long ago at `now`.
    pub fn read(&self, now: i64) -> Vec<Kept> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "cannot read the state of alerts: they begin anew");
                return Vec::new();
            }
        };
        match serde_json::from_slice::<Document>(&text) {
            Ok(document) if document.version == VERSION => {
                let mut alerts = document.alerts;
                if now - document.written_at > OUTAGE_MAX {
                    alerts.retain(|kept| kept.state != State::Pending.name());
                }
                alerts
            }
            Ok(document) => self.set_aside(&format!("its version is {}", document.version)),
            Err(error) => self.set_aside(&error.to_string()),
        }
    }

    fn set_aside(&self, reason: &str) -> Vec<Kept> {
        let aside = self.path.with_extension("json.bad");
        let _kept_anyway = fs::rename(&self.path, &aside);
        tracing::error!(path = %aside.display(), reason, "cannot read the state of alerts: set aside, they begin anew");
        Vec::new()
    }

    /// Replaces what is kept.
    pub fn write(&self, alerts: Vec<Kept>, now: i64) -> io::Result<()> {
        let text = serde_json::to_vec(&Document { version: VERSION, written_at: now, alerts })?;
        durable::replace(&self.path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(state: State) -> Alert {
        Alert {
            labels: Labels::new([("alertname", "a"), ("x", "y")]),
            annotations: vec![("s".to_owned(), "t".to_owned())],
            state,
            value: Value::Float(f64::INFINITY),
            active_at: 5,
            fired_at: Some(6),
            resolved_at: None,
            last_sent_at: Some(7),
            valid_until: 8,
            keep_firing_since: None,
        }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::open(folder.path()).unwrap();
        assert_eq!(file.read(0), []);
        let kept = vec![Kept::new("g", "a", &alert(State::Firing)), Kept::new("g", "a", &alert(State::Pending))];
        file.write(kept.clone(), 1000).unwrap();
        let mut read = file.read(2000);
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].alert().labels, alert(State::Firing).labels);
        assert_eq!((read[1].alert().state, read[1].alert().last_sent_at), (State::Pending, Some(7)));
        read = file.read(1001 + OUTAGE_MAX);
        assert_eq!(read.len(), 1);
    }

    #[test]
    fn a_broken_document_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::open(folder.path()).unwrap();
        std::fs::write(folder.path().join("alerts/state.json"), "{").unwrap();
        assert_eq!(file.read(0), []);
        assert!(folder.path().join("alerts/state.json.bad").exists());
    }
}
