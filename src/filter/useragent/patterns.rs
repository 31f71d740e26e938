//! The patterns that tell user agents, systems and devices, as uap-core's `regexes.yaml` has them,
//! and what they say of a text: as Logstash's own parser, whose rules differ a little from
//! uap-core's.

use super::need::need;
use crate::event::Data;
use crate::event::yaml::{self, Schema};
use crate::regexp::{Flags, Regexp, Slots};
use aho_corasick::AhoCorasick;
use std::sync::{LazyLock, OnceLock};

/// What build.rs made of the file that the crate `ua-parser` ships.
static BUILT_IN: &str = include_str!(concat!(env!("OUT_DIR"), "/user_agents.tsv"));

/// The patterns that come with us: read at the first use.
pub(super) static PATTERNS: LazyLock<Patterns> = LazyLock::new(Patterns::built_in);

/// A version in up to four parts.
pub(super) type Version = [Option<String>; 4];

/// What is known of a user agent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Agent {
    pub name: String,
    pub version: Version,
    pub system: String,
    pub system_version: Version,
    pub device: String,
}

/// All patterns.
pub(super) struct Patterns {
    agents: List,
    systems: List,
    devices: List,
}

/// Memory to work in.
#[derive(Default)]
pub(super) struct Scratch {
    candidates: Vec<u64>,
    slots: Slots,
}

/// Patterns of one kind, the first that matches counts.
struct List {
    rules: Vec<Rule>,
    /// Finds the texts that patterns need.
    search: Option<AhoCorasick>,
    /// For each of those texts, the rules that need it.
    needed_by: Vec<Vec<u32>>,
    /// Rules that need none, as bits.
    always: Vec<u64>,
}

struct Rule {
    pattern: Box<str>,
    ignore_case: bool,
    /// What stands in place of the first group: `family_replacement` and the like.
    name: Option<Box<str>>,
    versions: [Option<Box<str>>; 3],
    /// Compiled at the first text that may match it; `None` where it can't be.
    compiled: OnceLock<Option<Regexp>>,
}

/// Why a file holds no patterns.
#[derive(Debug, thiserror::Error)]
pub(super) enum PatternsError {
    #[error("{0}")]
    Yaml(#[from] yaml::YamlError),
    #[error("it has no list `{0}`")]
    NoList(&'static str),
    #[error("a rule of `{0}` has no `regex`")]
    NoPattern(&'static str),
    #[error("cannot use the pattern `{0}`: {1}")]
    Pattern(String, crate::regexp::RegexpError),
}

impl Patterns {
    fn built_in() -> Patterns {
        let mut kinds: [Vec<Rule>; 3] = Default::default();
        for line in BUILT_IN.lines() {
            let mut parts = line.split('\t');
            let kind = match parts.next() {
                Some("u") => 0,
                Some("o") => 1,
                _ => 2,
            };
            let mut value = || parts.next().and_then(|part| part.strip_prefix('=')).map(Box::from);
            let (pattern, flag): (Option<Box<str>>, Option<Box<str>>) = (value(), value());
            kinds[kind].push(Rule {
                pattern: pattern.unwrap_or_default(),
                ignore_case: flag.as_deref() == Some("i"),
                name: value(),
                versions: [value(), value(), value()],
                compiled: OnceLock::new(),
            });
        }
        let [agents, systems, devices] = kinds.map(List::new);
        Patterns { agents, systems, devices }
    }

    /// Patterns of a file in uap-core's form; all are compiled, so that mistakes show.
    pub(super) fn parse(text: &str) -> Result<Patterns, PatternsError> {
        let Some(Data::Map(lists)) = yaml::parse(text, Schema::Simple)? else {
            return Err(PatternsError::NoList("user_agent_parsers"));
        };
        let list = |name: &'static str, keys: [&str; 4]| {
            let found = lists.iter().find(|(key, _)| key.as_text() == Some(name));
            let Some((_, Data::List(rules))) = found else { return Err(PatternsError::NoList(name)) };
            Ok(List::new(rules.iter().map(|rule| Rule::read(rule, name, keys)).collect::<Result<_, _>>()?))
        };
        Ok(Patterns {
            agents: list("user_agent_parsers", ["family_replacement", "v1_replacement", "v2_replacement", ""])?,
            systems: list(
                "os_parsers",
                ["os_replacement", "os_v1_replacement", "os_v2_replacement", "os_v3_replacement"],
            )?,
            devices: list("device_parsers", ["device_replacement", "", "", ""])?,
        })
    }

    /// What the patterns say of a text.
    pub(super) fn agent(&self, text: &str, scratch: &mut Scratch) -> Agent {
        let mut agent = Agent::default();
        let other = || "Other".to_owned();
        (agent.name, agent.version) =
            self.agents.first(text, scratch, Rule::agent).unwrap_or_else(|| (other(), Version::default()));
        (agent.system, agent.system_version) =
            self.systems.first(text, scratch, Rule::system).unwrap_or_else(|| (other(), Version::default()));
        agent.device = self.devices.first(text, scratch, Rule::device).unwrap_or_else(other);
        agent
    }
}

impl List {
    fn new(rules: Vec<Rule>) -> List {
        let (mut texts, mut needed_by): (Vec<String>, Vec<Vec<u32>>) = Default::default();
        let mut places = rustc_hash::FxHashMap::default();
        let mut always = vec![0; rules.len().div_ceil(64)];
        for (at, rule) in rules.iter().enumerate() {
            match need(&rule.pattern) {
                None => always[at / 64] |= 1 << (at % 64),
                Some(needed) => {
                    for text in needed {
                        let place = *places.entry(text.clone()).or_insert_with(|| {
                            texts.push(text);
                            needed_by.push(Vec::new());
                            texts.len() - 1
                        });
                        needed_by[place].push(at as u32);
                    }
                }
            }
        }
        let search = AhoCorasick::builder().ascii_case_insensitive(true).build(&texts).ok();
        if search.is_none() {
            // Never seen: then all are tried.
            always = vec![u64::MAX; always.len()];
        }
        List { rules, search, needed_by, always }
    }

    /// What the first rule says that matches and says something.
    fn first<T>(&self, text: &str, scratch: &mut Scratch, say: fn(&Rule, &Groups) -> Option<T>) -> Option<T> {
        scratch.candidates.clear();
        scratch.candidates.extend_from_slice(&self.always);
        if let Some(search) = &self.search {
            for found in search.find_overlapping_iter(text) {
                for &rule in &self.needed_by[found.pattern().as_usize()] {
                    scratch.candidates[rule as usize / 64] |= 1 << (rule % 64);
                }
            }
        }
        for word in 0..scratch.candidates.len() {
            let mut bits = scratch.candidates[word];
            while bits != 0 {
                let at = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Some(rule) = self.rules.get(at) else { break };
                let matches =
                    rule.regexp().is_some_and(|regexp| matches!(regexp.captures(text, &mut scratch.slots), Ok(true)));
                if matches && let Some(said) = say(rule, &Groups { text, slots: &scratch.slots }) {
                    return Some(said);
                }
            }
        }
        None
    }
}

/// The groups of a match.
struct Groups<'t> {
    text: &'t str,
    slots: &'t Slots,
}

impl<'t> Groups<'t> {
    fn count(&self) -> usize {
        self.slots.len().saturating_sub(1)
    }

