//! Conditions → [`Cond`]: how operators bind, what each side may be, constants folded.
//! As Logstash's `lscl.rb` (binding) and `EventCondition.java` (sides).

use super::DEPTH_MAX;
use super::ast::{Comparison, Condition, Expression, ExpressionKind, Joiner, Operand, OperandKind};
use super::check::Checker;
use super::plan::{Cond, Constant, Order};
use crate::diagnostic::{Diagnostic, Place, code};
use crate::event::FieldRef;
use crate::plugin::{Literal, Setting};
use crate::regexp::Regexp;

/// A condition and how deep it nests.
type Deep = (Cond, usize);

/// A side of an expression, resolved.
enum Side {
    Field(FieldRef),
    Constant(Constant),
    List(Vec<Setting>),
    Regexp,
    /// Its mistake is reported.
    Bad,
}

/// Stands for a condition whose mistake is reported.
const BAD: Deep = (Cond::Constant(false), 1);

impl Checker<'_> {
    /// Compiles a condition.
    pub(super) fn condition(&mut self, condition: &Condition) -> Cond {
        self.joined(condition, true).0
    }

    /// `alone`: whether a constant may stand for the whole condition.
    fn joined(&mut self, condition: &Condition, alone: bool) -> Deep {
        if condition.rest.is_empty() {
            return self.expression(&condition.first, alone);
        }
        let mut binder = Binder::default();
        binder.operand(self.expression(&condition.first, false));
        for (joiner, _, expression) in &condition.rest {
            binder.operator(*joiner);
            binder.operand(self.expression(expression, false));
        }
        if self.mixed(condition) {
            return BAD;
        }
        self.warn_of_binding(condition);
        let place = condition.first.at.0;
        match binder.finish() {
            Some(deep) => deep,
            None => {
                let message = format!("a condition nests too deep: at most {DEPTH_MAX} levels");
                self.report(Diagnostic::error(code::DEPTH, place, message).label("put parts of it in parentheses"));
                BAD
            }
        }
    }

    /// `xor` and `nand` have no rank among operators: Logstash refuses them beside others.
    fn mixed(&mut self, condition: &Condition) -> bool {
        let odd = condition.rest.iter().find(|(joiner, ..)| matches!(joiner, Joiner::Xor | Joiner::Nand));
        match odd {
            Some((joiner, at, _)) if condition.rest.len() > 1 => {
                let message = format!("`{}` beside another operator", joiner.word());
                let label = "say with parentheses what belongs together";
                self.report(Diagnostic::error(code::MIXED, at.0, message).label(label));
                true
            }
            _ => false,
        }
    }

    /// Logstash lets an `or` end only the last of the `and`s before it, see [`Binder`].
    fn warn_of_binding(&mut self, condition: &Condition) {
        let joiners = condition.rest.as_slice();
        let odd = joiners.windows(3).find(|w| w[0].0 == Joiner::And && w[1].0 == Joiner::And && w[2].0 == Joiner::Or);
        if let Some([.., (_, at, _)]) = odd {
            let message = "this `or` binds otherwise than it reads";
            let note = "as in Logstash, `a and b and c or d` means `a and (b and c or d)`";
            let mistake = Diagnostic::error(code::PRECEDENCE, at.0, message).warning();
            self.report(mistake.label("say with parentheses what belongs together").note(note));
        }
    }

    fn expression(&mut self, expression: &Expression, alone: bool) -> Deep {
        let cond = match &expression.kind {
            ExpressionKind::Group(inner) => {
                let (cond, depth) = self.joined(inner, alone);
                return (cond, depth + 1);
            }
            ExpressionKind::NotGroup(inner) => {
                let (cond, depth) = self.joined(inner, false);
                return (not(cond), depth + 1);
            }
            ExpressionKind::NotSelector(operand) => match self.side(operand) {
                Side::Field(field) => not(Cond::Truthy(field)),
                _ => BAD.0,
            },
            ExpressionKind::In { left, right, negated } => {
                self.suspect_array(right);
                let (left, right) = (self.side(left), self.side(right));
                negate(self.in_(left, right, expression.at.0), *negated)
            }
            ExpressionKind::Compare { left, op, right } => {
                let (left, right) = (self.side(left), self.side(right));
                self.compare(left, *op, right, expression.at.0)
            }
            ExpressionKind::Match { left, right, negated } => {
                let left = self.side(left);
                negate(self.match_(left, right, expression.at.0), *negated)
            }
            ExpressionKind::Operand(operand) => self.operand(operand, alone),
        };
        (cond, 1)
    }

    /// A value alone: whether it counts as true.
    fn operand(&mut self, operand: &Operand, alone: bool) -> Cond {
        let truth = match self.side(operand) {
            Side::Field(field) => return Cond::Truthy(field),
            Side::Bad => return BAD.0,
            Side::Constant(Constant::Text(text)) => !text.is_empty() && &*text != "false",
            Side::Constant(_) | Side::List(_) => true,
            Side::Regexp => !matches!(&operand.kind, OperandKind::Regexp(raw) if raw.is_empty() || raw == "false"),
        };
        if !alone {
            let message = "a constant can't be joined to other conditions";
            let label = "compare it with a field";
            self.report(Diagnostic::error(code::OPERAND, operand.at.0, message).label(label));
        }
        Cond::Constant(truth)
    }

    fn side(&mut self, operand: &Operand) -> Side {
        match &operand.kind {
            OperandKind::Text(text) => Side::Constant(Constant::Text(self.text(text, operand.at).into())),
            OperandKind::Number(text) => Side::Constant(number(text)),
            OperandKind::Array(elements) => Side::List(elements.iter().map(|e| self.resolve(e)).collect()),
            OperandKind::Regexp(_) => Side::Regexp,
            OperandKind::Selector(text) => match FieldRef::parse(text) {
                Ok(field) => Side::Field(field),
                Err(error) => {
                    self.report(Diagnostic::error(code::FIELD, operand.at.0, error.to_string()));
                    Side::Bad
                }
            },
        }
    }

    /// `["x"]` and `[1]` are field references, which few who write them after `in` mean.
    fn suspect_array(&mut self, operand: &Operand) {
        let OperandKind::Selector(text) = &operand.kind else { return };
        let inner = text.trim_start_matches('[').trim_end_matches(']').trim();
        let quoted = inner.len() > 1 && inner.starts_with(['"', '\'']) && inner.ends_with(['"', '\'']);
        if quoted || inner.parse::<f64>().is_ok() {
            let message = format!("`{text}` is no array here, but the field of that name");
            let note = format!("as in Logstash; for one value, write `== {inner}`, or give the array two elements");
            let mistake = Diagnostic::error(code::ARRAY_SELECTOR, operand.at.0, message).warning();
            self.report(mistake.label("read as a field reference").note(note));
        }
    }

    fn compare(&mut self, left: Side, op: Comparison, right: Side, place: Place) -> Cond {
        let order = match op {
            Comparison::Equal => return self.equal(left, right, place),
            Comparison::Unequal => return not(self.equal(left, right, place)),
            Comparison::Less => Order::Less,
            Comparison::LessOrEqual => Order::LessOrEqual,
            Comparison::Greater => Order::Greater,
            Comparison::GreaterOrEqual => Order::GreaterOrEqual,
        };
        match (left, right) {
            (Side::Field(field), Side::Constant(constant)) => Cond::Order(field, order, constant),
            (Side::Constant(constant), Side::Field(field)) => Cond::Order(field, order.swapped(), constant),
            (Side::Field(left), Side::Field(right)) => Cond::OrderFields(left, order, right),
            (Side::Constant(Constant::Text(left)), Side::Constant(Constant::Text(right))) => {
                Cond::Constant(order.holds(left.cmp(&right)))
            }
            (Side::Constant(Constant::Int(left)), Side::Constant(Constant::Int(right))) => {
                Cond::Constant(order.holds(left.cmp(&right)))
            }
            (Side::Constant(Constant::Float(left)), Side::Constant(Constant::Float(right))) => {
                Cond::Constant(order.holds(left.total_cmp(&right)))
            }
            sides => self.incomparable(&sides.0, &sides.1, place),
        }
    }

    fn equal(&mut self, left: Side, right: Side, place: Place) -> Cond {
        match (left, right) {
            (Side::Field(field), Side::Constant(constant)) | (Side::Constant(constant), Side::Field(field)) => {
                Cond::Equal(field, constant)
            }
            (Side::Field(left), Side::Field(right)) => Cond::EqualFields(left, right),
            (Side::Constant(left), Side::Constant(right)) => Cond::Constant(left == right),
            sides => self.incomparable(&sides.0, &sides.1, place),
        }
    }

    fn incomparable(&mut self, left: &Side, right: &Side, place: Place) -> Cond {
        let label = match (left, right) {
            (Side::Bad, _) | (_, Side::Bad) => return BAD.0,
            (Side::List(_), _) | (_, Side::List(_)) => "use `in` for arrays",
            (Side::Regexp, _) | (_, Side::Regexp) => "use `=~` for regular expressions",
            _ => "a text is neither less nor greater than a number, nor `1` than `1.0`",
        };
        let message = format!("{} and {} can't be compared", name(left), name(right));
        self.report(Diagnostic::error(code::COMPARISON, place, message).label(label));
        BAD.0
    }

    fn in_(&mut self, left: Side, right: Side, place: Place) -> Cond {
        match (left, right) {
            (Side::Field(field), Side::Constant(constant)) => Cond::FieldInText(field, constant_text(&constant).into()),
            (Side::Constant(constant), Side::Field(field)) => Cond::ConstantInField(constant, field),
            (Side::Field(field), Side::List(elements)) => {
                Cond::FieldInList(field, elements.iter().map(|e| literal_text(&e.value).into()).collect())
            }
            (Side::Field(left), Side::Field(right)) => Cond::FieldInField(left, right),
            (Side::Constant(Constant::Text(left)), Side::Constant(Constant::Text(right))) => {
                Cond::Constant(right.contains(&*left))
            }
            (Side::Constant(left), Side::Constant(right)) => Cond::Constant(left == right),
            (Side::Constant(constant), Side::List(elements)) | (Side::List(elements), Side::Constant(constant)) => {
                let text = constant_text(&constant);
                Cond::Constant(elements.iter().any(|e| literal_text(&e.value) == text))
            }
            (Side::Bad, _) | (_, Side::Bad) => BAD.0,
            (left, right) => {
                let message = format!("{} can't be looked for in {}", name(&left), name(&right));
                self.report(Diagnostic::error(code::COMPARISON, place, message));
                BAD.0
            }
        }
    }

    fn match_(&mut self, left: Side, right: &Operand, place: Place) -> Cond {
        let text = match &right.kind {
            OperandKind::Regexp(raw) => raw.clone(),
            // No variables here: Logstash leaves them in patterns.
            OperandKind::Text(text) => self.unescape(&text.raw),
            _ => return BAD.0,
        };
        let pattern = match Regexp::new(&text) {
            Ok(pattern) => pattern,
            Err(error) => {
                let mistake = Diagnostic::error(code::PATTERN, right.at.0, "a regular expression can't be read");
                self.report(mistake.label(error.message));
                return BAD.0;
            }
        };
        match left {
            Side::Field(field) => Cond::Match(field, pattern),
            Side::Constant(Constant::Text(text)) => Cond::Constant(pattern.is_match(&text).unwrap_or(false)),
            Side::Bad => BAD.0,
            other => {
                let message = format!("{} can't be matched: only fields and texts can", name(&other));
                self.report(Diagnostic::error(code::COMPARISON, place, message));
                BAD.0
            }
        }
    }
}

