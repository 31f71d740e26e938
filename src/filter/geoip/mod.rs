//! The `geoip` filter: place and network of an address out of a MaxMind database, as Logstash's
//! logstash-filter-geoip.
//!
//! What a record says is remembered per worker, by the record; within a batch its values are made
//! once. Names of hosts are not resolved: that would stop the events behind.

mod database;
mod fields;

use super::common::set;
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, Data, EventId, FieldRef, Value};
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use database::{Base, Found, Shared};
use fields::{FIELDS, Field};
use rustc_hash::FxHashMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "geoip",
    summary: "Tells place and network of an address, out of a MaxMind database.",
    options: &[
        Opt::new("cache_size", Type::Number, Some("1000"), "How many records each worker remembers what they say."),
        Opt::new(
            "database",
            Type::Path,
            None,
            "The database's file, which is read again when it changes. Without it, `GeoLite2-City.mmdb` (or ASN) and `GeoIP2-City.mmdb` are looked for in `path.data`/geoip, /usr/share/GeoIP and /var/lib/GeoIP.",
        ),
        Opt::new(
            "default_database_type",
            Type::Enum(&["City", "ASN"]),
            Some("City"),
            "Which database is looked for where `database` names none.",
        ),
        Opt::new("fields", Type::Array, None, "The fields to set; all that the database has by default."),
        Opt::required("source", Type::Field, "The field with the address; of an array, its first element."),
        Opt::new(
            "tag_on_failure",
            Type::Array,
            Some("[\"_geoip_lookup_failure\"]"),
            "Tags for events whose address is none, or not in the database.",
        ),
        Opt::new(
            "target",
            Type::Field,
            None,
            "The field under which the fields are put: in ECS mode the field above `source` where that ends in `[ip]`, else `geoip` by default.",
        ),
    ],
    examples: &[],
    build: Build::Filter(build),
};

struct Plan {
    source: FieldRef,
    target: FieldRef,
    /// The fields to set and where they go.
    fields: Vec<(Field, FieldRef)>,
    wanted: Vec<Field>,
    failure: Vec<String>,
    cache: usize,
}

struct GeoIp {
    plan: Arc<Plan>,
    database: Arc<Shared>,
    /// What records say, by their place in the file.
    known: FxHashMap<usize, Known>,
    generation: u64,
    /// Counts calls, so that values of another batch are known.
    run: u64,
    text: String,
}

