//! Trees → plan: sections of all files merged in order, plugins checked, conditions compiled.

use super::ast::{If, Node, Section};
use super::check::{Checker, Language};
use super::parser::parse;
use super::plan::{Plan, Step};
use crate::diagnostic::{Diagnostic, Severity, Sources, code};
use crate::event::FieldId;
use crate::plugin::{Call, Kind};
use std::collections::BTreeSet;

/// What compiling gives.
#[derive(Debug)]
pub struct Outcome {
    /// The plan; `None` where there is an error.
    pub plan: Option<Plan>,
    /// Errors and warnings, in order of place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses, checks and lowers the files of a configuration, which are read as if they were one.
pub fn compile(sources: &Sources, language: &Language<'_>) -> Outcome {
    let mut diagnostics = Vec::new();
    let mut sections = Vec::new();
    for (file, (_, text)) in sources.files.iter().enumerate() {
        let parsed = parse(text, file as u32);
        diagnostics.extend(parsed.diagnostics);
        sections.extend(parsed.tree.sections);
    }
    let mut lower = Lower { checker: Checker::new(*language), reads: BTreeSet::new() };
    let plan = lower.plan(&sections);
    diagnostics.append(&mut lower.checker.diagnostics);
    diagnostics.sort_by_key(|d| (d.place.file, d.place.start));
    let failed = diagnostics.iter().any(|d| d.severity == Severity::Error);
    Outcome { plan: (!failed).then_some(plan), diagnostics }
}

struct Lower<'a> {
    checker: Checker<'a>,
    reads: BTreeSet<FieldId>,
}

impl Lower<'_> {
    fn plan(&mut self, sections: &[Section]) -> Plan {
        let mut plan = Plan::default();
        for section in sections {
            let steps = self.steps(section.kind, &section.body);
            match section.kind {
                Kind::Input => plan.inputs.extend(steps.into_iter().filter_map(|step| match step {
                    Step::Plugin(call) => Some(call),
                    // Reported where it was met.
                    Step::If { .. } => None,
                })),
                Kind::Filter => plan.filters.extend(steps),
                Kind::Output | Kind::Codec => plan.outputs.extend(steps),
            }
        }
        let checker = &mut self.checker;
        plan.inputs.iter_mut().for_each(|call| checker.settle_id(Kind::Input, call));
        let mut settle = |call: &mut Call| checker.settle_id(Kind::Filter, call);
        plan.filters.iter_mut().chain(&mut plan.outputs).for_each(|step| each_call(step, &mut settle));
        plan.reads = self.reads.iter().copied().collect();
        plan
    }

    fn steps(&mut self, kind: Kind, nodes: &[Node]) -> Vec<Step> {
        nodes
            .iter()
            .map(|node| match node {
                Node::Plugin(plugin) => Step::Plugin(self.checker.call(kind, plugin)),
                Node::If(branching) => self.branching(kind, branching),
            })
            .collect()
    }

    fn branching(&mut self, kind: Kind, branching: &If) -> Step {
        if kind == Kind::Input {
            let mistake = Diagnostic::error(code::INPUT_CONDITION, branching.at.0, "a condition in the input section");
            self.checker.report(mistake.label("there is no event yet to decide by"));
        }
        let mut branches = Vec::with_capacity(branching.branches.len());
        for (condition, body) in &branching.branches {
            let cond = self.checker.condition(condition);
            cond.fields(&mut |field| {
                self.reads.insert(field.first());
            });
            branches.push((cond, self.steps(kind, body)));
        }
        let otherwise = branching.otherwise.as_deref().map_or_else(Vec::new, |body| self.steps(kind, body));
        Step::If { branches, otherwise }
    }
}

