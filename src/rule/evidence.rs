//! What stands behind an alert: a link to the search for the documents that caused it, and the traces
//! that stand for them.
//!
//! The way back goes through the selectors of the rule's expression, those of recording rules that it
//! names included, to the first metric that is derived from events. Its labels are fields: those that
//! the alert still has must be equal, for the others the selector's own conditions hold. The time is
//! that which the expression looks at: from its reach before the condition began to hold up to now, or
//! to the end of the alert. What can't be told from a stored document (a label from `@metadata`, or put
//! together from several fields) is left out, so a search may find more than what was counted, not less.

use super::alert::Alert;
use super::file::{Group, Rule};
use crate::index::Tier;
use crate::metric::derive::{Exemplar, Origin, Part};
use crate::promql::ast::{Kind as Syntax, Selector};
use crate::series::{Labels, METRIC_NAME, Matcher, Op};
use std::sync::Arc;

/// The annotation that holds the link, unless the rule has one of this name itself.
pub const ANNOTATION: &str = "logs_url";
/// Selectors of an expression that are looked at.
const CAUSES_MAX: usize = 16;
/// Recording rules that the way back of one rule goes through.
const RULES_MAX: usize = 64;
/// Traces shown of an alert.
const EXEMPLARS_MAX: usize = 10;
/// What an expression without a range is taken to look at, in milliseconds.
const REACH_MIN: i64 = 300_000;
/// Names of levels that are searched for: what [`Tier::of_level`] makes of them decides.
const LEVELS: [&str; 17] = [
    "error",
    "err",
    "fatal",
    "critical",
    "severe",
    "emergency",
    "alert",
    "panic",
    "warn",
    "warning",
    "info",
    "information",
    "notice",
    "debug",
    "trace",
    "verbose",
    "fine",
];

/// Who knows what series were made of.
pub trait Origins: Send + Sync {
    /// What a metric is derived from; `None` where it is not.
    fn origin(&self, metric: &str) -> Option<Origin>;

    /// Exemplars of the series that are wanted, between two times in milliseconds since 1970.
    fn exemplars(&self, start_ms: i64, end_ms: i64, wanted: &dyn Fn(&Labels) -> bool) -> Vec<Exemplar>;
}

/// Where links lead, without a slash at the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Kibana: its page Discover.
    Kibana(String),
    /// The search API.
    Search(String),
}

/// What finds the evidence.
#[derive(Clone)]
pub struct Evidence {
    /// Who knows.
    pub origins: Arc<dyn Origins>,
    /// Where links lead; without, there are none.
    pub target: Option<Target>,
}

/// A selector that an alert goes back to.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    metric: String,
    matchers: Vec<Matcher>,
    /// How far into the past it looks, in milliseconds.
    reach: i64,
    /// Labels that the rules on the way set: they say nothing of documents.
    set: Vec<String>,
}

/// The selectors that a rule goes back to, in the order of its text.
pub(super) fn causes(rule: &Rule, groups: &[Group]) -> Vec<Cause> {
    let mut way = Way { groups, rules: Vec::new(), found: Vec::new() };
    way.follow(rule, 0, &[]);
    way.found
}

/// The way back from a rule.
struct Way<'g> {
    groups: &'g [Group],
    /// Rules that were met: each once, whatever names itself.
    rules: Vec<&'g Rule>,
    found: Vec<Cause>,
}

