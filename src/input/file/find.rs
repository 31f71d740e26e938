//! Finds the files of an input and decides where to begin in them: at a position that was kept, at
//! that of a file whose copy they are, at their end, or at their first byte.

use super::super::cut::Delimiter;
use super::discover::discover;
use super::identity::{Heads, Id, Print};
use super::reader::{Reader, State};
use super::source::Packing;
use super::watch::Watch;
use crate::event::Origin;
use crate::pipeline::Position;
use rustc_hash::FxHashSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How long a new file that looks like a copy of a watched one waits for that one's truncation.
const COPY_PATIENCE: Duration = Duration::from_secs(5);
/// Paths whose oddity was logged; then some are logged again.
const ODD_MAX: usize = 10_000;

impl Watch<'_> {
    pub(super) fn discover(&mut self) {
        let mut found = discover(self.settings);
        if !self.begun {
            // Files with positions first: only what they leave can belong to others.
            found.sort_by_key(|(_, meta)| !self.known.has(Id::of(meta)));
            let split = found.partition_point(|(_, meta)| self.known.has(Id::of(meta)));
            let others = found.split_off(split);
            // What lay at these paths was read: what lies there now came while we were away.
            let fresh: FxHashSet<PathBuf> =
                others.iter().filter(|(path, _)| self.known.had_path(path)).map(|(path, _)| path.clone()).collect();
            found.into_iter().for_each(|(path, meta)| self.found(path, meta, true));
            if !self.settings.read {
                self.find_renamed();
            }
            for (path, meta) in others {
                let first = !fresh.contains(&path);
                self.found(path, meta, first);
            }
            self.begun = true;
        } else {
            let count = found.len();
            found.into_iter().for_each(|(path, meta)| self.found(path, meta, false));
            self.drop_gone(count);
        }
    }

    /// Drops files that were read and are gone: only their positions are kept.
    fn drop_gone(&mut self, found: usize) {
        if self.files.len() > found {
            let known = &mut self.known;
            self.files.retain(|&id, file| {
                let gone = file.state == State::Over && fs::metadata(&file.path).is_err();
                if gone {
                    known.put(id, file.mark.clone());
                }
                !gone
            });
        }
    }

    /// A file that matches; `first`: it was there when we came, so `start_position` holds for it.
    pub(super) fn found(&mut self, path: PathBuf, meta: Metadata, first: bool) {
        let id = Id::of(&meta);
        if let Some(file) = self.files.get_mut(&id) {
            if file.state != State::Over || (file.size == meta.len() && file.changed == meta.modified().ok()) {
                if !file.attached {
                    file.path = path;
                    file.attached = true;
                }
                return;
            }
            // It has changed since it was read, or another file has its inode now.
            let file = self.files.remove(&id).expect("BUG: just found");
            self.known.put(id, file.mark);
        }
        if let Some(oddity) = self.oddity(&path, &meta) {
            return self.odd(path, oddity);
        }
        if let Err(error) = self.watch(&path, &meta, first) {
            self.odd(path, &error.to_string());
        }
    }

    fn oddity(&self, path: &Path, meta: &Metadata) -> Option<&'static str> {
        if !meta.is_file() {
            return Some("it is no regular file");
        }
        if !self.settings.read && Packing::of(path) != Packing::Plain {
            return Some("compressed files are read with `mode => read` only");
        }
        None
    }

    /// Logs that a file is left out, once.
    fn odd(&mut self, path: PathBuf, reason: &str) {
        if self.odd.contains(&path) {
            return;
        }
        tracing::warn!(path = %path.display(), reason, "cannot read file: it is left out for now");
        if self.odd.len() >= ODD_MAX {
            self.odd.clear();
        }
        self.odd.insert(path);
    }

    fn watch(&mut self, path: &Path, meta: &Metadata, first: bool) -> io::Result<()> {
        if self.settings.read && self.too_old(meta) {
            return Ok(());
        }
        let opened = File::open(path)?;
        let meta = match opened.metadata()? {
            now if Id::of(&now) == Id::of(meta) => now,
            // Renamed just now: the next look finds what is where.
            _ => return Ok(()),
        };
        let id = Id::of(&meta);
        let mut file = self.reader(path, &meta);
        if let Some(mark) = self.known.take(id, &opened) {
            file.resume(mark);
        } else if !self.adopt(&mut file, &opened) {
            // A copy is empty at first: what it is shows when there is something to read.
            file.unproven =
                (!first && !self.settings.read && !self.settings.exit_after_read).then(|| (Instant::now(), meta.len()));
            let start = self.known.imported(id, meta.len()).filter(|_| file.packing == Packing::Plain);
            let at_end = first && self.settings.start_at_end && !self.is_new(&meta);
            file.mark.offset = start.unwrap_or(if at_end || self.too_old(&meta) { meta.len() } else { 0 });
            if file.mark.offset > 0 {
                file.mark.tail = Print::tail_of(&opened, file.mark.offset)?;
                self.note(&mut file, &opened);
            }
        }
        self.odd.remove(path);
        if self.settings.read {
            if file.mark.done && meta.len() == file.mark.size {
                file.ready = false;
                file.state = if self.settings.action.deletes() { State::Read(Some(0)) } else { State::Over };
            }
            file.mark.done = false;
        } else {
            file.size = file.mark.offset;
            file.ready = meta.len() > file.mark.offset;
        }
        self.files.insert(id, file);
        Ok(())
    }

    fn reader(&self, path: &Path, meta: &Metadata) -> Reader {
        let name = path.to_string_lossy();
        let mut fields = self.settings.host_fields.clone();
        fields.extend(self.settings.path_fields.iter().map(|field| (field.clone(), name.clone().into_owned())));
        let origin = Arc::new(Origin { fields, numbers: Vec::new() });
        let packed = Packing::of(path) != Packing::Plain;
        let delimiter = Delimiter::new(Some(&self.settings.delimiter).filter(|_| !packed).map(|d| d.as_slice()));
        Reader::new(self.out.feed, path.to_owned(), meta, origin, delimiter)
    }

    /// Lets the position at which a file begins be kept, though nothing was read.
    fn note(&mut self, file: &mut Reader, opened: &File) {
        file.mark.head = Print::head(opened, file.mark.offset).unwrap_or_default();
        self.out.note(file.position());
    }

    fn too_old(&self, meta: &Metadata) -> bool {
        let age = meta.modified().ok().and_then(|at| at.elapsed().ok());
        self.settings.ignore_older.is_some_and(|limit| age.is_some_and(|age| age > limit))
    }

    /// Whether a file was made after this input ran first: then it's not old data to leave out.
    fn is_new(&self, meta: &Metadata) -> bool {
        let made = meta.created().ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        made.zip(self.known.since).is_some_and(|(made, since)| made.as_millis() as i64 > since)
    }

    /// Goes on where another file was, if this one is a copy of it or it come back.
    fn adopt(&mut self, file: &mut Reader, opened: &File) -> bool {
        let Some((mark, old)) = self.known.adopt(opened) else { return false };
        file.resume(mark);
        if let Some(old) = old {
            self.out.note(Position { source: format!("{}/{old}", self.out.feed.key).into(), value: "".into() });
        }
        self.note(file, opened);
        true
    }

    /// Whether it is certain that a new file is no copy of a watched one that is about to be
    /// truncated. While it looks like one it waits, longer if it still grows.
    pub(super) fn prove(&mut self, id: Id) -> bool {
        let Some(mut file) = self.files.remove(&id) else { return false };
        if let Some((since, size)) = file.unproven
            && let Ok(opened) = File::open(&file.path)
        {
            let mut heads = Heads::new(&opened);
            if !self.adopt(&mut file, &opened) && self.files.values().any(|other| heads.begin_as(&other.mark)) {
                if size != file.size {
                    file.unproven = Some((Instant::now(), file.size));
                } else if since.elapsed() >= COPY_PATIENCE {
                    file.unproven = None;
                }
            } else {
                file.unproven = None;
            }
        }
        let proven = file.unproven.is_none();
        self.files.insert(id, file);
        proven
    }

    /// Reads on in files that were renamed out of the patterns while we were away.
    pub(super) fn find_renamed(&mut self) {
        for (id, path) in self.known.renamed() {
            let Ok(opened) = File::open(&path) else { continue };
            let Ok(meta) = opened.metadata() else { continue };
            let packed = Packing::of(&path) != Packing::Plain;
            if packed || !meta.is_file() || Id::of(&meta) != id || self.files.contains_key(&id) {
                continue;
            }
            if let Some(mark) = self.known.take(id, &opened) {
                let mut file = self.reader(Path::new(&mark.path), &meta);
                file.path = path;
                file.size = mark.offset;
                file.ready = meta.len() > mark.offset;
                file.resume(mark);
                file.attached = file.open().is_err();
                self.files.insert(id, file);
            }
        }
    }
}
