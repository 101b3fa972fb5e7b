//! A downstream that speaks HTTP/2.

use super::{LOOP, h2_request, header_map, receive, receive_trailers, send, wait_for};
use crate::harness::{Handshake, PATIENCE, TlsClient};
use ::h2::client::{Builder, ResponseFuture, SendRequest};
use ::h2::{Error, Reason, RecvStream, SendStream};
use ::http::{HeaderMap, Request, Response};
use bytes::Bytes;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;

/// A connection; its streams are independent of each other. Closes when it and its streams are dropped.
pub(crate) struct H2Client {
    sender: SendRequest<Bytes>,
    ended: mpsc::Receiver<Result<(), Error>>,
}

/// A stream in the test's hands. Dropped before its end, it is reset.
pub(crate) struct H2Stream {
    send: H2Sender,
    response: ResponseFuture,
    body: Option<RecvStream>,
}

/// The sending half of a stream.
pub(crate) struct H2Sender(Option<SendStream<Bytes>>);

/// A response to its end.
#[derive(Debug)]
pub(crate) struct H2Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    /// What broke it off.
    pub(crate) error: Option<Error>,
}

impl H2Client {
    /// With prior knowledge.
    pub(crate) fn connect(address: SocketAddr) -> H2Client {
        H2Client::with(address, |_| {})
    }

    /// As [`H2Client::connect`], with settings.
    pub(crate) fn with(address: SocketAddr, set: impl FnOnce(&mut Builder)) -> H2Client {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the proxy listens");
        H2Client::over(stream, set)
    }

    /// By TLS, where both sides agree on HTTP/2.
    pub(crate) fn tls(tls: &TlsClient, address: SocketAddr) -> (H2Client, Handshake) {
        let (client, handshake) = tls.clone().alpn(&["h2"]).shake(address).expect("shaken");
        let stream = client.stream().try_clone().expect("a socket");
        (H2Client::over(stream, |_| {}), handshake)
    }

    /// Over a connection that is there already.
    pub(crate) fn over(stream: TcpStream, set: impl FnOnce(&mut Builder)) -> H2Client {
        let mut builder = Builder::new();
        builder.enable_push(false);
        set(&mut builder);
        stream.set_nonblocking(true).expect("a TCP socket");
        let (sender, connection) = wait_for("the preface", async {
            let stream = tokio::net::TcpStream::from_std(stream).expect("an event loop");
            builder.handshake(stream).await.expect("it is sent")
        });
        let (tell, ended) = mpsc::channel();
        LOOP.spawn(async move {
            // A test that is over does not listen.
            let _ = tell.send(connection.await);
        });
        H2Client { sender, ended }
    }

    /// A GET to its end.
    pub(crate) fn get(&self, path: &str) -> H2Response {
        self.ask(h2_request("GET", path))
    }

    /// A request without a body, to its end.
    pub(crate) fn ask(&self, request: Request<()>) -> H2Response {
        self.begin(request, true).rest()
    }

    /// A POST with a body, to its end.
    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> H2Response {
        let mut stream = self.open(h2_request("POST", path));
        stream.send(body, true);
        stream.rest()
    }

    /// A request whose body the test sends.
    pub(crate) fn open(&self, request: Request<()>) -> H2Stream {
        self.begin(request, false)
    }

    /// A request, whether or not it ends with its head. Waits while the peer allows no further stream.
    pub(crate) fn begin(&self, request: Request<()>, end: bool) -> H2Stream {
        self.try_begin(request, end).expect("a stream")
    }

    /// As [`H2Client::begin`], on a connection that may be over.
    pub(crate) fn try_begin(&self, request: Request<()>, end: bool) -> Result<H2Stream, Error> {
        let mut sender = wait_for("a stream", self.sender.clone().ready())?;
        let (response, send) = sender.send_request(request, end)?;
        Ok(H2Stream {
            send: H2Sender(Some(send)),
            response,
            body: None,
        })
    }

