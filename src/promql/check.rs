//! Types: what may stand where. All mistakes of an expression at once.

use super::Mistake;
use super::ast::{Binary, Expr, Kind, Many, Type};
use super::function::Function;

/// Everything wrong with the types of an expression.
pub fn check(expr: &Expr) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    expr.walk(&mut |node| node_of(node, &mut mistakes));
    mistakes
}

fn node_of(node: &Expr, mistakes: &mut Vec<Mistake>) {
    match &node.kind {
        Kind::Call(function, arguments) => call(function, arguments, node, mistakes),
        Kind::Aggregate(aggregate) => {
            let what = format!("`{}`", aggregate.how.name());
            expect(Type::Vector, &aggregate.expr, &what, mistakes);
            if let (Some(want), Some(parameter)) = (aggregate.how.parameter(), &aggregate.parameter) {
                expect(want, parameter, &what, mistakes);
                if parameter.text() == Some("") {
                    let message = "the name of a label can't be empty";
                    mistakes.push(Mistake::new(message, parameter.span.clone()));
                }
            }
        }
        Kind::Binary(binary) => operator(binary, mistakes),
        Kind::Negate(inner) if !matches!(inner.ty(), Type::Scalar | Type::Vector) => {
            let message = format!("a sign stands before a scalar or instant vector, not {}", inner.ty().name());
            mistakes.push(Mistake::new(message, node.span.clone()));
        }
        Kind::Subquery(subquery) => expect(Type::Vector, &subquery.expr, "a subquery", mistakes),
        _ => {}
    }
}

fn expect(want: Type, expr: &Expr, what: &str, mistakes: &mut Vec<Mistake>) {
    let got = expr.ty();
    if got == want {
        return;
    }
    let mut mistake = Mistake::new(format!("{what} needs {} here, not {}", want.name(), got.name()), expr.span.clone());
    if want == Type::Matrix && matches!(expr.kind, Kind::Selector(_)) {
        mistake = mistake.label("a range such as `[5m]` is missing");
    }
    if want == Type::Vector && matches!(expr.kind, Kind::Range(..)) {
        mistake = mistake.label("a function such as `rate()` is missing around it");
    }
    mistakes.push(mistake);
}

fn call(function: &Function, arguments: &[Expr], node: &Expr, mistakes: &mut Vec<Mistake>) {
    let least = function.arguments.len() - function.optional;
    let most = function.arguments.len().saturating_add(function.repeated);
    if arguments.len() < least || arguments.len() > most {
        let count = match (least, most) {
            (least, most) if least == most => format!("{least}"),
            (least, usize::MAX) => format!("at least {least}"),
            (least, most) => format!("{least} to {most}"),
        };
        let plural = if count == "1" { "" } else { "s" };
        let message = format!("`{}` takes {count} argument{plural}, not {}", function.name, arguments.len());
        mistakes.push(Mistake::new(message, node.span.clone()));
        return;
    }
    for (at, argument) in arguments.iter().enumerate() {
        if let Some(want) = function.arguments.get(at).or(function.arguments.last()) {
            expect(*want, argument, &format!("`{}`", function.name), mistakes);
        }
    }
    if function.name == "label_replace"
        && let Some(pattern) = arguments.get(4)
        && let Some(text) = pattern.text()
        && let Err(message) = crate::series::anchored(text)
    {
        mistakes.push(Mistake::new(message, pattern.span.clone()));
    }
    let names: &[usize] = match function.name {
        "label_replace" | "label_join" | "histogram_quantiles" => &[1],
        _ => &[],
    };
    for argument in names.iter().filter_map(|at| arguments.get(*at)) {
        if argument.text() == Some("") {
            mistakes.push(Mistake::new("the name of a label can't be empty", argument.span.clone()));
        }
    }
    if function.name == "label_join" {
        for argument in arguments.iter().skip(3).filter(|argument| argument.text() == Some("")) {
            mistakes.push(Mistake::new("the name of a label can't be empty", argument.span.clone()));
        }
    }
}

fn operator(binary: &Binary, mistakes: &mut Vec<Mistake>) {
    let (left, right) = (binary.left.ty(), binary.right.ty());
    let sign = binary.operator.sign();
    let mut bad = |message: String| mistakes.push(Mistake::new(message, binary.span.clone()));
    if binary.boolean && !binary.operator.is_comparison() {
        bad(format!("`bool` stands only behind a comparison, not behind `{sign}`"));
    }
    let scalars = left == Type::Scalar && right == Type::Scalar;
    if binary.operator.is_comparison() && scalars && !binary.boolean {
        bad(format!("a comparison of two scalars needs `bool`: `{sign} bool`"));
    }
    if binary.operator.is_set() {
        if left == Type::Scalar || right == Type::Scalar {
            bad(format!("`{sign}` works on instant vectors, not on a scalar"));
        }
        if binary.matching.many != Many::Neither {
            bad(format!("`{sign}` takes neither `group_left` nor `group_right`"));
        }
    } else if (left != Type::Vector || right != Type::Vector) && !binary.matching.labels.is_empty() {
        bad("`on` and `ignoring` need an instant vector on both sides".to_owned());
    }
    if binary.matching.on {
        let both = binary.matching.include.iter().find(|label| binary.matching.labels.contains(label));
        if let Some(label) = both {
            bad(format!("the label `{label}` stands both behind `on` and behind the grouping"));
        }
    }
    for side in [&binary.left, &binary.right] {
        if !matches!(side.ty(), Type::Scalar | Type::Vector) {
            let message = format!("`{sign}` takes scalars and instant vectors, not {}", side.ty().name());
            let mut mistake = Mistake::new(message, side.span.clone());
            if matches!(side.kind, Kind::Range(..)) {
                mistake = mistake.label("a function such as `rate()` is missing around it");
            }
            mistakes.push(mistake);
        }
    }
}
