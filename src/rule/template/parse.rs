//! The grammar of Go's text/template.

use super::TemplateError;
use super::function;
use super::value::Value;
use crate::language::suggest;

/// Nesting deeper than this is refused.
const DEPTH_MAX: usize = 64;

/// A piece of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Print(Pipeline),
    If(Pipeline, Vec<Node>, Vec<Node>),
    With(Pipeline, Vec<Node>, Vec<Node>),
    Range(Pipeline, Vec<Node>, Vec<Node>),
    Template(String, Option<Pipeline>),
    Break,
    Continue,
}

/// Commands that hand their results on, and the variables that take the last one.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipeline {
    pub variables: Vec<String>,
    /// Whether `:=` stands there, not `=`.
    pub declares: bool,
    pub commands: Vec<Vec<Operand>>,
}

/// A word of a command.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Literal(Value),
    /// `.`, with fields behind it.
    Dot(Vec<String>),
    /// `$name`, with fields behind it.
    Variable(String, Vec<String>),
    /// `(pipeline)`, with fields behind it.
    Group(Pipeline, Vec<String>),
    Function(String),
}

type Parsed<T> = Result<T, TemplateError>;
/// Tokens with their places.
type Tokens = Vec<(Token, usize)>;
type Defined = Vec<(String, Vec<Node>)>;

fn bad<T>(message: impl Into<String>, at: usize) -> Parsed<T> {
    Err(TemplateError { message: message.into(), at })
}

/// Reads a template: what is printed, and what is defined.
pub(super) fn parse(text: &str) -> Parsed<(Vec<Node>, Defined)> {
    let variables = ["$", "$labels", "$externalLabels", "$externalURL", "$value"].map(str::to_owned).to_vec();
    let mut parser = Parser { pieces: pieces(text)?, at: 0, variables, defined: Vec::new(), loops: 0, depth: 0 };
    let (nodes, end) = parser.nodes()?;
    match end {
        End::Whole => Ok((nodes, parser.defined)),
        End::Stop(at) => bad("`end` has nothing to end", at),
        End::Else(_, at) => bad("`else` has no `if`, `with` or `range`", at),
    }
}

/// A text, or the tokens between `{{` and `}}`.
enum Piece {
    Text(String),
    Action(Tokens, usize),
}

/// Cuts a template at its braces. `{{-` and `-}}` take the blanks beside them away.
fn pieces(text: &str) -> Parsed<Vec<Piece>> {
    let (mut pieces, mut at, mut trim) = (Vec::new(), 0, false);
    while let Some(open) = text[at..].find("{{").map(|found| at + found) {
        let mut before = &text[at..open];
        let inner = open + 2;
        let dash = text[inner..].starts_with('-') && text[inner + 1..].starts_with(|c: char| c.is_ascii_whitespace());
        before = if trim { before.trim_start() } else { before };
        before = if dash { before.trim_end() } else { before };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let start = inner + usize::from(dash);
        let content = text[start..].trim_start();
        if content.starts_with("/*") {
            let begin = text.len() - content.len();
            let Some(close) = text[begin..].find("*/").map(|found| begin + found + 2) else {
                return bad("a comment is not closed", open);
            };
            let rest = text[close..].trim_start();
            let dashed = rest.starts_with("-}}");
            let Some(rest) = rest.strip_prefix("-}}").or_else(|| rest.strip_prefix("}}")) else {
                return bad("a comment ends right before `}}`", close);
            };
            (at, trim) = (text.len() - rest.len(), dashed);
            continue;
        }
        let (tokens, end, dashed) = tokens(text, start, open)?;
        pieces.push(Piece::Action(tokens, open));
        (at, trim) = (end, dashed);
    }
    let rest = if trim { text[at..].trim_start() } else { &text[at..] };
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Variable(String),
    /// `.a.b`; empty for the dot alone. `glued`: directly behind the token before.
    Fields(Vec<String>, bool),
    Text(String),
    Number(Number),
    Sign(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Int(i64),
    Float(f64),
}

/// The tokens up to `}}`, where that ends, and whether a dash stands before it.
fn tokens(text: &str, start: usize, open: usize) -> Parsed<(Tokens, usize, bool)> {
    let (mut all, mut at) = (Vec::new(), start);
    loop {
        let rest = &text[at..];
        let Some(c) = rest.chars().next() else { return bad("`{{` is not closed", open) };
        let blank = at == start || text[..at].ends_with(|c: char| c.is_ascii_whitespace());
        if rest.starts_with("}}") {
            return Ok((all, at + 2, false));
        }
        if blank && rest.starts_with("-}}") {
            return Ok((all, at + 3, true));
        }
        let begin = at;
        let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let token = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '"' => {
                let (text, len) = quoted(rest, at)?;
                at += len;
                Token::Text(text)
            }
            '`' => {
                let Some(end) = rest[1..].find('`') else { return bad("a string is not closed", at) };
                at += end + 2;
                Token::Text(rest[1..=end].to_owned())
            }
            '\'' => {
                let mut chars = rest[1..].chars();
                let (Some(c), Some('\'')) = (chars.next(), chars.next()) else { return bad("a bad character", at) };
                at += 2 + c.len_utf8();
                Token::Number(Number::Int(i64::from(u32::from(c))))
            }
            '$' => {
                let len = 1 + word(&rest[1..]);
                at += len;
                Token::Variable(rest[..len].to_owned())
            }
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let mut fields = Vec::new();
                while text[at..].starts_with('.') && word(&text[at + 1..]) > 0 {
                    let len = word(&text[at + 1..]);
                    fields.push(text[at + 1..at + 1 + len].to_owned());
                    at += 1 + len;
                }
                at += usize::from(fields.is_empty());
                Token::Fields(fields, !blank)
            }
            c if c.is_ascii_digit() || c == '.' || ((c == '-' || c == '+') && signs_number(rest)) => {
                let (number, len) = number(rest, at)?;
                at += len;
                Token::Number(number)
            }
            c if c.is_alphabetic() || c == '_' => {
                let len = word(rest);
                at += len;
                Token::Word(rest[..len].to_owned())
            }
            _ => {
                let sign = [":=", "=", "|", "(", ")", ","].into_iter().find(|sign| rest.starts_with(sign));
                let Some(sign) = sign else { return bad(format!("unexpected `{c}`"), at) };
                at += sign.len();
                Token::Sign(sign)
            }
        };
        all.push((token, begin));
    }
}

