//! What the options of `translate` do.

use super::*;
use crate::event::Batch;
use crate::filter::common::tests::{context, event, options, run, shown};
use crate::filter::refresh::Refresh;

fn check(settings: &str, before: &str, after: &str) {
    let mut batch = Batch::new();
    let event = event(&mut batch, before);
    run(build, settings, &mut batch, event);
    assert_eq!(shown(&batch, event), after, "{settings} on {before}");
}

#[test]
fn keys_are_texts() {
    let plain = r#"{"source":"s","target":"t","dictionary":{"200":"OK","a":["x",1],"":"empty","true":"yes"}}"#;
    check(plain, r#"{"s":200}"#, r#"{"s":200,"t":"OK"}"#);
    check(plain, r#"{"s":["a","200"]}"#, r#"{"s":["a","200"],"t":["x",1]}"#);
    check(plain, r#"{"s":true}"#, r#"{"s":true,"t":"yes"}"#);
    check(plain, r#"{"s":null}"#, r#"{"s":null,"t":"empty"}"#);
    check(plain, r#"{"s":"b"}"#, r#"{"s":"b"}"#);
    check(plain, r#"{"s":"a","t":0}"#, r#"{"s":"a","t":0}"#);
    check(r#"{"source":"s","dictionary":{"a":"b"}}"#, r#"{"s":"a"}"#, r#"{"s":"b"}"#);
    check(
        r#"{"source":"s","target":"t","override":true,"dictionary":{"a":"b"}}"#,
        r#"{"s":"a","t":0}"#,
        r#"{"s":"a","t":"b"}"#,
    );
}

#[test]
fn patterns_and_parts() {
    let regex = r#"{"source":"s","target":"t","regex":true,"dictionary":{"^5\\d\\d$":"bad","^\\d+$":"number"},"fallback":"<%{s}>"}"#;
    check(regex, r#"{"s":500}"#, r#"{"s":500,"t":"bad"}"#);
    check(regex, r#"{"s":"20"}"#, r#"{"s":"20","t":"number"}"#);
    check(regex, r#"{"s":"x"}"#, r#"{"s":"x","t":"<x>"}"#);
    let parts = r#"{"source":"s","exact":false,"dictionary":{"a":"1","ab":"2","c.":"x"}}"#;
    check(parts, r#"{"s":"ab c. cd"}"#, r#"{"s":"1b x cd"}"#);
    check(parts, r#"{"s":"zz"}"#, r#"{"s":"zz"}"#);
    assert!(build(&options(r#"{"source":"s","regex":true,"dictionary":{"(":"x"}}"#), &context()).is_err());
}

#[test]
fn arrays() {
    let values = r#"{"source":"s","target":"t","iterate_on":"s","dictionary":{"a":"1"}}"#;
    check(values, r#"{"s":["a","b",null]}"#, r#"{"s":["a","b",null],"t":["1",null,null]}"#);
    check(values, r#"{"s":"a"}"#, r#"{"s":"a","t":["1"]}"#);
    let maps = r#"{"source":"[k][n]","target":"[k][t]","iterate_on":"l","dictionary":{"a":"1"},"fallback":"?"}"#;
    check(
        maps,
        r#"{"l":[{"k":{"n":"a"}},{"x":1},5,{"k":{"n":"b"}}]}"#,
        r#"{"l":[{"k":{"n":"a","t":"1"}},{"x":1},5,{"k":{"n":"b","t":"?"}}]}"#,
    );
}

#[test]
fn mistakes() {
    let check = |settings: &str, count: usize| {
        let wrong = build(&options(settings), &context()).err().unwrap_or_default();
        assert_eq!(wrong.len(), count, "{settings}: {wrong:?}");
    };
    check(r#"{"target":"t"}"#, 1);
    check(r#"{"source":"s","field":"s","target":"t","destination":"u"}"#, 2);
    check(r#"{"source":"s","target":"s","override":false}"#, 1);
    check(r#"{"source":"s","dictionary":{"a":"b"},"dictionary_path":"/no/such.xml"}"#, 2);
    check(r#"{"source":"s","dictionary_path":"/no/such.json","yaml_dictionary_code_point_limit":5}"#, 2);
    check(r#"{"source":"s","dictionary_path":"/no/such.yml","yaml_dictionary_code_point_limit":0}"#, 2);
    let context = Context { check_only: true, ..context() };
    assert!(build(&options(r#"{"source":"s","dictionary_path":"/no/such.yml"}"#), &context).is_ok());
}

/// A dictionary of one file, whose text is changed.
#[test]
fn files_are_read_again() {
    let check = |name: &str, merge: bool, first: &str, then: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, first).unwrap();
        let behaviour = if merge { "merge" } else { "replace" };
        let settings = serde_json::json!({
            "source": "s", "target": "t", "dictionary_path": path, "refresh_behaviour": behaviour, "refresh_interval": 301
        });
        let shared = dictionary(&options(&settings.to_string()), &context(), &mut Vec::new()).unwrap();
        let update = update(&options(&settings.to_string()), &context(), &mut Vec::new()).unwrap();
        let mut out = Vec::new();
        let mut look = || {
            for key in ["a", "b"] {
                let mut batch = Batch::new();
                let event = event(&mut batch, &format!(r#"{{"s":"{key}"}}"#));
                update.apply(&shared.now.load(), &mut batch, event, &mut Scratch::default());
                out.push(shown(&batch, event));
            }
        };
        look();
        for text in then {
            std::fs::write(&path, text).unwrap();
            shared.refresh();
            look();
        }
        out.join(" ").replace("{\"s\":", "").replace('}', "").replace("\"t\":", "")
    };
    assert_eq!(
        check("d.yml", true, "a: 1\nb: yes\n7: x", &["a: 2", "a: ["]),
        r#""a",1 "b",true "a",2 "b",true "a",2 "b",true"#
    );
    assert_eq!(
        check("d.json", false, r#"{"a":{"x":1}}"#, &[r#"{"b":null}"#, "[]"]),
        r#""a",{"x":1 "b" "a" "b",null "a" "b",null"#
    );
    assert_eq!(check("d.csv", false, "a,1\n\nb,\"x,y\",z\n", &["b\n"]), r#""a","1" "b","x,y" "a" "b",null"#);
    assert_eq!(check("d.yaml", false, "- a: 1\n- b: 2\n", &[""]), r#""a",1 "b",2 "a" "b""#);
}
