//! What a handler is given and what it gives back: the same for every endpoint.

use super::error::ApiError;
use super::filter_path::FilterPath;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A request.
pub(super) struct Call {
    pub method: Method,
    pub uri: String,
    /// What stands in the path in place of `{…}`, in order.
    pub path: Vec<String>,
    pub parameters: BTreeMap<String, String>,
    pub body: Bytes,
    /// The client would rather have JSON (`_cat`).
    pub wants_json: bool,
}

impl Call {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// A truth value: `true`, `false`, or empty for true.
    pub(super) fn bool(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.get(name) {
            None => Ok(default),
            Some("" | "true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(ApiError::argument(format!(
                "Failed to parse value [{other}] as only [true] or [false] are allowed."
            ))),
        }
    }

    pub(super) fn list(&self, name: &str) -> Option<Vec<String>> {
        Some(self.get(name)?.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(text) => match text.parse::<i64>() {
                Ok(n) if n >= 0 => Ok(Some(n as usize)),
                Ok(n) => Err(ApiError::argument(format!("[{name}] parameter cannot be negative, found [{n}]"))),
                Err(_) => {
                    Err(ApiError::argument(format!("Failed to parse int parameter [{name}] with value [{text}]")))
                }
            },
        }
    }

    /// The body as text, which may also stand in the address as `source`.
    pub(super) fn text(&self) -> Result<&str, ApiError> {
        if self.body.is_empty() {
            return Ok(self.get("source").unwrap_or_default());
        }
        std::str::from_utf8(&self.body)
            .map_err(|_| ApiError::new(400, "json_parse_exception", "Invalid UTF-8 in the request body"))
    }

    /// The body as JSON; none where there is none.
    pub(super) fn json(&self) -> Result<Option<Value>, ApiError> {
        let text = self.text()?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(text).map(Some).map_err(|cause| ApiError::json(&cause))
    }
}

/// An answer.
pub(super) struct Reply {
    pub status: u16,
    body: Vec<u8>,
    json: bool,
    pub allow: Option<String>,
}

impl Reply {
    /// JSON.
    pub(super) fn new(status: u16, body: &impl Serialize) -> Reply {
        let body = serde_json::to_vec(body).unwrap_or_else(|_| b"{}".to_vec());
        Reply { status, body, json: true, allow: None }
    }

    /// Plain text.
    pub(super) fn text(body: String) -> Reply {
        Reply { status: 200, body: body.into_bytes(), json: false, allow: None }
    }

    /// A status alone.
    pub(super) fn empty(status: u16) -> Reply {
        Reply { status, body: Vec::new(), json: false, allow: None }
    }

    /// As HTTP, with what every endpoint allows: `filter_path`, `pretty`, `HEAD`.
    pub(super) fn finish(mut self, call: &Call) -> Response<Body> {
        if self.json {
            self.shape(call);
        }
        let head = call.method == Method::HEAD;
        let length = self.body.len();
        let body = if head { Body::empty() } else { Body::from(self.body) };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let kind = if self.json { "application/json; charset=UTF-8" } else { "text/plain; charset=UTF-8" };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(HeaderName::from_static("x-elastic-product"), HeaderValue::from_static("Elasticsearch"));
        if head {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        response
    }

    fn shape(&mut self, call: &Call) {
        let filter = call.get("filter_path").filter(|paths| !paths.is_empty()).map(FilterPath::parse);
        let pretty = matches!(call.get("pretty"), Some("" | "true"));
        if filter.is_none() && !pretty {
            return;
        }
        let shaped = match filter {
            Some(filter) => {
                let Ok(value) = serde_json::from_slice::<Value>(&self.body) else { return };
                let value = filter.apply(&value);
                if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }
            }
            None => {
                let Ok(value) = serde_json::from_slice::<Value>(&self.body) else { return };
                serde_json::to_vec_pretty(&value)
            }
        };
        if let Ok(mut body) = shaped {
            if pretty {
                body.push(b'\n');
            }
            self.body = body;
        }
    }
}
