//! The fields of flows: their names, and how their bytes are read.

use crate::codec::charset::Charset;
use crate::event::{Batch, Entry, FieldId, Value};
use core::net::{Ipv4Addr, Ipv6Addr};
use rustc_hash::FxHashMap;

/// How bytes are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Uint,
    Int,
    Float,
    Ip4,
    Ip6,
    Mac,
    Text,
    /// Hexadecimal digits.
    Octets,
    /// RFC 6759: a class and a selector.
    Application,
    /// Three numbers of Cisco's ASA.
    Acl,
    /// A status and its reason.
    Forwarding,
    /// A label of MPLS.
    Mpls,
    /// Left out.
    Skip,
}

impl Kind {
    fn parse(name: &str) -> Option<Kind> {
        Some(match name {
            "uint" | "uint8" | "uint16" | "uint24" | "uint32" | "uint48" | "uint64" => Kind::Uint,
            "int" | "int8" | "int16" | "int32" | "int64" => Kind::Int,
            "float" | "double" => Kind::Float,
            "ip4" | "ip4_addr" => Kind::Ip4,
            "ip6" | "ip6_addr" => Kind::Ip6,
            "mac" | "mac_addr" => Kind::Mac,
            "string" => Kind::Text,
            "octets" | "octetarray" => Kind::Octets,
            "application_id" => Kind::Application,
            "acl" | "acl_id_asa" => Kind::Acl,
            "forwarding_status" => Kind::Forwarding,
            "mpls" | "mpls_label_stack_octets" => Kind::Mpls,
            "skip" => Kind::Skip,
            // A number of bytes, which the template knows better.
            digits if digits.parse::<u8>().is_ok() => Kind::Uint,
            _ => return None,
        })
    }

    /// The value of the bytes; `None` for what is left out.
    pub(super) fn value(self, batch: &mut Batch, bytes: &[u8]) -> Option<Value> {
        Some(match (self, bytes.len()) {
            (Kind::Skip, _) | (_, 0) => return None,
            (Kind::Uint, 1..=8) => uint(bytes),
            (Kind::Int, 1..=8) => {
                let shift = 64 - 8 * bytes.len() as u32;
                Value::Int((number(bytes) << shift) as i64 >> shift)
            }
            (Kind::Float, 4) => Value::Float(f64::from(f32::from_bits(number(bytes) as u32))),
            (Kind::Float, 8) => Value::Float(f64::from_bits(number(bytes))),
            (Kind::Ip4, 4) => batch.str(&Ipv4Addr::from(number(bytes) as u32).to_string()),
            (Kind::Ip6, 16) => {
                let address: [u8; 16] = bytes.try_into().unwrap_or_default();
                batch.str(&Ipv6Addr::from(address).to_string())
            }
            (Kind::Mac, 6) => batch.str(&bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")),
            (Kind::Text, _) => {
                let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
                batch.str(&Charset::Utf8.decode(&bytes[..end]))
            }
            (Kind::Application, 2..=9) => {
                let text = match (bytes[0], bytes.len()) {
                    (class @ 20, 7..=9) => format!("{class}..{}..{}", number(&bytes[1..5]), number(&bytes[5..])),
                    (class, _) => format!("{class}..{}", number(&bytes[1..])),
                };
                batch.str(&text)
            }
            (Kind::Acl, 12) => {
                let parts: Vec<String> = bytes.chunks(4).map(hex).collect();
                batch.str(&parts.join("-"))
            }
            (Kind::Forwarding, 1) => hash(batch, &[("status", bytes[0] >> 6), ("reason", bytes[0] & 63)]),
            (Kind::Mpls, 3..) => {
                let label = number(&bytes[..3]);
                let ttl = bytes.get(3).copied().unwrap_or(0);
                let entries = [
                    ("label", (label >> 4) as i64),
                    ("experimental", (label >> 1 & 7) as i64),
                    ("bottom_of_stack", (label & 1) as i64),
                    ("ttl", i64::from(ttl)),
                ]
                .map(|(name, n)| Entry::new(batch.key(name), Value::Int(n)));
                Value::Object(batch.list(&entries))
            }
            // Bytes of another length than their kind has.
            _ => batch.str(&hex(bytes)),
        })
    }
}

fn hash(batch: &mut Batch, members: &[(&str, u8)]) -> Value {
    let entries: Vec<Entry> =
        members.iter().map(|(name, n)| Entry::new(batch.key(name), Value::Int(i64::from(*n)))).collect();
    Value::Object(batch.list(&entries))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A number of up to eight big-endian bytes; of more, the last eight.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, &b| n << 8 | u64::from(b))
}

