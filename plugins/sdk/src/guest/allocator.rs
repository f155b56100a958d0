//! A memory allocator for plugins without the standard library: a tenth of the standard one's code.
//!
//! Blocks are powers of two, and a freed block waits for the next request of its size. Nothing is split or joined: a plugin asks
//! for the same few sizes call after call, so what it holds stays bounded by what one call needs.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};

/// Every block is aligned so; no type of Wasm needs more.
const ALIGNMENT: usize = 16;
const PAGE: usize = 65_536;
/// Sizes from 2^4 to 2^31. One more has a place, so that no power can be without.
const SIZES: usize = 33;

/// The allocator, all of it.
pub struct Allocator(UnsafeCell<Blocks>);

struct Blocks {
    /// For each power of two, the first free block; in its first bytes stands the next one.
    free: [Option<NonNull<u8>>; SIZES],
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
        Self(UnsafeCell::new(Blocks { free: [None; SIZES], fresh: 0, end: 0 }))
    }

    /// A block for the layout. Where there is none it traps, here rather than in whoever asked: nobody could do anything else,
    /// and so the code for it, with its message, is nowhere.
    #[expect(unsafe_code, reason = "free blocks are linked through their own memory")]
    fn block(&self, layout: Layout) -> NonNull<u8> {
        if layout.align() > ALIGNMENT {
            wasm32::unreachable();
        }
        let power = power(layout.size());
        // SAFETY: one thread, no re-entry.
        let blocks = unsafe { &mut *self.0.get() };
        let Some(first) = blocks.free[power] else { return blocks.fresh(1 << power) };
        // SAFETY: a free block holds what `dealloc` wrote.
        blocks.free[power] = unsafe { first.cast().read() };
        first
    }
}

/// The power of two that holds so many bytes: at most 31, because no layout is larger than 2^31 - 1.
fn power(size: usize) -> usize {
    (usize::BITS - (size.max(ALIGNMENT) - 1).leading_zeros()) as usize
}

impl Blocks {
    /// Memory behind what was handed out, from the host where there is no more. A trap where the host gives none.
    fn fresh(&mut self, size: usize) -> NonNull<u8> {
        if self.end - self.fresh < size {
            let pages = size.div_ceil(PAGE);
            let before = wasm32::memory_grow::<0>(pages);
            // The largest number of all, where the host gave none.
            let Some(start) = before.checked_mul(PAGE) else { wasm32::unreachable() };
            // Somebody else may have grown the memory in between; then the rest of the old end is given up.
            if start != self.end {
                self.fresh = start;
            }
            self.end = start + pages * PAGE;
        }
        let block = self.fresh;
        self.fresh += size;
        NonNull::new(ptr::with_exposed_provenance_mut(block)).unwrap_or_else(|| wasm32::unreachable())
    }
}

#[expect(unsafe_code, reason = "that's what an allocator is")]
// SAFETY: a block is handed out once until it's freed; blocks are as long as their power of two, aligned to ALIGNMENT (memory
// starts at a page, and every size is a multiple), and layouts that need more trap. The instance has one thread, and nothing in
// here calls out while it borrows the blocks.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.block(layout).as_ptr()
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: one thread, no re-entry.
        let blocks = unsafe { &mut *self.0.get() };
        let free = &mut blocks.free[power(layout.size())];
        // SAFETY: the block is ours again, aligned and of at least 16 bytes.
        unsafe { block.cast::<Option<NonNull<u8>>>().write(*free) };
        *free = NonNull::new(block);
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if power(size) == power(layout.size()) {
            return block;
        }
        // SAFETY: the caller promises that the size is valid for this alignment; both blocks have room for the smaller size.
        unsafe {
            let other = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            ptr::copy_nonoverlapping(block, other, size.min(layout.size()));
            self.dealloc(block, layout);
            other
        }
    }
}
