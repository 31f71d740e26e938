//! Files that are replaced as a whole and never in part.
//!
//! Crash argument: the new text goes into a file beside the old one, is synced, takes its name by a
//! rename, and the folder is synced. So whoever reads finds one whole version, and once [`replace`] has
//! returned, the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Replaces a file, or makes it: readable for everybody, as far as the process' umask allows.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    with_mode(path, bytes, 0o666)
}

/// The same, readable for its owner alone.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    with_mode(path, bytes, 0o600)
}

/// Replaces a file that is not ours: where a link leads, with the permissions that it has.
pub fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = file.write_all(bytes).and_then(|()| file.set_permissions(fs::metadata(&path)?.permissions()));
    if let Err(error) = written.and_then(|()| file.sync_all()).and_then(|()| fs::rename(&new, &path)) {
        let _gone = fs::remove_file(&new);
        return Err(error);
    }
    sync_folder_of(&path)
}

/// Makes durable what was created, renamed or deleted in the folder of this file.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn with_mode(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = beside(path);
    // What a crash left behind may have another mode.
    let _none = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder_of(path)
}

/// `NAME.new`
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_users_file_keeps_its_link_and_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link, other) =
            (folder.path().join("a.yaml"), folder.path().join("b.yaml"), folder.path().join("a.yaml.new"));
        fs::write(&file, "one").unwrap();
        fs::write(&other, "somebody's").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        rewrite(&link, b"two").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_to_string(&other).unwrap(), "somebody's");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_file_is_replaced_and_nothing_stays_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        // What a crash left behind.
        fs::write(beside(&path), "torn and longer than what comes").unwrap();
        for text in ["one", "two"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        replace_private(&path, b"three").unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(&folder.path().join("none/a"), b"x").is_err());
    }
}
