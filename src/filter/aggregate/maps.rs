//! The maps of a pipeline's aggregate filters, by `task_id`: in memory, and over a restart in a file.

use super::Timeouts;
use super::convert::{from_json, to_json};
use crate::script::{Hash, Value};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Weak};

/// Maps of one `task_id` at the most.
pub(super) const MAPS_MAX: usize = 1_000_000;

/// What is shared, by pipeline. It goes with the last filter that has it.
static PIPELINES: LazyLock<Mutex<FxHashMap<String, Weak<Shared>>>> = LazyLock::new(Mutex::default);

/// What the aggregate filters of one pipeline share.
#[derive(Default)]
pub(super) struct Shared {
    patterns: Mutex<FxHashMap<String, Maps>>,
}

/// The maps of one `task_id`.
#[derive(Default)]
pub(super) struct Maps {
    elements: FxHashMap<String, Element>,
    /// Tasks in the order in which they began.
    order: BTreeMap<u64, String>,
    next: u64,
    pub(super) timeouts: Option<Arc<Timeouts>>,
    pub(super) events_since_warning: usize,
}

/// One task. Times are in milliseconds since 1970, by the field that time-outs go by.
pub(super) struct Element {
    number: u64,
    created: i64,
    pub(super) last: i64,
    /// How far the clock was ahead of those times.
    created_behind: i64,
    pub(super) last_behind: i64,
    /// What code set for this task, in seconds.
    pub(super) timeout: Option<f64>,
    pub(super) inactivity: Option<f64>,
    pub(super) map: Value,
}

impl Element {
    pub(super) fn new(at: i64, now: i64) -> Element {
        let behind = now.saturating_sub(at);
        Element {
            number: 0,
            created: at,
            last: at,
            created_behind: behind,
            last_behind: behind,
            timeout: None,
            inactivity: None,
            map: Value::hash(Hash::default()),
        }
    }

    fn over(&self, created: i64, last: i64, now: i64, timeouts: &Timeouts) -> bool {
        let limit = |own: Option<f64>, other: f64| (own.unwrap_or(other) * 1000.0) as i64;
        created < now.saturating_sub(limit(self.timeout, timeouts.timeout))
            || last < now.saturating_sub(limit(self.inactivity, timeouts.inactivity))
    }

    /// Whether its time is over for an event of that time.
    pub(super) fn expired_at(&self, at: i64, timeouts: &Timeouts) -> bool {
        self.over(self.created, self.last, at, timeouts)
    }
}

impl Maps {
    pub(super) fn len(&self) -> usize {
        self.elements.len()
    }

    pub(super) fn get(&self, task: &str) -> Option<&Element> {
        self.elements.get(task)
    }

    pub(super) fn get_mut(&mut self, task: &str) -> Option<&mut Element> {
        self.elements.get_mut(task)
    }

    pub(super) fn insert(&mut self, task: &str, mut element: Element) {
        self.remove(task);
        element.number = self.next;
        self.order.insert(self.next, task.to_owned());
        self.next += 1;
        self.elements.insert(task.to_owned(), element);
    }

    pub(super) fn remove(&mut self, task: &str) -> Option<Element> {
        let element = self.elements.remove(task)?;
        self.order.remove(&element.number);
        Some(element)
    }

    /// Takes the oldest.
    pub(super) fn shift(&mut self) -> Option<(String, Element)> {
        let (_, task) = self.order.pop_first()?;
        let element = self.elements.remove(&task)?;
        Some((task, element))
    }

    /// Takes those whose time is over, the oldest first.
    pub(super) fn expired(&mut self, now: i64, timeouts: &Timeouts) -> Vec<(String, Element)> {
        let over = |element: &Element| {
            let (created, last) = (element.created + element.created_behind, element.last + element.last_behind);
            element.over(created, last, now, timeouts)
        };
        let mut expired: Vec<(u64, String)> = self
            .elements
            .iter()
            .filter(|(_, element)| over(element))
            .map(|(task, element)| (element.number, task.clone()))
            .collect();
        expired.sort_unstable();
        expired.into_iter().filter_map(|(_, task)| self.remove(&task).map(|element| (task, element))).collect()
    }
}

impl Shared {
    /// That of a pipeline.
    pub(super) fn of(pipeline: &str) -> Arc<Shared> {
        let mut pipelines = PIPELINES.lock();
        pipelines.retain(|_, shared| shared.strong_count() > 0);
        if let Some(shared) = pipelines.get(pipeline).and_then(Weak::upgrade) {
            return shared;
        }
        let shared = Arc::new(Shared::default());
        pipelines.insert(pipeline.to_owned(), Arc::downgrade(&shared));
        shared
    }

    /// Works on the maps of a `task_id`, alone.
    pub(super) fn with<T>(&self, pattern: &str, work: impl FnOnce(&mut Maps) -> T) -> T {
        let mut patterns = self.patterns.lock();
        if !patterns.contains_key(pattern) {
            patterns.insert(pattern.to_owned(), Maps::default());
        }
        work(patterns.get_mut(pattern).expect("BUG: just made"))
    }

    /// Writes all maps to a file; with none, no file.
    pub(super) fn save(&self, path: &Path) -> std::io::Result<()> {
        let patterns = self.patterns.lock();
        let mut all = serde_json::Map::new();
        for (pattern, maps) in patterns.iter().filter(|(_, maps)| maps.len() > 0) {
            let one = |task: &String| {
                let element = &maps.elements[task];
                json!({
                    "task": task,
                    "created": element.created,
                    "last": element.last,
                    "created_behind": element.created_behind,
                    "last_behind": element.last_behind,
                    "timeout": element.timeout,
                    "inactivity_timeout": element.inactivity,
                    "map": to_json(&element.map, 0),
                })
            };
            all.insert(pattern.clone(), maps.order.values().map(one).collect());
        }
        if all.is_empty() {
            return Ok(());
        }
        crate::durable::replace(path, serde_json::Value::from(all).to_string().as_bytes())
    }

    /// Takes the maps of a file in, and removes it.
    pub(super) fn load(&self, path: &Path) -> Result<(), String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let all: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| format!("{error} (it is no JSON of this filter)"))?;
        for (pattern, elements) in all.as_object().into_iter().flatten() {
            self.with(pattern, |maps| {
                for element in elements.as_array().into_iter().flatten().take(MAPS_MAX) {
                    let number = |name: &str| element[name].as_i64().unwrap_or_default();
                    let mut made = Element::new(number("created"), 0);
                    made.last = number("last");
                    (made.created_behind, made.last_behind) = (number("created_behind"), number("last_behind"));
                    (made.timeout, made.inactivity) =
                        (element["timeout"].as_f64(), element["inactivity_timeout"].as_f64());
                    if let map @ Value::Hash(_) = from_json(&element["map"]) {
                        made.map = map;
                    }
                    maps.insert(element["task"].as_str().unwrap_or_default(), made);
                }
            });
        }
        std::fs::remove_file(path).map_err(|error| error.to_string())
    }
}