fn signs_number(rest: &str) -> bool {
    rest[1..].starts_with(|c: char| c.is_ascii_digit() || c == '.')
}

fn number(rest: &str, at: usize) -> Parsed<(Number, usize)> {
    let bytes = rest.as_bytes();
    let mut len = usize::from(matches!(bytes[0], b'+' | b'-'));
    while let Some(byte) = bytes.get(len) {
        let signed = matches!(byte, b'+' | b'-') && matches!(bytes[len - 1], b'e' | b'E') && !rest.contains("0x");
        if !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'_') && !signed {
            break;
        }
        len += 1;
    }
    let text = rest[..len].replace('_', "");
    let hex = text.trim_start_matches(['+', '-']).strip_prefix("0x");
    let number = match hex {
        Some(hex) => i64::from_str_radix(hex, 16).ok().map(|value| if text.starts_with('-') { -value } else { value }),
        None => text.parse().ok(),
    };
    match (number, text.parse()) {
        (Some(int), _) => Ok((Number::Int(int), len)),
        (None, Ok(float)) => Ok((Number::Float(float), len)),
        _ => bad(format!("bad number `{text}`"), at),
    }
}

/// A text in quotes, with Go's escapes; and how many bytes it took.
fn quoted(rest: &str, at: usize) -> Parsed<(String, usize)> {
    let (mut out, mut chars) = (String::new(), rest.char_indices().skip(1));
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Ok((out, index + 1)),
            '\n' => break,
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('a') => out.push('\u{7}'),
                Some('b') => out.push('\u{8}'),
                Some('f') => out.push('\u{c}'),
                Some('v') => out.push('\u{b}'),
                Some(c @ ('"' | '\\' | '\'')) => out.push(c),
                Some(c @ ('x' | 'u' | 'U')) => {
                    let digits = match c {
                        'x' => 2,
                        'u' => 4,
                        _ => 8,
                    };
                    let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                    let c = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32);
                    match c {
                        Some(c) => out.push(c),
                        None => return bad("bad escape in a string", at + index),
                    }
                }
                _ => return bad("unknown escape in a string", at + index),
            },
            c => out.push(c),
        }
    }
    bad("a string is not closed", at)
}

