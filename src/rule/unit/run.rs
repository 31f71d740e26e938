//! Runs the unit tests of rules: rules are evaluated at each interval over what the input series
//! have given up to then.

use super::read::{AlertTest, ExpressionTest, Test, TestFile};
use crate::promql::{self, Answer, Options};
use crate::rule::group::{Evaluator, RuleState};
use crate::rule::store::Store;
use crate::rule::{Group, State};
use crate::series::{Labels, NativeHistogram, Sample, Value, notation};
use std::sync::Arc;

/// A test that does not hold: what it says to people.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure(pub String);

/// Runs all tests of a file over the groups of its rule files.
pub fn run(file: &TestFile, groups: &[Group]) -> Vec<Failure> {
    let mut ordered: Vec<Arc<Group>> = groups.iter().cloned().map(Arc::new).collect();
    let place = |group: &Group| file.group_eval_order.iter().position(|name| *name == group.name).unwrap_or(0);
    ordered.sort_by_key(|group| place(group));
    file.tests.iter().flat_map(|test| Runner::new(file, test, &ordered).run()).collect()
}

struct Runner<'t> {
    file: &'t TestFile,
    test: &'t Test,
    groups: &'t [Arc<Group>],
    states: Vec<Vec<RuleState>>,
    store: Store,
    options: Options,
    /// How many values of each series are in the store.
    loaded: usize,
    failures: Vec<Failure>,
}

