//! The `csv` codec: a row is an event, and an event a row.
//!
//! `codec => csv { columns => ["time", "level"] }`, as Logstash's. What is no CSV becomes an event
//! with the text in `message` and the tag `_csvparsefailure`. In ECS mode an event keeps its text
//! in `[event][original]`. The row that `autodetect_column_names` reads is the first one that the
//! codec gets; all workers share it.

use super::charset::Charset;
use super::json::{below, failed};
use super::{CHARSET, Codec, Decoder, Encoder, TARGET};
use crate::diagnostic::{Diagnostic, code};
use crate::event::csv::{Convert, Dialect};
use crate::event::json::{self, Parser};
use crate::event::{Batch, Entry, EventId, FieldId, FieldRef, Frame, Value, ruby};
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::{Arc, LazyLock};

pub(super) static SPEC: Spec = Spec {
    name: "csv",
    summary: "Rows of CSV.",
    options: &[
        Opt::new(
            "autodetect_column_names",
            Type::Boolean,
            Some("false"),
            "Whether the first row, where `columns` is empty, gives the names of the columns and is no event.",
        ),
        Opt::new(
            "autogenerate_column_names",
            Type::Boolean,
            Some("true"),
            "Whether columns without a name are called `column1`, `column2` and so on; else they are left out.",
        ),
        CHARSET,
        Opt::new("columns", Type::Array, Some("[]"), "The names of the columns, in their order."),
        Opt::new(
            "convert",
            Type::Hash,
            Some("{}"),
            "What columns are converted to: `integer`, `float`, `date`, `date_time` or `boolean`.",
        ),
        Opt::new(
            "include_headers",
            Type::Boolean,
            Some("false"),
            "Whether an output writes the names of the columns once, before the first event.",
        ),
        Opt::new("quote_char", Type::String, Some("\""), "The character around cells; `\\x00` for none."),
        Opt::new("separator", Type::String, Some(","), "What stands between cells."),
        Opt::new("skip_empty_columns", Type::Boolean, Some("false"), "Whether empty cells are left out."),
        TARGET,
    ],
    examples: &[],
    build: Build::Codec(build),
};

fn build(options: &Options, context: &Context) -> Built<Codec> {
    let mut errors = Vec::new();
    let quote = options.str("quote_char").unwrap_or("\"");
    let dialect = Dialect::new(options.str("separator").unwrap_or(","), quote).unwrap_or_else(|| {
        let message = "`quote_char` must be one character, and `separator` not empty";
        errors.push(Diagnostic::error(code::VALUE, options.place_of("quote_char"), message));
        Dialect { separator: ",".to_owned(), quote: None }
    });
    let mut convert = FxHashMap::default();
    for (column, to) in options.hash("convert") {
        match to.as_str().and_then(Convert::parse) {
            Some(to) => drop(convert.insert(column.as_str().unwrap_or_default().to_owned(), to)),
            None => errors.push(
                Diagnostic::error(code::CHOICE, to.place, "unknown conversion")
                    .note(format!("it takes: {}", Convert::NAMES.join(", "))),
            ),
        }
    }
    let charset = Charset::build(options).unwrap_or_else(|more| {
        errors.extend(more);
        Charset::Utf8
    });
    if !errors.is_empty() {
        return Err(errors);
    }
    let columns = options.strings("columns");
    let rules = Rules {
        dialect: dialect.clone(),
        detected: (options.bool("autodetect_column_names", false) && columns.is_empty()).then(Mutex::default),
        columns: columns.clone(),
        autogenerate: options.bool("autogenerate_column_names", true),
        skip_empty: options.bool("skip_empty_columns", false),
        convert,
        charset,
        target: options.field("target"),
        original: context.ecs,
    };
    let columns = columns.iter().filter_map(|c| FieldRef::parse(c).ok().map(|field| (c.clone(), field))).collect();
    let encoder = ToRow { dialect, columns, headers: options.bool("include_headers", false) };
    Ok(Codec {
        delimiter: None,
        joiner: None,
        decoder: Box::new(Rows { rules: Arc::new(rules), parser: Parser::default(), row: Vec::new() }),
        encoder: Box::new(encoder),
    })
}

static ORIGINAL: LazyLock<FieldRef> = LazyLock::new(|| FieldRef::path(&["event", "original"]));

struct Rules {
    dialect: Dialect,
    columns: Vec<String>,
    /// The names that the first row gives, where it does.
    detected: Option<Mutex<Option<Arc<Vec<String>>>>>,
    autogenerate: bool,
    skip_empty: bool,
    convert: FxHashMap<String, Convert>,
    charset: Charset,
    target: Option<FieldRef>,
    original: bool,
}

struct Rows {
    rules: Arc<Rules>,
    parser: Parser,
    row: Vec<Option<String>>,
}

impl Rows {
    /// The event of the row in `self.row`.
    fn event(&mut self, batch: &mut Batch, columns: &[String]) -> EventId {
        let rules = self.rules.clone();
        let mut members: Vec<Entry> = Vec::with_capacity(self.row.len());
        for (at, cell) in self.row.iter().enumerate() {
            if rules.skip_empty && cell.as_deref().is_none_or(str::is_empty) {
                continue;
            }
            let made;
            let name = match columns.get(at) {
                Some(name) => name,
                None if rules.autogenerate => {
                    made = format!("column{}", at + 1);
                    &made
                }
                None => continue,
            };
            let value = match (cell, rules.convert.get(name)) {
                (None, _) => Value::Null,
                (Some(cell), Some(convert)) => convert.value(batch, cell),
                (Some(cell), None) => batch.str(cell),
            };
            let entry = Entry::new(batch.key(name), value);
            match members.iter_mut().find(|e| e.key == entry.key) {
                Some(old) => *old = entry,
                None => members.push(entry),
            }
        }
        let members = batch.list(&members);
        match &rules.target {
            Some(target) => below(batch, target, members),
            None => self.parser.event(batch, members),
        }
    }
}

