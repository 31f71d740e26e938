//! The `generator` input: makes events without end, or `count` of them, to try a pipeline or to
//! measure it.
//!
//! `input { generator { lines => ["one", "two"] count => 3 } }`, as Logstash's. The lines of a
//! batch are stored once and shared by its events.

use super::Input;
use super::stream::push_frame;
use crate::event::{Batch, FieldRef, Origin, Span, Timestamp};
use crate::metric::identity::hostname;
use crate::pipeline::Feed;
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use anyhow::Context as _;
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "generator",
    summary: "Makes events to try or to measure a pipeline.",
    options: &[
        Opt::new("count", Type::Number, Some("0"), "How often the lines are emitted; 0 for no end."),
        Opt::new("lines", Type::Array, None, "The lines to emit, in order; each round is one of `count`."),
        Opt::new(
            "message",
            Type::String,
            Some("Hello world!"),
            "The line to emit, where `lines` is not given; `stdin`: one line read from standard input.",
        ),
        Opt::new("threads", Type::Number, Some("1"), "How many threads emit, each `count` times."),
    ],
    examples: &[],
    build: Build::Input(build),
};

struct Generator {
    lines: Vec<String>,
    count: u64,
    threads: usize,
    host: (FieldRef, String),
    sequence: FieldRef,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Input>> {
    let lines = match options.has("lines") {
        true => options.strings("lines"),
        false => vec![options.str("message").unwrap_or("Hello world!").to_owned()],
    };
    let (host, sequence) = match context.ecs {
        true => (FieldRef::path(&["host", "name"]), FieldRef::path(&["event", "sequence"])),
        false => (FieldRef::of("host"), FieldRef::of("sequence")),
    };
    Ok(Box::new(Generator {
        lines,
        count: options.number("count").unwrap_or(0.0).max(0.0) as u64,
        threads: options.number("threads").unwrap_or(1.0).clamp(1.0, 64.0) as usize,
        host: (host, hostname()),
        sequence,
    }))
}

impl Input for Generator {
    fn run(&mut self, feed: &Feed) -> anyhow::Result<()> {
        if self.lines == ["stdin"] {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).context("cannot read the message from standard input")?;
            self.lines = vec![line];
        }
        let this = &*self;
        std::thread::scope(|scope| {
            for _ in 1..this.threads {
                scope.spawn(|| this.emit(feed));
            }
            this.emit(feed);
        });
        Ok(())
    }
}

impl Generator {
    fn emit(&self, feed: &Feed) {
        if self.lines.is_empty() {
            return;
        }
        let mut joiner = feed.joiner.as_ref().map(|make| make());
        let (mut batch, mut spans) = self.batch(feed);
        let mut number = 0;
        let mut origin = self.origin(None);
        while (self.count == 0 || number < self.count) && !feed.stopped() {
            origin = self.origin(Some(number));
            for (line, &span) in self.lines.iter().zip(&spans) {
                match &mut joiner {
                    None => push_frame(&mut batch, &origin, span, &[]),
                    Some(joiner) => joiner.push(line.as_bytes(), &mut |bytes, tags| {
                        let span = batch.push_bytes(bytes);
                        push_frame(&mut batch, &origin, span, tags);
                    }),
                }
            }
            number += 1;
            if batch.frames.len() >= feed.batch_events {
                feed.send(batch, Vec::new());
                (batch, spans) = self.batch(feed);
            }
        }
        if let Some(joiner) = &mut joiner {
            joiner.flush(&mut |bytes, tags| {
                let span = batch.push_bytes(bytes);
                push_frame(&mut batch, &origin, span, tags);
            });
        }
        if !batch.frames.is_empty() {
            feed.send(batch, Vec::new());
        }
    }

    /// An empty batch with the lines in its arena.
    fn batch(&self, feed: &Feed) -> (Batch, Vec<Span>) {
        let mut batch = feed.batch();
        batch.read_at = Some(Timestamp::now());
        let spans = self.lines.iter().map(|line| batch.push_text(line)).collect();
        (batch, spans)
    }

    fn origin(&self, number: Option<u64>) -> Arc<Origin> {
        let numbers = number.map(|n| (self.sequence.clone(), n as i64)).into_iter().collect();
        Arc::new(Origin { fields: vec![self.host.clone()], numbers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emitted(lines: &[&str], count: u64, threads: usize, stop_after: Option<usize>) -> Vec<(String, i64)> {
        let mut generator = Generator {
            lines: lines.iter().map(|l| l.to_string()).collect(),
            count,
            threads,
            host: (FieldRef::of("host"), "h".to_owned()),
            sequence: FieldRef::of("sequence"),
        };
        let (feed, works) = Feed::for_test(4, Default::default());
        let stop = feed.stop();
        let thread = std::thread::spawn(move || generator.run(&feed));
        let mut out = Vec::new();
        for work in works {
            for frame in &work.batch.frames {
                let text = String::from_utf8_lossy(work.batch.bytes(frame.bytes)).into_owned();
                out.push((text, work.batch.origins[frame.origin as usize].numbers[0].1));
            }
            if stop_after.is_some_and(|n| out.len() >= n) {
                stop.stop();
            }
        }
        thread.join().unwrap().unwrap();
        out
    }

    #[test]
    fn lines_are_emitted_in_rounds() {
        let check = |lines: &[&str], count, expected: &[(&str, i64)]| {
            let expected: Vec<_> = expected.iter().map(|(l, n)| (l.to_string(), *n)).collect();
            assert_eq!(emitted(lines, count, 1, None), expected);
        };
        check(&["a", "b"], 3, &[("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]);
        check(&["a"], 1, &[("a", 0)]);
        check(&[], 3, &[]);
        assert_eq!(emitted(&["a"], 10, 3, None).len(), 30);
        assert!(emitted(&["a"], 0, 1, Some(100)).len() >= 100);
    }
}
