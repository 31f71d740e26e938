//! Rows that a client sends and waits for (`_bulk`): checked one by one, then committed together
//! with those of other clients.
//!
//! Streams only grow. `create` with an id that exists is a conflict; so is `index`, which would
//! replace the document: both answer 409, and nothing else of the request is touched. Without an
//! id every row is new.

use super::document::{Leaf, fit};
use super::intake::{ClientRow, Held, HeldBatch, Waiting};
use super::mapping::{Explicit, Mapping};
use super::stream::Stream;
use super::{Index, IndexError, document_id};
use crate::event::{Batch, Entry, EventId, FieldId, Span, Timestamp, Value};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A client waits no longer for its epoch; what it sent may still become durable later.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Ids are no longer than in Elasticsearch.
const ID_BYTES_MAX: usize = 512;

/// One row to write.
pub struct BulkItem {
    /// The stream.
    pub stream: Arc<str>,
    /// The event in the batch.
    pub event: EventId,
    /// The document as it was sent: its `_source`.
    pub source: Span,
    /// The id, where the client gave one.
    pub id: Option<String>,
}

/// What became of it.
#[derive(Clone, PartialEq, Debug)]
pub enum BulkOutcome {
    /// It is durable and found by the next search.
    Created {
        /// Its id.
        id: String,
        /// Its number.
        seq: u64,
    },
    /// Its id exists: 409, `version_conflict_engine_exception`.
    Conflict {
        /// The id.
        id: String,
    },
    /// It does not fit the mapping that somebody asked for, or the id is too long: 400.
    Rejected {
        /// `mapper_parsing_exception` or `illegal_argument_exception`.
        kind: &'static str,
        /// What does not fit.
        reason: String,
        /// The type and reason of the cause.
        cause: Option<(&'static str, String)>,
    },
}

/// The rows of a request that go to one stream, and their places in the request.
struct OfStream {
    stream: Arc<Stream>,
    events: Vec<EventId>,
    clients: Vec<ClientRow>,
    places: Vec<usize>,
}

impl Index {
    /// Writes rows and waits until they are durable; one outcome per item, in order.
    pub fn bulk(&self, batch: Batch, items: Vec<BulkItem>) -> Result<Vec<BulkOutcome>, IndexError> {
        let batch = Arc::new(batch);
        let mut outcomes: Vec<Option<BulkOutcome>> = items.iter().map(|item| self.reject(&batch, item)).collect();
        let held = self.hold(&batch, items, &mut outcomes)?;
        let outcomes = outcomes.into_iter().flatten().collect();
        self.wait_for(&held)?;
        Ok(outcomes)
    }

    fn reject(&self, batch: &Batch, item: &BulkItem) -> Option<BulkOutcome> {
        if item.id.as_ref().is_some_and(|id| id.is_empty() || id.len() > ID_BYTES_MAX) {
            let len = item.id.as_ref().map_or(0, String::len);
            let reason = match len {
                0 => "if _id is specified it must not be empty".to_owned(),
                _ => format!("id is too long, must be no longer than {ID_BYTES_MAX} bytes but was: {len}"),
            };
            return Some(BulkOutcome::Rejected { kind: "illegal_argument_exception", reason, cause: None });
        }
        let mapping = self.inner.stream(&item.stream).mapping();
        if !mapping.fields().iter().any(|field| field.explicit.is_some()) {
            return None;
        }
        let misfit = members(batch, &mapping, batch.fields(item.event), "", 1)?;
        let id = item.id.as_deref().unwrap_or("");
        let reason = format!(
            "failed to parse field [{}] of type [{}] in document with id '{id}'",
            misfit.path,
            misfit.explicit.name()
        );
        Some(BulkOutcome::Rejected {
            kind: "mapper_parsing_exception",
            reason,
            cause: Some(("illegal_argument_exception", misfit.cause)),
        })
    }

    /// Puts the rows that are not rejected among those that wait.
    fn hold(
        &self,
        batch: &Arc<Batch>,
        items: Vec<BulkItem>,
        outcomes: &mut [Option<BulkOutcome>],
    ) -> Result<Vec<Arc<Held>>, IndexError> {
        let ids = items.iter().any(|item| item.id.is_some());
        // From the look at what exists until the ids wait, no other client may do the same.
        let _one = ids.then(|| self.inner.id_lock.lock());
        let exists: Vec<bool> = items
            .iter()
            .map(|item| item.id.as_ref().is_some_and(|id| self.inner.has_durable_id(&item.stream, id)))
            .collect();
        let bytes = batch.memory();
        let mut waiting = self.inner.admit(bytes)?;
        let mut held: Vec<OfStream> = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            if outcomes[at].is_some() {
                continue;
            }
            let id: Option<Box<str>> = item.id.map(String::into_boxed_str);
            if let Some(id) = &id
                && (exists[at] || !waiting.ids.insert((item.stream.clone(), id.clone())))
            {
                outcomes[at] = Some(BulkOutcome::Conflict { id: id.to_string() });
                continue;
            }
            let of_stream = match held.iter().position(|h| h.stream.name == item.stream) {
                Some(at) => at,
                None => {
                    let stream = self.inner.stream(&item.stream);
                    held.push(OfStream { stream, events: Vec::new(), clients: Vec::new(), places: Vec::new() });
                    held.len() - 1
                }
            };
            held[of_stream].events.push(item.event);
            held[of_stream].clients.push(ClientRow { id, source: item.source });
            held[of_stream].places.push(at);
        }
        let share = bytes / held.len().max(1);
        let held = held
            .into_iter()
            .map(|OfStream { stream, events, clients, places }| {
                for (row, (client, at)) in clients.iter().zip(places).enumerate() {
                    let seq = waiting.next_seq + row as u64;
                    let id = client.id.as_ref().map_or_else(|| document_id(seq), |id| id.to_string());
                    outcomes[at] = Some(BulkOutcome::Created { id, seq });
                }
                put(&mut waiting, stream, HeldBatch::Own(batch.clone()), events, Some(clients), share)
            })
            .collect::<Vec<_>>();
        self.inner.counters.arrived.fetch_add(held.iter().map(|h| h.events.len() as u64).sum(), Ordering::Relaxed);
        if !held.is_empty() {
            waiting.clients_since.get_or_insert_with(Instant::now);
            self.inner.intake.work.notify_one();
        }
        Ok(held)
    }

