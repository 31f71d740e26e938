//! HTTP basic authentication of the management API (`api.auth.*`).

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use std::sync::Arc;

/// Lets a request through that brings the user and the password, `user:password`.
pub(super) async fn check(State(wanted): State<Arc<str>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| text.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("basic"));
    let given = given.and_then(|(_, text)| BASE64.decode(text.trim()).ok());
    if given.is_some_and(|given| same(&given, wanted.as_bytes())) {
        return next.run(request).await;
    }
    let asks = [(header::WWW_AUTHENTICATE, "Basic realm=\"logstash-api\"")];
    (StatusCode::UNAUTHORIZED, asks, "").into_response()
}

/// Whether bytes are equal; how long that takes does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
