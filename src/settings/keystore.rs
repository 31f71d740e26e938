//! The keystore: secrets by name in one encrypted file, so that configurations hold `${NAME}` alone.
//!
//! ```text
//! {"logboom_keystore":1,"kdf":"argon2id"|"file","salt":"…","nonce":"…","secrets":"…"}
//! ```
//!
//! `secrets` is a JSON object, sealed with ChaCha20-Poly1305; whatever stands before it in the file is
//! authenticated with it. The key comes from a password by Argon2id (19 MiB, 2 passes: OWASP's
//! recommendation). Without a password (`kdf: file`) it is the salt itself: then the file's mode, 0600,
//! is all that protects it, as with Logstash's keystore.
//!
//! Names know no case, as in Logstash. A file is replaced whole, by renaming.

use crate::durable;
use argon2::Argon2;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of the file in `path.settings`.
pub const FILE: &str = "logboom.keystore";

/// What is wrong with a keystore.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The file can't be read or written.
    #[error("cannot {verb} keystore {path}: {cause}")]
    Io {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// It is no keystore of ours.
    #[error("cannot read keystore {path}: {cause}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// It has a password, and none or another was given.
    #[error(
        "cannot open keystore {path}: {cause}; its password is taken from the environment variable \
         LOGBOOM_KEYSTORE_PASS, else LOGSTASH_KEYSTORE_PASS"
    )]
    Password {
        /// The file.
        path: PathBuf,
        /// Which of the two.
        cause: &'static str,
    },
    /// No name for a secret.
    #[error(
        "cannot keep a secret as `{0}`: a name has letters, digits, `_` and `.`, and begins with none of the digits"
    )]
    Name(String),
}

/// The file as it stands on disk.
#[derive(Serialize, Deserialize)]
struct Sealed {
    logboom_keystore: u32,
    kdf: String,
    salt: String,
    nonce: String,
    secrets: String,
}

/// An open keystore.
#[derive(Clone)]
pub struct Keystore {
    path: PathBuf,
    password: Option<String>,
    secrets: BTreeMap<String, String>,
}

impl Keystore {
    /// An empty one, not written yet.
    pub fn new(path: &Path, password: Option<String>) -> Keystore {
        Keystore { path: path.to_owned(), password, secrets: BTreeMap::new() }
    }

    /// Opens a file; `None` where there is none.
    pub fn open(path: &Path, password: Option<String>) -> Result<Option<Keystore>, KeystoreError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(KeystoreError::Io { verb: "read", path: path.to_owned(), cause }),
        };
        let form = |cause: String| KeystoreError::Form { path: path.to_owned(), cause };
        let sealed: Sealed = serde_json::from_slice(&bytes).map_err(|_| {
            form("it is no keystore of Logboom (one of Logstash can't be read: add its secrets with `logboom keystore add`)".to_owned())
        })?;
        if sealed.logboom_keystore != 1 {
            return Err(form(format!("its version {} is newer than this program", sealed.logboom_keystore)));
        }
        let wrong = |cause| KeystoreError::Password { path: path.to_owned(), cause };
        let used = match (sealed.kdf.as_str(), &password) {
            ("file", _) => None,
            ("argon2id", None) => return Err(wrong("it needs a password")),
            ("argon2id", Some(password)) => Some(password.as_str()),
            (other, _) => return Err(form(format!("it is encrypted by `{other}`, which is not known"))),
        };
        let decode = |text: &str| BASE64.decode(text).map_err(|error| form(error.to_string()));
        let (salt, nonce, secrets) = (decode(&sealed.salt)?, decode(&sealed.nonce)?, decode(&sealed.secrets)?);
        let nonce: [u8; 12] = nonce.try_into().map_err(|_| form("its nonce is cut off".to_owned()))?;
        let key = derive(used, &salt).ok_or_else(|| form("its salt is cut off".to_owned()))?;
        let aad = authenticated(&sealed.kdf, &sealed.salt);
        let opened = ChaCha20Poly1305::new(&key.into())
            .decrypt(&nonce.into(), Payload { msg: &secrets, aad: aad.as_bytes() })
            .map_err(
                |_| if used.is_some() { wrong("the password is wrong") } else { form("it is damaged".to_owned()) },
            )?;
        let secrets = serde_json::from_slice(&opened).map_err(|error| form(error.to_string()))?;
        Ok(Some(Keystore { path: path.to_owned(), password: used.map(str::to_owned), secrets }))
    }

    /// A secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.secrets.get(&name.to_lowercase()).map(String::as_str)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.secrets.keys().map(String::as_str)
    }

    /// Keeps a secret.
    pub fn put(&mut self, name: &str, secret: &str) -> Result<(), KeystoreError> {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        if name.is_empty() || !plain || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(KeystoreError::Name(name.to_owned()));
        }
        self.secrets.insert(name.to_lowercase(), secret.to_owned());
        Ok(())
    }

    /// Forgets a secret; whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        self.secrets.remove(&name.to_lowercase()).is_some()
    }

    /// Writes the file, for its owner alone.
    pub fn save(&self) -> Result<(), KeystoreError> {
        let failed = |cause| KeystoreError::Io { verb: "write", path: self.path.clone(), cause };
        let (salt, nonce): ([u8; 32], [u8; 12]) = (rand::random(), rand::random());
        let kdf = if self.password.is_some() { "argon2id" } else { "file" };
        let key = derive(self.password.as_deref(), &salt).expect("BUG: a salt of the right length");
        let salt = BASE64.encode(salt);
        let (secrets, aad) =
            (serde_json::to_vec(&self.secrets).map_err(|e| failed(e.into()))?, authenticated(kdf, &salt));
        let secrets = ChaCha20Poly1305::new(&key.into())
            .encrypt(&nonce.into(), Payload { msg: &secrets, aad: aad.as_bytes() })
            .map_err(|_| failed(std::io::Error::other("the secrets are too large")))?;
        let sealed = Sealed {
            logboom_keystore: 1,
            kdf: kdf.to_owned(),
            salt,
            nonce: BASE64.encode(nonce),
            secrets: BASE64.encode(secrets),
        };
        let text = serde_json::to_string(&sealed).map_err(|e| failed(e.into()))?;
        durable::replace_private(&self.path, format!("{text}\n").as_bytes()).map_err(failed)
    }
}

