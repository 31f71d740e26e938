//! Settings under Logstash's names: defaults, then `logboom.yml` (else `logstash.yml`), then the
//! command line, then, for one pipeline, `pipelines.yml`. What there is stands in [`table`].
//!
//! Reading settings is all this does: it opens no socket and makes no folder. Mistakes come all
//! at once; a setting of Logstash that we don't use is accepted, with a warning where something
//! would behave otherwise.

mod file;
pub mod keystore;
pub mod secrets;
mod source;
pub mod table;
pub mod unit;

pub use file::pipelines;
pub use source::sources;

use crate::index::{Clock, IndexSettings, Retention};
use crate::language::suggest;
use crate::language::variable::Environment;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;
use table::{Def, Effect, Type};

/// What is wrong with the settings: everything at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(pub Vec<String>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for SettingsError {}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A truth value.
    Boolean(bool),
    /// A number, or a number of bytes.
    Number(u64),
    /// A time; `None` for `never`.
    Time(Option<Duration>),
    /// A text, word or path.
    Text(String),
    /// Texts or paths.
    List(Vec<String>),
    /// Ports to try.
    Ports(RangeInclusive<u16>),
}

impl fmt::Display for Value {
    /// About as one would write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Boolean(truth) => truth.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Time(None) => f.write_str("never"),
            Value::Time(Some(time)) => write!(f, "{}s", time.as_secs_f64()),
            Value::Text(text) => f.write_str(text),
            Value::List(list) => f.write_str(&list.join(",")),
            Value::Ports(ports) => write!(f, "{}-{}", ports.start(), ports.end()),
        }
    }
}

/// The settings of a process, or of one of its pipelines.
#[derive(Debug, Clone)]
pub struct Settings {
    values: BTreeMap<&'static str, Value>,
    /// Settings that were given and are none of ours, nor of Logstash's core.
    foreign: Vec<String>,
    /// Settings that were given under an older name: that, and the one of today.
    renamed: Vec<(&'static str, &'static str)>,
    /// Settings from the command line, which go before what files say.
    held: BTreeSet<&'static str>,
}

/// Names of old.
const RENAMED: [(&str, &str); 4] = [
    ("http.enabled", "api.enabled"),
    ("http.environment", "api.environment"),
    ("http.host", "api.http.host"),
    ("http.port", "api.http.port"),
];

impl Settings {
    /// The defaults. `path.data` comes from the environment.
    pub fn new(environment: Environment<'_>) -> Settings {
        let mut values = BTreeMap::new();
        for def in table::SETTINGS {
            if !def.default.is_empty() {
                let value = parse(def.ty, &[def.default.to_owned()]);
                values.insert(def.name, value.expect("BUG: a default that its own setting refuses"));
            }
        }
        let data = data_folder(environment).to_string_lossy().into_owned();
        values.insert("path.data", Value::Text(data));
        Settings { values, foreign: Vec::new(), renamed: Vec::new(), held: BTreeSet::new() }
    }

