//! Rules in the running process: groups at their intervals, results written back, alerts kept over
//! restarts and carried to their receivers.
//!
//! What others see of alerts (`shown`) follows what is on disk: a crash lets nothing begin anew that
//! anybody has seen.
//!
//! Plain threads: a few that evaluate (`schedule`), one for each receiver (`notify`). Rules can
//! be changed while they run: groups that stay keep their alerts.

use super::evidence::{self, Cause, Evidence};
use super::group::{Evaluator, Outcome, Recorder, RuleState};
use super::notify::{Notice, Sender};
use super::schedule::Schedule;
use super::shown::Shown;
use super::state::{Kept, StateFile};
use super::{Group, Kind};
use crate::promql::Options;
use crate::series::{Labels, Queryable};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// State that no alert's beginning or end has changed is written this often, in milliseconds.
const STATE_INTERVAL: i64 = 15_000;
/// After a start no alert ends for this long, or two intervals: series may not be back yet.
const SETTLE_MS: i64 = 10_000;

/// How rules run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Milliseconds between evaluations of groups that don't say so themselves.
    pub evaluation_interval: i64,
    /// How far into the past groups look that don't say so themselves; milliseconds.
    pub query_offset: i64,
    /// Receivers hear of a firing alert again after this; milliseconds.
    pub resend_delay: i64,
    /// Labels that all of ours carry outside.
    pub external_labels: Labels,
    /// Where users reach us.
    pub external_url: String,
}

/// A group that runs.
pub(super) struct Running {
    pub group: Arc<Group>,
    /// Milliseconds.
    pub interval: i64,
    pub states: Mutex<Vec<RuleState>>,
    /// What of it is on disk, and may be seen.
    pub shown: Mutex<Vec<Shown>>,
    /// Where the alerts of each rule come from.
    pub causes: Mutex<Vec<Vec<Cause>>>,
    /// When it was last evaluated, since 1970; 0 before the first time.
    pub evaluated_at: AtomicI64,
    /// How long that took, in microseconds.
    pub took: AtomicU64,
    /// The same, of all evaluations.
    pub took_all: AtomicU64,
    /// Of rules.
    pub evaluations: AtomicU64,
    /// Of rules.
    pub failures: AtomicU64,
    /// Evaluations that were left out since the process was behind.
    pub missed: AtomicU64,
    removed: AtomicBool,
    /// Until when no alert ends.
    settled_at: i64,
}

impl Running {
    pub fn note_missed(&self, count: i64) {
        self.missed.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
    }
}

/// What the threads share.
pub(super) struct Core {
    pub settings: Settings,
    pub schedule: Schedule,
    pub groups: RwLock<Vec<Arc<Running>>>,
    pub senders: Vec<Sender>,
    /// What finds the documents behind alerts.
    pub evidence: Option<Evidence>,
    source: Arc<dyn Queryable>,
    recorder: Arc<dyn Recorder>,
    options: Options,
    state: Option<StateFile>,
    /// When the state was last written, since 1970.
    written_at: Mutex<i64>,
    begun: Instant,
}

/// The rules of a running process.
pub struct Manager {
    pub(super) core: Arc<Core>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

impl Manager {
    /// Starts the rules: alerts that were kept go on.
    pub fn start(
        settings: Settings,
        groups: Vec<Group>,
        (source, recorder): (Arc<dyn Queryable>, Arc<dyn Recorder>),
        senders: Vec<Sender>,
        (state, evidence): (Option<StateFile>, Option<Evidence>),
    ) -> std::io::Result<Manager> {
        let options = Options { subquery_step: settings.evaluation_interval, ..Options::default() };
        let kept = state.as_ref().map(|state| state.read(now_ms())).unwrap_or_default();
        let core = Arc::new(Core {
            settings,
            schedule: Schedule::default(),
            groups: RwLock::default(),
            senders,
            evidence,
            source,
            recorder,
            options,
            state,
            written_at: Mutex::new(0),
            begun: Instant::now(),
        });
        core.set_groups(groups, &kept);
        let threads = Schedule::start(&core)?;
        Ok(Manager { core, threads: Mutex::new(threads) })
    }

    /// Goes on with other groups. Groups of the same file and name keep the alerts of their rules.
    pub fn reload(&self, groups: Vec<Group>) {
        self.core.set_groups(groups, &[]);
    }

    /// The shortest interval of a group, in milliseconds.
    pub fn interval_min(&self) -> Option<i64> {
        self.core.groups.read().iter().map(|running| running.interval).min()
    }

