//! YAML as Ruby's Psych reads it: dictionaries and lists of patterns that were written for
//! Logstash. Plain `yes` is true there, `1,000` a number and `12:30` one of base sixty.

use super::Data;
use saphyr_parser::{Event, Parser, ScalarStyle};

/// How deep lists and maps may nest.
const DEPTH_MAX: usize = 200;
/// How many values aliases may add: a few lines of YAML can stand for any number.
const ALIASED_MAX: usize = 1_000_000;

/// How plain scalars are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Schema {
    /// As Psych does.
    Psych,
    /// As translate's `yaml_load_strategy => streaming`: null, `true`, `false` and decimal numbers.
    Simple,
}

/// Why a text is no YAML.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum YamlError {
    /// A mistake of syntax, with its place.
    #[error("{0}")]
    Syntax(String),
    /// Nested too deep.
    #[error("it nests deeper than {DEPTH_MAX} levels")]
    Depth,
    /// Aliases that stand for too much.
    #[error("its aliases stand for more than {ALIASED_MAX} values")]
    Aliases,
}

/// What is being read: a list, or a map with the key that waits for its value.
enum Open {
    List(usize, Vec<Data>),
    Map(usize, Vec<(Data, Data)>, Option<Data>),
}

/// The first document of a text; `None` where there is none.
pub fn parse(text: &str, schema: Schema) -> Result<Option<Data>, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { schema, open: Vec::new(), anchors: Vec::new(), aliased: 0 };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, _) = event.map_err(|error| YamlError::Syntax(error.to_string()))?;
        let done = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_ref().map(|tag| tag.suffix.as_str());
                let value = reader.scalar(&text, style == ScalarStyle::Plain, tag);
                reader.close(anchor, value)?
            }
            Event::Alias(anchor) => {
                let value = reader.alias(anchor)?;
                reader.close(0, value)?
            }
            Event::SequenceStart(anchor, _) => reader.start(Open::List(anchor, Vec::new()))?,
            Event::MappingStart(anchor, _) => reader.start(Open::Map(anchor, Vec::new(), None))?,
            Event::SequenceEnd | Event::MappingEnd => match reader.open.pop() {
                Some(Open::List(anchor, elements)) => reader.close(anchor, Data::List(elements))?,
                Some(Open::Map(anchor, pairs, _)) => reader.close(anchor, Data::Map(pairs))?,
                None => None,
            },
            Event::DocumentEnd | Event::StreamEnd => break,
            _ => None,
        };
        if done.is_some() {
            return Ok(done);
        }
    }
    Ok(None)
}

struct Reader {
    schema: Schema,
    open: Vec<Open>,
    /// Values with an anchor, by its number.
    anchors: Vec<(usize, Data)>,
    aliased: usize,
}

impl Reader {
    fn start(&mut self, open: Open) -> Result<Option<Data>, YamlError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(YamlError::Depth);
        }
        self.open.push(open);
        Ok(None)
    }

    /// Puts a whole value where it belongs; gives it back where it is the document.
    fn close(&mut self, anchor: usize, value: Data) -> Result<Option<Data>, YamlError> {
        if anchor > 0 {
            self.aliased += count(&value);
            if self.aliased > ALIASED_MAX {
                return Err(YamlError::Aliases);
            }
            self.anchors.push((anchor, value.clone()));
        }
        match self.open.last_mut() {
            None => return Ok(Some(value)),
            Some(Open::List(_, elements)) => elements.push(value),
            Some(Open::Map(_, pairs, key)) => match key.take() {
                None => *key = Some(value),
                Some(Data::Text(name)) if &*name == "<<" && merge(pairs, &value) => {}
                Some(key) => pairs.push((key, value)),
            },
        }
        Ok(None)
    }

    fn alias(&mut self, anchor: usize) -> Result<Data, YamlError> {
        // One that stands within itself has no value yet.
        let known = self.anchors.iter().rev().find(|(known, _)| *known == anchor);
        let value = known.map_or(Data::Null, |(_, value)| value.clone());
        self.aliased += count(&value);
        if self.aliased > ALIASED_MAX { Err(YamlError::Aliases) } else { Ok(value) }
    }

    fn scalar(&self, text: &str, plain: bool, tag: Option<&str>) -> Data {
        match tag {
            Some("str" | "!") => Data::Text(text.into()),
            _ if !plain => Data::Text(text.into()),
            _ => match self.schema {
                Schema::Psych => psych(text),
                Schema::Simple => simple(text),
            },
        }
    }
}

