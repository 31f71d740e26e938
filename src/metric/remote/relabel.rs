//! Relabelling as in `prometheus.yml`: `write_relabel_configs`, `alert_relabel_configs`.

use crate::endpoint::{nothing_left, text};
use crate::series::{Builder, Labels, anchored};
use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

/// One step.
pub struct Relabel {
    action: Action,
    source: Vec<String>,
    separator: String,
    regex: regex::Regex,
    target: String,
    replacement: String,
    modulus: u64,
}

/// Reads the steps of a list.
pub fn steps(from: Option<Value>) -> Result<Vec<Relabel>, String> {
    match from {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list.into_iter().map(Relabel::new).collect(),
        Some(other) => Err(format!("relabelling is a list of steps, not `{other}`")),
    }
}

/// The labels behind all steps; `None` where one drops the series.
pub fn apply(steps: &[Relabel], labels: &Labels) -> Option<Labels> {
    if steps.is_empty() {
        return Some(labels.clone());
    }
    let mut builder = Builder::of(labels);
    steps.iter().all(|step| step.apply(&mut builder)).then(|| builder.build())
}

impl Relabel {
    fn new(value: Value) -> Result<Relabel, String> {
        let Value::Object(mut from) = value else {
            return Err(format!("a relabelling step is an object, not `{value}`"));
        };
        let action = text(&mut from, "action").unwrap_or_else(|| "replace".to_owned()).to_ascii_lowercase();
        let action = match action.as_str() {
            "replace" => Action::Replace,
            "keep" => Action::Keep,
            "drop" => Action::Drop,
            "keepequal" => Action::KeepEqual,
            "dropequal" => Action::DropEqual,
            "hashmod" => Action::HashMod,
            "labelmap" => Action::LabelMap,
            "labeldrop" => Action::LabelDrop,
            "labelkeep" => Action::LabelKeep,
            "lowercase" => Action::Lowercase,
            "uppercase" => Action::Uppercase,
            other => return Err(format!("unknown relabelling action `{other}`")),
        };
        let step = Relabel {
            action,
            source: source(&mut from)?,
            separator: text(&mut from, "separator").unwrap_or_else(|| ";".to_owned()),
            regex: anchored(&text(&mut from, "regex").unwrap_or_else(|| "(.*)".to_owned()))?,
            target: text(&mut from, "target_label").unwrap_or_default(),
            replacement: braced(&text(&mut from, "replacement").unwrap_or_else(|| "$1".to_owned())),
            modulus: text(&mut from, "modulus").and_then(|n| n.parse().ok()).unwrap_or(0),
        };
        nothing_left(&from, "a relabelling step")?;
        let needs_target = matches!(
            step.action,
            Action::Replace
                | Action::HashMod
                | Action::Lowercase
                | Action::Uppercase
                | Action::KeepEqual
                | Action::DropEqual
        );
        if needs_target && step.target.is_empty() {
            return Err("this relabelling action needs `target_label`".to_owned());
        }
        if matches!(step.action, Action::HashMod) && step.modulus == 0 {
            return Err("`hashmod` needs `modulus`".to_owned());
        }
        Ok(step)
    }

