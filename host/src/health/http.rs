//! The HTTP probe: one request on its own connection, of HTTP/1.1 or HTTP/2.

use std::ops::RangeInclusive;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use regex::bytes::Regex;

use super::deadline::Deadline;
use super::exchange::{drive, read_body};
use super::http2;
use super::target::{Spoken, authority};
use super::{Failure, Passed, Stage};
use crate::config::HttpProbe;

/// How checks show in the access logs of endpoints.
pub(super) const AGENT: &str = "tollgate-health-check";

const HTTP1: &str = "HTTP/1.1";

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
    http2: bool,
    method: Method,
    path: Uri,
    /// Without `Host`.
    headers: HeaderMap,
    host: Option<HeaderValue>,
    expect: Vec<RangeInclusive<u16>>,
    body: Option<Regex>,
}

impl HttpProber {
    pub(super) fn new(probe: &HttpProbe, http2: bool) -> Result<HttpProber, String> {
        let method = Method::from_bytes(probe.method.as_bytes())
            .ok()
            .filter(|method| method != Method::CONNECT)
            .ok_or_else(|| format!("{:?} is not a method to check with", probe.method))?;
        let mut headers = headers(probe)?;
        let host = headers.remove(HOST);
        if http2 && let Some(host) = &host {
            Authority::try_from(host.as_bytes())
                .map_err(|_| format!("{host:?} is not an authority, which HTTP/2 needs"))?;
        }
        Ok(HttpProber {
            http2,
            method,
            path: path(&probe.path)?,
            headers,
            host,
            expect: probe.expect.clone(),
            body: probe.body.clone(),
        })
    }

    pub(super) async fn probe(
        &self,
        spoken: Spoken<'_>,
        deadline: &Deadline,
    ) -> Result<Passed, Failure> {
        if self.http2 {
            let request = self.http2_request(&spoken)?;
            let judge = |response| self.judge(response, http2::PROTOCOL, deadline);
            return http2::exchange(spoken.stream, request, deadline, judge).await;
        }
        let request = self.http1_request(spoken.label)?;
        let broken = |error: hyper::Error| Failure::from_http(&error, HTTP1, Stage::Answer);
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(spoken.stream))
            .await
            .map_err(broken)?;
        let exchange = async move {
            let response = deadline.bound(Stage::Answer, sender.send_request(request));
            self.judge(response.await?.map_err(broken)?, HTTP1, deadline)
                .await
        };
        drive(connection, exchange, deadline).await
    }

    /// Reads on to the end of the body if that comes soon, for the endpoint's sake.
    async fn judge(
        &self,
        mut response: Response<Incoming>,
        protocol: &'static str,
        deadline: &Deadline,
    ) -> Result<Passed, Failure> {
        let result = self.check(&mut response, protocol, deadline).await;
        deadline.take_leave(read_body(response.body_mut())).await;
        result
    }

    async fn check(
        &self,
        response: &mut Response<Incoming>,
        protocol: &'static str,
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
                .map_err(|error| Failure::from_http(&error, protocol, Stage::Body))?;
            if !pattern.is_match(&bytes) {
                return Err(Failure::Body);
            }
        }
        Ok(deadline.passed(format!("status {status}")))
    }

    fn http1_request(&self, label: &str) -> Result<Request<Empty<Bytes>>, Failure> {
        let host = match &self.host {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(authority(label))
                .map_err(|_| Failure::Name(label.to_owned(), "a Host header"))?,
        };
        let mut request = self.request(self.path.clone());
        request.headers_mut().insert(HOST, host);
        let close = HeaderValue::from_static("close");
        request.headers_mut().insert(CONNECTION, close);
        Ok(request)
    }

    /// What `Host` is there is the authority here.
    fn http2_request(&self, spoken: &Spoken<'_>) -> Result<Request<Empty<Bytes>>, Failure> {
        let host = self.host.as_ref().and_then(|host| host.to_str().ok());
        let host = host.unwrap_or(authority(spoken.label));
        let path = self.path.path_and_query().map_or("/", |path| path.as_str());
        Ok(self.request(spoken.uri(host, path)?))
    }

    fn request(&self, uri: Uri) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        request
    }
}

fn path(text: &str) -> Result<Uri, String> {
    let uri: Option<Uri> = text.parse().ok();
    // Parsing alone would take `example.com:80` and `http://example.com/` as well.
    uri.filter(|uri| uri.authority().is_none() && (text.starts_with('/') || text == "*"))
        .ok_or_else(|| format!("{text:?} is not a path"))
}

/// With a `Host` if one is configured. What is configured goes before what is usual, except [`RESERVED`].
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
        if key == HOST && headers.contains_key(HOST) {
            return Err("a request has one host".to_owned());
        }
        headers.append(key, value(text)?);
    }
    if let Some(host) = &probe.host {
        headers.insert(HOST, value(host)?);
    }
    if !headers.contains_key(USER_AGENT) {
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    }
    Ok(headers)
}

fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| format!("{text:?} is not a header value"))
}