/// What is authenticated besides the secrets.
fn authenticated(kdf: &str, salt: &str) -> String {
    format!("logboom_keystore 1 {kdf} {salt}")
}

fn derive(password: Option<&str>, salt: &[u8]) -> Option<[u8; 32]> {
    let Some(password) = password else { return salt.try_into().ok() };
    let mut key = [0; 32];
    Argon2::default().hash_password_into(password.as_bytes(), salt, &mut key).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_back_with_the_right_password_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        for password in [None, Some("geheim".to_owned())] {
            let mut store = Keystore::new(&path, password.clone());
            store.put("ES_pwd", "ログ $ecret").unwrap();
            store.put("b.c", "2").unwrap();
            assert!(matches!(store.put("1x", ""), Err(KeystoreError::Name(_))));
            assert!(matches!(store.put("a-b", ""), Err(KeystoreError::Name(_))));
            store.save().unwrap();
            let mode = std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap());
            assert_eq!(mode & 0o777, 0o600);
            let bytes = std::fs::read_to_string(&path).unwrap();
            assert!(!bytes.contains("$ecret") && !bytes.contains("es_pwd"), "{bytes}");
            let mut opened = Keystore::open(&path, password.clone()).unwrap().unwrap();
            assert_eq!(opened.get("es_PWD"), Some("ログ $ecret"));
            assert_eq!(opened.names().collect::<Vec<_>>(), ["b.c", "es_pwd"]);
            assert!(opened.remove("B.C") && !opened.remove("b.c"));
            // A byte that is another is found out.
            let other = bytes.replacen("\"secrets\":\"", "\"secrets\":\"AAAA", 1);
            std::fs::write(&path, other).unwrap();
            assert!(Keystore::open(&path, password).is_err());
            std::fs::write(&path, bytes).unwrap();
        }
        let wrong = |password: Option<&str>| {
            Keystore::open(&path, password.map(str::to_owned)).err().map(|error| error.to_string()).unwrap()
        };
        assert!(wrong(None).contains("it needs a password"));
        assert!(wrong(Some("x")).contains("the password is wrong"));
        assert!(Keystore::open(&folder.path().join("none"), None).unwrap().is_none());
        std::fs::write(&path, "PKCS12").unwrap();
        assert!(wrong(None).contains("it is no keystore of Logboom"));
    }
}
