//! Cases for `mutate`, operation by operation.

use super::*;
use crate::filter::common::tests::{context, event, options, run, shown};

/// Runs it; `after` is the event, which must have succeeded unless it has the tag.
fn check(settings: &str, before: &str, after: &str) {
    let mut batch = Batch::new();
    let event = event(&mut batch, before);
    let matched = run(build, settings, &mut batch, event);
    assert_eq!(shown(&batch, event), after, "{settings} on {before}");
    assert_eq!(matched, !batch.has_tag(event, "_mutate_error"), "{settings} on {before}");
}

fn converted(to: &str, before: &str, after: &str) {
    let settings = format!(r#"{{"convert":{{"a":"{to}"}}}}"#);
    check(&settings, &format!(r#"{{"a":{before}}}"#), &format!(r#"{{"a":{after}}}"#));
}

fn refused(to: &str, before: &str) {
    converted(to, before, &format!(r#"{before},"tags":["_mutate_error"]"#));
}

#[test]
fn to_integer() {
    let check = |before: &str, after: &str| converted("integer", before, after);
    check("123.0", "123");
    check("-123.45", "-123");
    check("2147483648.0", "2147483648");
    check("true", "1");
    check(r#"["100",null,false,3.7]"#, "[100,null,0,3]");
    check(r#"{"b":"1"}"#, r#"{"b":"1"}"#);
    check("null", "null");
    for (text, want) in [
        ("1000", "1000"),
        ("+5", "5"),
        ("-0", "0"),
        (" 42\\n", "42"),
        ("1,234,567.8", "1234567"),
        ("123.9", "123"),
        ("-0.5", "0"),
        ("1.230000e+02", "123"),
        ("1E3", "1000"),
        ("1e-3", "0"),
        (".5", "0"),
        ("1_000", "1000"),
        ("0x7b", "123"),
        ("-0x7B", "-123"),
        ("0x1.edcdp6", "123"),
        ("9007199254740993", "9007199254740993"),
        ("9223372036854775808", "9223372036854775808"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("007", "7"),
    ] {
        check(&format!("\"{text}\""), want);
    }
    for bad in ["", "abc", "12abc", "1 2", "0x", "0xg", "1__0", "_1", "-", ".", "1e", "nan", "infinity", "1e999999999"]
    {
        refused("integer", &format!("\"{bad}\""));
    }
    refused("integer", r#"["1","x"]"#);
    refused("integer", r#"[["1"]]"#);
    refused("integer", r#"[{"b":1}]"#);
}

#[test]
fn to_integer_eu() {
    let check = |before: &str, after: &str| converted("integer_eu", before, after);
    check(r#"["1.000","1.234.567,8","123,4"]"#, "[1000,1234567,123]");
    check("3.9", "3");
}

#[test]
fn to_float() {
    let check = |before: &str, after: &str| converted("float", before, after);
    check("3", "3.0");
    check("3.25", "3.25");
    check("true", "1.0");
    for (text, want) in [
        ("3,141.5926", "3141.5926"),
        ("16777217", "16777217"),
        ("1.230000e+02", "123.0"),
        ("-123.45", "-123.45"),
        (".5", "0.5"),
        ("1_0.5", "10.5"),
        ("0x7b", "123.0"),
        (" 1 ", "1.0"),
    ] {
        check(&format!("\"{text}\""), want.strip_suffix("16777217").map_or(want, |_| "1.6777217E7"));
    }
    for bad in ["", "x", "1.", "1.e5", "1e", "inf", "nan", "1.2.3", "."] {
        refused("float", &format!("\"{bad}\""));
    }
    converted("float_eu", r#"["3.141,5926","3.141","3141,5926","7"]"#, "[3141.5926,3141.0,3141.5926,7.0]");
}

#[test]
fn to_boolean() {
    let check = |before: &str, after: &str| converted("boolean", before, after);
    for yes in
        ["\"true\"", "\"True\"", "\"t\"", "\"YES\"", "\"y\"", "\"1\"", "\"1.0\"", "\"a\\ny\"", "1", "1.0", "true"]
    {
        check(yes, "true");
    }
    for no in ["\"false\"", "\"F\"", "\"no\"", "\"n\"", "\"0\"", "\"0.0\"", "\"\"", "0", "0.0"] {
        check(no, "false");
    }
    for other in ["\"maybe\"", "2", "-1", "1.01", "0.01", "{\"a\":0}", "\" true\"", "null"] {
        check(other, other);
    }
    check(r#"["1","0",0,1,2]"#, "[true,false,false,true,2]");
}

#[test]
fn to_string() {
    let check = |before: &str, after: &str| converted("string", before, after);
    check("1234", r#""1234""#);
    check("123.0", r#""123.0""#);
    check("2147483648.0", r#""2147483648.0""#);
    check("1e20", r#""1.0e+20""#);
    check("true", r#""true""#);
    check(r#"[1,null,[2],{"b":"c"}]"#, r#"["1",null,"[2]","{\"b\"=>\"c\"}"]"#);
    check(r#""é""#, r#""é""#);
}

#[test]
fn renames() {
    let check = |pair: &str, before, after| check(&format!(r#"{{"rename":{{{pair}}}}}"#), before, after);
    check(r#""a":"b""#, r#"{"a":1,"c":2}"#, r#"{"c":2,"b":1}"#);
    check(r#""a":"b""#, r#"{"a":null}"#, r#"{"b":null}"#);
    check(r#""[f][b]":"[f][c]""#, r#"{"f":{"b":1}}"#, r#"{"f":{"c":1}}"#);
    check(r#""%{o}":"%{n}""#, r#"{"o":"a","n":"b","a":1}"#, r#"{"o":"a","n":"b","b":1}"#);
    check(r#""no":"b""#, r#"{"a":1}"#, r#"{"a":1}"#);
    check(r#""no":"[[bad""#, r#"{"a":1}"#, r#"{"a":1}"#);
    check(r#""a":"[[bad""#, r#"{"a":1,"b":2}"#, r#"{"b":2,"tags":["_mutate_error"]}"#);
    check(r#""a":"@timestamp""#, r#"{"a":1}"#, r#"{"tags":["_mutate_error"]}"#);
    check(r#""a":"[b][c]""#, r#"{"a":1,"b":2}"#, r#"{"b":2,"tags":["_mutate_error"]}"#);
    check(r#""a":"tags""#, r#"{"a":1}"#, r#"{"tags":["_mutate_error"]}"#);
    check(r#""a":"a""#, r#"{"a":1}"#, r#"{"a":1}"#);
}

#[test]
fn updates_and_replacements() {
    check(
        r#"{"update":{"a":"%{b}!"},"replace":{"c":"%{b}?"}}"#,
        r#"{"a":"x","b":"y"}"#,
        r#"{"a":"y!","b":"y","c":"y?"}"#,
    );
    check(r#"{"update":{"no":"x"}}"#, r#"{"a":1}"#, r#"{"a":1}"#);
    check(r#"{"update":{"a":"x"}}"#, r#"{"a":null}"#, r#"{"a":"x"}"#);
    check(r#"{"replace":{"a":"new"},"rename":{"a":"b"}}"#, r#"{"a":"old"}"#, r#"{"b":"old","a":"new"}"#);
    check(r#"{"replace":{"[l][1]":"B"}}"#, r#"{"l":["a","b"]}"#, r#"{"l":["a","B"]}"#);
    check(r#"{"replace":{"@timestamp":"x"}}"#, r#"{"a":1}"#, r#"{"a":1,"tags":["_mutate_error"]}"#);
    check(r#"{"coerce":{"a":"x","b":"y","c":5}}"#, r#"{"a":null,"b":1}"#, r#"{"a":"x","b":1}"#);
}

#[test]
fn replacements_by_pattern() {
    let check = |three: &str, before, after| check(&format!(r#"{{"gsub":[{three}]}}"#), before, after);
    check(r#""a","red$","blue""#, r#"{"a":"red2 red"}"#, r#"{"a":"red2 blue"}"#);
    check(r#""a","(\\w+) car","\\1 bike""#, r#"{"a":"One red car"}"#, r#"{"a":"One red bike"}"#);
    check(r#""a","of %{k}","%{k}!""#, r#"{"a":"a of b","k":"b"}"#, r#"{"a":"a b!","k":"b"}"#);
    check(r#""a","x","y""#, r#"{"a":["x",1,["x"],"zx"]}"#, r#"{"a":["y",1,["x"],"zy"]}"#);
    check(r#""a","x","y""#, r#"{"a":1}"#, r#"{"a":1}"#);
    check(r#""a","[/]","_","b","[\\\\?#-]",".""#, r#"{"a":"a/b"}"#, r#"{"a":"a_b"}"#);
    check(r#""a","%{k}","""#, r#"{"a":"x","k":"("}"#, r#"{"a":"x","k":"(","tags":["_mutate_error"]}"#);
}

#[test]
fn letters() {
    check(r#"{"uppercase":["a"]}"#, r#"{"a":["a",2,"ß","xyzółć"]}"#, r#"{"a":["A",2,"SS","XYZÓŁĆ"]}"#);
    check(r#"{"lowercase":["a"]}"#, r#"{"a":["A",2,"ÀΣ"]}"#, r#"{"a":["a",2,"àσ"]}"#);
    check(r#"{"capitalize":["a"]}"#, r#"{"a":["ab","CDE","éA","ǆB",""]}"#, r#"{"a":["Ab","Cde","Éa","ǅb",""]}"#);
    check(r#"{"uppercase":["no","a"]}"#, r#"{"a":1}"#, r#"{"a":1}"#);
    // Their order is fixed: capitalize comes behind uppercase, lowercase last.
    check(r#"{"lowercase":"a","uppercase":"a","capitalize":"a"}"#, r#"{"a":"aB"}"#, r#"{"a":"ab"}"#);
}

#[test]
fn white_space_goes() {
    check(r#"{"strip":["a","b","no"]}"#, r#"{"a":" x y\n","b":[" p","q "]}"#, r#"{"a":"x y","b":["p","q"]}"#);
    check(r#"{"strip":["a"]}"#, r#"{"a":["x ",1]}"#, r#"{"a":["x ",1],"tags":["_mutate_error"]}"#);
    check(r#"{"strip":["a"]}"#, r#"{"a":"  "}"#, r#"{"a":""}"#);
}

#[test]
fn splits_and_joins() {
    let split = |separator: &str, before: &str, after: &str| {
        let settings = format!(r#"{{"split":{{"a":"{separator}"}}}}"#);
        check(&settings, &format!(r#"{{"a":{before}}}"#), &format!(r#"{{"a":{after}}}"#));
    };
    split(",", r#""a,b,,c""#, r#"["a","b","","c"]"#);
    split(",", r#"",a,,""#, r#"["","a"]"#);
    split(",", r#""a""#, r#"["a"]"#);
    split(",", r#""""#, "[]");
    split(" ", r#""  a \t b ""#, r#"["a","b"]"#);
    split("", r#""aéb""#, r#"["a","é","b"]"#);
    split("--", r#""a--b-c""#, r#"["a","b-c"]"#);
    split(",", "null", "null");
    split(",", r#"["a,b"]"#, r#"["a,b"]"#);
    check(r#"{"join":{"a":"-"}}"#, r#"{"a":["x",1,null,[2,3.0],{"k":1}]}"#, r#"{"a":"x-1--2-3.0-{\"k\"=>1}"}"#);
    check(r#"{"join":{"a":"-"}}"#, r#"{"a":"x"}"#, r#"{"a":"x"}"#);
    check(r#"{"split":{"a":","},"join":{"a":"+"}}"#, r#"{"a":"x,y"}"#, r#"{"a":"x+y"}"#);
}

#[test]
fn merges_and_copies() {
    let merge = |from: &str, before, after| check(&format!(r#"{{"merge":{{"l":{from}}}}}"#), before, after);
    merge(r#""f""#, r#"{"f":"x"}"#, r#"{"f":"x","l":["x"]}"#);
    merge(r#""f""#, r#"{"f":["x"],"l":"y"}"#, r#"{"f":["x"],"l":["y","x"]}"#);
    merge(r#""f""#, r#"{"f":{"b":1,"a":3},"l":{"a":2}}"#, r#"{"f":{"b":1,"a":3},"l":{"a":3,"b":1}}"#);
    merge(r#""f""#, r#"{"f":{"b":1},"l":"s"}"#, r#"{"f":{"b":1},"l":"s"}"#);
    merge(r#""f""#, r#"{"f":{"b":1}}"#, r#"{"f":{"b":1}}"#);
    merge(r#"["f","g"]"#, r#"{"f":1,"g":2,"l":[0]}"#, r#"{"f":1,"g":2,"l":[0,1,2]}"#);
    merge(r#"["f","g"]"#, r#"{"f":1,"g":2,"l":0}"#, r#"{"f":1,"g":2,"l":[0,2]}"#);
    merge(r#""no""#, r#"{"a":1}"#, r#"{"a":1,"l":[]}"#);
    check(r#"{"copy":{"a":"[b][c]","no":"d"}}"#, r#"{"a":{"x":[1]}}"#, r#"{"a":{"x":[1]},"b":{"c":{"x":[1]}}}"#);
    let mut batch = Batch::new();
    let event = event(&mut batch, r#"{"f":{"a":"b"}}"#);
    assert!(run(build, r#"{"copy":{"f":"t"}}"#, &mut batch, event));
    assert!(run(build, r#"{"replace":{"[f][a]":"c"}}"#, &mut batch, event));
    assert_eq!(shown(&batch, event), r#"{"f":{"a":"c"},"t":{"a":"b"}}"#);
}

#[test]
fn mistakes() {
    let check = |settings: &str, want: &str| {
        let found = build(&options(settings), &context()).err().expect("it is wrong");
        assert_eq!(found[0].code, want, "{settings}");
    };
    check(r#"{"convert":{"a":"int"}}"#, code::VALUE);
    check(r#"{"gsub":["a","b"]}"#, code::VALUE);
    check(r#"{"gsub":["a","(","b"]}"#, code::PATTERN);
}

proptest::proptest! {
    #[test]
    fn whole_numbers_survive_both_ways(n: i64) {
        let mut batch = Batch::new();
        let event = batch.new_event();
        let field = crate::event::FieldRef::of("a");
        batch.set(event, &field, Value::Int(n));
        run(build, r#"{"convert":{"a":"string"}}"#, &mut batch, event);
        run(build, r#"{"convert":{"a":"integer"}}"#, &mut batch, event);
        proptest::prop_assert_eq!(batch.get(event, &field), Some(Value::Int(n)));
    }

    #[test]
    fn floats_survive_both_ways(n in proptest::num::f64::NORMAL) {
        let mut batch = Batch::new();
        let event = batch.new_event();
        let field = crate::event::FieldRef::of("a");
        batch.set(event, &field, Value::Float(n));
        run(build, r#"{"convert":{"a":"string"}}"#, &mut batch, event);
        run(build, r#"{"convert":{"a":"float"}}"#, &mut batch, event);
        proptest::prop_assert_eq!(batch.get(event, &field), Some(Value::Float(n)));
    }

    #[test]
    fn no_number_makes_it_panic(text in "[0-9a-fxpedED_.,+ -]{0,12}") {
        for to in convert::To::NAMES {
            let mut batch = Batch::new();
            let event = batch.new_event();
            let value = batch.str(&text);
            batch.set(event, &crate::event::FieldRef::of("a"), value);
            run(build, &format!(r#"{{"convert":{{"a":"{to}"}}}}"#), &mut batch, event);
        }
    }
}
