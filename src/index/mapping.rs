//! Which fields a stream has, and of which kind: grown by the first value seen, never shrunk.
//!
//! A stream's partitions share its mapping. Fields are only ever appended, so a field's number
//! (its place, and its number in tantivy) means the same in every segment ever written, and a
//! segment written before a field was seen simply has no value for it.
//!
//! A value of another kind than its field's is not lost: it goes to a typed sub-field
//! (`f.as_long`, …), a field of its own here.

use rustc_hash::FxHashMap;
use std::sync::Arc;
use tantivy::schema::{
    BytesOptions, DateOptions, DateTimePrecision, Field, IndexRecordOption, NumericOptions, Schema, SchemaBuilder,
    TextFieldIndexing, TextOptions,
};

/// Fields of a stream at the most (Elasticsearch's `index.mapping.total_fields.limit`). What goes
/// past it stays in `_source` alone and is counted.
pub const FIELDS_MAX: usize = 1_000;
/// A longer string stays out of its column (Lucene's longest term); `_source` has it whole.
pub const KEYWORD_BYTES_MAX: usize = 32_766;
/// Objects nested deeper stay in `_source` alone (`index.mapping.depth.limit`).
pub const DEPTH_MAX: usize = 20;

/// `_source`: stored bytes.
pub const SOURCE: Field = Field::from_field_id(0);
/// `_seq`: the document's unique number, a u64 column.
pub const SEQ: Field = Field::from_field_id(1);
/// `_id`: the id that a client gave, a string column; absent where none was given.
pub const ID: Field = Field::from_field_id(2);
const RESERVED: u32 = 3;
/// Names that a document's own fields can't have; such a field stays in `_source` alone.
pub const RESERVED_NAMES: [&str; 3] = ["_source", "_seq", "_id"];

/// The number of `@timestamp` in every mapping.
pub(super) const TIMESTAMP: u32 = 0;

/// How the values of a field are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Strings in one column; Elasticsearch sees text `f` and keyword `f.keyword`.
    Keyword,
    /// Postings with positions, no column.
    Text,
    /// i64 column.
    Long,
    /// f64 column.
    Double,
    /// bool column.
    Boolean,
    /// Date column, nanoseconds.
    Date,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 6] = [Kind::Keyword, Kind::Text, Kind::Long, Kind::Double, Kind::Boolean, Kind::Date];

    /// The name, as the manifest and sub-fields write it.
    pub fn name(self) -> &'static str {
        ["keyword", "text", "long", "double", "boolean", "date"][self as usize]
    }

    fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A type that somebody asked for, in Elasticsearch's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Explicit {
    Keyword,
    Text,
    Long,
    Integer,
    Short,
    Byte,
    Double,
    Float,
    Boolean,
    Date,
    Ip,
}

impl Explicit {
    const TABLE: [(&str, Explicit, Kind); 11] = [
        ("keyword", Explicit::Keyword, Kind::Keyword),
        ("text", Explicit::Text, Kind::Text),
        ("long", Explicit::Long, Kind::Long),
        ("integer", Explicit::Integer, Kind::Long),
        ("short", Explicit::Short, Kind::Long),
        ("byte", Explicit::Byte, Kind::Long),
        ("double", Explicit::Double, Kind::Double),
        ("float", Explicit::Float, Kind::Double),
        ("boolean", Explicit::Boolean, Kind::Boolean),
        ("date", Explicit::Date, Kind::Date),
        ("ip", Explicit::Ip, Kind::Keyword),
    ];

    /// The type of that name in Elasticsearch.
    pub fn from_name(name: &str) -> Option<Explicit> {
        Self::TABLE.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    /// The name in Elasticsearch.
    pub fn name(self) -> &'static str {
        Self::TABLE[self as usize].0
    }

    /// How its values are kept.
    pub fn kind(self) -> Kind {
        Self::TABLE[self as usize].2
    }
}

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldInfo {
    /// The dotted path, which is the name in tantivy too.
    pub path: Arc<str>,
    /// How its values are kept.
    pub kind: Kind,
    /// Its number in tantivy.
    pub field: Field,
    /// The type that somebody asked for.
    pub explicit: Option<Explicit>,
    /// For a typed sub-field (`f.as_long`), the path of `f`.
    pub of: Option<Arc<str>>,
    /// Whether its text has lengths, for scores; only where it was there from the first segment.
    pub norms: bool,
}

