//! What rules say of themselves, in the shapes of Prometheus' API.

use super::alert::{Alert, State};
use super::evidence::ANNOTATION;
use super::group::Health;
use super::manager::{Core, Manager, Running, now_ms};
use super::notify::{Protocol, Sender, time};
use super::shown::Shown;
use super::{Kind, Rule};
use crate::api::prometheus::RuleSource;
use crate::metric::derive::Exemplar;
use crate::series::{Value as SeriesValue, notation};
use serde_json::{Map, Value, json};
use std::sync::atomic::Ordering;

/// Where the expression of a rule can be seen.
pub(super) fn generator_url(external_url: &str, expression: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    };
    let query: String = expression.bytes().map(escape).collect();
    format!("{}/graph?g0.expr={query}&g0.tab=1", external_url.trim_end_matches('/'))
}

impl RuleSource for Manager {
    fn groups(&self) -> Vec<Value> {
        let groups = self.core.groups.read().clone();
        groups.iter().map(|running| group(&self.core, running)).collect()
    }

    fn alerts(&self) -> Vec<Value> {
        let groups = self.core.groups.read().clone();
        let mut all = Vec::new();
        for running in &groups {
            // A copy: whoever evaluates must not wait while evidence is looked for.
            let shown = running.shown.lock().clone();
            for (rule, shown) in shown.iter().enumerate() {
                all.extend(shown.active().map(|one| alert(&self.core, running, rule, one)));
            }
        }
        all
    }

    fn alertmanagers(&self) -> Vec<String> {
        let managers = self.core.senders.iter().filter(|sender| sender.protocol() == Protocol::Alertmanager);
        managers.map(|sender: &Sender| sender.url().to_owned()).collect()
    }
}

fn group(core: &Core, running: &Running) -> Value {
    let shown = running.shown.lock().clone();
    let rules = running.group.rules.iter().zip(shown.iter()).enumerate();
    let rules: Vec<Value> = rules
        .map(|(at, (rule, shown))| {
            let alerts = shown.active().map(|one| alert(core, running, at, one)).collect();
            one(rule, shown, alerts)
        })
        .collect();
    let evaluated = running.evaluated_at.load(Ordering::Relaxed);
    json!({
        "name": running.group.name,
        "file": running.group.file,
        "rules": rules,
        "interval": running.interval as f64 / 1000.0,
        "limit": running.group.limit,
        "evaluationTime": running.took.load(Ordering::Relaxed) as f64 / 1e6,
        "lastEvaluation": if evaluated == 0 { "0001-01-01T00:00:00Z".to_owned() } else { time(evaluated) },
    })
}

fn pairs<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Value {
    Value::Object(pairs.map(|(name, value)| (name.to_owned(), json!(value))).collect::<Map<_, _>>())
}

fn one(rule: &Rule, state: &Shown, alerts: Vec<Value>) -> Value {
    let (health, error) = match &state.health {
        Health::Unknown => ("unknown", ""),
        Health::Good => ("ok", ""),
        Health::Bad(reason) => ("err", reason.as_str()),
    };
    let mut out = json!({
        "name": rule.name,
        "query": rule.text,
        "labels": pairs(rule.labels.iter().map(|(name, text)| (name.as_str(), text.text.as_str()))),
        "health": health,
        "evaluationTime": state.duration,
        "lastEvaluation": state.evaluated_at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), time),
        "type": if rule.kind.is_alerting() { "alerting" } else { "recording" },
    });
    if !error.is_empty() {
        out["lastError"] = json!(error);
    }
    if let Kind::Alerting { hold, keep, annotations } = &rule.kind {
        out["state"] = json!(state.state().name());
        out["duration"] = json!(*hold as f64 / 1000.0);
        out["keepFiringFor"] = json!(*keep as f64 / 1000.0);
        out["annotations"] = pairs(annotations.iter().map(|(name, text)| (name.as_str(), text.text.as_str())));
        out["alerts"] = Value::Array(alerts);
    }
    out
}

fn alert(core: &Core, running: &Running, rule: usize, alert: &Alert) -> Value {
    let value = match &alert.value {
        SeriesValue::Float(value) => notation::scientific_number(*value),
        SeriesValue::Histogram(histogram) => notation::describe(histogram),
    };
    let mut out = json!({
        "labels": pairs(alert.labels.iter()),
        "annotations": pairs(alert.annotations.iter().map(|(name, text)| (name.as_str(), text.as_str()))),
        "state": if alert.state == State::Inactive { "inactive" } else { alert.state.name() },
        "activeAt": time(alert.active_at),
        "value": value,
    });
    if let Some(since) = alert.keep_firing_since {
        out["keepFiringSince"] = json!(time(since));
    }
    let Some(evidence) = &core.evidence else { return out };
    let causes = &running.causes.lock()[rule].clone();
    if out["annotations"].get(ANNOTATION).is_none()
        && let Some(link) = evidence.link(alert, causes)
    {
        out["annotations"][ANNOTATION] = json!(link);
    }
    let traces = evidence.traces(alert, causes, now_ms());
    if !traces.is_empty() {
        let exemplar = |one: &Exemplar| {
            json!({
                "labels": { "trace_id": one.trace },
                "value": notation::json_number(one.value),
                "timestamp": one.at_ms as f64 / 1000.0,
            })
        };
        out["exemplars"] = traces.iter().map(exemplar).collect();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        assert_eq!(generator_url("http://x/", "a > 1"), "http://x/graph?g0.expr=a+%3E+1&g0.tab=1");
    }
}