fn uint(bytes: &[u8]) -> Value {
    let n = number(bytes);
    i64::try_from(n).map_or(Value::Uint(n), Value::Int)
}

/// A field that has a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Field {
    pub(super) name: FieldId,
    pub(super) kind: Kind,
}

/// All fields by enterprise and number; NetFlow's version 9 has an enterprise of its own.
pub(super) struct Definitions {
    fields: FxHashMap<(u32, u16), Field>,
}

/// Stands for version 9 in place of an enterprise.
pub(super) const V9: u32 = u32::MAX;

/// Marks the number of a scope of version 9, which has numbers of its own.
pub(super) const SCOPE: u16 = 0x8000;
/// What the options of version 9 are about, by number.
const SCOPES: [&str; 6] =
    ["", "scope_system", "scope_interface", "scope_line_card", "scope_netflow_cache", "scope_template"];

impl Definitions {
    pub(super) fn built_in() -> Definitions {
        let mut definitions = Definitions { fields: FxHashMap::default() };
        definitions.read(include_str!("../../../config/netflow/v9.txt"), V9);
        definitions.read(include_str!("../../../config/netflow/ipfix.txt"), 0);
        definitions
    }

    fn read(&mut self, text: &str, enterprise: u32) {
        let mut enterprise = enterprise;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(number) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                enterprise = number.parse().expect("BUG: a bad enterprise in our own table");
                continue;
            }
            let mut words = line.split(' ');
            let (number, kind, name) = (words.next(), words.next(), words.next().unwrap_or_default());
            let number = number.and_then(|n| n.parse().ok()).expect("BUG: a bad number in our own table");
            let kind = kind.and_then(Kind::parse).expect("BUG: a bad type in our own table");
            self.fields.insert((enterprise, number), Field { name: FieldId::intern(name), kind });
        }
    }

    /// Adds what a user's file says, which is in the form of Logstash's own files: numbers with
    /// `[:type, :name]`, for IPFIX below the number of the enterprise.
    pub(super) fn extend(&mut self, yaml: &serde_json::Value, ipfix: bool) -> Result<(), String> {
        let bad = |what: &str| format!("cannot read the definitions: {what}");
        let top = yaml.as_object().ok_or_else(|| bad("expected a hash of numbers"))?;
        for (key, value) in top {
            let number: u32 = key.parse().map_err(|_| bad(&format!("`{key}` is no number")))?;
            if !ipfix {
                self.add(V9, number, value).map_err(|what| bad(&what))?;
                continue;
            }
            let fields = value.as_object().ok_or_else(|| bad(&format!("enterprise {number} is no hash")))?;
            for (key, value) in fields {
                let field = key.parse().map_err(|_| bad(&format!("`{key}` is no number")))?;
                self.add(number, field, value).map_err(|what| bad(&what))?;
            }
        }
        Ok(())
    }

    fn add(&mut self, enterprise: u32, number: u32, value: &serde_json::Value) -> Result<(), String> {
        let words: Vec<String> = match value {
            serde_json::Value::Array(words) => {
                words.iter().map(|word| word.as_str().map_or(word.to_string(), str::to_owned)).collect()
            }
            _ => return Err(format!("field {number} is no array of a type and a name")),
        };
        let word = |at: usize| words.get(at).map(|word: &String| word.trim_start_matches(':'));
        let kind = word(0).and_then(Kind::parse).ok_or_else(|| format!("field {number} has no known type"))?;
        let number = u16::try_from(number).map_err(|_| format!("there is no field {number}"))?;
        let name = match word(1) {
            Some(name) => FieldId::intern(name),
            None if kind == Kind::Skip => FieldId::EMPTY,
            None => return Err(format!("field {number} has no name")),
        };
        self.fields.insert((enterprise, number), Field { name, kind });
        Ok(())
    }

    /// A field by its number; one that nobody names is left out.
    pub(super) fn get(&self, enterprise: u32, number: u16) -> Field {
        if enterprise == V9 && number & SCOPE != 0 {
            let name = SCOPES.get(usize::from(number & !SCOPE)).copied().unwrap_or("");
            let kind = if name.is_empty() { Kind::Skip } else { Kind::Uint };
            return Field { name: FieldId::intern(name), kind };
        }
        let unknown = Field { name: FieldId::EMPTY, kind: Kind::Skip };
        self.fields.get(&(enterprise, number)).copied().unwrap_or(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json::write_value;

    #[test]
    fn bytes_become_values() {
        let check = |kind: &str, bytes: &[u8], want: Option<&str>| {
            let mut batch = Batch::new();
            let shown = Kind::parse(kind).unwrap().value(&mut batch, bytes).map(|value| {
                let mut out = Vec::new();
                write_value(&batch, value, &mut out);
                String::from_utf8(out).unwrap()
            });
            assert_eq!(shown.as_deref(), want, "{kind}");
        };
        check("uint32", &[1, 0], Some("256"));
        check("uint64", &[255; 8], Some("18446744073709551615"));
        check("int8", &[254], Some("-2"));
        check("double", &1.5f64.to_be_bytes(), Some("1.5"));
        check("ip4_addr", &[10, 0, 0, 1], Some(r#""10.0.0.1""#));
        check("ip6_addr", &[0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], Some(r#""2001::1""#));
        check("mac_addr", &[0, 0x0a, 1, 2, 3, 255], Some(r#""00:0a:01:02:03:ff""#));
        check("string", b"eth0\0\0", Some(r#""eth0""#));
        check("octetarray", &[1, 0xab], Some(r#""01ab""#));
        check("application_id", &[13, 0, 1, 2], Some(r#""13..258""#));
        check("application_id", &[20, 0, 0, 0, 9, 0, 7], Some(r#""20..9..7""#));
        check("acl_id_asa", &[1; 12], Some(r#""01010101-01010101-01010101""#));
        check("forwarding_status", &[0x41], Some(r#"{"status":1,"reason":1}"#));
        check("mpls", &[0, 1, 0x13, 9], Some(r#"{"label":17,"experimental":1,"bottom_of_stack":1,"ttl":9}"#));
        check("skip", &[1], None);
        check("ip4", &[1, 2], Some(r#""0102""#));
    }

    #[test]
    fn definitions_of_users() {
        let mut definitions = Definitions::built_in();
        assert_eq!(definitions.get(V9, 8).name.known(), "ipv4_src_addr");
        assert_eq!(definitions.get(0, 8).name.known(), "sourceIPv4Address");
        assert_eq!(definitions.get(V9, 9999).kind, Kind::Skip);
        let yaml = serde_json::json!({"9999": [":uint32", ":mine"], "8": [":skip"], "7": [4, ":x"]});
        definitions.extend(&yaml, false).unwrap();
        assert_eq!(definitions.get(V9, 9999).name.known(), "mine");
        assert_eq!(definitions.get(V9, 8).kind, Kind::Skip);
        definitions.extend(&serde_json::json!({"5": {"1": [":string", ":s"]}}), true).unwrap();
        assert_eq!(definitions.get(5, 1).kind, Kind::Text);
        for bad in [serde_json::json!([1]), serde_json::json!({"a": []}), serde_json::json!({"1": [":what", ":x"]})] {
            assert!(definitions.extend(&bad, false).is_err());
        }
    }
}
