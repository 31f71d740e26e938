//! Templates: what exporters said of the records that they send.
//!
//! One set for all workers behind a lock that is taken once per set of flows. At most
//! [`TEMPLATES_MAX`] are known; beyond that new ones are refused with a warning until old ones
//! are forgotten.

use super::field::{Definitions, Field};
use crate::resource;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Templates at the most: an exporter has a few dozen.
const TEMPLATES_MAX: usize = 16_384;
/// The length of a field whose records say it themselves.
pub(super) const VARIABLE: u16 = 0xffff;

/// A field as a template has it: enterprise, number, bytes.
pub(super) type Element = (u32, u16, u16);
/// IPFIX or not, the exporter's id, the template's id.
pub(super) type Key = (bool, u32, u16);

/// What a record consists of.
pub(super) struct Template {
    elements: Vec<Element>,
    pub(super) fields: Vec<(Field, u16)>,
    /// Bytes of a record at the least.
    pub(super) bytes_min: usize,
    expires: i64,
}

/// The templates, and their files where they are kept.
pub(super) struct Templates {
    ttl: i64,
    folder: Option<PathBuf>,
    known: Mutex<Known>,
    warnings: AtomicU64,
}

#[derive(Default)]
struct Known {
    templates: FxHashMap<Key, Arc<Template>>,
    /// Read from the files; made into templates once the time is known.
    kept: Option<Vec<(Key, Vec<Element>)>>,
}

impl Templates {
    pub(super) fn new(ttl: i64, folder: Option<PathBuf>) -> Templates {
        let kept = folder.as_deref().map(|folder| {
            let mut kept = read(folder, false);
            kept.extend(read(folder, true));
            kept
        });
        let known = Mutex::new(Known { templates: FxHashMap::default(), kept });
        Templates { ttl, folder, known, warnings: AtomicU64::new(0) }
    }

    /// A template that was not forgotten.
    pub(super) fn get(&self, key: Key, now: i64, definitions: &Definitions) -> Option<Arc<Template>> {
        let mut known = self.known.lock();
        for (key, elements) in known.kept.take().into_iter().flatten() {
            known.templates.insert(key, Arc::new(self.template(elements, now, definitions)));
        }
        known.templates.get(&key).filter(|template| template.expires >= now).cloned()
    }

    /// Learns a template; one that is the same lives on.
    pub(super) fn learn(&self, key: Key, elements: Vec<Element>, now: i64, definitions: &Definitions) {
        let mut known = self.known.lock();
        let same = known.templates.get(&key).is_some_and(|old| old.elements == elements && old.expires >= now);
        known.templates.retain(|_, template| template.expires >= now);
        if known.templates.len() >= TEMPLATES_MAX && !known.templates.contains_key(&key) {
            return self.warn("too many templates; further ones are refused");
        }
        known.templates.insert(key, Arc::new(self.template(elements, now, definitions)));
        if let Some(folder) = self.folder.as_deref().filter(|_| !same) {
            self.keep(folder, key.0, &known.templates);
        }
    }

    fn template(&self, elements: Vec<Element>, now: i64, definitions: &Definitions) -> Template {
        let field = |&(enterprise, number, length): &Element| (definitions.get(enterprise, number), length);
        Template {
            fields: elements.iter().map(field).collect(),
            bytes_min: elements.iter().map(|&(_, _, length)| if length == VARIABLE { 1 } else { length.into() }).sum(),
            expires: now.saturating_add(self.ttl),
            elements,
        }
    }

    fn keep(&self, folder: &Path, ipfix: bool, templates: &FxHashMap<Key, Arc<Template>>) {
        let ours = templates.iter().filter(|(key, _)| key.0 == ipfix);
        let kept: FxHashMap<String, &Vec<Element>> =
            ours.map(|((_, exporter, id), template)| (format!("{exporter}|{id}"), &template.elements)).collect();
        let written = serde_json::to_vec(&kept)
            .map_err(std::io::Error::other)
            .and_then(|json| crate::durable::replace(&file(folder, ipfix), &json));
        if let Err(error) = written {
            tracing::warn!(%error, folder = %folder.display(), "cannot keep the templates of NetFlow");
        }
    }

    /// Says what is wrong with a datagram: each time that the number of warnings doubles.
    pub(super) fn warn(&self, cause: &str) {
        let number = self.warnings.fetch_add(1, Ordering::Relaxed) + 1;
        if number.is_power_of_two() {
            tracing::warn!(cause, number, "cannot decode flows");
        }
    }
}

fn file(folder: &Path, ipfix: bool) -> PathBuf {
    folder.join(if ipfix { "ipfix_templates.cache" } else { "netflow_templates.cache" })
}

fn read(folder: &Path, ipfix: bool) -> Vec<(Key, Vec<Element>)> {
    let path = file(folder, ipfix);
    let Some(text) = resource::kept(&path) else { return Vec::new() };
    match serde_json::from_str::<FxHashMap<String, Vec<Element>>>(&text) {
        Ok(kept) => {
            let key = |text: &str| {
                let (exporter, id) = text.split_once('|')?;
                Some((ipfix, exporter.parse().ok()?, id.parse().ok()?))
            };
            kept.into_iter().filter_map(|(name, elements)| Some((key(&name)?, elements))).collect()
        }
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "cannot read the templates that were kept: they are learnt anew");
            Vec::new()
        }
    }
}
