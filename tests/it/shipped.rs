//! The pipelines that are shipped do what their comments say, on the generator's lines.

use crate::program::run;
use jiff::Timestamp;
use logboom::cli::generate::{Format, Generator};
use serde_json::Value;

const LINES: usize = 2_000;

/// The filter section of a shipped pipeline.
fn filters(name: &str) -> String {
    let path = format!("{}/pipelines/{name}.conf", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a shipped pipeline can be read");
    let (start, end) = (text.find("\nfilter {").unwrap(), text.find("\noutput {").unwrap());
    text[start..end].to_owned()
}

/// Runs it over lines; each with the event that it became. Behind a condition the events of the
/// matching branch come first, so the lines are told apart by what the event says of its own.
fn pairs(name: &str, codec: &str, text: &[u8], line: fn(&Value) -> String) -> Vec<(String, Value)> {
    let events = run(codec, &filters(name), &[], text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut want: Vec<String> = String::from_utf8_lossy(text).lines().map(str::to_owned).collect();
    let pairs: Vec<_> = events.into_iter().map(|event| (line(&event), event)).collect();
    let mut got: Vec<String> = pairs.iter().map(|(line, _)| line.clone()).collect();
    want.sort();
    got.sort();
    assert!(want == got, "{name}: not every line became an event");
    pairs
}

fn events(name: &str, codec: &str, format: Format) -> Vec<(String, Value)> {
    pairs(name, codec, &Generator::text(format, 11, LINES), original)
}

/// What the codec keeps of the line.
fn original(event: &Value) -> String {
    event["event"]["original"].as_str().unwrap_or_else(|| panic!("no line in {event}")).to_owned()
}

fn time(event: &Value) -> Timestamp {
    event["@timestamp"].as_str().and_then(|at| at.parse().ok()).unwrap_or_else(|| panic!("no time in {event}"))
}

#[test]
fn safevideo() {
    let text = String::from_utf8(Generator::text(Format::Json, 11, LINES)).unwrap();
    let events = run("json_lines {}", &filters("safevideo"), &[], text.as_bytes()).unwrap();
    assert_eq!(events.len(), LINES);
    for (line, event) in text.lines().zip(events) {
        let before: Value = serde_json::from_str(line).unwrap();
        for (key, value) in before.as_object().unwrap() {
            assert_eq!(&event[key], value, "{key} of {line}");
        }
        assert_eq!(time(&event), before["timestamp"].as_str().unwrap().parse().unwrap(), "{line}");
        assert_eq!(event["tags"], Value::Null, "{event}");
    }
}

#[test]
fn apache() {
    for (line, event) in events("apache", "line {}", Format::Apache) {
        assert_eq!(event["tags"], Value::Null, "{event}");
        assert!(line.starts_with(event["source"]["address"].as_str().unwrap()), "{event}");
        let status = event["http"]["response"]["status_code"].as_i64().unwrap();
        assert!(line.contains(&format!("\" {status} ")), "{line}");
        let level = match status {
            500.. => "ERROR",
            400.. => "WARN",
            _ => "INFO",
        };
        assert_eq!(event["level"], level, "{line}");
        let written = line.split(['[', ']']).nth(1).unwrap();
        let want = jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", written).unwrap().to_timestamp().unwrap();
        assert_eq!(time(&event), want, "{line}");
        assert_eq!(event["timestamp"], Value::Null, "{event}");
    }
}

#[test]
fn syslog() {
    for (line, event) in events("syslog", "line {}", Format::Syslog) {
        assert_eq!(event["tags"], Value::Null, "{event}");
        let (priority, rest) = line[1..].split_once('>').unwrap();
        let priority: i64 = priority.parse().unwrap();
        assert_eq!(event["log"]["syslog"]["priority"], priority, "{event}");
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        assert_eq!(event["host"]["hostname"], words[3], "{event}");
        assert_eq!(event["process"]["name"], words[4].split(['[', ':']).next().unwrap(), "{event}");
        assert!(line.ends_with(event["message"].as_str().unwrap()), "{event}");
        match priority % 8 {
            0..=3 => assert_eq!(event["level"], "ERROR", "{line}"),
            4 => assert_eq!(event["level"], "WARN", "{line}"),
            7 => assert_eq!(event["level"], "DEBUG", "{line}"),
            _ => assert!(["WARN", "INFO"].contains(&event["level"].as_str().unwrap()), "{line}"),
        }
        let clock = time(&event).to_string();
        assert!(clock.contains(words[2]), "{clock} is not {}", words[2]);
    }
}

/// The public sample that many grok tutorials use; it lies beside the project, where it lies at all.
#[test]
fn public_access_logs_parse_each_at_its_own_time() {
    let path = format!("{}/../shared/data/apache_logs", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read(&path) else {
        eprintln!("left out: {path} is not there");
        return;
    };
    let own_time = |(line, event): &(String, Value)| {
        let written = line.split(['[', ']']).nth(1)?;
        let want = jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", written).ok()?.to_timestamp().ok()?;
        (event["tags"].is_null() && time(event) == want).then_some(())
    };
    let parsed = pairs("apache", "line {}", &text, original).iter().filter(|pair| own_time(pair).is_some()).count();
    assert!(parsed >= 9_999, "{parsed} of 10,000 lines");
}
