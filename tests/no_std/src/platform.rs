//! What the standard library would give: memory, output and the end of the program.

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_int, c_void};
use core::fmt::{self, Write};
use core::panic::PanicInfo;

// Without `std` the compiler doesn't name the C library to the linker.
#[link(name = "c")]
unsafe extern "C" {
    fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void;
    fn free(block: *mut c_void);
    fn write(file: c_int, bytes: *const c_void, length: usize) -> isize;
    fn exit(code: c_int) -> !;
}

struct CHeap;

// SAFETY: `aligned_alloc` gives distinct blocks of the size and alignment asked for, or null.
unsafe impl GlobalAlloc for CHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let alignment = layout.align().max(size_of::<*const u8>());
        // SAFETY: the alignment is a power of two and the size a multiple of it.
        unsafe { aligned_alloc(alignment, layout.size().next_multiple_of(alignment)).cast() }
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the block came from `aligned_alloc`.
        unsafe { free(block.cast()) }
    }
}

#[global_allocator]
static HEAP: CHeap = CHeap;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Console::Error, "{info}");
    // SAFETY: ends the process.
    unsafe { exit(101) }
}

// The precompiled `alloc` was built to unwind and names these two; with `panic = "abort"` nobody
// calls them.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(export_name = "_Unwind_Resume")]
extern "C" fn unwind_resume() -> ! {
    // SAFETY: ends the process.
    unsafe { exit(101) }
}

/// A stream of the process.
#[derive(Clone, Copy)]
pub enum Console {
    /// Standard output.
    Output = 1,
    /// Standard error.
    Error = 2,
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the pointer and the length are those of `text`.
        let written = unsafe { write(*self as c_int, text.as_ptr().cast(), text.len()) };
        if usize::try_from(written) == Ok(text.len()) {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}
