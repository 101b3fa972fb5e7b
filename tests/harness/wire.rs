//! One end of a TCP connection that speaks raw bytes, and takes HTTP messages off what it receives.

use super::Head;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Bounds what is remembered of a connection.
const RECORDED_MAX: usize = 1 << 20;

/// A connection with the bytes that were received and not yet taken.
pub(crate) struct Wire {
    stream: TcpStream,
    pending: Vec<u8>,
    received: Arc<Mutex<Vec<u8>>>,
    was_reset: bool,
}

impl Wire {
    /// Reads fail the test after `patience`; none: they wait for ever.
    pub(super) fn new(stream: TcpStream, patience: Option<Duration>) -> Wire {
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(patience).expect("a TCP socket");
        stream.set_write_timeout(patience).expect("a TCP socket");
        Wire {
            stream,
            pending: Vec::new(),
            received: Arc::default(),
            was_reset: false,
        }
    }

    /// What was received first, up to a mebibyte; stays readable after the wire is gone.
    pub(super) fn received(&self) -> Arc<Mutex<Vec<u8>>> {
        self.received.clone()
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes. A peer that is gone is no failure here: what it then says is what a test looks at.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes);
    }

    /// Sends bytes; whether all of them were taken.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        match self.stream.write_all(bytes.as_ref()) {
            Ok(()) => true,
            Err(error) if is_timeout(&error) => panic!("the peer took no bytes: {error}"),
            Err(_) => false,
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) {
        // The peer may have closed first.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Closes with a reset instead of an orderly end.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .expect("a TCP socket");
    }

    /// Receives something more; how much, 0 at the end.
    pub(crate) fn receive(&mut self) -> usize {
        let mut part = vec![0; 64 * 1024];
        match self.stream.read(&mut part) {
            Ok(count) => {
                self.pending.extend_from_slice(&part[..count]);
                self.record(&part[..count]);
                count
            }
            Err(error) if is_timeout(&error) => panic!(
                "nothing came; not taken yet: {:?}",
                String::from_utf8_lossy(&self.pending)
            ),
            // A reset ends a connection too.
            Err(error) => {
                self.was_reset |= error.kind() == ErrorKind::ConnectionReset;
                0
            }
        }
    }

    fn record(&self, part: &[u8]) {
        let mut received = self.received.lock().expect("nobody panics holding it");
        let room = RECORDED_MAX - received.len();
        received.extend_from_slice(&part[..part.len().min(room)]);
    }

    /// Whether the peer ended the connection with a reset, as it does with what is incomplete.
    pub(crate) fn was_reset(&self) -> bool {
        self.was_reset
    }

    /// The next `count` bytes; fewer if the connection ends before.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.pending.len() < count && self.receive() > 0 {}
        let count = count.min(self.pending.len());
        self.pending.drain(..count).collect()
    }

    /// Everything until the connection ends.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.receive() > 0 {}
        std::mem::take(&mut self.pending)
    }

    /// Whether the connection ends here: nothing pending, and nothing comes.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.pending.is_empty() && self.receive() == 0
    }

    /// The next head, if the connection does not end before it is complete.
    pub(crate) fn head(&mut self) -> Option<Head> {
        let mut searched = 0;
        loop {
            let found = self.pending[searched..]
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n");
            if let Some(at) = found {
                let head: Vec<u8> = self.pending.drain(..searched + at + 4).collect();
                return Some(Head::parse(&head));
            }
            searched = self.pending.len().saturating_sub(3);
            if self.receive() == 0 {
                return None;
            }
        }
    }

    /// The next line, without its end.
    pub(crate) fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.pending.windows(2).position(|bytes| bytes == b"\r\n") {
                let line: Vec<u8> = self.pending.drain(..at + 2).collect();
                return Some(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if self.receive() == 0 {
                return None;
            }
        }
    }

    /// The data of the next chunk; none for the last. Fails when the connection ends within it.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        self.try_chunk().expect("a whole chunk")
    }

    fn try_chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let size = self.line()?;
        let size =
            usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("no chunk size: {size:?}"));
        if size == 0 {
            return Some(None);
        }
        let data = self.take(size);
        (data.len() == size && self.take(2) == b"\r\n").then_some(Some(data))
    }

    /// The rest of a body with the framing of `head`, and its trailers; `complete` is false if the connection ended within it.
    pub(super) fn body(&mut self, head: &Head, until_close: bool) -> Body {
        if head.is_chunked() {
            return self.chunked_body();
        }
        match head.content_length() {
            Some(length) => {
                let data = self.take(length);
                Body {
                    complete: data.len() == length,
                    data,
                    trailers: Vec::new(),
                }
            }
            None if until_close => Body {
                data: self.rest(),
                trailers: Vec::new(),
                complete: true,
            },
            None => Body {
                data: Vec::new(),
                trailers: Vec::new(),
                complete: true,
            },
        }
    }

    fn chunked_body(&mut self) -> Body {
        let mut body = Body {
            data: Vec::new(),
            trailers: Vec::new(),
            complete: false,
        };
        loop {
            match self.try_chunk() {
                None => return body,
                Some(Some(data)) => body.data.extend(data),
                Some(None) => break,
            }
        }
        while let Some(line) = self.line() {
            match line.split_once(':') {
                Some((name, value)) => body
                    .trailers
                    .push((name.to_owned(), value.trim().to_owned())),
                None => {
                    body.complete = line.is_empty();
                    return body;
                }
            }
        }
        body
    }
}

/// A body out of its framing.
pub(super) struct Body {
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) complete: bool,
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
