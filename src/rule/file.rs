//! Rule files as Prometheus has them: `groups:`, each with recording and alerting rules.

use super::slo;
use super::template::Template;
use super::yaml::{self, Fields, Mistakes, Node};
use crate::diagnostic::{Diagnostic, code};
use crate::promql::{self, Expr, Type};
use crate::series::METRIC_NAME;
use std::collections::HashSet;

/// Rules that are evaluated one after the other at one time.
#[derive(Clone, Debug)]
pub struct Group {
    /// The file it stands in.
    pub file: String,
    /// Unique within the file.
    pub name: String,
    /// Milliseconds between evaluations, if it says so itself.
    pub interval: Option<i64>,
    /// How far into the past its queries look, in milliseconds.
    pub query_offset: Option<i64>,
    /// The most series or alerts that a rule may give; 0 for any number.
    pub limit: usize,
    /// In order.
    pub rules: Vec<Rule>,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The name of the series or alert.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// The expression as written.
    pub text: String,
    /// The expression.
    pub expr: Expr,
    /// Labels that it sets, those of its group included; templates in alerting rules.
    pub labels: Vec<(String, Template)>,
}

/// What a rule is for.
#[derive(Clone, Debug)]
pub enum Kind {
    /// It writes series.
    Recording,
    /// It raises alerts.
    Alerting {
        /// Milliseconds that it must hold before it fires.
        hold: i64,
        /// Milliseconds that it goes on firing afterwards.
        keep: i64,
        /// Texts for people.
        annotations: Vec<(String, Template)>,
    },
}

impl Kind {
    /// Whether it raises alerts.
    pub fn is_alerting(&self) -> bool {
        matches!(self, Kind::Alerting { .. })
    }
}

/// Reads a rule file. `file` is the number that places carry, `name` what people call it.
pub fn read(text: &str, name: &str, file: u32) -> Result<Vec<Group>, Vec<Diagnostic>> {
    let mut mistakes = Vec::new();
    let groups = match yaml::parse(text, file) {
        Ok(None) => Vec::new(),
        Ok(Some(node)) if slo::is_one(&node) => slo::compile(&node, text, name, &mut mistakes),
        Ok(Some(node)) => Reader { text, name, names: HashSet::new() }.groups(&node, &mut mistakes),
        Err(mistake) => return Err(vec![*mistake]),
    };
    // From the top of the file down, whichever was found first.
    mistakes.sort_by_key(|mistake| mistake.place.start);
    if mistakes.is_empty() { Ok(groups) } else { Err(mistakes) }
}

struct Reader<'t> {
    text: &'t str,
    name: &'t str,
    names: HashSet<String>,
}

