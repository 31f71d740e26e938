//! The file of tests: what is given, what is expected.

use crate::codec;
use crate::diagnostic::{Diagnostic, Place, Sources};
use crate::event::json::{self, Decoded, Parser};
use crate::event::{Batch, EventId, FieldId, Frame, Timestamp, Value as EventValue, joda};
use crate::language;
use crate::pipeline::Trial;
use crate::plugin::{Call, Context, Literal, Options, Setting};
use crate::resource::parse_yaml;
use anyhow::{Context as _, anyhow, bail};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::Path;

/// A file of tests.
#[derive(Debug)]
pub(super) struct Suite {
    files: Vec<String>,
    text: Option<String>,
    /// `pipeline.ecs_compatibility`
    pub(super) ecs: bool,
    /// `config.support_escapes`
    pub(super) support_escapes: bool,
    /// What `${NAME}` stands for.
    pub(super) variables: HashMap<String, String>,
    pub(super) cases: Vec<Case>,
}

/// One test.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    given: Vec<Value>,
    /// The codec that texts of `given` pass, as a pipeline would have it; plain where missing.
    codec: Option<(String, Map<String, Value>)>,
    now: Timestamp,
    pub(super) expect: Vec<Value>,
    /// Whether events may have no other fields than the expected ones.
    pub(super) exact: bool,
}

impl Case {
    /// Whether both say the same; the time may be that of reading them.
    pub(super) fn is_written_as(&self, other: &Case) -> bool {
        let Case { name, given, codec, now: _, expect, exact } = self;
        (name, given, codec, expect, exact) == (&other.name, &other.given, &other.codec, &other.expect, &other.exact)
    }
}

