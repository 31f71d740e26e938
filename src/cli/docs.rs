//! `logboom docs`: the reference, printed from what plugins and settings say of themselves.
//!
//! `docs/plugins.md` and `config/logboom.yml` are what it prints; a test sees to it.

use crate::plugin::{self, Opt, Spec, Type};
use crate::settings::table::{Def, Effect, SETTINGS};
use crate::{codec, filter, input, output};
use std::fmt::Write;

/// The reference on standard output.
#[derive(clap::Parser, Debug)]
#[command(name = "logboom docs", bin_name = "logboom docs")]
pub struct Args {
    /// `plugins` for all of them as Markdown, `settings` for all settings as a logboom.yml, or the
    /// name of a plugin
    #[arg(default_value = "plugins")]
    pub of: String,
}

/// Runs the command from its arguments. Wrong ones end the process as clap does.
pub fn main(arguments: Vec<String>) -> anyhow::Result<()> {
    let args: Args = super::arguments("docs", arguments);
    let text = match args.of.as_str() {
        "plugins" => plugins(),
        "settings" => settings(),
        name => plugin_page(name)?,
    };
    match std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The settings file, with every setting commented out.
pub fn settings() -> String {
    let mut out = String::from(
        "# Every setting with its default, commented out. Printed by `logboom docs settings`.\n#\n\
         # The names are Logstash's. `path.settings` (or `--path.settings FOLDER`) says where this file\n\
         # lies; any setting can also be given as `--name=value`, which goes first. Values may hold\n\
         # `${VAR}` or `${VAR:default}`. Those marked (pipeline) can differ from pipeline to pipeline in\n\
         # pipelines.yml.\n",
    );
    for def in SETTINGS.iter().filter(|def| def.is_used()) {
        let mark = if def.pipeline { " (pipeline)" } else { "" };
        out.push('\n');
        comment(&format!("{}{mark}", def.doc), &mut out);
        setting(def, &mut out);
    }
    out.push_str("\n# Accepted since Logstash has them, without effect here. Where something differs for it, the\n# start says so.\n\n");
    for def in SETTINGS.iter().filter(|def| !def.is_used()) {
        if let Effect::Differs(why) = def.effect {
            comment(why, &mut out);
        }
        setting(def, &mut out);
    }
    out
}

fn setting(def: &Def, out: &mut String) {
    let _ = writeln!(out, "# {}:{}{}", def.name, if def.default.is_empty() { "" } else { " " }, def.default);
}

/// Text in comments of at most 100 columns.
fn comment(text: &str, out: &mut String) {
    let mut column = 0;
    for word in text.split(' ') {
        let width = word.chars().count() + 1;
        if column == 0 || column + width > 100 {
            out.push_str(if column == 0 { "#" } else { "\n#" });
            column = 1;
        }
        let _ = write!(out, " {word}");
        column += width;
    }
    out.push('\n');
}

/// The page of the plugins.
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

/// The pages of all plugins of a name, whatever their kind.
pub fn plugin_page(name: &str) -> anyhow::Result<String> {
    let all = [
        ("input", input::INPUTS, plugin::COMMON_INPUT),
        ("codec", codec::CODECS, plugin::COMMON_CODEC),
        ("filter", filter::FILTERS, plugin::COMMON_FILTER),
        ("output", output::OUTPUTS, plugin::COMMON_OUTPUT),
    ];
    let mut out = String::new();
    for (kind, specs, common) in all {
        for spec in specs.iter().filter(|spec| spec.name == name) {
            let _ = writeln!(out, "{}# The {kind} `{name}`", if out.is_empty() { "" } else { "\n" });
            let mut text = String::new();
            page(spec, &mut text);
            // The heading is above.
            out.push_str(text.trim_start().split_once('\n').map_or("", |(_, rest)| rest));
            let _ = writeln!(out, "\nEvery {kind} also takes:\n");
            options(common, &mut out);
        }
    }
    if out.is_empty() {
        let names = all.iter().flat_map(|(_, specs, _)| specs.iter().map(|spec| spec.name));
        let near = crate::language::suggest::did_you_mean(name, names.chain(["plugins", "settings"]));
        let near = near.unwrap_or_else(|| "`logboom docs` prints all of them".to_owned());
        anyhow::bail!("there is no plugin `{name}`: {near}");
    }
    Ok(out)
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
        let _ = writeln!(
            out,
            "| `{}` | {} | {default} | {} |",
            option.name,
            takes(option.ty),
            cell(&format!("{}{}", if option.idle { "Accepted for Logstash's sake: " } else { "" }, option.doc))
        );
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
        Type::Any => "as described".to_owned(),
    }
}

/// Text that fits in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', "\\n")
}
