//! The `translate` filter: replaces values by what a dictionary says of them, as Logstash's
//! logstash-filter-translate.
//!
//! A dictionary stands in the configuration or in a file, which is read again when it changes.
//! All workers share it; none waits while it is read.

mod dictionary;
mod update;

use super::{Filter, Run, refresh};
use crate::diagnostic::{Diagnostic, code};
use crate::event::yaml::Schema;
use crate::event::{Data, FieldRef};
use crate::plugin::{Build, Built, Context, Example, Literal, Opt, Options, Setting, Spec, Type};
use dictionary::{Dictionary, File, Format, Mode, Pairs, Shared};
use std::sync::{Arc, Weak};
use std::time::Duration;
use update::{Scratch, Update};

pub(super) static SPEC: Spec = Spec {
    name: "translate",
    summary: "Replaces values by what a dictionary says of them.",
    options: &[
        Opt::new("destination", Type::Field, None, "The old name of `target`."),
        Opt::new("dictionary", Type::Hash, Some("{}"), "Keys and their values."),
        Opt::new("dictionary_path", Type::Path, None, "A file of keys and values: `.yml`, `.yaml`, `.json` or `.csv`."),
        Opt::new(
            "exact",
            Type::Boolean,
            Some("true"),
            "Whether the whole text must be a key; else every key that stands in the text is replaced there.",
        ),
        Opt::new("fallback", Type::String, None, "The value where no key fits; may refer to fields."),
        Opt::new("field", Type::Field, None, "The old name of `source`."),
        Opt::new(
            "iterate_on",
            Type::Field,
            None,
            "An array to go through: the same as `source` where its elements are looked up themselves, else `source` and `target` are fields of its elements.",
        ),
        Opt::new(
            "override",
            Type::Boolean,
            None,
            "Whether a target that is there is replaced; true where `source` is the target, else false.",
        ),
        Opt::new(
            "refresh_behaviour",
            Type::Enum(&["merge", "replace"]),
            Some("merge"),
            "Whether keys that a newer file no longer has stay.",
        ),
        Opt::new(
            "refresh_interval",
            Type::Number,
            Some("300"),
            "Seconds between two looks at the file; never for zero or less. At up to 300 it is read again only if it changed.",
        ),
        Opt::new("regex", Type::Boolean, Some("false"), "Whether keys are regular expressions; needs `exact`."),
        Opt::new("source", Type::Field, None, "The field that is looked up; of an array, its first element."),
        Opt::new(
            "target",
            Type::Field,
            None,
            "The field for the value: `source` itself in ECS mode, else `translation` by default.",
        ),
        Opt::new(
            "yaml_dictionary_code_point_limit",
            Type::Number,
            Some("134217728"),
            "How many characters a YAML file may have.",
        ),
        Opt::new(
            "yaml_load_strategy",
            Type::Enum(&["one_shot", "streaming"]),
            Some("one_shot"),
            "How scalars without quotes are read: as Ruby's YAML, or only null, true, false and decimal numbers as such.",
        ),
    ],
    examples: &[
        Example {
            title: "A status in words",
            config: r#"translate { source => "status" target => "meaning" dictionary => { "200" => "OK" "404" => "Not Found" } fallback => "other" }"#,
            given: r#"{"status":404}"#,
            then: r#"{"status":404,"meaning":"Not Found"}"#,
        },
        Example {
            title: "Parts of a text",
            config: r#"translate { source => "m" target => "m" exact => false dictionary => { "foo" => "bar" } }"#,
            given: r#"{"m":"foofing"}"#,
            then: r#"{"m":"barfing"}"#,
        },
    ],
    build: Build::Filter(build),
};