/// Takes in the members of a map, or of maps in a list, that are not there yet; false where the
/// value of `<<` is neither.
fn merge(pairs: &mut Vec<(Data, Data)>, value: &Data) -> bool {
    match value {
        Data::Map(more) => {
            for (key, value) in more {
                if !pairs.iter().any(|(known, _)| known == key) {
                    pairs.push((key.clone(), value.clone()));
                }
            }
            true
        }
        Data::List(maps) if maps.iter().all(|map| matches!(map, Data::Map(_))) => {
            maps.iter().all(|map| merge(pairs, map))
        }
        _ => false,
    }
}

fn count(value: &Data) -> usize {
    match value {
        Data::List(elements) => 1 + elements.iter().map(count).sum::<usize>(),
        Data::Map(pairs) => 1 + pairs.iter().map(|(key, value)| count(key) + count(value)).sum::<usize>(),
        _ => 1,
    }
}

fn simple(text: &str) -> Data {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text {
        "" | "~" | "null" => Data::Null,
        "true" => Data::Bool(true),
        "false" => Data::Bool(false),
        _ if digits(unsigned) => Data::whole(text.starts_with('-'), unsigned),
        _ => match unsigned.split_once('.') {
            Some((whole, fraction)) if digits(whole) && digits(fraction) => float(text),
            _ => Data::Text(text.into()),
        },
    }
}

fn float(text: &str) -> Data {
    text.parse().map_or_else(|_| Data::Text(text.into()), Data::Float)
}

/// Psych's `ScalarScanner`. Dates, times and symbols stay text: an event holds none of them.
fn psych(text: &str) -> Data {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if text.is_empty() || text == "~" || is(&["null"]) {
        return Data::Null;
    }
    if is(&["yes", "true", "on"]) {
        return Data::Bool(true);
    }
    if is(&["no", "false", "off"]) {
        return Data::Bool(false);
    }
    let (negative, unsigned) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Data::Text(text.into());
    }
    if unsigned.eq_ignore_ascii_case(".inf") {
        return Data::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    if text.eq_ignore_ascii_case(".nan") {
        return Data::Float(f64::NAN);
    }
    whole(negative, unsigned).or_else(|| fraction(text, unsigned)).unwrap_or_else(|| Data::Text(text.into()))
}

fn whole(negative: bool, text: &str) -> Option<Data> {
    let marks = |c: char| matches!(c, '_' | ',');
    let based = |digits: &str, base: u32| {
        let digits = digits.replace('_', "");
        let n = i128::from_str_radix(&digits, base).ok()?;
        Some(Data::whole(negative, &n.to_string()))
    };
    if let Some(digits) = text.strip_prefix("0b") {
        return digits.chars().all(|c| matches!(c, '0' | '1' | '_')).then(|| based(digits, 2))?;
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return digits.chars().all(|c| c.is_ascii_hexdigit() || c == '_').then(|| based(digits, 16))?;
    }
    if text.len() > 1 && text.starts_with('0') && text.chars().all(|c| matches!(c, '0'..='7' | '_')) {
        return based(&text[1..], 8);
    }
    // Base sixty: 1:30 is 5400, as Psych counts from hours on.
    let parts: Vec<&str> = text.split(':').collect();
    if let [first, rest @ ..] = &parts[..]
        && (1..=2).contains(&rest.len())
        && first.chars().all(|c| c.is_ascii_digit() || c == '_')
        && rest.iter().all(|part| (1..=2).contains(&part.len()) && part.parse::<u8>().is_ok_and(|n| n < 60))
    {
        let parts = parts.iter().map(|part| part.replace('_', "").parse::<i64>().ok());
        let powers = [3600, 60, 1];
        let sum = parts.zip(powers).try_fold(0i64, |sum, (n, power)| sum.checked_add(n?.checked_mul(power)?))?;
        return Some(Data::Int(if negative { -sum } else { sum }));
    }
    let fits = text == "0" || !text.starts_with('0');
    let digits = text.chars().all(|c| c.is_ascii_digit() || marks(c)) && !text.contains(",,") && !text.ends_with(marks);
    (fits && digits && text.starts_with(|c: char| c.is_ascii_digit()))
        .then(|| Data::whole(negative, &text.replace(marks, "")))
}

