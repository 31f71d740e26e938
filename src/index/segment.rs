//! Builds one segment in memory, straight into tantivy's file formats: columns, stored `_source`,
//! text index. No tantivy document is made, no thread started, no file touched.

use super::analyzer::Analyzer;
use super::document::{Leaf, Sink, Walker};
use super::mapping::{Kind, Mapping, SOURCE, TIMESTAMP};
use super::postings::{InvertedFiles, TextWriter};
use super::stream::Stream;
use super::{IndexError, directory};
use crate::event::{Batch, EventId, Span, json};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tantivy::DateTime;
use tantivy::columnar::{ColumnType, ColumnarWriter};
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, CompositeWrite, Directory, DirectoryLock, FileHandle, FileSlice, Lock, ManagedDirectory, OwnedBytes,
    TerminatingWrite, WatchCallback, WatchHandle, WritePtr,
};
use tantivy::fieldnorm::{FieldNormReader, FieldNormsSerializer};
use tantivy::store::StoreWriter;

/// A row to index.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub batch: &'a Batch,
    pub event: EventId,
    pub seq: u64,
    /// The id that a client gave.
    pub id: Option<&'a str>,
    /// The bytes as a client sent them, where they are to be kept.
    pub source: Option<Span>,
}

/// A finished segment.
#[derive(Clone, Debug)]
pub(super) struct Built {
    /// 32 hex digits.
    pub id: String,
    pub docs: u32,
    /// `@timestamp` in milliseconds since 1970; `min > max` if no document has one.
    pub min_time: i64,
    pub max_time: i64,
    /// Files by extension.
    pub files: Vec<(String, OwnedBytes)>,
}

impl Built {
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

/// What [`Built::files`] has.
pub(super) const EXTENSIONS: [&str; 6] = ["term", "idx", "pos", "fieldnorm", "fast", "store"];

/// Builds a segment of one stream.
pub(super) struct SegmentBuilder<'a> {
    stream: &'a Stream,
    walker: Walker<'a>,
    fields: Fields,
    store: StoreWriter,
    memory: MemoryDirectory,
    files: ManagedDirectory,
    id: String,
    docs: u32,
    stored: Vec<u8>,
    source: Vec<u8>,
}

/// The sink of values: columns and texts.
struct Fields {
    mapping: Arc<Mapping>,
    columns: ColumnarWriter,
    slots: Vec<Option<Slot>>,
    analyzer: Analyzer,
    doc: u32,
    /// Of `@timestamp`, which is the first field of every mapping.
    min_time: i64,
    max_time: i64,
}

struct Slot {
    name: Arc<str>,
    text: Option<TextWriter>,
}

