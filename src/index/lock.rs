//! One process per folder: an exclusive lock, held until the process ends, however it ends.

use super::IndexError;
use fs4::FileExt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The lock; gone when dropped.
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock of a folder, or says who has it.
    pub fn take(folder: &Path) -> Result<FolderLock, IndexError> {
        let failed = |cause| IndexError::Io("lock the index folder", cause);
        let path = folder.join("lock");
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(failed)?;
        if FileExt::try_lock(&file).is_err() {
            let mut pid = String::new();
            // Who holds it is a courtesy, known or not.
            let _unknown = file.read_to_string(&mut pid);
            let holder = match pid.trim().parse::<u32>() {
                Ok(pid) => format!(" (pid {pid})"),
                Err(_) => String::new(),
            };
            return Err(IndexError::InUse { path: folder.display().to_string(), holder });
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
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
        let first = FolderLock::take(folder.path()).unwrap();
        let error = FolderLock::take(folder.path()).err().unwrap().to_string();
        assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
        drop(first);
        FolderLock::take(folder.path()).unwrap();
    }
}
