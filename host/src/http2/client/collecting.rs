//! The head of a request while it is being written.

use super::error::Failure;
use super::request::{self, Translated};
use super::shared::Sender;
use crate::http::{Limits, Parsed, RequestHead, Scheme, parse_request};
use crate::net::buffer::Buffer;
use std::cell::Cell;

thread_local! {
    /// The head that the last request was parsed with, whose buffers serve the next one.
    static SPARE_HEAD: Cell<Option<Box<RequestHead>>> = const { Cell::new(None) };
}

/// A head that is being written.
pub(super) struct Collecting {
    pub(super) sender: Sender,
    limits: Limits,
    head: Box<RequestHead>,
    /// Of an incomplete head. Bounded by the limits.
    bytes: Option<Buffer>,
}

impl Collecting {
    pub(super) fn new(sender: Sender, header_bytes_max: usize) -> Collecting {
        Collecting {
            sender,
            limits: request::limits(header_bytes_max),
            head: SPARE_HEAD.take().unwrap_or_default(),
            bytes: None,
        }
    }

    /// Whether nothing has been written yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.bytes.is_none()
    }

    /// The head that `bytes` end, if they do, and how many of them belong to it; all of them while it is incomplete.
    pub(super) fn collect(
        &mut self,
        bytes: &[u8],
        scheme: Scheme,
    ) -> Result<(usize, Option<Translated>), Failure> {
        let before = self.bytes.as_ref().map_or(0, |collected| collected.len());
        let whole = match &mut self.bytes {
            Some(collected) => {
                collected.extend_from_slice(bytes);
                &collected[..]
            }
            None => bytes,
        };
        let parsed = parse_request(whole, &self.limits, &mut self.head);
        match parsed.map_err(|bad| Failure::unfit(bad.reason))? {
            Parsed::Complete { head_len } => {
                let translated = request::translate(&self.head, scheme)?;
                Ok((head_len - before, Some(translated)))
            }
            Parsed::Partial => {
                if self.bytes.is_none() {
                    self.bytes.insert(Buffer::take()).extend_from_slice(bytes);
                }
                Ok((bytes.len(), None))
            }
        }
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        self.head.clear();
        let head = std::mem::take(&mut self.head);
        // A stream dropped while its thread ends has nobody to leave it to.
        let _ = SPARE_HEAD.try_with(|spare| spare.set(Some(head)));
    }
}
