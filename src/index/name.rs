//! What a stream may be called: what Elasticsearch lets an index be called, since it is seen as one.

/// Why a name is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("cannot use `{name}` as the name of a stream: {reason}")]
pub struct StreamNameError {
    name: String,
    reason: &'static str,
}

/// Checks a name by Elasticsearch's rules (`MetadataCreateIndexService.validateIndexOrAliasName`).
pub fn check_stream_name(name: &str) -> Result<(), StreamNameError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > 255 {
        "it is longer than 255 bytes"
    } else if name == "." || name == ".." {
        "it must not be `.` or `..`"
    } else if name.starts_with(['_', '-', '+']) {
        "it must not begin with `_`, `-` or `+`"
    } else if name.contains(['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':']) {
        "it must not have any of `\\ / * ? \" < > | , # :` or a space"
    } else if name.chars().any(char::is_uppercase) {
        "it must be lowercase"
    } else {
        return Ok(());
    };
    Err(StreamNameError { name: name.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "logs-2024.01.01", "ログ", ".kibana", "a+b"] {
            assert_eq!(check_stream_name(good), Ok(()), "{good}");
        }
        for bad in ["", "..", "_a", "-a", "A", "a b", "a/b", "a*", "a,b", "a:b"] {
            assert!(check_stream_name(bad).is_err(), "{bad}");
        }
    }
}
