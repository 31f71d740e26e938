//! The texts of a pipeline: `config.string`, or the files that `path.config` names.

use super::{Settings, SettingsError};
use crate::diagnostic::Sources;
use std::path::{Path, PathBuf};

/// A configuration file is text that people write: one beyond this is something else.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// What Logstash adds to a text without inputs.
const DEFAULT_INPUT: &str = "input { stdin { type => stdin } }";
/// What Logstash adds to a text without outputs.
const DEFAULT_OUTPUT: &str = "output { stdout { codec => rubydebug } }";

/// Reads the texts of a pipeline. Files come in the order of `path.config`, those of one folder
/// or pattern sorted by name; names of backups (`~`) are passed over.
pub fn sources(settings: &Settings) -> Result<Sources, SettingsError> {
    if let Some(text) = settings.text("config.string") {
        let mut files = vec![("config.string".to_owned(), text.to_owned())];
        if !has_section(text, "input") {
            files.push(("default input".to_owned(), DEFAULT_INPUT.to_owned()));
        }
        if !has_section(text, "output") {
            files.push(("default output".to_owned(), DEFAULT_OUTPUT.to_owned()));
        }
        return Ok(Sources { files });
    }
    let mut sources = Sources::default();
    let mut mistakes = Vec::new();
    for path in settings.list("path.config") {
        match files(path) {
            Ok(files) if files.is_empty() => {
                mistakes.push(format!("cannot read `path.config`: no file matches {path}"));
            }
            Ok(files) => {
                for file in files {
                    match read(&file) {
                        Ok(text) => sources.files.push((file.display().to_string(), text)),
                        Err(mistake) => mistakes.push(mistake),
                    }
                }
            }
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if mistakes.is_empty() { Ok(sources) } else { Err(SettingsError(mistakes)) }
}

/// The files that a path, folder or pattern stands for.
fn files(path: &str) -> Result<Vec<PathBuf>, String> {
    let path = path.strip_prefix("file://").unwrap_or(path);
    let exact = Path::new(path);
    if exact.is_file() {
        return Ok(vec![exact.to_owned()]);
    }
    let pattern = if exact.is_dir() {
        format!("{}/*", glob::Pattern::escape(path.trim_end_matches('/')))
    } else {
        path.to_owned()
    };
    // As in a shell: hidden files are matched by name alone.
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
    let mut found = Vec::new();
    for alternative in alternatives(&pattern) {
        let matches = glob::glob_with(&alternative, options)
            .map_err(|error| format!("cannot read `path.config`: {alternative} is no pattern: {error}"))?;
        for file in matches {
            let file = file.map_err(|error| format!("cannot read `path.config`: {error}"))?;
            if !file.is_dir() && !file.to_string_lossy().ends_with('~') {
                found.push(file);
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// `{a,b}` as the patterns it stands for, which `glob` does not know. One level is enough: inner
/// braces are expanded when their turn comes.
fn alternatives(pattern: &str) -> Vec<String> {
    const ALTERNATIVES_MAX: usize = 1000;
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    while let Some(pattern) = open.pop() {
        // The innermost pair: the first `}` and the last `{` before it.
        let pair = pattern.find('}').and_then(|end| Some((pattern[..end].rfind('{')?, end)));
        match pair {
            Some((start, end)) if done.len() + open.len() < ALTERNATIVES_MAX => {
                let parts = pattern[start + 1..end].split(',');
                open.extend(parts.map(|part| format!("{}{part}{}", &pattern[..start], &pattern[end + 1..])));
            }
            _ => done.push(pattern),
        }
    }
    done
}

fn read(file: &Path) -> Result<String, String> {
    let failed = |cause: String| format!("cannot read {}: {cause}", file.display());
    let size = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(failed(format!("it is larger than {} MB", FILE_BYTES_MAX >> 20)));
    }
    let bytes = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| failed(format!("byte {} is not UTF-8", error.utf8_error().valid_up_to())))
}

/// Whether a text seems to have a section, judged as Logstash does: the word before a brace.
fn has_section(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| text[at + word.len()..].trim_start().starts_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, text: &str) -> Settings {
        let mut settings = Settings::new(&|_| None);
        settings.set(name, text).unwrap();
        settings
    }

    #[test]
    fn a_text_gets_what_it_lacks() {
        let names = |text: &str| -> Vec<String> {
            sources(&settings("config.string", text)).unwrap().files.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names("filter { }"), ["config.string", "default input", "default output"]);
        assert_eq!(names("input\n{ } output{ }"), ["config.string"]);
        assert_eq!(names("output { }"), ["config.string", "default input"]);
    }

    #[test]
    fn files_folders_and_patterns() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", "c.txt", ".hidden.conf", "d.conf~"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        std::fs::create_dir(folder.path().join("sub.conf")).unwrap();
        std::fs::write(folder.path().join("bad.bin"), [0xff]).unwrap();
        let texts = |rest: &str| {
            let path = format!("{}{rest}", folder.path().display());
            sources(&settings("path.config", &path))
                .map(|s| s.files.into_iter().map(|(_, text)| text).collect::<Vec<_>>())
        };
        assert_eq!(texts("/a.conf").unwrap(), ["a.conf"]);
        assert_eq!(texts("/*.conf").unwrap(), ["a.conf", "b.conf"]);
        assert_eq!(texts("/{c,a}.{conf,txt}").unwrap(), ["a.conf", "c.txt"]);
        assert!(texts("/none*").unwrap_err().to_string().contains("no file matches"));
        assert!(texts("").unwrap_err().to_string().ends_with("bad.bin: byte 0 is not UTF-8"));
    }
}
