//! What the options of `xml` do; most cases are those of the original's own tests.

use super::*;
use crate::filter::common::tests::{context, event, options, run, shown};
use serde_json::json;

/// What becomes of the field `x` with these settings; `None` where it fails.
fn through(mut settings: serde_json::Value, xml: serde_json::Value) -> Option<serde_json::Value> {
    settings["source"] = "x".into();
    let mut batch = Batch::new();
    let event = event(&mut batch, &json!({ "x": xml }).to_string());
    run(build, &settings.to_string(), &mut batch, event);
    let mut found: serde_json::Value = serde_json::from_str(&shown(&batch, event)).unwrap();
    let fields = found.as_object_mut().unwrap();
    fields.remove("x");
    match fields.remove("tags") {
        None => Some(found),
        Some(tags) => {
            assert_eq!(tags, json!(["_xmlparsefailure"]));
            None
        }
    }
}

#[test]
fn hashes() {
    let check = |settings: serde_json::Value, xml: &str, want: serde_json::Value| {
        let mut settings = settings;
        settings["target"] = "t".into();
        assert_eq!(through(settings, xml.into()), Some(json!({ "t": want })), "{xml}");
    };
    let plain = || json!({});
    check(plain(), r#"<foo key="value"/>"#, json!({"key": "value"}));
    check(plain(), "<foo><key>1</key><key>2</key></foo>", json!({"key": ["1", "2"]}));
    check(plain(), "<foo><a><b>value</b></a></foo>", json!({"a": [{"b": ["value"]}]}));
    check(plain(), "<foo><k>v</k><k></k></foo>", json!({"k": ["v"]}));
    check(plain(), "<foo a='1'><k></k></foo>", json!({"a": "1", "k": [null]}));
    check(plain(), "<foo>text</foo>", json!("text"));
    check(plain(), "<foo/>", json!(null));
    check(plain(), "<foo>x &amp; <b>y</b> z</foo>", json!({"b": ["y"], "content": ["x &amp; ", " z"]}));
    check(plain(), "<foo><b>y</b>&lt;</foo>", json!({"b": ["y"], "content": "&lt;"}));
    check(plain(), "<foo><b>x &amp; <![CDATA[<z>]]></b></foo>", json!({"b": ["x & <z>"]}));
    check(plain(), "<foo><anon>1</anon><anon>2</anon></foo>", json!(["1", "2"]));
    check(
        plain(),
        "<f xmlns:h='u'><h:b h:c='1'>x</h:b></f>",
        json!({"xmlns:h": "u", "b": [{"h:c": "1", "content": "x"}]}),
    );
    check(json!({"suppress_empty": false}), "<foo><k>v</k><k></k></foo>", json!({"k": ["v", {}]}));
    let single = |force_content: bool| json!({"force_array": false, "force_content": force_content});
    check(single(false), "<o><x>1</x><y a='2'>3</y></o>", json!({"x": "1", "y": {"a": "2", "content": "3"}}));
    check(
        single(true),
        "<o><x>1</x><y a='2'>3</y></o>",
        json!({"x": {"content": "1"}, "y": {"a": "2", "content": "3"}}),
    );
}

#[test]
fn sources() {
    let target = || json!({"target": "t"});
    assert_eq!(through(target(), json!(["<a b='c'/>"])), Some(json!({"t": {"b": "c"}})));
    for left in [json!(""), json!(" \n"), json!(null)] {
        assert_eq!(through(target(), left), Some(json!({})));
    }
    for bad in [
        json!([]),
        json!(["<a/>", "x"]),
        json!({"a": 1}),
        json!(5),
        json!("<foo /"),
        json!("text"),
        json!("<a><b></a>"),
    ] {
        assert_eq!(through(target(), bad.clone()), None, "{bad}");
    }
}

#[test]
fn expressions() {
    let check = |more: serde_json::Value, expression: &str, xml: &str, want: Option<serde_json::Value>| {
        let mut settings = json!({"store_xml": false, "xpath": {expression: "f"}});
        more.as_object().unwrap().iter().for_each(|(key, value)| settings[key] = value.clone());
        let found = through(settings, xml.into()).map(|fields| fields["f"].clone());
        assert_eq!(found, want, "{expression} on {xml}");
    };
    let plain = || json!({});
    let html = "http://www.w3.org/TR/html4/";
    check(plain(), "/foo/key/text()", "<foo><key>1</key><key>&lt;é</key></foo>", Some(json!(["1", "&lt;é"])));
    check(json!({"force_array": false}), "/foo/key/text()", "<foo><key>1</key></foo>", Some(json!("1")));
    check(plain(), "//@a", "<foo a='1'><b a='2'/></foo>", Some(json!(["1", "2"])));
    check(plain(), "//nope", "<foo/>", Some(json!(null)));
    check(plain(), "count(//b)", "<foo><b/><b/></foo>", Some(json!(["2.0"])));
    check(plain(), "string(//b)", "<foo><b>x</b></foo>", Some(json!(["x"])));
    check(plain(), "//b = 'y'", "<foo><b>x</b></foo>", Some(json!(null)));
    check(
        plain(),
        "/foo",
        "<foo><b a='\"'>x</b><c/></foo>",
        Some(json!(["<foo>\n  <b a=\"&quot;\">x</b>\n  <c/>\n</foo>"])),
    );
    check(
        plain(),
        "/foo/h:div",
        &format!("<foo xmlns:h='{html}'><h:div>C</h:div></foo>"),
        Some(json!(["<h:div>C</h:div>"])),
    );
    check(
        json!({"namespaces": {"h": html}}),
        "/foo/h:div",
        &format!("<foo><h:div xmlns:h='{html}'>C</h:div></foo>"),
        Some(json!([format!("<h:div xmlns:h=\"{html}\">C</h:div>")])),
    );
    check(
        json!({"remove_namespaces": true}),
        "/foo/div",
        &format!("<foo xmlns:h='{html}'><h:div>C</h:div></foo>"),
        Some(json!(["<div>C</div>"])),
    );
    check(plain(), "//x:b", "<foo><b/></foo>", None);
    check(plain(), "/foo/b[", "<foo/>", None);
    let broken = "<e><f1>bbb</f1><f2>789</f2><f3>e3f<f3></e>";
    check(json!({"force_array": false}), "/e/f1/text()", broken, Some(json!("bbb")));
    check(json!({"parse_options": "noerror, no_warning"}), "/e/f1/text()", broken, None);
    check(json!({"parse_options": "recover|noblanks"}), "/e/text()", "<e> <a/> </e>", Some(json!(null)));
}

#[test]
fn mistakes() {
    let check = |settings: &str, count: usize| {
        let wrong = build(&options(settings), &context()).err().unwrap_or_default();
        assert_eq!(wrong.len(), count, "{settings}: {wrong:?}");
    };
    check(r#"{"source":"x"}"#, 1);
    check(r#"{"source":"x","store_xml":false}"#, 0);
    check(r#"{"source":"x","target":"t","parse_options":"strict|wrong,no_such"}"#, 2);
}
