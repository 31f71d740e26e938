//! Logboom: one binary in place of Logstash and of the log index, the log-to-metric exporter and
//! the alert evaluation behind it. The modules stand in the order of an event's journey; see
//! ARCHITECTURE.md for the house on one page.

pub mod cli;
pub mod daemon;
pub mod settings;

// What the user writes
pub mod diagnostic;
pub mod language;
pub mod plugin;

// What flows
pub mod event;
pub mod grok;
pub mod regexp;
pub mod script;

// The event's journey
pub mod pipeline;

pub mod input;

pub mod codec;

pub mod filter;

pub mod output;

// Where it rests
pub mod index;
pub mod metric;
pub mod promql;
pub mod rule;
pub mod series;

// The search's journey
pub mod api;
pub mod search;

// Under everything
pub mod durable;
pub mod endpoint;
pub mod lock;
pub mod memory;
pub mod resolver;
pub mod resource;
pub mod telemetry;
