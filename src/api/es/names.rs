//! Index expressions: names, lists, wildcards, `-name`, `_all`. A stream is an index of its name.

use super::error::ApiError;
use super::reply::Call;
use crate::index::View;
use crate::search::pattern::like;
use std::sync::Arc;

/// What to do about names that nobody has.
#[derive(Clone, Copy)]
pub(super) struct Options {
    pub ignore_unavailable: bool,
    pub allow_none: bool,
}

impl Options {
    pub(super) fn of(call: &Call) -> Result<Options, ApiError> {
        Ok(Options {
            ignore_unavailable: call.bool("ignore_unavailable", false)?,
            allow_none: call.bool("allow_no_indices", true)?,
        })
    }
}

/// The streams that an expression names.
pub(super) fn resolve(view: &View, expression: Option<&str>, options: Options) -> Result<Vec<Arc<str>>, ApiError> {
    let expression = expression.unwrap_or("_all");
    let mut found: Vec<Arc<str>> = Vec::new();
    let mut wildcards = false;
    for part in expression.split(',').map(str::trim) {
        let all = matches!(part, "" | "_all" | "*");
        if let Some(excluded) = part.strip_prefix('-').filter(|_| wildcards) {
            found.retain(|name| !like(excluded, name));
        } else if all || part.contains('*') {
            wildcards = true;
            for name in view.streams.keys().filter(|name| all || like(part, name)) {
                if !found.contains(name) {
                    found.push(name.clone());
                }
            }
        } else {
            match view.streams.get_key_value(part) {
                Some((name, _)) if found.contains(name) => {}
                Some((name, _)) => found.push(name.clone()),
                None if options.ignore_unavailable => {}
                None => return Err(ApiError::missing_index(part)),
            }
        }
    }
    if found.is_empty() && !options.allow_none {
        return Err(ApiError::missing_index(expression));
    }
    Ok(found)
}

/// Whether an index may be named so; else why not.
pub(super) fn check(name: &str) -> Result<(), ApiError> {
    let why = if name.is_empty() || matches!(name, "." | "..") {
        "must not be empty, '.' or '..'"
    } else if name.chars().any(|c| "\\/*?\"<>| ,#:".contains(c) || c.is_control()) {
        "must not contain the following characters [ , \", *, \\, <, |, ,, >, /, ?, #, :]"
    } else if name.starts_with(['_', '-', '+']) {
        "must not start with '_', '-', or '+'"
    } else if name.chars().any(char::is_uppercase) {
        "must be lowercase"
    } else if name.len() > 255 {
        "index name is too long, must be no longer than 255 bytes"
    } else {
        return Ok(());
    };
    let mut error = ApiError::new(400, "invalid_index_name_exception", format!("Invalid index name [{name}], {why}"));
    error.error["index"] = name.into();
    error.error["index_uuid"] = "_na_".into();
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let mut view = View::default();
        for name in ["logs-a", "logs-b", "web"] {
            view.streams.insert(name.into(), Arc::default());
        }
        view
    }

    #[test]
    fn expressions() {
        let view = view();
        let options = Options { ignore_unavailable: false, allow_none: true };
        let check = |expression: &str, expected: &[&str]| {
            let found = resolve(&view, Some(expression), options).unwrap();
            assert_eq!(found.iter().map(|name| &**name).collect::<Vec<_>>(), expected, "{expression}");
        };
        check("_all", &["logs-a", "logs-b", "web"]);
        check("*", &["logs-a", "logs-b", "web"]);
        check("logs-*", &["logs-a", "logs-b"]);
        check("logs-*,-logs-a", &["logs-b"]);
        check("web,logs-a", &["web", "logs-a"]);
        check("nothing-*", &[]);
        assert_eq!(resolve(&view, Some("x"), options).unwrap_err().status, 404);
        let ignoring = Options { ignore_unavailable: true, ..options };
        assert!(resolve(&view, Some("x"), ignoring).unwrap().is_empty());
        let strict = Options { allow_none: false, ..options };
        assert_eq!(resolve(&view, Some("nothing-*"), strict).unwrap_err().status, 404);
    }

    #[test]
    fn names() {
        assert!(super::check("logs-2024.01").is_ok());
        for name in ["", "A", "_a", "a b", "a*", "a/b"] {
            assert_eq!(super::check(name).unwrap_err().status, 400, "{name}");
        }
    }
}
