//! The chunked transfer coding (RFC 9112 section 7.1), over slices: the caller moves the bytes.

use std::ops::Range;

use super::fields::Fields;
use super::lines::{Limits, Parsed, Refusal, Scan, Underscores};
use super::syntax::is_stray_control;

/// The end of a chunked body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Bytes of chunk extensions in a whole body. They are skipped, so a peer could make us work for nothing with them.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;

/// Digits of a chunk size; more would overflow, or be padding that hides something.
const SIZE_DIGITS_MAX: u8 = 16;

/// Bytes and lines of a trailer section.
const TRAILER_LIMITS: Limits = Limits {
    head_bytes_max: 16 * 1024,
    headers_max: 64,
    underscores: Underscores::Drop,
    escaped_slashes: super::lines::EscapedSlashes::Reject,
    merge_slashes: true,
};

/// Why a body was refused. Nothing after this point can be trusted: close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct BadChunk {
    /// A stable word for logs, such as `chunk-size`.
    pub reason: &'static str,
}

/// What one step of [`ChunkedDecoder::decode`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input that are dealt with; give the rest again, with more behind it.
    pub consumed: usize,
    /// Where in the input there is body data; perhaps empty. Never beyond `consumed`.
    pub data: Range<usize>,
    /// The body and its trailers are complete; what follows `consumed` is the next message.
    pub done: bool,
}

/// Takes the data out of a chunked body, piece by piece.
///
/// Strict: line ends are CR LF, a size is 1 to 16 hexadecimal digits followed by CR or an extension. Extensions are skipped (RFC 9112 section
/// 7.1.1), at most 16 KiB of them in a body. Trailers are at most 64 lines and 16 KiB; those that frame, route, authenticate or
/// describe the message, which a recipient would have had to know before the body (RFC 9110 section 6.5.1), are left out.
#[derive(Debug, Default)]
pub struct ChunkedDecoder {
    state: State,
    size: u64,
    digits: u8,
    extension_bytes: usize,
    /// Trailer lines received so far; a section without trailers never gets here.
    trailer_bytes: Vec<u8>,
    scan: Scan,
    trailers: Fields,
    underscores: Underscores,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    /// At the start of the trailer section.
    Trailers,
    EndLineFeed,
    TrailerLines,
    Done,
}

impl ChunkedDecoder {
    /// A decoder at the start of a body.
    pub fn new() -> ChunkedDecoder {
        ChunkedDecoder::default()
    }

    /// The same for a response: names of trailers may have underscores there, as gRPC's metadata do.
    pub fn of_response() -> ChunkedDecoder {
        ChunkedDecoder {
            underscores: Underscores::Keep,
            ..ChunkedDecoder::default()
        }
    }

    /// Decodes up to the end of the next run of data, or of the input.
    ///
    /// Everything is consumed unless the run ends before the input does, or the body is done; so call again while there is input left.
    /// A decoder that is done consumes nothing.
    pub fn decode(&mut self, input: &[u8]) -> Result<Decoded, BadChunk> {
        let mut at = 0;
        while at < input.len() {
            match self.state {
                State::Done => break,
                State::Data => {
                    let len = usize::try_from(self.size)
                        .unwrap_or(usize::MAX)
                        .min(input.len() - at);
                    self.size -= len as u64;
                    if self.size == 0 {
                        self.state = State::DataReturn;
                    }
                    return Ok(Decoded {
                        consumed: at + len,
                        data: at..at + len,
                        done: false,
                    });
                }
                State::TrailerLines => at += self.take_trailers(&input[at..])?,
                _ => {
                    self.state = self.after(input[at])?;
                    // The first byte of a trailer line belongs to the section that `take_trailers` collects.
                    at += usize::from(self.state != State::TrailerLines);
                }
            }
        }
        Ok(Decoded {
            consumed: at,
            data: at..at,
            done: self.is_done(),
        })
    }

    /// Whether the body and its trailers are complete.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The trailers that may be passed on; empty until the body is done.
    pub fn trailers(&self) -> &Fields {
        &self.trailers
    }

    /// Starts on another body and keeps the buffers.
    pub fn clear(&mut self) {
        let (mut trailer_bytes, mut trailers) = (
            std::mem::take(&mut self.trailer_bytes),
            std::mem::take(&mut self.trailers),
        );
        trailer_bytes.clear();
        trailers.clear();
        *self = ChunkedDecoder {
            trailer_bytes,
            trailers,
            underscores: self.underscores,
            ..ChunkedDecoder::default()
        };
    }

