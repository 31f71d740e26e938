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

#[cfg(test)]
mod tests {
    use super::super::ast::{At, Attribute, Comparison, If, Joiner};
    use super::super::parser::parse;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Quoted> {
        (prop_oneof![Just('"'), Just('\'')], vec("[^\\\\\"']|\\\\[a-zé/ ]|Q", 0..6)).prop_map(|(quote, parts)| Quoted {
            quote,
            // `Q` stands for the one way in which a quote can stand in a text.
            raw: parts.concat().replace('Q', &format!("\\{quote}")),
        })
    }

    fn name() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9_-]{1,6}".prop_filter("a word of the language", |name| {
            !["if", "else", "elseif", "elsif", "elif", "input", "filter", "output"].contains(&name.as_str())
        })
    }

    fn number() -> impl Strategy<Value = String> {
        "-?[0-9]{1,4}(\\.[0-9]{0,3})?"
    }

    fn scalar() -> impl Strategy<Value = ValueKind> {
        prop_oneof![
            "[a-zA-Z_][a-zA-Z0-9_]{1,5}".prop_map(ValueKind::Bareword),
            text().prop_map(ValueKind::Text),
            number().prop_map(ValueKind::Number),
        ]
    }

    fn at(kind: ValueKind) -> Value {
        Value { at: At::default(), kind }
    }

    fn value() -> impl Strategy<Value = Value> {
        scalar().prop_map(at).prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(|elements| at(ValueKind::Array(elements))),
                vec((scalar().prop_map(at), inner.clone()), 0..3).prop_map(|entries| at(ValueKind::Hash(entries))),
                plugin_of(inner).prop_map(|plugin| at(ValueKind::Plugin(plugin))),
            ]
        })
    }

    fn plugin_of(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Plugin> {
        let setting = prop_oneof![name(), text().prop_map(|text| text.raw)];
        let attribute = (setting, value).prop_map(|(name, value)| Attribute { name, at: At::default(), value });
        (name(), vec(attribute, 0..4)).prop_map(|(name, attributes)| Plugin { name, at: At::default(), attributes })
    }

    fn selector() -> impl Strategy<Value = Operand> {
        "(\\[[^\\[\\],]{1,5}\\]){1,3}".prop_map(|text| Operand { at: At::default(), kind: OperandKind::Selector(text) })
    }

    fn operand() -> impl Strategy<Value = Operand> {
        // An array of one element would be a selector; so would one whose text looks like its end.
        let word = "[a-z_]{2,4}".prop_map(|word| at(ValueKind::Bareword(word)));
        let kind = prop_oneof![
            text().prop_map(OperandKind::Text),
            number().prop_map(OperandKind::Number),
            vec(word, 2..4).prop_map(OperandKind::Array),
            "([^/\\\\]|\\\\/|\\\\d){0,6}".prop_map(OperandKind::Regexp),
        ];
        prop_oneof![selector(), kind.prop_map(|kind| Operand { at: At::default(), kind })]
    }

    fn expression() -> impl Strategy<Value = Expression> {
        use Comparison::*;
        let comparison = prop::sample::select(vec![Equal, Unequal, Less, LessOrEqual, Greater, GreaterOrEqual]);
        let pattern =
            operand().prop_filter("a pattern", |o| matches!(o.kind, OperandKind::Text(_) | OperandKind::Regexp(_)));
        let leaf = prop_oneof![
            operand().prop_map(ExpressionKind::Operand),
            selector().prop_map(ExpressionKind::NotSelector),
            (operand(), comparison, operand()).prop_map(|(left, op, right)| ExpressionKind::Compare {
                left,
                op,
                right
            }),
            (operand(), operand(), any::<bool>()).prop_map(|(left, right, negated)| ExpressionKind::In {
                left,
                right,
                negated
            }),
            (operand(), pattern, any::<bool>()).prop_map(|(left, right, negated)| ExpressionKind::Match {
                left,
                right,
                negated
            }),
        ];
        leaf.prop_map(|kind| Expression { at: At::default(), kind }).prop_recursive(3, 12, 3, |inner| {
            (condition_of(inner), any::<bool>()).prop_map(|(condition, negated)| {
                let condition = Box::new(condition);
                let kind = if negated { ExpressionKind::NotGroup(condition) } else { ExpressionKind::Group(condition) };
                Expression { at: At::default(), kind }
            })
        })
    }

    fn condition_of(expression: impl Strategy<Value = Expression> + Clone) -> impl Strategy<Value = Condition> {
        let joiner = prop::sample::select(vec![Joiner::And, Joiner::Or, Joiner::Xor, Joiner::Nand]);
        let rest = vec((joiner, expression.clone()), 0..3);
        (expression, rest).prop_map(|(first, rest)| Condition {
            first,
            rest: rest.into_iter().map(|(joiner, expression)| (joiner, At::default(), expression)).collect(),
        })
    }

    fn node() -> impl Strategy<Value = Node> {
        plugin_of(value()).prop_map(Node::Plugin).prop_recursive(3, 12, 3, |inner| {
            let body = vec(inner, 0..3);
            let branch = (condition_of(expression().boxed()), body.clone());
            (vec(branch, 1..3), prop::option::of(body))
                .prop_map(|(branches, otherwise)| Node::If(If { at: At::default(), branches, otherwise }))
        })
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let kind = prop::sample::select(vec![Kind::Input, Kind::Filter, Kind::Output]);
        let section = (kind, vec(node(), 0..3)).prop_map(|(kind, body)| Section { kind, at: At::default(), body });
        vec(section, 0..3).prop_map(|sections| Tree { sections })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_printed_parses_to_the_same_tree(tree in tree()) {
            let text = print(&tree);
            let parsed = parse(&text, 0);
            prop_assert_eq!(parsed.diagnostics, [], "{}", text);
            prop_assert_eq!(parsed.tree, tree, "{}", text);
        }

        /// Formatting says the same, keeps every comment, and changes nothing the second time.
        #[test]
        fn formatting_says_the_same(
            tree in tree(),
            comments in vec((any::<prop::sample::Index>(), prop::sample::select(vec![" # c\n", "\n# c\n", "\n\n\n"])), 0..4),
        ) {
            let mut text = print(&tree);
            for (index, comment) in comments {
                let spaces: Vec<usize> = text.match_indices([' ', '\n']).map(|(at, _)| at).collect();
                if !spaces.is_empty() {
                    text.insert_str(spaces[index.index(spaces.len())], comment);
                }
            }
            let parsed = parse(&text, 0);
            // A comment may have gone into a text with a quote behind it.
            prop_assume!(parsed.diagnostics.is_empty());
            let formatted = crate::language::format(&text).unwrap();
            prop_assert_eq!(&parse(&formatted, 0).tree, &parsed.tree, "{}\n{}", text, formatted);
            prop_assert_eq!(formatted.matches("# c").count(), text.matches("# c").count(), "{}\n{}", text, formatted);
            prop_assert_eq!(&crate::language::format(&formatted).unwrap(), &formatted, "{}", text);
        }

        /// Damaged text still gives a tree, mistakes at places inside the text, and no panic.
        #[test]
        fn damage_is_told(tree in tree(), cut in any::<prop::sample::Index>(), put in "[{}()\\[\\]\"'/=>,# a]{0,3}") {
            let mut text = print(&tree);
            let bounds: Vec<usize> = (0..=text.len()).filter(|&at| text.is_char_boundary(at)).collect();
            let at = cut.index(bounds.len());
            let (at, behind) = (bounds[at], bounds[(at + 1).min(bounds.len() - 1)]);
            text.replace_range(at..behind, &put);
            for mistake in parse(&text, 0).diagnostics {
                prop_assert!(mistake.place.end as usize <= text.len(), "{mistake:?}");
                prop_assert!(text.get(mistake.place.range()).is_some(), "{mistake:?}");
            }
        }

        #[test]
        fn any_text_is_read(text in "\\PC*") {
            parse(&text, 0);
        }
    }
}
