//! The `csv` filter: fields out of a row of comma-separated values, as Logstash's
//! logstash-filter-csv.
//!
//! A cell becomes a span of the text that it was found in: no byte is copied unless it has
//! doubled quotes. Only the first row of a text counts.

use super::common::set;
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::csv::{Cell, Convert, Dialect, Form};
use crate::event::{Batch, Entry, EventId, FieldId, FieldRef, Span, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use std::sync::{Arc, OnceLock};

pub(super) static SPEC: Spec = Spec {
    name: "csv",
    summary: "Makes fields of the cells of a row of comma-separated values.",
    options: &[
        Opt::new(
            "autodetect_column_names",
            Type::Boolean,
            Some("false"),
            "Whether the first row names the columns where `columns` does not; its event is dropped.",
        ),
        Opt::new(
            "autogenerate_column_names",
            Type::Boolean,
            Some("true"),
            "Whether columns without a name are called `column1`, `column2` …; else they are left out.",
        ),
        Opt::new("columns", Type::Array, Some("[]"), "The fields of the columns, in order."),
        Opt::new(
            "convert",
            Type::Hash,
            Some("{}"),
            "Columns and their types: integer, float, date, date_time or boolean.",
        ),
        Opt::new("quote_char", Type::String, Some("'\"'"), "What stands around cells; `\\x00` for nothing."),
        Opt::new("separator", Type::String, Some("\",\""), "What stands between cells; a tab is written as itself."),
        Opt::new("skip_empty_columns", Type::Boolean, Some("false"), "Whether cells without a value are left out."),
        Opt::new(
            "skip_empty_rows",
            Type::Boolean,
            Some("false"),
            "Whether an empty text is tagged `_csvskippedemptyfield` and is no failure.",
        ),
        Opt::new(
            "skip_header",
            Type::Boolean,
            Some("false"),
            "Whether events whose row is the names in `columns` are dropped.",
        ),
        Opt::new("source", Type::String, Some("message"), "The field that holds the row."),
        Opt::new("target", Type::Field, None, "The field under which the cells are put."),
    ],
    examples: &[
        Example {
            title: "Named columns with types",
            config: r#"csv { columns => ["user", "bytes"] convert => { "bytes" => "integer" } }"#,
            given: r#"{"message":"\"Kim, Jo\",512"}"#,
            then: r#"{"user":"Kim, Jo","bytes":512}"#,
        },
        Example {
            title: "What is no CSV is tagged",
            config: r#"csv { }"#,
            given: r#"{"message":"a,\"b"}"#,
            then: r#"{"message":"a,\"b","tags":["_csvparsefailure"]}"#,
        },
    ],
    build: Build::Filter(build),
};

/// How many generated names of columns each worker keeps; the fields of further ones are looked
/// up again for each event.
const GENERATED_MAX: usize = 1024;

/// A column: where its cells go.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    /// The field; `None` where the name makes none, on which Logstash fails for each event.
    field: Option<FieldRef>,
    /// The last step of the field, where the name has no brackets.
    plain: Option<FieldId>,
    convert: Option<Convert>,
}

struct Plan {
    source: FieldRef,
    /// `None` where separator or quote are none, on which Logstash fails for each event.
    dialect: Option<Dialect>,
    target: Option<FieldRef>,
    /// The target as it stands before a column's name.
    prefix: String,
    columns: Vec<Column>,
    convert: Vec<(String, Convert)>,
    autodetect: bool,
    autogenerate: bool,
    skip_header: bool,
    skip_empty_columns: bool,
    skip_empty_rows: bool,
    /// The names that the first row gave, for all workers; those without a name are `None`.
    detected: OnceLock<Vec<Option<Column>>>,
}