impl<'a> SegmentBuilder<'a> {
    pub fn new(stream: &'a Stream) -> Result<SegmentBuilder<'a>, IndexError> {
        let memory = MemoryDirectory::default();
        let files = ManagedDirectory::wrap(Box::new(memory.clone()))?;
        let id = new_id();
        let settings = directory::tantivy_settings();
        let file = files.open_write(&file_name(&id, "store")).map_err(tantivy::TantivyError::from)?;
        let store = StoreWriter::new(file, settings.docstore_compression, settings.docstore_blocksize, false)
            .map_err(memory_error)?;
        let mut columns = ColumnarWriter::default();
        columns.record_column_type("_seq", ColumnType::U64, false);
        Ok(SegmentBuilder {
            stream,
            walker: Walker::new(stream),
            fields: Fields {
                mapping: stream.mapping(),
                columns,
                slots: Vec::new(),
                analyzer: Analyzer::default(),
                doc: 0,
                min_time: i64::MAX,
                max_time: i64::MIN,
            },
            store,
            memory,
            files,
            id,
            docs: 0,
            stored: Vec::new(),
            source: Vec::new(),
        })
    }

    /// Adds a row.
    pub fn add(&mut self, row: Row) -> Result<(), IndexError> {
        self.fields.doc = self.docs;
        self.walker.walk(row.batch, row.event, &mut Refreshing { fields: &mut self.fields, stream: self.stream });
        self.fields.columns.record_numerical(self.docs, "_seq", row.seq);
        if let Some(id) = row.id {
            self.fields.columns.record_str(self.docs, "_id", id);
        }
        self.store(row)?;
        self.docs += 1;
        Ok(())
    }

    /// Writes `_source` as tantivy writes a document with one stored bytes field.
    fn store(&mut self, row: Row) -> Result<(), IndexError> {
        let source = match row.source {
            Some(span) => row.batch.bytes(span),
            None => {
                self.source.clear();
                json::write_event(row.batch, row.event, &mut self.source);
                &self.source
            }
        };
        const BYTES_CODE: u8 = 4;
        self.stored.clear();
        write_vint(1, &mut self.stored);
        self.stored.extend_from_slice(&SOURCE.field_id().to_le_bytes());
        self.stored.push(BYTES_CODE);
        write_vint(source.len() as u64, &mut self.stored);
        self.stored.extend_from_slice(source);
        self.store.store_bytes(&self.stored).map_err(memory_error)
    }

    /// Bytes of memory in use, roughly.
    pub fn memory(&self) -> usize {
        let texts = self.fields.slots.iter().flatten().filter_map(|slot| slot.text.as_ref());
        self.fields.columns.mem_usage() + self.memory.bytes() + texts.map(TextWriter::memory).sum::<usize>()
    }

    /// Finishes the segment; `None` without documents.
    pub fn finish(self) -> Result<Option<Built>, IndexError> {
        if self.docs == 0 {
            return Ok(None);
        }
        let SegmentBuilder { stream, fields, store, memory, files, id, docs, .. } = self;
        let open = |ext: &str| files.open_write(&file_name(&id, ext)).map_err(tantivy::TantivyError::from);
        let Fields { mut columns, slots, min_time, max_time, .. } = fields;
        write_texts(&stream.mapping(), slots, docs, open)?;
        let mut fast = open("fast")?;
        let written = columns.serialize(docs, None, &mut fast).and_then(|()| fast.terminate());
        written.and_then(|()| store.close()).map_err(memory_error)?;
        let files = EXTENSIONS.iter().map(|ext| Ok((ext.to_string(), memory.take(&file_name(&id, ext))?)));
        let files = files.collect::<io::Result<Vec<_>>>().map_err(memory_error)?;
        Ok(Some(Built { id, docs, min_time, max_time, files }))
    }
}

fn write_texts(
    mapping: &Mapping,
    slots: Vec<Option<Slot>>,
    docs: u32,
    open: impl Fn(&str) -> Result<WritePtr, tantivy::TantivyError>,
) -> Result<(), IndexError> {
    let mut texts: Vec<Option<TextWriter>> = slots.into_iter().map(|slot| slot.and_then(|slot| slot.text)).collect();
    texts.resize_with(mapping.fields().len().max(texts.len()), || None);
    let mut norms_file = FieldNormsSerializer::from_write(open("fieldnorm")?).map_err(memory_error)?;
    let mut files = InvertedFiles {
        terms: CompositeWrite::wrap(open("term")?),
        postings: CompositeWrite::wrap(open("idx")?),
        positions: CompositeWrite::wrap(open("pos")?),
    };
    for (field, text) in mapping.fields().iter().zip(texts) {
        let mut reader = None;
        if field.norms {
            // A field with norms has them in every segment: merges rely on it.
            let norms = text.as_ref().map_or_else(|| vec![0; docs as usize], |text| text.norms(docs));
            norms_file.serialize_field(field.field, &norms).map_err(memory_error)?;
            reader = Some(FieldNormReader::open(FileSlice::from(norms))?);
        }
        if let Some(text) = text {
            text.write(field.field, reader, &mut files).map_err(memory_error)?;
        }
    }
    norms_file.close().and_then(|()| files.close()).map_err(memory_error)
}

/// Gives values to [`Fields`], and reads the mapping anew when a field is newer than what it has.
struct Refreshing<'a, 'b> {
    fields: &'a mut Fields,
    stream: &'b Stream,
}

impl Sink for Refreshing<'_, '_> {
    #[inline]
    fn value(&mut self, field: u32, kind: Kind, leaf: Leaf) {
        if !matches!(self.fields.slots.get(field as usize), Some(Some(_))) {
            self.fields.open_slot(field, kind, self.stream);
        }
        self.fields.record(field, leaf);
    }
}

impl Fields {
    #[cold]
    fn open_slot(&mut self, field: u32, kind: Kind, stream: &Stream) {
        let at = field as usize;
        if at >= self.mapping.fields().len() {
            self.mapping = stream.mapping();
        }
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        let name = self.mapping.fields()[at].path.clone();
        // The type is said beforehand: the writer would else choose it by the values.
        let column = match kind {
            Kind::Text => None,
            Kind::Keyword => Some(ColumnType::Str),
            Kind::Long => Some(ColumnType::I64),
            Kind::Double => Some(ColumnType::F64),
            Kind::Boolean => Some(ColumnType::Bool),
            Kind::Date => Some(ColumnType::DateTime),
        };
        if let Some(column) = column {
            self.columns.record_column_type(&name, column, false);
        }
        self.slots[at] = Some(Slot { name, text: column.is_none().then(TextWriter::default) });
    }

