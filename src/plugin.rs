//! What a plugin says of itself: its name, options, documentation and constructor.
//!
//! One [`Spec`] feeds all readers: the checker, "did you mean", the option pages and the tests.
//! The language and the plugins meet here and nowhere else.

use crate::codec::Codec;
use crate::diagnostic::{Diagnostic, Place};
use crate::event::{FieldRef, Template};
use crate::filter::Filter;
use crate::input::Input;
use crate::output::Output;
use std::path::PathBuf;
use std::sync::Arc;

/// What kind of plugin, which is also the section it stands in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// `input { }`
    Input,
    /// `codec => …`
    Codec,
    /// `filter { }`
    Filter,
    /// `output { }`
    Output,
}

/// The type of an option's value, as Logstash's `config :x, :validate => …`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// `true`, `false` (bare or as text).
    Boolean,
    /// A number, or a text that is one.
    Number,
    /// A text or bare word.
    String,
    /// One of these texts.
    Enum(&'static [&'static str]),
    /// A hash.
    Hash,
    /// An array; a single value is an array of one.
    Array,
    /// A file or folder.
    Path,
    /// A secret: never shown.
    Password,
    /// `10mb`, `5 KiB`, or a number of bytes.
    Bytes,
    /// A field reference.
    Field,
    /// A codec: a bare word, a text or a plugin block.
    Codec,
    /// Whatever the plugin accepts; it checks by itself.
    Any,
}

/// One option of a plugin.
#[derive(Debug)]
pub struct Opt {
    /// As the user writes it.
    pub name: &'static str,
    /// What it takes.
    pub ty: Type,
    /// The default as the user would write it; `None` where there is none.
    pub default: Option<&'static str>,
    /// Whether the plugin can't do without.
    pub required: bool,
    /// Whether it has no effect and is accepted only because Logstash has it; giving it is warned about.
    pub idle: bool,
    /// One sentence or two for the option's page.
    pub doc: &'static str,
}

impl Opt {
    /// An option that may be left out.
    pub const fn new(name: &'static str, ty: Type, default: Option<&'static str>, doc: &'static str) -> Opt {
        Opt { name, ty, default, required: false, idle: false, doc }
    }

    /// An option that must be given.
    pub const fn required(name: &'static str, ty: Type, doc: &'static str) -> Opt {
        Opt { name, ty, default: None, required: true, idle: false, doc }
    }

    /// An option that Logstash has and that has no effect here; `doc` says why.
    pub const fn idle(name: &'static str, ty: Type, default: Option<&'static str>, doc: &'static str) -> Opt {
        Opt { name, ty, default, required: false, idle: true, doc }
    }
}

/// An example that runs as a test and stands in the documentation: JSON in, JSON out
/// (fields not named in `then` may hold anything).
#[derive(Debug)]
pub struct Example {
    /// What it shows.
    pub title: &'static str,
    /// The plugin block, `drop { }`.
    pub config: &'static str,
    /// Events in, one JSON object a line.
    pub given: &'static str,
    /// Events out, one JSON object a line.
    pub then: &'static str,
}

/// Which plugins there are. The checker gets it as an argument, so that it names none.
#[derive(Clone, Copy)]
pub struct Catalogue {
    /// The inputs.
    pub inputs: &'static [&'static Spec],
    /// The codecs.
    pub codecs: &'static [&'static Spec],
    /// The filters.
    pub filters: &'static [&'static Spec],
    /// The outputs.
    pub outputs: &'static [&'static Spec],
    /// Plugins that later versions will have, and what to say of them.
    pub later: &'static [(Kind, &'static [&'static str], &'static str)],
}

/// What Logstash comes with and we don't have yet.
const LATER: &[(Kind, &[&str], &str)] = &[
    (
        Kind::Filter,
        &["ruby"],
        "`ruby` comes in a later version. Until then much of what it is used for is done by `mutate`, `aggregate` (whose \
         `code` is a part of Ruby), `date`, `kv`, `split` and `translate`",
    ),
    (
        Kind::Input,
        &[
            "beats",
            "elastic_agent",
            "elasticsearch",
            "exec",
            "gelf",
            "heartbeat",
            "http",
            "http_poller",
            "kafka",
            "redis",
            "snmptrap",
            "syslog",
            "tcp",
            "udp",
            "unix",
        ],
        "inputs from the network come in a later version; `stdin`, `file`, `generator` and `pipeline` are there",
    ),
    (
        Kind::Output,
        &[
            "csv",
            "elasticsearch",
            "email",
            "exec",
            "gelf",
            "graphite",
            "http",
            "kafka",
            "nagios",
            "pipe",
            "redis",
            "s3",
            "statsd",
            "syslog",
            "tcp",
            "udp",
        ],
        "outputs to the network come in a later version; `index` keeps events here, behind a search API of Elasticsearch's form",
    ),
];

