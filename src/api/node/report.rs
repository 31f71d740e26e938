//! `/_health_report`: how the node and each pipeline are, what that harms and what to do, in the
//! shapes and by the thresholds of Logstash's.

use super::{Node, flow};
use crate::metric::PipelineStats;
use crate::metric::health::{Finding, Status};
use crate::metric::pipeline::State;
use serde_json::{Map, Value, json};

/// What is known of one indicator.
struct Indicator {
    status: Status,
    diagnosis: Vec<Value>,
    impacts: Vec<Value>,
    details: Value,
}

/// The report, and its status.
pub(super) fn report(node: &Node) -> Map<String, Value> {
    let pipelines = node.registry.pipelines();
    let each: Vec<(String, Indicator)> = pipelines.iter().map(|p| (p.id.to_string(), pipeline(node, p))).collect();
    let statuses: Vec<(String, Status)> = each.iter().map(|(id, i)| (id.clone(), i.status)).collect();
    let mut indicators = Map::new();
    let worst = |statuses: &[(String, Status)]| statuses.iter().map(|(_, s)| *s).max();
    // Without pipelines nobody knows, says Logstash.
    let of_pipelines = worst(&statuses).unwrap_or(Status::Yellow);
    let members: Map<String, Value> = each.into_iter().map(|(id, i)| (id, i.shown("The pipeline"))).collect();
    indicators.insert(
        "pipelines".to_owned(),
        json!({ "status": of_pipelines.name(), "symptom": symptom(&statuses), "indicators": members }),
    );
    let (_, findings) = node.health.check();
    let mut all = vec![("pipelines".to_owned(), of_pipelines)];
    for finding in findings.iter().filter(|finding| finding.check != "pipelines") {
        let indicator = of_finding(finding);
        all.push((finding.check.to_owned(), indicator.status));
        indicators.insert(finding.check.to_owned(), indicator.shown("The node"));
    }
    let status = worst(&all).unwrap_or(Status::Green);
    Map::from_iter([
        ("status".to_owned(), json!(status.name())),
        ("symptom".to_owned(), json!(symptom(&all))),
        ("timestamp".to_owned(), json!(jiff::Timestamp::now().to_string())),
        ("indicators".to_owned(), Value::Object(indicators)),
    ])
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Green => "healthy",
        Status::Yellow => "concerning",
        Status::Red => "unhealthy",
    }
}