/// A number with a point: `1.5`, `.5`, `1.`, `1_000.5e+3`.
fn fraction(text: &str, unsigned: &str) -> Option<Data> {
    let (whole, rest) = unsigned.split_once('.')?;
    let (digits, exponent) = match rest.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent),
        None => (rest, "+0"),
    };
    let power = exponent.strip_prefix(['+', '-'])?;
    let fits = whole.chars().all(|c| c.is_ascii_digit() || matches!(c, '_' | ','))
        && digits.chars().all(|c| c.is_ascii_digit())
        && !power.is_empty()
        && power.chars().all(|c| c.is_ascii_digit())
        && whole.len() + digits.len() > 0;
    fits.then(|| text.replace(['_', ','], "").parse().ok().map(Data::Float))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, schema: Schema) -> String {
        match parse(text, schema) {
            Ok(Some(value)) => {
                let mut batch = super::super::Batch::new();
                let value = value.to_value(&mut batch);
                let mut out = Vec::new();
                super::super::ruby::write_inspect(&batch, value, &mut out);
                String::from_utf8(out).unwrap()
            }
            Ok(None) => "none".to_owned(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn plain_scalars() {
        let check = |text: &str, psych: &str, simple: &str| {
            assert_eq!(shown(&format!("[{text}]"), Schema::Psych), format!("[{psych}]"), "{text}");
            assert_eq!(shown(&format!("[{text}]"), Schema::Simple), format!("[{simple}]"), "{text}");
        };
        check("a b", "\"a b\"", "\"a b\"");
        check("~", "nil", "nil");
        check("Null", "nil", "\"Null\"");
        check("yes", "true", "\"yes\"");
        check("Off", "false", "\"Off\"");
        check("true", "true", "true");
        check("12", "12", "12");
        check("-1_000", "-1000", "\"-1_000\"");
        check("0x1F", "31", "\"0x1F\"");
        check("017", "15", "17");
        check("09", "\"09\"", "9");
        check("1:30", "5400", "\"1:30\"");
        check("1.5", "1.5", "1.5");
        check(".5", "0.5", "\".5\"");
        check("1e3", "\"1e3\"", "\"1e3\"");
        check("10.0.0.1", "\"10.0.0.1\"", "\"10.0.0.1\"");
        check("'12'", "\"12\"", "\"12\"");
        check("\"yes\"", "\"yes\"", "\"yes\"");
        check("!!str 12", "\"12\"", "\"12\"");
        check("2001-02-03", "\"2001-02-03\"", "\"2001-02-03\"");
        check("99999999999999999999", "99999999999999999999", "99999999999999999999");
    }

    #[test]
    fn documents() {
        let check = |text: &str, want: &str| assert_eq!(shown(text, Schema::Psych), want, "{text}");
        check("\u{feff}a: 1\nb: [x, {c: d}]\n", r#"{"a"=>1, "b"=>["x", {"c"=>"d"}]}"#);
        check("a: &x {k: 1}\nb: *x\nc: {<<: *x, l: 2}\n", r#"{"a"=>{"k"=>1}, "b"=>{"k"=>1}, "c"=>{"k"=>1, "l"=>2}}"#);
        check("", "none");
        check("# nothing\n", "none");
        check("a: 1\n---\nb: 2\n", r#"{"a"=>1}"#);
        check("1: x\ntrue: y\n", r#"{"1"=>"x", "true"=>"y"}"#);
        assert!(shown("a: [", Schema::Psych).starts_with("error: "));
        // The parser has a limit of its own for lists in brackets.
        assert!(shown(&"[".repeat(1000), Schema::Psych).starts_with("error: "));
        assert!(shown(&"- ".repeat(1000), Schema::Psych).starts_with("error: "));
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..9 {
            let last = n - 1;
            let list = vec![format!("*a{last}"); 9].join(",");
            bomb.push_str(&format!("a{n}: &a{n} [{list}]\n"));
        }
        assert!(shown(&bomb, Schema::Psych).contains("aliases"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a1:\\-\\[\\]{},&*!|> \n\"'0._é]{0,24}") {
            let _ = parse(&text, Schema::Psych);
            let _ = parse(&text, Schema::Simple);
        }
    }
}
