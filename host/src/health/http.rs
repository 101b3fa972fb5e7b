//! The HTTP probe: one HTTP/1.1 request on its own connection.

use std::ops::RangeInclusive;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use regex::bytes::Regex;
use tokio::net::TcpStream;

use super::deadline::Deadline;
use super::exchange::{drive, read_body};
use super::{Failure, Passed, Stage};
use crate::config::HttpProbe;

/// How checks show in the access logs of endpoints.
pub(super) const AGENT: &str = "tollgate-health-check";

const PROTOCOL: &str = "HTTP/1.1";

/// The size that hyper lets a response head grow to, give or take one read.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What the check decides itself: it sends no body and one request per connection.
const RESERVED: [HeaderName; 6] = [
    CONNECTION,
    CONTENT_LENGTH,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

#[derive(Debug)]
pub(super) struct HttpProber {
    method: Method,
    path: Uri,
    headers: HeaderMap,
    expect: Vec<RangeInclusive<u16>>,
    body: Option<Regex>,
}

impl HttpProber {
    pub(super) fn new(probe: &HttpProbe) -> Result<HttpProber, String> {
        let method = Method::from_bytes(probe.method.as_bytes())
            .ok()
            .filter(|method| method != Method::CONNECT)
            .ok_or_else(|| format!("{:?} is not a method to check with", probe.method))?;
        Ok(HttpProber {
            method,
            path: path(&probe.path)?,
            headers: headers(probe)?,
            expect: probe.expect.clone(),
            body: probe.body.clone(),
        })
    }

    pub(super) async fn probe(
        &self,
        stream: TcpStream,
        label: &str,
        deadline: &Deadline,
    ) -> Result<Passed, Failure> {
        let request = self.request(label)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Failure::from_http(&error, PROTOCOL, Stage::Answer))?;
        let exchange = async {
            let response = deadline.bound(Stage::Answer, sender.send_request(request));
            let mut response = response
                .await?
                .map_err(|error| Failure::from_http(&error, PROTOCOL, Stage::Answer))?;
            let result = self.judge(&mut response, deadline).await;
            deadline.take_leave(read_body(response.body_mut())).await;
            result
        };
        drive(connection, exchange).await
    }

    async fn judge(
        &self,
        response: &mut Response<Incoming>,
        deadline: &Deadline,
    ) -> Result<Passed, Failure> {
        let status = response.status().as_u16();
        if !self.expect.iter().any(|range| range.contains(&status)) {
            return Err(Failure::Status(status));
        }
        if let Some(pattern) = &self.body {
            let body = deadline.bound(Stage::Body, read_body(response.body_mut()));
            let (bytes, _) = body
                .await?
                .map_err(|error| Failure::from_http(&error, PROTOCOL, Stage::Body))?;
            if !pattern.is_match(&bytes) {
                return Err(Failure::Body);
            }
        }
        Ok(deadline.passed(format!("status {status}")))
    }

    fn request(&self, label: &str) -> Result<Request<Empty<Bytes>>, Failure> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        if !self.headers.contains_key(HOST) {
            let host = HeaderValue::from_str(label)
                .map_err(|_| Failure::Name(label.to_owned(), "a Host header"))?;
            request.headers_mut().insert(HOST, host);
        }
        Ok(request)
    }
}

fn path(text: &str) -> Result<Uri, String> {
    let uri: Option<Uri> = text.parse().ok();
    // Parsing alone would take `example.com:80` and `http://example.com/` as well.
    uri.filter(|uri| uri.authority().is_none() && (text.starts_with('/') || text == "*"))
        .ok_or_else(|| format!("{text:?} is not a path"))
}

/// All but a `Host` that the endpoint decides. What is configured goes before what is usual, except [`RESERVED`].
fn headers(probe: &HttpProbe) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, text) in &probe.headers {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name:?} is not a header name"))?;
        if RESERVED.contains(&key) {
            return Err(format!(
                "the check sets the header {name:?} itself or not at all"
            ));
        }
        headers.append(key, value(text)?);
    }
    if let Some(host) = &probe.host {
        headers.insert(HOST, value(host)?);
    }
    if !headers.contains_key(USER_AGENT) {
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(headers)
}

fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| format!("{text:?} is not a header value"))
}
