//! Arguments in, exit code out, and the allocator; nothing else.

use mimalloc::MiMalloc;
use std::process::ExitCode;

// Chosen over the system's by measurement, see benches/README.md, "allocator".
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    logboom::cli::run(std::env::args_os().skip(1))
}
