//! A peer of single frames (RFC 9113 section 4.1).

use super::{SETTINGS, sockets};
use crate::http2::client::{Connection, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS_FRAME: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// `:status: 200` and `:status: 204` in the static table (RFC 7541 appendix A).
pub(super) const STATUS_200: &[u8] = &[0x88];
pub(super) const STATUS_204: &[u8] = &[0x89];

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Raw {
    pub(super) socket: TcpStream,
}

/// A connection to a scripted peer that has sent nothing but these settings yet.
pub(super) async fn connect(settings: &[(u16, u32)]) -> (Connection, Raw) {
    connect_with(SETTINGS, settings).await
}

pub(super) async fn connect_with(ours: Settings, settings: &[(u16, u32)]) -> (Connection, Raw) {
    let (stream, socket) = sockets().await;
    let connection = Connection::connect(stream, &ours, ());
    let connection = connection.await.expect("connects");
    let mut raw = Raw { socket };
    let mut preface = [0; 24];
    raw.socket
        .read_exact(&mut preface)
        .await
        .expect("a preface");
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    raw.send_settings(settings).await;
    (connection, raw)
}

impl Raw {
    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let [.., high, middle, low] = payload.len().to_be_bytes();
        let mut frame = vec![high, middle, low, kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        // A test that wants the end of the connection may see it early.
        let _ = self.socket.write_all(&frame).await;
    }

    pub(super) async fn send_settings(&mut self, settings: &[(u16, u32)]) {
        let mut payload = Vec::new();
        for (id, value) in settings {
            payload.extend_from_slice(&id.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        self.send(SETTINGS_FRAME, 0, 0, &payload).await;
    }

    pub(super) async fn send_reset(&mut self, stream: u32, code: h2::Reason) {
        let code = u32::from(code).to_be_bytes();
        self.send(RST_STREAM, 0, stream, &code).await;
    }

    pub(super) async fn send_goaway(&mut self, last_stream: u32, code: h2::Reason) {
        let mut payload = last_stream.to_be_bytes().to_vec();
        payload.extend_from_slice(&u32::from(code).to_be_bytes());
        self.send(GOAWAY, 0, 0, &payload).await;
    }

    /// Sends a ping and waits for its answer: the other side has dealt with everything before it.
    pub(super) async fn sync(&mut self) {
        self.send(PING, 0, 0, b"all done").await;
        loop {
            let frame = self.next_of(PING).await;
            if frame.flags & ACK != 0 {
                return;
            }
        }
    }

    /// The next frame, or none at the end of the connection.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let mut header = [0; 9];
        self.socket.read_exact(&mut header).await.ok()?;
        let [high, middle, low, kind, flags, stream @ ..] = header;
        let len = u32::from_be_bytes([0, high, middle, low]);
        let mut payload = vec![0; len as usize];
        self.socket.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }

    /// The next frame of this kind; others are passed over.
    pub(super) async fn next_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection goes on");
            if frame.kind == kind {
                return frame;
            }
        }
    }
}

/// Header lines as literals without indexing (RFC 7541 section 6.2.2), behind `start`.
pub(super) fn block(start: &[u8], lines: &[(&str, &str)]) -> Vec<u8> {
    let mut block = start.to_vec();
    for (name, value) in lines {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "a length of one byte");
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

pub(super) fn code_of(frame: &Frame) -> h2::Reason {
    let code = frame.payload.last_chunk().expect("four bytes");
    u32::from_be_bytes(*code).into()
}