    fn get(&self, number: usize) -> Option<&'t str> {
        let (start, end) = (*self.slots.get(number)?)?;
        Some(&self.text[start..end])
    }

    fn not_empty(&self, number: usize) -> Option<String> {
        self.get(number).filter(|text| !text.is_empty()).map(str::to_owned)
    }
}

impl Rule {
    fn read(rule: &Data, list: &'static str, keys: [&str; 4]) -> Result<Rule, PatternsError> {
        let Data::Map(pairs) = rule else { return Err(PatternsError::NoPattern(list)) };
        let value = |name: &str| -> Option<Box<str>> {
            let (_, value) = pairs.iter().find(|(key, _)| key.as_text() == Some(name))?;
            (*value != Data::Null).then(|| value.to_text().into())
        };
        let pattern = value("regex").ok_or(PatternsError::NoPattern(list))?;
        let rule = Rule {
            ignore_case: value("regex_flag").as_deref() == Some("i"),
            name: value(keys[0]),
            versions: [value(keys[1]), value(keys[2]), value(keys[3])],
            compiled: OnceLock::new(),
            pattern,
        };
        let regexp = rule.compile().map_err(|error| PatternsError::Pattern(rule.pattern.to_string(), error))?;
        Ok(Rule { compiled: OnceLock::from(Some(regexp)), ..rule })
    }

    fn compile(&self) -> Result<Regexp, crate::regexp::RegexpError> {
        Regexp::with_flags(&self.pattern, Flags { ignore_case: self.ignore_case, ..Flags::default() })
    }

    fn regexp(&self) -> Option<&Regexp> {
        self.compiled.get_or_init(|| self.compile().ok()).as_ref()
    }

    fn agent(&self, groups: &Groups) -> Option<(String, Version)> {
        let name = match (&self.name, groups.get(1)) {
            (Some(name), Some(group)) => name.replacen("$1", group, 1),
            (Some(name), None) => name.to_string(),
            (None, group) => group?.to_owned(),
        };
        let given = |at: usize| self.versions[at].as_deref().map(str::to_owned);
        let mut version = [given(0).or_else(|| groups.not_empty(2)), given(1), None, None];
        if version[1].is_none() {
            version[1] = groups.not_empty(3);
            version[2] = groups.not_empty(4);
            version[3] = groups.not_empty(5);
        }
        Some((name, version))
    }