struct Parser {
    pieces: Vec<Piece>,
    at: usize,
    variables: Vec<String>,
    defined: Defined,
    loops: usize,
    depth: usize,
}

/// What ended a list of nodes.
enum End {
    Whole,
    Stop(usize),
    /// With the tokens behind it: `else if …`.
    Else(Tokens, usize),
}

impl Parser {
    fn nodes(&mut self) -> Parsed<(Vec<Node>, End)> {
        let mut nodes = Vec::new();
        while self.at < self.pieces.len() {
            self.at += 1;
            let (tokens, at) = match &mut self.pieces[self.at - 1] {
                Piece::Text(text) => {
                    nodes.push(Node::Text(std::mem::take(text)));
                    continue;
                }
                Piece::Action(tokens, at) => (std::mem::take(tokens), *at),
            };
            let keyword = match tokens.first() {
                Some((Token::Word(word), _)) => word.clone(),
                _ => String::new(),
            };
            let rest = || tokens[1..].to_vec();
            match keyword.as_str() {
                "end" => return Ok((nodes, End::Stop(at))),
                "else" => return Ok((nodes, End::Else(rest(), at))),
                "if" | "with" | "range" => nodes.push(self.block(&keyword, rest(), at)?),
                "define" => self.define(&rest(), at)?,
                "block" => {
                    let name = self.name(&tokens, at)?;
                    let pipeline = self.pipeline(&tokens[2..], at)?;
                    self.body(name.clone(), at)?;
                    nodes.push(Node::Template(name, Some(pipeline)));
                }
                "template" => {
                    let name = self.name(&tokens, at)?;
                    let pipeline = if tokens.len() > 2 { Some(self.pipeline(&tokens[2..], at)?) } else { None };
                    nodes.push(Node::Template(name, pipeline));
                }
                "break" | "continue" if self.loops == 0 => return bad(format!("`{keyword}` outside of `range`"), at),
                "break" => nodes.push(Node::Break),
                "continue" => nodes.push(Node::Continue),
                _ => nodes.push(Node::Print(self.pipeline(&tokens, at)?)),
            }
        }
        Ok((nodes, End::Whole))
    }

    fn name(&self, tokens: &[(Token, usize)], at: usize) -> Parsed<String> {
        match tokens.get(1) {
            Some((Token::Text(name), _)) => Ok(name.clone()),
            _ => bad("the name of a template in quotes is missing", at),
        }
    }

    fn define(&mut self, tokens: &[(Token, usize)], at: usize) -> Parsed<()> {
        match tokens {
            [(Token::Text(name), _)] => self.body(name.clone(), at),
            _ => bad("`define` needs the name of a template in quotes", at),
        }
    }

    fn body(&mut self, name: String, at: usize) -> Parsed<()> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let (nodes, end) = self.nodes()?;
        self.variables = variables;
        match end {
            End::Stop(_) => {
                self.defined.push((name, nodes));
                Ok(())
            }
            _ => bad("`{{ end }}` is missing", at),
        }
    }

    fn block(&mut self, keyword: &str, tokens: Vec<(Token, usize)>, at: usize) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return bad(format!("nested deeper than {DEPTH_MAX}"), at);
        }
        let known = self.variables.len();
        let pipeline = self.pipeline(&tokens, at)?;
        let looping = usize::from(keyword == "range");
        self.loops += looping;
        let (then, end) = self.nodes()?;
        self.loops -= looping;
        let other = match end {
            End::Stop(_) => Vec::new(),
            End::Else(rest, place) => match rest.first() {
                None => {
                    let (other, end) = self.nodes()?;
                    match end {
                        End::Stop(_) => other,
                        _ => return bad("`{{ end }}` is missing", at),
                    }
                }
                Some((Token::Word(word), _)) if word == keyword && word != "range" => {
                    vec![self.block(keyword, rest[1..].to_vec(), place)?]
                }
                Some(_) => return bad("unexpected words behind `else`", place),
            },
            End::Whole => return bad("`{{ end }}` is missing", at),
        };
        self.variables.truncate(known);
        self.depth -= 1;
        Ok(match keyword {
            "if" => Node::If(pipeline, then, other),
            "with" => Node::With(pipeline, then, other),
            _ => Node::Range(pipeline, then, other),
        })
    }

    fn pipeline(&mut self, tokens: &[(Token, usize)], at: usize) -> Parsed<Pipeline> {
        let mut pipeline = Pipeline::default();
        let assign = tokens.iter().position(|(token, _)| matches!(token, Token::Sign(":=" | "=")));
        let mut rest = tokens;
        if let Some(assign) = assign.filter(|assign| *assign <= 3) {
            for (token, place) in &tokens[..assign] {
                match token {
                    Token::Variable(name) => pipeline.variables.push(name.clone()),
                    Token::Sign(",") => {}
                    _ => return bad("only variables may stand before `:=`", *place),
                }
            }
            pipeline.declares = tokens[assign].0 == Token::Sign(":=");
            rest = &tokens[assign + 1..];
        }
        let mut reader = Words { tokens: rest, at: 0, end: at, variables: &self.variables, depth: 0 };
        pipeline.commands = reader.commands()?;
        if reader.at < rest.len() {
            return bad("unexpected `)`", rest[reader.at].1);
        }
        if pipeline.declares {
            self.variables.extend(pipeline.variables.iter().cloned());
        } else if let Some(name) = pipeline.variables.iter().find(|name| !self.variables.contains(name)) {
            return bad(format!("unknown variable `{name}`"), at);
        }
        Ok(pipeline)
    }
}

