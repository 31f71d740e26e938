//! Where `${NAME}` comes from: the keystore, else a folder of secrets, else the environment.
//!
//! A folder of secrets holds a file for each: what `path.secrets` names, or what systemd
//! (`LoadCredential=`) or a container mounts. Read when asked for, so that a reload sees new ones.

use super::keystore::{FILE, Keystore, KeystoreError};
use super::{Settings, SettingsError, table};
use crate::language::variable::Environment;
use arc_swap::ArcSwapOption;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A secret is short: a larger file in the folder is something else.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Where secrets lie.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// The keystore's file.
    pub keystore: Option<PathBuf>,
    /// Folders with a file per secret.
    pub folders: Vec<PathBuf>,
}

/// Secrets that are open.
pub struct Secrets {
    places: Places,
    keystore: Option<Keystore>,
}

/// Those of this process: plugins and settings ask for names, wherever they are read.
static OPEN: ArcSwapOption<Secrets> = ArcSwapOption::const_empty();

/// The keystore's password.
pub fn password() -> Option<String> {
    let of = |name: &str| std::env::var(name).ok().filter(|password| !password.is_empty());
    of("LOGBOOM_KEYSTORE_PASS").or_else(|| of("LOGSTASH_KEYSTORE_PASS"))
}

impl Places {
    /// As flags, the settings file and the environment say. `flags` are settings by name, the last of
    /// a name counts.
    pub fn find(flags: &[(String, String)], environment: Environment<'_>) -> Places {
        let flag = |name: &str| flags.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.clone());
        let folder = flag("path.settings").map(PathBuf::from);
        let written = folder.as_deref().map(Settings::peek).unwrap_or_default();
        let setting = |name: &str| {
            let written = written.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.clone());
            flag(name).or(written).filter(|path| !path.is_empty()).map(PathBuf::from)
        };
        debug_assert!(table::find("keystore.file").is_some() && table::find("path.secrets").is_some());
        let beside = folder.map(|folder| folder.join(FILE));
        let data = setting("path.data").map(|folder| folder.join(FILE));
        let credentials = environment("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Places {
            keystore: setting("keystore.file").or(beside).or(data),
            folders: setting("path.secrets").into_iter().chain(credentials).collect(),
        }
    }
}

/// Opens the secrets of this process.
pub fn open(places: Places) -> Result<(), SettingsError> {
    let failed = |error: KeystoreError| SettingsError(vec![error.to_string()]);
    let keystore = match &places.keystore {
        Some(path) => Keystore::open(path, password()).map_err(failed)?,
        None => None,
    };
    OPEN.store(Some(Arc::new(Secrets { places, keystore })));
    Ok(())
}

/// Opens them again, since the keystore may have changed.
pub fn reopen() -> Result<(), SettingsError> {
    match &*OPEN.load() {
        Some(secrets) => open(secrets.places.clone()),
        None => Ok(()),
    }
}

/// The value of `${name}`.
pub fn variable(name: &str) -> Option<String> {
    let secret = OPEN.load().as_ref().and_then(|secrets| secrets.get(name));
    secret.or_else(|| std::env::var(name).ok())
}

impl Secrets {
    fn get(&self, name: &str) -> Option<String> {
        let kept = self.keystore.as_ref().and_then(|keystore| keystore.get(name)).map(str::to_owned);
        kept.or_else(|| self.places.folders.iter().find_map(|folder| read(&folder.join(name))))
    }
}

/// A file's text, without the newline that editors put at its end.
fn read(path: &Path) -> Option<String> {
    let meta = std::fs::metadata(path).ok()?;
    if !meta.is_file() || meta.len() > SECRET_BYTES_MAX {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text)).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keystore_goes_first_and_files_lose_their_newline() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("FILE", "from file\r\n");
        write("BOTH", "from file");
        std::fs::create_dir(folder.path().join("DIR")).unwrap();
        let mut keystore = Keystore::new(&folder.path().join(FILE), None);
        keystore.put("both", "from keystore").unwrap();
        let places = Places { keystore: None, folders: vec![folder.path().to_owned()] };
        let secrets = Secrets { places, keystore: Some(keystore) };
        let check = |name: &str, want: Option<&str>| assert_eq!(secrets.get(name).as_deref(), want, "{name}");
        check("FILE", Some("from file"));
        check("BOTH", Some("from keystore"));
        check("DIR", None);
        check("NONE", None);
        check("..", None);
    }

    #[test]
    fn places_come_from_flags_the_file_and_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("logstash.yml"), "path.secrets: /run/s\n").unwrap();
        let settings = ("path.settings".to_owned(), folder.path().display().to_string());
        let environment = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| "/run/cred".to_owned());
        let found = Places::find(std::slice::from_ref(&settings), &environment);
        assert_eq!(found.keystore, Some(folder.path().join(FILE)));
        assert_eq!(found.folders, [Path::new("/run/s"), Path::new("/run/cred")]);
        let found = Places::find(&[settings, ("keystore.file".to_owned(), "/k".to_owned())], &|_| None);
        assert_eq!(found.keystore, Some(PathBuf::from("/k")));
    }
}
