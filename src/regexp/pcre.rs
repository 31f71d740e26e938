//! PCRE2, as thin as we need it: compiled code, and one scratch per thread.
//!
//! The binding crate `pcre2` has no match limits, checks the subject's UTF-8 before each match
//! and keeps match data per pattern; here the limits are set on every match, subjects are `&str`
//! and need no check, and one ovector and one JIT stack serve every pattern of a thread.
//! This is the only file that calls PCRE2.

use super::{MatchError, RegexpError};
use pcre2_sys::*;
use std::cell::RefCell;
use std::ptr;
use std::sync::OnceLock;

/// How often a match may try something before it is given up; PCRE2's own default. A match
/// that hits it has burnt some tenths of a second.
pub const MATCH_LIMIT: u32 = 10_000_000;
/// How many KiB of heap the interpreter (used where the JIT stack is too small) may take.
const HEAP_LIMIT_KIB: u32 = 64 * 1024;
/// The JIT stack of a thread: where it starts and how far it may grow.
const JIT_STACK: (usize, usize) = (32 * 1024, 1024 * 1024);

/// A compiled pattern.
pub(super) struct Code {
    code: *mut pcre2_code_8,
    /// Number of capture groups, the whole match included.
    pub(super) groups: usize,
    jit: OnceLock<bool>,
}

// SAFETY: compiled code is never written after compilation, except by `pcre2_jit_compile`, which
// runs once under `jit` before any match uses the code.
unsafe impl Send for Code {}
// SAFETY: as above.
unsafe impl Sync for Code {}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: `code` came from pcre2_compile and is freed once.
        unsafe { pcre2_code_free_8(self.code) }
    }
}

impl Code {
    /// Compiles a pattern; the JIT runs at the first match.
    pub(super) fn compile(pattern: &str, options: u32) -> Result<Code, RegexpError> {
        let (mut error, mut at) = (0, 0);
        // SAFETY: pointer and length are those of `pattern`; the context is freed after use.
        let code = unsafe {
            let context = pcre2_compile_context_create_8(ptr::null_mut());
            assert!(!context.is_null(), "out of memory");
            pcre2_set_newline_8(context, PCRE2_NEWLINE_LF);
            let options = options | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
            let code = pcre2_compile_8(pattern.as_ptr(), pattern.len(), options, &mut error, &mut at, context);
            pcre2_compile_context_free_8(context);
            code
        };
        if code.is_null() {
            return Err(RegexpError { message: message(error), at: None });
        }
        let mut groups = 0u32;
        // SAFETY: PCRE2_INFO_CAPTURECOUNT writes a u32.
        unsafe { pcre2_pattern_info_8(code, PCRE2_INFO_CAPTURECOUNT, (&raw mut groups).cast()) };
        Ok(Code { code, groups: groups as usize + 1, jit: OnceLock::new() })
    }

    /// Matches `text` from `start` on, which must be on a character's boundary, and hands the
    /// offsets of the groups to `found`: pairs of start and end, `usize::MAX` where unset.
    pub(super) fn run<T>(
        &self,
        text: &str,
        start: usize,
        limit: u32,
        found: impl FnOnce(&[usize]) -> T,
    ) -> Result<Option<T>, MatchError> {
        assert!(text.is_char_boundary(start), "BUG: a match that starts inside a character");
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.make_room(self.groups, limit);
            // SAFETY: nothing else reads the code while it is JIT compiled, see `impl Sync`.
            let jit = *self.jit.get_or_init(|| unsafe { pcre2_jit_compile_8(self.code, PCRE2_JIT_COMPLETE) == 0 });
            let mut result = scratch.call(self, text, start, jit);
            if result == PCRE2_ERROR_JIT_STACKLIMIT {
                result = scratch.call(self, text, start, false);
            }
            match result {
                PCRE2_ERROR_NOMATCH => Ok(None),
                1.. => Ok(Some(found(scratch.offsets(self.groups)))),
                PCRE2_ERROR_MATCHLIMIT | PCRE2_ERROR_DEPTHLIMIT | PCRE2_ERROR_HEAPLIMIT => Err(MatchError::Limit),
                other => Err(MatchError::Engine(message(other))),
            }
        })
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// What a match needs besides the code.
struct Scratch {
    context: *mut pcre2_match_context_8,
    stack: *mut pcre2_jit_stack_8,
    data: *mut pcre2_match_data_8,
    pairs: usize,
    limit: u32,
}

impl Scratch {
    fn new() -> Scratch {
        // SAFETY: plain constructors; the stack is assigned to the context that uses it and
        // both live as long as the scratch.
        unsafe {
            let context = pcre2_match_context_create_8(ptr::null_mut());
            let stack = pcre2_jit_stack_create_8(JIT_STACK.0, JIT_STACK.1, ptr::null_mut());
            assert!(!context.is_null() && !stack.is_null(), "out of memory");
            pcre2_jit_stack_assign_8(context, None, stack.cast());
            pcre2_set_match_limit_8(context, MATCH_LIMIT);
            pcre2_set_heap_limit_8(context, HEAP_LIMIT_KIB);
            Scratch { context, stack, data: ptr::null_mut(), pairs: 0, limit: MATCH_LIMIT }
        }
    }

    fn make_room(&mut self, pairs: usize, limit: u32) {
        // SAFETY: the old match data is freed once and replaced.
        unsafe {
            if self.pairs < pairs {
                pcre2_match_data_free_8(self.data);
                self.pairs = pairs.next_power_of_two().max(64);
                self.data = pcre2_match_data_create_8(self.pairs as u32, ptr::null_mut());
                assert!(!self.data.is_null(), "out of memory");
            }
            if self.limit != limit {
                self.limit = limit;
                pcre2_set_match_limit_8(self.context, limit);
            }
        }
    }

    fn call(&mut self, code: &Code, text: &str, start: usize, jit: bool) -> i32 {
        // SAFETY: `text` is valid UTF-8 and `start` a boundary in it, so that its check may be
        // left out; the match data has room for all groups; an empty `str` has a pointer that is
        // dangling but not null, and PCRE2 reads nothing of length 0.
        unsafe {
            if jit {
                pcre2_jit_match_8(code.code, text.as_ptr(), text.len(), start, 0, self.data, self.context)
            } else {
                let options = PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT;
                pcre2_match_8(code.code, text.as_ptr(), text.len(), start, options, self.data, self.context)
            }
        }
    }

    fn offsets(&self, groups: usize) -> &[usize] {
        // SAFETY: the ovector has `pairs` ≥ `groups` pairs, and a successful match sets those of
        // all groups of its pattern.
        unsafe { std::slice::from_raw_parts(pcre2_get_ovector_pointer_8(self.data), groups * 2) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: each was created here and is freed once.
        unsafe {
            pcre2_match_data_free_8(self.data);
            pcre2_jit_stack_free_8(self.stack);
            pcre2_match_context_free_8(self.context);
        }
    }
}

fn message(code: i32) -> String {
    let mut buffer = [0u8; 256];
    // SAFETY: pointer and length are those of the buffer.
    let len = unsafe { pcre2_get_error_message_8(code, buffer.as_mut_ptr(), buffer.len()) };
    String::from_utf8_lossy(&buffer[..usize::try_from(len).unwrap_or(0)]).into_owned()
}
