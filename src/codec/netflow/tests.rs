//! Datagrams made by hand.

use crate::codec::harness::{codec, decode, try_codec};

fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn u16s(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

fn u32s(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

/// A set with its header.
fn set(id: u16, content: &[u8]) -> Vec<u8> {
    bytes(&[&u16s(&[id, content.len() as u16 + 4]), content])
}

fn v9(sets: &[&[u8]]) -> Vec<u8> {
    bytes(&[&u16s(&[9, sets.len() as u16]), &u32s(&[10_000, 1_600_000_000, 7, 1]), &sets.concat()])
}

fn ipfix(sets: &[&[u8]]) -> Vec<u8> {
    let sets = sets.concat();
    bytes(&[&u16s(&[10, 16 + sets.len() as u16]), &u32s(&[1_600_000_000, 7, 1]), &sets])
}

#[test]
fn version_5() {
    let record = bytes(&[
        &[10, 0, 0, 1, 10, 0, 0, 2, 10, 0, 0, 3],
        &u16s(&[1, 2]),
        &u32s(&[3, 400, 8_500, 9_000]),
        &u16s(&[1234, 80]),
        &[0, 0x12, 6, 0],
        &u16s(&[65000, 65001]),
        &[24, 16, 0, 0],
    ]);
    let packet =
        bytes(&[&u16s(&[5, 1]), &u32s(&[10_000, 1_600_000_000, 250_000_000, 99]), &[1, 2], &u16s(&[0x4005]), &record]);
    let want = concat!(
        r#"{"@timestamp":"2020-09-13T12:26:40.250Z","netflow":{"version":5,"flow_seq_num":99,"engine_type":1,"engine_id":2,"#,
        r#""sampling_algorithm":1,"sampling_interval":5,"flow_records":1,"ipv4_src_addr":"10.0.0.1","ipv4_dst_addr":"10.0.0.2","#,
        r#""ipv4_next_hop":"10.0.0.3","input_snmp":1,"output_snmp":2,"in_pkts":3,"in_bytes":400,"#,
        r#""first_switched":"2020-09-13T12:26:39.750Z","last_switched":"2020-09-13T12:26:39.250Z","l4_src_port":1234,"#,
        r#""l4_dst_port":80,"tcp_flags":18,"protocol":6,"src_tos":0,"src_as":65000,"dst_as":65001,"src_mask":24,"dst_mask":16}}"#
    );
    assert_eq!(decode(&mut codec("netflow", "", false), &[&packet]), [want]);
    assert_eq!(decode(&mut codec("netflow", "", false), &[&packet[..50]]), [""; 0]);
    assert_eq!(decode(&mut codec("netflow", "versions=9", false), &[&packet]), [""; 0]);
}

#[test]
fn version_9() {
    let template = set(0, &u16s(&[256, 4, 8, 4, 1, 8, 22, 4, 9999, 2]));
    let flow = |n: u8| bytes(&[&[10, 0, 0, n], &[0, 0, 0, 0, 0, 0, 1, 0], &u32s(&[9_000]), &[1, 1]]);
    let flows = set(256, &bytes(&[&flow(1), &flow(2), &[0, 0]]));
    let event = |n: u8| {
        format!(
            r#"{{"@timestamp":"2020-09-13T12:26:40.000Z","netflow":{{"version":9,"flow_seq_num":7,"flowset_id":256,"ipv4_src_addr":"10.0.0.{n}","in_bytes":256,"first_switched":"2020-09-13T12:26:40.000Z"}}}}"#
        )
    };
    let mut netflow = codec("netflow", "", false);
    assert_eq!(decode(&mut netflow, &[&v9(&[&flows])]), [""; 0], "no template yet");
    assert_eq!(decode(&mut netflow, &[&v9(&[&template]), &v9(&[&flows])]), [event(1), event(2)]);
    // Known to the other workers, too.
    netflow.decoder = netflow.decoder.fork();
    assert_eq!(decode(&mut netflow, &[&v9(&[&flows])]).len(), 2);
}

#[test]
fn options_of_version_9() {
    let template = set(1, &u16s(&[257, 4, 4, 1, 4, 34, 4]));
    let options = set(257, &u32s(&[5, 100]));
    let got = decode(&mut codec("netflow", "target=[a][b]", false), &[&v9(&[&template, &options])]);
    let want = r#"{"@timestamp":"2020-09-13T12:26:40.000Z","a":{"b":{"version":9,"flow_seq_num":7,"flowset_id":257,"scope_system":5,"sampling_interval":100}}}"#;
    assert_eq!(got, [want]);
}

#[test]
fn version_10() {
    let template = set(2, &bytes(&[&u16s(&[256, 4, 8, 4, 82, 0xffff, 152, 8, 0x8001, 4]), &u32s(&[29305])]));
    let millis = 1_600_000_000_192u64.to_be_bytes();
    let flow = |name: &[u8]| bytes(&[&[10, 0, 0, 1], &[name.len() as u8], name, &millis, &u32s(&[77])]);
    let flows = set(256, &bytes(&[&flow(b"eth0"), &flow(b"")]));
    let got = decode(&mut codec("netflow", "include_flowset_id=true", false), &[&ipfix(&[&template, &flows])]);
    let event = |name: &str| {
        format!(
            r#"{{"@timestamp":"2020-09-13T12:26:40.000Z","netflow":{{"version":10,"flowset_id":256,"sourceIPv4Address":"10.0.0.1",{name}"flowStartMilliseconds":"2020-09-13T12:26:40.192Z","reverseOctetDeltaCount":77}}}}"#
        )
    };
    assert_eq!(got, [event(r#""interfaceName":"eth0","#), event("")]);
}

#[test]
fn templates_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("cache_save_path={}", folder.path().display());
    let template = set(2, &u16s(&[256, 1, 8, 4]));
    decode(&mut codec("netflow", &config, false), &[&ipfix(&[&template])]);
    let flows = set(256, &[10, 0, 0, 1]);
    assert_eq!(decode(&mut codec("netflow", &config, false), &[&ipfix(&[&flows])]).len(), 1);
}

#[test]
fn garbage_is_no_event() {
    for length in 0..60 {
        for version in [5u8, 9, 10] {
            let packet: Vec<u8> = [0, version].into_iter().chain((2..length).map(|n: u8| n.wrapping_mul(37))).collect();
            decode(&mut codec("netflow", "", false), &[&packet]);
        }
    }
    assert!(try_codec("netflow", "versions=7", false).is_err());
}
