//! `logboom docs`: the plugins' options as a page, printed from what the plugins say of themselves.
//!
//! `docs/plugins.md` is this page; a test sees to it.

use crate::plugin::{self, Opt, Spec, Type};
use crate::{codec, filter, input, output};
use std::fmt::Write;

/// The page.
pub fn plugins() -> String {
    let mut out = String::from(
        "# Plugins and their options\n\nPrinted from the plugins' own descriptions by `logboom docs`; \
         don't edit it.\nThe names, defaults and meanings are Logstash's.\n",
    );
    let sections: [(&str, &[&Spec], &[Opt]); 4] = [
        ("Inputs", input::INPUTS, plugin::COMMON_INPUT),
        ("Codecs", codec::CODECS, plugin::COMMON_CODEC),
        ("Filters", filter::FILTERS, plugin::COMMON_FILTER),
        ("Outputs", output::OUTPUTS, plugin::COMMON_OUTPUT),
    ];
    for (title, specs, common) in sections {
        let _ = writeln!(out, "\n## {title}\n\nEvery one of them takes these options:\n");
        options(common, &mut out);
        for spec in specs {
            page(spec, &mut out);
        }
    }
    out
}

fn page(spec: &Spec, out: &mut String) {
    let _ = writeln!(out, "\n### `{}`\n\n{}\n", spec.name, spec.summary);
    if spec.options.is_empty() {
        out.push_str("No options of its own.\n");
    } else {
        options(spec.options, out);
    }
    for example in spec.examples {
        let config = example.config.trim();
        let _ = writeln!(out, "\n{}:\n\n```\n{config}\n```\n", example.title.trim_end_matches(['.', ':']));
        let _ = writeln!(out, "in:\n\n```json\n{}\n```\n\nout:\n", example.given.trim());
        let then = example.then.trim();
        if then.is_empty() {
            out.push_str("nothing\n");
        } else {
            let _ = writeln!(out, "```json\n{then}\n```");
        }
    }
}

fn options(options: &[Opt], out: &mut String) {
    out.push_str("| option | takes | default | |\n| --- | --- | --- | --- |\n");
    for option in options {
        let default = match option.default {
            Some(default) => format!("`{}`", cell(default)),
            None if option.required => "required".to_owned(),
            None => String::new(),
        };
        let _ = writeln!(out, "| `{}` | {} | {default} | {} |", option.name, takes(option.ty), cell(option.doc));
    }
}

fn takes(ty: Type) -> String {
    match ty {
        Type::Boolean => "boolean".to_owned(),
        Type::Number => "number".to_owned(),
        Type::String => "string".to_owned(),
        Type::Enum(of) => of.iter().map(|o| format!("`{o}`")).collect::<Vec<_>>().join(", "),
        Type::Hash => "hash".to_owned(),
        Type::Array => "array".to_owned(),
        Type::Path => "path".to_owned(),
        Type::Password => "password".to_owned(),
        Type::Bytes => "bytes".to_owned(),
        Type::Field => "field reference".to_owned(),
        Type::Codec => "codec".to_owned(),
        Type::Any => "see there".to_owned(),
    }
}

/// Text that fits in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', "\\n")
}