    /// Sets one setting from its text; says what is wrong with it.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        self.set_list(name, vec![text.to_owned()])
    }

    /// Sets one setting from a list of texts.
    pub fn set_list(&mut self, name: &str, texts: Vec<String>) -> Result<(), String> {
        if let Some(&(old, new)) = RENAMED.iter().find(|(old, _)| *old == name) {
            self.renamed.push((old, new));
            return self.set_list(new, texts);
        }
        let Some(def) = table::find(name) else {
            if table::FOREIGN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                self.foreign.push(name.to_owned());
                return Ok(());
            }
            return Err(unknown(name));
        };
        match parse(def.ty, &texts) {
            Some(value) => {
                self.values.insert(def.name, value);
                Ok(())
            }
            None => Err(format!("`{name}` needs {}, not `{}`", def.ty.wanted(), texts.join(", "))),
        }
    }

    /// Forgets the value of a setting.
    pub fn unset(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// Every setting that has a value, with it, in alphabetical order.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values.iter().map(|(name, value)| (*name, value))
    }

    /// What behaves otherwise than someone who knows Logstash expects, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for def in table::SETTINGS {
            let Effect::Differs(why) = def.effect else { continue };
            let default = parse(def.ty, &[def.default.to_owned()]).filter(|_| !def.default.is_empty());
            let value = self.values.get(def.name).filter(|value| **value != Value::List(Vec::new()));
            if value != default.as_ref() {
                warnings.push(format!("setting `{}` has no effect: {}", def.name, lower_first(why)));
            }
        }
        warnings.extend(self.renamed.iter().map(|(old, new)| format!("setting `{old}` is of old: write `{new}`")));
        if self.api_password().is_some()
            && let Err(weak) = self.check_password()
        {
            warnings.push(weak);
        }
        for prefix in table::FOREIGN_PREFIXES {
            let names: Vec<String> =
                self.foreign.iter().filter(|name| name.starts_with(prefix)).map(|name| format!("`{name}`")).collect();
            let (many, have) = if names.len() == 1 { ("", "has") } else { ("s", "have") };
            if !names.is_empty() {
                let names = names.join(", ");
                warnings.push(format!(
                    "setting{many} {names} {have} no effect: extensions of Logstash and its cloud are not supported"
                ));
            }
        }
        warnings
    }

    /// What contradicts itself or asks for what is not there.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.text("queue.type") == Some("persisted") {
            mistakes.push(
                "cannot use `queue.type: persisted`: there is no disk queue yet; inputs that can be read again \
                 (file) lose nothing with `queue.type: memory`"
                    .to_owned(),
            );
        }
        if self.flag("dead_letter_queue.enable") {
            mistakes.push(
                "cannot use `dead_letter_queue.enable: true`: there is no dead letter queue yet, and events that it \
                 should keep would be dropped"
                    .to_owned(),
            );
        }
        if let (Some("true"), Some(workers @ 2..)) = (self.text("pipeline.ordered"), self.number("pipeline.workers")) {
            mistakes.push(format!("cannot keep events in order (`pipeline.ordered: true`) with {workers} workers"));
        }
        if self.text("config.string").is_some() && !self.list("path.config").is_empty() {
            mistakes.push("cannot use both `-e` (config.string) and `-f` (path.config): give one of them".to_owned());
        }
        if self.text("config.string").is_some() && self.flag("config.reload.automatic") {
            mistakes.push("cannot use `-r` (config.reload.automatic) with `-e`: a text never changes".to_owned());
        }
        mistakes
    }

    /// What contradicts itself among the settings of the whole process.
    pub fn mistakes_of_process(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.flag("api.ssl.enabled") {
            mistakes.push(
                "cannot use `api.ssl.enabled: true`: the management API speaks no TLS yet; put a proxy before it"
                    .to_owned(),
            );
        }
        if self.text("api.auth.type") == Some("basic") {
            match self.api_password() {
                None => mistakes.push(
                    "cannot use `api.auth.type: basic` without `api.auth.basic.username` and `api.auth.basic.password`"
                        .to_owned(),
                ),
                Some(_) if self.text("api.auth.basic.password_policy.mode") == Some("ERROR") => {
                    mistakes.extend(self.check_password().err());
                }
                Some(_) => {}
            }
        }
        mistakes
    }

    /// The user and the password that the management API asks for, if it does.
    pub fn api_password(&self) -> Option<(&str, &str)> {
        let basic = self.text("api.auth.type") == Some("basic");
        let pair = self.text("api.auth.basic.username").zip(self.text("api.auth.basic.password"));
        pair.filter(|(user, password)| basic && !user.is_empty() && !password.is_empty())
    }

    /// Holds the management API's password against its policy.
    fn check_password(&self) -> Result<(), String> {
        let password = self.text("api.auth.basic.password").unwrap_or_default();
        let policy = |name: &str| format!("api.auth.basic.password_policy.{name}");
        let least = self.number(&policy("length.minimum")).unwrap_or(8) as usize;
        let mut lacks = Vec::new();
        if password.chars().count() < least {
            lacks.push(format!("{least} characters"));
        }
        type Is = fn(char) -> bool;
        let kinds: [(&str, &str, Is); 4] = [
            ("upper", "an upper case letter", char::is_uppercase),
            ("lower", "a lower case letter", char::is_lowercase),
            ("digit", "a digit", char::is_numeric),
            ("symbol", "a symbol", |c| !c.is_alphanumeric()),
        ];
        for (name, what, is) in kinds {
            let required = self.text(&policy(&format!("include.{name}"))) == Some("REQUIRED");
            if required && !password.contains(is) {
                lacks.push(what.to_owned());
            }
        }
        if lacks.is_empty() {
            Ok(())
        } else {
            Err(format!("`api.auth.basic.password` is weak: it lacks {}", lacks.join(", ")))
        }
    }

    // By name. Asking for a name or a type that the table does not have is a bug.

    /// A truth value.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Boolean(true)))
    }

    /// A number, also of bytes.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.get(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// A text, word or path.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Texts or paths.
    pub fn list(&self, name: &str) -> &[String] {
        match self.get(name) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// A time; `None` for `never`.
    pub fn time(&self, name: &str) -> Option<Duration> {
        match self.get(name) {
            Some(Value::Time(time)) => *time,
            _ => None,
        }
    }

    /// Ports to try, in order.
    pub fn ports(&self, name: &str) -> RangeInclusive<u16> {
        match self.get(name) {
            Some(Value::Ports(ports)) => ports.clone(),
            _ => panic!("BUG: setting `{name}` holds no ports"),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        assert!(table::find(name).is_some(), "BUG: no setting `{name}`");
        self.values.get(name)
    }

    // The ones that the program asks for

    /// `pipeline.id`
    pub fn pipeline_id(&self) -> &str {
        self.text("pipeline.id").unwrap_or("main")
    }

    /// `pipeline.workers`: as many as cores where not set; one where events must keep their order.
    pub fn workers(&self) -> usize {
        if self.text("pipeline.ordered") == Some("true") {
            return 1;
        }
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.number("pipeline.workers").map_or_else(cores, |workers| workers as usize)
    }

    /// `pipeline.ordered`: with `auto`, where there is one worker.
    pub fn ordered(&self) -> bool {
        match self.text("pipeline.ordered") {
            Some("true") => true,
            Some("false") => false,
            _ => self.workers() == 1,
        }
    }

    /// `pipeline.batch.size`
    pub fn batch_size(&self) -> usize {
        self.number("pipeline.batch.size").unwrap_or(1000) as usize
    }

    /// `pipeline.batch.delay`
    pub fn batch_delay(&self) -> Duration {
        self.time("pipeline.batch.delay").unwrap_or(Duration::from_millis(50))
    }

    /// `pipeline.ecs_compatibility`: false for `disabled`.
    pub fn ecs(&self) -> bool {
        self.text("pipeline.ecs_compatibility") != Some("disabled")
    }

    /// `config.support_escapes`
    pub fn support_escapes(&self) -> bool {
        self.flag("config.support_escapes")
    }

    /// `config.test_and_exit`
    pub fn check_only(&self) -> bool {
        self.flag("config.test_and_exit")
    }

    /// `path.data`
    pub fn data(&self) -> &Path {
        Path::new(self.text("path.data").unwrap_or_default())
    }

    /// `path.settings`
    pub fn folder(&self) -> Option<&Path> {
        self.text("path.settings").map(Path::new)
    }

    /// `log.level`
    pub fn log_level(&self) -> &str {
        self.text("log.level").unwrap_or("info")
    }

    /// `log.format: json`
    pub fn log_json(&self) -> bool {
        self.text("log.format") == Some("json")
    }

    /// `api.*`: where the management API listens; `None` where it shall not.
    pub fn api(&self) -> Option<crate::api::listen::Address> {
        self.flag("api.enabled").then(|| self.address("api", "127.0.0.1"))
    }

    /// `search.*`: where the search API listens.
    pub fn search(&self) -> crate::api::listen::Address {
        self.address("search", "127.0.0.1")
    }

    fn address(&self, setting: &'static str, host: &str) -> crate::api::listen::Address {
        crate::api::listen::Address {
            setting,
            host: self.text(&format!("{setting}.http.host")).unwrap_or(host).to_owned(),
            ports: self.ports(&format!("{setting}.http.port")),
            allow_unauthenticated: self.flag(&format!("{setting}.allow_unauthenticated"))
                || (setting == "api" && self.api_password().is_some()),
        }
    }

    /// `series.*`: how the window is to be.
    pub fn series(&self) -> crate::series::window::StoreSettings {
        let mut series = crate::series::window::StoreSettings::default();
        let millis = |name: &str| self.time(name).map_or(i64::MAX / 4, |time| time.as_millis() as i64);
        series.retention_ms = millis("series.retention");
        series.long_retention_ms = millis("series.recorded.retention");
        series.series_max = self.number("series.max").map_or(series.series_max, |number| number as usize);
        series
    }

    /// `index.*`: the embedded index, under `path.data`.
    pub fn index(&self) -> IndexSettings {
        let days = |name: &str| self.time(name).map(|age| age.as_secs().div_ceil(86_400) as u32);
        let mut index = IndexSettings::new(self.data().join("index"));
        if let Some(interval) = self.time("index.epoch.interval") {
            index.epoch_interval = interval;
        }
        if let Some(bytes) = self.number("index.epoch.bytes") {
            index.epoch_bytes = bytes as usize;
        }
        if let Some(bytes) = self.number("index.pending.bytes") {
            index.pending_bytes_max = bytes as usize;
        }
        index.text_fields = self.list("index.text_fields").to_vec();
        index.retention = Retention {
            days: crate::index::Tier::ALL.map(|tier| days(&format!("index.retention.{}", tier.name()))),
            clock: match self.text("index.retention.clock") {
                Some("event") => Clock::Event,
                _ => Clock::Arrival,
            },
        };
        index
    }
}

fn parse(ty: Type, texts: &[String]) -> Option<Value> {
    let one = || match texts {
        [text] => Some(text.trim()),
        _ => None,
    };
    Some(match ty {
        Type::Boolean => match one()? {
            "true" => Value::Boolean(true),
            "false" => Value::Boolean(false),
            _ => return None,
        },
        Type::Number(low, high) => Value::Number(one()?.parse().ok().filter(|number| (low..=high).contains(number))?),
        Type::Bytes => Value::Number(unit::bytes(one()?)?),
        Type::Time(bare) => Value::Time(Some(unit::time(one()?, bare)?)),
        Type::Age => match one()? {
            "never" => Value::Time(None),
            text => Value::Time(Some(unit::time(text, Duration::ZERO).filter(|age| !age.is_zero())?)),
        },
        // Blanks may be meant in a text, and a pipeline is one.
        Type::Text | Type::Path => match texts {
            [text] => Value::Text(text.clone()),
            _ => return None,
        },
        Type::Words(words) => {
            let word = one()?;
            words.contains(&word).then(|| Value::Text(word.to_owned()))?
        }
        Type::Paths => Value::List(texts.to_vec()),
        Type::Endpoints => Value::List(endpoints(texts)?),
        Type::List => {
            // One text stands for a list where variables and flags can carry no other.
            let trimmed = one().map(|text| text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text));
            match trimmed {
                Some(text) => Value::List(
                    text.split(',')
                        .map(|part| unquote(part.trim()).to_owned())
                        .filter(|part| !part.is_empty())
                        .collect(),
                ),
                None => Value::List(texts.to_vec()),
            }
        }
        Type::Ports => Value::Ports(crate::api::listen::parse_ports(one()?).ok()?),
    })
}

