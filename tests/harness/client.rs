//! A downstream: raw TCP, with a few words for HTTP.

use super::{Head, PATIENCE, Wire};
use std::net::{SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};

/// A downstream connection; the [`Wire`] below it sends and receives bytes.
pub(crate) struct Client(Wire);

/// One response, out of its framing.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// False if the connection ended within the body.
    pub(crate) complete: bool,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the proxy listens");
        Client(Wire::new(stream, Some(PATIENCE)))
    }

    /// Over a connection that is there already.
    pub(crate) fn over(stream: TcpStream) -> Client {
        Client(Wire::new(stream, Some(PATIENCE)))
    }

    /// Sends `GET path` with `Host: test` and reads the response.
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.ask("GET", path, "")
    }

    /// Sends a request without a body; `headers` are whole lines, each with its CR LF. A `Host` is added if there is none.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &str) -> Response {
        let names_host = headers
            .lines()
            .any(|line| line.to_ascii_lowercase().starts_with("host:"));
        let host = if names_host { "" } else { "Host: test\r\n" };
        self.send(format!("{method} {path} HTTP/1.1\r\n{host}{headers}\r\n"));
        if method == "HEAD" {
            self.bodiless_response()
        } else {
            self.response()
        }
    }

    /// Sends a POST with a body of known length and reads the response.
    pub(crate) fn post(&mut self, path: &str, body: impl AsRef<[u8]>) -> Response {
        let body = body.as_ref();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send([head.as_bytes(), body].concat());
        self.response()
    }

    /// The next response that is not a 1xx other than 101. Fails when the connection ends before its head is there.
    pub(crate) fn response(&mut self) -> Response {
        loop {
            let head = self.response_head();
            if head.status() >= 200 || head.status() == 101 {
                return self.finish_response(head);
            }
        }
    }

    /// The next response head, 1xx too.
    pub(crate) fn response_head(&mut self) -> Head {
        let head = self.head().expect("a response head");
        assert_valid(&head);
        head
    }

    /// The body after a final response head.
    pub(crate) fn finish_response(&mut self, head: Head) -> Response {
        let status = head.status();
        if matches!(status, 101 | 204 | 304) {
            return Response {
                status,
                head,
                body: Vec::new(),
                trailers: Vec::new(),
                complete: true,
            };
        }
        let body = self.body(&head, true);
        Response {
            status,
            head,
            body: body.data,
            trailers: body.trailers,
            complete: body.complete,
        }
    }

    /// The next response, to a HEAD.
    pub(crate) fn bodiless_response(&mut self) -> Response {
        let head = self.response_head();
        Response {
            status: head.status(),
            head,
            body: Vec::new(),
            trailers: Vec::new(),
            complete: true,
        }
    }
}

/// Another parser than the proxy's own must understand what it wrote.
fn assert_valid(head: &Head) {
    let mut headers = [httparse::EMPTY_HEADER; 256];
    let parsed = httparse::Response::new(&mut headers).parse(head.raw.as_bytes());
    assert!(
        parsed.is_ok_and(|parsed| parsed.is_complete()),
        "no valid response head: {:?}",
        head.raw
    );
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The request as an [`super::Origin::echo`] received it.
    pub(crate) fn echoed(&self) -> Head {
        assert_eq!(
            self.status,
            200,
            "no echo: {} {}",
            self.head.raw,
            self.text()
        );
        Head::parse(&self.body)
    }
}

impl Deref for Client {
    type Target = Wire;
    fn deref(&self) -> &Wire {
        &self.0
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.0
    }
}

impl Client {
    /// Closes with a reset.
    pub(crate) fn abort(self) {
        self.0.reset();
    }
}
