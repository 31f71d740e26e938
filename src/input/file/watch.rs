//! Watches all files of one input in one thread: finds them, looks at them, reads those that have
//! more in turns, and lets go of those that are gone.
//!
//! A file stays the same file when it is renamed: it is read to its end under its old descriptor,
//! while what has its path now begins at its first byte. A truncated file begins anew; its copy, if
//! the patterns name one, goes on where the file was.

use super::super::cut::Delimiter;
use super::discover::discover;
use super::identity::{Heads, Id, Print};
use super::known::{Known, SINCE};
use super::reader::{Outgoing, Reader, State, Turn};
use super::source::{self, Packing};
use super::{Completed, Settings};
use crate::event::{Origin, Timestamp};
use crate::pipeline::{Feed, Position};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How long a new file that looks like a copy of a watched one waits for that one's truncation.
const COPY_PATIENCE: Duration = Duration::from_secs(5);
/// How long a renamed file is kept open for more, and a deleted one.
const RENAMED_PATIENCE: Duration = Duration::from_secs(300);
const DELETED_PATIENCE: Duration = Duration::from_secs(5);
/// Paths whose oddity was logged; then some are logged again.
const ODD_MAX: usize = 10_000;

/// All files of one input.
pub(super) struct Watch<'a> {
    settings: &'a Settings,
    out: Outgoing<'a>,
    files: FxHashMap<Id, Reader>,
    known: Known,
    odd: FxHashSet<PathBuf>,
    completed: &'a mut Completed,
    /// The first look at the patterns is over.
    begun: bool,
}