impl<'t> Runner<'t> {
    fn new(file: &'t TestFile, test: &'t Test, groups: &'t [Arc<Group>]) -> Runner<'t> {
        Runner {
            file,
            test,
            groups,
            states: groups.iter().map(|group| vec![RuleState::default(); group.rules.len()]).collect(),
            store: Store::default(),
            options: Options { subquery_step: file.evaluation_interval, ..Options::default() },
            loaded: 0,
            failures: Vec::new(),
        }
    }

    fn run(mut self) -> Vec<Failure> {
        let times = self.test.alerts.iter().map(|alert| alert.time);
        let last = times.chain(self.test.expressions.iter().map(|expression| expression.time)).max().unwrap_or(0);
        let mut alerts: Vec<&AlertTest> = self.test.alerts.iter().collect();
        alerts.sort_by_key(|alert| alert.time);
        let mut next = alerts.into_iter().peekable();
        let mut time = 0;
        while time <= last {
            if !self.evaluate(time) {
                return self.failures;
            }
            // Alerts are those of the evaluation before.
            while let Some(alert) = next.next_if(|alert| alert.time < time + self.file.evaluation_interval) {
                self.check_alerts(alert);
            }
            time += self.file.evaluation_interval;
        }
        for expression in &self.test.expressions {
            self.check_expression(expression);
        }
        self.failures
    }

    fn fail(&mut self, message: String) {
        self.failures.push(Failure(format!("    test: {},\n{message}", self.test.name)));
    }

    /// Brings the store to a time and evaluates all groups; false if a rule failed.
    fn evaluate(&mut self, time: i64) -> bool {
        while self.loaded as i64 * self.test.interval <= time {
            let t = self.test.start + self.loaded as i64 * self.test.interval;
            for (labels, values) in &self.test.series {
                if let Some(Some(value)) = values.get(self.loaded) {
                    self.store.append(labels, Sample { t, value: value.clone() });
                }
            }
            self.loaded += 1;
        }
        let evaluator = Evaluator {
            source: &self.store,
            recorder: &self.store,
            options: &self.options,
            external_labels: &self.test.external_labels,
            external_url: &self.test.external_url,
            query_offset: 0,
            settling: false,
            clock: &|| 0.0,
        };
        let mut failures = Vec::new();
        for (group, states) in self.groups.iter().zip(&mut self.states) {
            failures.extend(evaluator.evaluate(group, states, self.test.start + time).failures);
        }
        for (rule, reason) in &failures {
            let time = promql::duration::format(time);
            self.fail(format!("    rule: {rule}, time: {time}, err: {reason}"));
        }
        failures.is_empty()
    }

    fn check_alerts(&mut self, test: &AlertTest) {
        let rules = self.groups.iter().zip(&self.states).flat_map(|(group, states)| group.rules.iter().zip(states));
        let alerts = rules.filter(|(rule, _)| rule.name == test.name).flat_map(|(_, state)| state.active());
        let mut got: Vec<(Labels, Labels)> = alerts
            .filter(|alert| alert.state == State::Firing)
            .map(|alert| (alert.labels.clone(), Labels::new(alert.annotations.iter().map(|(n, v)| (n, v)))))
            .collect();
        let mut want = test.expected.clone();
        got.sort();
        want.sort();
        if got != want {
            let list = |alerts: &[(Labels, Labels)]| {
                let one = |(labels, annotations): &(Labels, Labels)| {
                    format!("\n            {labels} annotations {annotations}")
                };
                if alerts.is_empty() { " none".to_owned() } else { alerts.iter().map(one).collect() }
            };
            let time = promql::duration::format(test.time);
            self.fail(format!(
                "    alertname: {}, time: {time},\n        exp:{},\n        got:{}",
                test.name,
                list(&want),
                list(&got)
            ));
        }
    }

    fn check_expression(&mut self, test: &ExpressionTest) {
        let time = promql::duration::format(test.time);
        let head = format!("    expr: {}, time: {time}", notation::quoted(&test.text));
        let expr = match promql::parse(&test.text) {
            Ok(expr) => expr,
            Err(mistakes) => return self.fail(format!("{head}, err: {}", promql::describe(&mistakes, &test.text))),
        };
        let mut got = match promql::instant(&expr, &self.store, self.test.start + test.time, &self.options) {
            Ok(Answer::Vector(elements)) => elements.into_iter().map(|one| (one.labels, one.value)).collect(),
            Ok(Answer::Scalar(value)) => vec![(Labels::empty(), Value::Float(value))],
            Ok(_) => return self.fail(format!("{head}, err: the result is neither a scalar nor an instant vector")),
            Err(error) => return self.fail(format!("{head}, err: {error}")),
        };
        let mut want = test.expected.clone();
        got.sort_by(|a, b| a.0.cmp(&b.0));
        want.sort_by(|a, b| a.0.cmp(&b.0));
        let fuzzy = self.file.fuzzy_compare;
        let same = got.len() == want.len()
            && got.iter().zip(&want).all(|(got, want)| got.0 == want.0 && same(&got.1, &want.1, fuzzy));
        if !same {
            self.fail(format!("{head},\n        exp: {}\n        got: {}", list(&want), list(&got)));
        }
    }
}

fn list(samples: &[(Labels, Value)]) -> String {
    let one = |(labels, value): &(Labels, Value)| match value {
        Value::Float(value) => format!("{labels} {}", notation::number(*value)),
        Value::Histogram(histogram) => format!("{labels} {}", notation::histogram(histogram)),
    };
    if samples.is_empty() { "nil".to_owned() } else { samples.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// Numbers of this many units in the last place apart are the same, if fuzzy: one is promtool's
/// measure, two are left to sums in another order.
const ULPS_MAX: u64 = 2;

fn same(a: &Value, b: &Value, fuzzy: bool) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => same_number(*a, *b, fuzzy),
        (Value::Histogram(a), Value::Histogram(b)) => same_histogram(a, b, fuzzy),
        _ => false,
    }
}

fn same_number(a: f64, b: f64, fuzzy: bool) -> bool {
    if a == b || !fuzzy {
        return a == b;
    }
    a.is_finite() && b.is_finite() && (a < 0.0) == (b < 0.0) && a.to_bits().abs_diff(b.to_bits()) <= ULPS_MAX
}

/// Histograms are compared as they are written: NaN is NaN, empty buckets don't count.
fn same_histogram(a: &NativeHistogram, b: &NativeHistogram, fuzzy: bool) -> bool {
    if notation::histogram(a) == notation::histogram(b) {
        return true;
    }
    let number = |a: f64, b: f64| same_number(a, b, fuzzy) || (a.is_nan() && b.is_nan());
    let buckets = |a: &[(i32, f64)], b: &[(i32, f64)]| {
        let populated =
            |list: &[(i32, f64)]| list.iter().filter(|(_, count)| *count != 0.0).copied().collect::<Vec<_>>();
        let (a, b) = (populated(a), populated(b));
        a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && number(a.1, b.1))
    };
    a.reset_hint == b.reset_hint
        && a.schema == b.schema
        && a.custom_values == b.custom_values
        && number(a.count, b.count)
        && number(a.sum, b.sum)
        && number(a.zero_count, b.zero_count)
        && number(a.zero_threshold, b.zero_threshold)
        && buckets(&a.positive, &b.positive)
        && buckets(&a.negative, &b.negative)
}
