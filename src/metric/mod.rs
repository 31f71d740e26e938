//! Where counts rest: own counters, metrics derived from events, and how both are shown.
//!
//! Whatever is written on the hot path is written once per batch (pipelines' counters) or by one
//! worker alone (derived metrics), and put together when somebody asks. No series without a
//! limit on their number. This module serves no sockets: `api/node` does.

pub mod pipeline;
