//! The evaluation of a group: rule after rule, each result recorded before the next one looks.

use super::alert::{self, Alert, Alerts, Found, State, Times};
use super::template::{Data, Element, Outside};
use super::{ALERT_NAME, ALERTS, ALERTS_FOR_STATE, Group, Kind, Rule};
use crate::promql::{self, Answer, Options, QueryError};
use crate::series::{Builder, Labels, METRIC_NAME, Queryable, Sample, Value, stale_nan};
use rustc_hash::FxHashSet;

/// Alerts that one rule may have; more is an error of the rule.
pub const ALERTS_MAX: usize = 10_000;

/// What takes the results of rules.
pub trait Recorder: Send + Sync {
    /// Takes samples of series, at most one for each.
    fn record(&self, samples: Vec<(Labels, Sample)>);
}

/// How the last evaluation of a rule went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// There was none yet.
    #[default]
    Unknown,
    /// Well.
    Good,
    /// It failed for this reason.
    Bad(String),
}

/// What is known of a rule.
#[derive(Clone, Debug, Default)]
pub struct RuleState {
    /// Its alerts, if it raises any.
    pub alerts: Alerts,
    /// How the last evaluation went.
    pub health: Health,
    /// When it was last evaluated, in milliseconds since 1970.
    pub evaluated_at: Option<i64>,
    /// How long that took, in seconds.
    pub duration: f64,
    /// The series that it wrote last, to mark those that end.
    written: FxHashSet<Labels>,
}

impl RuleState {
    /// The alerts that are pending or firing.
    pub fn active(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values().filter(|alert| alert.resolved_at.is_none())
    }
}

/// What evaluations need beside the group.
pub struct Evaluator<'e> {
    /// Where series come from.
    pub source: &'e dyn Queryable,
    /// Where results go.
    pub recorder: &'e dyn Recorder,
    /// How expressions are evaluated.
    pub options: &'e Options,
    /// Labels that all of ours carry outside.
    pub external_labels: &'e Labels,
    /// Where users reach us.
    pub external_url: &'e str,
    /// How far into the past groups look that don't say so; milliseconds.
    pub query_offset: i64,
    /// Whether we have just begun, and series may not be back yet: no alert ends.
    pub settling: bool,
    /// Seconds that go by, for durations; tests hold it still.
    pub clock: &'e dyn Fn() -> f64,
}

/// How an evaluation went.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rule and reason of each failure.
    pub failures: Vec<(String, String)>,
}

