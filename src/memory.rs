//! What the process asks of the kernel about its memory.

/// Whether pages come one by one (4 kB) rather than by huge ones (2 MB). Logboom's memory is many
/// small arenas that fill and empty: with huge pages the kernel clears, and the process holds,
/// more than is used. Measured in `benches/README.md`. The environment cannot ask for it: the
/// allocator reads its variables before `main`.
pub fn small_pages(small: bool) {
    #[cfg(target_os = "linux")]
    {
        let arguments: [libc::c_ulong; 4] = [small.into(), 0, 0, 0];
        let [on, a, b, c] = arguments;
        // SAFETY: sets a flag of the process and touches no memory. Kernels that don't know it
        // say so, and nothing changes.
        unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, on, a, b, c) };
    }
}
