//! Plugins that exist for the tests of the language alone.

use super::{Language, Outcome, compile};
use crate::diagnostic::Sources;
use crate::plugin::{Build, Catalogue, Opt, Spec, Type};

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

spec!(SPRING, "spring", Input, &[Opt::new("path", Type::Array, None, "Where it reads.")]);
spec!(RAW, "raw", Codec, &[Opt::new("charset", Type::Enum(&["UTF-8", "ASCII"]), None, "How text is coded.")]);
spec!(
    TURN,
    "turn",
    Filter,
    &[
        Opt::new("field", Type::Field, None, "What it turns."),
        Opt::new("match", Type::Hash, None, "What it looks for."),
        Opt::new("mode", Type::Enum(&["fast", "slow"]), None, "How it turns."),
        Opt::new("size", Type::Bytes, None, "How much it holds."),
        Opt::new("times", Type::Number, None, "How often."),
        Opt::new("turn_twice", Type::Boolean, None, "Whether it turns twice."),
    ]
);
spec!(DROP, "drop", Filter, &[]);
spec!(MOUTH, "mouth", Output, &[Opt::required("path", Type::Path, "Where it writes.")]);

/// `spring` → `raw` → `turn`, `drop` → `mouth`.
pub(crate) static CATALOGUE: Catalogue =
    Catalogue { inputs: &[&SPRING], codecs: &[&RAW], filters: &[&DROP, &TURN], outputs: &[&MOUTH], later: &[] };

/// Compiles one text against them, with `SET` as the only variable.
pub(crate) fn compile_text(text: &str) -> Outcome {
    compile_with(text, false)
}

/// The same with `config.support_escapes`.
pub(crate) fn compile_with(text: &str, support_escapes: bool) -> Outcome {
    let sources = Sources { files: vec![("test.conf".to_owned(), text.to_owned())] };
    let environment = |name: &str| (name == "SET").then(|| "val".to_owned());
    compile(&sources, &Language { catalogue: &CATALOGUE, support_escapes, environment: &environment })
}
