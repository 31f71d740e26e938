//! The plan: what is left of a configuration once everything is checked and resolved. The
//! pipeline is built from it; nothing in it is looked up by name at run time.

use crate::event::{FieldId, FieldRef};
use crate::plugin::Call;
use crate::regexp::Regexp;

/// A pipeline's plan.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The inputs.
    pub inputs: Vec<Call>,
    /// The filters, in order.
    pub filters: Vec<Step>,
    /// The outputs. Every event passes all of them, whatever their order.
    pub outputs: Vec<Step>,
    /// Top-level fields that the conditions read, in order of their ids. (Plugins know best
    /// what they read themselves.)
    pub reads: Vec<FieldId>,
}

/// A statement of a section.
#[derive(Clone, Debug)]
pub enum Step {
    /// A plugin.
    Plugin(Call),
    /// Branches, of which the first whose condition holds is taken.
    If {
        /// Conditions and what happens under them.
        branches: Vec<(Cond, Vec<Step>)>,
        /// What happens where none holds.
        otherwise: Vec<Step>,
    },
}

impl Step {
    /// Calls `visit` with every plugin in it.
    pub fn each_call(&self, visit: &mut dyn FnMut(&Call)) {
        match self {
            Step::Plugin(call) => visit(call),
            Step::If { branches, otherwise } => {
                branches.iter().flat_map(|(_, steps)| steps).chain(otherwise).for_each(|step| step.each_call(visit));
            }
        }
    }
}

/// A condition, compiled: references resolved, patterns compiled, constants folded.
/// What each means for an event is [`crate::pipeline::route`]'s affair.
#[derive(Clone, Debug)]
pub enum Cond {
    /// Always so.
    Constant(bool),
    /// `[a]`
    Truthy(FieldRef),
    /// `[a] == 1`
    Equal(FieldRef, Constant),
    /// `[a] == [b]`
    EqualFields(FieldRef, FieldRef),
    /// `[a] < 1`
    Order(FieldRef, Order, Constant),
    /// `[a] < [b]`
    OrderFields(FieldRef, Order, FieldRef),
    /// `[a] =~ /x/`
    Match(FieldRef, Regexp),
    /// `1 in [a]`
    ConstantInField(Constant, FieldRef),
    /// `[a] in "text"`
    FieldInText(FieldRef, Box<str>),
    /// `[a] in [1, "b"]`: elements as text, which is how they are compared.
    FieldInList(FieldRef, Box<[Box<str>]>),
    /// `[a] in [b]`
    FieldInField(FieldRef, FieldRef),
    /// `!`, `!=`, `!~`, `not in`
    Not(Box<Cond>),
    /// All hold; the first that does not ends it.
    All(Vec<Cond>),
    /// One holds; the first that does ends it.
    Any(Vec<Cond>),
    /// Exactly one holds.
    Xor(Box<(Cond, Cond)>),
}

/// A constant of a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// A text.
    Text(Box<str>),
    /// A whole number, of any size that an event can hold.
    Int(i128),
    /// A number with a point, or one too large to be whole.
    Float(f64),
}

/// `<` and so on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Order {
    /// Whether it holds for how the left side stands to the right one.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Order::Less => ordering.is_lt(),
            Order::LessOrEqual => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterOrEqual => ordering.is_ge(),
        }
    }

    /// The same with the sides swapped.
    pub fn swapped(self) -> Order {
        match self {
            Order::Less => Order::Greater,
            Order::LessOrEqual => Order::GreaterOrEqual,
            Order::Greater => Order::Less,
            Order::GreaterOrEqual => Order::LessOrEqual,
        }
    }
}

impl Cond {
    /// Calls `visit` with every field reference in it.
    pub fn fields(&self, visit: &mut dyn FnMut(&FieldRef)) {
        match self {
            Cond::Constant(_) => {}
            Cond::Truthy(a)
            | Cond::Equal(a, _)
            | Cond::Order(a, ..)
            | Cond::Match(a, _)
            | Cond::ConstantInField(_, a)
            | Cond::FieldInText(a, _)
            | Cond::FieldInList(a, _) => visit(a),
            Cond::EqualFields(a, b) | Cond::OrderFields(a, _, b) | Cond::FieldInField(a, b) => {
                visit(a);
                visit(b);
            }
            Cond::Not(inner) => inner.fields(visit),
            Cond::All(list) | Cond::Any(list) => list.iter().for_each(|cond| cond.fields(visit)),
            Cond::Xor(pair) => {
                pair.0.fields(visit);
                pair.1.fields(visit);
            }
        }
    }
}