impl Catalogue {
    /// Everything that is built in.
    pub fn built_in() -> Catalogue {
        Catalogue {
            inputs: crate::input::INPUTS,
            codecs: crate::codec::CODECS,
            filters: crate::filter::FILTERS,
            outputs: crate::output::OUTPUTS,
            later: LATER,
        }
    }

    /// What to say of a plugin that later versions will have.
    pub fn later(&self, kind: Kind, name: &str) -> Option<&'static str> {
        let known = |entry: &&(Kind, &[&str], &'static str)| entry.0 == kind && entry.1.contains(&name);
        self.later.iter().find(known).map(|(.., note)| *note)
    }

    /// The plugins of a kind.
    pub fn of(&self, kind: Kind) -> &'static [&'static Spec] {
        match kind {
            Kind::Input => self.inputs,
            Kind::Codec => self.codecs,
            Kind::Filter => self.filters,
            Kind::Output => self.outputs,
        }
    }
}

/// The constructor, by kind.
pub enum Build {
    /// An input.
    Input(fn(&Options, &Context) -> Built<Box<dyn Input>>),
    /// A codec.
    Codec(fn(&Options, &Context) -> Built<Codec>),
    /// A filter.
    Filter(fn(&Options, &Context) -> Built<Box<dyn Filter>>),
    /// An output.
    Output(fn(&Options, &Context) -> Built<Box<dyn Output>>),
}

/// What a constructor gives: the plugin or everything that is wrong.
pub type Built<T> = Result<T, Vec<Diagnostic>>;

/// What a plugin says of itself.
pub struct Spec {
    /// The word in the configuration; also the name of its file.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Its own options, in alphabetical order; the common ones are [`COMMON_FILTER`] and so on.
    pub options: &'static [Opt],
    /// Examples, run as tests.
    pub examples: &'static [Example],
    /// Its constructor.
    pub build: Build,
}

impl Spec {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self.build {
            Build::Input(_) => Kind::Input,
            Build::Codec(_) => Kind::Codec,
            Build::Filter(_) => Kind::Filter,
            Build::Output(_) => Kind::Output,
        }
    }

    /// The options that all plugins of its kind have besides its own.
    pub fn common(&self) -> &'static [Opt] {
        match self.kind() {
            Kind::Input => COMMON_INPUT,
            Kind::Codec => COMMON_CODEC,
            Kind::Filter => COMMON_FILTER,
            Kind::Output => COMMON_OUTPUT,
        }
    }

    /// An option by name, its own or a common one.
    pub fn option(&self, name: &str) -> Option<&'static Opt> {
        self.options.iter().chain(self.common()).find(|o| o.name == name)
    }
}

const ID: Opt =
    Opt::new("id", Type::String, None, "A name for this plugin in metrics and logs, unique in its pipeline.");
const ENABLE_METRIC: Opt =
    Opt::new("enable_metric", Type::Boolean, Some("true"), "Whether this plugin is counted in the node's statistics.");
const CODEC: Opt = Opt::new("codec", Type::Codec, Some("plain"), "How bytes become events, or events bytes.");
const TAGS: Opt = Opt::new("tags", Type::Array, None, "Tags for every event of this input.");
const ADD_FIELD: Opt =
    Opt::new("add_field", Type::Hash, Some("{}"), "Fields to add; names and values may refer to fields.");

const ECS: Opt = Opt::new(
    "ecs_compatibility",
    Type::Enum(&["disabled", "v1", "v8"]),
    None,
    "Whether fields are named as in the Elastic Common Schema; without, as `pipeline.ecs_compatibility` says.",
);

/// Options of every filter besides its own.
pub const COMMON_FILTER: &[Opt] = &[
    ADD_FIELD,
    Opt::new("add_tag", Type::Array, Some("[]"), "Tags to add when the filter succeeded."),
    ECS,
    ENABLE_METRIC,
    ID,
    Opt::new("periodic_flush", Type::Boolean, Some("false"), "Whether the filter is flushed at intervals."),
    Opt::new("remove_field", Type::Array, Some("[]"), "Fields to remove when the filter succeeded."),
    Opt::new("remove_tag", Type::Array, Some("[]"), "Tags to remove when the filter succeeded."),
];
/// Options of every input besides its own.
pub const COMMON_INPUT: &[Opt] = &[
    ADD_FIELD,
    CODEC,
    ECS,
    ENABLE_METRIC,
    ID,
    TAGS,
    Opt::new("type", Type::String, None, "Sets the field `type` on events that have none."),
];
/// Options of every codec besides its own.
pub const COMMON_CODEC: &[Opt] = &[ECS, ENABLE_METRIC, ID];
/// Options of every output besides its own.
pub const COMMON_OUTPUT: &[Opt] =
    &[CODEC, ECS, ENABLE_METRIC, ID, Opt::idle("workers", Type::Number, Some("1"), "outputs run on one thread each.")];