    fn wait_for(&self, held: &[Arc<Held>]) -> Result<(), IndexError> {
        let until = Instant::now() + WAIT_MAX;
        let mut waiting = self.inner.intake.waiting.lock();
        while !held.iter().all(|held| held.is_durable()) {
            let late = self.inner.intake.over.wait_until(&mut waiting, until).timed_out();
            if (late || waiting.closed) && !held.iter().all(|held| held.is_durable()) {
                return Err(IndexError::NotDurable(waiting.failing.clone().unwrap_or_else(|| "it takes long".into())));
            }
        }
        Ok(())
    }
}

/// Adds rows to those that wait.
pub(super) fn put(
    waiting: &mut Waiting,
    stream: Arc<Stream>,
    batch: HeldBatch,
    events: Vec<EventId>,
    clients: Option<Vec<ClientRow>>,
    bytes: usize,
) -> Arc<Held> {
    let first_seq = waiting.next_seq;
    waiting.next_seq += events.len() as u64;
    let arrived = batch.read_at.unwrap_or_else(Timestamp::now);
    let held = Arc::new(Held {
        stream,
        batch,
        events,
        first_seq,
        clients,
        tracker: None,
        bytes,
        arrived,
        shown: Default::default(),
        durable: Default::default(),
    });
    waiting.push(held.clone());
    held
}

struct Misfit {
    path: String,
    explicit: Explicit,
    cause: String,
}

fn members(batch: &Batch, mapping: &Mapping, entries: &[Entry], above: &str, depth: usize) -> Option<Misfit> {
    if depth > super::mapping::DEPTH_MAX {
        return None;
    }
    entries.iter().filter(|entry| depth > 1 || entry.key != FieldId::METADATA).find_map(|entry| {
        let name = batch.name(entry.key);
        let path = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
        misfit(batch, mapping, entry.value, &path, depth)
    })
}

fn misfit(batch: &Batch, mapping: &Mapping, value: Value, path: &str, depth: usize) -> Option<Misfit> {
    let explicit = mapping.get(path).and_then(|field| field.explicit);
    let cause = match (value, explicit) {
        (Value::Array(list), _) => {
            return batch.entries(list).iter().find_map(|e| misfit(batch, mapping, e.value, path, depth));
        }
        (Value::Object(list), None) => return members(batch, mapping, batch.entries(list), path, depth + 1),
        (Value::Object(_), Some(_)) => "Can't get text on a START_OBJECT".to_owned(),
        (Value::Null, _) | (_, None) => return None,
        (value, Some(explicit)) => why_not(batch, value, explicit)?,
    };
    Some(Misfit { path: path.to_owned(), explicit: explicit?, cause })
}

/// Why a value does not fit a type, if so.
fn why_not(batch: &Batch, value: Value, explicit: Explicit) -> Option<String> {
    let leaf = Leaf::of(batch, value)?;
    let range = match explicit {
        Explicit::Ip => {
            let Leaf::Text(text) = leaf else { return Some("Can't get text on a VALUE_NUMBER".to_owned()) };
            return text.parse::<IpAddr>().is_err().then(|| format!("'{text}' is not an IP string literal."));
        }
        Explicit::Keyword | Explicit::Text => return None,
        Explicit::Integer => i32::MIN as i64..=i32::MAX as i64,
        Explicit::Short => i16::MIN as i64..=i16::MAX as i64,
        Explicit::Byte => i8::MIN as i64..=i8::MAX as i64,
        _ => i64::MIN..=i64::MAX,
    };
    match (explicit, fit(explicit.kind(), leaf), leaf) {
        (_, Some(Leaf::Long(n)), _) if !range.contains(&n) => Some(format!("Value [{n}] is out of range")),
        (_, Some(_), _) => None,
        // Elasticsearch cuts a fraction off; the value itself goes to a sub-field here.
        (Explicit::Long, None, Leaf::Double(n)) if n.abs() < 9.3e18 => None,
        (_, None, Leaf::Double(n)) if range.contains(&(n as i64)) && explicit.kind() == super::Kind::Long => None,
        (_, None, Leaf::Text(text)) => Some(format!("For input string: \"{text}\"")),
        (_, None, other) => Some(format!("Cannot parse value {other:?}")),
    }
}