/// Reads the commands of a pipeline.
struct Words<'t> {
    tokens: &'t [(Token, usize)],
    at: usize,
    end: usize,
    variables: &'t [String],
    /// Of parentheses.
    depth: usize,
}

impl Words<'_> {
    fn commands(&mut self) -> Parsed<Vec<Vec<Operand>>> {
        let (mut commands, mut command) = (Vec::new(), Vec::new());
        while let Some((token, place)) = self.tokens.get(self.at).cloned() {
            match token {
                Token::Sign(")") => break,
                Token::Sign("|") => {
                    if command.is_empty() {
                        return bad("a command is missing before `|`", place);
                    }
                    commands.push(std::mem::take(&mut command));
                    self.at += 1;
                }
                _ => command.push(self.operand(token, place)?),
            }
        }
        if command.is_empty() {
            let place = self.tokens.get(self.at).map_or(self.end, |(_, place)| *place);
            return bad("a command is missing", place);
        }
        commands.push(command);
        Ok(commands)
    }

    fn operand(&mut self, token: Token, place: usize) -> Parsed<Operand> {
        self.at += 1;
        Ok(match token {
            Token::Text(text) => Operand::Literal(Value::Text(text)),
            Token::Number(Number::Int(value)) => Operand::Literal(Value::Int(value)),
            Token::Number(Number::Float(value)) => Operand::Literal(Value::Float(value)),
            Token::Fields(fields, _) => Operand::Dot(fields),
            Token::Variable(name) => {
                if !self.variables.contains(&name) {
                    return bad(format!("unknown variable `{name}`"), place);
                }
                Operand::Variable(name, self.fields())
            }
            Token::Word(word) => match word.as_str() {
                "true" => Operand::Literal(Value::Bool(true)),
                "false" => Operand::Literal(Value::Bool(false)),
                "nil" => Operand::Literal(Value::Nil),
                _ if function::NAMES.contains(&word.as_str()) => Operand::Function(word),
                _ => {
                    let near = suggest::did_you_mean(&word, function::NAMES.iter().copied());
                    let near = near.map_or(String::new(), |near| format!(": {near}"));
                    return bad(format!("unknown function `{word}`{near}"), place);
                }
            },
            Token::Sign("(") if self.depth >= DEPTH_MAX => {
                return bad(format!("nested deeper than {DEPTH_MAX}"), place);
            }
            Token::Sign("(") => {
                let mut inner = Words { at: self.at, depth: self.depth + 1, ..*self };
                let commands = inner.commands()?;
                self.at = inner.at;
                if self.tokens.get(self.at).map(|(token, _)| token) != Some(&Token::Sign(")")) {
                    return bad("`)` is missing", place);
                }
                self.at += 1;
                let pipeline = Pipeline { commands, ..Pipeline::default() };
                Operand::Group(pipeline, self.fields())
            }
            Token::Sign(sign) => return bad(format!("unexpected `{sign}`"), place),
        })
    }

    /// Fields right behind an operand.
    fn fields(&mut self) -> Vec<String> {
        match self.tokens.get(self.at) {
            Some((Token::Fields(fields, true), _)) if !fields.is_empty() => {
                self.at += 1;
                fields.clone()
            }
            _ => Vec::new(),
        }
    }
}
