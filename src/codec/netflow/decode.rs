//! A datagram to events.

use super::Plan;
use super::field::{Field, Kind, SCOPE, V9, number};
use super::template::{Element, Template, VARIABLE};
use crate::event::{Batch, Entry, EventId, FieldId, Timestamp, Value, joda};
use std::sync::LazyLock;

/// Why a datagram, or a part of it, can't be decoded.
type Cause = &'static str;
const SHORT: Cause = "the datagram is too short";
const NO_TEMPLATE: Cause = "no template for these flows has come yet";

/// From 1900, NTP's beginning, to 1970.
const NTP_EPOCH: i64 = 2_208_988_800;

macro_rules! names {
    ($($constant:ident $name:literal),* $(,)?) => {
        $(static $constant: LazyLock<FieldId> = LazyLock::new(|| FieldId::intern($name));)*
    };
}
names! { VERSION "version", SEQUENCE "flow_seq_num", FLOWSET_ID "flowset_id" }

/// The header of version 5 as events have it: name, where, bytes.
const V5_HEADER: [(&str, usize, usize); 4] =
    [("version", 0, 2), ("flow_seq_num", 16, 4), ("engine_type", 20, 1), ("engine_id", 21, 1)];

/// A flow of version 5; `pad` is left out.
const V5_RECORD: [(&str, Kind, usize); 20] = [
    ("ipv4_src_addr", Kind::Ip4, 4),
    ("ipv4_dst_addr", Kind::Ip4, 4),
    ("ipv4_next_hop", Kind::Ip4, 4),
    ("input_snmp", Kind::Uint, 2),
    ("output_snmp", Kind::Uint, 2),
    ("in_pkts", Kind::Uint, 4),
    ("in_bytes", Kind::Uint, 4),
    ("first_switched", Kind::Uint, 4),
    ("last_switched", Kind::Uint, 4),
    ("l4_src_port", Kind::Uint, 2),
    ("l4_dst_port", Kind::Uint, 2),
    ("pad", Kind::Skip, 1),
    ("tcp_flags", Kind::Uint, 1),
    ("protocol", Kind::Uint, 1),
    ("src_tos", Kind::Uint, 1),
    ("src_as", Kind::Uint, 2),
    ("dst_as", Kind::Uint, 2),
    ("src_mask", Kind::Uint, 1),
    ("dst_mask", Kind::Uint, 1),
    ("pad", Kind::Skip, 2),
];
const V5_HEADER_BYTES: usize = 24;
const V5_RECORD_BYTES: usize = 48;

/// One datagram on its way to events.
pub(super) struct Packet<'a> {
    plan: &'a Plan,
    batch: &'a mut Batch,
    bytes: &'a [u8],
    version: u16,
    now: i64,
    entries: Vec<Entry>,
}

