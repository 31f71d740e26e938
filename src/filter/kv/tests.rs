//! What the options of `kv` do.

use super::*;
use crate::filter::common::tests::{event, run, shown};

fn check(settings: &str, before: &str, after: &str) {
    let mut batch = Batch::new();
    let event = event(&mut batch, before);
    run(build, settings, &mut batch, event);
    assert_eq!(shown(&batch, event), after, "{settings} on {before}");
}

#[test]
fn pairs_become_fields_or_members() {
    check("{}", r#"{"message":"a=1 b=2","b":1}"#, r#"{"message":"a=1 b=2","b":"2","a":"1"}"#);
    check(r#"{"target":"t"}"#, r#"{"message":"a=1 [b]=2"}"#, r#"{"message":"a=1 [b]=2","t":{"a":"1","[b]":"2"}}"#);
    check("{}", r#"{"message":"[x][y]=1"}"#, r#"{"message":"[x][y]=1","x":{"y":"1"}}"#);
    check("{}", r#"{"message":"nothing"}"#, r#"{"message":"nothing"}"#);
    check(r#"{"source":"m"}"#, r#"{"m":["a=1",5,"a=2 b=3"]}"#, r#"{"m":["a=1",5,"a=2 b=3"],"a":["1","2"],"b":"3"}"#);
}

#[test]
fn what_can_not_be_set_fails() {
    let failed = r#""tags":["_kv_filter_error"]}"#;
    check("{}", r#"{"message":"a=1 [b=2 c=3"}"#, &format!(r#"{{"message":"a=1 [b=2 c=3","a":"1",{failed}"#));
    check("{}", r#"{"message":"@timestamp=1"}"#, &format!(r#"{{"message":"@timestamp=1",{failed}"#));
    check(r#"{"tag_on_failure":["x"]}"#, r#"{"message":"[b=2"}"#, r#"{"message":"[b=2","tags":["x"]}"#);
    let slow = r#"{"field_split_pattern":"(a+)+;","timeout_millis":0.01}"#;
    let before = format!(r#"{{"m":1,"message":"{}=1"}}"#, "a".repeat(60));
    check(slow, &before, &format!(r#"{{"m":1,"message":"{}=1","tags":["_kv_filter_timeout"]}}"#, "a".repeat(60)));
}

#[test]
fn keys_that_come_again() {
    check("{}", r#"{"message":"a=1 a=2 b=0 a=3"}"#, r#"{"message":"a=1 a=2 b=0 a=3","a":["1","2","3"],"b":"0"}"#);
    let unique = r#"{"allow_duplicate_values":false}"#;
    check(unique, r#"{"message":"a=x a=y a=x"}"#, r#"{"message":"a=x a=y a=x","a":["x","y"]}"#);
    // A single text holds its parts, as in Ruby.
    check(unique, r#"{"message":"a=bar a=ba"}"#, r#"{"message":"a=bar a=ba","a":"bar"}"#);
    let text: Vec<String> = (0..100).map(|n| format!("k{}={n}", n % 50)).collect();
    let mut batch = Batch::new();
    let event = event(&mut batch, &format!(r#"{{"message":"{}"}}"#, text.join(" ")));
    assert!(run(build, "{}", &mut batch, event));
    assert!(shown(&batch, event).contains(r#""k49":["49","99"]"#));
}

#[test]
fn values_that_hold_pairs() {
    let inner = r#"{"recursive":true,"target":"t"}"#;
    check(
        inner,
        r#"{"message":"a=(b=1 c=[d=2 e=x])"}"#,
        r#"{"message":"a=(b=1 c=[d=2 e=x])","t":{"a":{"b":"1","c":{"d":"2","e":"x"}}}}"#,
    );
    check(
        inner,
        r#"{"message":"a=(b=1 b=2) a=3"}"#,
        r#"{"message":"a=(b=1 b=2) a=3","t":{"a":[{"b":["1","2"]},"3"]}}"#,
    );
    let mut batch = Batch::new();
    let event = event(&mut batch, &format!(r#"{{"message":"{}"}}"#, "a=".repeat(10_000)));
    assert!(run(build, inner, &mut batch, event));
}

#[test]
fn changes() {
    let check = |settings: &str, text: &str, after: &str| {
        check(settings, &format!(r#"{{"message":"{text}"}}"#), &format!(r#"{{"message":"{text}",{after}}}"#));
    };
    check(r#"{"trim_key":"<>","trim_value":","}"#, "<a>=1, <b=,2,3,,", r#""a":"1","b":"2,3""#);
    check(r#"{"trim_value":"a-c"}"#, "k=abxcba", r#""k":"x""#);
    check(r#"{"field_split":"|","trim_value":" "}"#, r"k=' x \n y '|l=1", r#""k":"x\ny","l":"1""#);
    check(r#"{"remove_char_key":"<","remove_char_value":"\\d"}"#, "<k<=1x2", r#""k":"x""#);
    check(r#"{"transform_key":"capitalize","transform_value":"uppercase"}"#, "kEY=größe", r#""Key":"GRÖSSE""#);
    check(r#"{"prefix":"%{message}_"}"#, "k=1", r#""k=1_k":"1""#);
    check(r#"{"include_keys":["b"],"exclude_keys":["a"]}"#, "a=1 b=2 c=3", r#""b":"2""#);
}

#[test]
fn defaults() {
    let settings = r#"{"target":"t","default_keys":{"b":"%{x}","c":["1","2"]}}"#;
    check(settings, r#"{"message":"a=1 b=2"}"#, r#"{"message":"a=1 b=2","t":{"b":"2","c":["1","2"],"a":"1"}}"#);
    check(settings, r#"{"x":1}"#, r#"{"x":1,"t":{"b":"%{x}","c":["1","2"]}}"#);
}

#[test]
fn groups_of_a_pattern_count_as_values() {
    // As in Logstash, where the first group that took part gives the value.
    check(r#"{"value_split_pattern":"(:+)"}"#, r#"{"message":"a::x"}"#, r#"{"message":"a::x","a":"::"}"#);
}