/// What a record says.
struct Known {
    /// Index into [`Plan::fields`], and the value.
    values: Vec<(usize, Data)>,
    /// For which call `made` was made.
    run: u64,
    /// The target with these values, in an event that has no target.
    made: Value,
    /// Whether it says anything: a city without a place does not.
    says: bool,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Filter>> {
    let mut errors = Vec::new();
    let database = open(options, context, &mut errors);
    let mut wanted = Vec::new();
    for name in options.list("fields") {
        let text = name.as_str().unwrap_or_default().to_ascii_lowercase();
        match FIELDS.iter().find(|(_, known, ..)| *known == text) {
            Some((field, ..)) => wanted.push(*field),
            None => {
                let names: Vec<&str> = FIELDS.iter().map(|(_, name, ..)| *name).collect();
                let mistake = Diagnostic::error(code::CHOICE, name.place, format!("there is no field `{text}`"));
                errors.push(mistake.note(format!("`fields` takes: {}", names.join(", "))));
            }
        }
    }
    let source = options.str("source").unwrap_or_default();
    let target = match options.str("target") {
        Some(target) => target.to_owned(),
        None if !context.ecs => "geoip".to_owned(),
        None => source.strip_suffix("[ip]").unwrap_or_default().to_owned(),
    };
    if target.is_empty() {
        let message = "`geoip` needs the setting `target` in ECS mode where `source` does not end in `[ip]`";
        let label = "write `target => \"client\"`, or `source => \"[client][ip]\"`";
        errors.push(Diagnostic::error(code::REQUIRED, options.place, message).label(label));
    }
    if options.number("cache_size").is_some_and(|size| size < 1.0) {
        let message = "`cache_size` must be more than zero";
        errors.push(Diagnostic::error(code::VALUE, options.place_of("cache_size"), message));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let Some(database) = database else { return Ok(Box::new(Absent)) };
    if wanted.is_empty() {
        wanted = database.now.load().kind.defaults(context.ecs);
    }
    let target = if target.starts_with('[') { target } else { format!("[{target}]") };
    let place = |&wanted: &Field| {
        let (field, _, ecs, legacy) = FIELDS.iter().find(|(field, ..)| *field == wanted)?;
        let path = if context.ecs { (*ecs).to_owned() } else { format!("[{legacy}]") };
        (!path.is_empty()).then(|| Some((*field, FieldRef::parse(&format!("{target}{path}")).ok()?)))?
    };
    let fields: Vec<_> = wanted.iter().filter_map(place).collect();
    let plan = Plan {
        source: options.field("source").unwrap_or_else(|| FieldRef::of("message")),
        target: FieldRef::parse(&target).unwrap_or_else(|_| FieldRef::of("geoip")),
        wanted: fields.iter().map(|(field, _)| *field).collect(),
        fields,
        failure: match options.has("tag_on_failure") {
            true => options.strings("tag_on_failure"),
            false => vec!["_geoip_lookup_failure".to_owned()],
        },
        cache: options.number("cache_size").unwrap_or(1000.0) as usize,
    };
    Ok(Box::new(GeoIp::new(Arc::new(plan), database)))
}

/// Opens the database; `None` where it can't be, which is no error while only checking.
fn open(options: &Options, context: &Context, errors: &mut Vec<Diagnostic>) -> Option<Arc<Shared>> {
    let path = match options.str("database") {
        Some(path) => PathBuf::from(path),
        None => {
            let kind = options.str("default_database_type").unwrap_or("City");
            let folders = [context.data.join("geoip"), "/usr/share/GeoIP".into(), "/var/lib/GeoIP".into()];
            let files = [format!("GeoLite2-{kind}.mmdb"), format!("GeoIP2-{kind}.mmdb")];
            let all = || folders.iter().flat_map(|folder| files.iter().map(|file| folder.join(file)));
            match all().find(|path| path.is_file()) {
                Some(path) => path,
                None => {
                    let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
                    let message = format!("cannot find a database {} in {}", files.join(" or "), folders.join(", "));
                    return missing(options.place, context, errors, message);
                }
            }
        }
    };
    match Shared::open(&path) {
        Ok(shared) => Some(shared),
        Err(error @ database::DatabaseError::Io(_)) => {
            let message = format!("cannot read database `{}`: {error}", path.display());
            missing(options.place_of("database"), context, errors, message)
        }
        Err(error) => {
            let message = format!("cannot use database `{}`: {error}", path.display());
            errors.push(Diagnostic::error(code::FILE, options.place_of("database"), message));
            None
        }
    }
}

fn missing(
    place: crate::diagnostic::Place,
    context: &Context,
    errors: &mut Vec<Diagnostic>,
    message: String,
) -> Option<Arc<Shared>> {
    if context.check_only {
        tracing::warn!("{message}");
        return None;
    }
    let note = "GeoLite2 is free of charge at https://dev.maxmind.com/geoip/geolite2-free-geolocation-data; \
                its program `geoipupdate` puts it into /usr/share/GeoIP and keeps it up to date";
    errors.push(Diagnostic::error(code::FILE, place, message).label("name its file in `database`").note(note));
    None
}

/// What stands for the filter while only checking, where its database is missing.
struct Absent;

impl Filter for Absent {
    fn run(&mut self, _: &mut Batch, _: &mut Run) {}

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Absent)
    }
}

impl GeoIp {
    fn new(plan: Arc<Plan>, database: Arc<Shared>) -> GeoIp {
        GeoIp { plan, database, known: FxHashMap::default(), generation: 0, run: 0, text: String::new() }
    }

