//! Prints a tree as configuration text: `parse(print(tree))` gives the same tree.

use super::ast::{
    Condition, Expression, ExpressionKind, Node, Operand, OperandKind, Plugin, Quoted, Section, Tree, Value, ValueKind,
};
use super::lexer::{Lexer, is_name};
use crate::plugin::Kind;

/// Prints a tree, one setting a line, two blanks a level.
pub fn print(tree: &Tree) -> String {
    let mut printer = Printer::default();
    for section in &tree.sections {
        printer.section(section);
    }
    printer.out
}

/// Prints one plugin on one line: the text that made-up ids are a hash of.
pub(super) fn plugin_text(plugin: &Plugin) -> String {
    let mut printer = Printer::default();
    printer.plugin(plugin);
    printer.out
}

#[derive(Default)]
struct Printer {
    out: String,
    depth: usize,
}

impl Printer {
    fn section(&mut self, section: &Section) {
        let word = match section.kind {
            Kind::Filter => "filter",
            Kind::Output => "output",
            Kind::Input | Kind::Codec => "input",
        };
        self.out.push_str(word);
        self.block(&section.body);
        self.out.push('\n');
    }

    fn line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }

    fn block(&mut self, nodes: &[Node]) {
        self.out.push_str(" {");
        self.depth += 1;
        for node in nodes {
            self.line();
            match node {
                Node::Plugin(plugin) => self.plugin(plugin),
                Node::If(branching) => {
                    for (at, (condition, body)) in branching.branches.iter().enumerate() {
                        self.out.push_str(if at == 0 { "if " } else { " else if " });
                        self.condition(condition);
                        self.block(body);
                    }
                    if let Some(body) = &branching.otherwise {
                        self.out.push_str(" else");
                        self.block(body);
                    }
                }
            }
        }
        self.depth -= 1;
        self.line();
        self.out.push('}');
    }

    fn plugin(&mut self, plugin: &Plugin) {
        self.out.push_str(&plugin.name);
        self.out.push_str(" {");
        self.depth += 1;
        for attribute in &plugin.attributes {
            self.line();
            self.out.push_str(&name(&attribute.name));
            self.out.push_str(" => ");
            self.value(&attribute.value);
        }
        self.depth -= 1;
        if !plugin.attributes.is_empty() {
            self.line();
        }
        self.out.push('}');
    }

    fn value(&mut self, value: &Value) {
        match &value.kind {
            ValueKind::Bareword(text) | ValueKind::Number(text) => self.out.push_str(text),
            ValueKind::Text(text) => self.quoted(text),
            ValueKind::Array(elements) => self.array(elements),
            ValueKind::Plugin(plugin) => self.plugin(plugin),
            ValueKind::Hash(entries) => {
                self.out.push('{');
                for (key, value) in entries {
                    self.out.push(' ');
                    self.value(key);
                    self.out.push_str(" => ");
                    self.value(value);
                }
                self.out.push_str(" }");
            }
        }
    }

    fn array(&mut self, elements: &[Value]) {
        self.out.push('[');
        for (at, element) in elements.iter().enumerate() {
            if at > 0 {
                self.out.push_str(", ");
            }
            self.value(element);
        }
        self.out.push(']');
    }

    fn quoted(&mut self, text: &Quoted) {
        self.out.push(text.quote);
        self.out.push_str(&text.raw);
        self.out.push(text.quote);
    }

    fn condition(&mut self, condition: &Condition) {
        self.expression(&condition.first);
        for (joiner, _, expression) in &condition.rest {
            self.out.push(' ');
            self.out.push_str(joiner.word());
            self.out.push(' ');
            self.expression(expression);
        }
    }

    fn expression(&mut self, expression: &Expression) {
        match &expression.kind {
            ExpressionKind::Group(condition) => self.group("(", condition),
            ExpressionKind::NotGroup(condition) => self.group("!(", condition),
            ExpressionKind::NotSelector(operand) => {
                self.out.push('!');
                self.operand(operand);
            }
            ExpressionKind::In { left, right, negated } => {
                self.sides(left, if *negated { "not in" } else { "in" }, right);
            }
            ExpressionKind::Compare { left, op, right } => self.sides(left, op.symbol(), right),
            ExpressionKind::Match { left, right, negated } => {
                self.sides(left, if *negated { "!~" } else { "=~" }, right);
            }
            ExpressionKind::Operand(operand) => self.operand(operand),
        }
    }

    fn group(&mut self, open: &str, condition: &Condition) {
        self.out.push_str(open);
        self.condition(condition);
        self.out.push(')');
    }

    fn sides(&mut self, left: &Operand, sign: &str, right: &Operand) {
        self.operand(left);
        self.out.push(' ');
        self.out.push_str(sign);
        self.out.push(' ');
        self.operand(right);
    }

    fn operand(&mut self, operand: &Operand) {
        match &operand.kind {
            OperandKind::Text(text) => self.quoted(text),
            OperandKind::Number(text) | OperandKind::Selector(text) => self.out.push_str(text),
            OperandKind::Array(elements) => self.array(elements),
            OperandKind::Regexp(raw) => {
                self.out.push('/');
                self.out.push_str(raw);
                self.out.push('/');
            }
        }
    }
}

/// The name of a setting, in quotes where it needs them.
fn name(name: &str) -> String {
    if !name.is_empty() && name.chars().all(is_name) {
        return name.to_owned();
    }
    let double = format!("\"{name}\"");
    let whole = |lexer: &mut Lexer<'_>| lexer.quoted().is_some_and(|text| text.is_ok()) && lexer.at_end();
    if whole(&mut Lexer::new(&double, 0)) { double } else { format!("'{name}'") }
}
