//! The body of a request on its way in: counted, bounded, and perhaps seen by filters.

use super::body::{BodyReader, Wire};
use super::filtered::Filtered;
use super::outcome::Stop;
use crate::http::BodyLength;
use crate::net::buffer::Buffer;
use crate::plugin::Reply;
use std::time::Duration;

/// The body of a request on its way in, with its limits.
#[derive(Debug)]
pub(super) struct RequestBody {
    length: BodyLength,
    reader: BodyReader,
    bytes: u64,
    bytes_max: Option<u64>,
    /// Set where filters see it.
    pub(super) filtered: Option<Box<Filtered>>,
    /// A filter's answer to it.
    pub(super) reply: Option<Reply>,
    /// Longest wait for the next part.
    pub(super) timeout: Duration,
}

impl RequestBody {
    pub(super) fn new(
        length: BodyLength,
        bytes_max: Option<u64>,
        timeout: Duration,
    ) -> RequestBody {
        RequestBody {
            length,
            reader: BodyReader::new(length),
            bytes: 0,
            bytes_max,
            filtered: None,
            reply: None,
            timeout,
        }
    }

    /// Refuses a body whose announced length is over the limit, before anything of it is read.
    pub(super) fn check_length(&self) -> Result<(), Stop> {
        match (self.length, self.bytes_max) {
            (BodyLength::Fixed(length), Some(most)) if length > most => Err(Stop::BodyTooLarge),
            _ => Ok(()),
        }
    }

    /// As it goes out.
    pub(super) fn length(&self) -> BodyLength {
        match &self.filtered {
            Some(filtered) => filtered.length(),
            None => self.length,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        let is_out = |filtered: &Filtered| filtered.is_out();
        self.reader.is_done() && self.filtered.as_deref().is_none_or(is_out)
    }

    /// What has come of it so far, out of its framing.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Moves what `input` holds of the body to `out`, in the framing in which it arrived, or in that of what filters make of it.
    pub(super) fn transfer(&mut self, input: &mut Buffer, out: &mut Buffer) -> Result<(), Stop> {
        if let Some(mut filtered) = self.filtered.take() {
            let wire = Wire::of(filtered.length());
            self.advance_filtered(&mut filtered, input)?;
            let emitted = filtered.emit(out, wire, None);
            self.filtered = Some(filtered);
            return emitted.map_err(|trouble| trouble.stop(&mut self.reply));
        }
        let moved = self
            .reader
            .transfer(input, out, Wire::of(self.length))
            .map_err(|_| Stop::BadBody)?;
        self.count(moved)
    }

    /// Hands what `input` holds of the body through filters.
    pub(super) fn advance_filtered(
        &mut self,
        filtered: &mut Filtered,
        input: &mut Buffer,
    ) -> Result<(), Stop> {
        let advanced = filtered.advance(&mut self.reader, input);
        let moved = advanced.map_err(|trouble| trouble.stop(&mut self.reply))?;
        self.count(moved)
    }

    fn count(&mut self, moved: u64) -> Result<(), Stop> {
        self.bytes += moved;
        match self.bytes_max {
            Some(most) if self.bytes > most => Err(Stop::BodyTooLarge),
            _ => Ok(()),
        }
    }

    /// Takes the rest of the body off `input`, for an answer that does not need it. False when it is not all there: then the connection
    /// cannot be used again.
    pub(super) fn skip_buffered(&mut self, input: &mut Buffer) -> bool {
        // What is thrown away no filter need see.
        self.filtered = None;
        let mut skipped = Buffer::take();
        self.transfer(input, &mut skipped).is_ok() && self.is_done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::take();
        buffer.extend_from_slice(bytes);
        buffer
    }

    #[test]
    fn a_limit_holds_at_the_limit_and_one_byte_past_it() {
        for (bytes, expected) in [
            ("4\r\nabcd\r\n", Ok(())),
            ("5\r\nabcde\r\n", Err(Stop::BodyTooLarge)),
        ] {
            let mut body = RequestBody::new(BodyLength::Chunked, Some(4), Duration::ZERO);
            assert_eq!(
                body.transfer(&mut buffer(bytes.as_bytes()), &mut Buffer::take()),
                expected
            );
        }
        assert_eq!(
            RequestBody::new(BodyLength::Fixed(4), Some(4), Duration::ZERO).check_length(),
            Ok(())
        );
        assert_eq!(
            RequestBody::new(BodyLength::Fixed(5), Some(4), Duration::ZERO).check_length(),
            Err(Stop::BodyTooLarge)
        );
    }

    #[test]
    fn a_broken_body_stays_broken() {
        let mut body = RequestBody::new(BodyLength::Chunked, None, Duration::ZERO);
        let bytes = b"1\r\nA\r\n2ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ\r\n0\r\n\r\n";
        let mut input = buffer(bytes);
        assert_eq!(
            body.transfer(&mut input, &mut Buffer::take()),
            Err(Stop::BadBody)
        );
        assert!(!body.skip_buffered(&mut input) && !body.is_done());
    }
}
