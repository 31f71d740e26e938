//! Takes the patterns that tell user agents out of the package of the crate `ua-parser`, which
//! ships them, and puts them into the form that `src/filter/useragent` reads.
//!
//! Cargo says where the package lies; nothing is downloaded.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=Cargo.lock");
    let package = package("ua-parser").unwrap_or_else(|why| panic!("cannot find the package ua-parser: {why}"));
    let regexes = package.join("uap-core/regexes.yaml");
    let text = fs::read_to_string(&regexes).unwrap_or_else(|e| panic!("cannot read {}: {e}", regexes.display()));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("user_agents.tsv"), compact(&text)).expect("cannot write to OUT_DIR");
    // For tests: what the patterns should find.
    println!("cargo:rustc-env=UAP_CORE={}", package.join("uap-core").display());
}

/// The folder of a package among the dependencies. Asked about a package that has only this one as
/// dependency: of our own, those for tests and for other systems may never have been downloaded.
fn package(name: &str) -> Result<PathBuf, String> {
    let variable = |name: &str| env::var_os(name).ok_or_else(|| format!("cargo does not say {name}"));
    let (cargo, ours) = (variable("CARGO")?, PathBuf::from(variable("CARGO_MANIFEST_DIR")?));
    let folder = Path::new(&variable("OUT_DIR")?).join("package");
    let manifest = folder.join("Cargo.toml");
    let text = format!(
        "[package]\nname = \"logboom\"\nedition = \"2024\"\n[workspace]\n[lib]\npath = \"none.rs\"\n[dependencies]\n{name} = \"*\"\n"
    );
    // The lock file decides on the version.
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&manifest, text))
        .and_then(|()| fs::copy(ours.join("Cargo.lock"), folder.join("Cargo.lock")))
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--offline"])
        .arg("--filter-platform")
        .arg(variable("TARGET")?)
        .arg("--manifest-path")
        .arg(&manifest)
        // Where sources are replaced, the configuration beside our manifest says so.
        .current_dir(ours)
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let metadata = String::from_utf8_lossy(&output.stdout);
    let starts = [format!("{name}-"), name.to_owned()];
    let paths = metadata.split("\"manifest_path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let folders = paths.filter_map(|path| Path::new(path).parent());
    let mut fits = folders.filter(|folder| {
        let folder = folder.file_name().and_then(|f| f.to_str()).unwrap_or_default();
        folder == starts[1]
            || folder.strip_prefix(&starts[0]).is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()))
    });
    fits.next().map(Path::to_path_buf).ok_or_else(|| "it is no dependency".to_owned())
}

/// A pattern that takes a build (`10.14.4 (Build 18E226)`) for the version, and what Logstash makes
/// of it.
const MENDED: (&str, &str) = (r"Mac OS X\s.{1,50}\s(", r"Mac OS X\s.{1,50}?\s(");

/// One rule a line: its kind, then the values of its keys, `=` before each that is given.
fn compact(yaml: &str) -> String {
    let mut out = String::new();
    let (mut kind, mut rule): (char, Vec<(String, String)>) = (' ', Vec::new());
    for line in yaml.lines() {
        let text = line.trim();
        if !line.starts_with(' ') && text.ends_with(':') {
            flush(kind, &mut rule, &mut out);
            kind = text.chars().next().unwrap_or(' ');
        } else if let Some((key, value)) = text.trim_start_matches("- ").split_once(": ") {
            if text.starts_with('#') {
                continue;
            }
            if text.starts_with("- ") {
                flush(kind, &mut rule, &mut out);
            }
            rule.push((key.trim().to_owned(), scalar(value)));
        }
    }
    flush(kind, &mut rule, &mut out);
    out
}

/// A value in single quotes, as the file has them; what follows the closing one is a comment.
fn scalar(value: &str) -> String {
    let Some(inner) = value.trim().strip_prefix('\'') else { return value.trim().to_owned() };
    let mut out = String::new();
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.peek() == Some(&'\'') => {
                chars.next();
                out.push(c);
            }
            '\'' => break,
            c => out.push(c),
        }
    }
    out
}

fn flush(kind: char, rule: &mut Vec<(String, String)>, out: &mut String) {
    let keys = match kind {
        'u' => ["regex", "regex_flag", "family_replacement", "v1_replacement", "v2_replacement", "v3_replacement"],
        'o' => ["regex", "regex_flag", "os_replacement", "os_v1_replacement", "os_v2_replacement", "os_v3_replacement"],
        _ => ["regex", "regex_flag", "device_replacement", "", "", ""],
    };
    if rule.is_empty() {
        return;
    }
    out.push(kind);
    for key in keys {
        out.push('\t');
        if let Some((_, value)) = rule.iter().find(|(k, _)| k == key) {
            out.push('=');
            out.push_str(&value.replace(MENDED.0, MENDED.1));
        }
    }
    out.push('\n');
    rule.clear();
}