    /// Sets the fields; false where the address is none or nothing is known of it.
    fn event(&mut self, plan: &Plan, base: &Base, batch: &mut Batch, event: EventId) -> bool {
        let value = match batch.get(event, &plan.source) {
            Some(Value::Array(list)) => batch.entries(list).first().map(|entry| entry.value),
            value => value,
        };
        let Some(Value::Str(span)) = value else { return false };
        let text = batch.text(span);
        if text.trim().is_empty() {
            return false;
        }
        let address = text.parse::<IpAddr>().map(|address| address.to_canonical()).ok();
        let found = address.and_then(|address| base.find(address).map(|found| (address, found)));
        let Some((address, found)) = found else {
            self.leave_empty(plan, batch, event);
            return false;
        };
        if self.known.len() >= plan.cache && !self.known.contains_key(&found.offset) {
            // Cheaper than to count uses, and what is in use is soon known again.
            self.known.clear();
        }
        let known = self.known.entry(found.offset).or_insert_with(|| Known::of(plan, base, &found));
        if !known.says {
            self.leave_empty(plan, batch, event);
            return false;
        }
        let fresh = matches!(batch.get(event, &plan.target), None | Some(Value::Null));
        if fresh {
            if known.run != self.run {
                known.run = self.run;
                known.make(plan, batch);
            }
            if !set(batch, event, &plan.target, known.made) {
                return false;
            }
        } else {
            for (at, value) in &known.values {
                let value = value.to_value(batch);
                set(batch, event, &plan.fields[*at].1, value);
            }
        }
        self.set_own(plan, batch, event, address, &found);
        true
    }

    /// Sets what differs for each address of a record.
    fn set_own(&mut self, plan: &Plan, batch: &mut Batch, event: EventId, address: IpAddr, found: &Found) {
        for (field, place) in &plan.fields {
            self.text.clear();
            match field {
                Field::Ip => write_address(address, &mut self.text),
                Field::Network => match found.network() {
                    Some(network) => self.text.push_str(&network),
                    None => continue,
                },
                _ => continue,
            }
            let value = batch.str(&self.text);
            set(batch, event, place, value);
        }
    }

    /// Logstash leaves an empty target where nothing was found.
    fn leave_empty(&self, plan: &Plan, batch: &mut Batch, event: EventId) {
        if matches!(batch.get(event, &plan.target), None | Some(Value::Null)) {
            let empty = batch.list(&[]);
            set(batch, event, &plan.target, Value::Object(empty));
        }
    }
}

impl Filter for GeoIp {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let (plan, database) = (self.plan.clone(), self.database.clone());
        let base = database.now.load();
        if self.generation != base.generation {
            self.generation = base.generation;
            self.known.clear();
        }
        self.run += 1;
        for &event in run.events {
            if self.event(&plan, &base, batch, event) {
                run.matched.push(event);
            } else {
                plan.failure.iter().for_each(|tag| batch.tag(event, tag));
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(GeoIp::new(self.plan.clone(), self.database.clone()))
    }
}

impl Known {
    fn of(plan: &Plan, base: &Base, found: &Found) -> Known {
        let values = found.values(base.kind, &plan.wanted);
        let says = values.is_some();
        let place = |(field, value): (Field, Data)| {
            plan.fields.iter().position(|(known, _)| *known == field).map(|at| (at, value))
        };
        let values = values.unwrap_or_default().into_iter().filter_map(place).collect();
        Known { values, run: 0, made: Value::Null, says }
    }

    /// Makes the target for a batch: a hash that its events share.
    fn make(&mut self, plan: &Plan, batch: &mut Batch) {
        let depth = plan.target.steps().len();
        let mut made = Value::Object(batch.list(&[]));
        for (at, value) in &self.values {
            let value = value.to_value(batch);
            if let Some(new) = batch.with_set(Some(made), &plan.fields[*at].1.steps()[depth..], value) {
                made = new;
            }
        }
        self.made = made;
    }
}

/// An address as Java writes it: all eight groups of the long ones.
fn write_address(address: IpAddr, out: &mut String) {
    match address {
        IpAddr::V4(address) => drop(write!(out, "{address}")),
        IpAddr::V6(address) => {
            for (at, group) in address.segments().into_iter().enumerate() {
                let _ = write!(out, "{}{group:x}", if at > 0 { ":" } else { "" });
            }
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod written;