impl<'a> Packet<'a> {
    pub(super) fn new(plan: &'a Plan, batch: &'a mut Batch, bytes: &'a [u8]) -> Result<Packet<'a>, Cause> {
        let version = number(bytes.get(..2).ok_or(SHORT)?) as u16;
        if !plan.versions.contains(&version) {
            return Err("the datagram has a version that is not wanted");
        }
        let now = batch.read_at.map_or(0, Timestamp::seconds);
        Ok(Packet { plan, batch, bytes, version, now, entries: Vec::new() })
    }

    /// Decodes all of it. What is wrong with one set of flows is warned of, and leaves the others.
    pub(super) fn decode(&mut self, out: &mut Vec<EventId>) -> Result<(), Cause> {
        match self.version {
            5 => self.v5(out),
            9 => self.sets(20, out),
            _ => self.sets(16, out),
        }
    }

    fn number(&self, at: usize, bytes: usize) -> Result<u64, Cause> {
        self.bytes.get(at..at + bytes).map(number).ok_or(SHORT)
    }

    fn push(&mut self, name: FieldId, value: Value) {
        match self.entries.iter_mut().find(|e| e.key == name) {
            Some(old) => old.value = value,
            None => self.entries.push(Entry::new(name, value)),
        }
    }

    /// Makes an event of the fields so far.
    fn event(&mut self, at: Timestamp) -> EventId {
        let fields = self.batch.list(&self.entries);
        self.entries.clear();
        let event = self.batch.new_event();
        self.batch.set_key(event, FieldId::TIMESTAMP, Value::Time(at));
        self.batch.set(event, &self.plan.target, Value::Object(fields));
        event
    }

    fn time_text(&mut self, at: Timestamp) -> Value {
        let mut text = Vec::with_capacity(32);
        joda::write_iso8601(at, &mut text);
        self.batch.str(&String::from_utf8_lossy(&text))
    }

    fn v5(&mut self, out: &mut Vec<EventId>) -> Result<(), Cause> {
        let count = self.number(2, 2)?;
        if !(1..=30).contains(&count) {
            return Err("the number of flows is not within 1 to 30");
        }
        let (uptime, seconds, nanos) = (self.number(4, 4)?, self.number(8, 4)? as i64, self.number(12, 4)?);
        let sampling = self.number(22, 2)?;
        let at = Timestamp::new(seconds, ((nanos / 1000 * 1000) as u32).min(999_999_999));
        for record in 0..count as usize {
            let from = V5_HEADER_BYTES + record * V5_RECORD_BYTES;
            let bytes = self.bytes.get(from..from + V5_RECORD_BYTES).ok_or(SHORT)?;
            for (name, at, length) in V5_HEADER {
                let n = self.number(at, length)?;
                self.push(FieldId::intern(name), Value::Int(n as i64));
            }
            self.push(FieldId::intern("sampling_algorithm"), Value::Int((sampling >> 14) as i64));
            self.push(FieldId::intern("sampling_interval"), Value::Int((sampling & 0x3fff) as i64));
            self.push(FieldId::intern("flow_records"), Value::Int(count as i64));
            let mut from = 0;
            for (name, kind, length) in V5_RECORD {
                let field = &bytes[from..from + length];
                from += length;
                let value = match name.ends_with("_switched") {
                    true => {
                        let at = switched_v5(uptime as i64 - number(field) as i64, seconds, nanos as i64);
                        Some(self.time_text(at))
                    }
                    false => kind.value(self.batch, field),
                };
                if let Some(value) = value {
                    self.push(FieldId::intern(name), value);
                }
            }
            out.push(self.event(at));
        }
        Ok(())
    }

    /// The sets of version 9 and of IPFIX behind a header of `from` bytes.
    fn sets(&mut self, from: usize, out: &mut Vec<EventId>) -> Result<(), Cause> {
        let ipfix = self.version == 10;
        let end = if ipfix { (self.number(2, 2)? as usize).min(self.bytes.len()) } else { self.bytes.len() };
        let exporter = self.number(from - 4, 4)? as u32;
        let mut at = from;
        while at + 4 <= end {
            let (id, length) = (self.number(at, 2)? as u16, self.number(at + 2, 2)? as usize);
            if length < 4 {
                // Version 9 may have padding behind its sets.
                return if ipfix || id != 0 { Err("a set is shorter than its header") } else { Ok(()) };
            }
            let bytes = self.bytes.get(at + 4..(at + length).min(end)).unwrap_or_default();
            let done = match (ipfix, id) {
                (false, 0) => self.templates(exporter, bytes),
                (false, 1) => self.option_templates_v9(exporter, bytes),
                (true, 2) => self.templates(exporter, bytes),
                (true, 3) => self.option_templates_ipfix(exporter, bytes),
                (_, 256..) => self.flows(exporter, id, bytes, out),
                _ => Err("a set has an unknown id"),
            };
            if let Err(cause) = done {
                self.plan.templates.warn(cause);
            }
            if at + length > end {
                return Err(SHORT);
            }
            at += length;
        }
        Ok(())
    }

    /// One element of a template, and what is behind it.
    fn element<'b>(&self, bytes: &'b [u8]) -> Result<(Element, &'b [u8]), Cause> {
        let (number_bytes, rest) = bytes.split_at_checked(4).ok_or(SHORT)?;
        let (kind, length) = (number(&number_bytes[..2]) as u16, number(&number_bytes[2..]) as u16);
        if self.version == 9 {
            return Ok(((V9, kind, length), rest));
        }
        if kind & 0x8000 == 0 {
            return Ok(((0, kind, length), rest));
        }
        let (enterprise, rest) = rest.split_at_checked(4).ok_or(SHORT)?;
        Ok(((number(enterprise) as u32, kind & 0x7fff, length), rest))
    }

