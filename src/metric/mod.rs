//! Where counts rest: own counters, metrics derived from events, and how both are shown.
//!
//! Whatever is written on the hot path is written once per batch (pipelines' counters) or by one
//! worker alone (derived metrics), and put together when somebody asks. No series without a
//! limit on their number. This module serves no sockets: `api/node` does.

pub mod derive;
pub mod exposition;
pub mod flow;
pub mod health;
pub mod histogram;
mod host;
pub mod identity;
mod index;
pub mod pipeline;
pub mod process;
pub mod push;
mod registry;
pub mod remote;
pub mod sampler;
pub mod tap;

pub use derive::{Derived, Deriver};
pub use pipeline::{Counter, Gauge, PipelineStats, PluginStats};
pub use registry::{Labels, Registry, SERIES_MAX};
pub use sampler::Sampler;