impl<'g> Way<'g> {
    fn follow(&mut self, rule: &Rule, before: i64, set: &[String]) {
        let reach = before + rule.expr.reach(0);
        let mut set = set.to_vec();
        set.extend(rule.labels.iter().map(|(name, _)| name.clone()));
        let mut selectors: Vec<&Selector> = Vec::new();
        rule.expr.walk(&mut |node| {
            if let Syntax::Selector(selector) | Syntax::Range(selector, _) = &node.kind {
                selectors.push(selector);
            }
        });
        for selector in selectors {
            if self.found.len() >= CAUSES_MAX {
                return;
            }
            let Some(name) = name_of(selector) else { continue };
            let recorded = |one: &&Rule| !one.kind.is_alerting() && one.name == name && writes(one, selector);
            match self.groups.iter().flat_map(|group| &group.rules).find(recorded) {
                Some(inner)
                    if self.rules.len() < RULES_MAX && !self.rules.iter().any(|met| std::ptr::eq(*met, inner)) =>
                {
                    self.rules.push(inner);
                    self.follow(inner, reach, &set);
                }
                Some(_) => {}
                None => {
                    let (metric, matchers) = (name.to_owned(), selector.matchers.clone());
                    self.found.push(Cause { metric, matchers, reach, set: set.clone() });
                }
            }
        }
    }
}

impl Cause {
    /// What an alert's label says of documents; empty where it says nothing.
    fn label<'l>(&self, labels: &'l Labels, name: &str) -> &'l str {
        if self.set.iter().any(|set| set == name) { "" } else { labels.get(name) }
    }
}

fn name_of(selector: &Selector) -> Option<&str> {
    let equal = |matcher: &&Matcher| matcher.name == METRIC_NAME && matcher.op == Op::Equal;
    selector.name.as_deref().or_else(|| selector.matchers.iter().find(equal).map(|matcher| matcher.value.as_str()))
}

/// Whether what a recording rule writes may be what a selector wants, by the labels that it sets.
fn writes(rule: &Rule, selector: &Selector) -> bool {
    let fits = |matcher: &Matcher| {
        rule.labels.iter().find(|(name, _)| *name == matcher.name).is_none_or(|(_, text)| matcher.matches(&text.text))
    };
    selector.matchers.iter().all(fits)
}

impl Evidence {
    /// A link to the documents that caused an alert; `None` where none of its series come from events.
    pub(super) fn link(&self, alert: &Alert, causes: &[Cause]) -> Option<String> {
        let target = self.target.as_ref()?;
        let (cause, origin) = self.origin(causes)?;
        let query = query(cause, &origin, &alert.labels);
        let from = time(alert.active_at - cause.reach.max(REACH_MIN));
        let to = alert.resolved_at.map(time);
        Some(match target {
            Target::Kibana(base) => {
                let to = to.map_or_else(|| "now".to_owned(), |to| format!("'{to}'"));
                let global = format!("(time:(from:'{from}',to:{to}))");
                let own = format!("(query:(language:lucene,query:'{}'))", query.replace('!', "!!").replace('\'', "!'"));
                format!("{base}/app/discover#/?_g={}&_a={}", encoded(&global), encoded(&own))
            }
            Target::Search(base) => {
                let to = to.map_or_else(|| "*".to_owned(), |to| format!("\"{to}\""));
                let query = format!("{query} AND @timestamp:[\"{from}\" TO {to}]");
                format!("{base}/_search?q={}&sort=@timestamp:desc&size=100", encoded(&query))
            }
        })
    }

    /// The traces that stand for an alert, the newest first. `now`: in milliseconds since 1970.
    pub(super) fn traces(&self, alert: &Alert, causes: &[Cause], now: i64) -> Vec<Exemplar> {
        let Some((cause, origin)) = self.origin(causes) else { return Vec::new() };
        let family = family(&cause.metric);
        let wanted = |labels: &Labels| {
            // Of a histogram with classic buckets it is these that have exemplars.
            let name = labels.metric_name();
            let own =
                name == cause.metric || (family.len() < name.len() && name.strip_suffix("_bucket") == Some(family));
            own && origin.labels.keys().all(|label| {
                let value = cause.label(&alert.labels, label);
                value.is_empty() || labels.get(label) == value
            }) && cause.matchers.iter().all(|m| m.name == METRIC_NAME || m.name == "le" || m.matches_labels(labels))
        };
        let start = alert.active_at - cause.reach.max(REACH_MIN);
        let mut all = self.origins.exemplars(start, alert.resolved_at.unwrap_or(now), &wanted);
        all.sort_by(|a, b| b.at_ms.cmp(&a.at_ms).then_with(|| a.trace.cmp(&b.trace)));
        all.dedup_by(|a, b| a.trace == b.trace);
        all.truncate(EXEMPLARS_MAX);
        all
    }

