//! Reads the rule files that settings name: all of them, all mistakes at once.

use super::file::{self, Group};
use super::slo;
use crate::diagnostic::{Diagnostic, Place, Sources, code, render};
use crate::promql::duration;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

/// What was read of rule files.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All groups.
    pub groups: Vec<Group>,
    /// A hash of all paths and texts: equal means that nothing was written.
    pub written: u64,
}

/// Reads the files that paths and patterns name. The error is the picture of all mistakes.
/// `kept`: how far back series are kept, those of metrics and those that rules record, in
/// milliseconds: a rule that looks back further is a mistake.
pub fn load(patterns: &[String], kept: Option<(i64, i64)>) -> Result<Loaded, String> {
    let (mut sources, mut mistakes) = (Sources::default(), Vec::new());
    let (mut loaded, mut hasher) = (Loaded::default(), DefaultHasher::new());
    for path in paths(patterns, &mut mistakes) {
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                mistakes.push(nowhere(format!("cannot read {name}: {error}")));
                continue;
            }
        };
        (&name, &text).hash(&mut hasher);
        let number = sources.files.len() as u32;
        sources.files.push((name.clone(), text.clone()));
        match file::read(&text, &name, number) {
            Ok(groups) => loaded.groups.extend(groups),
            Err(found) => mistakes.extend(found),
        }
    }
    if let Some(kept) = kept {
        mistakes.extend(too_far(&loaded.groups, kept));
    }
    loaded.written = hasher.finish();
    if mistakes.is_empty() { Ok(loaded) } else { Err(render(&mistakes, &sources, false)) }
}

fn nowhere(message: String) -> Diagnostic {
    Diagnostic::error(code::FILE, Place { file: u32::MAX, ..Place::default() }, message)
}

fn paths(patterns: &[String], mistakes: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for pattern in patterns {
        let found: Vec<PathBuf> = match glob::glob(pattern) {
            Ok(found) => found.flatten().filter(|path| path.is_file()).collect(),
            Err(error) => {
                mistakes.push(nowhere(format!("`rules.files` has a bad pattern `{pattern}`: {error}")));
                continue;
            }
        };
        // A pattern may match nothing yet, a path means one file.
        if found.is_empty() && !pattern.contains(['*', '?', '[']) {
            mistakes.push(nowhere(format!("cannot read {pattern}: there is no such file")));
        }
        all.extend(found.into_iter().filter(|path| !all.contains(path)).collect::<Vec<_>>());
    }
    all
}

/// Rules that look back further than series are kept.
fn too_far(groups: &[Group], (metrics, recorded): (i64, i64)) -> Vec<Diagnostic> {
    let counted = slo::counters(groups, 0);
    let names: Vec<&str> = groups
        .iter()
        .flat_map(|group| &group.rules)
        .filter(|rule| !rule.kind.is_alerting())
        .map(|rule| rule.name.as_str())
        .chain(counted.iter().map(|(name, _)| name.as_str()))
        .collect();
    let mut found = Vec::new();
    for (group, rule) in groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule))) {
        let recorded_only = rule.expr.metrics().iter().all(|name| name.is_some_and(|name| names.contains(&name)));
        let kept = if recorded_only { recorded } else { metrics };
        let reach = rule.expr.reach(0);
        if reach > kept {
            let message = format!(
                "{}: group `{}`, rule `{}` looks back {}, and {} are kept for {} (settings `series.retention` and `series.recorded.retention`)",
                group.file,
                group.name,
                rule.name,
                duration::format(reach),
                if recorded_only { "results of rules and what objectives count" } else { "metrics" },
                duration::format(kept)
            );
            found.push(Diagnostic::error(code::EXPRESSION, Place { file: u32::MAX, ..Place::default() }, message));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_checked_together() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let rule = |expr: &str| {
            format!(
                "groups: [{{name: g, rules: [{{record: \"a:b\", expr: \"{expr}\"}}, {{record: c, expr: \"sum_over_time(a:b[3h])\"}}]}}]"
            )
        };
        write("one.yml", &rule("rate(x[1h])"));
        let pattern = vec![format!("{}/*.yml", folder.path().display())];
        let kept = Some((2 * 3_600_000, 24 * 3_600_000));
        let first = load(&pattern, kept).unwrap();
        assert_eq!(first.groups.len(), 1);
        assert_eq!(load(&pattern, kept).unwrap().written, first.written);
        write("one.yml", &rule("rate(x[3h])"));
        assert!(load(&pattern, kept).unwrap_err().contains("rule `a:b` looks back 3h, and metrics are kept for 2h"));
        write("two.yml", "groups: [{nam: x}]");
        write("one.yml", "groups: 5");
        let error = load(&pattern, kept).unwrap_err();
        assert!(error.contains("a group has no `nam`") && error.contains("`groups` needs a list"), "{error}");
        // What an objective counts stays as long as what rules record.
        let objective =
            "slis: [{name: a, query: \"sum(rate(x[5m])) / sum(rate(y[5m]))\"}]\nslos: [{sli: a, target: 0.9}]";
        write("one.yml", &rule("rate(x[3h])"));
        write("two.yml", objective);
        let kept = Some((2 * 3_600_000, 40 * 24 * 3_600_000));
        assert!(load(&pattern, kept).is_ok());
        write("one.yml", &rule("rate(z[3h])"));
        assert!(load(&pattern, kept).unwrap_err().contains("looks back 3h, and metrics are kept for 2h"));
        write("one.yml", &rule("rate(x[41d])"));
        assert!(load(&pattern, kept).unwrap_err().contains("looks back 41d, and results of rules and what"));
        assert!(load(&["/does/not/exist.yml".to_owned()], None).is_err());
        assert!(load(&["/does/not/*.yml".to_owned()], None).unwrap().groups.is_empty());
    }
}
