//! One process per folder: an exclusive lock, held until the process ends, however it ends.

use fs4::FileExt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// The lock; gone when dropped.
pub struct FolderLock {
    _file: File,
}

/// Why a lock can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another process uses it{holder}")]
    InUse {
        /// ` (pid 123)`, where known.
        holder: String,
    },
    /// The file can't be opened or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FolderLock {
    /// Takes the lock that is the file at `path`, or says who has it.
    pub fn take(path: &Path) -> Result<FolderLock, LockError> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if FileExt::try_lock(&file).is_err() {
            let mut pid = String::new();
            // Who holds it is a courtesy, known or not.
            let _unknown = file.read_to_string(&mut pid);
            let holder = match pid.trim().parse::<u32>() {
                Ok(pid) => format!(" (pid {pid})"),
                Err(_) => String::new(),
            };
            return Err(LockError::InUse { holder });
        }
        file.set_len(0).and_then(|()| file.rewind())?;
        // A full disk must not keep us from reading what is there.
        let _unknown = writeln!(file, "{}", std::process::id());
        Ok(FolderLock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = FolderLock::take(&path).unwrap();
        let error = FolderLock::take(&path).err().unwrap().to_string();
        assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
        drop(first);
        FolderLock::take(&path).unwrap();
    }
}
