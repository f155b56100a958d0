//! A memory allocator for plugins without the standard library: a tenth of the standard one's code.
//!
//! Blocks are powers of two, and a freed block waits for the next request of its size. Nothing is split or joined: a plugin asks
//! for the same few sizes call after call, so what it holds stays bounded by what one call needs.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::UnsafeCell;
use core::ptr;

/// Every block is aligned so; no type of Wasm needs more.
const ALIGNMENT: usize = 16;
const PAGE: usize = 65_536;
/// Sizes from 2^4 to 2^31.
const SIZES: usize = 32;

/// The allocator, all of it.
pub struct Allocator(UnsafeCell<Blocks>);

struct Blocks {
    /// For each power of two, the first free block; in its first bytes stands the next one.
    free: [*mut u8; SIZES],
    /// Memory that was never handed out.
    fresh: usize,
    end: usize,
}

#[cfg(not(target_feature = "atomics"))]
#[expect(unsafe_code, reason = "a static must be Sync")]
// SAFETY: without the target feature `atomics` a Wasm instance has one thread.
unsafe impl Sync for Allocator {}

impl Allocator {
    #[expect(clippy::new_without_default, reason = "only a macro makes one, in a constant")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(Blocks { free: [ptr::null_mut(); SIZES], fresh: 0, end: 0 }))
    }
}

/// The power of two that a layout needs; none where it's too large, or aligned as nothing is.
fn power(layout: Layout) -> Option<usize> {
    let size = layout.size().max(ALIGNMENT).checked_next_power_of_two()?;
    (layout.align() <= ALIGNMENT).then_some(size.trailing_zeros() as usize)
}

impl Blocks {
    /// Memory behind what was handed out, from the host where there is no more. Null where the host gives none.
    fn fresh(&mut self, size: usize) -> *mut u8 {
        if self.end - self.fresh < size {
            let pages = size.div_ceil(PAGE);
            let before = wasm32::memory_grow::<0>(pages);
            let Some(start) = before.checked_mul(PAGE) else { return ptr::null_mut() };
            // Somebody else may have grown the memory in between; then the rest of the old end is given up.
            if start != self.end {
                self.fresh = start;
            }
            self.end = start + pages * PAGE;
        }
        let block = self.fresh;
        self.fresh += size;
        ptr::with_exposed_provenance_mut(block)
    }
}

#[expect(unsafe_code, reason = "that's what an allocator is")]
// SAFETY: a block is handed out once until it's freed; blocks are as long as their power of two, aligned to ALIGNMENT (memory
// starts at a page, and every size is a multiple), and `alloc` refuses layouts that need more. The instance has one thread, and
// nothing in here calls out while it borrows the blocks.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(power) = power(layout) else { return ptr::null_mut() };
        // SAFETY: one thread, no re-entry.
        let blocks = unsafe { &mut *self.0.get() };
        let first = blocks.free[power];
        if first.is_null() {
            return blocks.fresh(1 << power);
        }
        // SAFETY: a free block holds the pointer that `dealloc` wrote.
        blocks.free[power] = unsafe { first.cast::<*mut u8>().read() };
        first
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(power) = power(layout) else { return };
        // SAFETY: one thread, no re-entry.
        let blocks = unsafe { &mut *self.0.get() };
        // SAFETY: the block is ours again, aligned and of at least 16 bytes.
        unsafe { block.cast::<*mut u8>().write(blocks.free[power]) };
        blocks.free[power] = block;
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size is valid for this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if power(wanted) == power(layout) {
            return block;
        }
        // SAFETY: as the caller promises; both blocks have room for the smaller size.
        unsafe {
            let larger = self.alloc(wanted);
            if !larger.is_null() {
                ptr::copy_nonoverlapping(block, larger, size.min(layout.size()));
                self.dealloc(block, layout);
            }
            larger
        }
    }
}
