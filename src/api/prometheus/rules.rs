//! `rules`, `alerts`, `alertmanagers`: what the rule engine says of itself.

use super::{Answer, Call, Prometheus};
use serde_json::{Value, json};

/// What the rule engine says of itself, in the shapes of Prometheus' API.
pub trait RuleSource: Send + Sync {
    /// The groups of `/api/v1/rules`, each with `name`, `file`, `interval` and `rules`.
    fn groups(&self) -> Vec<Value>;

    /// The alerts of `/api/v1/alerts`.
    fn alerts(&self) -> Vec<Value>;

    /// The URLs of the Alertmanagers that alerts are sent to.
    fn alertmanagers(&self) -> Vec<String> {
        Vec::new()
    }
}

/// `/api/v1/rules`
pub(super) fn rules(api: &Prometheus, call: &Call) -> Answer {
    let mut groups = api.rules.get().map_or_else(Vec::new, |rules| rules.groups());
    let kind = match call.form.get("type") {
        None => None,
        Some("alert") => Some("alerting"),
        Some("record") => Some("recording"),
        Some(other) => {
            return Err(super::ApiError::bad(format!("invalid parameter \"type\": not supported value \"{other}\"")));
        }
    };
    let chosen = |name: &str, value: &Value, key: &str| {
        let mut wanted = call.form.all(name).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| value[key] == wanted)
    };
    let no_alerts = call.form.get("exclude_alerts") == Some("true");
    groups.retain(|group| chosen("rule_group[]", group, "name") && chosen("file[]", group, "file"));
    for group in &mut groups {
        if let Some(rules) = group["rules"].as_array_mut() {
            rules.retain(|rule| kind.is_none_or(|kind| rule["type"] == kind) && chosen("rule_name[]", rule, "name"));
            if no_alerts {
                rules.iter_mut().filter(|rule| rule["type"] == "alerting").for_each(|rule| rule["alerts"] = json!([]));
            }
        }
    }
    let filtered = kind.is_some() || call.form.all("rule_name[]").next().is_some();
    if filtered {
        groups.retain(|group| group["rules"].as_array().is_some_and(|rules| !rules.is_empty()));
    }
    Ok(json!({ "groups": groups }).into())
}

/// `/api/v1/alerts`
pub(super) fn alerts(api: &Prometheus, _: &Call) -> Answer {
    let alerts = api.rules.get().map_or_else(Vec::new, |rules| rules.alerts());
    Ok(json!({ "alerts": alerts }).into())
}

/// `/api/v1/alertmanagers`
pub(super) fn alertmanagers(api: &Prometheus, _: &Call) -> Answer {
    let urls = api.rules.get().map_or_else(Vec::new, |rules| rules.alertmanagers());
    let active: Vec<Value> = urls.into_iter().map(|url| json!({ "url": url })).collect();
    Ok(json!({ "activeAlertmanagers": active, "droppedAlertmanagers": [] }).into())
}