/// Binds operators as Logstash does: `and` before `or`, both to the right, but an `or` ends only
/// one of the `and`s before it (`lscl.rb` pops one operator where the algorithm pops all), so
/// `a and b and c or d` is `a and ((b and c) or d)`. Pipelines rely on what they were tested with.
#[derive(Default)]
struct Binder {
    operands: Vec<Deep>,
    operators: Vec<Joiner>,
    /// A bound condition nests too deep.
    too_deep: bool,
}

impl Binder {
    fn operand(&mut self, operand: Deep) {
        self.operands.push(operand);
    }

    fn operator(&mut self, joiner: Joiner) {
        if self.operators.last() == Some(&Joiner::And) && joiner == Joiner::Or {
            self.bind();
        }
        self.operators.push(joiner);
    }

    fn finish(mut self) -> Option<Deep> {
        while !self.operators.is_empty() {
            self.bind();
        }
        self.operands.pop().filter(|_| !self.too_deep)
    }

    fn bind(&mut self) {
        let (Some(joiner), Some(right), Some(left)) = (self.operators.pop(), self.operands.pop(), self.operands.pop())
        else {
            return;
        };
        let depth = left.1.max(right.1) + 1;
        let cond = match joiner {
            Joiner::And => Cond::All(flat(left.0, right.0, |cond| match cond {
                Cond::All(list) => Ok(list),
                other => Err(other),
            })),
            Joiner::Or => Cond::Any(flat(left.0, right.0, |cond| match cond {
                Cond::Any(list) => Ok(list),
                other => Err(other),
            })),
            Joiner::Xor => Cond::Xor(Box::new((left.0, right.0))),
            Joiner::Nand => not(Cond::All(vec![left.0, right.0])),
        };
        // A chain of the same operator is one level, however long.
        let depth = match &cond {
            Cond::All(list) | Cond::Any(list) if list.len() > 2 => depth - 1,
            _ => depth,
        };
        if depth > 2 * DEPTH_MAX {
            self.too_deep = true;
            self.operands.push(BAD);
        } else {
            self.operands.push((cond, depth));
        }
    }
}