    /// How many streams the peer allows, as far as it has said.
    pub(crate) fn streams_max(&self) -> usize {
        self.sender.current_max_send_streams()
    }

    /// Whether the peer has said that it takes extended CONNECT.
    pub(crate) fn takes_extended_connect(&self) -> bool {
        self.sender.is_extended_connect_protocol_enabled()
    }

    /// Waits for the end of the connection: with an error where it broke, and otherwise in order.
    pub(crate) fn end(&self) -> Result<(), Error> {
        let ended = self.ended.recv_timeout(PATIENCE);
        ended.expect("the connection ends")
    }
}

impl H2Stream {
    /// Sends data; false when the peer takes no more.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>, end: bool) -> bool {
        self.send.send(bytes, end)
    }

    /// The sending half, for another thread.
    pub(crate) fn split_send(&mut self) -> H2Sender {
        H2Sender(self.send.0.take())
    }

    pub(crate) fn send_trailers(&mut self, trailers: &[(&str, &str)]) {
        let sent = self.send.half().send_trailers(header_map(trailers));
        sent.expect("an open stream");
    }

    pub(crate) fn reset(&mut self, reason: Reason) {
        self.send.half().send_reset(reason);
    }

    /// The next 1xx; none when the final head came instead.
    pub(crate) fn interim(&mut self) -> Option<Response<()>> {
        let response = &mut self.response;
        let interim = wait_for("a 1xx", poll_fn(|cx| response.poll_informational(cx)));
        interim.map(|interim| interim.expect("a 1xx"))
    }

    /// The final head.
    pub(crate) fn head(&mut self) -> Result<Response<()>, Error> {
        let response = wait_for("a response", &mut self.response)?;
        let (parts, body) = response.into_parts();
        self.body = Some(body);
        Ok(Response::from_parts(parts, ()))
    }

    /// The next data behind the head; none at its end.
    pub(crate) fn data(&mut self) -> Option<Result<Bytes, Error>> {
        receive(self.body.as_mut().expect("the head was read"))
    }

    /// Just as many bytes of the body.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.extend(self.data().expect("more").expect("more"));
        }
        taken
    }

    /// The head, unless it was read, and everything behind it.
    pub(crate) fn rest(mut self) -> H2Response {
        let head = match self.head() {
            Ok(head) => head,
            Err(error) => return H2Response::broken(error),
        };
        self.rest_behind(head)
    }

    /// Everything behind the head.
    pub(crate) fn rest_behind(&mut self, head: Response<()>) -> H2Response {
        let mut response = H2Response {
            status: head.status().as_u16(),
            headers: head.headers().clone(),
            body: Vec::new(),
            trailers: None,
            error: None,
        };
        while let Some(piece) = self.data() {
            match piece {
                Ok(piece) => response.body.extend(piece),
                Err(error) => {
                    response.error = Some(error);
                    return response;
                }
            }
        }
        match receive_trailers(self.body.as_mut().expect("the head was read")) {
            Ok(trailers) => response.trailers = trailers,
            Err(error) => response.error = Some(error),
        }
        response
    }
}

impl H2Sender {
    /// Sends data; false when the peer takes no more.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>, end: bool) -> bool {
        send(self.half(), bytes.as_ref(), end)
    }

    fn half(&mut self) -> &mut SendStream<Bytes> {
        self.0.as_mut().expect("it was not split off")
    }
}

impl H2Response {
    fn broken(error: Error) -> H2Response {
        H2Response {
            status: 0,
            headers: HeaderMap::new(),
            body: Vec::new(),
            trailers: None,
            error: Some(error),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header that is there at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().expect("ASCII"));
        assert!(values.next().is_none(), "{name} is there more than once");
        value
    }

    pub(crate) fn trailer(&self, name: &str) -> Option<&str> {
        let value = self.trailers.as_ref()?.get(name)?;
        Some(value.to_str().expect("ASCII"))
    }

    /// Why the stream was reset; none when it was not.
    pub(crate) fn reset(&self) -> Option<Reason> {
        self.error.as_ref().and_then(Error::reason)
    }
}
