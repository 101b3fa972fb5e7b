//! The writing side of a downstream stream: an HTTP/1.1 response becomes frames.

use crate::http::{BodyLength, LAST_CHUNK, Limits, ResponseHead, parse_response};
use crate::http::{EscapedSlashes, Parsed, Underscores};
use crate::http2::head::header_map;
use crate::http2::message::{Outgoing, gone};
use ::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use std::io;
use std::task::{Context, Poll};

/// What comes here was written by the spine, which has limits of its own; these only bound this buffer.
const LIMITS: Limits = Limits {
    head_bytes_max: 1024 * 1024,
    headers_max: 4096,
    underscores: Underscores::Keep,
    escaped_slashes: EscapedSlashes::Keep,
    merge_slashes: false,
};

/// How far a response is.
#[derive(Debug)]
pub(super) enum Responding {
    Head(Box<Head>),
    Body(Outgoing),
    /// Both directions carry bytes as they are.
    Tunnel(Outgoing),
}

/// A head that is not complete, or an interim one that another follows.
#[derive(Debug)]
pub(super) struct Head {
    respond: SendResponse<Bytes>,
    method: Method,
    tunnel_asked: bool,
    /// The part that was written so far, unless it was all of it.
    text: Vec<u8>,
    head: ResponseHead,
}

impl Responding {
    pub(super) fn new(
        respond: SendResponse<Bytes>,
        method: Method,
        tunnel_asked: bool,
    ) -> Responding {
        Responding::Head(Box::new(Head {
            respond,
            method,
            tunnel_asked,
            text: Vec::new(),
            head: ResponseHead::new(),
        }))
    }

    /// As `AsyncWrite::poll_write`.
    ///
    /// # Errors
    /// `InvalidData` for text that is no response, or none to this request; `ConnectionReset` when either side has reset the stream.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Responding::Head(head) => Poll::Ready(match head.take(bytes) {
                Ok((taken, next)) => {
                    if let Some(next) = next {
                        *self = next;
                    }
                    Ok(taken)
                }
                Err(error) => Err(error),
            }),
            Responding::Body(outgoing) | Responding::Tunnel(outgoing) => {
                outgoing.poll_write(cx, bytes)
            }
        }
    }

    /// As `AsyncWrite::poll_flush`.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Responding::Head(_) => Poll::Ready(Ok(())),
            Responding::Body(outgoing) | Responding::Tunnel(outgoing) => outgoing.poll_flush(cx),
        }
    }

    /// Ends what ends with its connection.
    pub(super) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Responding::Head(_) => Poll::Ready(Ok(())),
            Responding::Body(outgoing) | Responding::Tunnel(outgoing) => outgoing.poll_finish(cx),
        }
    }

    /// Whether the response, tunnel included, has ended as it should.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Responding::Head(_) => false,
            Responding::Body(outgoing) | Responding::Tunnel(outgoing) => outgoing.is_done(),
        }
    }

    /// Ready once either side has reset the stream, or the connection failed.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Responding::Head(head) => head.respond.poll_reset(cx).map(|_| ()),
            Responding::Body(outgoing) | Responding::Tunnel(outgoing) => outgoing.poll_reset(cx),
        }
    }

    pub(super) fn reset(&mut self, reason: Reason) {
        match self {
            Responding::Head(head) => head.respond.send_reset(reason),
            Responding::Body(outgoing) | Responding::Tunnel(outgoing) => outgoing.reset(reason),
        }
    }
}

impl Head {
    /// Takes bytes up to the end of the head and, if there is nothing else to it, of the body. Answers how many, and what follows.
    fn take(&mut self, bytes: &[u8]) -> io::Result<(usize, Option<Responding>)> {
        let known = self.text.len();
        let method = self.asked_method();
        let parsed = if known == 0 {
            parse_response(bytes, method, &LIMITS, &mut self.head)
        } else {
            self.text.extend_from_slice(bytes);
            parse_response(&self.text, method, &LIMITS, &mut self.head)
        };
        match parsed.map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))? {
            Parsed::Partial => {
                if known == 0 {
                    self.text.extend_from_slice(bytes);
                }
                Ok((bytes.len(), None))
            }
            Parsed::Complete { head_len } => {
                self.text = Vec::new();
                let taken = head_len - known;
                let (more, next) = self.send(&bytes[taken..])?;
                Ok((taken + more, next))
            }
        }
    }

    /// Only HEAD makes a difference; of a tunnel the spine has seen a GET.
    fn asked_method(&self) -> &'static str {
        if self.method == Method::HEAD {
            "HEAD"
        } else {
            "GET"
        }
    }

    /// Sends a complete head; `rest` was written with it.
    fn send(&mut self, rest: &[u8]) -> io::Result<(usize, Option<Responding>)> {
        if self.head.is_interim() {
            let interim = self.response(|_| false)?;
            self.respond.send_informational(interim).map_err(gone)?;
            self.head.clear();
            return Ok((0, None));
        }
        if self.head.status() == 101 {
            return Ok((0, Some(self.switch()?)));
        }
        let length = self.head.body();
        let (ends, taken) = match length {
            BodyLength::None | BodyLength::Fixed(0) => (true, 0),
            // An answer of head and trailers in one, as gRPC has it, stays one.
            BodyLength::Chunked if rest.starts_with(LAST_CHUNK) => (true, LAST_CHUNK.len()),
            BodyLength::Fixed(_) | BodyLength::Chunked | BodyLength::UntilClose => (false, 0),
        };
        let response = self.response(|_| false)?;
        let stream = self.respond.send_response(response, ends).map_err(gone)?;
        let length = if ends { BodyLength::None } else { length };
        let outgoing = Outgoing::new(stream, length);
        Ok((taken, Some(Responding::Body(outgoing))))
    }

    /// A 101 to an extended CONNECT is a 200 (RFC 8441 section 5); the handshake is done by that.
    fn switch(&mut self) -> io::Result<Responding> {
        if !self.tunnel_asked {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut response = self.response(|name| name == "sec-websocket-accept")?;
        *response.status_mut() = StatusCode::OK;
        let stream = self.respond.send_response(response, false).map_err(gone)?;
        let outgoing = Outgoing::new(stream, BodyLength::UntilClose);
        Ok(Responding::Tunnel(outgoing))
    }

    fn response(&self, is_left_out: impl Fn(&str) -> bool) -> io::Result<Response<()>> {
        let mut response = Response::new(());
        *response.headers_mut() = self.fields(is_left_out)?;
        *response.status_mut() = self.status()?;
        Ok(response)
    }

    /// To an extended CONNECT a 2xx means that the tunnel is there. An upstream that answers the upgrade with one has not understood it.
    fn status(&self) -> io::Result<StatusCode> {
        let status = self.head.status();
        if self.tunnel_asked && (200..300).contains(&status) {
            return Ok(StatusCode::BAD_GATEWAY);
        }
        StatusCode::from_u16(status).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn fields(&self, is_left_out: impl Fn(&str) -> bool) -> io::Result<HeaderMap> {
        let mut fields = header_map(self.head.fields(), is_left_out)?;
        let is_bodiless = matches!(self.head.status(), 100..=199 | 204);
        if let Some(length) = self.head.content_length().filter(|_| !is_bodiless) {
            fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        Ok(fields)
    }
}
