//! What stands between operators: literals, names, `if`, and what code asks of the event and its map.

use super::{Kind, Node, Parsed, Parser};
use crate::script::lexer::Part;

const EVENT: &[(&str, usize)] =
    &[("get", 1), ("set", 2), ("remove", 1), ("include?", 1), ("tag", 1), ("cancel", 0), ("timestamp", 0)];
const META: &[&str] = &["timeout", "inactivity_timeout"];

impl Parser {
    pub(super) fn primary(&mut self) -> Parsed {
        let Some(kind) = self.kind().cloned() else { return self.unexpected() };
        match kind {
            Kind::Int(n) => {
                self.at += 1;
                Ok(Node::Int(n))
            }
            Kind::Float(n) => {
                self.at += 1;
                Ok(Node::Float(n))
            }
            Kind::Text(parts) => {
                self.at += 1;
                self.text(parts)
            }
            Kind::Op("(") => {
                self.at += 1;
                let node = self.sequence(&[")"])?;
                self.expect(")")?;
                Ok(node)
            }
            Kind::Op("[") => self.array(),
            Kind::Op("{") => self.hash(),
            Kind::Name(name) => self.name(&name),
            Kind::Symbol(name) => {
                self.at += 1;
                Ok(Node::Symbol(name))
            }
            Kind::Constant(name) if name == "LogStash" && self.names.map => self.made(),
            Kind::Op(_) | Kind::Constant(_) | Kind::End => self.unexpected(),
        }
    }

    fn text(&mut self, parts: Vec<Part>) -> Parsed {
        if let [Part::Text(text)] = &parts[..] {
            return Ok(Node::Plain(text.clone()));
        }
        let mut nodes = Vec::new();
        for part in parts {
            nodes.push(match part {
                Part::Text(text) => Node::Plain(text),
                Part::Code(tokens) => {
                    let (outer, at) = (std::mem::replace(&mut self.tokens, tokens), std::mem::take(&mut self.at));
                    let node = self.sequence(&[]);
                    (self.tokens, self.at) = (outer, at);
                    node?
                }
            });
        }
        Ok(Node::Text(nodes))
    }

    fn array(&mut self) -> Parsed {
        self.at += 1;
        let mut elements = Vec::new();
        self.skip_ends();
        while !self.is("]") {
            elements.push(self.expression()?);
            self.skip_ends();
            if !self.eat(",") {
                break;
            }
            self.skip_ends();
        }
        self.expect("]")?;
        Ok(Node::Array(elements))
    }

    fn hash(&mut self) -> Parsed {
        self.at += 1;
        let mut members = Vec::new();
        self.skip_ends();
        while !self.is("}") {
            let key = match self.label() {
                Some(name) => Node::Symbol(name),
                None => {
                    let key = self.expression()?;
                    self.skip_ends();
                    self.expect("=>")?;
                    key
                }
            };
            self.skip_ends();
            members.push((key, self.expression()?));
            self.skip_ends();
            if !self.eat(",") {
                break;
            }
            self.skip_ends();
        }
        self.expect("}")?;
        Ok(Node::Hash(members))
    }

    /// `name:` or `"name":` before the value of a member; the key is a symbol then.
    fn label(&mut self) -> Option<String> {
        let colon = self.tokens.get(self.at + 1).filter(|token| token.kind == Kind::Op(":") && !token.spaced);
        let name = match (colon, self.kind()?) {
            (Some(_), Kind::Name(name) | Kind::Constant(name)) => name.clone(),
            (Some(_), Kind::Text(parts)) => match &parts[..] {
                [Part::Text(text)] => text.clone(),
                _ => return None,
            },
            _ => return None,
        };
        self.at += 2;
        Some(name)
    }

    fn name(&mut self, name: &str) -> Parsed {
        self.at += 1;
        match name {
            "nil" => Ok(Node::Nil),
            "true" => Ok(Node::Bool(true)),
            "false" => Ok(Node::Bool(false)),
            "if" => self.conditional(false),
            "unless" => self.conditional(true),
            "event" => self.event(),
            "map" if self.names.map => Ok(Node::Map),
            "map_meta" if self.names.map => self.meta(),
            "new_event_block" if self.names.map => self.create(),
            _ => match self.locals.iter().rev().find(|(known, _)| known == name) {
                Some((_, local)) => Ok(Node::Local(*local)),
                None => {
                    self.at -= 1;
                    self.unexpected()
                }
            },
        }
    }

    fn conditional(&mut self, negated: bool) -> Parsed {
        let condition = self.words()?;
        self.eat_name("then");
        let then = self.sequence(&["elsif", "else", "end"])?;
        let otherwise = if self.eat_name("elsif") {
            self.conditional(false)?
        } else if self.eat_name("else") {
            let otherwise = self.sequence(&["end"])?;
            if !self.eat_name("end") {
                return self.wrong("expected `end`");
            }
            otherwise
        } else if self.eat_name("end") {
            Node::Nil
        } else {
            return self.wrong("expected `end`");
        };
        let condition = if negated { Node::Not(Box::new(condition)) } else { condition };
        Ok(Node::If(Box::new(condition), Box::new(then), Box::new(otherwise)))
    }

    fn event(&mut self) -> Parsed {
        self.expect(".")?;
        let Some(Kind::Name(name)) = self.kind().cloned() else { return self.wrong("expected a method of the event") };
        let Some((name, wanted)) = EVENT.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = EVENT.iter().map(|(name, _)| *name).collect();
            return self.wrong(format!("`event.{name}` is not known here; it knows {}", known.join(", ")));
        };
        self.at += 1;
        let arguments = self.arguments()?;
        if arguments.len() != *wanted {
            return self.wrong(format!("`event.{name}` takes {wanted} arguments"));
        }
        Ok(Node::Event(name, arguments))
    }

    fn meta(&mut self) -> Parsed {
        self.expect(".")?;
        let Some(Kind::Name(name)) = self.kind().cloned() else { return self.unexpected() };
        if !META.contains(&name.as_str()) {
            return self.wrong(format!("`map_meta.{name}` is not known here; it knows {}", META.join(" and ")));
        }
        self.at += 1;
        self.expect("=")?;
        Ok(Node::Meta(name, Box::new(self.expression()?)))
    }

    fn create(&mut self) -> Parsed {
        self.expect(".")?;
        if !(self.eat_name("call") && self.eat("(")) {
            return self.wrong("expected new_event_block.call(…)");
        }
        self.skip_ends();
        let event = self.expression()?;
        self.skip_ends();
        self.expect(")")?;
        Ok(Node::Create(Box::new(event)))
    }

    /// `LogStash::Event.new(…)`
    fn made(&mut self) -> Parsed {
        let named = |parser: &mut Parser, name: &str| {
            let found = matches!(parser.kind(), Some(Kind::Constant(known)) if known == name);
            parser.at += usize::from(found);
            found
        };
        let shape = named(self, "LogStash") && self.eat("::") && named(self, "Event") && self.eat(".");
        if !(shape && self.eat_name("new")) {
            return self.wrong("expected LogStash::Event.new(…)");
        }
        let mut arguments = self.arguments()?;
        if arguments.len() > 1 {
            return self.wrong("`LogStash::Event.new` takes one hash");
        }
        Ok(Node::Make(arguments.pop().map(Box::new)))
    }
}
