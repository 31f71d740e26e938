//! The `useragent` filter: browser, system and device out of a user agent's name, as Logstash's
//! logstash-filter-useragent.
//!
//! What was found is remembered per worker; within a batch even the values are made only once.

mod need;
mod patterns;

use super::common::set;
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, EventId, FieldId, FieldRef, Span, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use patterns::{Agent, PATTERNS, Patterns, Scratch, Version};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "useragent",
    summary: "Tells browser, system and device of a user agent's name.",
    options: &[
        Opt::new(
            "lru_cache_size",
            Type::Number,
            Some("100000"),
            "How many names each worker remembers what was found for.",
        ),
        Opt::new("prefix", Type::String, Some("\"\""), "What to put before each field's name; not in ECS mode."),
        Opt::new("regexes", Type::Path, None, "A file of patterns in the form of uap-core's `regexes.yaml`."),
        Opt::required("source", Type::Field, "The field with the user agent's name; of an array, its first element."),
        Opt::new(
            "target",
            Type::Field,
            None,
            "The field under which the fields are put: `user_agent` in ECS mode, else none by default.",
        ),
    ],
    examples: &[Example {
        title: "A browser",
        config: r#"useragent { source => "agent" ecs_compatibility => v8 }"#,
        given: r#"{"agent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.11; rv:45.0) Gecko/20100101 Firefox/45.0"}"#,
        then: r#"{"user_agent":{"name":"Firefox","device":{"name":"Mac"},"version":"45.0","os":{"version":"10.11","name":"Mac OS X","full":"Mac OS X 10.11"}}}"#,
    }],
    build: Build::Filter(build),
};

/// Longer names are not remembered: a cache of them could fill memory.
const NAME_BYTES_MAX: usize = 2048;

/// The fields, in the order of [`Leaf`].
const FIELDS: usize = 13;

/// What a field holds.
#[derive(Clone, Copy)]
enum Leaf {
    Name,
    Device,
    Major,
    Minor,
    Patch,
    Version,
    SystemMajor,
    SystemMinor,
    SystemPatch,
    SystemVersion,
    SystemName,
    /// The same again, in legacy mode.
    System,
    SystemFull,
}

struct Plan {
    source: FieldRef,
    /// Whether the source is removed, since it is the target.
    replaces: bool,
    fields: [Option<FieldRef>; FIELDS],
    /// Patterns of an own file.
    own: Option<Patterns>,
    cache: usize,
}

struct UserAgent {
    plan: Arc<Plan>,
    scratch: Scratch,
    cache: Cache,
    /// Counts calls, so that values of another batch are known.
    run: u64,
}

/// What was found for a name: field by number and its text, and the values that these make.
struct Known {
    leaves: Vec<(u8, Box<str>)>,
    /// For which call the values were made.
    run: u64,
    /// Top-level fields and their values for an event that has none of them.
    made: Vec<(FieldId, Value)>,
}

/// Remembers the names used last, at most `size`: when half of that is new since the last time,
/// what was not asked for since then is forgotten.
struct Cache {
    size: usize,
    young: HashMap<Box<str>, Known>,
    old: HashMap<Box<str>, Known>,
}

impl Cache {
    fn new(size: usize) -> Cache {
        Cache { size, young: HashMap::new(), old: HashMap::new() }
    }

