use logboom::diagnostic::Place;
use logboom::event::json::{Parser, write_event};
use logboom::event::*;
use logboom::filter::{FILTERS, Run};
use logboom::plugin::*;
use serde_json::{Value as Json, json};
fn setting(value: &Json) -> Setting {
    let value = match value {
        Json::Array(all) => Literal::Array(all.iter().map(setting).collect()),
        Json::Object(all) => Literal::Hash(all.iter().map(|(k, v)| (setting(&json!(k)), setting(v))).collect()),
        Json::String(text) => Literal::String(text.clone()),
        Json::Number(n) => Literal::Number(n.as_f64().unwrap_or(0.0), n.to_string()),
        other => Literal::String(other.to_string()),
    };
    Setting { value, place: Place::default() }
}
// cases: [{id, config:{..}, ecs, event}] -> prints {id, event}
fn main() {
    let cases: Vec<Json> = serde_json::from_reader(std::io::stdin()).unwrap();
    let mut out = vec![];
    for c in &cases {
        let settings =
            c["config"].as_object().unwrap().iter().map(|(n, v)| (n.clone(), Place::default(), setting(v))).collect();
        let options = Options { settings, place: Place::default() };
        let context = Context {
            pipeline: "main".into(),
            id: "g".into(),
            ecs: c["ecs"] == json!(true),
            data: "/x".into(),
            check_only: false,
        };
        let spec = FILTERS.iter().find(|s| s.name == "grok").unwrap();
        let Build::Filter(build) = spec.build else { panic!() };
        let mut filter = match build(&options, &context) {
            Ok(f) => f,
            Err(e) => {
                out.push(json!({"id": c["id"], "error": format!("{e:?}")}));
                continue;
            }
        };
        let mut batch = Batch::new();
        let span = batch.push_text(&c["event"].to_string());
        Parser::default().parse_event(&mut batch, span).unwrap();
        let (mut m, mut cr) = (vec![], vec![]);
        filter.run(
            &mut batch,
            &mut Run { events: &[0], matched: &mut m, created: &mut cr, now: Timestamp::from_millis(0) },
        );
        let mut o = Vec::new();
        write_event(&batch, 0, &mut o);
        let mut e: Json = serde_json::from_slice(&o).unwrap();
        if !m.is_empty() {
            if let Some(t) = c["add_tag"].as_str() {
                e["tags"] = json!([t]);
            }
        }
        out.push(json!({"id": c["id"], "event": e}));
    }
    println!("{}", Json::Array(out));
}
