//! Patterns and texts from anybody: whatever they are, no panic and an end in time; where the
//! scanner has an answer, it is the regular expression's.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom::grok::{Candidates, Grok, Library, Options, Scratch, Set};

fuzz_target!(|input: (&str, &str)| {
    let (pattern, text) = input;
    // A small limit: the target looks for wrong answers, not for slow ones.
    let options = Options { named_captures_only: pattern.len() % 2 == 0, match_limit: 100_000 };
    let set = if text.len() % 2 == 0 { Set::Legacy } else { Set::Ecs };
    let Ok(grok) = Grok::compile(pattern, &Library::new(set), options) else { return };
    let (mut scanned, mut matched) = (Scratch::default(), Scratch::default());
    let answer = grok.scan(text.as_bytes(), false, &mut scanned);
    let Ok(found) = grok.captures_by_regexp(text, &mut matched) else { return };
    let mut bits = Vec::new();
    Candidates::new(std::iter::once(&grok)).find(text.as_bytes(), &mut bits);
    assert!(!found || bits[0] & 1 == 1);
    if let Some(answer) = answer {
        assert_eq!(answer, found, "{pattern:?} on {text:?}");
        // Without a match the spans mean nothing, and groups without a name are no field.
        for capture in grok.fields().iter().filter(|_| found) {
            assert_eq!(scanned.spans[capture.slot], matched.spans[capture.slot], "{pattern:?} on {text:?}");
        }
    }
});
