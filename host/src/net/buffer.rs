//! Buffers that belong to the worker and are lent to a connection only while bytes are there.
//!
//! An idle connection holds none: it waits for readiness first, then takes one.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// What a fresh buffer can hold without growing.
pub const BUFFER_BYTES: usize = 16 * 1024;
/// A returned buffer that has grown beyond this is freed instead of kept.
const KEPT_BYTES_MAX: usize = 4 * BUFFER_BYTES;
/// Bounds what a worker keeps after a burst: 64 buffers, at most 4 MiB.
const KEPT_MAX: usize = 64;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A byte buffer on loan from its worker's pool; returns when dropped.
#[derive(Debug)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// An empty buffer with room for [`BUFFER_BYTES`].
    pub fn take() -> Buffer {
        let kept = POOL.with_borrow_mut(Vec::pop);
        Buffer(kept.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES)))
    }

    /// Removes the first `count` bytes, keeping the rest in order.
    pub fn consume(&mut self, count: usize) {
        if count >= self.0.len() {
            self.0.clear();
        } else {
            self.0.drain(..count);
        }
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.0.capacity() > KEPT_BYTES_MAX {
            return;
        }
        let mut bytes = std::mem::take(&mut self.0);
        bytes.clear();
        // A buffer dropped while its thread ends has no pool to return to; it is freed.
        let _ = POOL.try_with(|pool| {
            if let Ok(mut pool) = pool.try_borrow_mut()
                && pool.len() < KEPT_MAX
            {
                pool.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_buffer_is_lent_again_and_empty() {
        let mut first = Buffer::take();
        first.extend_from_slice(b"left over");
        let address = first.as_ptr();
        drop(first);
        let second = Buffer::take();
        assert_eq!(second.as_ptr(), address);
        assert!(second.is_empty());
    }

    #[test]
    fn a_grown_buffer_is_not_kept() {
        let mut grown = Buffer::take();
        grown.reserve(KEPT_BYTES_MAX + 1);
        drop(grown);
        assert!(Buffer::take().capacity() <= KEPT_BYTES_MAX);
    }

    #[test]
    fn consume_keeps_the_rest_in_order() {
        let mut buffer = Buffer::take();
        buffer.extend_from_slice(b"headbody");
        buffer.consume(4);
        assert_eq!(&buffer[..], b"body");
        buffer.consume(99);
        assert!(buffer.is_empty());
    }
}
