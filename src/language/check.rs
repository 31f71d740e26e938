//! Holds plugins against what they say of themselves: names, settings, types, required ones,
//! ids. Every mistake is reported, none ends the check. Which plugins there are is told from
//! outside.

use super::ast::{Attribute, Plugin};
use super::variable::Environment;
use super::{print, suggest, value};
use crate::diagnostic::{Diagnostic, Place, code};
use crate::plugin::{Call, Catalogue, Kind, Options, Spec};
use std::collections::HashSet;

/// What the language is told from outside.
#[derive(Clone, Copy)]
pub struct Language<'a> {
    /// Which plugins there are.
    pub catalogue: &'a Catalogue,
    /// `config.support_escapes`: whether `\n` in a text is a line feed.
    pub support_escapes: bool,
    /// Where `${NAME}` comes from.
    pub environment: Environment<'a>,
}

pub(super) struct Checker<'a> {
    pub(super) language: Language<'a>,
    pub(super) diagnostics: Vec<Diagnostic>,
    ids: HashSet<String>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(language: Language<'a>) -> Checker<'a> {
        Checker { language, diagnostics: Vec::new(), ids: HashSet::new() }
    }

    pub(super) fn report(&mut self, mistake: Diagnostic) {
        self.diagnostics.push(mistake);
    }

    /// A plugin with its settings resolved and checked. With mistakes it is incomplete.
    pub(super) fn call(&mut self, kind: Kind, plugin: &Plugin) -> Call {
        let place = plugin.at.0;
        let spec = self.spec(kind, &plugin.name, place);
        let mut options = Options { settings: Vec::new(), place };
        for attribute in &plugin.attributes {
            self.add(&mut options, attribute);
        }
        if let Some(spec) = spec {
            let given = std::mem::take(&mut options.settings);
            for required in spec.options.iter().chain(spec.common()).filter(|o| o.required) {
                if !given.iter().any(|(name, ..)| name == required.name) {
                    let message = format!("`{}` needs the setting `{}`", spec.name, required.name);
                    self.report(Diagnostic::error(code::REQUIRED, place, message).label(required.doc));
                }
            }
            for (name, at, setting) in given {
                match spec.option(&name) {
                    None => self.unknown_option(spec, &name, at),
                    Some(option) => {
                        if option.idle {
                            let message = format!("`{name}` has no effect here");
                            self.report(Diagnostic::error(code::UNUSED, at, message).label(option.doc).warning());
                        }
                        if let Some(setting) = self.coerce(&name, option.ty, setting) {
                            options.settings.push((name, at, setting));
                        }
                    }
                }
            }
        }
        let id = self.given_id(&options).unwrap_or_else(|| base_id(kind, plugin));
        Call { name: plugin.name.clone(), place, id, options }
    }

    fn add(&mut self, options: &mut Options, attribute: &Attribute) {
        let setting = self.resolve(&attribute.value);
        match options.settings.iter_mut().find(|(name, ..)| *name == attribute.name) {
            None => options.settings.push((attribute.name.clone(), attribute.at.0, setting)),
            Some((name, _, known)) => {
                if let Err(place) = value::merge(known, setting) {
                    let message = format!("`{name}` is a hash above and something else here");
                    let mistake = Diagnostic::error(code::TYPE, place, message);
                    self.report(mistake.label("a repeated setting must be of the same kind"));
                }
            }
        }
    }

    /// What a plugin says of itself, if there is one of that name.
    pub(super) fn spec(&mut self, kind: Kind, name: &str, place: Place) -> Option<&'static Spec> {
        let specs = self.language.catalogue.of(kind);
        if let Some(spec) = specs.iter().find(|spec| spec.name == name) {
            return Some(spec);
        }
        let names = || specs.iter().map(|spec| spec.name);
        let mut mistake = Diagnostic::error(code::PLUGIN, place, format!("unknown {} `{name}`", word(kind)));
        let elsewhere = [Kind::Input, Kind::Codec, Kind::Filter, Kind::Output]
            .into_iter()
            .find(|&other| self.language.catalogue.of(other).iter().any(|spec| spec.name == name));
        if let Some(later) = self.language.catalogue.later(kind, name) {
            self.report(mistake.label("not there yet").note(later));
            return None;
        }
        if let Some(near) = suggest::did_you_mean(name, names()) {
            mistake = mistake.label(near);
        } else if let Some(other) = elsewhere {
            mistake = mistake.label(format!("`{name}` is {}", with_article(other)));
        } else {
            mistake = mistake.label("no such plugin");
        }
        self.report(mistake.note(format!("{}s: {}", word(kind), suggest::near(name, names()))));
        None
    }

    fn unknown_option(&mut self, spec: &Spec, name: &str, place: Place) {
        let own = || spec.options.iter().map(|option| option.name);
        let all = own().chain(spec.common().iter().map(|option| option.name));
        let message = format!("unknown setting `{name}` for {} `{}`", word(spec.kind()), spec.name);
        let label = suggest::did_you_mean(name, all).unwrap_or_else(|| "no such setting".to_owned());
        let note = match spec.options {
            [] => format!("`{}` takes only what every {} takes", spec.name, word(spec.kind())),
            _ => format!("`{}` takes: {}", spec.name, suggest::near(name, own())),
        };
        self.report(Diagnostic::error(code::OPTION, place, message).label(label).note(note));
    }

    fn given_id(&mut self, options: &Options) -> Option<String> {
        let id = options.str("id").filter(|id| !id.is_empty())?.to_owned();
        if !self.ids.insert(id.clone()) {
            let message = format!("two plugins have the id `{id}`");
            let mistake = Diagnostic::error(code::DUPLICATE_ID, options.place_of("id"), message);
            self.report(mistake.label("an id is unique in its pipeline"));
        }
        Some(id)
    }

    /// Makes the id of a call final, once all given ids are known.
    pub(super) fn settle_id(&mut self, kind: Kind, call: &mut Call) {
        let Some(base) = call.id.strip_prefix(UNSETTLED) else { return };
        let first = if kind == Kind::Input { format!("{base}_1") } else { base.to_owned() };
        let id = std::iter::once(first)
            .chain((2..).map(|n| format!("{base}_{n}")))
            .find(|id| !self.ids.contains(id))
            .expect("BUG: a sequence without end");
        self.ids.insert(id.clone());
        call.id = id;
    }
}

/// Stands before an id that is not final yet; no configuration can contain it in an id of its
/// own that matters, since given ids are final at once.
const UNSETTLED: char = '\0';

/// What the id of a plugin without one is made from: the same at each start.
///
/// Filters and outputs get a hash of their text, as in Logstash. Inputs are numbered, because
/// what was read is remembered under their id: changing a setting of an input must not make it
/// read everything again.
fn base_id(kind: Kind, plugin: &Plugin) -> String {
    let hash = || xxhash_rust::xxh3::xxh3_64(print::plugin_text(plugin).as_bytes());
    match kind {
        Kind::Input => format!("{UNSETTLED}{}", plugin.name),
        Kind::Filter | Kind::Output => format!("{UNSETTLED}{}_{:016x}", plugin.name, hash()),
        Kind::Codec => format!("{}_{:016x}", plugin.name, hash()),
    }
}

/// The word for a kind of plugin.
pub(super) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Input => "input",
        Kind::Codec => "codec",
        Kind::Filter => "filter",
        Kind::Output => "output",
    }
}

fn with_article(kind: Kind) -> &'static str {
    match kind {
        Kind::Input => "an input",
        Kind::Codec => "a codec",
        Kind::Filter => "a filter",
        Kind::Output => "an output",
    }
}
