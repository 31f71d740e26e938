//! The `stdout` output: writes events to standard output.
//!
//! `output { stdout { } }`, as Logstash's, with the `rubydebug` codec unless told otherwise. Events
//! are done when the kernel has taken their bytes. A full disk behind standard output is waited
//! for; a closed pipe ends the process as SIGTERM does, and what was not written stays
//! unacknowledged.

use super::Output;
use crate::codec::Encoder;
use crate::pipeline::Delivery;
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use std::fs::File;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::Duration;

pub(super) static SPEC: Spec = Spec {
    name: "stdout",
    summary: "Writes events to standard output.",
    options: &[Opt::new("codec", Type::Codec, Some("rubydebug"), "How events become bytes.")],
    examples: &[],
    build: Build::Output(build),
};

/// A burst is written at this size also while more deliveries wait.
const BUFFER_BYTES: usize = 256 << 10;
/// Deliveries that wait at the most: they hold their batches, and their inputs' positions back.
const PENDING_MAX: usize = 32;
/// How long to wait after a failed write, at the most.
const RETRY_MAX: Duration = Duration::from_secs(5);

struct Stdout<W> {
    out: W,
    encoder: Box<dyn Encoder>,
    buffer: Vec<u8>,
    pending: Vec<Delivery>,
    /// Nobody reads any more.
    closed: bool,
    /// Ends the process when the reader has gone.
    stop: fn(),
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Output>> {
    let encoder = super::encoder(options, "rubydebug", context)?;
    // SAFETY: the descriptor is never closed by this `File`, see ManuallyDrop. std's own handle
    // would cut the burst into lines.
    let out = ManuallyDrop::new(unsafe { File::from_raw_fd(libc::STDOUT_FILENO) });
    Ok(Box::new(Stdout { out: Raw(out), encoder, buffer: Vec::new(), pending: Vec::new(), closed: false, stop }))
}

fn stop() {
    // SAFETY: raises a signal that the daemon handles.
    unsafe { libc::raise(libc::SIGTERM) };
}

/// Standard output without a buffer.
struct Raw(ManuallyDrop<File>);

impl Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes).inspect_err(|e| {
            if e.kind() == io::ErrorKind::WouldBlock {
                let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
                // SAFETY: `poll` is one valid pollfd.
                unsafe { libc::poll(&mut poll, 1, 1000) };
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write + Send> Output for Stdout<W> {
    fn write(&mut self, delivery: Delivery) {
        if self.closed {
            return;
        }
        for &event in &delivery.events {
            self.encoder.encode(&delivery.batch, event, &mut self.buffer);
        }
        self.pending.push(delivery);
        if self.buffer.len() >= BUFFER_BYTES || self.pending.len() >= PENDING_MAX {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let mut written = 0;
        let mut pause = Duration::ZERO;
        while written < self.buffer.len() && !self.closed {
            match self.out.write(&self.buffer[written..]) {
                Ok(n) if n > 0 => (written, pause) = (written + n, Duration::ZERO),
                Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                Err(e) if matches!(e.raw_os_error(), Some(libc::EPIPE | libc::EBADF | libc::EIO)) => {
                    tracing::error!(error = %e, "cannot write to standard output: nobody reads it, stopping");
                    self.closed = true;
                    (self.stop)();
                }
                result => {
                    if pause.is_zero() {
                        let error = result.err().map_or("nothing was written".to_owned(), |e| e.to_string());
                        tracing::error!(error, "cannot write to standard output, trying until it works");
                    }
                    pause = (pause * 2).clamp(Duration::from_millis(50), RETRY_MAX);
                    std::thread::sleep(pause);
                }
            }
        }
        self.buffer.clear();
        self.buffer.shrink_to(4 * BUFFER_BYTES);
        let closed = self.closed;
        self.pending.drain(..).filter(|_| !closed).for_each(Delivery::done);
    }

    fn close(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Batch, EventId};
    use crate::pipeline::{Ack, Shared, Tracker};
    use std::sync::Arc;

    struct Numbers;

    impl Encoder for Numbers {
        fn encode(&mut self, _batch: &Batch, event: EventId, out: &mut Vec<u8>) {
            out.extend_from_slice(format!("{event}\n").as_bytes());
        }
    }

    /// Takes three bytes at a time and fails as told in between.
    struct Slow(Vec<u8>, Vec<i32>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(error) = self.1.pop() {
                return Err(io::Error::from_raw_os_error(error));
            }
            let n = bytes.len().min(3);
            self.0.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn play(errors: &[i32]) -> (String, bool, bool) {
        let out = Slow(Vec::new(), errors.to_vec());
        let (encoder, buffer) = (Box::new(Numbers), Vec::new());
        let mut stdout = Stdout { out, encoder, buffer, pending: Vec::new(), closed: false, stop: || {} };
        let tracker = Arc::new(Tracker::default());
        let ack = Ack::new(tracker.clone(), tracker.issue(Vec::new()));
        let mut batch = Batch::new();
        let events = (0..12).map(|_| batch.new_event()).collect();
        stdout.write(Delivery::new(Shared::new(batch, None), events, ack.clone()));
        ack.done();
        assert_eq!(tracker.ready(), 0, "nothing was written yet");
        stdout.flush();
        stdout.close();
        (String::from_utf8(stdout.out.0).unwrap(), tracker.ready() == 1, stdout.closed)
    }

    #[test]
    fn events_are_done_once_they_are_written() {
        let all: String = (0..12).map(|n| format!("{n}\n")).collect();
        assert_eq!(play(&[]), (all.clone(), true, false));
        assert_eq!(play(&[libc::EAGAIN, libc::ENOSPC, libc::EINTR]), (all, true, false), "a full disk is waited for");
        assert_eq!(play(&[libc::EPIPE]), (String::new(), false, true), "a closed pipe is the end");
    }
}