    fn origin<'c>(&self, causes: &'c [Cause]) -> Option<(&'c Cause, Origin)> {
        causes.iter().find_map(|cause| {
            let of = |metric: &str| self.origins.origin(metric);
            Some((cause, of(&cause.metric).or_else(|| of(family(&cause.metric)))?))
        })
    }
}

/// The histogram that a series is of, by its name.
fn family(metric: &str) -> &str {
    ["_bucket", "_count", "_sum"].iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(metric)
}

/// The documents behind a cause, as a query string.
fn query(cause: &Cause, origin: &Origin, labels: &Labels) -> String {
    let mut all = Vec::new();
    for (label, parts) in &origin.labels {
        let value = cause.label(labels, label);
        if !value.is_empty() {
            all.push(one_of(parts, |part| equal(part, value)));
            continue;
        }
        for matcher in cause.matchers.iter().filter(|matcher| matcher.name == *label) {
            all.push(match matcher.op {
                Op::Equal | Op::Regex => one_of(parts, |part| matching(part, matcher)),
                Op::NotEqual | Op::NotRegex => format!("NOT {}", one_of(parts, |part| matching(part, matcher))),
            });
        }
    }
    if !origin.values.is_empty() {
        all.push(one_of(&origin.values, |part| match part {
            Part::Level => level(|tier| tier == Tier::Error),
            Part::Service => "_exists_:service".to_owned(),
            Part::Field(field) => format!("_exists_:{}", name(field)),
        }));
    }
    if all.is_empty() { "*".to_owned() } else { all.join(" AND ") }
}

fn one_of(parts: &[Part], clause: impl Fn(&Part) -> String) -> String {
    any(parts.iter().map(clause).collect())
}

fn any(mut clauses: Vec<String>) -> String {
    match clauses.len() {
        1 => clauses.remove(0),
        _ => format!("({})", clauses.join(" OR ")),
    }
}

fn equal(part: &Part, value: &str) -> String {
    let quoted = format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    match part {
        Part::Level => level(|tier| Some(tier) == Tier::of_level(value)),
        Part::Service => format!("(service:{quoted} OR service.name:{quoted})"),
        Part::Field(field) => format!("{}:{quoted}", name(field)),
    }
}

/// What a matcher wants of a part, or with `NOT` before it does not want.
fn matching(part: &Part, matcher: &Matcher) -> String {
    let negative = matches!(matcher.op, Op::NotEqual | Op::NotRegex);
    if let Part::Level = part {
        return level(|tier| matcher.matches(&tier.name().to_uppercase()) != negative);
    }
    if matches!(matcher.op, Op::Equal | Op::NotEqual) {
        if matcher.value.is_empty() {
            let exists = |field: &str| format!("(NOT _exists_:{})", name(field));
            return match part {
                Part::Field(field) => exists(field),
                _ => exists("service"),
            };
        }
        return equal(part, &matcher.value);
    }
    let pattern = matcher.value.as_str();
    if let Some(texts) = alternatives(pattern) {
        return any(texts.iter().map(|text| equal(part, text)).collect());
    }
    let fields = match part {
        Part::Field(field) => vec![field.as_str()],
        _ => vec!["service", "service.name"],
    };
    let clause = |field: &&str| match digits(pattern) {
        // Numbers have no patterns: `5..` is a range of them.
        Some((from, to)) => format!("{}:[{from} TO {to}]", name(field)),
        None => format!("{}.keyword:/{}/", name(field), pattern.replace('/', "\\/")),
    };
    any(fields.iter().map(clause).collect())
}

