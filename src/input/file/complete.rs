//! What becomes of a file that was read to its end in `read` mode, once its events are durable.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// `file_completed_action`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Delete,
    Log,
    LogAndDelete,
}

impl Action {
    pub fn deletes(self) -> bool {
        self != Action::Log
    }

    pub fn logs(self) -> bool {
        self != Action::Delete
    }
}

/// Does the action, now or when the input has come to its end.
pub(super) struct Completed {
    action: Action,
    log: Option<PathBuf>,
    waiting: Vec<PathBuf>,
}

impl Completed {
    pub fn new(action: Action, log: Option<PathBuf>) -> Completed {
        Completed { action, log, waiting: Vec::new() }
    }

    /// Does it with a file whose events are durable.
    pub fn act(&self, path: &Path) {
        if let Some(log) = self.log.as_ref().filter(|_| self.action.logs()) {
            let written = OpenOptions::new().create(true).append(true).open(log);
            if let Err(error) = written.and_then(|mut file| writeln!(file, "{}", path.display())) {
                tracing::error!(path = %path.display(), log = %log.display(), %error, "cannot log a completed file");
            }
        }
        if self.action.deletes()
            && let Err(error) = fs::remove_file(path)
        {
            tracing::error!(path = %path.display(), %error, "cannot delete a completed file");
        }
    }

    /// Keeps files for [`Completed::act_on_kept`].
    pub fn keep(&mut self, paths: impl Iterator<Item = PathBuf>) {
        self.waiting = paths.collect();
    }

    /// Does it with the files that were kept; their events are durable now.
    pub fn act_on_kept(&mut self) {
        for path in std::mem::take(&mut self.waiting) {
            self.act(&path);
        }
    }
}
