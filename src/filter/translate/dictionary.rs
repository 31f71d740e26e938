//! A dictionary: where it comes from, how a text is looked up in it, and how a file is read again.

use crate::event::csv::{Cell, Dialect};
use crate::event::yaml::{self, Schema};
use crate::event::{Batch, Data, Value};
use crate::filter::refresh::Refresh;
use crate::regexp::{Regexp, RegexpError};
use aho_corasick::{AhoCorasick, MatchKind};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// How keys are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// The whole text is a key.
    Exact,
    /// Keys are regular expressions; the first that matches counts.
    Regexp,
    /// Every key that stands in the text is replaced there.
    Replace,
}

/// Keys and values in order, each key once.
#[derive(Clone, Default)]
pub(super) struct Pairs {
    values: Vec<(Box<str>, Data)>,
    places: FxHashMap<Box<str>, usize>,
    /// Keys that are no texts.
    others: usize,
}

impl Pairs {
    /// Adds a pair; a key that is there keeps its place.
    pub(super) fn add(&mut self, key: &str, value: Data) {
        match self.places.get(key) {
            Some(&at) => self.values[at].1 = value,
            None => {
                self.places.insert(key.into(), self.values.len());
                self.values.push((key.into(), value));
            }
        }
    }

    /// Adds the pairs of a map. Keys that are no texts match nothing, as in Logstash: it looks
    /// texts up, and the `200` of YAML is a number.
    fn add_map(&mut self, map: Vec<(Data, Data)>) {
        for (key, value) in map {
            match key {
                Data::Text(key) => self.add(&key, value),
                _ => self.others += 1,
            }
        }
    }
}

/// What was found for a text.
pub(super) enum Found {
    Value(Value),
    Nothing,
}

/// A compiled dictionary.
pub(super) struct Dictionary {
    pairs: Pairs,
    finder: Finder,
}

enum Finder {
    Exact,
    Regexp(Vec<Regexp>),
    /// The texts to put in, by key. `None` where there is no key.
    Replace(Option<Box<(AhoCorasick, Vec<Box<str>>)>>),
}

/// Why pairs make no dictionary.
#[derive(Debug, thiserror::Error)]
pub(super) enum DictionaryError {
    #[error("cannot use the key `{0}` as a pattern: {1}")]
    Pattern(String, RegexpError),
    #[error("cannot search for its keys: {0}")]
    Search(#[from] aho_corasick::BuildError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("it is no YAML: {0}")]
    Yaml(#[from] yaml::YamlError),
    #[error("it is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("line {1}: {0}")]
    Csv(crate::event::csv::CsvError, usize),
    #[error("it holds no keys and values")]
    NoMap,
    #[error("it has more than {0} characters, the limit of `yaml_dictionary_code_point_limit`")]
    Long(usize),
    #[error("it is not UTF-8")]
    Encoding,
}

impl Dictionary {
    pub(super) fn new(pairs: Pairs, mode: Mode) -> Result<Dictionary, DictionaryError> {
        let finder = match mode {
            Mode::Exact => Finder::Exact,
            Mode::Regexp => {
                let compile = |(key, _): &(Box<str>, Data)| {
                    Regexp::new(key).map_err(|error| DictionaryError::Pattern(key.to_string(), error))
                };
                Finder::Regexp(pairs.values.iter().map(compile).collect::<Result<_, _>>()?)
            }
            Mode::Replace if pairs.values.is_empty() => Finder::Replace(None),
            Mode::Replace => {
                // As in Ruby's union of patterns, the first key counts where several begin.
                let keys = pairs.values.iter().map(|(key, _)| key.as_bytes());
                let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(keys)?;
                let texts = pairs.values.iter().map(|(_, value)| value.to_text().into()).collect();
                Finder::Replace(Some(Box::new((search, texts))))
            }
        };
        Ok(Dictionary { pairs, finder })
    }

    /// Looks a text up. A pattern that takes too many steps on it is one that does not match.
    pub(super) fn find(&self, batch: &mut Batch, text: crate::event::Span, scratch: &mut Vec<u8>) -> Found {
        let wanted = batch.text(text);
        let at = match &self.finder {
            Finder::Exact => self.pairs.places.get(wanted).copied(),
            Finder::Regexp(patterns) => patterns.iter().position(|pattern| pattern.is_match(wanted).unwrap_or(false)),
            Finder::Replace(None) => None,
            Finder::Replace(Some(search)) => {
                let (search, texts) = &**search;
                scratch.clear();
                let mut from = 0;
                for found in search.find_iter(wanted.as_bytes()) {
                    scratch.extend_from_slice(&wanted.as_bytes()[from..found.start()]);
                    scratch.extend_from_slice(texts[found.pattern().as_usize()].as_bytes());
                    from = found.end();
                }
                if from == 0 && scratch.is_empty() {
                    return Found::Nothing;
                }
                scratch.extend_from_slice(&wanted.as_bytes()[from..]);
                return match scratch.as_slice() == wanted.as_bytes() {
                    true => Found::Nothing,
                    false => Found::Value(Value::Str(batch.push_bytes(scratch))),
                };
            }
        };
        match at {
            Some(at) => Found::Value(self.pairs.values[at].1.to_value(batch)),
            None => Found::Nothing,
        }
    }
}

/// What a file's name says of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Yaml,
    Json,
    Csv,
}

impl Format {
    pub(super) fn of(path: &str) -> Option<Format> {
        match path.rsplit_once('.')?.1 {
            "yml" | "yaml" => Some(Format::Yaml),
            "json" => Some(Format::Json),
            "csv" => Some(Format::Csv),
            _ => None,
        }
    }
}

/// A dictionary's file and how to read it.
pub(super) struct File {
    pub path: PathBuf,
    pub format: Format,
    pub mode: Mode,
    pub schema: Schema,
    /// `yaml_dictionary_code_point_limit`.
    pub code_points: usize,
    /// Whether what a newer file no longer has stays (`refresh_behaviour => merge`).
    pub merge: bool,
    /// Whether the file is read again though its time has not changed.
    pub always: bool,
}

impl File {
    /// Reads the file into `pairs`.
    pub(super) fn read(&self, mut pairs: Pairs) -> Result<Dictionary, DictionaryError> {
        let bytes = std::fs::read(&self.path)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| DictionaryError::Encoding)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match self.format {
            Format::Yaml => {
                if text.len() > self.code_points && text.chars().count() > self.code_points {
                    return Err(DictionaryError::Long(self.code_points));
                }
                if let Some(document) = yaml::parse(text, self.schema)? {
                    add_maps(&mut pairs, document);
                }
            }
            Format::Json if text.is_empty() => {}
            Format::Json => match Data::from(serde_json::from_str::<serde_json::Value>(text)?) {
                Data::Map(map) => pairs.add_map(map),
                _ => return Err(DictionaryError::NoMap),
            },
            Format::Csv => add_rows(&mut pairs, text)?,
        }
        if pairs.others > 0 {
            let (path, keys) = (self.path.display(), std::mem::take(&mut pairs.others));
            tracing::warn!(%path, keys, "a dictionary has keys that are no texts and match nothing: write `200: OK` as `\"200\": OK`");
        }
        Dictionary::new(pairs, self.mode)
    }

