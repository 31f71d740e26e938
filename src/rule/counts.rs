//! Rules and receivers in numbers, for `/metrics`. The names are those of Prometheus' own metrics
//! under our prefix.

use super::manager::{Manager, Running};
use super::notify::{QUEUE_MAX, Sender};
use crate::metric::exposition::{Family, Kind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

impl Manager {
    /// Appends all of it.
    pub fn collect(&self, out: &mut Vec<Family>) {
        let groups = self.core.groups.read().clone();
        rules(&groups, out);
        receivers(&self.core.senders, out);
    }
}

fn rules(groups: &[Arc<Running>], out: &mut Vec<Family>) {
    let mut whole = |name, help, get: &dyn Fn(&Running) -> u64| {
        let mut family = Family::new(Kind::Counter, name, help);
        for running in groups {
            family.whole(&[("rule_group", &name_of(running))], get(running));
        }
        out.push(family);
    };
    whole("logboom_rule_evaluations", "Evaluations of rules.", &|one| one.evaluations.load(Relaxed));
    whole("logboom_rule_evaluation_failures", "Evaluations of rules that failed.", &|one| one.failures.load(Relaxed));
    whole(
        "logboom_rule_group_iterations_missed",
        "Evaluations of groups that were left out, since an earlier one took too long.",
        &|one| one.missed.load(Relaxed),
    );
    let mut seconds = |kind, name, help, get: &dyn Fn(&Running) -> f64| {
        let mut family = Family::new(kind, name, help);
        for running in groups {
            family.number(&[("rule_group", &name_of(running))], get(running));
        }
        out.push(family);
    };
    seconds(Kind::Counter, "logboom_rule_group_duration_seconds", "Time spent on evaluations.", &|one| {
        one.took_all.load(Relaxed) as f64 / 1e6
    });
    seconds(Kind::Gauge, "logboom_rule_group_last_duration_seconds", "How long the last evaluation took.", &|one| {
        one.took.load(Relaxed) as f64 / 1e6
    });
    seconds(Kind::Gauge, "logboom_rule_group_interval_seconds", "How often the group is evaluated.", &|one| {
        one.interval as f64 / 1e3
    });
}

/// As Prometheus names a group.
fn name_of(running: &Running) -> String {
    format!("{};{}", running.group.file, running.group.name)
}

fn receivers(senders: &[Sender], out: &mut Vec<Family>) {
    let mut add = |kind, name, help, get: &dyn Fn(&Sender) -> u64| {
        let mut family = Family::new(kind, name, help);
        for sender in senders {
            family.whole(&[("url", sender.url())], get(sender));
        }
        out.push(family);
    };
    use Kind::{Counter, Gauge};
    add(Counter, "logboom_notifications_sent", "Alerts that a receiver took.", &|s| s.counts().sent.load(Relaxed));
    add(Counter, "logboom_notifications_retries", "Requests to a receiver that had to be sent again.", &|s| {
        s.counts().retried.load(Relaxed)
    });
    add(Counter, "logboom_notifications_failed", "Alerts that a receiver refused for good.", &|s| {
        s.counts().failed.load(Relaxed)
    });
    add(Counter, "logboom_notifications_dropped", "Alerts dropped since too many waited for a receiver.", &|s| {
        s.counts().dropped.load(Relaxed)
    });
    add(Gauge, "logboom_notifications_queue_length", "Alerts that wait for a receiver.", &|s| s.waiting() as u64);
    add(Gauge, "logboom_notifications_queue_capacity", "Alerts that may wait for a receiver.", &|_| QUEUE_MAX as u64);
}
