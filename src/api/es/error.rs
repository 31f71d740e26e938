//! Errors as Elasticsearch's clients expect them: types that they branch on, the reason, the
//! status twice.

use super::reply::Reply;
use crate::index::IndexError;
use crate::search::SearchError;
use serde_json::{Value, json};

/// An error of the API.
#[derive(Debug)]
pub(super) struct ApiError {
    pub status: u16,
    /// The value of `error`.
    pub error: Value,
    /// Methods that the path takes, for `Allow`.
    pub allow: Option<String>,
}

impl ApiError {
    pub(super) fn new(status: u16, kind: &str, reason: impl Into<String>) -> ApiError {
        let cause = json!({"type": kind, "reason": reason.into()});
        ApiError::of(status, cause)
    }

    /// An error that is its own root cause.
    fn of(status: u16, cause: Value) -> ApiError {
        let mut error = json!({"root_cause": [cause]});
        if let (Value::Object(error), Value::Object(cause)) = (&mut error, cause) {
            error.extend(cause);
        }
        ApiError { status, error, allow: None }
    }

    pub(super) fn argument(reason: impl Into<String>) -> ApiError {
        ApiError::new(400, "illegal_argument_exception", reason)
    }

    pub(super) fn missing_index(name: &str) -> ApiError {
        ApiError::of(
            404,
            json!({
                "type": "index_not_found_exception",
                "reason": format!("no such index [{name}]"),
                "resource.type": "index_or_alias",
                "resource.id": name,
                "index_uuid": "_na_",
                "index": name,
            }),
        )
    }

    pub(super) fn json(cause: &serde_json::Error) -> ApiError {
        let mut error = ApiError::new(400, "json_parse_exception", cause.to_string());
        error.error["line"] = cause.line().into();
        error.error["col"] = cause.column().into();
        error
    }

    /// An error of a search; `body` is looked at for the place of the mistake, `index` is named
    /// as the one whose shards failed.
    pub(super) fn search(error: SearchError, body: &str, index: &str) -> ApiError {
        match error {
            SearchError::Parsing { reason, word, cause } => {
                let (line, col) = place(body, word.as_deref().unwrap_or_default());
                let mut own = json!({"type": "parsing_exception", "reason": reason, "line": line, "col": col});
                let root = own.clone();
                if let Some((kind, reason)) = cause {
                    own["caused_by"] = json!({"type": kind, "reason": format!("[{line}:{col}] {reason}")});
                }
                let mut error = ApiError::of(400, own);
                error.error["root_cause"] = json!([root]);
                error
            }
            SearchError::Argument(reason) => ApiError::argument(reason),
            SearchError::Shard { kind, reason, cause } => {
                let mut own = json!({"type": kind, "reason": reason});
                if kind == "query_shard_exception" {
                    own["index_uuid"] = index.into();
                    own["index"] = index.into();
                }
                let root = own.clone();
                if let Some((kind, reason)) = cause {
                    own["caused_by"] = json!({"type": kind, "reason": reason});
                }
                ApiError { status: 400, error: phase(json!([root]), index, own), allow: None }
            }
            error @ SearchError::Buckets { .. } => {
                let own = json!({"type": "too_many_buckets_exception", "reason": error.to_string()});
                ApiError { status: 503, error: phase(json!([own.clone()]), index, own), allow: None }
            }
            error @ SearchError::Timeout => ApiError::new(503, "timeout_exception", error.to_string()),
            error @ SearchError::Index(_) => ApiError::new(500, "exception", error.to_string()),
        }
    }

    pub(super) fn reply(self) -> Reply {
        let mut reply = Reply::new(self.status, &json!({"error": self.error, "status": self.status}));
        reply.allow = self.allow;
        reply
    }
}

impl From<IndexError> for ApiError {
    fn from(error: IndexError) -> ApiError {
        match error {
            IndexError::NotDurable(_) | IndexError::Closed => {
                ApiError::new(503, "unavailable_shards_exception", error.to_string())
            }
            error => ApiError::new(500, "exception", error.to_string()),
        }
    }
}

/// All shards failed, for one reason.
fn phase(root: Value, index: &str, reason: Value) -> Value {
    json!({
        "root_cause": root,
        "type": "search_phase_execution_exception",
        "reason": "all shards failed",
        "phase": "query",
        "grouped": true,
        "failed_shards": [{"shard": 0, "index": index, "node": "logboom", "reason": reason}],
    })
}

/// Line and column, from 1, behind the first time that a word stands in a body as a name.
fn place(body: &str, word: &str) -> (usize, usize) {
    let quoted = format!("\"{word}\"");
    let Some(at) = body.find(&quoted) else { return (1, 1) };
    let before = &body[..at];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        assert_eq!(place("{\"query\": {\n  \"foo\": {}}}", "foo"), (2, 3));
        assert_eq!(place("{}", "foo"), (1, 1));
    }

    #[test]
    fn shard_failures_name_their_cause() {
        let cause = Some(("parse_exception", "Cannot parse".to_owned()));
        let error = ApiError::search(SearchError::query("Failed to parse query [(]", cause), "", "logs");
        assert_eq!(error.status, 400);
        assert_eq!(error.error["type"], "search_phase_execution_exception");
        assert_eq!(error.error["root_cause"][0]["type"], "query_shard_exception");
        assert_eq!(error.error["failed_shards"][0]["reason"]["caused_by"]["type"], "parse_exception");
    }
}
