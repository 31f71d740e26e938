//! The `grok` filter's tests.

use super::*;
use crate::event::Timestamp;
use crate::event::json::{Parser, write_event};
use serde_json::{Value as Json, json};

pub(super) fn setting(value: &Json) -> Setting {
    let value = match value {
        Json::Array(all) => Literal::Array(all.iter().map(setting).collect()),
        Json::Object(all) => Literal::Hash(all.iter().map(|(k, v)| (setting(&json!(k)), setting(v))).collect()),
        Json::String(text) => Literal::String(text.clone()),
        Json::Number(n) => Literal::Number(n.as_f64().unwrap_or(0.0), n.to_string()),
        other => Literal::String(other.to_string()),
    };
    Setting { value, place: Place::default() }
}

pub(super) fn filter(config: &Json, ecs: bool) -> Built<Box<dyn Filter>> {
    let settings = config.as_object().unwrap().iter();
    let settings = settings.map(|(name, value)| (name.clone(), Place::default(), setting(value))).collect();
    let options = Options { settings, place: Place::default() };
    let context = Context {
        pipeline: "main".into(),
        id: "grok".into(),
        ecs,
        data: "/nonexistent".into(),
        check_only: false,
        index: None,
        stats: None,
        derived: Default::default(),
        links: Default::default(),
    };
    build(&options, &context)
}

/// The event after the filter, and whether it matched.
pub(super) fn run(filter: &mut dyn Filter, event: &Json) -> (Json, bool) {
    let mut batch = Batch::new();
    let span = batch.push_text(&event.to_string());
    Parser::default().parse_event(&mut batch, span).unwrap();
    let events: Vec<EventId> = (0..batch.len() as EventId).collect();
    let (mut matched, mut created) = (Vec::new(), Vec::new());
    let now = Timestamp::from_millis(0);
    filter.run(&mut batch, &mut Run { events: &events, matched: &mut matched, created: &mut created, now });
    let mut out = Vec::new();
    write_event(&batch, 0, &mut out);
    (serde_json::from_slice(&out).unwrap(), !matched.is_empty())
}

fn check(config: Json, event: Json, want: Json) {
    let (got, _) = run(&mut *filter(&config, false).unwrap(), &event);
    assert_eq!(got, want, "{config}");
}

#[test]
fn captures_become_fields() {
    let with = |pattern: &str| json!({"match": {"message": pattern}});
    check(with("%{WORD:a} %{INT:b:int}"), json!({"message":"x 12"}), json!({"message":"x 12","a":"x","b":12}));
    check(with("%{WORD:[a][b]}"), json!({"message":"x"}), json!({"message":"x","a":{"b":"x"}}));
    check(with("%{INT:n:long}"), json!({"message":"7"}), json!({"message":"7","n":"7"}));
    check(with("%{WORD:message}"), json!({"message":"x y"}), json!({"message":["x y","x"]}));
    check(with("%{INT:a:int} %{INT:a:int}"), json!({"message":"1 2"}), json!({"message":"1 2","a":1}));
    check(with("(?<a>é+)b"), json!({"message":"xéb"}), json!({"message":"xéb","a":"é"}));
    check(with("%{WORD:a}"), json!({"message":["x","-","y"]}), json!({"message":["x","-","y"],"a":["x","y"]}));
    check(with("^%{GREEDYDATA:a}$"), json!({"x":1}), json!({"x":1}));
    let fails = json!({"message":"-","tags":["_grokparsefailure"]});
    check(with("%{WORD:a}"), json!({"message":"-"}), fails);
}

/// As in Logstash, what can't be set is seen where it is matched: what stood before it is set, further
/// patterns of the field are not tried.
#[test]
fn captures_into_no_field_reference_fail_where_they_match() {
    let config = json!({"match":{"message":["^a %{WORD:x} %{WORD:[b]]} %{WORD:y}","%{WORD:z}"],"n":"%{INT:m}"}});
    check(
        config.clone(),
        json!({"message":"a 1 2 3"}),
        json!({"message":"a 1 2 3","x":"1","tags":["_grokparsefailure"]}),
    );
    check(config.clone(), json!({"message":"b"}), json!({"message":"b","z":"b"}));
    check(config, json!({"message":"a 1 2 3","n":"7"}), json!({"message":"a 1 2 3","n":"7","x":"1","m":"7"}));
}

#[test]
fn options_are_heeded() {
    let pattern = "%{WORD:message} (?<e>x*)";
    check(
        json!({"match":{"message":pattern},"overwrite":["message"]}),
        json!({"message":"a b"}),
        json!({"message":"a"}),
    );
    check(
        json!({"match":{"message":pattern},"target":"t","keep_empty_captures":true}),
        json!({"message":"a b"}),
        json!({"message":"a b","t":{"message":"a","e":""}}),
    );
    check(
        json!({"match":["m","%{INT:i}","m","%{WORD:w}"],"break_on_match":false}),
        json!({"m":"a 1"}),
        json!({"m":"a 1","i":"1","w":"a"}),
    );
    check(
        json!({"match":{"m":"(?:a+)+$"},"timeout_millis":1,"tag_on_timeout":"slow"}),
        json!({"m": format!("{}!", "a".repeat(40))}),
        json!({"m": format!("{}!", "a".repeat(40)),"tags":["slow"]}),
    );
}

#[test]
fn mistakes_are_all_reported() {
    let errors = filter(&json!({"match":{"m":["%{WRD:a}","("],"[q":"x"}}), false).err().unwrap();
    let all: Vec<String> = errors.iter().map(|e| format!("{} {} {}", e.code, e.message, e.label)).collect();
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all[0].contains("%{WRD}") && all[0].contains("did you mean `%{WORD}`?"), "{all:?}");
    assert!(all[1].contains("unmatched"), "{all:?}");
    assert!(all[2].starts_with(code::FIELD), "{all:?}");
}

#[test]
fn numbers_as_ruby_reads_them() {
    let int = |text: &str, want: Value| assert_eq!(to_i(text.as_bytes()), want, "{text}");
    int("12", Value::Int(12));
    int("-12abc", Value::Int(-12));
    int("1,000", Value::Int(1));
    int("1_000__2", Value::Int(1000));
    int("x", Value::Int(0));
    int("-9223372036854775808", Value::Int(i64::MIN));
    int("18446744073709551615", Value::Uint(u64::MAX));
    int("1e3", Value::Int(1));
    let float = |text: &str, want: f64| assert_eq!(text_to_f(text), want, "{text}");
    float("1.5", 1.5);
    float("-1.5e3x", -1500.0);
    float("1.", 1.0);
    float(".5", 0.5);
    float("abc", 0.0);
    float("28.4ms", 28.4);
}