    fn modified(&self) -> Option<SystemTime> {
        std::fs::metadata(&self.path).ok()?.modified().ok()
    }
}

/// A map, or maps in a list: Logstash takes the pairs of all.
fn add_maps(pairs: &mut Pairs, document: Data) {
    match document {
        Data::Map(map) => pairs.add_map(map),
        Data::List(elements) => elements.into_iter().for_each(|element| add_maps(pairs, element)),
        _ => {}
    }
}

/// Rows of a key and its value. What stands behind is left out, and so are rows without a key.
fn add_rows(pairs: &mut Pairs, text: &str) -> Result<(), DictionaryError> {
    let dialect = Dialect::new(",", "\"").expect("BUG: a dialect of our own is wrong");
    let (row_end, mut cells) = (Dialect::row_end(text), Vec::<Cell>::new());
    let mut at = 0;
    loop {
        let line = |error| DictionaryError::Csv(error, text[..at].lines().count() + 1);
        let Some(next) = dialect.row(text, row_end, at, &mut cells).map_err(line)? else { return Ok(()) };
        if let Some(key) = cells.first().and_then(|&key| dialect.text(text, key)) {
            let value = cells.get(1).and_then(|&value| dialect.text(text, value));
            pairs.add(&key, value.map_or(Data::Null, |value| Data::Text(value.as_ref().into())));
        }
        at = next;
    }
}

/// A dictionary that all workers share, perhaps read again while they run.
pub(super) struct Shared {
    pub now: ArcSwap<Dictionary>,
    file: Option<File>,
    /// When the file that is in use was changed last.
    modified: Mutex<Option<SystemTime>>,
}

impl Shared {
    /// One that stays as it is.
    pub(super) fn fixed(dictionary: Dictionary) -> Shared {
        Shared { now: ArcSwap::from_pointee(dictionary), file: None, modified: Mutex::new(None) }
    }

    /// One that a file holds.
    pub(super) fn open(file: File) -> Result<Shared, DictionaryError> {
        let modified = file.modified();
        let dictionary = file.read(Pairs::default())?;
        Ok(Shared { now: ArcSwap::from_pointee(dictionary), file: Some(file), modified: Mutex::new(modified) })
    }

    /// The file's path, for messages.
    pub(super) fn path(&self) -> &Path {
        self.file.as_ref().map_or(Path::new(""), |file| &file.path)
    }
}

impl Refresh for Shared {
    fn refresh(&self) {
        let Some(file) = &self.file else { return };
        let mut known = self.modified.lock();
        let modified = file.modified();
        if !file.always && modified == *known {
            return;
        }
        let pairs = if file.merge { self.now.load().pairs.clone() } else { Pairs::default() };
        match file.read(pairs) {
            Ok(dictionary) => self.now.store(Arc::new(dictionary)),
            Err(error) => {
                tracing::warn!(path = %self.path().display(), %error, "cannot read dictionary again: going on with the old one");
            }
        }
        // Also after a failure: the same bytes would fail again.
        *known = modified;
    }
}