impl<'a> Watch<'a> {
    pub fn new(settings: &'a Settings, feed: &'a Feed, completed: &'a mut Completed) -> Watch<'a> {
        let mut known = match settings.keep {
            true => Known::new(&feed.key, &feed.positions),
            false => Known::default(),
        };
        if let Some(path) = settings.sincedb.as_ref().filter(|_| settings.keep) {
            known.import(path);
        }
        let mut out = Outgoing::new(feed, settings.keep);
        if known.since.is_none() {
            let now = Timestamp::now().millis();
            out.note(Position { source: format!("{}/{SINCE}", feed.key).into(), value: now.to_string().into() });
        }
        Watch { out, settings, files: FxHashMap::default(), known, odd: FxHashSet::default(), completed, begun: false }
    }

    /// Runs until the pipeline stops, or until all is read with `exit_after_read`.
    pub fn run(mut self) {
        let mut discovery = Instant::now();
        let mut cleaning = Instant::now();
        let mut look = Instant::now();
        while !self.out.feed.stopped() {
            let now = Instant::now();
            let truncated = now >= look && self.look();
            if now >= look {
                look = now + self.settings.stat_interval(self.files.len());
            }
            if now >= discovery || truncated {
                self.discover();
                // Large trees are not walked all the time.
                discovery = Instant::now() + self.settings.discover_interval.max(now.elapsed() * 20);
            }
            if truncated {
                // Its copy goes on where it was: that must be kept before the file's new lines are.
                let unproven = self.files.values().filter(|f| f.unproven.is_some()).map(|f| f.id);
                for id in unproven.collect::<Vec<_>>() {
                    self.prove(id);
                }
            }
            if now >= cleaning {
                self.forget();
                cleaning = now + Duration::from_secs(600);
            }
            let more = self.round();
            self.flush_joiners();
            self.out.send();
            self.complete();
            self.let_go();
            if more {
                continue;
            }
            if self.settings.exit_after_read {
                break;
            }
            let flush = self.files.values().filter_map(Reader::flush_at).min();
            let next = flush.map_or(look.min(discovery), |at| at.min(look).min(discovery));
            self.out.feed.wait(next.saturating_duration_since(Instant::now()));
        }
        self.out.send();
        let read = self.files.into_values().filter(|f| matches!(f.state, State::Read(_)));
        self.completed.keep(read.map(|f| f.path));
    }

    // Finding

    fn discover(&mut self) {
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
    fn found(&mut self, path: PathBuf, meta: Metadata, first: bool) {
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
    fn prove(&mut self, id: Id) -> bool {
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
    fn find_renamed(&mut self) {
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

    // Looking

    /// Looks which files have changed; whether one was truncated.
    fn look(&mut self) -> bool {
        let mut arrivals = Vec::new();
        let mut truncated = false;
        let mut closed = Vec::new();
        for file in self.files.values_mut().filter(|f| f.state == State::Watched) {
            let mut meta = None;
            if file.attached {
                match fs::metadata(&file.path) {
                    Ok(now) if Id::of(&now) == file.id => meta = Some(now),
                    Ok(now) => {
                        file.attached = false;
                        arrivals.push((file.path.clone(), now));
                    }
                    Err(_) => file.attached = false,
                }
            }
            if !file.attached && file.source.is_none() && !self.settings.read {
                closed.push(file.id);
                continue;
            }
            if meta.is_none() {
                meta = file.source.as_ref().and_then(|s| s.file().metadata().ok());
            }
            let Some(meta) = meta else { continue };
            let (size, changed) = (meta.len(), meta.modified().ok());
            if size == file.size && changed == file.changed {
                continue;
            }
            (file.size, file.changed) = (size, changed);
            file.ready = true;
            if file.is_truncated() {
                self.known.lost(file.mark.clone());
                file.restart(&mut self.out);
                truncated = true;
            }
        }
        if !closed.is_empty() {
            for id in closed {
                let file = self.files.remove(&id).expect("BUG: a file that is not watched");
                self.known.put(id, file.mark_to_keep());
            }
            self.find_renamed();
        }
        for (path, meta) in arrivals {
            self.found(path, meta, false);
        }
        truncated
    }

    // Reading

    /// Gives each file that has more a turn; whether there is more.
    fn round(&mut self) -> bool {
        let mut ready: Vec<(SortKey, Id)> =
            self.files.values().filter(|f| f.ready).map(|f| (self.settings.sort_key(f), f.id)).collect();
        ready.sort_unstable();
        if self.settings.descending {
            ready.reverse();
        }
        let mut more = false;
        for (_, id) in ready {
            if self.out.feed.stopped() {
                return false;
            }
            if self.prove(id) {
                self.make_room(id);
                more |= self.turn(id);
            }
        }
        more
    }

    fn turn(&mut self, id: Id) -> bool {
        let settings = self.settings;
        let file = self.files.get_mut(&id).expect("BUG: a file that is not watched");
        let complete = settings.read || settings.exit_after_read;
        if settings.check_archives
            && file.source.is_none()
            && file.packing != Packing::Plain
            && let Err(error) = source::check(&file.path, file.packing)
        {
            tracing::error!(path = %file.path.display(), %error, "cannot unpack file: nothing of it is read");
            (file.ready, file.state) = (false, State::Over);
            return false;
        }
        match file.turn(&mut self.out, settings.turn_bytes, complete) {
            Ok(Turn::More) => {
                file.failed = false;
                return true;
            }
            Ok(Turn::End) => {
                (file.ready, file.failed) = (false, false);
                if settings.read {
                    file.source = None;
                    file.state = State::Read(None);
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut file.failed, true) {
                    tracing::warn!(path = %file.path.display(), %error, "cannot read file: trying again");
                }
                file.source = None;
                if file.packing != Packing::Plain && error.kind() != io::ErrorKind::NotFound {
                    // Damaged: what could be read was; it is neither deleted nor logged as completed.
                    file.flush(&mut self.out);
                    file.ready = false;
                    file.state = State::Over;
                }
            }
        }
        false
    }

    /// Closes files that have nothing to read, the one that was read least recently first, where
    /// another needs to be opened.
    fn make_room(&mut self, id: Id) {
        if self.files[&id].source.is_some() {
            return;
        }
        let open = self.files.values().filter(|f| f.source.is_some());
        if open.clone().count() < self.settings.open_max {
            return;
        }
        let idle = open.filter(|f| f.attached).min_by_key(|f| (f.ready, f.read)).map(|f| f.id);
        if let Some(file) = idle.and_then(|id| self.files.get_mut(&id)) {
            file.source = None;
        }
    }

    fn flush_joiners(&mut self) {
        let now = Instant::now();
        for file in self.files.values_mut() {
            if file.flush_at().is_some_and(|at| at <= now) {
                file.flush(&mut self.out);
            }
        }
    }

    // Letting go

    /// Does with files that were read to their end what is to be done once that is durable.
    fn complete(&mut self) {
        let durable = self.out.feed.durable_until();
        let sent = self.out.sent;
        let mut gone = Vec::new();
        for file in self.files.values_mut() {
            if file.state == State::Read(None) {
                file.state = State::Read(Some(sent.map_or(0, |n| n + 1)));
            }
            if matches!(file.state, State::Read(Some(end)) if end <= durable) {
                self.completed.act(&file.path);
                file.state = State::Over;
                if self.settings.action.deletes() {
                    self.out.note(file.forgotten());
                    gone.push(file.id);
                }
            }
        }
        for id in gone {
            self.files.remove(&id);
        }
    }

    /// Drops files that are gone and have nothing left, and closes those that are quiet.
    fn let_go(&mut self) {
        let (settings, out, known) = (self.settings, &mut self.out, &mut self.known);
        self.files.retain(|_, file| {
            if let Some(limit) = settings.close_older
                && !settings.read
                && !file.ready
                && file.attached
                && file.read.elapsed() > limit
            {
                file.source = None;
            }
            if file.attached || file.ready || file.state != State::Watched {
                return true;
            }
            let patience = match file.source.as_ref().map(|s| s.file().metadata()) {
                Some(Ok(meta)) if meta.nlink() > 0 => settings.close_older.unwrap_or(RENAMED_PATIENCE),
                _ => DELETED_PATIENCE,
            };
            if file.read.elapsed() < patience {
                return true;
            }
            // Nobody finishes its last line any more.
            if let Err(error) = file.turn(out, u64::MAX, true) {
                tracing::warn!(path = %file.path.display(), %error, "cannot read the end of a file that is gone");
            }
            known.put(file.id, file.mark_to_keep());
            false
        });
    }

    /// Lets positions go whose files have been gone for long.
    fn forget(&mut self) {
        let before = Timestamp::now().seconds() - self.settings.clean_after.as_secs() as i64;
        for id in self.known.expired(before) {
            self.out.note(Position { source: format!("{}/{id}", self.out.feed.key).into(), value: "".into() });
        }
    }
}

/// What files are sorted by.
pub(super) type SortKey = (Option<SystemTime>, PathBuf);