    /// The state after one byte of framing.
    fn after(&mut self, byte: u8) -> Result<State, BadChunk> {
        match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.take_digit(byte),
            (State::Size, b';') if self.digits > 0 => Ok(State::Extension),
            (State::Size, b'\r') if self.digits > 0 => Ok(State::SizeLineFeed),
            (State::Size, _) => refuse("chunk-size"),
            (State::Extension, b'\r') => Ok(State::SizeLineFeed),
            (State::Extension, byte) => self.take_extension(byte),
            (State::SizeLineFeed, b'\n') => Ok(self.start_chunk()),
            (State::DataReturn, b'\r') => Ok(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => Ok(State::Size),
            (State::Trailers, b'\r') => Ok(State::EndLineFeed),
            (State::Trailers, _) => Ok(State::TrailerLines),
            (State::EndLineFeed, b'\n') => Ok(State::Done),
            _ => refuse("chunk-end"),
        }
    }

    fn take_digit(&mut self, byte: u8) -> Result<State, BadChunk> {
        if self.digits == SIZE_DIGITS_MAX {
            return refuse("chunk-size");
        }
        let digit = char::from(byte).to_digit(16).unwrap_or_default();
        self.digits += 1;
        self.size = self.size << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn take_extension(&mut self, byte: u8) -> Result<State, BadChunk> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX || is_stray_control(byte) {
            return refuse("chunk-extension");
        }
        Ok(State::Extension)
    }

    fn start_chunk(&mut self) -> State {
        self.digits = 0;
        if self.size == 0 {
            State::Trailers
        } else {
            State::Data
        }
    }

    /// Collects the trailer section; answers how much of `input` belongs to it.
    fn take_trailers(&mut self, input: &[u8]) -> Result<usize, BadChunk> {
        let before = self.trailer_bytes.len();
        // One byte beyond the limit is enough for the scan to refuse.
        let room = (TRAILER_LIMITS.head_bytes_max + 1).saturating_sub(before);
        self.trailer_bytes
            .extend_from_slice(&input[..input.len().min(room)]);
        if before == 0 {
            self.scan = Scan::of_headers_only();
        }
        let scanned = self.scan.run(
            &self.trailer_bytes,
            &TRAILER_LIMITS,
            self.underscores,
            &mut self.trailers,
        );
        match scanned.map_err(|Refusal { reason, .. }| BadChunk { reason })? {
            Parsed::Partial => Ok(input.len()),
            Parsed::Complete { head_len } => {
                self.trailers.retain(is_allowed_trailer);
                self.state = State::Done;
                Ok(head_len - before)
            }
        }
    }
}

/// Appends the line that starts a chunk of `len` bytes; after the data comes CR LF. `len` must not be zero: that ends the body.
pub fn encode_chunk_head(len: usize, out: &mut Vec<u8>) {
    debug_assert!(len > 0);
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let significant = (usize::BITS - (len | 1).leading_zeros()).div_ceil(4);
    out.extend(
        (0..significant)
            .rev()
            .map(|digit| DIGITS[len >> (4 * digit) & 15]),
    );
    out.extend_from_slice(b"\r\n");
}

/// Appends the end of a chunked body with these trailers, perhaps none.
pub fn encode_last_chunk(trailers: &Fields, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    trailers.write_lines(out);
    out.extend_from_slice(b"\r\n");
}

fn refuse<T>(reason: &'static str) -> Result<T, BadChunk> {
    Err(BadChunk { reason })
}

/// RFC 9110 section 6.5.1, as a list of what is refused: senders use trailers of any other name.
fn is_allowed_trailer(name: &[u8]) -> bool {
    const REFUSED: [&str; 31] = [
        "age",
        "authorization",
        "cache-control",
        "content-encoding",
        "content-location",
        "content-range",
        "content-type",
        "cookie",
        "date",
        "expect",
        "expires",
        "forwarded",
        "http2-settings",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "location",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "range",
        "retry-after",
        "set-cookie",
        "vary",
        "via",
        "warning",
        "www-authenticate",
        "x-real-ip",
    ];
    let prefix = b"x-forwarded-";
    let is_forwarding = name
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    !is_forwarding
        && super::is_editable(name)
        && !REFUSED
            .iter()
            .any(|refused| name.eq_ignore_ascii_case(refused.as_bytes()))
}
