//! `logboom tap`: shows events before and after a plugin of a running pipeline.

use anyhow::{Context as _, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, IsTerminal, Write};

/// Events of a running pipeline, before and after a plugin.
///
/// Without `--plugin` it shows what all filters together make of them. The running process is asked
/// through its management API.
#[derive(clap::Parser, Debug)]
#[command(name = "logboom tap", bin_name = "logboom tap")]
pub struct Args {
    /// `pipeline.id`
    pub pipeline: String,
    /// The id of a plugin (`/_node/stats/pipelines` names them)
    #[arg(long, value_name = "ID")]
    pub plugin: Option<String>,
    /// Events a second, at the most
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rate: u32,
    /// End after so many events
    #[arg(long, short = 'n', value_name = "N")]
    pub count: Option<u64>,
    /// Lines of JSON as they come
    #[arg(long)]
    pub json: bool,
    /// Where the management API listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9600")]
    pub api: String,
    /// For a management API that asks for a password
    #[arg(long, value_name = "USER:PASSWORD")]
    pub user: Option<String>,
}

/// Runs the command from its arguments. Wrong ones end the process as clap does.
pub fn main(arguments: Vec<String>) -> anyhow::Result<bool> {
    run(&super::arguments("tap", arguments))
}

fn run(args: &Args) -> anyhow::Result<bool> {
    let mut url =
        format!("{}/_node/tap/{}?rate={}", args.api.trim_end_matches('/'), escaped(&args.pipeline), args.rate);
    if let Some(plugin) = &args.plugin {
        url += &format!("&plugin={}", escaped(plugin));
    }
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = agent.get(&url);
    if let Some(user) = &args.user {
        use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
        request = request.header("Authorization", format!("Basic {}", BASE64.encode(user)));
    }
    let answer = request.call().with_context(|| format!("cannot ask {}: does it run there?", args.api))?;
    let status = answer.status().as_u16();
    let mut lines = BufReader::new(answer.into_body().into_reader()).lines();
    if status != 200 {
        let text = lines.next().transpose()?.unwrap_or_default();
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        bail!("cannot look at pipeline `{}`: {}", args.pipeline, said["error"]["message"].as_str().unwrap_or(&text));
    }
    let colour = std::io::stdout().is_terminal();
    for (line, shown) in lines.zip(1..) {
        let line = line.context("the connection broke")?;
        let text = if args.json { line + "\n" } else { drawn(&serde_json::from_str(&line)?, colour) };
        // A reader that has seen enough (`| head`) is no error.
        if std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()).is_err() {
            break;
        }
        if args.count.is_some_and(|count| shown >= count) {
            break;
        }
    }
    Ok(true)
}

/// An event with what has changed: `-` was there, `+` is there now.
fn drawn(line: &Value, colour: bool) -> String {
    let plugin = &line["plugin"];
    let word = |name: &str| plugin[name].as_str().unwrap_or_default();
    let mut out = match plugin.is_null() {
        true => "── filters\n".to_owned(),
        false => format!("── {} {} ({})\n", word("kind"), word("id"), word("name")),
    };
    let paint = |sign: char, text: String| match (colour, sign) {
        (true, '-') => format!("\x1b[31m{sign} {text}\x1b[0m\n"),
        (true, '+') => format!("\x1b[32m{sign} {text}\x1b[0m\n"),
        _ => format!("{sign} {text}\n"),
    };
    match (line.get("before"), line.get("after")) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for (name, value) in before {
                match after.get(name) {
                    Some(now) if now == value => out += &paint(' ', format!("{name}: {value}")),
                    Some(now) => {
                        out += &(paint('-', format!("{name}: {value}")) + &paint('+', format!("{name}: {now}")))
                    }
                    None => out += &paint('-', format!("{name}: {value}")),
                }
            }
            for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
                out += &paint('+', format!("{name}: {value}"));
            }
        }
        (Some(before), Some(_)) => out += &paint('-', format!("{before} (dropped)")),
        (Some(event), None) | (None, Some(event)) => out += &paint(' ', event.to_string()),
        (None, None) => {}
    }
    for made in line["created"].as_array().into_iter().flatten() {
        out += &paint('+', made.to_string());
    }
    out
}

/// As a part of an URL.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.bytes().map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_marked() {
        let check = |line: &str, want: &str| assert_eq!(drawn(&serde_json::from_str(line).unwrap(), false), want);
        check(
            r#"{"plugin":{"id":"m","name":"mutate","kind":"filter"},"before":{"a":1,"b":"x","c":[]},"after":{"a":1,"b":"y","d":{}}}"#,
            "── filter m (mutate)\n  a: 1\n- b: \"x\"\n+ b: \"y\"\n- c: []\n+ d: {}\n",
        );
        check(r#"{"plugin":null,"before":{"a":1},"after":null}"#, "── filters\n- {\"a\":1} (dropped)\n");
        check(
            r#"{"plugin":{"id":"o","name":"null","kind":"output"},"before":{"a":1}}"#,
            "── output o (null)\n  {\"a\":1}\n",
        );
    }
}
