//! The `date` filter: takes the event's time from a field.
//!
//! `date { match => ["timestamp", "dd/MMM/yyyy:HH:mm:ss Z", "ISO8601"] }`, as Logstash's
//! logstash-filter-date: formats are tried in order, the first that fits wins. Times end at the
//! millisecond there; `precision => "ns"` keeps what the text has.

use super::common::{Name, set};
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::joda::{Format, Memo, Zone, parse_casual};
use crate::event::{Batch, EventId, FieldRef, Template, Timestamp, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "date",
    summary: "Takes the event's time from a field.",
    options: &[
        Opt::new(
            "locale",
            Type::String,
            None,
            "Whose names months and days have, such as `fr` or `pt-BR`; English where not given.",
        ),
        Opt::new(
            "match",
            Type::Array,
            Some("[]"),
            "The field, then formats to try in order: Joda-Time patterns, ISO8601, UNIX, UNIX_MS, TAI64N.",
        ),
        Opt::new(
            "precision",
            Type::Enum(&["ms", "ns"]),
            Some("ms"),
            "How much of the fraction of a second is kept: milliseconds, or all that the text has.",
        ),
        Opt::new(
            "tag_on_failure",
            Type::Array,
            Some(r#"["_dateparsefailure"]"#),
            "Tags for events whose field fits no format.",
        ),
        Opt::new("target", Type::String, Some("@timestamp"), "The field that gets the time."),
        Opt::new(
            "timezone",
            Type::String,
            None,
            "The zone of times that name none, such as `Asia/Tokyo`; may be a field: `%{[tz]}`.",
        ),
    ],
    examples: &[
        Example {
            title: "The time of a web server's log line",
            config: r#"date { match => ["timestamp", "dd/MMM/yyyy:HH:mm:ss Z"] remove_field => "timestamp" }"#,
            given: r#"{"timestamp":"25/Mar/2013:20:33:56 +0100"}"#,
            then: r#"{"@timestamp":"2013-03-25T19:33:56.000Z"}"#,
        },
        Example {
            title: "A local time, into another field",
            config: r#"date { match => ["t", "yyyy-MM-dd HH:mm"] timezone => "Asia/Tokyo" target => "at" }"#,
            given: r#"{"t":"2020-02-29 09:00"}"#,
            then: r#"{"t":"2020-02-29 09:00","at":"2020-02-29T00:00:00.000Z"}"#,
        },
    ],
    build: Build::Filter(build),
};

/// One of the formats of `match`.
enum Kind {
    Iso8601,
    Unix,
    UnixMillis,
    Tai64n,
    Joda(Format),
}

enum Where {
    Fixed(Zone),
    Rendered(Template),
}

struct Plan {
    source: Name,
    target: Name,
    formats: Vec<Kind>,
    zone: Where,
    failure: Vec<String>,
    nanos: bool,
}

struct Date {
    plan: Arc<Plan>,
    /// One for each format, all of the zone that counted last.
    memos: Vec<Memo>,
    named: Named,
}

/// The zone that the last event named, and its name.
#[derive(Default)]
struct Named {
    id: String,
    zone: Option<Zone>,
    scratch: Vec<u8>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let settings = options.list("match");
    let place = options.place_of("match");
    let mut wrong = Vec::new();
    if settings.len() < 2 {
        let message = "`match` needs a field and at least one format";
        wrong.push(Diagnostic::error(code::VALUE, place, message).label("such as [\"time\", \"ISO8601\"]"));
    }
    let locale = options.str("locale").unwrap_or("en");
    let mut formats = Vec::new();
    for setting in settings.iter().skip(1) {
        match setting.as_str().unwrap_or_default() {
            "ISO8601" => formats.push(Kind::Iso8601),
            "UNIX" => formats.push(Kind::Unix),
            "UNIX_MS" => formats.push(Kind::UnixMillis),
            "TAI64N" => formats.push(Kind::Tai64n),
            pattern => match Format::joda(pattern, locale) {
                Ok(format) => formats.push(Kind::Joda(format)),
                Err(error) => {
                    let message = format!("cannot read the date format `{pattern}`: {error}");
                    wrong.push(Diagnostic::error(code::PATTERN, setting.place, message));
                }
            },
        }
    }
    let zone = match options.str("timezone") {
        None => Where::Fixed(Zone::system().clone()),
        Some(text) if text.contains("%{") => Where::Rendered(Template::parse(text)),
        Some(text) => Where::Fixed(Zone::parse(text).unwrap_or_else(|| {
            let message = format!("unknown time zone `{text}`");
            let note = "zones have names such as `Europe/Berlin` and `UTC`, or are offsets such as `+02:00`";
            wrong.push(Diagnostic::error(code::VALUE, options.place_of("timezone"), message).note(note));
            Zone::UTC
        })),
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let failure = match options.has("tag_on_failure") {
        true => options.strings("tag_on_failure"),
        false => vec!["_dateparsefailure".to_owned()],
    };
    let plan = Plan {
        source: Name::plain(settings[0].as_str().unwrap_or_default()),
        target: Name::plain(options.str("target").unwrap_or("@timestamp")),
        formats,
        zone,
        failure,
        nanos: options.str("precision") == Some("ns"),
    };
    Ok(Box::new(Date::new(Arc::new(plan))))
}

impl Date {
    fn new(plan: Arc<Plan>) -> Date {
        let memos = vec![Memo::default(); plan.formats.len()];
        Date { plan, memos, named: Named::default() }
    }
}

impl Filter for Date {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        let (Name::Fixed(source), Name::Fixed(target)) = (&plan.source, &plan.target) else {
            // Names that are no field references: Logstash raises at each event.
            for &event in run.events {
                plan.failure.iter().for_each(|tag| batch.tag(event, tag));
            }
            return;
        };
        for &event in run.events {
            let value = match batch.get(event, source) {
                None | Some(Value::Null) => continue,
                Some(value) => value,
            };
            if self.one(&plan, batch, event, target, value, run.now) {
                run.matched.push(event);
            } else {
                plan.failure.iter().for_each(|tag| batch.tag(event, tag));
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Date::new(self.plan.clone()))
    }
}

impl Date {
    fn one(
        &mut self,
        plan: &Plan,
        batch: &mut Batch,
        event: EventId,
        target: &FieldRef,
        value: Value,
        now: Timestamp,
    ) -> bool {
        let zone = match &plan.zone {
            Where::Fixed(zone) => Some(zone),
            Where::Rendered(template) => {
                if self.named.changed(template, batch, event) {
                    self.memos.fill(Memo::default());
                }
                self.named.zone.as_ref()
            }
        };
        let at = match (&*plan.formats, value) {
            // What nearly all have: one pattern needs no walk through a list.
            ([Kind::Joda(format)], Value::Str(span)) => {
                zone.and_then(|zone| format.parse_next(&mut self.memos[0], batch.text(span), zone, now))
            }
            _ => plan.formats.iter().zip(&mut self.memos).find_map(|(format, memo)| match (format, value) {
                (Kind::Iso8601, Value::Str(span)) => parse_casual(batch.text(span), zone?, now),
                (Kind::Joda(format), Value::Str(span)) => format.parse_next(memo, batch.text(span), zone?, now),
                (Kind::Iso8601 | Kind::Joda(_), _) => None,
                (Kind::Tai64n, Value::Str(span)) => tai64n(batch.text(span)),
                (Kind::Tai64n, _) => None,
                (Kind::Unix, value) => unix(batch, value),
                (Kind::UnixMillis, value) => unix_millis(batch, value),
            }),
        };
        let Some(mut at) = at else { return false };
        if !plan.nanos {
            at = Timestamp::new(at.seconds(), at.subsec_nanos() / 1_000_000 * 1_000_000);
        }
        set(batch, event, target, Value::Time(at))
    }
}

impl Named {
    /// Whether an event names another zone than the one before it; [`Named::zone`] is its.
    fn changed(&mut self, template: &Template, batch: &Batch, event: EventId) -> bool {
        self.scratch.clear();
        template.render(batch, event, &mut self.scratch);
        if self.id.as_bytes() == self.scratch {
            return false;
        }
        self.id = String::from_utf8_lossy(&self.scratch).into_owned();
        self.zone = Zone::parse(&self.id);
        true
    }
}

/// Seconds since 1970, at most the 32-bit ones, as Logstash's `UNIX`; anything above is left to
/// `UNIX_MS`.
fn unix(batch: &Batch, value: Value) -> Option<Timestamp> {
    let in_range = |seconds: &i64| *seconds <= i64::from(i32::MAX);
    match value {
        Value::Int(seconds) => Some(Timestamp::new(Some(seconds).filter(in_range)?, 0)),
        Value::Float(n) => {
            Some(n as i64).filter(in_range)?;
            let millis = Timestamp::from_millis((n * 1000.0) as i64);
            Some(Timestamp::new(millis.seconds(), millis.subsec_nanos() + sub_millis(n)))
        }
        Value::Str(span) => {
            let text = batch.text(span);
            let Some((whole, fraction)) = text.split_once('.') else {
                return Some(Timestamp::new(text.parse().ok().filter(in_range)?, 0));
            };
            let seconds: i64 = whole.parse().ok().filter(in_range)?;
            // Logstash reads three digits and ignores whatever follows.
            let digits = fraction.bytes().take(9).take_while(u8::is_ascii_digit).count();
            if digits == 0 || (digits < 3 && digits < fraction.len()) {
                return None;
            }
            let nanos = fraction[..digits].parse::<u32>().ok()? * 10u32.pow(9 - digits as u32);
            Some(Timestamp::new(seconds, nanos))
        }
        _ => None,
    }
}

/// What a float of seconds has below its milliseconds, as far as a double can tell: microseconds.
fn sub_millis(seconds: f64) -> u32 {
    ((seconds * 1e6).floor() as i64).rem_euclid(1000) as u32 * 1000
}

fn unix_millis(batch: &Batch, value: Value) -> Option<Timestamp> {
    let millis = match value {
        Value::Int(millis) => millis,
        Value::Float(n) => n as i64,
        Value::Str(span) => batch.text(span).parse().ok()?,
        _ => return None,
    };
    Some(Timestamp::from_millis(millis))
}

/// `@4000000050d506482dbdf024`: seconds since 1970 in TAI plus 2⁶², then nanoseconds. As in
/// Logstash ten leap seconds are taken off, whatever the date.
fn tai64n(text: &str) -> Option<Timestamp> {
    let text = text.strip_prefix('@').unwrap_or(text);
    let seconds = i64::from_str_radix(text.get(..16)?, 16).ok()? & ((1 << 62) - 1);
    let nanos = i64::from(i32::from_str_radix(text.get(16..24)?, 16).ok()?);
    let carry = nanos.div_euclid(1_000_000_000);
    Some(Timestamp::new(seconds - 10 + carry, nanos.rem_euclid(1_000_000_000) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::joda::parse_iso8601;
    use crate::filter::common::tests::{event, options, run, shown};

    /// `after` holds the fields besides `@timestamp`, whose expected value is `at`.
    fn check(settings: &str, before: &str, at: Option<&str>) {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        let matched = run(build, settings, &mut batch, event);
        let found = batch.timestamp(event);
        assert_eq!(found, at.map(|at| parse_iso8601(at).unwrap()), "{settings} on {before}");
        assert_eq!(matched, at.is_some(), "{settings} on {before}");
        let failed = batch.has_tag(event, "_dateparsefailure");
        assert_eq!(failed, !matched && before.contains("\"t\""), "{}", shown(&batch, event));
    }

    #[test]
    fn formats() {
        let http = r#"{"match":["t","dd/MMM/yyyy:HH:mm:ss Z"]}"#;
        check(http, r#"{"t":"25/Mar/2013:20:33:56 +0000"}"#, Some("2013-03-25T20:33:56Z"));
        check(http, r#"{"t":"25/Bar/2013:20:33:56 +0000"}"#, None);
        check(http, r#"{"t":17}"#, None);
        check(http, r#"{"t":["25/Mar/2013:20:33:56 +0000"]}"#, None);
        check(http, r#"{"other":1}"#, None);
        check(http, r#"{"u":null}"#, None);
        let several = r#"{"match":["t","yyyy-MM-dd","dd.MM.yyyy","ISO8601"],"timezone":"UTC"}"#;
        check(several, r#"{"t":"21.04.2013"}"#, Some("2013-04-21T00:00:00Z"));
        check(several, r#"{"t":"2013-04-21T01:02:03+01:00"}"#, Some("2013-04-21T00:02:03Z"));
        let tai = r#"{"match":["t","TAI64N"]}"#;
        check(tai, r#"{"t":"@4000000050d506482dbdf024"}"#, Some("2012-12-22T01:00:46.767Z"));
        check(tai, r#"{"t":"4000000050d506482dbdf024"}"#, Some("2012-12-22T01:00:46.767Z"));
        check(tai, r#"{"t":"4000"}"#, None);
    }

    #[test]
    fn unix_times() {
        let unix = r#"{"match":["t","UNIX"]}"#;
        check(unix, r#"{"t":"0"}"#, Some("1970-01-01T00:00:00Z"));
        check(unix, r#"{"t":1478207457}"#, Some("2016-11-03T21:10:57Z"));
        check(unix, r#"{"t":"1350414944.123456"}"#, Some("2012-10-16T19:15:44.123Z"));
        check(unix, r#"{"t":"1350414944.1"}"#, Some("2012-10-16T19:15:44.100Z"));
        check(unix, r#"{"t":1350414944.123456}"#, Some("2012-10-16T19:15:44.123Z"));
        check(unix, r#"{"t":"1000000000123"}"#, None);
        for bad in ["", "1.", "1.x", "x", " 1", "%{bad_value}"] {
            check(unix, &format!(r#"{{"t":"{bad}"}}"#), None);
        }
        let both = r#"{"match":["t","UNIX","UNIX_MS"]}"#;
        check(both, r#"{"t":"1000000000123"}"#, Some("2001-09-09T01:46:40.123Z"));
        check(both, r#"{"t":1000000000123}"#, Some("2001-09-09T01:46:40.123Z"));
        check(both, r#"{"t":true}"#, None);
        let nanos = r#"{"match":["t","UNIX","ISO8601"],"precision":"ns"}"#;
        check(nanos, r#"{"t":"1350414944.123456789"}"#, Some("2012-10-16T19:15:44.123456789Z"));
        check(nanos, r#"{"t":1350414944.123456}"#, Some("2012-10-16T19:15:44.123456Z"));
        check(nanos, r#"{"t":"2020-01-01T00:00:00.123456Z"}"#, Some("2020-01-01T00:00:00.123456Z"));
    }

    #[test]
    fn zones() {
        let fixed = r#"{"match":["t","yyyy-MM-dd HH:mm"],"timezone":"America/Caracas"}"#;
        check(fixed, r#"{"t":"2016-05-01 08:18"}"#, Some("2016-05-01T12:18:00Z"));
        let field = r#"{"match":["t","ISO8601"],"timezone":"%{[tz]}"}"#;
        check(field, r#"{"t":"2007-12-09T10:00:00","tz":"America/Caracas"}"#, Some("2007-12-09T14:30:00Z"));
        check(field, r#"{"t":"2007-12-09T10:00:00","tz":"Nowhere"}"#, None);
        check(field, r#"{"t":"2007-12-09T10:00:00"}"#, None);
        check(r#"{"match":["t","UNIX"],"timezone":"%{tz}"}"#, r#"{"t":1}"#, Some("1970-01-01T00:00:01Z"));
    }

    #[test]
    fn targets() {
        let mut batch = Batch::new();
        let event = event(&mut batch, r#"{"t":"2013/04/21"}"#);
        let settings = r#"{"match":["t","yyyy/MM/dd"],"timezone":"UTC","target":"[a][at]"}"#;
        assert!(run(build, settings, &mut batch, event));
        assert_eq!(shown(&batch, event), r#"{"t":"2013/04/21","a":{"at":"2013-04-21T00:00:00.000Z"}}"#);
    }

    #[test]
    fn mistakes() {
        let check = |settings: &str, want: &str| {
            let context = crate::filter::common::tests::context();
            let found = build(&options(settings), &context).err().expect("it is wrong");
            assert_eq!(found[0].code, want, "{settings}");
        };
        check(r#"{"match":["t"]}"#, code::VALUE);
        check(r#"{}"#, code::VALUE);
        check(r#"{"match":["t","yyyy-bb"]}"#, code::PATTERN);
        check(r#"{"match":["t","ISO8601"],"timezone":"Nowhere/Land"}"#, code::VALUE);
    }
}
