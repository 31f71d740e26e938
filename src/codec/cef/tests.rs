//! CEF both ways.

use crate::codec::harness::{codec, decode, encode, try_codec};

const HEAD: &str = "CEF:0|security|threatmanager|1.0|100|trojan successfully stopped|10|";
const FIELDS: &str = r#""cefVersion":"0","deviceVendor":"security","deviceProduct":"threatmanager","deviceVersion":"1.0","deviceEventClassId":"100","name":"trojan successfully stopped","severity":"10""#;

fn check(extensions: &str, want: &str) {
    let got = decode(&mut codec("cef", "", false), &[format!("{HEAD}{extensions}").as_bytes()]);
    let want = if want.is_empty() { format!("{{{FIELDS}}}") } else { format!("{{{FIELDS},{want}}}") };
    assert_eq!(got, [want], "{extensions}");
}

#[test]
fn extensions() {
    check("", "");
    check(
        "src=10.0.0.192 dst=12.121.122.82 spt=1232",
        r#""sourceAddress":"10.0.0.192","destinationAddress":"12.121.122.82","sourcePort":"1232""#,
    );
    check(" src=1 \n", r#""sourceAddress":"1""#);
    check("moo=this|has an \\\\ and \\= and \\n", r#""moo":"this|has an \\ and = and \n""#);
    check("moo=this =has = equals\\=", r#""moo":"this =has = equals=""#);
    check("msg=a b  c   act=x", r#""message":"a b  c","deviceAction":"x""#);
    check("ad.field[0]=a ad.field[1]=b", r#""ad.field":{"0":"a","1":"b"}"#);
    check("ad.a=1 Some_Key=2 ad.b,c=3", r#""ad.a":"1","Some_Key":"2","ad.b,c":"3""#);
    check("src=1 src=2", r#""sourceAddress":"2""#);
    check("src= dst=1", r#""sourceAddress":"","destinationAddress":"1""#);
}

#[test]
fn headers() {
    let check = |text: &str, want: &str| {
        let got = decode(&mut codec("cef", "", false), &[text.as_bytes()]);
        assert!(got[0].contains(want), "{text}: {got:?}");
    };
    check("Feb  5 11:00:00 host1 CEF:0|a|b|1|2|n|3|", r#""syslog":"Feb  5 11:00:00 host1","cefVersion":"0""#);
    check(r"CEF:0|a\|b|c\\|1|2|n|3|", r#""deviceVendor":"a|b","deviceProduct":"c\\""#);
    check("\"CEF:0|a|b|1|2|n|3|src=1\"", r#""sourceAddress":"1""#);
}

#[test]
fn what_is_no_cef() {
    let check = |bytes: &[u8], message: &str| {
        let want = format!(r#"{{"message":"{message}","tags":["_cefparsefailure"]}}"#);
        assert_eq!(decode(&mut codec("cef", "", false), &[bytes]), [want]);
    };
    check(b"hello world\n", "hello world\\n");
    check(b"CEF:0|a|b|1|2|n|", "CEF:0|a|b|1|2|n|");
    check(b"CEF:0|a|b|1|2|n|3|no key", "CEF:0|a|b|1|2|n|3|no key");
    check(b"CEF:0|a|b|1|2|n|3|\nCEF", "CEF:0|a|b|1|2|n|3|\\nCEF");
    check(b"CEF:0|\xff", "CEF:0|\u{FFFD}");
}

#[test]
fn ecs_fields_and_times() {
    let text = "CEF:0|v|p|1|c|n|3|src=1.2.3.4 rt=1616623591694 start=Jun 17 2027 17:57:06 dtz=-07:00 cs1=x cs1Label=L";
    let want = concat!(
        r#"{"cef":{"version":"0","name":"n","device_custom_string_1":{"value":"x","label":"L"}},"#,
        r#""observer":{"vendor":"v","product":"p","version":"1"},"#,
        r#""event":{"code":"c","severity":"3","start":"2027-06-18T00:57:06.000Z","timezone":"-07:00"},"#,
        r#""@timestamp":"2021-03-24T22:06:31.694Z","source":{"ip":"1.2.3.4"}}"#
    );
    assert_eq!(decode(&mut codec("cef", "", true), &[text.as_bytes()]), [want]);
    let bad = decode(&mut codec("cef", "", true), &[b"CEF:0|v|p|1|c|n|3|rt=yesterday"]);
    assert!(bad[0].contains("_cefparsefailure"), "{bad:?}");
}

#[test]
fn options_of_decoding() {
    let mut cef = codec("cef", r"delimiter=\r\n;raw_data_field=raw", false);
    assert_eq!(cef.delimiter.as_deref(), Some(&b"\r\n"[..]));
    let got = decode(&mut cef, &[format!("{HEAD}src=1").as_bytes()]);
    assert_eq!(got, [format!(r#"{{"raw":"{HEAD}src=1",{FIELDS},"sourceAddress":"1"}}"#)]);
    assert_eq!(codec("cef", "", false).delimiter, None);
    let bad = try_codec("cef", "default_timezone=Mars/North;fields=[", false).err().unwrap();
    assert_eq!(bad.len(), 2, "{bad:?}");
}

#[test]
fn events_are_written() {
    let check = |config: &str, ecs: bool, event: &str, want: &str| {
        assert_eq!(encode(&mut codec("cef", config, ecs), event), want, "{config}");
    };
    check("", false, "{}", "CEF:0|Elasticsearch|Logstash|1.0|Logstash|Logstash|6|");
    check(
        "vendor=%{v};product=;version=a|b\\c;severity=%{s};name=x",
        false,
        r#"{"v":"a\r\nb","s":"5.0"}"#,
        "CEF:0|a b|Logstash|a\\|b\\\\c|Logstash|x|5|",
    );
    check("severity=11", false, "{}", "CEF:0|Elasticsearch|Logstash|1.0|Logstash|Logstash|6|");
    check(
        "fields=foo_bar",
        false,
        r#"{"foo_bar":"a=b\\\r\nc"}"#,
        "CEF:0|Elasticsearch|Logstash|1.0|Logstash|Logstash|6|foobar=a\\=b\\\\\\nc",
    );
    let tail = |config: &str, ecs: bool, event: &str, want: &str| {
        let text = encode(&mut codec("cef", config, ecs), event);
        assert_eq!(text.rsplit_once('|').unwrap().1, want, "{config}");
    };
    tail("fields=sourceAddress", false, r#"{"sourceAddress":"1"}"#, "sourceAddress=1");
    tail("fields=sourceAddress;reverse_mapping=true", false, r#"{"sourceAddress":"1"}"#, "src=1");
    tail("fields=[source][ip];reverse_mapping=true", true, r#"{"source":{"ip":"1"}}"#, "src=1");
    tail("fields=[source][ip]", true, r#"{"source":{"ip":"1"}}"#, "sourceAddress=1");
    tail("fields=h;delimiter=\\n", false, r#"{"h":{"a":[1]}}"#, "h={\"a\":[1]}\n");
    tail("fields=none", false, "{}", "");
}