/// A text without the quotes around it, where it has them.
fn unquote(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote));
    inner('\'').or_else(|| inner('"')).unwrap_or(text)
}

/// What to say about a setting that is none.
/// URLs, and objects in JSON; one text may hold several of them.
fn endpoints(texts: &[String]) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for text in texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
        if text.starts_with('{') {
            serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).ok()?;
            all.push(text.to_owned());
        } else if text.starts_with('[') {
            let list: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
            all.extend(list.into_iter().map(|one| match one {
                serde_json::Value::String(url) => url,
                object => object.to_string(),
            }));
        } else {
            all.extend(text.split(',').map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()));
        }
    }
    Some(all)
}

fn unknown(name: &str) -> String {
    let names = || table::SETTINGS.iter().map(|def| def.name);
    if let Some(near) = suggest::did_you_mean(name, names()) {
        return format!("unknown setting `{name}`: {near}");
    }
    let family = name.split('.').next().unwrap_or_default();
    let relatives: Vec<&str> = names().filter(|n| n.split('.').next() == Some(family)).collect();
    match relatives.as_slice() {
        [] => format!("unknown setting `{name}`"),
        some => format!("unknown setting `{name}`: of `{family}` there are {}", suggest::list(some.iter().copied())),
    }
}

/// The user's data folder, as the XDG base directory specification has it.
fn data_folder(environment: Environment<'_>) -> PathBuf {
    let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    match (absolute("XDG_DATA_HOME"), absolute("HOME")) {
        (Some(data), _) => data.join("logboom"),
        (None, Some(home)) => home.join(".local/share/logboom"),
        // A service without a home.
        (None, None) => PathBuf::from("/var/lib/logboom"),
    }
}

fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.trim_end_matches('.').chars();
    let first = chars.next().into_iter().flat_map(char::to_lowercase);
    first.chain(chars).collect()
}

impl Def {
    /// Whether the setting does something.
    pub fn is_used(&self) -> bool {
        self.effect == Effect::Used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new(&|name| (name == "HOME").then(|| "/home/u".to_owned()))
    }

    #[test]
    fn defaults_hold() {
        let settings = settings();
        assert_eq!(settings.pipeline_id(), "main");
        assert_eq!(settings.batch_size(), 1000);
        assert_eq!(settings.batch_delay(), Duration::from_millis(50));
        assert!(settings.ecs());
        assert_eq!(settings.data(), Path::new("/home/u/.local/share/logboom"));
        assert_eq!(settings.folder(), None);
        assert_eq!(settings.api().unwrap().ports, 9600..=9700);
        assert_eq!(settings.search().ports, 9200..=9200);
        assert_eq!(settings.index().retention.days, [Some(90), Some(30), Some(14), Some(7)]);
        assert_eq!(settings.index().epoch_interval, Duration::from_secs(10));
        assert_eq!(settings.warnings(), Vec::<String>::new());
        assert_eq!(settings.mistakes(), Vec::<String>::new());
    }

    #[test]
    fn settings_are_read_by_type() {
        let mut s = settings();
        let check = |s: &mut Settings, name: &str, text: &str, want: Result<(), &str>| {
            assert_eq!(s.set(name, text), want.map_err(str::to_owned), "{name}={text}");
        };
        check(&mut s, "pipeline.workers", "3", Ok(()));
        check(&mut s, "pipeline.batch.delay", "5", Ok(()));
        check(&mut s, "index.epoch.interval", "50ms", Ok(()));
        check(&mut s, "index.retention.debug", "never", Ok(()));
        check(&mut s, "index.text_fields", "a, [b]", Ok(()));
        check(&mut s, "queue.max_bytes", "8gb", Ok(()));
        check(&mut s, "xpack.monitoring.enabled", "true", Ok(()));
        check(&mut s, "pipeline.workers", "0", Err("`pipeline.workers` needs a whole number from 1 to 1024, not `0`"));
        check(&mut s, "log.format", "xml", Err("`log.format` needs one of plain, json, not `xml`"));
        check(
            &mut s,
            "api.http.port",
            "70000",
            Err("`api.http.port` needs a port, or a range such as `9600-9700`, not `70000`"),
        );
        check(
            &mut s,
            "pipeline.worker",
            "1",
            Err("unknown setting `pipeline.worker`: did you mean `pipeline.workers`?"),
        );
        check(&mut s, "zzz", "1", Err("unknown setting `zzz`"));
        assert_eq!(s.workers(), 3);
        assert_eq!(s.batch_delay(), Duration::from_millis(5));
        assert_eq!(s.index().retention.days[3], None);
        assert_eq!(s.list("index.text_fields"), ["a", "[b]"]);
        assert_eq!(s.warnings().len(), 2, "{:?}", s.warnings());
        check(&mut s, "pipeline.ordered", "true", Ok(()));
        assert_eq!(s.workers(), 1);
    }

