//! The `syslog_pri` filter: takes a syslog priority apart, into facility and severity.
//!
//! `syslog_pri { }`, as Logstash's. Without a priority it goes by 13 (user-level, notice), as
//! RFC 3164 says.

use super::common::set;
use super::{Filter, Run};
use crate::event::{Batch, EventId, FieldRef, Value, ruby};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use std::sync::Arc;

const FACILITIES: &str = r#"["kernel", "user-level", "mail", "daemon", "security/authorization", "syslogd", "line printer", "network news", "uucp", "clock", "security/authorization", "ftp", "ntp", "log audit", "log alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"]"#;
const SEVERITIES: &str =
    r#"["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"]"#;

pub(super) static SPEC: Spec = Spec {
    name: "syslog_pri",
    summary: "Takes a syslog priority apart, into facility and severity.",
    options: &[
        Opt::new("facility_labels", Type::Array, Some(FACILITIES), "Names of the facilities, by their codes."),
        Opt::new("severity_labels", Type::Array, Some(SEVERITIES), "Names of the severities, by their codes."),
        Opt::new(
            "syslog_pri_field_name",
            Type::Field,
            None,
            "The field with the priority; without it `[log][syslog][priority]`, or `syslog_pri` where fields are \
             not named as in ECS.",
        ),
        Opt::new("use_labels", Type::Boolean, Some("true"), "Whether names are set besides codes."),
    ],
    examples: &[Example {
        title: "Facility 20, severity 5",
        config: "syslog_pri { ecs_compatibility => disabled }",
        given: r#"{"syslog_pri":"165"}"#,
        then: r#"{"syslog_facility":"local4","syslog_facility_code":20,"syslog_severity":"notice","syslog_severity_code":5}"#,
    }],
    build: Build::Filter(build),
};

struct Plan {
    priority: FieldRef,
    facility: (FieldRef, FieldRef),
    severity: (FieldRef, FieldRef),
    labels: Option<(Vec<String>, Vec<String>)>,
}

#[derive(Clone)]
struct SyslogPri {
    plan: Arc<Plan>,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Filter>> {
    let labels = |name, default: &str| match options.has(name) {
        true => options.strings(name),
        false => default.split('"').skip(1).step_by(2).map(str::to_owned).collect(),
    };
    let (facilities, severities) = (labels("facility_labels", FACILITIES), labels("severity_labels", SEVERITIES));
    let fields = |ecs: &str, name: &str, code: &str| match context.ecs {
        true => (FieldRef::path(&["log", "syslog", ecs, "code"]), FieldRef::path(&["log", "syslog", ecs, "name"])),
        false => (FieldRef::of(code), FieldRef::of(name)),
    };
    let plan = Plan {
        priority: options.field("syslog_pri_field_name").unwrap_or_else(|| match context.ecs {
            true => FieldRef::path(&["log", "syslog", "priority"]),
            false => FieldRef::of("syslog_pri"),
        }),
        facility: fields("facility", "syslog_facility", "syslog_facility_code"),
        severity: fields("severity", "syslog_severity", "syslog_severity_code"),
        labels: options.bool("use_labels", true).then_some((facilities, severities)),
    };
    Ok(Box::new(SyslogPri { plan: Arc::new(plan) }))
}

impl Filter for SyslogPri {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            self.plan.one(batch, event);
            run.matched.push(event);
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Plan {
    fn one(&self, batch: &mut Batch, event: EventId) {
        let priority = match batch.get(event, &self.priority) {
            None | Some(Value::Null | Value::Bool(false)) => 13,
            Some(Value::Array(list)) => batch.entries(list).first().map_or(0, |e| ruby::to_i(batch, e.value)),
            Some(value) => ruby::to_i(batch, value),
        };
        let (facility, severity) = (priority >> 3, priority & 7);
        set(batch, event, &self.severity.0, Value::Int(severity));
        set(batch, event, &self.facility.0, Value::Int(facility));
        let Some((facilities, severities)) = &self.labels else { return };
        if facility >= facilities.len() as i64 {
            return batch.tag(event, "_syslogpriparsefailure");
        }
        // A negative code counts from the end, as an index in Ruby.
        let at = if facility < 0 { facility + facilities.len() as i64 } else { facility };
        if let Some(label) = usize::try_from(at).ok().and_then(|at| facilities.get(at)) {
            let label = batch.str(label);
            set(batch, event, &self.facility.1, label);
        }
        if let Some(label) = severities.get(severity as usize) {
            let label = batch.str(label);
            set(batch, event, &self.severity.1, label);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{event, run, shown};

    fn check(settings: &str, before: &str, after: &str) {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        assert!(run(build, settings, &mut batch, event));
        assert_eq!(shown(&batch, event), after, "{settings} on {before}");
    }

    #[test]
    fn priorities() {
        let check = |priority: &str, rest: &str| {
            let field = r#"{"syslog_pri_field_name":"p"}"#;
            check(
                field,
                &format!(r#"{{"p":{priority}}}"#),
                &format!(r#"{{"p":{priority},"log":{{"syslog":{{{rest}}}}}}}"#),
            );
        };
        check("34", r#""severity":{"code":2,"name":"critical"},"facility":{"code":4,"name":"security/authorization"}"#);
        check("\"0\"", r#""severity":{"code":0,"name":"emergency"},"facility":{"code":0,"name":"kernel"}"#);
        check("[\"191\",1]", r#""severity":{"code":7,"name":"debug"},"facility":{"code":23,"name":"local7"}"#);
        check("\"x\"", r#""severity":{"code":0,"name":"emergency"},"facility":{"code":0,"name":"kernel"}"#);
        check("null", r#""severity":{"code":5,"name":"notice"},"facility":{"code":1,"name":"user-level"}"#);
        check("-1", r#""severity":{"code":7,"name":"debug"},"facility":{"code":-1,"name":"local7"}"#);
    }

    #[test]
    fn out_of_range() {
        check(
            r#"{"use_labels":true}"#,
            r#"{"log":{"syslog":{"priority":193}}}"#,
            r#"{"log":{"syslog":{"priority":193,"severity":{"code":1},"facility":{"code":24}}},"tags":["_syslogpriparsefailure"]}"#,
        );
        check(
            r#"{"use_labels":false}"#,
            r#"{"log":{"syslog":{"priority":193}}}"#,
            r#"{"log":{"syslog":{"priority":193,"severity":{"code":1},"facility":{"code":24}}}}"#,
        );
    }
}
