//! The `stdin` input: reads events from standard input, a line each.
//!
//! `input { stdin { } }`, as Logstash's. At the end of the stream the last line is delivered also
//! without its newline, and the pipeline ends. Lines longer than 100 MiB are cut off there and
//! tagged `_linetruncated`.

use super::Input;
use super::stream::Stream;
use crate::event::{FieldRef, Origin};
use crate::metric::identity::hostname;
use crate::pipeline::Feed;
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use anyhow::Context as _;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "stdin",
    summary: "Reads events from standard input.",
    options: &[Opt::new("codec", Type::Codec, Some("line"), "How bytes become events.")],
    examples: &[],
    build: Build::Input(build),
};

struct Stdin {
    origin: Arc<Origin>,
}

fn build(_options: &Options, context: &Context) -> Built<Box<dyn Input>> {
    let field = if context.ecs { FieldRef::path(&["host", "hostname"]) } else { FieldRef::of("host") };
    Ok(Box::new(Stdin { origin: Arc::new(Origin { fields: vec![(field, hostname())], numbers: Vec::new() }) }))
}

impl Input for Stdin {
    fn run(&mut self, feed: &Feed) -> anyhow::Result<()> {
        match Stream::new(feed, self.origin.clone()).run(io::stdin().as_fd()) {
            // Closed by whoever started us.
            Err(e) if e.raw_os_error() == Some(libc::EBADF) => Ok(()),
            result => result.context("cannot read standard input"),
        }
    }
}
