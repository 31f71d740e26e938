//! The graph of a pipeline for `/_node/pipelines?graph=true`, as Logstash serializes it: vertices for
//! plugins, conditions and the queue, edges for the ways of events.

use crate::diagnostic::{Place, Sources};
use crate::event::FieldRef;
use crate::language::plan::{Cond, Constant, Order, Plan, Step};
use crate::plugin::Call;
use serde_json::{Value, json};

/// A graph under way.
struct Graph<'a> {
    sources: &'a Sources,
    vertices: Vec<Value>,
    edges: Vec<Value>,
}

/// Where events come from: a vertex, and by which answer to its condition.
type Ends = Vec<(String, Option<bool>)>;

/// The graph of a plan.
pub fn of(plan: &Plan, sources: &Sources, hash: u64) -> Value {
    let mut graph = Graph { sources, vertices: Vec::new(), edges: Vec::new() };
    let mut ends = Ends::new();
    for call in &plan.inputs {
        ends.push((graph.plugin(call, "input"), None));
    }
    let queue = "__QUEUE__".to_owned();
    graph.vertices.push(json!({ "id": queue, "explicit_id": false, "type": "queue", "meta": null }));
    graph.join(&ends, &queue);
    let ends = graph.steps(&plan.filters, "filter", vec![(queue, None)]);
    // Every output gets all events, whatever stands before it.
    for step in &plan.outputs {
        graph.steps(std::slice::from_ref(step), "output", ends.clone());
    }
    json!({
        "hash": format!("{hash:016x}"),
        "type": "lir",
        "version": "0.0.0",
        "graph": { "vertices": graph.vertices, "edges": graph.edges },
    })
}

impl Graph<'_> {
    fn plugin(&mut self, call: &Call, kind: &str) -> String {
        let given = call.options.str("id") == Some(&call.id);
        self.vertices.push(json!({
            "config_name": call.name,
            "plugin_type": kind,
            "meta": self.meta(call.place),
            "id": call.id,
            "explicit_id": given,
            "type": "plugin",
        }));
        call.id.clone()
    }

    fn meta(&self, place: Place) -> Value {
        let Some((name, text)) = self.sources.files.get(place.file as usize) else { return Value::Null };
        let before = text.get(..place.start as usize).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        json!({ "source": { "protocol": "file", "id": name, "line": line, "column": column } })
    }

    fn join(&mut self, ends: &Ends, to: &str) {
        for (from, when) in ends {
            let id = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(format!("{from} {to} {when:?}").as_bytes()));
            self.edges.push(match when {
                None => json!({ "from": from, "to": to, "id": id, "type": "plain" }),
                Some(when) => json!({ "from": from, "to": to, "id": id, "type": "boolean", "when": when }),
            });
        }
    }

    fn steps(&mut self, steps: &[Step], kind: &str, mut ends: Ends) -> Ends {
        for step in steps {
            ends = match step {
                Step::Plugin(call) => {
                    let id = self.plugin(call, kind);
                    self.join(&ends, &id);
                    vec![(id, None)]
                }
                Step::If { branches, otherwise } => self.branching(branches, otherwise, kind, ends),
            };
        }
        ends
    }

    fn branching(&mut self, branches: &[(Cond, Vec<Step>)], otherwise: &[Step], kind: &str, mut ends: Ends) -> Ends {
        let mut out = Ends::new();
        for (cond, body) in branches {
            let mut condition = String::new();
            write(cond, &mut condition);
            let id = format!(
                "if_{:016x}",
                xxhash_rust::xxh3::xxh3_64(format!("{condition} {}", self.vertices.len()).as_bytes())
            );
            self.vertices.push(json!({
                "condition": condition, "meta": null, "id": id, "explicit_id": false, "type": "if",
            }));
            self.join(&ends, &id);
            out.extend(self.steps(body, kind, vec![(id.clone(), Some(true))]));
            ends = vec![(id, Some(false))];
        }
        out.extend(self.steps(otherwise, kind, ends));
        out
    }
}

/// A condition as one could write it.
fn write(cond: &Cond, out: &mut String) {
    let two = |a: &str, sign: &str, b: &str| format!("{a} {sign} {b}");
    let text = match cond {
        Cond::Constant(value) => value.to_string(),
        Cond::Truthy(a) => field(a),
        Cond::Equal(a, b) => two(&field(a), "==", &constant(b)),
        Cond::EqualFields(a, b) => two(&field(a), "==", &field(b)),
        Cond::Order(a, order, b) => two(&field(a), sign(*order), &constant(b)),
        Cond::OrderFields(a, order, b) => two(&field(a), sign(*order), &field(b)),
        Cond::Match(a, pattern) => two(&field(a), "=~", &format!("/{}/", pattern.as_str())),
        Cond::ConstantInField(a, b) => two(&constant(a), "in", &field(b)),
        Cond::FieldInText(a, b) => two(&field(a), "in", &format!("{b:?}")),
        Cond::FieldInList(a, list) => two(&field(a), "in", &format!("{list:?}")),
        Cond::FieldInField(a, b) => two(&field(a), "in", &field(b)),
        Cond::Not(inner) => {
            let mut text = String::new();
            write(inner, &mut text);
            format!("!({text})")
        }
        Cond::All(list) => several(list, " and "),
        Cond::Any(list) => several(list, " or "),
        Cond::Xor(pair) => several(&[pair.0.clone(), pair.1.clone()], " xor "),
    };
    out.push_str(&text);
}

fn several(list: &[Cond], between: &str) -> String {
    let parts = list.iter().map(|cond| {
        let mut text = String::from("(");
        write(cond, &mut text);
        text + ")"
    });
    parts.collect::<Vec<_>>().join(between)
}

fn field(field: &FieldRef) -> String {
    field.to_string()
}

fn constant(constant: &Constant) -> String {
    match constant {
        Constant::Text(text) => format!("{text:?}"),
        Constant::Int(number) => number.to_string(),
        Constant::Float(number) => number.to_string(),
    }
}

fn sign(order: Order) -> &'static str {
    match order {
        Order::Less => "<",
        Order::LessOrEqual => "<=",
        Order::Greater => ">",
        Order::GreaterOrEqual => ">=",
    }
}
