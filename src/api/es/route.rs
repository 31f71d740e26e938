//! Which endpoint a request is for, and whether it may have these parameters.

use super::Es;
use super::error::ApiError;
use super::reply::{Call, Reply};
use axum::http::Method;
use std::collections::BTreeMap;

/// An endpoint.
pub(super) type Handler = fn(&Es, &Call) -> Result<Reply, ApiError>;

/// A path with the endpoint behind it.
pub(super) struct Route {
    methods: &'static str,
    path: &'static str,
    handler: Handler,
    parameters: &'static [&'static [&'static str]],
}

/// Parameters that every endpoint takes.
const COMMON: &[&str] = &["pretty", "human", "error_trace", "filter_path", "format", "source", "source_content_type"];

pub(super) const fn route(
    methods: &'static str,
    path: &'static str,
    handler: Handler,
    parameters: &'static [&'static [&'static str]],
) -> Route {
    Route { methods, path, handler, parameters }
}

impl Route {
    /// What stands in the places of the path's braces, if the path is like this one.
    fn matches(&self, segments: &[String]) -> Option<Vec<String>> {
        let own: Vec<&str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        if own.len() != segments.len() {
            return None;
        }
        let mut found = Vec::new();
        for (own, segment) in own.iter().zip(segments) {
            match own.starts_with('{') {
                // An index never begins so, except for the name of all of them.
                true if own == &"{index}" && segment.starts_with('_') && segment != "_all" => return None,
                true => found.push(segment.clone()),
                false if own == segment => {}
                false => return None,
            }
        }
        Some(found)
    }
}

/// Finds the endpoint and puts the path's parts into the call.
pub(super) fn find(routes: &[Route], call: &mut Call, path: &str) -> Result<Handler, ApiError> {
    let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
    let mut allowed: Vec<&str> = Vec::new();
    let method = if call.method == Method::HEAD { "GET" } else { call.method.as_str() };
    for route in routes {
        let Some(parts) = route.matches(&segments) else { continue };
        if !route.methods.split(' ').any(|allowed| allowed == method) {
            allowed.extend(route.methods.split(' '));
            continue;
        }
        call.path = parts;
        check_parameters(route, call, path)?;
        return Ok(route.handler);
    }
    let uri = &call.uri;
    if allowed.is_empty() {
        let reason = format!("no handler found for uri [{uri}] and method [{}]", call.method);
        return Err(ApiError { status: 400, error: reason.into(), allow: None });
    }
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.sort_unstable();
    allowed.dedup();
    let allow = allowed.join(", ");
    let reason = format!("Incorrect HTTP method for uri [{uri}] and method [{}], allowed: [{allow}]", call.method);
    Err(ApiError { status: 405, error: reason.into(), allow: Some(allowed.join(",")) })
}

fn check_parameters(route: &Route, call: &Call, path: &str) -> Result<(), ApiError> {
    let known = || COMMON.iter().chain(route.parameters.iter().copied().flatten()).copied();
    let unknown: Vec<&String> = call.parameters.keys().filter(|name| !known().any(|k| k == name.as_str())).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let described: Vec<String> = unknown
        .iter()
        .map(|name| match crate::search::query::nearest(name, known()) {
            Some(near) => format!("[{name}] -> did you mean [{near}]?"),
            None => format!("[{name}]"),
        })
        .collect();
    let plural = if described.len() > 1 { "s" } else { "" };
    Err(ApiError::argument(format!(
        "request [{path}] contains unrecognized parameter{plural}: {}",
        described.join(", ")
    )))
}

/// The parameters of an address; of one given twice the last counts.
pub(super) fn parameters(query: &str) -> BTreeMap<String, String> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => (decode(&name.replace('+', " ")), decode(&value.replace('+', " "))),
            None => (decode(pair), String::new()),
        })
        .collect()
}

/// Takes percent signs away.
pub(in crate::api) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding() {
        assert_eq!(decode("config%3A7.10.2"), "config:7.10.2");
        assert_eq!(decode("%E5%A4%B1%zz%"), "失%zz%");
        let found = parameters("q=a+b%2Bc&v&x=");
        assert_eq!(found["q"], "a b+c");
        assert_eq!((found["v"].as_str(), found["x"].as_str()), ("", ""));
    }
}