    fn get(&mut self, name: &str, find: impl FnOnce() -> Known) -> &mut Known {
        // Asked twice, since the borrow checker does not see that the first answer ends here.
        if !self.young.contains_key(name) {
            let (key, known) = self.old.remove_entry(name).unwrap_or_else(|| (name.into(), find()));
            if self.young.len() >= (self.size / 2).max(1) {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(key, known);
        }
        self.young.get_mut(name).expect("BUG: what was put into a cache is gone")
    }
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Filter>> {
    let mut errors = Vec::new();
    let own = options.str("regexes").and_then(|path| match std::fs::read_to_string(path) {
        Ok(text) => Patterns::parse(&text)
            .map_err(|error| {
                let message = format!("cannot read patterns of `{path}`: {error}");
                errors.push(Diagnostic::error(code::FILE, options.place_of("regexes"), message));
            })
            .ok(),
        Err(error) if context.check_only => {
            tracing::warn!("cannot read patterns of `{path}`: {error}");
            None
        }
        Err(error) => {
            let message = format!("cannot read patterns of `{path}`: {error}");
            errors.push(Diagnostic::error(code::FILE, options.place_of("regexes"), message));
            None
        }
    });
    let cache = options.number("lru_cache_size").unwrap_or(100_000.0);
    if cache < 1.0 {
        let message = "`lru_cache_size` must be more than zero";
        errors.push(Diagnostic::error(code::VALUE, options.place_of("lru_cache_size"), message));
    }
    let prefix = options.str("prefix").unwrap_or_default();
    if context.ecs && !prefix.is_empty() {
        tracing::warn!("`prefix` has no effect in ECS mode: useragent `{}`", context.id);
    }
    let fields = match fields(options.str("target"), prefix, context.ecs) {
        Some(fields) => fields,
        None => {
            let message = format!("`{prefix}` can't begin the name of a field");
            errors.push(Diagnostic::error(code::FIELD, options.place_of("prefix"), message));
            Default::default()
        }
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    let source = options.field("source").unwrap_or_else(|| FieldRef::of("message"));
    let replaces = options.has("target") && options.str("target") == options.str("source");
    let plan = Plan { source, replaces, fields, own, cache: cache as usize };
    Ok(Box::new(UserAgent::new(Arc::new(plan))))
}

/// The fields by [`Leaf`], `None` for one that this mode has not.
fn fields(target: Option<&str>, prefix: &str, ecs: bool) -> Option<[Option<FieldRef>; FIELDS]> {
    let default = if ecs { "[user_agent]" } else { "" };
    let target = match target.unwrap_or(default) {
        "" => String::new(),
        bracketed if bracketed.starts_with('[') => bracketed.to_owned(),
        name => format!("[{name}]"),
    };
    const METADATA: &str = "[@metadata][filter][user_agent]";
    // The name in ECS mode and in legacy mode.
    let names = [
        (format!("{target}[name]"), "name"),
        (format!("{target}[device][name]"), "device"),
        (format!("{METADATA}[version][major]"), "major"),
        (format!("{METADATA}[version][minor]"), "minor"),
        (format!("{METADATA}[version][patch]"), "patch"),
        (format!("{target}[version]"), "version"),
        (format!("{METADATA}[os][version][major]"), "os_major"),
        (format!("{METADATA}[os][version][minor]"), "os_minor"),
        (format!("{METADATA}[os][version][patch]"), "os_patch"),
        (format!("{target}[os][version]"), "os_version"),
        (format!("{target}[os][name]"), "os_name"),
        (String::new(), "os"),
        (format!("{target}[os][full]"), "os_full"),
    ];
    let mut fields: [Option<FieldRef>; FIELDS] = Default::default();
    for (field, (ecs_name, name)) in fields.iter_mut().zip(names) {
        let path = if ecs { ecs_name } else { format!("{target}[{prefix}{name}]") };
        if !path.is_empty() {
            *field = Some(FieldRef::parse(&path).ok()?);
        }
    }
    Some(fields)
}

impl UserAgent {
    fn new(plan: Arc<Plan>) -> UserAgent {
        UserAgent { cache: Cache::new(plan.cache), plan, scratch: Scratch::default(), run: 0 }
    }

    fn event(&mut self, plan: &Plan, batch: &mut Batch, event: EventId) -> bool {
        let Some(span) = source(batch, event, &plan.source) else { return false };
        if plan.replaces {
            batch.remove(event, &plan.source);
        }
        let patterns = plan.own.as_ref().unwrap_or_else(|| &PATTERNS);
        let scratch = &mut self.scratch;
        let text = batch.text(span);
        let mut find = || known(&patterns.agent(text, scratch), text);
        let mut long;
        let known = if text.len() <= NAME_BYTES_MAX {
            self.cache.get(text, find)
        } else {
            long = find();
            &mut long
        };
        if known.run != self.run {
            known.run = self.run;
            known.make(plan, batch);
        }
        if !known.made.iter().any(|(key, _)| batch.get_key(event, *key).is_some()) {
            known.made.iter().for_each(|(key, value)| batch.set_key(event, *key, *value));
            return true;
        }
        for (leaf, text) in &known.leaves {
            if let Some(field) = &plan.fields[usize::from(*leaf)] {
                let value = batch.str(text);
                set(batch, event, field, value);
            }
        }
        true
    }
}

/// The user agent's name, if there is one.
fn source(batch: &Batch, event: EventId, field: &FieldRef) -> Option<Span> {
    let value = match batch.get(event, field)? {
        Value::Array(list) => batch.entries(list).first()?.value,
        value => value,
    };
    match value {
        Value::Str(span) if !span.is_empty() => Some(span),
        _ => None,
    }
}

impl Filter for UserAgent {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        self.run += 1;
        for &event in run.events {
            if self.event(&plan, batch, event) {
                run.matched.push(event);
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(UserAgent::new(self.plan.clone()))
    }
}

impl Known {
    /// Makes the values for a batch: hashes that its events share.
    fn make(&mut self, plan: &Plan, batch: &mut Batch) {
        self.made.clear();
        for (leaf, text) in &self.leaves {
            let Some(field) = &plan.fields[usize::from(*leaf)] else { continue };
            let text = batch.str(text);
            let at = self.made.iter().position(|(key, _)| *key == field.first());
            let old = at.map(|at| self.made[at].1);
            let Some(value) = batch.with_set(old, &field.steps()[1..], text) else { continue };
            match at {
                Some(at) => self.made[at].1 = value,
                None => self.made.push((field.first(), value)),
            }
        }
    }
}

/// What was found, as texts of fields.
fn known(agent: &Agent, text: &str) -> Known {
    let mut leaves: Vec<(u8, Box<str>)> = Vec::new();
    let mut add = |leaf: Leaf, text: Option<String>| leaves.extend(text.map(|text| (leaf as u8, text.into())));
    let [major, minor, patch, _] = &agent.version;
    add(Leaf::Name, Some(agent.name.clone()));
    add(Leaf::Device, Some(agent.device.clone()));
    add(Leaf::Major, major.clone());
    add(Leaf::Minor, minor.clone());
    add(Leaf::Patch, patch.clone());
    add(Leaf::Version, version(&agent.version, text));
    let [major, minor, patch, _] = &agent.system_version;
    add(Leaf::SystemMajor, major.clone());
    add(Leaf::SystemMinor, minor.clone());
    add(Leaf::SystemPatch, patch.clone());
    let system_version = system_version(&agent.system_version);
    let full =
        system_version.as_ref().map_or_else(|| agent.system.clone(), |version| format!("{} {version}", agent.system));
    add(Leaf::SystemVersion, system_version);
    add(Leaf::SystemName, Some(agent.system.clone()));
    add(Leaf::System, Some(agent.system.clone()));
    add(Leaf::SystemFull, Some(full));
    Known { leaves, run: 0, made: Vec::new() }
}

/// The whole version, with a fourth part from the text where the pattern has none: Chrome's.
fn version(version: &Version, text: &str) -> Option<String> {
    let [major, minor, patch, last] = version;
    let mut out = major.clone()?;
    let Some(minor) = minor else { return Some(out) };
    out = format!("{out}.{minor}");
    let Some(patch) = patch else { return Some(out) };
    out = format!("{out}.{patch}");
    if let Some(last) = last {
        return Some(format!("{out}.{last}"));
    }
    let behind = text.find(&out).and_then(|at| text[at + out.len()..].strip_prefix('.'));
    let part = behind.and_then(|behind| behind.split_once(' ')).map(|(part, _)| part);
    match part.filter(|part| is_whole(part)) {
        Some(part) => Some(format!("{out}.{part}")),
        None => Some(out),
    }
}

/// The system's whole version: `10.9.3`, `8.1`, but `XP` alone and `Vista SP2`.
fn system_version(version: &Version) -> Option<String> {
    let [major, minor, patch, last] = version;
    let mut out = major.clone()?;
    let separator = if is_whole(&out) { '.' } else { ' ' };
    for (part, separator) in [(minor, separator), (patch, '.'), (last, '.')] {
        let Some(part) = part else { break };
        out.push(separator);
        out.push_str(part);
    }
    Some(out)
}

/// Whether a text is a whole number as Ruby writes it.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').filter(|digits| *digits != "0").unwrap_or(text);
    digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() && (digits == "0" || !digits.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{context, event, options, shown};

    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/89.0.4389.90 Safari/537.36";

    fn filter(settings: &str, ecs: bool) -> Box<dyn Filter> {
        build(&options(settings), &Context { ecs, ..context() }).unwrap_or_else(|wrong| panic!("{wrong:?}"))
    }

    fn through(filter: &mut dyn Filter, before: &str) -> String {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        let (mut matched, mut created) = (Vec::new(), Vec::new());
        let now = crate::event::Timestamp::new(0, 0);
        filter.run(&mut batch, &mut Run { events: &[event], matched: &mut matched, created: &mut created, now });
        shown(&batch, event)
    }

    fn check(settings: &str, ecs: bool, before: &str, after: &str) {
        let mut filter = filter(settings, ecs);
        for _again in 0..2 {
            assert_eq!(through(&mut *filter, before), after, "{settings} on {before}");
        }
    }

    #[test]
    fn fields_of_both_modes() {
        check(
            r#"{"source":"a"}"#,
            true,
            &format!(r#"{{"a":"{CHROME}"}}"#),
            &format!(
                r#"{{"a":"{CHROME}","user_agent":{{"name":"Chrome","device":{{"name":"Other"}},"version":"89.0.4389.90","os":{{"version":"10","name":"Windows","full":"Windows 10"}}}}}}"#
            ),
        );
        check(
            r#"{"source":"a","prefix":"x_"}"#,
            false,
            &format!(r#"{{"a":["{CHROME}"]}}"#),
            &format!(
                r#"{{"a":["{CHROME}"],"x_name":"Chrome","x_device":"Other","x_major":"89","x_minor":"0","x_patch":"4389","x_version":"89.0.4389.90","x_os_major":"10","x_os_version":"10","x_os_name":"Windows","x_os":"Windows","x_os_full":"Windows 10"}}"#
            ),
        );
    }

    #[test]
    fn targets() {
        let fields = r#"{"name":"Other","device":"Other","os_name":"Other","os":"Other","os_full":"Other"}"#;
        check(r#"{"source":"a","target":"a"}"#, false, r#"{"a":"?"}"#, &format!(r#"{{"a":{fields}}}"#));
        check(
            r#"{"source":"a","target":"[t][u]"}"#,
            false,
            r#"{"a":"?"}"#,
            &format!(r#"{{"a":"?","t":{{"u":{fields}}}}}"#),
        );
        check(
            r#"{"source":"a"}"#,
            true,
            r#"{"a":"?","user_agent":{"original":"?"}}"#,
            r#"{"a":"?","user_agent":{"original":"?","name":"Other","device":{"name":"Other"},"os":{"name":"Other","full":"Other"}}}"#,
        );
    }

    #[test]
    fn what_is_no_name_is_left() {
        for left in [r#"{"b":1}"#, r#"{"a":""}"#, r#"{"a":null}"#, r#"{"a":5}"#, r#"{"a":[]}"#] {
            check(r#"{"source":"a"}"#, true, left, left);
        }
    }

    #[test]
    fn versions() {
        let check = |parts: [&str; 4], text: &str, agent: &str, system: &str| {
            let parts = parts.map(|part| (!part.is_empty()).then(|| part.to_owned()));
            assert_eq!(version(&parts, text).unwrap_or_default(), agent);
            assert_eq!(system_version(&parts).unwrap_or_default(), system);
        };
        check(["", "1", "", ""], "", "", "");
        check(["8", "1", "", ""], "", "8.1", "8.1");
        check(["XP", "SP", "2", ""], "", "XP.SP.2", "XP SP.2");
        check(["1", "2", "3", "4"], "", "1.2.3.4", "1.2.3.4");
        check(["1", "2", "3", ""], "A/1.2.3.45 x", "1.2.3.45", "1.2.3");
        check(["1", "2", "3", ""], "A/1.2.3.045 x", "1.2.3", "1.2.3");
        check(["1", "2", "3", ""], "A/1.2.3.45", "1.2.3", "1.2.3");
    }

    #[test]
    fn the_cache_forgets() {
        let mut cache = Cache::new(10);
        let known = || Known { leaves: Vec::new(), run: 0, made: Vec::new() };
        for n in 0..1000 {
            cache.get(&format!("{n}"), known);
            cache.get("often", || if n == 0 { known() } else { panic!("it forgot what is used often") });
            assert!(cache.young.len() + cache.old.len() <= 10);
        }
    }
}
