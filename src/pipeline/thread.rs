//! Threads that ring when they end, so that whoever looks after them need not wait or poll.

use crossbeam::channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Rings when something has ended; several rings may be heard as one.
#[derive(Clone)]
pub struct Bell(Sender<()>);

impl Bell {
    /// A bell, and where it is heard.
    pub fn new() -> (Bell, Receiver<()>) {
        let (ring, heard) = bounded(1);
        (Bell(ring), heard)
    }

    /// Rings.
    pub fn ring(&self) {
        let _rings_already = self.0.try_send(());
    }
}

/// A thread that rings when it ends, also by a panic.
pub struct Thread<T> {
    handle: JoinHandle<T>,
    done: Arc<AtomicBool>,
}

struct Ring {
    done: Arc<AtomicBool>,
    bell: Bell,
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        self.bell.ring();
    }
}

impl<T: Send + 'static> Thread<T> {
    /// Starts it. Linux shows the first 15 bytes of its name.
    pub fn spawn(name: String, bell: &Bell, run: impl FnOnce() -> T + Send + 'static) -> std::io::Result<Thread<T>> {
        let done = Arc::new(AtomicBool::new(false));
        let ring = Ring { done: done.clone(), bell: bell.clone() };
        let handle = std::thread::Builder::new().name(name).spawn(move || {
            let _ring = ring;
            run()
        })?;
        Ok(Thread { handle, done })
    }

    /// Whether it has ended, but for its last instructions.
    pub fn ended(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Waits for the end.
    pub fn join(self) -> std::thread::Result<T> {
        self.handle.join()
    }
}