struct Csv {
    plan: Arc<Plan>,
    cells: Vec<Cell>,
    /// `column1` and so on.
    generated: Vec<Column>,
    members: Vec<Entry>,
    bytes: Vec<u8>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let mut errors = Vec::new();
    let source = FieldRef::parse(options.str("source").unwrap_or("message")).unwrap_or_else(|error| {
        errors.push(Diagnostic::error(code::FIELD, options.place_of("source"), error.to_string()));
        FieldRef::of("message")
    });
    let mut convert = Vec::new();
    for (column, kind) in options.hash("convert") {
        match kind.as_str().and_then(Convert::parse) {
            Some(kind) => convert.push((column.as_str().unwrap_or_default().to_owned(), kind)),
            None => {
                let message = format!("`convert` can't convert to `{}`", kind.as_str().unwrap_or("that"));
                let mistake = Diagnostic::error(code::CHOICE, kind.place, message).label("no such type");
                errors.push(mistake.note(format!("`convert` takes: {}", Convert::NAMES.join(", "))));
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let prefix = options.str("target").map_or(String::new(), |target| match target.starts_with('[') {
        true => target.to_owned(),
        false => format!("[{target}]"),
    });
    let mut plan = Plan {
        source,
        dialect: Dialect::new(options.str("separator").unwrap_or(","), options.str("quote_char").unwrap_or("\"")),
        target: options.field("target"),
        prefix,
        columns: Vec::new(),
        convert,
        autodetect: options.bool("autodetect_column_names", false),
        autogenerate: options.bool("autogenerate_column_names", true),
        skip_header: options.bool("skip_header", false),
        skip_empty_columns: options.bool("skip_empty_columns", false),
        skip_empty_rows: options.bool("skip_empty_rows", false),
        detected: OnceLock::new(),
    };
    plan.columns = options.strings("columns").iter().map(|name| plan.column(name)).collect();
    Ok(Box::new(Csv::new(Arc::new(plan))))
}

impl Plan {
    fn column(&self, name: &str) -> Column {
        let path =
            if name.starts_with('[') { format!("{}{name}", self.prefix) } else { format!("{}[{name}]", self.prefix) };
        let field = FieldRef::parse(&path).ok();
        let plain = !name.contains(['[', ']']);
        Column {
            name: name.to_owned(),
            plain: field.as_ref().filter(|_| plain).and_then(|field| field.steps().last()).map(|step| step.key),
            field,
            convert: self.convert.iter().find(|(column, _)| column == name).map(|(_, convert)| *convert),
        }
    }

    /// The column at `at` that was named.
    fn named(&self, at: usize) -> Option<&Column> {
        match self.columns.is_empty() {
            false => self.columns.get(at),
            true => self.detected.get()?.get(at)?.as_ref(),
        }
    }
}

enum Outcome {
    Matched,
    Dropped,
    Skipped,
    Empty,
    Failed,
}

impl Filter for Csv {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        for &event in run.events {
            match self.event(&plan, batch, event) {
                Outcome::Matched => run.matched.push(event),
                Outcome::Dropped => batch.cancel(event),
                Outcome::Skipped => {}
                Outcome::Empty => batch.tag(event, "_csvskippedemptyfield"),
                Outcome::Failed => batch.tag(event, "_csvparsefailure"),
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Csv::new(self.plan.clone()))
    }
}

impl Csv {
    fn new(plan: Arc<Plan>) -> Csv {
        Csv { plan, cells: Vec::new(), generated: Vec::new(), members: Vec::new(), bytes: Vec::new() }
    }

    fn event(&mut self, plan: &Plan, batch: &mut Batch, event: EventId) -> Outcome {
        let span = match batch.get(event, &plan.source) {
            None | Some(Value::Null | Value::Bool(false)) => return Outcome::Skipped,
            Some(Value::Str(span)) => span,
            Some(_) => return Outcome::Failed,
        };
        let Some(dialect) = &plan.dialect else { return Outcome::Failed };
        let text = batch.text(span);
        let row = match dialect.row(text, Dialect::row_end(text), 0, &mut self.cells) {
            Ok(row) => row,
            Err(_) => return Outcome::Failed,
        };
        if plan.autodetect && plan.columns.is_empty() && plan.detected.get().is_none() {
            let name = |cell: &Cell| dialect.text(text, *cell).map(|name| plan.column(&name));
            let names: Vec<_> = self.cells.iter().map(name).collect();
            // Logstash would fail for ever after an empty first row; the next one names the columns.
            if names.is_empty() || plan.detected.set(names).is_ok() {
                return Outcome::Dropped;
            }
        }
        if plan.skip_header && self.is_header(plan, dialect, text) {
            return Outcome::Dropped;
        }
        match row {
            None if plan.skip_empty_rows => Outcome::Empty,
            None => Outcome::Failed,
            Some(_) => self.set(plan, dialect, batch, event, span),
        }
    }

    /// Whether the row is the names of the columns.
    fn is_header(&self, plan: &Plan, dialect: &Dialect, text: &str) -> bool {
        let count = if plan.columns.is_empty() { plan.detected.get().map_or(0, Vec::len) } else { plan.columns.len() };
        count > 0
            && count == self.cells.len()
            && (0..count).all(|at| {
                let name = plan.named(at).map(|column| column.name.as_str());
                dialect.text(text, self.cells[at]).as_deref() == name
            })
    }

    /// Sets the fields of a row.
    fn set(&mut self, plan: &Plan, dialect: &Dialect, batch: &mut Batch, event: EventId, text: Span) -> Outcome {
        while self.generated.len() < self.cells.len().min(GENERATED_MAX) {
            self.generated.push(plan.column(&format!("column{}", self.generated.len() + 1)));
        }
        let mut members = std::mem::take(&mut self.members);
        // All members of a target are set at once, so that a wide row costs no more than its cells.
        let plain = (0..self.cells.len()).all(|at| plan.named(at).is_none_or(|column| column.plain.is_some()));
        let gathers = plan.target.as_ref().filter(|target| plain && gather(batch, event, target, &mut members));
        let mut outcome = Outcome::Matched;
        for at in 0..self.cells.len() {
            if !self.cell(plan, dialect, batch, event, text, at, gathers.map(|_| &mut members)) {
                outcome = Outcome::Failed;
                break;
            }
        }
        if let Some(target) = gathers {
            let list = batch.list(&members);
            if !members.is_empty() && !set(batch, event, target, Value::Object(list)) {
                outcome = Outcome::Failed;
            }
        }
        self.members = members;
        outcome
    }

    /// Sets the field of a cell, or adds it to the target's `members`; false where Logstash raises.
    #[expect(clippy::too_many_arguments, reason = "one cell of the hot loop: a struct of them would be built per cell")]
    #[inline]
    fn cell(
        &mut self,
        plan: &Plan,
        dialect: &Dialect,
        batch: &mut Batch,
        event: EventId,
        text: Span,
        at: usize,
        members: Option<&mut Vec<Entry>>,
    ) -> bool {
        let cell = self.cells[at];
        if plan.skip_empty_columns && cell.start == cell.end {
            return true;
        }
        let beyond;
        let column = match plan.named(at) {
            Some(column) => column,
            None if !plan.autogenerate => return true,
            None => match self.generated.get(at) {
                Some(column) => column,
                None => {
                    let name = format!("column{}", at + 1);
                    let Ok(field) = batch.reference(&format!("{}[{name}]", plan.prefix)) else { return false };
                    let plain = field.steps().last().map(|step| step.key);
                    beyond = Column { name, field: Some(field), plain, convert: None };
                    &beyond
                }
            },
        };
        let inner = text.slice(cell.start, cell.end);
        let value = match cell.form {
            Form::Empty => Value::Null,
            Form::Bare | Form::Quoted => Value::Str(inner),
            Form::Doubled => {
                self.bytes.clear();
                dialect.unescape(batch.text(inner), &mut self.bytes);
                Value::Str(batch.push_bytes(&self.bytes))
            }
        };
        let value = match column.convert.map(|convert| convert.apply(batch, value)) {
            None => value,
            Some(Some(value)) => value,
            Some(None) => return false,
        };
        match (members, column.plain, &column.field) {
            (Some(members), Some(key), _) => match members.iter_mut().find(|member| member.key == key) {
                Some(member) => member.value = value,
                None => members.push(Entry::new(key, value)),
            },
            (_, _, Some(field)) => return set(batch, event, field, value),
            (_, _, None) => return false,
        }
        true
    }
}

/// Takes the members that a hash has already; false where the field holds something else.
fn gather(batch: &Batch, event: EventId, target: &FieldRef, members: &mut Vec<Entry>) -> bool {
    members.clear();
    match batch.get(event, target) {
        None | Some(Value::Null) => true,
        Some(Value::Object(list)) => {
            members.extend_from_slice(batch.entries(list));
            true
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests;