impl FieldInfo {
    /// The type that Elasticsearch's APIs name: that asked for, else that of the kind, where a
    /// dynamic string is `text` (with a sub-field `keyword`).
    pub fn es_type(&self) -> &'static str {
        match (self.explicit, self.kind) {
            (Some(explicit), _) => explicit.name(),
            (None, Kind::Keyword) if self.of.is_none() => "text",
            (None, kind) => kind.name(),
        }
    }
}

/// The fields of a stream, in the order in which they were first seen.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    fields: Vec<FieldInfo>,
    by_path: FxHashMap<Arc<str>, u32>,
}

impl Mapping {
    /// The mapping of a new stream: `@timestamp`, `message` and the text fields that are named
    /// in full, so that their texts have lengths from the first segment on.
    pub fn new(text_fields: &[String]) -> Mapping {
        let mut mapping = Mapping::default();
        mapping.add("@timestamp", Kind::Date, None, None, false);
        mapping.add("message", Kind::Text, None, None, true);
        for path in text_fields.iter().filter(|path| !path.ends_with('*')) {
            if !mapping.by_path.contains_key(path.as_str()) {
                mapping.add(path, Kind::Text, None, None, true);
            }
        }
        mapping
    }

    /// The field at a dotted path. Sub-fields are found by their own path (`f.as_long`), but
    /// `f.keyword` is another view of `f`, not a field here.
    pub fn get(&self, path: &str) -> Option<&FieldInfo> {
        self.by_path.get(path).map(|&at| &self.fields[at as usize])
    }

    /// All fields, sub-fields included.
    pub fn fields(&self) -> &[FieldInfo] {
        &self.fields
    }

    /// The typed sub-fields of a field: what came there as another kind.
    pub fn sub_fields<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a FieldInfo> {
        Kind::ALL.into_iter().filter_map(move |kind| self.sub_field(path, kind))
    }

    /// The sub-field of one kind.
    pub fn sub_field(&self, path: &str, kind: Kind) -> Option<&FieldInfo> {
        self.get(&sub_path(path, kind)).filter(|field| field.of.as_deref() == Some(path))
    }

    /// The number of a field in [`Mapping::fields`].
    pub(super) fn index_of(&self, path: &str) -> Option<u32> {
        self.by_path.get(path).copied()
    }

    /// Appends a field; the caller knows that the path is free. Returns its number.
    pub(super) fn add(
        &mut self,
        path: &str,
        kind: Kind,
        explicit: Option<Explicit>,
        of: Option<Arc<str>>,
        norms: bool,
    ) -> u32 {
        let at = self.fields.len() as u32;
        let path: Arc<str> = path.into();
        let field = Field::from_field_id(RESERVED + at);
        self.fields.push(FieldInfo { path: path.clone(), kind, field, explicit, of, norms });
        self.by_path.insert(path, at);
        at
    }

    /// Appends a field as the manifest names it.
    pub(super) fn restore(&mut self, record: &FieldRecord) -> Option<()> {
        let kind = Kind::from_name(&record.kind)?;
        let explicit = match &record.explicit {
            Some(name) => Some(Explicit::from_name(name)?),
            None => None,
        };
        if self.by_path.contains_key(record.path.as_str()) {
            return None;
        }
        self.add(&record.path, kind, explicit, record.of.as_deref().map(Arc::from), record.norms);
        Some(())
    }

    /// The fields from number `from` on, for the manifest.
    pub(super) fn records(&self, from: usize) -> Vec<FieldRecord> {
        let record = |field: &FieldInfo| FieldRecord {
            path: field.path.to_string(),
            kind: field.kind.name().to_owned(),
            explicit: field.explicit.map(|e| e.name().to_owned()),
            of: field.of.as_ref().map(|of| of.to_string()),
            norms: field.norms,
        };
        self.fields[from..].iter().map(record).collect()
    }