/// Two conditions as one list; lists of the same operator are joined.
fn flat(left: Cond, right: Cond, list: fn(Cond) -> Result<Vec<Cond>, Cond>) -> Vec<Cond> {
    let mut all = list(left).unwrap_or_else(|one| vec![one]);
    match list(right) {
        Ok(more) => all.extend(more),
        Err(one) => all.push(one),
    }
    all
}

fn not(cond: Cond) -> Cond {
    match cond {
        Cond::Constant(truth) => Cond::Constant(!truth),
        Cond::Not(inner) => *inner,
        other => Cond::Not(Box::new(other)),
    }
}

fn negate(cond: Cond, negated: bool) -> Cond {
    if negated { not(cond) } else { cond }
}

fn name(side: &Side) -> &'static str {
    match side {
        Side::Field(_) => "a field",
        Side::Constant(Constant::Text(_)) => "a text",
        Side::Constant(_) => "a number",
        Side::List(_) => "an array",
        Side::Regexp | Side::Bad => "a regular expression",
    }
}

fn number(text: &str) -> Constant {
    match text.parse() {
        Ok(whole) => Constant::Int(whole),
        Err(_) => Constant::Float(text.parse().unwrap_or(f64::NAN)),
    }
}

/// A constant as text, as Java's `toString` has it.
fn constant_text(constant: &Constant) -> String {
    match constant {
        Constant::Text(text) => text.to_string(),
        Constant::Int(number) => number.to_string(),
        Constant::Float(number) => crate::pipeline::route::FloatText(*number).to_string(),
    }
}

/// An element of an array as text, as Java's `toString` has it.
fn literal_text(literal: &Literal) -> String {
    let setting_text = |setting: &Setting| literal_text(&setting.value);
    match literal {
        Literal::String(text) => text.clone(),
        Literal::Number(_, text) => constant_text(&number(text)),
        Literal::Array(elements) => {
            format!("[{}]", elements.iter().map(setting_text).collect::<Vec<_>>().join(", "))
        }
        Literal::Hash(pairs) => {
            let pair = |(key, value): &(Setting, Setting)| format!("{}={}", setting_text(key), setting_text(value));
            format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        Literal::Plugin(call) => call.name.clone(),
    }
}