    /// False where the series is dropped.
    fn apply(&self, labels: &mut Builder) -> bool {
        let values: Vec<&str> = self.source.iter().map(|name| labels.get(name)).collect();
        let value = values.join(&self.separator);
        match self.action {
            Action::Keep => return self.regex.is_match(&value),
            Action::Drop => return !self.regex.is_match(&value),
            Action::KeepEqual => return labels.get(&self.target) == value,
            Action::DropEqual => return labels.get(&self.target) != value,
            Action::Replace => {
                let Some(found) = self.regex.captures(&value) else { return true };
                let (mut target, mut replaced) = (String::new(), String::new());
                found.expand(&braced(&self.target), &mut target);
                found.expand(&self.replacement, &mut replaced);
                if crate::series::is_label_name(&target) {
                    labels.set(&target, &replaced);
                }
            }
            Action::HashMod => {
                let bucket = xxh3_64(value.as_bytes()) % self.modulus;
                labels.set(&self.target, &bucket.to_string());
            }
            Action::Lowercase => {
                labels.set(&self.target, &value.to_lowercase());
            }
            Action::Uppercase => {
                labels.set(&self.target, &value.to_uppercase());
            }
            Action::LabelMap => {
                let all: Vec<(String, String)> = labels.pairs().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
                for (name, value) in all {
                    if let Some(found) = self.regex.captures(&name) {
                        let mut new = String::new();
                        found.expand(&self.replacement, &mut new);
                        labels.set(&new, &value);
                    }
                }
            }
            Action::LabelDrop | Action::LabelKeep => {
                let keep = matches!(self.action, Action::LabelKeep);
                let gone: Vec<String> = labels
                    .pairs()
                    .map(|(name, _)| name.to_owned())
                    .filter(|name| self.regex.is_match(name) != keep)
                    .collect();
                gone.iter().for_each(|name| {
                    labels.remove(name);
                });
            }
        }
        true
    }
}

fn source(from: &mut Map<String, Value>) -> Result<Vec<String>, String> {
    match from.remove("source_labels") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(names)) => Ok(names.iter().filter_map(|n| n.as_str().map(str::to_owned)).collect()),
        Some(other) => Err(format!("`source_labels` is a list of names, not `{other}`")),
    }
}

/// Go reads `$1x` as the group 1 before an `x`, the regex library as the group `1x`.
fn braced(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            out.push_str(&format!("{{{}}}", &rest[..digits]));
            rest = &rest[digits..];
        } else if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(steps_json: &str, want: Option<&str>) {
        let labels = Labels::new([("__name__", "up"), ("job", "A"), ("host", "a:80")]);
        let list: Value = serde_json::from_str(steps_json).unwrap();
        let got = apply(&steps(Some(list)).unwrap(), &labels).map(|labels| labels.to_string());
        assert_eq!(got.as_deref(), want, "{steps_json}");
    }

    #[test]
    fn actions() {
        let all = r#"up{host="a:80", job="A"}"#;
        check("[]", Some(all));
        check(r#"[{"source_labels":["job"],"regex":"A|B","action":"keep"}]"#, Some(all));
        check(r#"[{"source_labels":["__name__"],"regex":"up","action":"drop"}]"#, None);
        check(
            r#"[{"source_labels":["host"],"regex":"(.+):(\\d+)","target_label":"port","replacement":"p$2x"}]"#,
            Some(r#"up{host="a:80", job="A", port="p80x"}"#),
        );
        check(r#"[{"action":"labeldrop","regex":"h.*"}]"#, Some(r#"up{job="A"}"#));
        check(r#"[{"action":"labelkeep","regex":"__name__|job"}]"#, Some(r#"up{job="A"}"#));
        check(
            r#"[{"action":"lowercase","source_labels":["job"],"target_label":"job"}]"#,
            Some(r#"up{host="a:80", job="a"}"#),
        );
        check(
            r#"[{"action":"labelmap","regex":"(h).*","replacement":"my_$1"}]"#,
            Some(r#"up{host="a:80", job="A", my_h="a:80"}"#),
        );
        check(r#"[{"target_label":"dc","replacement":"x"}]"#, Some(r#"up{dc="x", host="a:80", job="A"}"#));
    }

    #[test]
    fn mistakes() {
        let check = |json: &str, want: &str| {
            let error = steps(Some(serde_json::from_str(json).unwrap())).err().unwrap();
            assert!(error.contains(want), "{json}: {error}");
        };
        check(r#"[{"action":"x"}]"#, "unknown relabelling action");
        check(r#"[{"regex":"("}]"#, "regular expression");
        check(r#"[{"source_labels":["a"]}]"#, "needs `target_label`");
        check(r#"[{"action":"hashmod","target_label":"a"}]"#, "needs `modulus`");
        check(r#"[{"wat":1,"target_label":"a"}]"#, "unknown member `wat`");
    }
}