    fn system(&self, groups: &Groups) -> Option<(String, Version)> {
        let name = match &self.name {
            Some(name) if groups.count() > 0 => name.replace("$1", groups.get(1).unwrap_or("")),
            Some(name) => name.to_string(),
            None => groups.get(1)?.to_owned(),
        };
        let part = |at: usize| match self.versions.get(at).and_then(Option::as_deref) {
            Some(text) => match text.strip_prefix('$') {
                Some(number) => groups.get(number.parse().ok()?).map(str::to_owned),
                None => Some(text.to_owned()),
            },
            None => groups.get(at + 2).map(str::to_owned),
        };
        Some((name, [part(0), part(1), part(2), part(3)]))
    }

    fn device(&self, groups: &Groups) -> Option<String> {
        let Some(name) = self.name.as_deref() else { return groups.get(1).map(str::to_owned) };
        if !name.contains('$') {
            return Some(name.to_owned());
        }
        let mut out = String::new();
        let mut rest = name;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            match rest[at + 1..].chars().next().and_then(|c| c.to_digit(10)) {
                Some(number) => {
                    out.push_str(groups.get(number as usize).unwrap_or(""));
                    rest = &rest[at + 2..];
                }
                None => {
                    out.push('$');
                    rest = &rest[at + 1..];
                }
            }
        }
        out.push_str(rest);
        Some(out.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases that uap-core ships.
    fn cases(name: &str) -> Vec<Vec<(String, String)>> {
        let path = format!("{}/tests/{name}", env!("UAP_CORE"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let Some(Data::Map(document)) = yaml::parse(&text, Schema::Simple).unwrap() else { panic!("{path}") };
        let (_, Data::List(cases)) = &document[0] else { panic!("{path}") };
        let shown = |value: &Data| if *value == Data::Null { String::new() } else { value.to_text() };
        let case = |case: &Data| {
            let Data::Map(pairs) = case else { panic!("{case:?}") };
            pairs.iter().map(|(key, value)| (key.to_text(), shown(value))).collect()
        };
        cases.iter().map(case).collect()
    }

    fn value<'c>(case: &'c [(String, String)], name: &str) -> &'c str {
        case.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    #[test]
    fn every_pattern_compiles() {
        let lists = [&PATTERNS.agents, &PATTERNS.systems, &PATTERNS.devices];
        for list in lists {
            assert!(list.rules.len() > 100 && list.search.is_some());
            for rule in &list.rules {
                assert!(rule.regexp().is_some(), "{}", rule.pattern);
            }
            let always: u32 = list.always.iter().map(|bits| bits.count_ones()).sum();
            assert!((always as usize) < list.rules.len() / 20, "{always} patterns need nothing");
        }
    }

    #[test]
    fn it_says_what_uap_core_says() {
        let mut scratch = Scratch::default();
        let mut agent = |case: &[(String, String)]| PATTERNS.agent(value(case, "user_agent_string"), &mut scratch);
        let part = |version: &Version, at: usize| version[at].clone().unwrap_or_default();
        let (mut all, mut wrong) = (0, Vec::new());
        for case in cases("test_ua.yaml") {
            let found = agent(&case);
            all += 1;
            if found.name != value(&case, "family") || part(&found.version, 0) != value(&case, "major") {
                wrong.push(format!("{case:?}: {found:?}"));
            }
        }
        for case in cases("test_os.yaml") {
            let found = agent(&case);
            all += 1;
            let same =
                (0..3).all(|at| part(&found.system_version, at) == value(&case, ["major", "minor", "patch"][at]));
            if found.system != value(&case, "family") || !same {
                wrong.push(format!("{case:?}: {found:?}"));
            }
        }
        for case in cases("test_device.yaml") {
            let found = agent(&case);
            all += 1;
            if found.device != value(&case, "family") {
                wrong.push(format!("{case:?}: {found:?}"));
            }
        }
        assert!(all > 10_000, "{all} cases");
        assert!(wrong.is_empty(), "{} of {all}:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    }

    #[test]
    fn own_patterns() {
        let text = "user_agent_parsers:\n  - regex: '(x)/(\\d+)'\nos_parsers: []\ndevice_parsers:\n  - regex: 'DEV'\n    regex_flag: 'i'\n    device_replacement: 'd'\n";
        let patterns = Patterns::parse(text).unwrap();
        let found = patterns.agent("x/7 dev", &mut Scratch::default());
        assert_eq!(
            (&*found.name, found.version[0].as_deref(), &*found.system, &*found.device),
            ("x", Some("7"), "Other", "d")
        );
        for bad in [
            "",
            "a: 1",
            "user_agent_parsers:\n  - x: 1\nos_parsers: []\ndevice_parsers: []\n",
            &text.replace("(x)", "(x"),
        ] {
            assert!(Patterns::parse(bad).is_err(), "{bad}");
        }
    }
}