impl Reader<'_> {
    fn groups(&mut self, node: &Node, mistakes: &mut Mistakes) -> Vec<Group> {
        let mut fields = Fields::of(node, "a rule file", mistakes);
        let list = fields.list("groups", mistakes);
        fields.finish(mistakes);
        list.iter().filter_map(|group| self.group(group, mistakes)).collect()
    }

    fn group(&mut self, node: &Node, mistakes: &mut Mistakes) -> Option<Group> {
        let mut fields = Fields::of(node, "a group", mistakes);
        let name = fields.text("name", mistakes);
        let interval = fields.duration("interval", mistakes).filter(|interval| *interval > 0);
        let query_offset = fields.duration("query_offset", mistakes);
        let limit = fields.parsed("limit", "a whole number", |text| text.parse().ok(), mistakes).unwrap_or(0);
        let pairs = fields.pairs("labels", mistakes);
        let labels = self.labels(pairs, None, mistakes);
        let list = fields.list("rules", mistakes);
        let place = fields.key("name");
        fields.finish(mistakes);
        let name = name.and_then(Node::text).unwrap_or_default().to_owned();
        if name.is_empty() {
            mistakes.push(Diagnostic::error(code::RULE_MISSING, place, "a group needs a `name`"));
        } else if !self.names.insert(name.clone()) {
            let message = format!("the group `{name}` stands twice in this file");
            mistakes.push(Diagnostic::error(code::RULE_CONFLICT, place, message));
        }
        let rules = list.iter().filter_map(|rule| self.rule(rule, &labels, mistakes)).collect();
        Some(Group { file: self.name.to_owned(), name, interval, query_offset, limit, rules })
    }

    fn rule(&self, node: &Node, of_group: &[(String, Template)], mistakes: &mut Mistakes) -> Option<Rule> {
        let mut fields = Fields::of(node, "a rule", mistakes);
        let record = fields.text("record", mistakes);
        let alert = fields.text("alert", mistakes);
        let expr = fields.text("expr", mistakes);
        let hold = fields.duration("for", mistakes);
        let keep = fields.duration("keep_firing_for", mistakes);
        let label_pairs = fields.pairs("labels", mistakes);
        let annotation_pairs = fields.pairs("annotations", mistakes);
        let written = |node: Option<&Node>| node.and_then(Node::text).unwrap_or_default().to_owned();
        let (record, alert) = (written(record), written(alert));
        match (record.is_empty(), alert.is_empty()) {
            (false, false) => {
                let message = "a rule has either `record` or `alert`, not both";
                mistakes.push(Diagnostic::error(code::RULE_CONFLICT, fields.key("alert"), message));
            }
            (true, true) => {
                let message = "a rule needs `record` or `alert`";
                mistakes.push(Diagnostic::error(code::RULE_MISSING, fields.key("record"), message));
            }
            (false, true) => {
                for key in ["for", "keep_firing_for", "annotations"] {
                    if fields.get(key).is_some() {
                        let message = format!("a recording rule takes no `{key}`");
                        mistakes.push(Diagnostic::error(code::RULE_CONFLICT, fields.key(key), message));
                    }
                }
                self.record_name(&record, fields.key("record"), mistakes);
            }
            (true, false) => {}
        }
        let alerting = !alert.is_empty();
        let labels = self.labels(label_pairs, Some(alerting), mistakes);
        let annotations = self.annotations(annotation_pairs, mistakes);
        let parsed = match expr {
            Some(node) => self.expression(node, mistakes),
            None => {
                let place = fields.key("expr");
                mistakes.push(Diagnostic::error(code::RULE_MISSING, place, "a rule needs an `expr`"));
                None
            }
        };
        fields.finish(mistakes);
        let mut all: Vec<(String, Template)> = of_group.to_vec();
        all.retain(|(name, _)| labels.iter().all(|(own, _)| own != name));
        all.extend(labels);
        let kind = match alerting {
            true => Kind::Alerting { hold: hold.unwrap_or(0), keep: keep.unwrap_or(0), annotations },
            false => Kind::Recording,
        };
        let name = if alerting { alert } else { record };
        Some(Rule { name, kind, text: written(expr), expr: parsed?, labels: all })
    }

    fn expression(&self, node: &Node, mistakes: &mut Mistakes) -> Option<Expr> {
        let text = node.text()?;
        match promql::parse(text) {
            Ok(expr) if matches!(expr.ty(), Type::Scalar | Type::Vector) => Some(expr),
            Ok(expr) => {
                let message = format!("a rule needs a scalar or an instant vector, not {}", expr.ty().name());
                let place = yaml::within(node, expr.span, self.text);
                mistakes.push(Diagnostic::error(code::EXPRESSION, place, message));
                None
            }
            Err(found) => {
                for mistake in found {
                    let place = yaml::within(node, mistake.span, self.text);
                    mistakes.push(Diagnostic::error(code::EXPRESSION, place, mistake.message).label(mistake.label));
                }
                None
            }
        }
    }

    fn record_name(&self, name: &str, place: crate::diagnostic::Place, mistakes: &mut Mistakes) {
        if name.contains(['{', '}']) {
            let mistake = Diagnostic::error(code::RULE_NAME, place, format!("`{name}` is no name of a series"));
            mistakes.push(mistake.label("conditions belong in `expr`, labels in `labels`"));
        }
    }

    /// `alerting`: whether values are templates; those of a group may be used by either kind.
    fn labels(
        &self,
        pairs: Vec<(&Node, &Node)>,
        alerting: Option<bool>,
        mistakes: &mut Mistakes,
    ) -> Vec<(String, Template)> {
        for (key, _) in &pairs {
            let name = key.text().unwrap_or_default();
            if name.is_empty() || name == METRIC_NAME {
                let message = format!("`{name}` is no name of a label");
                mistakes.push(Diagnostic::error(code::RULE_NAME, key.place, message));
            }
        }
        match alerting {
            Some(false) => {
                let plain = |(key, value): (&Node, &Node)| {
                    let text = value.text()?;
                    Some((key.text()?.to_owned(), Template::plain(text)))
                };
                pairs.into_iter().filter_map(plain).collect()
            }
            _ => self.annotations(pairs, mistakes),
        }
    }

    fn annotations(&self, pairs: Vec<(&Node, &Node)>, mistakes: &mut Mistakes) -> Vec<(String, Template)> {
        let mut out = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let (Some(name), Some(text)) = (key.text(), value.text()) else { continue };
            match Template::parse(text) {
                Ok(template) => out.push((name.to_owned(), template)),
                Err(error) => {
                    let place = yaml::within(value, error.at..error.at + 1, self.text);
                    mistakes.push(Diagnostic::error(code::TEMPLATE, place, error.message));
                }
            }
        }
        out
    }
}

