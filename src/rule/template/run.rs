//! Writes a parsed template out.

use super::parse::{Node, Operand, Pipeline};
use super::value::{Data, Value};
use super::{Outside, function};

/// A template that writes more bytes than this fails.
pub(super) const OUTPUT_MAX: usize = 1 << 20;
/// Steps after which a template fails: nested loops over large answers.
const STEPS_MAX: usize = 1_000_000;
/// Templates that call each other deeper than this fail.
const DEPTH_MAX: usize = 50;

type Run<T> = Result<T, String>;

pub(super) fn run(
    nodes: &[Node],
    defined: &[(String, Vec<Node>)],
    data: &Data<'_>,
    outside: &dyn Outside,
) -> Run<String> {
    let value = Value::from(data);
    let mut runner = Runner { defined, outside, out: String::new(), steps: 0, depth: 0, variables: Vec::new() };
    for (name, field) in [
        ("$labels", "Labels"),
        ("$externalLabels", "ExternalLabels"),
        ("$externalURL", "ExternalURL"),
        ("$value", "Value"),
    ] {
        runner.variables.push((name.to_owned(), value.field(field)?));
    }
    runner.variables.push(("$".to_owned(), value.clone()));
    runner.nodes(nodes, &value)?;
    Ok(runner.out)
}

/// How a list of nodes ended.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Runner<'t> {
    defined: &'t [(String, Vec<Node>)],
    outside: &'t dyn Outside,
    out: String,
    steps: usize,
    depth: usize,
    variables: Vec<(String, Value)>,
}

impl Runner<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Run<Flow> {
        for node in nodes {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return Err(format!("it takes more than {STEPS_MAX} steps"));
            }
            let known = self.variables.len();
            let flow = match node {
                Node::Text(text) => self.write(text)?,
                Node::Print(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        self.write(&value.print())?;
                    }
                    continue;
                }
                Node::If(pipeline, then, other) => {
                    let branch = if self.pipeline(pipeline, dot)?.is_true() { then } else { other };
                    self.nodes(branch, dot)?
                }
                Node::With(pipeline, then, other) => match self.pipeline(pipeline, dot)? {
                    value if value.is_true() => self.nodes(then, &value)?,
                    _ => self.nodes(other, dot)?,
                },
                Node::Range(pipeline, body, other) => self.range(pipeline, body, other, dot)?,
                Node::Template(name, pipeline) => self.template(name, pipeline.as_ref(), dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            // Variables of a branch end with it.
            self.variables.truncate(known);
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn write(&mut self, text: &str) -> Run<Flow> {
        self.out.push_str(text);
        if self.out.len() > OUTPUT_MAX {
            return Err(format!("it writes more than {OUTPUT_MAX} bytes"));
        }
        Ok(Flow::On)
    }

    fn template(&mut self, name: &str, pipeline: Option<&Pipeline>, dot: &Value) -> Run<Flow> {
        let found = self.defined.iter().rev().find(|(known, _)| known == name);
        let Some((_, nodes)) = found else { return Err(format!("template `{name}` is not defined")) };
        let value = pipeline.map_or(Ok(Value::Nil), |pipeline| self.pipeline(pipeline, dot))?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("templates call each other deeper than {DEPTH_MAX}"));
        }
        let variables = std::mem::replace(&mut self.variables, vec![("$".to_owned(), value.clone())]);
        self.nodes(nodes, &value)?;
        self.variables = variables;
        self.depth -= 1;
        Ok(Flow::On)
    }

    fn range(&mut self, pipeline: &Pipeline, body: &[Node], other: &[Node], dot: &Value) -> Run<Flow> {
        let value = self.commands(pipeline, dot)?;
        let items: Vec<(Value, Value)> = match value {
            Value::List(list) => list.into_iter().enumerate().map(|(at, item)| (Value::Int(at as i64), item)).collect(),
            Value::Texts(map) => map.into_iter().map(|(key, value)| (Value::Text(key), Value::Text(value))).collect(),
            Value::Map(map) => map.into_iter().map(|(key, value)| (Value::Text(key), value)).collect(),
            Value::Int(count) => (0..count.min(STEPS_MAX as i64)).map(|at| (Value::Int(at), Value::Int(at))).collect(),
            Value::Nil => Vec::new(),
            other => return Err(format!("`range` can't go over {}", other.kind())),
        };
        if items.is_empty() {
            return self.nodes(other, dot);
        }
        let known = self.variables.len();
        for (key, item) in items {
            match pipeline.variables.as_slice() {
                [one] => self.assign(one, item.clone(), pipeline.declares),
                [one, two] => {
                    self.assign(one, key, pipeline.declares);
                    self.assign(two, item.clone(), pipeline.declares);
                }
                _ => {}
            }
            let flow = self.nodes(body, &item)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn assign(&mut self, name: &str, value: Value, declares: bool) {
        match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            Some(variable) if !declares => variable.1 = value,
            _ => self.variables.push((name.to_owned(), value)),
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Run<Value> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.variables {
            self.assign(name, value.clone(), pipeline.declares);
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Value) -> Run<Value> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, last, dot)?);
        }
        last.ok_or_else(|| "a command is missing".to_owned())
    }

    fn command(&mut self, command: &[Operand], piped: Option<Value>, dot: &Value) -> Run<Value> {
        let (Some(first), arguments) = (command.first(), command.get(1..).unwrap_or_default()) else {
            return Err("a command is missing".to_owned());
        };
        let Operand::Function(name) = first else {
            if !arguments.is_empty() || piped.is_some() {
                return Err("only a function takes arguments".to_owned());
            }
            return self.operand(first, dot);
        };
        // `and` and `or` stop at the argument that decides.
        if name == "and" || name == "or" {
            let mut last = Value::Nil;
            for argument in arguments {
                last = self.operand(argument, dot)?;
                if last.is_true() == (name == "or") {
                    return Ok(last);
                }
            }
            return Ok(piped.unwrap_or(last));
        }
        let mut values = arguments.iter().map(|argument| self.operand(argument, dot)).collect::<Run<Vec<Value>>>()?;
        values.extend(piped);
        function::call(name, values, self.outside).map_err(|message| format!("error calling {name}: {message}"))
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Run<Value> {
        let follow = |value: Value, fields: &[String]| fields.iter().try_fold(value, |value, name| value.field(name));
        match operand {
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Dot(fields) => follow(dot.clone(), fields),
            Operand::Variable(name, fields) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                let value =
                    found.map(|(_, value)| value.clone()).ok_or_else(|| format!("unknown variable `{name}`"))?;
                follow(value, fields)
            }
            Operand::Group(pipeline, fields) => follow(self.pipeline(pipeline, dot)?, fields),
            Operand::Function(name) => function::call(name, Vec::new(), self.outside)
                .map_err(|message| format!("error calling {name}: {message}")),
        }
    }
}
