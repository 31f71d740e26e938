//! Positions of inputs on disk, for pipelines without an `index` output (the index keeps them
//! with its segments instead).
//!
//! ```text
//! path.data/checkpoints/PIPELINE.checkpoint
//!   logboom checkpoint 1 <crc32 of the rest, 8 hex digits>\n
//!   {"PIPELINE/INPUT/SOURCE":"VALUE",…}
//! ```
//!
//! Crash argument: the file is replaced whole ([`crate::durable`]), so it is always one version, and
//! positions that were said to be written stay. A file that is broken nonetheless (a bad disk) is
//! an error and left alone: to go on without positions would read everything twice, or skip it.

use super::ack::Position;
use crate::durable;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const HEADER: &str = "logboom checkpoint 1 ";

/// Why the positions of a pipeline can't be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file can't be read, or its folder not made.
    #[error("cannot open checkpoint {path}: {cause}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The bytes are not those that were written.
    #[error("cannot read checkpoint {path}: {cause}; move it away to let the inputs start as new")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
}

/// The positions of one pipeline.
#[derive(Debug)]
pub struct Checkpoints {
    path: PathBuf,
    positions: BTreeMap<String, String>,
    /// Whether a write failed, so that the file lacks something.
    behind: bool,
}

impl Checkpoints {
    /// Reads the positions of `pipeline` below `dir`, which is `path.data`.
    pub fn open(dir: &Path, pipeline: &str) -> Result<Checkpoints, CheckpointError> {
        let dir = dir.join("checkpoints");
        let path = dir.join(format!("{}.checkpoint", file_name(pipeline)));
        let open = |cause| CheckpointError::Open { path: path.clone(), cause };
        fs::create_dir_all(&dir).map_err(open)?;
        let positions = match fs::read(&path) {
            Ok(bytes) => parse(&bytes).map_err(|cause| CheckpointError::Corrupt { path: path.clone(), cause })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => return Err(open(e)),
        };
        Ok(Checkpoints { path, positions, behind: false })
    }

    /// The positions whose source begins with `prefix`.
    pub fn positions(&self, prefix: &str) -> HashMap<String, String> {
        let from = self.positions.range(prefix.to_owned()..);
        from.take_while(|(source, _)| source.starts_with(prefix)).map(|(s, v)| (s.clone(), v.clone())).collect()
    }

    /// Makes `changes` durable; an empty value forgets its source. After an error the next write
    /// brings these changes too, also one without changes of its own.
    pub fn write(&mut self, changes: &[Position]) -> io::Result<()> {
        if changes.is_empty() && !self.behind {
            return Ok(());
        }
        for Position { source, value } in changes {
            if value.is_empty() {
                self.positions.remove(&**source);
            } else {
                self.positions.insert(source.to_string(), value.to_string());
            }
        }
        self.behind = true;
        self.replace()?;
        self.behind = false;
        Ok(())
    }

    fn replace(&self) -> io::Result<()> {
        let body = serde_json::to_vec(&self.positions)?;
        let mut text = format!("{HEADER}{:08x}\n", crc32fast::hash(&body)).into_bytes();
        text.extend_from_slice(&body);
        durable::replace(&self.path, &text)
    }
}

fn parse(bytes: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let sum = bytes.strip_prefix(HEADER.as_bytes()).ok_or("it does not begin as one of version 1")?;
    let (sum, body) = sum.split_at_checked(9).ok_or("it is cut off")?;
    let sum = std::str::from_utf8(&sum[..8]).ok().and_then(|s| u32::from_str_radix(s, 16).ok());
    if sum != Some(crc32fast::hash(body)) {
        return Err("its checksum is wrong".to_owned());
    }
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

/// A pipeline's id as the name of a file: other characters than letters, digits, `-` and `_`
/// become `%XX`.
fn file_name(pipeline: &str) -> String {
    let mut name = String::new();
    for byte in pipeline.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte as char),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position(source: &str, value: &str) -> Position {
        Position { source: source.into(), value: value.into() }
    }

    #[test]
    fn broken_files_are_errors_and_stay() {
        let dir = tempfile::tempdir().unwrap();
        let mut checkpoints = Checkpoints::open(dir.path(), "a/../b").unwrap();
        checkpoints.write(&[position("main/in/1", "{\"x\": 1}")]).unwrap();
        let path = checkpoints.path;
        assert!(path.ends_with("checkpoints/a%2F%2E%2E%2Fb.checkpoint"));
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x11;
            fs::write(&path, &bad).unwrap();
            let result = Checkpoints::open(dir.path(), "a/../b");
            assert!(matches!(result, Err(CheckpointError::Corrupt { .. })) || at == HEADER.len() + 8, "{at}");
            fs::write(&path, &good[..at]).unwrap();
            assert!(Checkpoints::open(dir.path(), "a/../b").is_err(), "{at}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn agrees_with_a_map_over_reopening(
            writes in prop::collection::vec(prop::collection::vec(("[ab]/[xyz]", "[0-9é]{0,2}"), 0..4), 0..6)
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut model = HashMap::new();
            for changes in writes {
                let changes: Vec<_> = changes.iter().map(|(s, v)| position(s, v)).collect();
                Checkpoints::open(dir.path(), "main").unwrap().write(&changes).unwrap();
                for change in changes {
                    model.insert(change.source.to_string(), change.value.to_string());
                }
                model.retain(|_, value| !value.is_empty());
                let checkpoints = Checkpoints::open(dir.path(), "main").unwrap();
                prop_assert_eq!(&checkpoints.positions(""), &model);
                let a: HashMap<_, _> = model.clone().into_iter().filter(|(s, _)| s.starts_with("a/")).collect();
                prop_assert_eq!(checkpoints.positions("a/"), a);
            }
        }
    }
}
