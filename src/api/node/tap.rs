//! `/_node/tap/PIPELINE?plugin=ID&rate=N`: events before and after a plugin, a line of JSON each, until
//! the client goes. Not Logstash's.

use super::{Node, error, not_found};
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// Lines that wait for a slow client; what comes beyond is left out.
const LINES_MAX: usize = 256;
/// Events a second, where nothing is asked for.
const RATE: u32 = 5;
/// How often it is looked whether the client is still there.
const SWEEP: Duration = Duration::from_secs(2);

/// The lines of one tap.
struct Lines(mpsc::Receiver<String>);

impl Stream for Lines {
    type Item = Result<String, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|line| line.map(Ok))
    }
}

/// Answers as long as somebody reads.
pub(super) async fn tap(
    State(node): State<Arc<Node>>,
    Path(id): Path<String>,
    uri: Uri,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let pipelines = node.registry.pipelines();
    let Some(pipeline) = pipelines.into_iter().find(|p| *p.id == *id) else { return not_found(uri).await };
    let plugin = asked.get("plugin").cloned();
    let plugins = pipeline.shape.load().plugins.iter().map(|p| p.id.to_string()).collect::<Vec<_>>();
    if let Some(plugin) = &plugin
        && !plugins.contains(plugin)
    {
        let message = format!("pipeline `{id}` has no plugin `{plugin}`; it has {}", plugins.join(", "));
        return error(StatusCode::NOT_FOUND, &uri, &message);
    }
    let rate = match asked.get("rate").map(|rate| rate.parse()) {
        None => RATE,
        Some(Ok(rate)) => rate,
        Some(Err(_)) => return error(StatusCode::BAD_REQUEST, &uri, "`rate` is a number of events a second"),
    };
    let (send, lines) = mpsc::channel(LINES_MAX);
    let tell = move |line: String| match line.is_empty() {
        true => !send.is_closed(),
        // A full queue leaves the line out.
        false => !matches!(send.try_send(line + "\n"), Err(mpsc::error::TrySendError::Closed(_))),
    };
    if !pipeline.taps.watch(plugin, rate, tell) {
        return error(StatusCode::TOO_MANY_REQUESTS, &uri, "too many look at this pipeline already");
    }
    tokio::spawn(async move {
        while pipeline.taps.active() {
            tokio::time::sleep(SWEEP).await;
            pipeline.taps.sweep();
        }
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(Lines(lines))).into_response()
}