/// Calls `visit` with every plugin of a step, in order.
fn each_call(step: &mut Step, visit: &mut dyn FnMut(&mut Call)) {
    match step {
        Step::Plugin(call) => visit(call),
        Step::If { branches, otherwise } => {
            let bodies = branches.iter_mut().map(|(_, body)| body).chain(std::iter::once(otherwise));
            bodies.flatten().for_each(|step| each_call(step, visit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{compile_text, compile_with};
    use super::*;
    use crate::plugin::Literal;

    fn plan(text: &str) -> Plan {
        let outcome = compile_text(text);
        assert_eq!(outcome.diagnostics, [], "{text}");
        outcome.plan.unwrap()
    }

    fn filter(plan: &Plan, at: usize) -> &Call {
        match &plan.filters[at] {
            Step::Plugin(call) => call,
            Step::If { .. } => panic!("not a plugin"),
        }
    }

    #[test]
    fn sections_merge_in_order() {
        let plan = plan(
            "filter { turn { times => 1 } } input { spring {} }
             filter { if [a] == \"x\" { drop {} } else if [b] { turn {} } else { turn { times => 2 } } }
             output { mouth { path => \"/x\" } } input { spring { path => [\"a\", 'b'] } }",
        );
        assert_eq!(plan.inputs.len(), 2);
        assert_eq!(plan.outputs.len(), 1);
        let Step::If { branches, otherwise } = &plan.filters[1] else { panic!("no condition") };
        assert_eq!((branches.len(), otherwise.len()), (2, 1));
        assert_eq!(plan.reads.len(), 2);
        assert_eq!(plan.inputs[1].options.strings("path"), ["a", "b"]);
    }

    #[test]
    fn ids_are_unique_and_stay() {
        let text = "input { spring {} spring { id => spring_2 } spring {} } filter { turn {} turn {} drop {} turn { id => mine } }";
        let ids = |plan: &Plan| {
            let inputs = plan.inputs.iter().map(|call| call.id.clone());
            inputs.chain((0..4).map(|at| filter(plan, at).id.clone())).collect::<Vec<_>>()
        };
        let first = ids(&plan(text));
        assert_eq!(first[..3], ["spring_1", "spring_2", "spring_3"]);
        assert_eq!(first[4], format!("{}_2", first[3]));
        assert_eq!(first[6], "mine");
        assert_eq!(ids(&plan(text)), first);
        // What stands elsewhere does not change an id.
        let other = plan(&text.replace("drop {}", "turn { times => 3 }"));
        assert_eq!(ids(&other)[3..5], first[3..5]);
    }

    #[test]
    fn repeated_settings_merge() {
        let plan = plan(
            "filter { turn { add_tag => a1 add_tag => [\"b\", \"c\"] match => { \"x\" => \"1\" } match => { \"y\" => \"2\" \"x\" => \"3\" }
               times => 4 times => 4 } }",
        );
        let call = filter(&plan, 0);
        assert_eq!(call.options.strings("add_tag"), ["a1", "b", "c"]);
        let keys: Vec<_> = call.options.hash("match").iter().map(|(key, _)| key.as_str().unwrap()).collect();
        assert_eq!(keys, ["x", "y"]);
        assert_eq!(call.options.hash("match")[0].1.elements().len(), 2);
        assert_eq!(call.options.number("times"), Some(4.0));
    }

    #[test]
    fn values_are_coerced() {
        let plan = plan(
            r#"input { spring { path => "one" codec => raw } }
               filter { turn { times => "10" turn_twice => "true" mode => [fast] field => "[a][b]" size => "5 KiB"
                 match => ["k", "${SET}", "l", "${NONE:d-e}"] } }"#,
        );
        assert_eq!(plan.inputs[0].options.strings("path"), ["one"]);
        assert!(
            matches!(&plan.inputs[0].options.get("codec").unwrap().value, Literal::Plugin(call) if call.name == "raw")
        );
        let options = &filter(&plan, 0).options;
        assert_eq!(options.number("times"), Some(10.0));
        assert!(options.bool("turn_twice", false));
        assert_eq!(options.str("mode"), Some("fast"));
        assert_eq!(options.number("size"), Some(5120.0));
        let values: Vec<_> = options.hash("match").iter().map(|(_, value)| value.as_str().unwrap()).collect();
        assert_eq!(values, ["val", "d-e"]);
    }

    #[test]
    fn escapes_are_resolved_on_demand() {
        let text = r#"filter { turn { match => { "a\t" => "b\n\"" } } }"#;
        let pair = |escapes| {
            let plan = compile_with(text, escapes).plan.unwrap();
            let (key, value) = filter(&plan, 0).options.hash("match")[0].clone();
            (key.as_str().unwrap().to_owned(), value.as_str().unwrap().to_owned())
        };
        assert_eq!(pair(false), ("a\\t".to_owned(), "b\\n\\\"".to_owned()));
        assert_eq!(pair(true), ("a\t".to_owned(), "b\n\"".to_owned()));
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let check = |text: &str, want: &[&str]| {
            let outcome = compile_text(text);
            let codes: Vec<_> = outcome.diagnostics.iter().map(|d| d.code).collect();
            assert_eq!(codes, want, "{text}: {:#?}", outcome.diagnostics);
        };
        check("filter { trun { } turn { tims => 1 mode => \"fsat\" } }", &["C010", "C014", "C015"]);
        check("output { mouth { } }", &["C012"]);
        check(
            "filter { turn { turn_twice => maybe times => ten size => big field => \"[a\" } }",
            &["C013", "C013", "C013", "C018"],
        );
        check("filter { turn { match => { \"a\" => 1 \"a\" => 2 } } }", &["C016"]);
        check("filter { turn { match => { \"a\" => \"${NONE}\" } } }", &["C017"]);
        check("filter { turn { id => xx } turn { id => xx } }", &["C020"]);
        check("input { if [a] { spring {} } }", &["C011"]);
        check("filter { if [a] =~ /(/ { drop {} } }", &["C019"]);
        check("filter { if [a] > [1, 2] { drop {} } if 1 < \"a\" { drop {} } }", &["C021", "C021"]);
        check("filter { if [a] and \"x\" { drop {} } }", &["C008"]);
        check("filter { if [a] xor [b] and [c] { drop {} } }", &["C009"]);
        check("filter { if [a] and [b] and [c] or [d] { drop {} } }", &["C022"]);
        check("filter { if [a] in [\"x\"] { drop {} } }", &["C023"]);
        check(
            "input { spring { codec => rwa } } input { spring { codec => raw { charset => X } } }",
            &["C010", "C005"],
        );
        check("input { drop {} } output { mouth { path => [\"a\", \"b\"] } }", &["C010", "C013"]);
    }
}