    /// Ends: what is being evaluated is finished, the state written, receivers told.
    pub fn end(&self) {
        self.core.schedule.stop();
        for thread in self.threads.lock().drain(..) {
            let _panicked = thread.join();
        }
        self.core.keep_and_show(None, now_ms(), true);
        Sender::end(&self.core.senders);
    }
}

impl Core {
    fn set_groups(&self, groups: Vec<Group>, kept: &[Kept]) {
        let of_group = |group: &Group| group.rules.iter().map(|rule| evidence::causes(rule, &groups)).collect();
        let causes: Vec<Vec<Vec<Cause>>> = groups.iter().map(of_group).collect();
        let mut running = self.groups.write();
        let mut old: Vec<Arc<Running>> = std::mem::take(&mut *running);
        for (group, causes) in groups.into_iter().zip(causes) {
            let interval = group.interval.unwrap_or(self.settings.evaluation_interval).max(1000);
            let before = old.iter().position(|one| one.group.file == group.file && one.group.name == group.name);
            let before = before.map(|at| old.swap_remove(at));
            if let Some(same) = before.as_ref().filter(|one| one.interval == interval && is_same(&one.group, &group)) {
                *same.causes.lock() = causes;
                running.push(same.clone());
                continue;
            }
            let mut states = vec![RuleState::default(); group.rules.len()];
            if let Some(before) = &before {
                before.removed.store(true, Ordering::Release);
                take_over(&group, &mut states, before);
            }
            let mut restored = false;
            for one in kept.iter().filter(|one| one.group == group.name) {
                let rule = group.rules.iter().position(|rule| rule.name == one.rule && rule.kind.is_alerting());
                if let Some(rule) = rule {
                    let alert = one.alert();
                    states[rule].alerts.insert(alert.labels.clone(), alert);
                    restored = true;
                }
            }
            let settled_at = if restored { now_ms() + SETTLE_MS.max(2 * interval) } else { 0 };
            let new = Arc::new(Running {
                group: Arc::new(group),
                interval,
                shown: Mutex::new(states.iter().map(Shown::of).collect()),
                states: Mutex::new(states),
                causes: Mutex::new(causes),
                evaluated_at: AtomicI64::new(0),
                took: AtomicU64::new(0),
                took_all: AtomicU64::new(0),
                evaluations: AtomicU64::new(0),
                failures: AtomicU64::new(0),
                missed: AtomicU64::new(0),
                removed: AtomicBool::new(false),
                settled_at,
            });
            running.push(new.clone());
            self.schedule.add(new);
        }
        drop(running);
        for gone in old {
            gone.removed.store(true, Ordering::Release);
            let mut states = gone.states.lock();
            self.evaluator(&|| 0.0, false).end(&mut states, now_ms());
        }
    }

    fn evaluator<'e>(&'e self, clock: &'e dyn Fn() -> f64, settling: bool) -> Evaluator<'e> {
        Evaluator {
            source: &*self.source,
            recorder: &*self.recorder,
            options: &self.options,
            external_labels: &self.settings.external_labels,
            external_url: &self.settings.external_url,
            query_offset: self.settings.query_offset,
            settling,
            clock,
        }
    }

    /// Evaluates a group; whether it goes on.
    pub fn evaluate(&self, running: &Running, due: i64) -> bool {
        if running.removed.load(Ordering::Acquire) {
            return false;
        }
        let begin = Instant::now();
        let clock = || self.begun.elapsed().as_secs_f64();
        let mut states = running.states.lock();
        let before = fingerprint(&states);
        let outcome = self.evaluator(&clock, due < running.settled_at).evaluate(&running.group, &mut states, due);
        say(&running.group, &outcome);
        let changed = fingerprint(&states) != before;
        let notices = self.notices(running, &mut states, due);
        let shown = states.iter().map(Shown::of).collect();
        drop(states);
        let took = begin.elapsed().as_micros() as u64;
        running.evaluated_at.store(due, Ordering::Relaxed);
        running.took.store(took, Ordering::Relaxed);
        running.took_all.fetch_add(took, Ordering::Relaxed);
        running.evaluations.fetch_add(running.group.rules.len() as u64, Ordering::Relaxed);
        running.failures.fetch_add(outcome.failures.len() as u64, Ordering::Relaxed);
        // On disk first: after a crash it is known what anybody may have seen or heard.
        self.keep_and_show(Some((running, shown)), due, changed || !notices.is_empty());
        if !notices.is_empty() {
            self.senders.iter().for_each(|sender| sender.send(&notices));
        }
        true
    }