/// The members of a hash, each taken once; what is left is a mistake.
struct Members(Map<String, Value>, &'static str);

impl Members {
    fn of(value: Value, what: &'static str) -> anyhow::Result<Members> {
        match value {
            Value::Object(members) => Ok(Members(members, what)),
            Value::Null => Ok(Members(Map::new(), what)),
            _ => Err(anyhow!("{what} must be a hash")),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    fn list(&mut self, name: &str) -> Vec<Value> {
        match self.take(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(one) => vec![one],
        }
    }

    fn flag(&mut self, name: &str) -> anyhow::Result<bool> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(anyhow!("`{name}` must be true or false")),
        }
    }

    fn end(self) -> anyhow::Result<()> {
        match self.0.keys().next() {
            Some(name) => Err(anyhow!("{} has no `{name}`", self.1)),
            None => Ok(()),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Suite {
    /// Parses the file.
    pub(super) fn parse(yaml: &str) -> anyhow::Result<Suite> {
        let value = parse_yaml(yaml).map_err(|cause| anyhow!("cannot parse the file: {cause}"))?;
        let mut top = Members::of(value, "a file of tests")?;
        let mut settings = Members::of(top.take("settings").unwrap_or_default(), "`settings`")?;
        let variables = Members::of(top.take("variables").unwrap_or_default(), "`variables`")?;
        let mut suite = Suite {
            files: top.list("pipeline").iter().map(text).collect(),
            text: top.take("text").as_ref().map(text),
            ecs: settings.take("pipeline.ecs_compatibility").is_none_or(|mode| text(&mode) != "disabled"),
            support_escapes: settings.flag("config.support_escapes")?,
            variables: variables.0.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            cases: Vec::new(),
        };
        settings.end()?;
        if suite.files.is_empty() == suite.text.is_none() {
            bail!("name the files of the `pipeline`, or give it as `text`");
        }
        for (at, case) in top.list("tests").into_iter().enumerate() {
            let case = Case::parse(case).with_context(|| format!("test {}", at + 1))?;
            suite.cases.push(case);
        }
        if suite.cases.is_empty() {
            bail!("`tests` is missing or empty");
        }
        top.end()?;
        Ok(suite)
    }

    /// The filter sections of the pipeline; its files lie beside that of the tests.
    pub(super) fn sources(&self, folder: &Path) -> anyhow::Result<Sources> {
        let mut files = Vec::new();
        for name in &self.files {
            let path = folder.join(name);
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.push((path.display().to_string(), language::only_filters(&text)));
        }
        files.extend(self.text.as_ref().map(|text| ("text".to_owned(), language::only_filters(text))));
        Ok(Sources { files })
    }
}

impl Case {
    fn parse(value: Value) -> anyhow::Result<Case> {
        let mut members = Members::of(value, "a test")?;
        let name = members.take("name").as_ref().map(text).ok_or_else(|| anyhow!("`name` is missing"))?;
        let given = members.list("given");
        if given.is_empty() {
            bail!("`given` is missing or empty");
        }
        let codec = match members.take("codec") {
            None => None,
            Some(Value::String(name)) => Some((name, Map::new())),
            Some(Value::Object(one)) if one.len() == 1 => {
                let (name, options) = one.into_iter().next().expect("BUG: one member is none");
                Some((name, Members::of(options, "the options of a codec")?.0))
            }
            Some(_) => bail!("`codec` is a name, or a name with a hash of options"),
        };
        let now = match members.take("now") {
            None => Timestamp::now(),
            Some(at) => joda::parse_iso8601(&text(&at)).ok_or_else(|| anyhow!("`now` is no time in ISO 8601"))?,
        };
        if !members.0.contains_key("expect") {
            bail!("`expect` is missing; it is `[]` where no event comes out");
        }
        let case = Case { name, given, codec, now, expect: members.list("expect"), exact: members.flag("exact")? };
        members.end()?;
        Ok(case)
    }

    /// The events that come out, as JSON, `@metadata` included.
    pub(super) fn run(&self, trial: &mut Trial, context: &Context) -> Result<Vec<Value>, Vec<Diagnostic>> {
        let mut batch = Batch::new();
        batch.read_at = Some(self.now);
        let mut codec = codec::build(&self.options(), "plain", &Context { ecs: false, ..context.clone() })?;
        let mut events = Vec::new();
        let mut lines = codec.joiner.as_ref().map(|make| make());
        let mut frames: Vec<Vec<u8>> = Vec::new();
        for given in &self.given {
            match given {
                Value::Object(_) => {
                    decode(&mut codec, &mut batch, &mut frames, &mut events);
                    let span = batch.push_text(&given.to_string());
                    if let Ok(Decoded::Event(event)) = Parser::default().parse_event(&mut batch, span) {
                        events.push(event);
                    }
                }
                line => match &mut lines {
                    Some(joiner) => joiner.push(text(line).as_bytes(), &mut |frame, _| frames.push(frame.to_vec())),
                    None => frames.push(text(line).into_bytes()),
                },
            }
        }
        if let Some(joiner) = &mut lines {
            joiner.flush(&mut |frame, _| frames.push(frame.to_vec()));
        }
        decode(&mut codec, &mut batch, &mut frames, &mut events);
        for &event in &events {
            if batch.timestamp(event).is_none() {
                batch.set_key(event, FieldId::TIMESTAMP, EventValue::Time(self.now));
            }
            if batch.get_key(event, FieldId::VERSION).is_none() {
                let version = batch.str("1");
                batch.set_key(event, FieldId::VERSION, version);
            }
        }
        let out = trial.run(&mut batch, &events, self.now);
        Ok(out.into_iter().map(|event| shown(&batch, event)).collect())
    }

    /// The option `codec` as a pipeline would have it.
    fn options(&self) -> Options {
        let place = Place::default();
        let setting = |value: &Value| Setting { value: literal(value), place };
        let Some((name, options)) = &self.codec else { return Options::default() };
        let settings = options.iter().map(|(name, value)| (name.clone(), place, setting(value))).collect();
        let call = Call { name: name.clone(), place, id: "codec".to_owned(), options: Options { settings, place } };
        let codec = Setting { value: Literal::Plugin(std::sync::Arc::new(call)), place };
        Options { settings: vec![("codec".to_owned(), place, codec)], place }
    }
}

fn decode(codec: &mut codec::Codec, batch: &mut Batch, frames: &mut Vec<Vec<u8>>, events: &mut Vec<EventId>) {
    for frame in frames.drain(..) {
        let bytes = batch.push_bytes(&frame);
        codec.decoder.decode(batch, Frame { bytes, origin: 0, tags: 0 }, events);
    }
}

fn literal(value: &Value) -> Literal {
    let setting = |value: &Value| Setting { value: literal(value), place: Place::default() };
    match value {
        Value::Array(list) => Literal::Array(list.iter().map(setting).collect()),
        Value::Object(members) => Literal::Hash(
            members.iter().map(|(key, value)| (setting(&Value::String(key.clone())), setting(value))).collect(),
        ),
        Value::Number(n) => Literal::Number(n.as_f64().unwrap_or_default(), n.to_string()),
        other => Literal::String(text(other)),
    }
}

/// An event as JSON, with its `@metadata` where it has one.
fn shown(batch: &Batch, event: EventId) -> Value {
    let parse = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or_default();
    let mut out = Vec::new();
    json::write_event(batch, event, &mut out);
    let mut shown: Value = parse(&out);
    if let (Some(metadata), Value::Object(members)) = (batch.get_key(event, FieldId::METADATA), &mut shown) {
        out.clear();
        json::write_value(batch, metadata, &mut out);
        members.insert("@metadata".to_owned(), parse(&out));
    }
    shown
}