/// The texts of a pattern that is nothing but a choice of texts.
fn alternatives(pattern: &str) -> Option<Vec<&str>> {
    let plain = |text: &str| !text.is_empty() && !text.contains(|c: char| ".+*?()[]{}^$\\".contains(c));
    let texts: Vec<&str> = pattern.split('|').collect();
    texts.iter().all(|text| plain(text)).then_some(texts)
}

/// The least and the greatest number of a pattern of digits and dots at its end.
fn digits(pattern: &str) -> Option<(String, String)> {
    let fixed = pattern.trim_end_matches('.');
    let right = !fixed.is_empty() && !fixed.starts_with('0') && fixed.bytes().all(|byte| byte.is_ascii_digit());
    right.then(|| (pattern.replace('.', "0"), pattern.replace('.', "9")))
}

/// The names that levels of these tiers have in events.
fn level(wanted: impl Fn(Tier) -> bool) -> String {
    let words = LEVELS.into_iter().filter(|word| Tier::of_level(word).is_some_and(&wanted));
    let words = words.collect::<Vec<_>>().join(" OR ");
    if words.is_empty() {
        return "(_exists_:level OR _exists_:log.level)".to_owned();
    }
    format!("(level:({words}) OR log.level:({words}))")
}

/// A name of a field, what has a meaning in query strings escaped.
fn name(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    for c in field.chars() {
        if !(c.is_alphanumeric() || "._@-".contains(c)) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn time(milliseconds: i64) -> String {
    super::notify::time(milliseconds)
}

/// For a part of an URL, also behind its `#`, where `+` is no blank.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::State;
    use crate::rule::file::read;
    use crate::series::Value;
    use std::collections::BTreeMap;

    struct Known;

    impl Origins for Known {
        fn origin(&self, metric: &str) -> Option<Origin> {
            let field = |name: &str| vec![Part::Field(name.to_owned())];
            let mut labels = BTreeMap::from([
                ("service".to_owned(), vec![Part::Service]),
                ("status".to_owned(), field("http.status")),
                ("level".to_owned(), vec![Part::Level]),
            ]);
            match metric {
                "requests_total" => Some(Origin { labels, values: Vec::new() }),
                "took_seconds" => {
                    labels.remove("status");
                    Some(Origin { labels, values: field("duration") })
                }
                _ => None,
            }
        }

        fn exemplars(&self, start_ms: i64, end_ms: i64, wanted: &dyn Fn(&Labels) -> bool) -> Vec<Exemplar> {
            let labels = |name: &str, service: &str| Labels::new([(METRIC_NAME, name), ("service", service)]);
            let one = |trace: &str, at_ms| Exemplar { trace: trace.to_owned(), value: 1.0, at_ms };
            let all = [
                (labels("took_seconds_bucket", "a"), one("t1", 1_000)),
                (labels("took_seconds_bucket", "a").with("le", "1.0"), one("t2", 2_000)),
                (labels("took_seconds_bucket", "b"), one("t3", 2_000)),
                (labels("took_seconds_bucket", "a"), one("t4", 900_000)),
                (labels("requests_total", "a"), one("t5", 2_000)),
            ];
            let of = all.into_iter().filter(|(labels, e)| wanted(labels) && (start_ms..=end_ms).contains(&e.at_ms));
            of.map(|(_, exemplar)| exemplar).collect()
        }
    }

    fn alert(labels: &[(&str, &str)]) -> Alert {
        Alert {
            labels: Labels::new(labels.iter().copied()),
            annotations: Vec::new(),
            state: State::Firing,
            value: Value::Float(1.0),
            active_at: 600_000,
            fired_at: Some(600_000),
            resolved_at: Some(660_000),
            last_sent_at: None,
            valid_until: 0,
            keep_firing_since: None,
        }
    }

    fn groups(expr: &str) -> Vec<Group> {
        let text = format!(
            "groups: [{{name: g, rules: [{{alert: A, expr: '{expr}'}}, \
             {{record: \"a:b\", labels: {{w: \"1\"}}, expr: 'rate(other[5m])'}}, \
             {{record: \"a:b\", labels: {{w: \"2\"}}, expr: 'rate(requests_total{{status=~\"5..\"}}[10m])'}}]}}]"
        );
        read(&text, "r.yml", 0).unwrap()
    }

    #[test]
    fn queries_have_the_labels_of_the_alert_and_the_conditions_of_the_rule() {
        let check = |expr: &str, labels: &[(&str, &str)], want: &str| {
            let groups = groups(expr);
            let causes = causes(&groups[0].rules[0], &groups);
            let evidence = Evidence { origins: Arc::new(Known), target: None };
            let (cause, origin) = evidence.origin(&causes).unwrap();
            assert_eq!(query(cause, &origin, &Labels::new(labels.iter().copied())), want, "{expr}");
        };
        let service = "(service:\"a\\\"b\" OR service.name:\"a\\\"b\")";
        check("rate(requests_total[5m])", &[("service", "a\"b"), ("severity", "x")], service);
        let range = "http.status:[500 TO 599]";
        check("sum(rate(requests_total{status=~\"5..\"}[5m])) / sum(rate(requests_total[5m]))", &[], range);
        check("requests_total{status!~\"200|204\"}", &[], "NOT (http.status:\"200\" OR http.status:\"204\")");
        check("requests_total{status=~\"4.*\"}", &[], "http.status.keyword:/4.*/");
        check("requests_total{status!=\"\"}", &[], "NOT (NOT _exists_:http.status)");
        check("requests_total", &[], "*");
        // By way of the recording rule whose labels fit.
        check("a:b{w=\"2\"} > 1", &[("status", "500")], "http.status:\"500\"");
        check("up + rate(took_seconds_count[5m])", &[], "_exists_:duration");
        let levels = "level:(warn OR warning) OR log.level:(warn OR warning)";
        check("requests_total{level=\"WARN\"}", &[], &format!("({levels})"));
    }

    #[test]
    fn links_lead_to_the_time_of_the_alert() {
        let check = |target: Target, resolved: bool, want: &str| {
            let groups = groups("a:b{w=\"2\"}");
            let evidence = Evidence { origins: Arc::new(Known), target: Some(target) };
            let mut alert = alert(&[("status", "5 !'")]);
            alert.resolved_at = alert.resolved_at.filter(|_| resolved);
            let link = evidence.link(&alert, &causes(&groups[0].rules[0], &groups)).unwrap();
            let bytes = link.replace('%', "\\x");
            assert_eq!(decode(&bytes), want);
        };
        fn decode(text: &str) -> String {
            let mut parts = text.split("\\x");
            let mut out = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                out.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
                out.push_str(&part[2..]);
            }
            out
        }
        check(
            Target::Search("http://s:9200".to_owned()),
            true,
            "http://s:9200/_search?q=http.status:\"5 !'\" AND @timestamp:[\"1970-01-01T00:00:00Z\" TO \"1970-01-01T00:11:00Z\"]&sort=@timestamp:desc&size=100",
        );
        check(
            Target::Kibana("http://k".to_owned()),
            false,
            "http://k/app/discover#/?_g=(time:(from:'1970-01-01T00:00:00Z',to:now))&_a=(query:(language:lucene,query:'http.status:\"5 !!!'\"'))",
        );
    }

    #[test]
    fn traces_are_those_of_the_alert_s_series_and_time() {
        let groups = groups("histogram_quantile(0.9, rate(took_seconds_bucket[5m])) > 1");
        let causes = causes(&groups[0].rules[0], &groups);
        let evidence = Evidence { origins: Arc::new(Known), target: None };
        let mut alert = alert(&[("service", "a")]);
        alert.active_at = 300_000;
        let traces = evidence.traces(&alert, &causes, 660_000);
        assert_eq!(traces.iter().map(|e| e.trace.as_str()).collect::<Vec<_>>(), ["t2", "t1"]);
        assert!(evidence.link(&alert, &causes).is_none());
    }
}
