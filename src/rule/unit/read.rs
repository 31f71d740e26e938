//! Reads a unit test file; all mistakes at once.

use super::sequence;
use crate::diagnostic::{Diagnostic, Place, code};
use crate::promql;
use crate::rule::yaml::{self, Fields, Mistakes, Node};
use crate::series::{Labels, NativeHistogram, Value, notation};

/// A unit test file. Times are milliseconds.
#[derive(Clone, Debug, Default)]
pub struct TestFile {
    /// Rule files, as written: paths and patterns from the folder of this file on.
    pub rule_files: Vec<(String, Place)>,
    /// Time between evaluations of the rules.
    pub evaluation_interval: i64,
    /// Groups that are evaluated in this order.
    pub group_eval_order: Vec<String>,
    /// Whether values may differ by what rounding makes of them.
    pub fuzzy_compare: bool,
    /// The tests.
    pub tests: Vec<Test>,
}

/// A test: input series, and what rules and expressions make of them.
#[derive(Clone, Debug)]
pub struct Test {
    /// What people call it.
    pub name: String,
    /// Time between the values of input series.
    pub interval: i64,
    /// Input series.
    pub series: Vec<(Labels, Vec<Option<Value>>)>,
    /// What alerts must be there.
    pub alerts: Vec<AlertTest>,
    /// What expressions must be worth.
    pub expressions: Vec<ExpressionTest>,
    /// Labels that all of ours carry outside.
    pub external_labels: Labels,
    /// Where users reach us.
    pub external_url: String,
    /// When it begins, since 1970.
    pub start: i64,
}

/// The alerts of one name that must fire at a time.
#[derive(Clone, Debug)]
pub struct AlertTest {
    /// Since the beginning.
    pub time: i64,
    /// Which.
    pub name: String,
    /// Labels and annotations of each.
    pub expected: Vec<(Labels, Labels)>,
}

/// What an expression must be worth at a time.
#[derive(Clone, Debug)]
pub struct ExpressionTest {
    /// As written.
    pub text: String,
    /// Since the beginning.
    pub time: i64,
    /// Labels and value of each element.
    pub expected: Vec<(Labels, Value)>,
}

/// Reads a unit test file; `file` is the number that places carry.
pub fn read(text: &str, file: u32) -> Result<TestFile, Vec<Diagnostic>> {
    let mut mistakes = Vec::new();
    let read = match yaml::parse(text, file) {
        Ok(None) => TestFile { evaluation_interval: 60_000, ..TestFile::default() },
        Ok(Some(node)) => Reader { text }.file(&node, &mut mistakes),
        Err(mistake) => return Err(vec![*mistake]),
    };
    if mistakes.is_empty() { Ok(read) } else { Err(mistakes) }
}

struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn file(&self, node: &Node, mistakes: &mut Mistakes) -> TestFile {
        let mut fields = Fields::of(node, "a unit test file", mistakes);
        let named = |node: &&Node| Some((node.text()?.to_owned(), node.place));
        let rule_files = fields.texts("rule_files", mistakes).iter().filter_map(named).collect();
        let interval = fields.duration("evaluation_interval", mistakes).filter(|interval| *interval > 0);
        let interval = interval.unwrap_or(60_000);
        let mut order: Vec<String> = Vec::new();
        for node in fields.texts("group_eval_order", mistakes) {
            let name = node.text().unwrap_or_default().to_owned();
            if order.contains(&name) {
                let message = format!("the group `{name}` stands twice in the order");
                mistakes.push(Diagnostic::error(code::RULE_CONFLICT, node.place, message));
            }
            order.push(name);
        }
        let fuzzy_compare = fields.boolean("fuzzy_compare", mistakes).unwrap_or(false);
        let list = fields.list("tests", mistakes);
        fields.finish(mistakes);
        let tests = list.iter().enumerate().map(|(at, node)| self.test(node, at, interval, mistakes)).collect();
        TestFile { rule_files, evaluation_interval: interval, group_eval_order: order, fuzzy_compare, tests }
    }

    fn test(&self, node: &Node, at: usize, interval: i64, mistakes: &mut Mistakes) -> Test {
        let mut fields = Fields::of(node, "a test", mistakes);
        let name = fields.text("name", mistakes).and_then(Node::text).unwrap_or_default().to_owned();
        let interval = fields.duration("interval", mistakes).filter(|own| *own > 0).unwrap_or(interval);
        let series = fields.list("input_series", mistakes);
        let alerts = fields.list("alert_rule_test", mistakes);
        let expressions = fields.list("promql_expr_test", mistakes);
        let external_labels = labels(&fields.pairs("external_labels", mistakes));
        let external_url = fields.text("external_url", mistakes).and_then(Node::text).unwrap_or_default().to_owned();
        let start =
            fields.parsed("start_timestamp", "a time such as `2026-01-31T12:00:00Z` or seconds", time, mistakes);
        fields.finish(mistakes);
        Test {
            name: if name.is_empty() { format!("unnamed#{at}") } else { name },
            interval,
            series: series.iter().filter_map(|node| self.series(node, mistakes)).collect(),
            alerts: alerts.iter().map(|node| self.alert(node, mistakes)).collect(),
            expressions: expressions.iter().map(|node| self.expression(node, mistakes)).collect(),
            external_labels,
            external_url,
            start: start.unwrap_or(0),
        }
    }

    fn metric(&self, node: &Node, mistakes: &mut Mistakes) -> Option<Labels> {
        let text = node.text()?;
        match promql::parse_metric(text) {
            Ok(labels) => Some(labels),
            Err(found) => {
                for mistake in found {
                    let place = yaml::within(node, mistake.span, self.text);
                    mistakes.push(Diagnostic::error(code::EXPRESSION, place, mistake.message).label(mistake.label));
                }
                None
            }
        }
    }

    fn series(&self, node: &Node, mistakes: &mut Mistakes) -> Option<(Labels, Vec<Option<Value>>)> {
        let mut fields = Fields::of(node, "an input series", mistakes);
        let series = fields.text("series", mistakes);
        let values = fields.text("values", mistakes);
        if series.is_none() {
            let message = "an input series needs `series`";
            mistakes.push(Diagnostic::error(code::RULE_MISSING, fields.key("series"), message));
        }
        fields.finish(mistakes);
        let labels = self.metric(series?, mistakes)?;
        let Some(values) = values else { return Some((labels, Vec::new())) };
        match sequence::parse(values.text()?) {
            Ok(values) => Some((labels, values)),
            Err(message) => {
                mistakes.push(Diagnostic::error(code::RULE_VALUE, values.place, message));
                None
            }
        }
    }

    fn alert(&self, node: &Node, mistakes: &mut Mistakes) -> AlertTest {
        let mut fields = Fields::of(node, "an alert test", mistakes);
        let time = fields.duration("eval_time", mistakes).unwrap_or(0);
        let name = fields.text("alertname", mistakes).and_then(Node::text).unwrap_or_default().to_owned();
        let expected = fields.list("exp_alerts", mistakes);
        if name.is_empty() {
            let message = "an alert test needs `alertname`";
            mistakes.push(Diagnostic::error(code::RULE_MISSING, fields.key("alertname"), message));
        }
        fields.finish(mistakes);
        let one = |node: &Node| {
            let mut fields = Fields::of(node, "an expected alert", mistakes);
            let with = labels(&fields.pairs("exp_labels", mistakes)).with(crate::rule::ALERT_NAME, &name);
            let annotations = labels(&fields.pairs("exp_annotations", mistakes));
            fields.finish(mistakes);
            (with, annotations)
        };
        let expected = expected.iter().map(one).collect();
        AlertTest { time, name, expected }
    }

    fn expression(&self, node: &Node, mistakes: &mut Mistakes) -> ExpressionTest {
        let mut fields = Fields::of(node, "an expression test", mistakes);
        let text = fields.text("expr", mistakes).and_then(Node::text).unwrap_or_default().to_owned();
        let time = fields.duration("eval_time", mistakes).unwrap_or(0);
        let expected = fields.list("exp_samples", mistakes);
        fields.finish(mistakes);
        let expected = expected.iter().filter_map(|node| self.sample(node, mistakes)).collect();
        ExpressionTest { text, time, expected }
    }

    fn sample(&self, node: &Node, mistakes: &mut Mistakes) -> Option<(Labels, Value)> {
        let mut fields = Fields::of(node, "an expected sample", mistakes);
        let labels = fields.text("labels", mistakes);
        let value = fields.parsed("value", "a number", yaml_number, mistakes);
        let histogram = fields.text("histogram", mistakes);
        fields.finish(mistakes);
        let labels = match labels {
            Some(labels) => self.metric(labels, mistakes)?,
            None => Labels::empty(),
        };
        let Some(histogram) = histogram else { return Some((labels, Value::Float(value.unwrap_or(0.0)))) };
        let parsed: Result<NativeHistogram, String> = notation::parse_histogram(histogram.text()?.trim());
        match parsed {
            Ok(parsed) => Some((labels, Value::from(parsed))),
            Err(message) => {
                mistakes.push(Diagnostic::error(code::RULE_VALUE, histogram.place, message));
                None
            }
        }
    }
}

fn labels(pairs: &[(&Node, &Node)]) -> Labels {
    Labels::new(pairs.iter().filter_map(|(name, value)| Some((name.text()?, value.text()?))))
}

/// A number as YAML and PromQL write it.
fn yaml_number(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        ".inf" | "+.inf" => Some(f64::INFINITY),
        "-.inf" => Some(f64::NEG_INFINITY),
        ".nan" => Some(f64::NAN),
        _ => notation::parse_number(text),
    }
}

/// Milliseconds since 1970.
fn time(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some((seconds * 1000.0).round() as i64);
    }
    text.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond())
}
