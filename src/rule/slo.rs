//! Service level objectives: a file of `slis:` and `slos:` becomes recording rules and alerts.
//!
//! ```yaml
//! slis:
//!   - name: availability
//!     query: sum(rate(http_requests_total{status!~"5.."}[5m])) / sum(rate(http_requests_total[5m]))
//!   - name: latency
//!     query: histogram_quantile(0.95, sum(rate(http_request_duration_seconds_bucket[5m])) by (le))
//! slos:
//!   - {sli: availability, target: 0.999}
//!   - {sli: latency, target: 0.5}
//! ```
//!
//! An indicator is the share of good events, `good / total`, whose objective is the target; or a
//! quantile q of a histogram with a target t, which means: the share q of all requests takes at most
//! t seconds. Good and total events per second are recorded over five minutes, `slo:good:rate5m` and
//! `slo:total:rate5m`; shares over longer windows are sums of these, so that only they must be kept
//! for long. From them come `slo:error:ratio` by `window`, `slo:burn:rate` (how many times faster
//! than it may the budget is spent) and `slo:error_budget:remaining` (1: untouched, below 0:
//! overspent). Alerts follow Google's multi-window, multi-burn-rate scheme: a long window says that
//! it matters, a short one that it goes on.

use super::file::{Group, Kind, Rule};
use super::template::Template;
use super::yaml::{self, Fields, Mistakes, Node};
use crate::diagnostic::{Diagnostic, code};
use crate::language::suggest;
use crate::promql::ast::{Expr, Kind as Syntax, Operator};
use crate::promql::{self, duration};

/// The period of a budget that gives none, in milliseconds.
const PERIOD: i64 = 30 * 86_400_000;
/// Windows of the error ratio, besides five minutes.
const WINDOWS: [&str; 6] = ["30m", "1h", "2h", "6h", "1d", "3d"];
/// Shares over these are not evaluated as often.
const LONG_WINDOWS: [&str; 3] = ["6h", "1d", "3d"];
/// Milliseconds between evaluations of those.
const LONG_INTERVAL: i64 = 60_000;

/// Burn rate, long and short window, severity: what spends 2 %, 5 %, 10 % and 10 % of the budget of
/// thirty days within the long window.
const BURNS: [(&str, &str, &str, &str); 4] = [
    ("14.4", "1h", "5m", "critical"),
    ("6", "6h", "30m", "critical"),
    ("3", "1d", "2h", "warning"),
    ("1", "3d", "6h", "warning"),
];

/// The rules that read what is counted; all others build on them.
const COUNTING: [&str; 2] = ["slo:good:rate5m", "slo:total:rate5m"];

/// Whether a file has objectives, not rules.
pub fn is_one(node: &Node) -> bool {
    match &node.kind {
        yaml::Kind::Map(pairs) => pairs.iter().any(|(key, _)| matches!(key.text(), Some("slis" | "slos"))),
        _ => false,
    }
}

/// The histograms that objectives count in, without `_bucket`, and the bound that each needs.
pub fn bounds(groups: &[Group]) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    for rule in groups.iter().flat_map(|group| &group.rules).filter(|rule| rule.name == "slo:good:rate5m") {
        rule.expr.walk(&mut |node| {
            if let Syntax::Call(function, arguments) = &node.kind
                && function.name == "histogram_fraction"
                && let Some(Syntax::Number(bound)) = arguments.get(1).map(|bound| &bound.inner().kind)
            {
                for name in arguments.iter().flat_map(Expr::metrics).flatten() {
                    found.push((name.strip_suffix("_bucket").unwrap_or(name).to_owned(), *bound));
                }
            }
        });
    }
    found
}

