//! Watches all files of one input in one thread: finds them, looks at them, reads those that have
//! more in turns, and lets go of those that are gone.
//!
//! A file stays the same file when it is renamed: it is read to its end under its old descriptor,
//! while what has its path now begins at its first byte. A truncated file begins anew; its copy, if
//! the patterns name one, goes on where the file was.

use super::identity::Id;
use super::known::{Known, SINCE};
use super::reader::{Outgoing, Reader, State, Turn};
use super::source::{self, Packing};
use super::{Completed, Settings};
use crate::event::Timestamp;
use crate::pipeline::{Feed, Position};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// How long a renamed file is kept open for more, and a deleted one.
const RENAMED_PATIENCE: Duration = Duration::from_secs(300);
const DELETED_PATIENCE: Duration = Duration::from_secs(5);

/// All files of one input.
pub(super) struct Watch<'a> {
    pub(super) settings: &'a Settings,
    pub(super) out: Outgoing<'a>,
    pub(super) files: FxHashMap<Id, Reader>,
    pub(super) known: Known,
    pub(super) odd: FxHashSet<PathBuf>,
    completed: &'a mut Completed,
    /// The first look at the patterns is over.
    pub(super) begun: bool,
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
