//! Pictures of every diagnostic of the language: `tests/language/*.conf` beside their snapshots.
//!
//! The plugins are made up, so that a new plugin or option changes no picture.

use logboom::diagnostic::{Sources, render};
use logboom::language::{Language, compile};
use logboom::plugin::{Build, Catalogue, Kind, Opt, Spec, Type};
use std::path::Path;

macro_rules! spec {
    ($name:ident, $word:literal, $kind:ident, $options:expr) => {
        static $name: Spec = Spec {
            name: $word,
            summary: "For tests.",
            options: $options,
            examples: &[],
            build: Build::$kind(|_, _| Err(Vec::new())),
        };
    };
}

spec!(FILE, "file", Input, &[Opt::required("path", Type::Array, "Files to read.")]);
spec!(STDIN, "stdin", Input, &[]);
spec!(JSON, "json", Codec, &[Opt::new("target", Type::Field, None, "Where the object goes.")]);
spec!(PLAIN, "plain", Codec, &[]);
spec!(DATE, "date", Filter, &[Opt::new("match", Type::Array, None, "Field and formats.")]);
spec!(DROP, "drop", Filter, &[Opt::new("percentage", Type::Number, Some("100"), "How many.")]);
spec!(
    GROK,
    "grok",
    Filter,
    &[
        Opt::new("break_on_match", Type::Boolean, Some("true"), "Whether the first match is enough."),
        Opt::idle("engine", Type::String, None, "There is one engine."),
        Opt::new("match", Type::Hash, None, "Field and patterns."),
        Opt::new("mode", Type::Enum(&["fast", "thorough"]), Some("fast"), "How hard it tries."),
        Opt::new("overwrite", Type::Array, None, "Fields to overwrite."),
        Opt::new("timeout_bytes", Type::Bytes, None, "How much it tries."),
    ]
);
spec!(STDOUT, "stdout", Output, &[]);

static CATALOGUE: Catalogue = Catalogue {
    inputs: &[&FILE, &STDIN],
    codecs: &[&JSON, &PLAIN],
    filters: &[&DATE, &DROP, &GROK],
    outputs: &[&STDOUT],
    later: &[(Kind::Filter, &["ruby"], "what others do meanwhile")],
};

#[test]
fn every_mistake_has_its_picture() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".conf").map(str::to_owned))
        .collect();
    names.sort();
    let mut seen = Vec::new();
    for name in names {
        let text = std::fs::read_to_string(folder.join(format!("{name}.conf"))).unwrap();
        let sources = Sources { files: vec![(format!("{name}.conf"), text)] };
        let language = Language { catalogue: &CATALOGUE, support_escapes: false, environment: &|_| None };
        let outcome = compile(&sources, &language);
        seen.extend(outcome.diagnostics.iter().map(|diagnostic| diagnostic.code));
        let picture = render(&outcome.diagnostics, &sources, false);
        insta::with_settings!({ snapshot_path => &folder, prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, picture);
        });
    }
    // The plugins' own mistakes are pictured below, those of rules where rules are.
    let elsewhere = ["C024", "C025", "C027", "C028"];
    let missing: Vec<_> = logboom::diagnostic::code::ALL
        .iter()
        .filter(|code| code.starts_with('C') && !seen.contains(code) && !elsewhere.contains(code))
        .collect();
    assert!(missing.is_empty(), "no picture of {missing:?}");
}

/// Pictures of what plugins refuse: `tests/plugin/*.conf`, as the program says it at its start.
#[test]
fn every_mistake_of_plugins_has_its_picture() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugin");
    let data = tempfile::tempdir().unwrap();
    let mut all = String::new();
    for name in ["address", "choice", "file", "pattern", "value"] {
        let output = crate::program::logboom()
            .arg(crate::program::data_in(data.path()))
            .args(["-f", &format!("{name}.conf")])
            .current_dir(&folder)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("the program starts");
        assert_eq!(output.status.code(), Some(1), "{name}");
        let picture = String::from_utf8(output.stderr).unwrap();
        all += &picture;
        insta::with_settings!({ snapshot_path => &folder, prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, picture);
        });
    }
    for code in ["C010", "C012", "C015", "C018", "C019", "C024", "C025", "C027", "C028"] {
        assert!(all.contains(&format!("[{code}]")), "no picture of {code}");
    }
}

#[test]
fn built_in_plugins_are_found_by_kind() {
    let catalogue = Catalogue::built_in();
    for kind in [Kind::Input, Kind::Codec, Kind::Filter, Kind::Output] {
        assert!(catalogue.of(kind).iter().all(|spec| spec.kind() == kind));
    }
}
