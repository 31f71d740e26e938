//! What must hold of JSON in and out, whatever the bytes.

use super::*;
use crate::event::{Batch, EventId, FieldId, Span, Value};
use proptest::prelude::*;

fn push(batch: &mut Batch, text: &[u8]) -> Span {
    batch.push_bytes(text)
}

fn decode(batch: &mut Batch, text: &str) -> EventId {
    let span = push(batch, text.as_bytes());
    match Parser::default().parse_event(batch, span) {
        Ok(Decoded::Event(event)) => event,
        other => panic!("{text}: {other:?}"),
    }
}

fn written(batch: &Batch, event: EventId) -> String {
    let mut out = Vec::new();
    write_event(batch, event, &mut out);
    String::from_utf8(out).expect("what is written is UTF-8")
}

fn value(batch: &Batch, value: Value) -> String {
    let mut out = Vec::new();
    write_value(batch, value, &mut out);
    String::from_utf8(out).expect("what is written is UTF-8")
}

/// As `write_event` would write it without raw bytes.
fn slowly(batch: &Batch, event: EventId) -> serde_json::Value {
    let members = batch.fields(event).iter().filter(|e| e.key != FieldId::METADATA);
    let members =
        members.map(|e| (batch.name(e.key).to_owned(), serde_json::from_str(&value(batch, e.value)).unwrap()));
    serde_json::Value::Object(members.collect())
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn values() {
    let check = |text: &str, expected: &str| {
        let mut batch = Batch::new();
        let span = push(&mut batch, text.as_bytes());
        let parsed = Parser::default().parse(&mut batch, span);
        let got = parsed.map_or_else(|error| error.reason.to_owned(), |v| value(&batch, v));
        assert_eq!(got, expected, "{text}");
        assert_eq!(batch.bytes(span), text.as_bytes(), "the bytes stay");
    };
    check("null", "null");
    check(" true ", "true");
    check("-0", "0");
    check("0.0", "0.0");
    check("-0.0", "-0.0");
    check("9223372036854775807", "9223372036854775807");
    check("9223372036854775808", "9223372036854775808");
    check("18446744073709551616", "1.8446744073709552E19");
    check("-9223372036854775809", "-9.223372036854776E18");
    check("1e400", "invalid number");
    check("1e-400", "0.0");
    check("[]", "[]");
    check("{}", "{}");
    check(r#"{"":{"a":[[],{},[1,{"b":null}]]},"c":"x"}"#, r#"{"":{"a":[[],{},[1,{"b":null}]]},"c":"x"}"#);
    check(r#"["\u00e9\ud83d\ude00\n\u001b\/"]"#, "[\"é😀\\n\\u001B/\"]");
    check(r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#);
    check(r#"{"x":{"a":1,"b":2,"a":3},"y":4}"#, r#"{"x":{"a":3,"b":2},"y":4}"#);
    check(r#"["\ud800"]"#, "invalid escape sequence");
    check(r#"["\udc00x"]"#, "invalid escape sequence");
    check(r#"["\ud800\u0041"]"#, "invalid escape sequence");
    check(r#"["\u00zz"]"#, "invalid escape sequence");
    check(r#"{"a":1} x"#, "syntax error");
    check("{\"a\":", "syntax error");
    check("\"\u{0}\"", "syntax error");
    check("hello", "syntax error");
    check("", "it ends early");
}

#[test]
fn floats_are_written_as_java_does() {
    let check = |n: f64, expected: &str| {
        let mut out = Vec::new();
        write_float(n, &mut out);
        assert_eq!(std::str::from_utf8(&out), Ok(expected));
    };
    check(1.0, "1.0");
    check(-1.5, "-1.5");
    check(0.001, "0.001");
    check(0.00012, "1.2E-4");
    check(1e-7, "1.0E-7");
    check(9_999_999.5, "9999999.5");
    check(1e7, "1.0E7");
    check(12_345_678.25, "1.234567825E7");
    check(-1e20, "-1.0E20");
    check(1.25e300, "1.25E300");
    check(f64::MAX, "1.7976931348623157E308");
    check(5e-324, "5.0E-324");
    check(f64::NAN, "\"NaN\"");
    check(f64::NEG_INFINITY, "\"-Infinity\"");
}

#[test]
fn floats_as_ruby_shows_them() {
    let check = |n: f64, expected: &str| {
        let mut out = Vec::new();
        write_ruby_float(n, &mut out);
        assert_eq!(std::str::from_utf8(&out), Ok(expected));
    };
    check(1.0, "1.0");
    check(0.0001, "0.0001");
    check(0.00001, "1.0e-05");
    check(-123456789012345.5, "-123456789012345.5");
    check(1e15, "1000000000000000.0");
    check(1e16, "1.0e+16");
    check(1.25e-100, "1.25e-100");
    check(f64::INFINITY, "Infinity");
}

#[test]
fn many_members_with_doubled_names() {
    let members: Vec<String> = (0..3000).map(|n| format!("\"k{}\":{n}", n % 1000)).collect();
    let mut batch = Batch::new();
    let event = decode(&mut batch, &format!("{{{}}}", members.join(",")));
    assert_eq!(batch.fields(event).len(), 1000);
    assert_eq!(batch.get_key(event, FieldId::intern("k7")), Some(Value::Int(2007)));
    assert!(batch.raw(event).is_none());
}

#[test]
fn depth_is_bounded() {
    let mut batch = Batch::new();
    let mut parser = Parser::default();
    for depth in [DEPTH_MAX, DEPTH_MAX + 1, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let span = push(&mut batch, format!("{}1{}", open.repeat(depth), close.repeat(depth)).as_bytes());
            let parsed = parser.parse(&mut batch, span);
            match depth {
                DEPTH_MAX => assert_eq!(value(&batch, parsed.unwrap()).len(), span.len as usize),
                _ => assert_eq!(parsed.unwrap_err().reason, "nested too deeply"),
            }
        }
    }
}

#[test]
fn invalid_utf8_is_an_error() {
    let mut batch = Batch::new();
    let span = push(&mut batch, b"{\"a\":\"caf\xe9\"}");
    assert_eq!(Parser::default().parse(&mut batch, span).unwrap_err().reason, "invalid UTF-8");
    assert_eq!(batch.bytes(span), b"{\"a\":\"caf\xe9\"}");
}

#[test]
fn special_fields() {
    let check = |text: &str, expected: &str| {
        let mut batch = Batch::new();
        let event = decode(&mut batch, text);
        assert_eq!(written(&batch, event), expected, "{text}");
    };
    let as_it_was = |text: &str| check(text, text);
    as_it_was(r#"{"@timestamp":"2014-01-02T03:04:05.006Z" , "m" : 1.50 }"#);
    check(r#"{"@timestamp":"2014-01-02T03:04:05Z","m":1.50}"#, r#"{"@timestamp":"2014-01-02T03:04:05.000Z","m":1.50}"#);
    check(r#"{"@timestamp":"foobar","m":1}"#, r#"{"m":1,"_@timestamp":"foobar","tags":["_timestampparsefailure"]}"#);
    check(r#"{"@timestamp":5,"tags":"a"}"#, r#"{"tags":["a","_timestampparsefailure"],"_@timestamp":5}"#);
    check(r#"{"@timestamp":null,"m":1}"#, r#"{"m":1}"#);
    check(r#"{"tags":{"a":1},"@version":"7"}"#, r#"{"@version":"7","_tags":{"a":1},"tags":["_tagsparsefailure"]}"#);
    check(r#"{"@metadata":{"a":1},"m":1}"#, r#"{"m":1}"#);
    check(r#"{ "@metadata":{} }"#, "{}");
    as_it_was(r#"{ }"#);
}

#[test]
fn unchanged_bytes_leave_as_they_came() {
    let raw = r#"{ "a" : 1.50, "b\u0063":"\u00e9" ,"c":{"x": [1,"}\"", {}]}, "d":null}"#;
    let check = |change: &dyn Fn(&mut Batch, EventId), expected: &str| {
        let mut batch = Batch::new();
        let event = decode(&mut batch, raw);
        change(&mut batch, event);
        assert_eq!(written(&batch, event), expected);
    };
    let key = FieldId::intern;
    check(&|_, _| {}, raw);
    check(&|batch, event| batch.set_key(event, FieldId::METADATA, Value::Int(1)), raw);
    check(
        &|batch, event| batch.set_key(event, key("e"), Value::Int(1)),
        r#"{ "a" : 1.50, "b\u0063":"\u00e9" ,"c":{"x": [1,"}\"", {}]}, "d":null,"e":1}"#,
    );
    check(
        &|batch, event| batch.set_key(event, key("bc"), Value::Int(1)),
        r#"{"a" : 1.50,"bc":1,"c":{"x": [1,"}\"", {}]}, "d":null}"#,
    );
    check(
        &|batch, event| {
            batch.remove_key(event, key("c"));
            batch.set_key(event, key("a"), Value::Bool(true));
        },
        r#"{"a":true,"b\u0063":"\u00e9","d":null}"#,
    );
    check(
        &|batch, event| {
            for name in ["a", "bc", "c", "d"] {
                batch.remove_key(event, key(name));
            }
        },
        "{}",
    );
    check(
        &|batch, event| assert!(batch.remove_key(event, key("d")).is_some()),
        r#"{"a" : 1.50, "b\u0063":"\u00e9" ,"c":{"x": [1,"}\"", {}]}}"#,
    );
}

#[test]
fn an_empty_object_takes_additions() {
    let mut batch = Batch::new();
    let event = decode(&mut batch, "{ }");
    batch.set_key(event, FieldId::LEVEL, Value::Int(1));
    batch.set_key(event, FieldId::TYPE, Value::Int(2));
    assert_eq!(written(&batch, event), r#"{"level":1,"type":2}"#);
}

#[test]
fn an_object_over_several_lines_leaves_on_one() {
    let mut batch = Batch::new();
    let event = decode(&mut batch, "{\n \"a\": 1\n}\n");
    assert_eq!(written(&batch, event), r#"{"a":1}"#);
}

#[test]
fn documents_beside_each_other_stay_whole() {
    let mut batch = Batch::new();
    let (one, two) = (r#"{"a":"x\ty"}"#, r#"{"b":12"#);
    let first = push(&mut batch, one.as_bytes());
    let second = push(&mut batch, two.as_bytes());
    let third = push(&mut batch, b"34}");
    let mut parser = Parser::default();
    assert!(parser.parse(&mut batch, first).is_ok());
    assert!(parser.parse(&mut batch, second).is_err());
    let both = Span { start: second.start, len: second.len + third.len };
    let parsed = parser.parse(&mut batch, both).unwrap();
    assert_eq!(value(&batch, parsed), r#"{"b":1234}"#);
    assert_eq!(batch.bytes(first), one.as_bytes());
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        // serde_json reads these exactly; all others are the matter of a test of their own.
        any::<i32>().prop_map(|n| (n as f64 / 8.0).into()),
        any_text().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((any_text(), inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A byte to put into a document: any, or one that means something there.
fn any_damage() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), prop::sample::select(b"-+0123456789.eE\"\\{}[]:, u\n".to_vec())]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c@]{0,2}", "[a-z@]{0,20}", any::<String>(), "[\"\\\\\n\u{1}é]{0,5}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn parsing_what_was_written_gives_the_same(document in any_json()) {
        let text = document.to_string();
        let mut batch = Batch::new();
        let span = push(&mut batch, text.as_bytes());
        let parsed = Parser::default().parse(&mut batch, span).unwrap();
        prop_assert_eq!(&json(&value(&batch, parsed)), &document);
        prop_assert_eq!(batch.bytes(span), text.as_bytes());
    }

    #[test]
    fn numbers_come_back_exactly(number in any::<f64>().prop_filter("JSON has no such number", |n| n.is_finite())) {
        let mut out = Vec::new();
        write_float(number, &mut out);
        let mut batch = Batch::new();
        let span = push(&mut batch, &out);
        prop_assert_eq!(Parser::default().parse(&mut batch, span), Ok(Value::Float(number)));
    }

    #[test]
    fn the_scan_says_what_simd_json_says(
        document in any_json(),
        damage in prop::option::of((any::<prop::sample::Index>(), any_damage())),
    ) {
        let mut text = document.to_string().into_bytes();
        if let Some((at, byte)) = damage {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let (mut batch, mut parser) = (Batch::new(), Parser::default());
        let span = push(&mut batch, &text);
        let show = |parsed: Result<Value, JsonError>, batch: &Batch| parsed.map(|v| value(batch, v)).map_err(|e| e.reason);
        let fast = parser.parse(&mut batch, span);
        let fast = show(fast, &batch);
        let again = parser.parse(&mut batch, span);
        prop_assert_eq!(&show(again, &batch), &fast);
        let slow = parser.parse_by_tape(&mut batch, span);
        prop_assert_eq!(fast, show(slow, &batch), "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn bytes_that_are_no_json_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut batch = Batch::new();
        let span = push(&mut batch, &bytes);
        let _any = Parser::default().parse_event(&mut batch, span);
        prop_assert_eq!(batch.bytes(span), &bytes[..]);
    }

    #[test]
    fn splicing_says_what_writing_says(
        members in prop::collection::vec((any_text(), any_json()), 0..8),
        pretty in any::<bool>(),
        changes in prop::collection::vec((0..3, any::<prop::sample::Index>(), any_text()), 0..4),
    ) {
        let document = serde_json::Value::Object(members.into_iter().collect());
        // Spaces between the tokens, as some loggers write them.
        let text = if pretty { serde_json::to_string_pretty(&document).unwrap().replace('\n', " ") } else { document.to_string() };
        let mut batch = Batch::new();
        let event = decode(&mut batch, &text);
        if changes.is_empty() && batch.raw(event).is_some() && !text.contains("@timestamp") {
            prop_assert_eq!(written(&batch, event), text.clone());
        }
        for (kind, at, name) in changes {
            let fields = batch.fields(event);
            let key = (!fields.is_empty()).then(|| at.get(fields).key);
            match (kind, key) {
                (0, Some(key)) => assert!(batch.remove_key(event, key).is_some()),
                (1, Some(key)) => batch.set_key(event, key, Value::Int(-1)),
                _ => {
                    let (key, value) = (batch.key(&name), batch.str(&name));
                    batch.set_key(event, key, value);
                }
            }
        }
        let fast = written(&batch, event);
        prop_assert_eq!(json(&fast), slowly(&batch, event));
        prop_assert!(!fast.contains('\n'));
    }
}