/// A value as the configuration gives it, `${VAR}` replaced and escapes resolved.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A text or bare word.
    String(String),
    /// A number; the text is kept since `1.0` and `1` differ for some.
    Number(f64, String),
    /// Elements.
    Array(Vec<Setting>),
    /// Pairs in order. Keys are unique.
    Hash(Vec<(Setting, Setting)>),
    /// A plugin block, as in `codec => json { }`.
    Plugin(Arc<Call>),
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The value.
    pub value: Literal,
    /// Where it stands.
    pub place: Place,
}

/// A plugin as it stands in the configuration, its options checked against the [`Spec`].
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The plugin's name.
    pub name: String,
    /// The place of the name.
    pub place: Place,
    /// `id`, given or made (unique in the pipeline, the same at each start).
    pub id: String,
    /// The options.
    pub options: Options,
}

/// The options that were given for one plugin, by name, with typed readers. The checker has
/// seen to types, names and required ones: readers need no error path of their own.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Options {
    /// Name, its place, and the value.
    pub settings: Vec<(String, Place, Setting)>,
    /// The place of the plugin's name, for mistakes that belong to no option.
    pub place: Place,
}

/// What constructors are told besides their options.
#[derive(Clone)]
pub struct Context {
    /// `pipeline.id`.
    pub pipeline: String,
    /// The plugin's id.
    pub id: String,
    /// `pipeline.ecs_compatibility`: false for `disabled`, true for `v1` and `v8`.
    pub ecs: bool,
    /// `path.data`.
    pub data: PathBuf,
    /// Only checking (`-t`): files that are missing are no error, nothing is opened for writing.
    pub check_only: bool,
    /// The embedded index, where the process has one open.
    pub index: Option<Arc<crate::index::Index>>,
    /// The plugin's counters, where it runs.
    pub stats: Option<Arc<crate::metric::PluginStats>>,
    /// Where metrics derived from events are entered.
    pub derived: Arc<crate::metric::Derived>,
    /// The addresses by which pipelines reach each other.
    pub links: Arc<crate::pipeline::Links>,
}

impl Context {
    /// For plugins that no running pipeline has: those that are only explained or tried.
    pub fn alone(pipeline: &str, ecs: bool, check_only: bool) -> Context {
        Context {
            pipeline: pipeline.to_owned(),
            id: pipeline.to_owned(),
            ecs,
            data: std::env::temp_dir(),
            check_only,
            index: None,
            stats: None,
            links: Arc::default(),
            derived: Default::default(),
        }
    }

    /// The same for one plugin of the pipeline: with its id, and its own `ecs_compatibility`.
    pub fn plugin(&self, id: &str, options: &Options) -> Context {
        let ecs = options.str("ecs_compatibility").map_or(self.ecs, |mode| mode != "disabled");
        Context { id: id.to_owned(), ecs, ..self.clone() }
    }
}

impl Options {
    /// The setting of an option, if given.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|(n, ..)| n == name).map(|(.., s)| s)
    }

    /// Whether an option was given.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The place of an option's value, or of the plugin where it was not given.
    pub fn place_of(&self, name: &str) -> Place {
        self.get(name).map_or(self.place, |s| s.place)
    }

    /// A text.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// A truth value.
    pub fn bool(&self, name: &str, default: bool) -> bool {
        self.str(name).map_or(default, |s| s == "true")
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<f64> {
        match &self.get(name)?.value {
            Literal::Number(n, _) => Some(*n),
            Literal::String(s) => s.parse().ok(),
            _ => None,
        }
    }

    /// The elements of an array; a single value counts as an array of one.
    pub fn list(&self, name: &str) -> &[Setting] {
        match self.get(name) {
            None => &[],
            Some(setting) => setting.elements(),
        }
    }

    /// The elements of an array of texts.
    pub fn strings(&self, name: &str) -> Vec<String> {
        self.list(name).iter().filter_map(|s| s.as_str().map(str::to_owned)).collect()
    }

    /// The pairs of a hash.
    pub fn hash(&self, name: &str) -> &[(Setting, Setting)] {
        match self.get(name).map(|s| &s.value) {
            Some(Literal::Hash(pairs)) => pairs,
            _ => &[],
        }
    }

    /// A field reference; the checker has seen that it parses.
    pub fn field(&self, name: &str) -> Option<FieldRef> {
        FieldRef::parse(self.str(name)?).ok()
    }

    /// A template.
    pub fn template(&self, name: &str) -> Option<Template> {
        self.str(name).map(Template::parse)
    }
}

impl Setting {
    /// The text of a text, bare word or number.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Literal::String(s) | Literal::Number(_, s) => Some(s),
            _ => None,
        }
    }

    /// The elements of an array; the value itself where it is none.
    pub fn elements(&self) -> &[Setting] {
        match &self.value {
            Literal::Array(elements) => elements,
            _ => std::slice::from_ref(self),
        }
    }
}

/// A built-in plugin by kind and name.
pub fn find(kind: Kind, name: &str) -> Option<&'static Spec> {
    Catalogue::built_in().of(kind).iter().copied().find(|spec| spec.name == name)
}
