//! Positions that belong to no file that is watched, yet: of earlier runs, of a Logstash's sincedb,
//! and of files that were truncated, whose copies may turn up.

use super::identity::{Heads, Id, Mark};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What the time of the first run is kept under.
pub(super) const SINCE: &str = "since";
/// Marks of truncated files that are kept at the most; then the oldest go.
const STRAYS_MAX: usize = 256;

/// Positions in search of their files.
#[derive(Default)]
pub(super) struct Known {
    marks: FxHashMap<Id, Mark>,
    /// The paths of all of them at start.
    paths: FxHashSet<String>,
    /// When this input ran first, in milliseconds since 1970.
    pub since: Option<i64>,
    strays: Vec<Mark>,
    /// Offset by inode from a sincedb.
    sincedb: FxHashMap<u64, u64>,
}

impl Known {
    /// From the positions of earlier runs; what can't be read is left out and logged.
    pub fn new(key: &str, positions: &HashMap<String, String>) -> Known {
        let mut known = Known::default();
        for (source, value) in positions {
            // `main/in` is also the beginning of another input's `main/in2`.
            let Some(name) = source.strip_prefix(key).and_then(|s| s.strip_prefix('/')) else { continue };
            if name == SINCE {
                known.since = value.parse().ok();
                continue;
            }
            match (Id::parse(name), serde_json::from_str::<Mark>(value)) {
                (Some(id), Ok(mark)) => {
                    known.paths.insert(mark.path.clone());
                    known.marks.insert(id, mark);
                }
                _ => tracing::warn!(source, value, "cannot read a position of a file: it is left out"),
            }
        }
        known
    }

    /// Takes over what a Logstash has read, for files without a position of ours.
    pub fn import(&mut self, sincedb: &Path) {
        let Ok(text) = fs::read_to_string(sincedb) else { return };
        for line in text.lines() {
            let mut words = line.split(' ');
            let (inode, offset) = (words.next(), words.nth(2));
            if let (Some(Ok(inode)), Some(Ok(offset))) = (inode.map(str::parse), offset.map(str::parse)) {
                self.sincedb.insert(inode, offset);
            }
        }
    }

    /// Keeps the position of a file that is watched no more.
    pub fn put(&mut self, id: Id, mark: Mark) {
        self.marks.insert(id, mark);
    }

    /// Whether a file has a position under its own identity.
    pub fn has(&self, id: Id) -> bool {
        self.marks.contains_key(&id)
    }

    /// Whether a file that had this path was read.
    pub fn had_path(&self, path: &Path) -> bool {
        self.paths.contains(&*path.to_string_lossy())
    }

    /// Remembers a file that was truncated.
    pub fn lost(&mut self, mark: Mark) {
        if mark.offset > 0 {
            if self.strays.len() >= STRAYS_MAX {
                self.strays.remove(0);
            }
            self.strays.push(mark);
        }
    }

    /// The position under the file's own identity, if its bytes agree.
    pub fn take(&mut self, id: Id, file: &File) -> Option<Mark> {
        let mark = self.marks.remove(&id)?;
        if mark.holds(file) {
            return Some(mark);
        }
        self.lost(mark);
        None
    }

    /// The position of a file whose bytes this one has, and the identity to forget for it: a copy
    /// made before a truncation, or a file brought back from elsewhere.
    pub fn adopt(&mut self, file: &File) -> Option<(Mark, Option<Id>)> {
        let mut heads = Heads::new(file);
        if let Some(at) = self.strays.iter().position(|mark| heads.belong_to(mark)) {
            return Some((self.strays.swap_remove(at), None));
        }
        let id = *self.marks.iter().find(|(_, mark)| heads.belong_to(mark))?.0;
        Some((self.marks.remove(&id)?, Some(id)))
    }

    /// Where a Logstash has stopped in the file.
    pub fn imported(&mut self, id: Id, size: u64) -> Option<u64> {
        self.sincedb.remove(&id.inode).filter(|&offset| offset <= size)
    }

    /// Files that have another name now, outside of the patterns, and more to read: the names at
    /// which they lie.
    pub fn renamed(&self) -> Vec<(Id, PathBuf)> {
        let mut lying = self.lying();
        let grown = |path: &Path, mark: &Mark| fs::metadata(path).is_ok_and(|meta| meta.len() > mark.offset);
        lying.retain(|(id, path)| grown(path, &self.marks[id]));
        lying
    }

    /// The files that still lie in the folders in which they were, with their names.
    fn lying(&self) -> Vec<(Id, PathBuf)> {
        let mut folders: FxHashMap<PathBuf, FxHashSet<Id>> = FxHashMap::default();
        for (&id, mark) in &self.marks {
            let folder = Path::new(&mark.path).parent().unwrap_or(Path::new("/"));
            folders.entry(folder.to_owned()).or_default().insert(id);
        }
        let mut found = Vec::new();
        for (folder, ids) in folders {
            let Ok(meta) = fs::metadata(&folder) else { continue };
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let id = Id { device: meta.dev(), inode: entry.ino() };
                if ids.contains(&id) {
                    found.push((id, entry.path()));
                }
            }
        }
        found
    }

    /// Removes the positions of files that are gone and did not move since `before`.
    pub fn expired(&mut self, before: i64) -> Vec<Id> {
        let kept: FxHashSet<Id> = self.lying().into_iter().map(|(id, _)| id).collect();
        let gone = |id: &Id, mark: &Mark| {
            mark.seen < before && !kept.contains(id) && fs::metadata(&mark.path).map_or(true, |m| Id::of(&m) != *id)
        };
        let expired: Vec<Id> = self.marks.iter().filter(|(id, mark)| gone(id, mark)).map(|(id, _)| *id).collect();
        for id in &expired {
            self.marks.remove(id);
        }
        expired
    }
}