    #[test]
    fn what_would_differ_is_said() {
        let mut s = settings();
        s.set("queue.drain", "true").unwrap();
        s.set("dead_letter_queue.enable", "false").unwrap();
        s.set("http.port", "9600-9700").unwrap();
        let want = [
            "setting `queue.drain` has no effect: there is no disk queue yet",
            "setting `http.port` is of old: write `api.http.port`",
        ];
        assert_eq!(s.warnings(), want);
        s.set("dead_letter_queue.enable", "true").unwrap();
        s.set("pipeline.ordered", "true").unwrap();
        s.set("pipeline.workers", "2").unwrap();
        s.set("queue.type", "persisted").unwrap();
        s.set("config.string", "input {}").unwrap();
        s.set("path.config", "/x").unwrap();
        assert_eq!(s.mistakes().len(), 4);
    }

    #[test]
    fn the_api_s_password_is_held_against_its_policy() {
        let mut s = settings();
        s.set("api.auth.type", "basic").unwrap();
        assert_eq!(s.mistakes_of_process().len(), 1, "nobody could get in");
        s.set("api.auth.basic.username", "u").unwrap();
        s.set("api.auth.basic.password", "short").unwrap();
        assert_eq!(s.mistakes_of_process(), Vec::<String>::new());
        let weak = "`api.auth.basic.password` is weak: it lacks 8 characters, an upper case letter, a digit";
        assert_eq!(s.warnings(), [weak]);
        s.set("api.auth.basic.password_policy.mode", "ERROR").unwrap();
        assert_eq!(s.mistakes_of_process(), [weak]);
        s.set("api.auth.basic.password", "Long3nough").unwrap();
        assert_eq!((s.mistakes_of_process().len(), s.warnings().len()), (0, 0));
        s.set("api.ssl.enabled", "true").unwrap();
        assert_eq!(s.mistakes_of_process().len(), 1);
    }
}