/// The metrics that objectives count, which must stay as long as the budgets' periods, each with how
/// often rules look at it; `interval` is that of groups that don't say so themselves. Milliseconds.
pub fn counters(groups: &[Group], interval: i64) -> Vec<(String, i64)> {
    let recorded = |name: &str| {
        groups.iter().flat_map(|group| &group.rules).any(|rule| !rule.kind.is_alerting() && rule.name == name)
    };
    let mut found: Vec<(String, i64)> = Vec::new();
    for group in groups {
        let every = group.interval.unwrap_or(interval);
        for rule in group.rules.iter().filter(|rule| COUNTING.contains(&rule.name.as_str())) {
            for name in rule.expr.metrics().into_iter().flatten().filter(|name| !recorded(name)) {
                match found.iter_mut().find(|(known, _)| known == name) {
                    Some((_, known)) => *known = every.min(*known),
                    None => found.push((name.to_owned(), every)),
                }
            }
        }
    }
    found
}

/// An indicator, as expressions over a window of five minutes.
struct Indicator {
    name: String,
    what: What,
}

enum What {
    Ratio { good: String, total: String },
    Quantile { q: f64, histogram: String },
}

/// Compiles a file of objectives to groups of rules.
pub fn compile(node: &Node, text: &str, file: &str, mistakes: &mut Mistakes) -> Vec<Group> {
    let mut fields = Fields::of(node, "a file of objectives", mistakes);
    let (slis, slos) = (fields.list("slis", mistakes), fields.list("slos", mistakes));
    fields.finish(mistakes);
    let mut indicators: Vec<Indicator> = Vec::new();
    for node in slis {
        if let Some(indicator) = indicator(node, text, mistakes) {
            if indicators.iter().any(|known| known.name == indicator.name) {
                let message = format!("the indicator `{}` stands there twice", indicator.name);
                mistakes.push(Diagnostic::error(code::RULE_CONFLICT, node.place, message));
            }
            indicators.push(indicator);
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    for node in slos {
        let Some(objective) = objective(node, slis, &indicators, mistakes) else { continue };
        for group in objective.groups(file) {
            if groups.iter().any(|known| known.name == group.name) {
                let message = format!("the objective `{}` stands there twice: give one a `name`", objective.name);
                mistakes.push(Diagnostic::error(code::RULE_CONFLICT, node.place, message));
                break;
            }
            groups.push(group);
        }
    }
    groups
}

fn indicator(node: &Node, source: &str, mistakes: &mut Mistakes) -> Option<Indicator> {
    let mut fields = Fields::of(node, "an indicator", mistakes);
    let (name, query) = (fields.text("name", mistakes), fields.text("query", mistakes));
    fields.text("description", mistakes);
    for (field, found) in [("name", name), ("query", query)] {
        if found.is_none() {
            let message = format!("an indicator needs `{field}`");
            mistakes.push(Diagnostic::error(code::RULE_MISSING, fields.key(field), message));
        }
    }
    fields.finish(mistakes);
    let (name, query) = (name?.text()?.to_owned(), query?);
    let text = query.text()?;
    let expr = match promql::parse(text) {
        Ok(expr) => expr,
        Err(found) => {
            for mistake in found {
                let place = yaml::within(query, mistake.span, source);
                mistakes.push(Diagnostic::error(code::EXPRESSION, place, mistake.message).label(mistake.label));
            }
            return None;
        }
    };
    let what = match &expr.inner().kind {
        Syntax::Binary(binary) if binary.operator == Operator::Div && binary.matching.given => {
            let message = "good and total events are recorded each by itself, and need the same labels";
            let place = yaml::within(query, expr.span, source);
            mistakes.push(Diagnostic::error(code::EXPRESSION, place, message).label("no `on` or `ignoring` here"));
            return None;
        }
        Syntax::Binary(binary) if binary.operator == Operator::Div => Some(What::Ratio {
            good: with_window(text, &binary.left, "5m"),
            total: with_window(text, &binary.right, "5m"),
        }),
        Syntax::Call(function, arguments) if function.name == "histogram_quantile" => {
            match arguments.first().map(|q| &q.inner().kind) {
                Some(Syntax::Number(q)) => {
                    arguments.get(1).map(|inner| What::Quantile { q: *q, histogram: with_window(text, inner, "5m") })
                }
                _ => None,
            }
        }
        _ => None,
    };
    let Some(what) = what else {
        let message = "an indicator is the share of good events, `good / total`, or `histogram_quantile(q, …)`";
        let place = yaml::within(query, expr.span, source);
        mistakes.push(Diagnostic::error(code::EXPRESSION, place, message));
        return None;
    };
    Some(Indicator { name, what })
}

/// The text of a part of an expression with all of its ranges replaced.
fn with_window(text: &str, part: &Expr, window: &str) -> String {
    let mut ranges = Vec::new();
    part.walk(&mut |node| {
        if let Syntax::Range(..) = node.kind
            && let Some(open) = text[node.span.clone()].rfind('[')
        {
            let open = node.span.start + open;
            let close = text[open..].find(']').map_or(text.len(), |at| open + at + 1);
            ranges.push(open..close);
        }
    });
    ranges.sort_by_key(|range| range.start);
    let mut out = String::new();
    let mut at = part.span.start;
    for range in ranges {
        out.push_str(&text[at..range.start]);
        out.push_str(&format!("[{window}]"));
        at = range.end;
    }
    out.push_str(&text[at..part.span.end]);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An objective: rules of it carry its name as the label `slo`.
struct Objective {
    name: String,
    sli: String,
    good: String,
    total: String,
    /// The share of events that must be good.
    share: f64,
    /// Milliseconds.
    period: i64,
    labels: Vec<(String, String)>,
    summary: String,
}

fn objective(node: &Node, slis: &[Node], indicators: &[Indicator], mistakes: &mut Mistakes) -> Option<Objective> {
    let mut fields = Fields::of(node, "an objective", mistakes);
    let sli = fields.text("sli", mistakes);
    let target = fields.parsed("target", "a number", |text| text.parse::<f64>().ok(), mistakes);
    let name = fields.text("name", mistakes).and_then(Node::text).map(str::to_owned);
    let period = fields.duration("window", mistakes).filter(|period| *period > 0).unwrap_or(PERIOD);
    let labels = fields.pairs("labels", mistakes);
    let labels = labels.iter().filter_map(|(n, v)| Some((n.text()?.to_owned(), v.text()?.to_owned()))).collect();
    for (field, missing) in [("sli", sli.is_none()), ("target", fields.get("target").is_none())] {
        if missing {
            let message = format!("an objective needs `{field}`");
            mistakes.push(Diagnostic::error(code::RULE_MISSING, fields.key(field), message));
        }
    }
    let target_place = fields.get("target").map(|node| node.place);
    fields.finish(mistakes);
    let (sli, target) = (sli?, target?);
    let wanted = sli.text()?;
    let Some(indicator) = indicators.iter().find(|indicator| indicator.name == wanted) else {
        // An indicator with a mistake of its own is known nevertheless.
        let names = || {
            slis.iter().filter_map(|node| {
                let yaml::Kind::Map(pairs) = &node.kind else { return None };
                pairs.iter().find(|(key, _)| key.text() == Some("name")).and_then(|(_, value)| value.text())
            })
        };
        if !names().any(|name| name == wanted) {
            let near = suggest::did_you_mean(wanted, names());
            let message = format!("there is no indicator `{wanted}`");
            mistakes.push(Diagnostic::error(code::RULE_VALUE, sli.place, message).label(near.unwrap_or_default()));
        }
        return None;
    };
    let name = name.unwrap_or_else(|| wanted.to_owned());
    let mut refuse = |message: String| {
        mistakes.push(Diagnostic::error(code::RULE_VALUE, target_place.unwrap_or(sli.place), message));
        None
    };
    let (good, total, share, summary) = match &indicator.what {
        What::Ratio { good, total } => {
            if !(target > 0.0 && target < 1.0) {
                return refuse(format!("the target of a share lies between 0 and 1, not at {target}"));
            }
            (good.clone(), total.clone(), target, format!("{} % of the events are good", target * 100.0))
        }
        What::Quantile { q, histogram } => {
            if !(target > 0.0 && target.is_finite() && *q > 0.0 && *q < 1.0) {
                return refuse(format!("the target of a quantile between 0 and 1 is a time above 0, not {target}"));
            }
            // Of a classic histogram the largest bucket holds all, a native one knows its count.
            let total = format!("(max without (le) ({histogram}) or histogram_count({histogram}))");
            // The fraction of nothing is no number, and would stay in sums as long as the budget's period.
            let good = format!("histogram_fraction(0, {target}, {histogram}) * ({total} > 0)");
            (good, total, *q, format!("{} % of the requests take at most {target} s", q * 100.0))
        }
    };
    // Where there is nothing good, no event is: 0, not nothing.
    let good = format!("({good}) or 0 * ({total})");
    Some(Objective { name, sli: wanted.to_owned(), good, total, share, period, labels, summary })
}

impl Objective {
    fn groups(&self, file: &str) -> Vec<Group> {
        let group = |suffix: &str, interval: Option<i64>, rules: Vec<Rule>| Group {
            file: file.to_owned(),
            name: format!("slo:{}{suffix}", self.name),
            interval,
            query_offset: None,
            limit: 0,
            rules,
        };
        let mut often = vec![
            self.record("slo:good:rate5m", &self.good, &[]),
            self.record("slo:total:rate5m", &self.total, &[]),
            self.record("slo:objective:ratio", &format!("vector({})", self.share), &[]),
        ];
        let this = format!("{{slo=\"{}\"}}", self.name);
        let five = format!("1 - slo:good:rate5m{this} / slo:total:rate5m{this}");
        often.extend(self.ratio("5m", &five));
        for window in WINDOWS.iter().filter(|window| !LONG_WINDOWS.contains(window)) {
            often.extend(self.ratio(window, &self.error(window)));
        }
        let mut seldom = Vec::new();
        for window in LONG_WINDOWS {
            seldom.extend(self.ratio(window, &self.error(window)));
        }
        let spent = format!("({}) / {}", self.error(&duration::format(self.period)), self.budget());
        seldom.push(self.record("slo:error_budget:remaining", &format!("1 - {spent}"), &[]));
        let (fast, slow): (Vec<_>, Vec<_>) = BURNS.iter().partition(|(_, long, _, _)| !LONG_WINDOWS.contains(long));
        often.extend(fast.into_iter().map(|burn| self.alert(burn)));
        seldom.extend(slow.into_iter().map(|burn| self.alert(burn)));
        vec![group("", None, often), group(":long", Some(LONG_INTERVAL), seldom)]
    }

    /// The share of bad events over a window.
    fn error(&self, window: &str) -> String {
        let sum = |what: &str| format!("sum_over_time(slo:{what}:rate5m{{slo=\"{}\"}}[{window}])", self.name);
        format!("1 - {} / {}", sum("good"), sum("total"))
    }

    /// The share of events that may be bad; as written, so that rounding shows nowhere.
    fn budget(&self) -> String {
        format!("(1 - {})", self.share)
    }

    /// The share of bad events over a window, and how fast that spends the budget.
    fn ratio(&self, window: &str, error: &str) -> [Rule; 2] {
        let burn = format!("({error}) / {}", self.budget());
        let labels = [("window", window)];
        [self.record("slo:error:ratio", error, &labels), self.record("slo:burn:rate", &burn, &labels)]
    }

    fn rule(&self, name: &str, kind: Kind, text: &str, more: &[(&str, &str)]) -> Rule {
        let expr = promql::parse(text).unwrap_or_else(|mistakes| {
            panic!("BUG: `{text}` of an objective can't be parsed: {}", promql::describe(&mistakes, text))
        });
        let mut labels: Vec<(String, Template)> =
            self.labels.iter().map(|(name, value)| (name.clone(), Template::plain(value))).collect();
        let own = [("slo", self.name.as_str()), ("sli", self.sli.as_str())];
        labels.extend(own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), Template::plain(value))));
        Rule { name: name.to_owned(), kind, text: text.to_owned(), expr, labels }
    }

    fn record(&self, name: &str, text: &str, labels: &[(&str, &str)]) -> Rule {
        self.rule(name, Kind::Recording, text, labels)
    }

    fn alert(&self, (rate, long, short, severity): &(&str, &str, &str, &str)) -> Rule {
        let burn = |window: &str| {
            format!("max without (window) (slo:burn:rate{{slo=\"{}\", window=\"{window}\"}}) > {rate}", self.name)
        };
        let text = format!("{} and {}", burn(long), burn(short));
        let annotations = [
            (
                "summary",
                format!(
                    "{}: the error budget is spent {{{{ $value | humanize }}}} times faster than it may",
                    self.name
                ),
            ),
            (
                "description",
                format!(
                    "Objective: {}. Over {long} and {short} the budget was spent more than {rate} times too fast.",
                    self.summary
                ),
            ),
        ];
        let annotation = |(name, text): (&str, String)| Some((name.to_owned(), Template::parse(&text).ok()?));
        let annotations = annotations.into_iter().filter_map(annotation).collect();
        let labels = [("severity", *severity), ("long_window", *long), ("short_window", *short)];
        self.rule("SLOBudgetBurn", Kind::Alerting { hold: 0, keep: 0, annotations }, &text, &labels)
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::{Sources, render};
    use crate::rule::file::read;

    /// Chapter 6.2 of the operations guide, word for word.
    const GUIDE: &str = "# Service Level Indicators\nslis:\n  - name: availability\n    query: |\n      sum(rate(http_requests_total{status!~\"5..\"}[5m])) /\n      sum(rate(http_requests_total[5m]))\n    \n  - name: latency\n    query: |\n      histogram_quantile(0.95,\n        sum(rate(http_request_duration_seconds_bucket[5m]))\n        by (le)\n      )\n\n# Service Level Objectives\nslos:\n  - sli: availability\n    target: 0.999  # 99.9%\n    \n  - sli: latency\n    target: 0.5    # 500ms\n";

    #[test]
    fn the_guide_compiles() {
        let groups = read(GUIDE, "slo.yml", 0).unwrap();
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["slo:availability", "slo:availability:long", "slo:latency", "slo:latency:long"]);
        let text = |group: usize, rule: usize| groups[group].rules[rule].text.as_str();
        assert_eq!(
            text(0, 0),
            "(sum(rate(http_requests_total{status!~\"5..\"}[5m]))) or 0 * (sum(rate(http_requests_total[5m])))"
        );
        assert_eq!(text(0, 2), "vector(0.999)");
        let inner = "sum(rate(http_request_duration_seconds_bucket[5m])) by (le)";
        assert_eq!(text(2, 1), format!("(max without (le) ({inner}) or histogram_count({inner}))"));
        assert_eq!(text(2, 2), "vector(0.95)");
        assert_eq!(super::bounds(&groups), [("http_request_duration_seconds".to_owned(), 0.5)]);
        let counters = super::counters(&groups, 15_000);
        let want = [("http_requests_total", 15_000), ("http_request_duration_seconds_bucket", 15_000)];
        assert_eq!(counters, want.map(|(name, every)| (name.to_owned(), every)));
        assert_eq!(groups.iter().flat_map(|group| &group.rules).filter(|rule| rule.kind.is_alerting()).count(), 8);
    }

    #[test]
    fn mistakes_are_told() {
        let check = |text: &str, want: &str| {
            let mistakes = read(text, "slo.yml", 0).unwrap_err();
            let sources = Sources { files: vec![("slo.yml".to_owned(), text.to_owned())] };
            let picture = render(&mistakes, &sources, false);
            assert!(picture.contains(want), "{picture}");
        };
        check("slis: [{name: a, query: up}]", "an indicator is the share of good events");
        check("slis: [{name: a, query: a / b}]\nslos: [{sli: b, target: 0.9}]", "there is no indicator `b`");
        check("slis: [{name: a, query: a / b}]\nslos: [{sli: a, target: 99.9}]", "lies between 0 and 1, not at 99.9");
        check("slis: [{name: a, qury: a / b}]", "did you mean `query`?");
        check("slis: [{name: a, query: a / on (x) b}]", "no `on` or `ignoring` here");
        check(
            "slis: [{name: a, query: a / b}]\nslos: [{sli: a, target: 0.9}, {sli: a, target: 0.99}]",
            "stands there twice",
        );
    }
}