    /// What receivers must hear of a group's alerts.
    fn notices(&self, running: &Running, states: &mut [RuleState], now: i64) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (at, (rule, state)) in running.group.rules.iter().zip(states).enumerate() {
            for alert in state.alerts.values_mut().filter(|alert| alert.needs_sending(now, self.settings.resend_delay))
            {
                alert.last_sent_at = Some(now);
                alert.valid_until = now + 4 * running.interval.max(self.settings.resend_delay);
                let url = super::report::generator_url(&self.settings.external_url, &rule.text);
                let mut notice = Notice::new(alert, &self.settings.external_labels, url, now);
                let own = notice.annotations.iter().any(|(name, _)| name == evidence::ANNOTATION);
                let link = self.evidence.as_ref().and_then(|known| known.link(alert, &running.causes.lock()[at]));
                if let Some(link) = link.filter(|_| !own) {
                    notice.annotations.push((evidence::ANNOTATION.to_owned(), link));
                }
                notices.push(notice);
            }
        }
        notices
    }

    /// Writes the state, at once if `must`, else now and then, and then shows what a group has come to.
    fn keep_and_show(&self, new: Option<(&Running, Vec<Shown>)>, now: i64, must: bool) {
        // Held until it is shown: another group's write must not go back behind this one.
        let mut written_at = self.written_at.lock();
        if let Some(file) = self.state.as_ref().filter(|_| must || (now - *written_at).abs() >= STATE_INTERVAL) {
            let mut alerts = Vec::new();
            for running in self.groups.read().clone() {
                let mut keep = |shown: &[Shown]| {
                    for (rule, shown) in running.group.rules.iter().zip(shown) {
                        let kept = |alert| Kept::new(&running.group.name, &rule.name, alert);
                        alerts.extend(shown.alerts.iter().map(kept));
                    }
                };
                match &new {
                    Some((own, shown)) if std::ptr::eq(*own, &*running) => keep(shown),
                    _ => keep(&running.shown.lock()),
                }
            }
            match file.write(alerts, now) {
                Ok(()) => *written_at = now,
                Err(error) => tracing::error!(%error, "cannot keep the state of alerts"),
            }
        }
        if let Some((running, shown)) = new {
            *running.shown.lock() = shown;
        }
    }
}

/// What tells that an alert began, ended or went on to another state.
fn fingerprint(states: &[RuleState]) -> u64 {
    let mut sum = 0_u64;
    for (rule, state) in states.iter().enumerate() {
        for alert in state.alerts.values() {
            let mut hasher = rustc_hash::FxHasher::default();
            (rule, alert.labels.hash(), alert.state as u8, alert.active_at).hash(&mut hasher);
            // In any order: the map has none.
            sum = sum.wrapping_add(hasher.finish());
        }
    }
    sum
}

fn say(group: &Group, outcome: &Outcome) {
    for (rule, reason) in &outcome.failures {
        tracing::warn!(group = group.name, rule, reason, "cannot evaluate a rule");
    }
}

fn is_same(one: &Group, other: &Group) -> bool {
    let rule = |rule: &super::Rule| {
        let texts = |pairs: &[(String, super::template::Template)]| {
            pairs.iter().map(|(name, text)| (name.clone(), text.text.clone())).collect::<Vec<_>>()
        };
        let kind = match &rule.kind {
            Kind::Recording => None,
            Kind::Alerting { hold, keep, annotations } => Some((*hold, *keep, texts(annotations))),
        };
        (rule.name.clone(), rule.text.clone(), texts(&rule.labels), kind)
    };
    let rules = |group: &Group| group.rules.iter().map(rule).collect::<Vec<_>>();
    (one.limit, one.query_offset) == (other.limit, other.query_offset) && rules(one) == rules(other)
}

/// Gives rules of the same name and labels the state that they had, each state once.
fn take_over(group: &Group, states: &mut [RuleState], before: &Running) {
    let key = |rule: &super::Rule| {
        let labels: Vec<(String, String)> =
            rule.labels.iter().map(|(name, text)| (name.clone(), text.text.clone())).collect();
        (rule.name.clone(), rule.kind.is_alerting(), labels)
    };
    let mut old: FxHashMap<_, Vec<RuleState>> = FxHashMap::default();
    for (rule, state) in before.group.rules.iter().zip(before.states.lock().iter()).rev() {
        old.entry(key(rule)).or_default().push(state.clone());
    }
    for (rule, state) in group.rules.iter().zip(states) {
        if let Some(known) = old.get_mut(&key(rule)).and_then(Vec::pop) {
            *state = known;
        }
    }
}