    #[inline]
    fn record(&mut self, field: u32, leaf: Leaf) {
        let Some(slot) = &mut self.slots[field as usize] else { return };
        let (doc, name) = (self.doc, &*slot.name);
        match leaf {
            Leaf::Text(text) => match &mut slot.text {
                Some(writer) => {
                    writer.begin(doc);
                    self.analyzer.terms(text, |term| writer.add(term.text));
                    writer.end();
                }
                None => self.columns.record_str(doc, name, text),
            },
            Leaf::Long(n) => self.columns.record_numerical(doc, name, n),
            Leaf::Double(n) => self.columns.record_numerical(doc, name, n),
            Leaf::Boolean(b) => self.columns.record_bool(doc, name, b),
            Leaf::Date(at) => {
                if field == TIMESTAMP {
                    self.min_time = self.min_time.min(at.millis());
                    self.max_time = self.max_time.max(at.millis());
                }
                self.columns.record_datetime(doc, name, DateTime::from_timestamp_nanos(at.nanos()));
            }
        }
    }
}

/// A new segment id.
pub(super) fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn file_name(id: &str, ext: &str) -> PathBuf {
    PathBuf::from(format!("{id}.{ext}"))
}

fn memory_error(cause: io::Error) -> IndexError {
    IndexError::Io("build a segment", cause)
}

/// As tantivy: seven bits a byte, the last one marked.
fn write_vint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 128 {
        out.push((value & 127) as u8);
        value >>= 7;
    }
    out.push(value as u8 | 128);
}

/// A directory of files in memory, each written once.
#[derive(Clone, Default, Debug)]
pub(super) struct MemoryDirectory(Arc<Mutex<HashMap<PathBuf, OwnedBytes>>>);