/// `2 indicators are healthy and 1 indicator is concerning (`main`)`
fn symptom(all: &[(String, Status)]) -> String {
    let mut parts = Vec::new();
    for status in [Status::Green, Status::Yellow, Status::Red] {
        let names: Vec<&str> = all.iter().filter(|(_, s)| *s == status).map(|(name, _)| name.as_str()).collect();
        let (count, word) = (names.len(), word(status));
        let named = if status == Status::Green { String::new() } else { format!(" (`{}`)", names.join("`, `")) };
        match count {
            0 => {}
            1 => parts.push(format!("1 indicator is {word}{named}")),
            _ => parts.push(format!("{count} indicators are {word}{named}")),
        }
    }
    match parts.split_last() {
        None => "There are no indicators".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}

fn of_finding(finding: &Finding) -> Indicator {
    let id = |kind: &str| format!("logboom:health:{}:{kind}", finding.check);
    Indicator {
        status: finding.status,
        diagnosis: vec![json!({ "id": id("diagnosis"), "cause": finding.reason, "action": "see the cause" })],
        impacts: vec![json!({
            "id": id("impact"),
            "severity": if finding.status == Status::Red { 1 } else { 5 },
            "description": finding.reason,
            "impact_areas": ["pipeline_execution"],
        })],
        details: json!({}),
    }
}

fn pipeline(node: &Node, stats: &PipelineStats) -> Indicator {
    let utilization = flow::worker_utilization(node.registry.flows(), stats);
    let windows: Map<String, Value> = ["last_1_minute", "last_5_minutes"]
        .into_iter()
        .filter_map(|window| Some((window.to_owned(), utilization.get(window)?.clone())))
        .collect();
    let (state, name) = match stats.state() {
        State::Running => (None, "RUNNING"),
        State::Finished => (
            Some((
                Status::Yellow,
                "finished",
                "pipeline has finished running because its inputs have ended and their events are delivered",
                "give it inputs that go on, if it should run on",
                10,
            )),
            "FINISHED",
        ),
        State::Terminated => (
            Some((
                Status::Red,
                "terminated",
                "pipeline has ended with events that are not durable",
                "the log says why; inputs that can will read them again at the next start",
                1,
            )),
            "TERMINATED",
        ),
    };
    let mut indicator = Indicator {
        status: Status::Green,
        diagnosis: Vec::new(),
        impacts: Vec::new(),
        details: json!({ "status": { "state": name } }),
    };
    if !windows.is_empty() {
        indicator.details["flow"] = json!({ "worker_utilization": windows });
    }
    if let Some((status, id, cause, action, severity)) = state {
        indicator.add(
            status,
            &format!("status:diagnosis:{id}"),
            cause,
            action,
            "status:impact:not_processing",
            severity,
        );
    }
    let rate = |window: &str| windows.get(window).and_then(Value::as_f64);
    if let Some((status, id, cause, action, severity)) = blocked(rate("last_1_minute"), rate("last_5_minutes")) {
        let id = format!("flow:worker_utilization:diagnosis:{id}");
        indicator.add(status, &id, &cause, action, "flow:impact:blocked_processing", severity);
    }
    indicator
}

/// What to say of workers that were busy all the time.
fn blocked(minute: Option<f64>, five_minutes: Option<f64>) -> Option<(Status, &'static str, String, &'static str, u8)> {
    let add = "find what holds it up, or add resources";
    let cause = |how: &str, long: &str| format!("pipeline workers have been {how} for at least {long}");
    match (minute, five_minutes) {
        (_, Some(rate)) if rate > 99.999 => {
            Some((Status::Red, "5m-blocked", cause("completely blocked", "five minutes"), add, 1))
        }
        (minute, Some(rate)) if rate >= 95.0 => {
            let recovers = minute.is_some_and(|rate| rate <= 80.0);
            let mut cause = cause("nearly blocked", "five minutes");
            if recovers {
                cause += ", but they seem to recover";
            }
            Some((Status::Yellow, "5m-nearly-blocked", cause, if recovers { "go on watching it" } else { add }, 1))
        }
        (Some(rate), _) if rate > 99.999 => {
            Some((Status::Yellow, "1m-blocked", cause("completely blocked", "one minute"), add, 2))
        }
        (Some(rate), _) if rate >= 95.0 => {
            Some((Status::Yellow, "1m-nearly-blocked", cause("nearly blocked", "one minute"), add, 2))
        }
        _ => None,
    }
}

impl Indicator {
    fn add(&mut self, status: Status, diagnosis: &str, cause: &str, action: &str, impact: &str, severity: u8) {
        let id = |rest: &str| format!("logstash:health:pipeline:{rest}");
        self.status = self.status.max(status);
        self.diagnosis.push(json!({ "id": id(diagnosis), "cause": cause, "action": action }));
        self.impacts.push(json!({
            "id": id(impact), "severity": severity, "description": cause, "impact_areas": ["pipeline_execution"],
        }));
    }

    fn shown(self, what: &str) -> Value {
        let count = |n: usize, one: &str, many: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {many}") };
        let mut symptom = format!("{what} is {}", word(self.status));
        if self.status != Status::Green {
            symptom += &format!(
                "; {} impacted and {} available",
                count(self.impacts.len(), "area is", "areas are"),
                count(self.diagnosis.len(), "diagnosis is", "diagnoses are")
            );
        }
        let mut all = json!({ "status": self.status.name(), "symptom": symptom });
        if !self.diagnosis.is_empty() {
            all["diagnosis"] = json!(self.diagnosis);
            all["impacts"] = json!(self.impacts);
        }
        all["details"] = self.details;
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symptoms_are_sentences() {
        let check = |all: &[(&str, Status)], want: &str| {
            let all: Vec<_> = all.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect();
            assert_eq!(symptom(&all), want);
        };
        check(&[], "There are no indicators");
        check(&[("a", Status::Green)], "1 indicator is healthy");
        let some = [("a", Status::Green), ("b", Status::Green), ("c", Status::Yellow), ("d", Status::Red)];
        check(&some, "2 indicators are healthy, 1 indicator is concerning (`c`) and 1 indicator is unhealthy (`d`)");
    }

    #[test]
    fn busy_workers_are_told_by_degrees() {
        let check = |minute, five, want: Option<&str>| assert_eq!(blocked(minute, five).map(|b| b.1), want);
        check(None, None, None);
        check(Some(50.0), Some(50.0), None);
        check(Some(100.0), None, Some("1m-blocked"));
        check(Some(96.0), Some(10.0), Some("1m-nearly-blocked"));
        check(Some(100.0), Some(100.0), Some("5m-blocked"));
        check(Some(50.0), Some(97.0), Some("5m-nearly-blocked"));
    }
}