impl Evaluator<'_> {
    /// Evaluates a group at `now`, in milliseconds since 1970. `states` has one state for each rule.
    pub fn evaluate(&self, group: &Group, states: &mut [RuleState], now: i64) -> Outcome {
        let offset = group.query_offset.unwrap_or(self.query_offset);
        let mut outcome = Outcome::default();
        for (rule, state) in group.rules.iter().zip(states) {
            let begin = (self.clock)();
            let result = match &rule.kind {
                Kind::Recording => self.record(rule, group.limit, now - offset),
                Kind::Alerting { .. } => self.raise(rule, group.limit, state, (now, offset)),
            };
            state.duration = (self.clock)() - begin;
            state.evaluated_at = Some(now);
            match result {
                Ok(samples) => {
                    state.health = Health::Good;
                    self.write(samples, state, now - offset);
                }
                Err(reason) => {
                    state.health = Health::Bad(reason.clone());
                    outcome.failures.push((rule.name.clone(), reason));
                }
            }
        }
        outcome
    }

    /// Records samples, and marks the series that were there before and are no more.
    fn write(&self, samples: Vec<(Labels, Value)>, state: &mut RuleState, time: i64) {
        let written: FxHashSet<Labels> = samples.iter().map(|(labels, _)| labels.clone()).collect();
        let mut all: Vec<(Labels, Sample)> =
            samples.into_iter().map(|(labels, value)| (labels, Sample { t: time, value })).collect();
        let ended = state.written.difference(&written);
        all.extend(ended.map(|labels| (labels.clone(), Sample::new(time, stale_nan()))));
        state.written = written;
        if !all.is_empty() {
            self.recorder.record(all);
        }
    }

    /// Marks all series of a group that is no more.
    pub fn end(&self, states: &mut [RuleState], now: i64) {
        for state in states {
            self.write(Vec::new(), state, now);
        }
    }

    fn query(&self, expr: &promql::Expr, time: i64) -> Result<Vec<Element>, String> {
        let answer = promql::instant(expr, self.source, time, self.options);
        match answer.map_err(|error: QueryError| error.to_string())? {
            Answer::Scalar(value) => Ok(vec![(Labels::empty(), Value::Float(value))]),
            Answer::Vector(elements) => Ok(elements.into_iter().map(|one| (one.labels, one.value)).collect()),
            _ => Err("the result is neither a scalar nor an instant vector".to_owned()),
        }
    }

    fn record(&self, rule: &Rule, limit: usize, time: i64) -> Result<Vec<(Labels, Value)>, String> {
        let elements = self.query(&rule.expr, time)?;
        let mut seen = FxHashSet::default();
        let mut samples = Vec::with_capacity(elements.len());
        for (labels, value) in elements {
            let mut builder = Builder::of(&labels);
            builder.set(METRIC_NAME, &rule.name);
            for (name, value) in &rule.labels {
                builder.set(name, &value.text);
            }
            let labels = builder.build();
            if !seen.insert(labels.clone()) {
                return Err("vector contains metrics with the same labelset after applying rule labels".to_owned());
            }
            samples.push((labels, value));
        }
        if limit > 0 && samples.len() > limit {
            return Err(format!("exceeded limit of {limit} with {} series", samples.len()));
        }
        Ok(samples)
    }

    fn raise(
        &self,
        rule: &Rule,
        limit: usize,
        state: &mut RuleState,
        (now, offset): (i64, i64),
    ) -> Result<Vec<(Labels, Value)>, String> {
        let Kind::Alerting { hold, keep, annotations } = &rule.kind else { return Ok(Vec::new()) };
        let outside = Answers { evaluator: self, time: now };
        let (mut seen, mut found) = (FxHashSet::default(), Vec::new());
        for (labels, value) in self.query(&rule.expr, now - offset)? {
            let data = Data {
                labels: &labels,
                external_labels: self.external_labels,
                external_url: self.external_url,
                value: &value,
            };
            let mut builder = Builder::of(&labels.without_metric_name());
            for (name, template) in &rule.labels {
                builder.set(name, &template.expand_or_tell(&data, &outside));
            }
            builder.set(ALERT_NAME, &rule.name);
            let labels = builder.build();
            if !seen.insert(labels.clone()) {
                return Err("vector contains metrics with the same labelset after applying alert labels".to_owned());
            }
            let expand = |(name, text): &(String, super::template::Template)| {
                (name.clone(), text.expand_or_tell(&data, &outside))
            };
            let annotations = annotations.iter().map(expand).collect();
            found.push(Found { labels, annotations, value: value.clone() });
        }
        let times = Times { now, hold: *hold, keep: *keep, settling: self.settling };
        let active = alert::advance(&mut state.alerts, found, times);
        let limit = if limit == 0 { ALERTS_MAX } else { limit.min(ALERTS_MAX) };
        if active > limit {
            state.alerts.clear();
            return Err(format!("exceeded limit of {limit} with {active} alerts"));
        }
        let mut samples = Vec::with_capacity(2 * active);
        for alert in state.alerts.values().filter(|alert| alert.state != State::Inactive) {
            let mut builder = Builder::of(&alert.labels);
            builder.set(METRIC_NAME, ALERTS_FOR_STATE);
            samples.push((builder.build(), Value::Float((alert.active_at.div_euclid(1000)) as f64)));
            builder.set(METRIC_NAME, ALERTS).set("alertstate", alert.state.name());
            samples.push((builder.build(), Value::Float(1.0)));
        }
        Ok(samples)
    }
}

/// Answers what templates ask.
struct Answers<'e> {
    evaluator: &'e Evaluator<'e>,
    time: i64,
}

impl Outside for Answers<'_> {
    fn query(&self, text: &str) -> Result<Vec<Element>, String> {
        let expr = promql::parse(text).map_err(|mistakes| promql::describe(&mistakes, text))?;
        self.evaluator.query(&expr, self.time)
    }

    fn now(&self) -> f64 {
        self.time as f64 / 1000.0
    }

    fn external_url(&self) -> &str {
        self.evaluator.external_url
    }
}