struct Translate {
    dictionary: Arc<Shared>,
    update: Arc<Update>,
    scratch: Scratch,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Filter>> {
    let mut errors = Vec::new();
    let dictionary = dictionary(options, context, &mut errors);
    let update = update(options, context, &mut errors);
    let (Some(dictionary), Some(update), true) = (dictionary, update, errors.is_empty()) else { return Err(errors) };
    let dictionary = Arc::new(dictionary);
    let interval = options.number("refresh_interval").unwrap_or(300.0);
    if options.has("dictionary_path") && interval > 0.0 && !context.check_only {
        let weak: Weak<Shared> = Arc::downgrade(&dictionary);
        refresh::every(Duration::try_from_secs_f64(interval).unwrap_or(Duration::MAX / 4), weak);
    }
    Ok(Box::new(Translate { dictionary, update: Arc::new(update), scratch: Scratch::default() }))
}

/// The dictionary of the configuration or of a file.
fn dictionary(options: &Options, context: &Context, errors: &mut Vec<Diagnostic>) -> Option<Shared> {
    let mode = match (options.bool("exact", true), options.bool("regex", false)) {
        (true, true) => Mode::Regexp,
        (true, false) => Mode::Exact,
        (false, _) => Mode::Replace,
    };
    let mut refuse = |code, option: &str, message: String| {
        errors.push(Diagnostic::error(code, options.place_of(option), message));
    };
    let Some(path) = options.str("dictionary_path") else {
        let mut pairs = Pairs::default();
        // Numbers without quotes match nothing, as in Logstash: a value is looked up as text.
        let texts = options.hash("dictionary").iter().filter(|(key, _)| matches!(key.value, Literal::String(_)));
        texts.for_each(|(key, value)| pairs.add(key.as_str().unwrap_or_default(), data(value)));
        return Dictionary::new(pairs, mode)
            .map(Shared::fixed)
            .map_err(|error| refuse(code::PATTERN, "dictionary", error.to_string()))
            .ok();
    };
    if !options.hash("dictionary").is_empty() {
        refuse(code::VALUE, "dictionary_path", "`dictionary` and `dictionary_path` exclude each other".to_owned());
    }
    let Some(format) = Format::of(path) else {
        let message = format!("cannot tell the format of `{path}`: it must end in .yml, .yaml, .json or .csv");
        refuse(code::VALUE, "dictionary_path", message);
        return None;
    };
    const LIMIT: &str = "yaml_dictionary_code_point_limit";
    match options.number(LIMIT) {
        Some(_) if format != Format::Yaml => refuse(code::VALUE, LIMIT, format!("`{LIMIT}` is for YAML files only")),
        Some(limit) if limit <= 0.0 => refuse(code::VALUE, LIMIT, format!("`{LIMIT}` must be more than zero")),
        _ => {}
    }
    let file = File {
        path: path.into(),
        format,
        mode,
        schema: if options.str("yaml_load_strategy") == Some("streaming") { Schema::Simple } else { Schema::Psych },
        code_points: options.number(LIMIT).unwrap_or(134_217_728.0) as usize,
        merge: options.str("refresh_behaviour") != Some("replace"),
        always: options.number("refresh_interval").unwrap_or(300.0) > 300.0,
    };
    match Shared::open(file) {
        Ok(shared) => Some(shared),
        Err(dictionary::DictionaryError::Io(error)) if context.check_only => {
            tracing::warn!("cannot read dictionary `{path}`: {error}");
            Dictionary::new(Pairs::default(), mode).map(Shared::fixed).ok()
        }
        Err(error) => {
            refuse(code::FILE, "dictionary_path", format!("cannot read dictionary `{path}`: {error}"));
            None
        }
    }
}

/// What is looked up and where the value goes.
fn update(options: &Options, context: &Context, errors: &mut Vec<Diagnostic>) -> Option<Update> {
    let mut refuse = |option: &str, message: &str| {
        errors.push(Diagnostic::error(code::VALUE, options.place_of(option), message));
    };
    for (old, new) in [("field", "source"), ("destination", "target")] {
        if options.has(old) && options.has(new) {
            refuse(old, &format!("`{old}` is the old name of `{new}`: only one of them can be given"));
        }
    }
    let Some(source) = options.str("source").or(options.str("field")) else {
        errors.push(Diagnostic::error(code::REQUIRED, options.place, "`translate` needs the setting `source`"));
        return None;
    };
    let default = if context.ecs { source } else { "translation" };
    let target = options.str("target").or(options.str("destination")).unwrap_or(default);
    let in_place = source == target;
    if in_place && options.has("override") && !options.bool("override", true) {
        refuse("override", "`override => false` has no effect where `source` is the target");
    }
    let field = |text: &str| FieldRef::parse(text).ok();
    Some(Update {
        source: field(source)?,
        target: field(target)?,
        iterate: match options.str("iterate_on") {
            None => update::Iterate::No,
            Some(array) if array == source => update::Iterate::Values,
            Some(array) => update::Iterate::Maps(field(array)?),
        },
        replaces: options.bool("override", in_place),
        in_place,
        fallback: options.template("fallback"),
    })
}

/// A setting as a value.
fn data(setting: &Setting) -> Data {
    match &setting.value {
        Literal::String(text) => Data::Text(text.as_str().into()),
        Literal::Number(number, text) => text.parse().map_or(Data::Float(*number), Data::Int),
        Literal::Array(elements) => Data::List(elements.iter().map(data).collect()),
        Literal::Hash(pairs) => Data::Map(pairs.iter().map(|(key, value)| (data(key), data(value))).collect()),
        Literal::Plugin(call) => Data::Text(call.name.as_str().into()),
    }
}

impl Filter for Translate {
    fn run(&mut self, batch: &mut crate::event::Batch, run: &mut Run) {
        let dictionary = self.dictionary.now.load();
        for &event in run.events {
            if self.update.apply(&dictionary, batch, event, &mut self.scratch) {
                run.matched.push(event);
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        let (dictionary, update) = (self.dictionary.clone(), self.update.clone());
        Box::new(Translate { dictionary, update, scratch: Scratch::default() })
    }
}

#[cfg(test)]
mod tests;
