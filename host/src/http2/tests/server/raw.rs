//! A client that writes frames by hand, for what no proper client does.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Bytes,
}

impl Frame {
    pub(super) fn is_end(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// Of RST_STREAM and GOAWAY.
    pub(super) fn code(&self) -> u32 {
        let mut code = self.payload.clone();
        code.advance(if self.kind == GOAWAY { 4 } else { 0 });
        code.get_u32()
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![high, middle, low, kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block of literals (RFC 7541 section 6.2.2).
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            write_length(text.len(), &mut bytes);
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn write_length(length: usize, bytes: &mut Vec<u8>) {
    if length < 127 {
        return bytes.push(length as u8);
    }
    bytes.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        bytes.push(rest as u8 | 128);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

pub(super) const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "a.test"),
    (":path", "/"),
];

pub(super) struct Raw<T> {
    socket: T,
    received: BytesMut,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Raw<T> {
    /// Preface and empty SETTINGS.
    pub(super) async fn begin(socket: T) -> Raw<T> {
        let mut raw = Raw {
            socket,
            received: BytesMut::new(),
        };
        raw.send(PREFACE).await;
        raw.send(&frame(SETTINGS, 0, 0, &[])).await;
        raw
    }

    /// Sends; a peer that has closed meanwhile is found by reading.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes).await;
    }

    /// Sends while it reads, so that neither side waits for the other; the frames until the peer has closed.
    pub(super) async fn flood(self, bytes: Vec<u8>) -> Vec<Frame> {
        let (mut read, mut write) = tokio::io::split(self.socket);
        let mut all = self.received;
        let sending = async {
            let _ = write.write_all(&bytes).await;
        };
        let reading = async { while read.read_buf(&mut all).await.is_ok_and(|count| count > 0) {} };
        tokio::join!(sending, reading);
        std::iter::from_fn(|| parse(&mut all)).collect()
    }

    pub(super) async fn request(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        let flags = flags | END_HEADERS;
        self.send(&frame(HEADERS, flags, stream, &block(fields)))
            .await;
    }

    /// The next frame other than SETTINGS and WINDOW_UPDATE; none at the end.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            match parse(&mut self.received) {
                Some(frame) if matches!(frame.kind, SETTINGS | WINDOW_UPDATE) => {}
                Some(frame) => return Some(frame),
                None => match self.socket.read_buf(&mut self.received).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return None,
                },
            }
        }
    }

    /// The frames of a stream until it has ended, as `HEADERS DATA(5)+E`: neighbouring DATA as one, `+E` where END_STREAM is.
    pub(super) async fn summary(&mut self, stream: u32) -> String {
        let mut words: Vec<String> = Vec::new();
        let mut data: Option<usize> = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                words.push(format!("GOAWAY({})", frame.code()));
                break;
            }
            if frame.stream != stream {
                continue;
            }
            let end = if frame.is_end() { "+E" } else { "" };
            match frame.kind {
                DATA => {
                    if data.is_some() {
                        words.pop();
                    }
                    let length = data.unwrap_or_default() + frame.payload.len();
                    data = Some(length);
                    words.push(format!("DATA({length}){end}"));
                }
                HEADERS => {
                    data = None;
                    words.push(format!("HEADERS{end}"));
                }
                RST_STREAM => words.push(format!("RST({})", frame.code())),
                kind => words.push(format!("{kind}")),
            }
            if frame.is_end() || frame.kind == RST_STREAM {
                break;
            }
        }
        words.join(" ")
    }
}

/// Takes a whole frame off what was received.
fn parse(received: &mut BytesMut) -> Option<Frame> {
    let &[high, middle, low, kind, flags, a, b, c, d] = received.first_chunk()?;
    let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    if received.len() < 9 + length {
        return None;
    }
    received.advance(9);
    Some(Frame {
        kind,
        flags,
        stream: u32::from_be_bytes([a & 0x7f, b, c, d]),
        payload: received.split_to(length).freeze(),
    })
}