    fn elements<'b>(&self, count: usize, bytes: &'b [u8]) -> Result<(Vec<Element>, &'b [u8]), Cause> {
        let (mut elements, mut rest) = (Vec::new(), bytes);
        for _ in 0..count {
            let (element, behind) = self.element(rest)?;
            elements.push(element);
            rest = behind;
        }
        Ok((elements, rest))
    }

    fn learn(&self, exporter: u32, id: u64, mut elements: Vec<Element>) {
        elements.retain(|&(_, _, length)| length > 0);
        let key = (self.version == 10, exporter, id as u16);
        self.plan.templates.learn(key, elements, self.now, &self.plan.definitions);
    }

    fn templates(&mut self, exporter: u32, bytes: &[u8]) -> Result<(), Cause> {
        let mut rest = bytes;
        while rest.len() >= 4 && number(&rest[..2]) >= 256 {
            let (id, count) = (number(&rest[..2]), number(&rest[2..4]) as usize);
            let (elements, behind) = self.elements(count, &rest[4..])?;
            self.learn(exporter, id, elements);
            rest = behind;
        }
        Ok(())
    }

    fn option_templates_v9(&mut self, exporter: u32, bytes: &[u8]) -> Result<(), Cause> {
        let mut rest = bytes;
        while rest.len() >= 6 && number(&rest[..2]) >= 256 {
            let (id, scopes, options) = (number(&rest[..2]), number(&rest[2..4]), number(&rest[4..6]));
            let (mut elements, behind) = self.elements(scopes as usize / 4, &rest[6..])?;
            elements.iter_mut().for_each(|element| element.1 |= SCOPE);
            let (more, behind) = self.elements(options as usize / 4, behind)?;
            elements.extend(more);
            self.learn(exporter, id, elements);
            rest = behind;
        }
        Ok(())
    }

    fn option_templates_ipfix(&mut self, exporter: u32, bytes: &[u8]) -> Result<(), Cause> {
        let mut rest = bytes;
        while rest.len() >= 6 && number(&rest[..2]) >= 256 {
            let (id, count) = (number(&rest[..2]), number(&rest[2..4]) as usize);
            let (elements, behind) = self.elements(count, &rest[6..])?;
            self.learn(exporter, id, elements);
            rest = behind;
        }
        Ok(())
    }

    fn flows(&mut self, exporter: u32, id: u16, bytes: &[u8], out: &mut Vec<EventId>) -> Result<(), Cause> {
        let ipfix = self.version == 10;
        let key = (ipfix, exporter, id);
        let template = self.plan.templates.get(key, self.now, &self.plan.definitions).ok_or(NO_TEMPLATE)?;
        if template.bytes_min == 0 {
            return Err("the template has no fields");
        }
        let seconds = self.number(if ipfix { 4 } else { 8 }, 4)? as i64;
        let mut rest = bytes;
        // What is shorter than a record is padding.
        while rest.len() >= template.bytes_min {
            self.push(*VERSION, Value::Int(i64::from(self.version)));
            if !ipfix {
                let sequence = self.number(12, 4)?;
                self.push(*SEQUENCE, Value::Int(sequence as i64));
            }
            if !ipfix || self.plan.flowset_id {
                self.push(*FLOWSET_ID, Value::Int(i64::from(id)));
            }
            let read = self.record(&template, rest, seconds);
            let Ok(behind) = read else {
                self.entries.clear();
                return read.map(|_| ());
            };
            rest = behind;
            out.push(self.event(Timestamp::new(seconds, 0)));
        }
        Ok(())
    }

    fn record<'b>(&mut self, template: &Template, bytes: &'b [u8], seconds: i64) -> Result<&'b [u8], Cause> {
        let mut rest = bytes;
        for &(field, length) in &template.fields {
            let mut length = usize::from(length);
            if length == usize::from(VARIABLE) && self.version == 10 {
                let (&short, behind) = rest.split_first().ok_or(SHORT)?;
                (length, rest) = (usize::from(short), behind);
                if short == 255 {
                    let (long, behind) = rest.split_at_checked(2).ok_or(SHORT)?;
                    (length, rest) = (number(long) as usize, behind);
                }
            }
            let (bytes, behind) = rest.split_at_checked(length).ok_or(SHORT)?;
            rest = behind;
            if let Some(value) = self.value(field, bytes, seconds)? {
                self.push(field.name, value);
            }
        }
        Ok(rest)
    }

    fn value(&mut self, field: Field, bytes: &[u8], seconds: i64) -> Result<Option<Value>, Cause> {
        if field.kind != Kind::Uint || bytes.len() > 8 {
            return Ok(field.kind.value(self.batch, bytes));
        }
        let name = field.name.known();
        let at = if self.version == 9 && name.ends_with("_switched") {
            let uptime = self.number(4, 4)? as i64;
            Some(switched_v9(uptime - number(bytes) as i64, seconds))
        } else if self.version == 10 && (name.starts_with("flowStart") || name.starts_with("flowEnd")) {
            ipfix_time(name.trim_start_matches("flowStart").trim_start_matches("flowEnd"), number(bytes))
        } else {
            None
        };
        match at {
            Some(at) => Ok(Some(self.time_text(at))),
            None => Ok(field.kind.value(self.batch, bytes)),
        }
    }
}

/// When something was that is `millis` past, as Logstash reckons: the fraction is taken from the
/// clock's, and a second is not borrowed.
fn switched_v5(millis: i64, seconds: i64, nanos: i64) -> Timestamp {
    let micros = nanos / 1000 - millis.rem_euclid(1000) * 1000;
    micros_after(seconds - millis.div_euclid(1000), if micros < 0 { micros + 1_000_000 } else { micros })
}

/// The same for version 9, whose clock has no fraction: the rest of the second is added.
fn switched_v9(millis: i64, seconds: i64) -> Timestamp {
    micros_after(seconds - millis.div_euclid(1000), 1_000_000 - millis.rem_euclid(1000) * 1000)
}

fn micros_after(seconds: i64, micros: i64) -> Timestamp {
    Timestamp::new(seconds + micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000) as u32 * 1000)
}

/// A time of IPFIX by its unit; micro- and nanoseconds are in NTP's form.
fn ipfix_time(unit: &str, n: u64) -> Option<Timestamp> {
    match unit {
        "Seconds" => Some(Timestamp::new(n as i64, 0)),
        "Milliseconds" => Some(Timestamp::from_millis(n as i64)),
        "Microseconds" | "Nanoseconds" => {
            let nanos = ((n & 0xffff_ffff) * 1_000_000_000) >> 32;
            Some(Timestamp::new((n >> 32) as i64 - NTP_EPOCH, nanos as u32))
        }
        _ => None,
    }
}
