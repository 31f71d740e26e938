//! The integration tests, all in one binary: they drive the program from outside, as its users do.

mod alloc;
mod codecs;
mod crash;
mod daemon;
mod demo;
mod es_api;
mod flush;
mod generated;
mod guide;
mod harness;
mod language;
mod links;
mod metrics;
mod node;
mod program;
mod reload;
mod rules;
mod settings;
mod shipped;
mod start;
mod tidy;
mod tools;