    /// The schema for reading: every field as it is.
    pub fn schema(&self) -> Schema {
        self.schema_where(|_| true)
    }

    /// The schema of a segment that has values in the columns for which `used` says so; the
    /// others keep their numbers and names, but cost nothing.
    pub(super) fn schema_where(&self, used: impl Fn(u32) -> bool) -> Schema {
        let mut schema = SchemaBuilder::new();
        let source = schema.add_bytes_field("_source", BytesOptions::default().set_stored());
        let seq = schema.add_u64_field("_seq", NumericOptions::default().set_fast());
        let id = schema.add_text_field("_id", TextOptions::default().set_fast("raw"));
        debug_assert_eq!((source, seq, id), (SOURCE, SEQ, ID));
        for (at, field) in self.fields.iter().enumerate() {
            add_to_schema(&mut schema, field, used(at as u32));
        }
        schema.build()
    }
}

/// A field as the manifest writes it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct FieldRecord {
    pub path: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explicit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub norms: bool,
}

/// The path of the sub-field for values of `kind` at `path`.
pub fn sub_path(path: &str, kind: Kind) -> String {
    format!("{path}.as_{}", kind.name())
}

fn add_to_schema(schema: &mut SchemaBuilder, field: &FieldInfo, used: bool) {
    let name = &*field.path;
    let number = || if used { NumericOptions::default().set_fast() } else { NumericOptions::default() };
    let added = match field.kind {
        Kind::Keyword if used => schema.add_text_field(name, TextOptions::default().set_fast("raw")),
        Kind::Keyword => schema.add_text_field(name, TextOptions::default()),
        Kind::Text => {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer("default")
                .set_index_option(IndexRecordOption::WithFreqsAndPositions)
                .set_fieldnorms(field.norms);
            schema.add_text_field(name, TextOptions::default().set_indexing_options(indexing))
        }
        Kind::Long => schema.add_i64_field(name, number()),
        Kind::Double => schema.add_f64_field(name, number()),
        Kind::Boolean => schema.add_bool_field(name, number()),
        Kind::Date => {
            let options = DateOptions::default().set_precision(DateTimePrecision::Nanoseconds);
            schema.add_date_field(name, if used { options.set_fast() } else { options })
        }
    };
    debug_assert_eq!(added, field.field);
}

/// Whether a dynamic string at a path gets a text index rather than a column.
pub(super) fn is_text(path: &str, text_fields: &[String]) -> bool {
    matches!(path, "message" | "event.original")
        || path.starts_with("error.")
        || text_fields.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == pattern,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_numbers() {
        let mut mapping = Mapping::new(&["stack".to_owned()]);
        let at = mapping.add("status", Kind::Long, None, None, false);
        mapping.add("status.as_keyword", Kind::Keyword, None, Some("status".into()), false);
        let schema = mapping.schema();
        for field in mapping.fields() {
            assert_eq!(schema.get_field(&field.path).unwrap(), field.field, "{}", field.path);
        }
        assert_eq!(mapping.index_of("status"), Some(at));
        assert_eq!(mapping.sub_fields("status").map(|f| f.kind).collect::<Vec<_>>(), [Kind::Keyword]);
        assert_eq!(mapping.get("stack").unwrap().es_type(), "text");
        let mut again = Mapping::default();
        for record in mapping.records(0) {
            again.restore(&record).unwrap();
        }
        assert_eq!(again.fields(), mapping.fields());
    }

    #[test]
    fn text_is_what_the_design_names() {
        let check = |path: &str, want: bool| assert_eq!(is_text(path, &["a.*".into(), "b".into()]), want, "{path}");
        check("message", true);
        check("event.original", true);
        check("error.stack_trace", true);
        check("a.x", true);
        check("b", true);
        check("b.c", false);
        check("traceId", false);
    }

    #[test]
    fn explicit_types_stand_at_their_places() {
        for (at, row) in Explicit::TABLE.iter().enumerate() {
            assert_eq!(row.1 as usize, at, "{}", row.0);
        }
    }
}