impl Decoder for Rows {
    fn decode(&mut self, batch: &mut Batch, frame: Frame, out: &mut Vec<EventId>) {
        let rules = self.rules.clone();
        let text = rules.charset.text(batch, frame.bytes);
        if !matches!(rules.dialect.read(batch.text(text), &mut self.row), Ok(true)) {
            return out.push(failed(batch, text, "_csvparsefailure"));
        }
        let mut columns = None;
        if let Some(detected) = &rules.detected {
            let mut detected = detected.lock();
            if detected.is_none() {
                let name = |(at, cell): (usize, Option<String>)| cell.unwrap_or_else(|| format!("column{}", at + 1));
                *detected = Some(Arc::new(self.row.drain(..).enumerate().map(name).collect()));
                return;
            }
            columns = detected.clone();
        }
        let event = self.event(batch, columns.as_deref().unwrap_or(&rules.columns));
        if rules.original {
            batch.set(event, &ORIGINAL, Value::Str(text));
        }
        out.push(event);
    }

    fn fork(&self) -> Box<dyn Decoder> {
        Box::new(Rows { rules: self.rules.clone(), parser: Parser::default(), row: Vec::new() })
    }
}

struct ToRow {
    dialect: Dialect,
    /// Name and field; empty for all fields of the event.
    columns: Vec<(String, FieldRef)>,
    /// Whether the names are still to be written.
    headers: bool,
}

impl ToRow {
    fn row<'a>(&self, cells: impl Iterator<Item = Option<std::borrow::Cow<'a, str>>>, out: &mut Vec<u8>) {
        for (at, cell) in cells.enumerate() {
            out.extend_from_slice(if at > 0 { self.dialect.separator.as_bytes() } else { b"" });
            self.dialect.write(cell.as_deref(), out);
        }
        out.push(b'\n');
    }
}

impl Encoder for ToRow {
    fn encode(&mut self, batch: &Batch, event: EventId, out: &mut Vec<u8>) {
        let fields = || batch.fields(event).iter().filter(|e| e.key != FieldId::METADATA);
        if std::mem::take(&mut self.headers) {
            match self.columns.is_empty() {
                true => self.row(fields().map(|e| Some(batch.name(e.key).into())), out),
                false => self.row(self.columns.iter().map(|(name, _)| Some(name.into())), out),
            }
        }
        let cell = |value: Option<Value>| {
            let value = value.filter(|v| *v != Value::Null)?;
            let mut text = Vec::new();
            match value {
                Value::Array(_) | Value::Object(_) => ruby::write_inspect(batch, value, &mut text),
                Value::Bool(_) => json::write_value(batch, value, &mut text),
                value => ruby::write_to_s(batch, value, &mut text),
            }
            Some(String::from_utf8_lossy(&text).into_owned().into())
        };
        match self.columns.is_empty() {
            true => self.row(fields().map(|e| cell(Some(e.value))), out),
            false => self.row(self.columns.iter().map(|(_, field)| cell(batch.get(event, field))), out),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::harness::{codec, decode, encode, try_codec};

    #[test]
    fn rows_are_events() {
        let check = |config: &str, ecs: bool, frame: &str, want: &str| {
            assert_eq!(decode(&mut codec("csv", config, ecs), &[frame.as_bytes()]), [want], "{config}");
        };
        check("", false, "a,,\"c d\"\n", r#"{"column1":"a","column2":null,"column3":"c d"}"#);
        check("columns=x", false, "a,b", r#"{"x":"a","column2":"b"}"#);
        check("columns=x;autogenerate_column_names=false", false, "a,b", r#"{"x":"a"}"#);
        check("skip_empty_columns=true", false, "a,,\"\"", r#"{"column1":"a"}"#);
        check("separator=|;quote_char='", false, "a|'b|c'", r#"{"column1":"a","column2":"b|c"}"#);
        check("target=[t]", false, "a", r#"{"t":{"column1":"a"}}"#);
        check("", true, "a", r#"{"column1":"a","event":{"original":"a"}}"#);
        check("", false, "a,\"b", r#"{"message":"a,\"b","tags":["_csvparsefailure"]}"#);
        assert!(try_codec("csv", "quote_char=ab", false).is_err());
    }

    #[test]
    fn the_first_row_names_the_columns() {
        let frames = ["x,y".as_bytes(), b"1,2", b"3,4,5"];
        assert_eq!(
            decode(&mut codec("csv", "autodetect_column_names=true", false), &frames),
            [r#"{"x":"1","y":"2"}"#, r#"{"x":"3","y":"4","column3":"5"}"#]
        );
    }

    #[test]
    fn charsets() {
        let mut csv = codec("csv", "charset=Shift_JIS", false);
        assert_eq!(decode(&mut csv, &[b"\x83\x8d\x83O,1"]), [r#"{"column1":"ログ","column2":"1"}"#]);
    }

    #[test]
    fn events_are_rows() {
        let mut all = codec("csv", "include_headers=true", false);
        assert_eq!(encode(&mut all, r#"{"a":1,"b":"x,y","c":null,"d":true}"#), "a,b,c,d\n1,\"x,y\",,true\n");
        assert_eq!(encode(&mut all, r#"{"a":2}"#), "2\n");
        assert_eq!(encode(&mut codec("csv", "columns=[a][b];separator=|", false), r#"{"a":{"b":1.5}}"#), "1.5\n");
    }
}
