//! `logboom demo`.

pub mod feed;
