//! Finds the files that the patterns name.

use super::Settings;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

/// As Ruby's `Dir.glob`: `*` leaves out hidden files and does not cross folders.
pub(super) const MATCH: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The files that match now, each once, with what the system says of them. Folders are left out.
pub(super) fn discover(settings: &Settings) -> Vec<(PathBuf, Metadata)> {
    let mut found = Vec::new();
    for pattern in &settings.patterns {
        // A plain path needs no listing of its folder.
        if !pattern.contains(['*', '?', '[']) {
            add(settings, PathBuf::from(pattern), &mut found);
            continue;
        }
        let Ok(paths) = glob::glob_with(pattern, MATCH) else { continue };
        for path in paths.flatten() {
            add(settings, path, &mut found);
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.dedup_by(|a, b| a.0 == b.0);
    found
}

fn add(settings: &Settings, path: PathBuf, found: &mut Vec<(PathBuf, Metadata)>) {
    let name = path.file_name().map(Path::new).unwrap_or(&path);
    if settings.exclude.iter().any(|p| p.matches_path(name) || p.matches_path(&path)) {
        return;
    }
    if let Ok(meta) = fs::metadata(&path)
        && !meta.is_dir()
    {
        found.push((path, meta));
    }
}

/// `a{b,c}` as `ab` and `ac`, which Ruby's globs know and the library does not.
pub(super) fn braces(pattern: &str) -> Vec<String> {
    let Some(open) = pattern.find('{') else { return vec![pattern.to_owned()] };
    let (mut depth, mut parts, mut from) = (0, Vec::new(), open + 1);
    for (at, c) in pattern.char_indices().skip_while(|&(at, _)| at < open) {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => {
                parts.push(&pattern[from..at]);
                let rest = &pattern[at + 1..];
                let each = |part: &str| braces(&format!("{}{part}{rest}", &pattern[..open]));
                return parts.into_iter().flat_map(each).collect();
            }
            '}' => depth -= 1,
            ',' if depth == 1 => {
                parts.push(&pattern[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    vec![pattern.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_expanded() {
        let check = |pattern: &str, expected: &[&str]| assert_eq!(braces(pattern), expected, "{pattern}");
        check("/a/*.log", &["/a/*.log"]);
        check("/a/{b,c}.log", &["/a/b.log", "/a/c.log"]);
        check("/{a,b{1,2}}/{x,y}", &["/a/x", "/a/y", "/b1/x", "/b1/y", "/b2/x", "/b2/y"]);
        check("/a{b", &["/a{b"]);
        check("/a{}", &["/a"]);
    }
}
