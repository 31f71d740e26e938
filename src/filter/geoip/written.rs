//! Writes databases in MaxMind's format, for tests and benches: there is none to ship.

use serde_json::{Value as Json, json};
use std::net::IpAddr;
use std::path::Path;

/// Writes a database of networks and their records, in MaxMind's format.
pub fn write(path: &Path, database_type: &str, networks: &[(&str, Json)]) {
    let mut tree = vec![[None; 2]];
    let mut data = Vec::new();
    let mut records = Vec::new();
    for (at, (network, record)) in networks.iter().enumerate() {
        let (address, prefix) = network.split_once('/').unwrap();
        let (bits, prefix) = match address.parse().unwrap() {
            IpAddr::V4(address) => (u128::from(u32::from(address)), 96 + prefix.parse::<u32>().unwrap()),
            IpAddr::V6(address) => (u128::from(address), prefix.parse().unwrap()),
        };
        let mut node = 0;
        for depth in 0..prefix {
            let bit = (bits >> (127 - depth) & 1) as usize;
            if depth + 1 == prefix {
                tree[node][bit] = Some(Err(at));
            } else {
                node = match tree[node][bit] {
                    Some(Ok(next)) => next,
                    _ => {
                        tree.push([None; 2]);
                        let next = tree.len() - 1;
                        tree[node][bit] = Some(Ok(next));
                        next
                    }
                };
            }
        }
        records.push(data.len());
        encode(record, &mut data);
    }
    let count = tree.len();
    let mut out = Vec::new();
    for side in tree.iter().flatten() {
        let record = match side {
            None => count,
            Some(Ok(node)) => *node,
            Some(Err(at)) => count + 16 + records[*at],
        };
        out.extend_from_slice(&(record as u32).to_be_bytes()[1..]);
    }
    out.extend_from_slice(&[0; 16]);
    out.extend_from_slice(&data);
    out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let metadata = json!({
        "node_count": count, "record_size": 24, "ip_version": 6, "database_type": database_type,
        "languages": ["en"], "binary_format_major_version": 2, "binary_format_minor_version": 0,
        "build_epoch": 1, "description": {"en": "written by a test"},
    });
    encode(&metadata, &mut out);
    // As geoipupdate does it: the new file takes the old one's place at once.
    let new = path.with_extension("new");
    std::fs::write(&new, out).unwrap();
    std::fs::rename(new, path).unwrap();
}

fn encode(value: &Json, out: &mut Vec<u8>) {
    let mut head = |kind: u8, size: usize| {
        let (size, more) = if size < 29 { (size, None) } else { (29, Some((size - 29) as u8)) };
        assert!(more.is_none_or(|_| size == 29));
        if kind <= 7 {
            out.push(kind << 5 | size as u8);
        } else {
            out.extend_from_slice(&[size as u8, kind - 7]);
        }
        out.extend(more);
    };
    match value {
        Json::String(text) => {
            head(2, text.len());
            out.extend_from_slice(text.as_bytes());
        }
        Json::Bool(truth) => head(14, usize::from(*truth)),
        Json::Number(number) if number.is_u64() => {
            head(6, 4);
            out.extend_from_slice(&(number.as_u64().unwrap() as u32).to_be_bytes());
        }
        Json::Number(number) => {
            head(3, 8);
            out.extend_from_slice(&number.as_f64().unwrap().to_be_bytes());
        }
        Json::Array(elements) => {
            head(11, elements.len());
            elements.iter().for_each(|element| encode(element, out));
        }
        Json::Object(members) => {
            head(7, members.len());
            for (name, value) in members {
                encode(&Json::String(name.clone()), out);
                let short = ["record_size", "ip_version", "metro_code"].contains(&name.as_str());
                match value.as_u64() {
                    Some(n) if short || name.starts_with("binary_format") => {
                        out.push(5 << 5 | 2);
                        out.extend_from_slice(&(n as u16).to_be_bytes());
                    }
                    Some(n) if name == "build_epoch" => {
                        out.extend_from_slice(&[8, 9 - 7]);
                        out.extend_from_slice(&n.to_be_bytes());
                    }
                    _ => encode(value, out),
                }
            }
        }
        Json::Null => panic!("no null in a database"),
    }
}
