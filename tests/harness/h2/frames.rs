//! Frames by hand (RFC 9113 section 4), for what no honest implementation sends.

use crate::harness::Wire;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// REFUSED_STREAM, CANCEL and ENHANCE_YOUR_CALM.
pub(crate) const REFUSED: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const CALM: u32 = 11;

/// A frame as it came.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![high, middle, low, kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// What a side begins with: SETTINGS without any; a client's stand behind [`PREFACE`].
pub(crate) fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[])
}

pub(crate) fn preface() -> Vec<u8> {
    [PREFACE, &settings()].concat()
}

/// A header block without compression: literals that nobody indexes (RFC 7541 section 6.2.2), each shorter than 127 bytes.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "a short text");
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// HEADERS of a request without a body.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    request(stream, "GET", path, &[], END_STREAM)
}

/// HEADERS of a request.
pub(crate) fn request(
    stream: u32,
    method: &str,
    path: &str,
    more: &[(&str, &str)],
    flags: u8,
) -> Vec<u8> {
    let mut fields = vec![
        (":method", method),
        (":scheme", "http"),
        (":authority", "test"),
        (":path", path),
    ];
    fields.extend(more);
    frame(HEADERS, END_HEADERS | flags, stream, &block(&fields))
}

pub(crate) fn reset(stream: u32, reason: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &reason.to_be_bytes())
}

pub(crate) fn go_away(last: u32, reason: u32) -> Vec<u8> {
    let payload = [last.to_be_bytes(), reason.to_be_bytes()].concat();
    frame(GOAWAY, 0, 0, &payload)
}

/// The next frame; none at the end of the connection.
pub(crate) fn next(wire: &mut Wire) -> Option<Frame> {
    let head = wire.take(9);
    let head: [u8; 9] = head.try_into().ok()?;
    let [high, middle, low, kind, flags, a, b, c, d] = head;
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    let payload = wire.take(length);
    (payload.len() == length).then(|| Frame {
        kind,
        flags,
        stream: u32::from_be_bytes([a, b, c, d]),
        payload,
    })
}

/// The next frame of this kind, past all others but acknowledgements of that kind; none at the end of the connection.
pub(crate) fn next_of(wire: &mut Wire, kind: u8) -> Option<Frame> {
    loop {
        let frame = next(wire)?;
        let is_ack = matches!(kind, SETTINGS | PING) && frame.flags & ACK != 0;
        if frame.kind == kind && !is_ack {
            return Some(frame);
        }
    }
}

impl Frame {
    /// The error code of RST_STREAM or GOAWAY.
    pub(crate) fn reason(&self) -> u32 {
        let bytes = match self.kind {
            RST_STREAM => self.payload.get(..4),
            _ => self.payload.get(4..8),
        };
        let bytes = bytes.expect("an error code");
        u32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }
}