/// Rules of one group that would write the same series: likely an oversight.
pub fn duplicates(groups: &[Group]) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for group in groups {
        for rule in &group.rules {
            let labels: Vec<String> =
                rule.labels.iter().map(|(name, value)| format!("{name}={}", value.text)).collect();
            if !seen.insert((rule.name.clone(), labels.clone())) {
                found.push(format!("{} {{{}}}", rule.name, labels.join(", ")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Sources, render};

    #[test]
    fn rules_are_read() {
        let text = "groups:\n- name: g\n  interval: 5s\n  limit: 3\n  query_offset: 1m\n  labels: {team: a, x: g}\n  rules:\n\
                    \x20 - {record: \"a:b\", expr: sum(x), labels: {x: r}}\n\
                    \x20 - alert: A\n    expr: x > 1\n    for: 1m\n    keep_firing_for: 2m\n    annotations: {s: \"{{ $value }}\"}\n";
        let groups = read(text, "r.yml", 0).unwrap();
        let group = &groups[0];
        assert_eq!((group.interval, group.limit, group.query_offset), (Some(5000), 3, Some(60_000)));
        let labels: Vec<(&str, &str)> =
            group.rules[0].labels.iter().map(|(n, v)| (n.as_str(), v.text.as_str())).collect();
        assert_eq!(labels, [("team", "a"), ("x", "r")]);
        let Kind::Alerting { hold, keep, annotations } = &group.rules[1].kind else { panic!() };
        assert_eq!((*hold, *keep, annotations.len()), (60_000, 120_000, 1));
    }

    #[test]
    fn five_mistakes_show_with_their_places() {
        let text = "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: raet(x[5m]) > 0\n        fro: 5m\n\
                    \x20     - record: b\n        expr: sum(x\n        for: 1m\n\
                    \x20     - alert: C\n        expr: x\n        annotations:\n          s: \"{{ humanise $value }}\"\n";
        let mistakes = read(text, "r.yml", 0).unwrap_err();
        let sources = Sources { files: vec![("r.yml".to_owned(), text.to_owned())] };
        insta::assert_snapshot!(render(&mistakes, &sources, false));
    }
}
