//! Arguments in, exit code out, and the allocator; nothing else.

use mimalloc::MiMalloc;
use std::process::ExitCode;

// Batches go from one thread to another and are freed there, which mimalloc is made for. Not
// measured against jemalloc yet.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    logboom::memory::small_pages(true);
    logboom::cli::run(std::env::args_os().skip(1))
}