impl MemoryDirectory {
    /// Takes a finished file out.
    pub fn take(&self, path: &Path) -> io::Result<OwnedBytes> {
        self.0.lock().remove(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn bytes(&self) -> usize {
        self.0.lock().values().map(|bytes| bytes.len()).sum()
    }
}

struct MemoryFile {
    bytes: Vec<u8>,
    path: PathBuf,
    directory: MemoryDirectory,
}

impl Write for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for MemoryFile {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        let bytes = OwnedBytes::new(std::mem::take(&mut self.bytes));
        self.directory.0.lock().insert(self.path.clone(), bytes);
        Ok(())
    }
}

impl Directory for MemoryDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        match self.0.lock().get(path) {
            Some(bytes) => Ok(Arc::new(bytes.clone())),
            None => Err(OpenReadError::FileDoesNotExist(path.to_owned())),
        }
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.0.lock().remove(path).map(|_| ()).ok_or_else(|| DeleteError::FileDoesNotExist(path.to_owned()))
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.0.lock().contains_key(path))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = MemoryFile { bytes: Vec::new(), path: path.to_owned(), directory: self.clone() };
        Ok(io::BufWriter::new(Box::new(file)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        match self.0.lock().get(path) {
            Some(bytes) => Ok(bytes.to_vec()),
            None => Err(OpenReadError::FileDoesNotExist(path.to_owned())),
        }
    }

    fn atomic_write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().insert(path.to_owned(), OwnedBytes::new(bytes.to_vec()));
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, _: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::directory::{Place, SegmentPlaces, Segments};
    use tantivy::collector::Count;
    use tantivy::query::{PhraseQuery, TermQuery};
    use tantivy::schema::{IndexRecordOption, Value as _};
    use tantivy::{TantivyDocument, Term};

    fn build(stream: &Stream, documents: &[&str]) -> Built {
        let mut batch = Batch::new();
        let mut parser = json::Parser::default();
        let mut builder = SegmentBuilder::new(stream).unwrap();
        for text in documents {
            let span = batch.push_text(text);
            parser.parse_event(&mut batch, span).unwrap();
        }
        for event in 0..batch.len() as EventId {
            builder.add(Row { batch: &batch, event, seq: 100 + event as u64, id: None, source: None }).unwrap();
        }
        builder.finish().unwrap().unwrap()
    }

    fn places(built: &Built) -> SegmentPlaces {
        let files = built.files.iter().map(|(ext, bytes)| (ext.clone(), Place::Memory(bytes.clone())));
        SegmentPlaces { id: built.id.clone(), docs: built.docs, files: files.collect() }
    }

    const DOCUMENTS: [&str; 3] = [
        r#"{"@timestamp":"2026-11-24T00:00:01.000Z","message":"Login failed for user","n":7,"who":"bob"}"#,
        r#"{"@timestamp":"2026-11-24T00:00:02.000Z","message":["failed login","user one"],"n":-1,"who":["ann","bob"]}"#,
        r#"{"@timestamp":"2026-11-24T00:00:03.000Z","late":1.5,"error":{"message":"broken pipe"}}"#,
    ];

    #[test]
    fn a_segment_is_read_by_tantivy_as_it_was_written() {
        let stream = Stream::new("s".into(), Vec::new().into());
        let built = build(&stream, &DOCUMENTS);
        assert_eq!((built.docs, built.max_time - built.min_time), (3, 2000));
        let mapping = stream.mapping();
        let searcher = Segments(vec![places(&built)]).open(&mapping).unwrap();
        let field = |path: &str| mapping.get(path).unwrap().field;
        let term = |path: &str, text: &str| Term::from_field_text(field(path), text);
        let count = |path: &str, text: &str| {
            let query = TermQuery::new(term(path, text), IndexRecordOption::WithFreqs);
            searcher.search(&query, &Count).unwrap()
        };
        assert_eq!((count("message", "failed"), count("message", "one"), count("message", "Login")), (2, 1, 0));
        assert_eq!(count("error.message", "pipe"), 1);
        let phrase = |a: &str, b: &str| {
            searcher.search(&PhraseQuery::new(vec![term("message", a), term("message", b)]), &Count).unwrap()
        };
        assert_eq!((phrase("login", "failed"), phrase("failed", "login"), phrase("login", "user")), (1, 1, 0));
        let reader = searcher.segment_reader(0);
        let n = reader.fast_fields().i64("n").unwrap();
        assert_eq!((n.first(0), n.first(1), n.first(2)), (Some(7), Some(-1), None));
        assert_eq!(reader.fast_fields().u64("_seq").unwrap().first(2), Some(102));
        let who = reader.fast_fields().str("who").unwrap().unwrap();
        assert_eq!(who.term_ords(1).count(), 2);
        for (doc, want) in DOCUMENTS.iter().enumerate() {
            let document: TantivyDocument = searcher.doc(tantivy::DocAddress::new(0, doc as u32)).unwrap();
            let source = document.get_first(SOURCE).and_then(|v| v.as_bytes()).unwrap();
            assert_eq!(std::str::from_utf8(source).unwrap(), *want);
        }
    }

    #[test]
    fn segments_with_different_fields_merge() {
        let stream = Stream::new("s".into(), Vec::new().into());
        let first = build(&stream, &DOCUMENTS[..1]);
        let second = build(&stream, &DOCUMENTS[1..]);
        let both = Segments(vec![places(&first), places(&second)]);
        let index = both.open_index(&stream.mapping()).unwrap();
        let segments = index.searchable_segments().unwrap();
        let settings = directory::tantivy_settings();
        let none = segments.iter().map(|_| None).collect();
        let merged =
            tantivy::indexer::merge_filtered_segments(&segments, settings, none, MemoryDirectory::default()).unwrap();
        let searcher = merged.reader().unwrap().searcher();
        assert_eq!((searcher.num_docs(), searcher.segment_readers().len()), (3, 1));
        let field = stream.mapping().get("message").unwrap().field;
        let query = TermQuery::new(Term::from_field_text(field, "login"), IndexRecordOption::WithFreqs);
        assert_eq!(searcher.search(&query, &Count).unwrap(), 2);
    }
}
