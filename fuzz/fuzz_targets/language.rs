//! Configurations from anybody: whatever the text, no panic; every mistake has a place and a
//! picture; what parses prints to what parses the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom::diagnostic::{Sources, render};
use logboom::language::{Language, compile, parse, print};
use logboom::plugin::Catalogue;

fuzz_target!(|text: &str| {
    let parsed = parse(text, 0);
    if parsed.diagnostics.is_empty() {
        let again = parse(&print(&parsed.tree), 0);
        assert_eq!(again.diagnostics, []);
        assert_eq!(again.tree, parsed.tree);
    }
    let sources = Sources { files: vec![("fuzz.conf".to_owned(), text.to_owned())] };
    let catalogue = Catalogue::built_in();
    let environment = |name: &str| (name.len() % 2 == 0).then(|| name.to_owned());
    let language = Language { catalogue: &catalogue, support_escapes: text.len() % 2 == 0, environment: &environment };
    let outcome = compile(&sources, &language);
    assert!(outcome.plan.is_some() || !outcome.diagnostics.is_empty());
    render(&outcome.diagnostics, &sources, true);
});
