//! The messages and connections of cases as the host has them: written as bytes, and read by the host's own parsers.

use std::sync::Arc;
use std::time::Instant;

use crate::config::cases::{Origin, Protocol, Request, Response};
use crate::http::{
    ConnectionFacts, Exchange, Limits, Parsed, Scheme, parse_request, parse_response,
};

/// A message in a case may be larger than a listener takes by default; what is tried is the plugin.
const HEAD_BYTES_MAX: usize = 1 << 20;
const HEADERS_MAX: usize = 1_000;
/// Every exchange has the same number and the same random bits, so that two runs differ by what the plugin does alone.
const EXCHANGE_ID: u64 = 1;
const UNIQUE: [u64; 2] = [0x0123_4567_89ab_cdef, 0x0123_4567_89ab_cdef];

fn limits() -> Limits {
    Limits {
        head_bytes_max: HEAD_BYTES_MAX,
        headers_max: HEADERS_MAX,
        ..Limits::default()
    }
}

/// The connection of a case.
pub(super) fn facts(origin: &Origin, http2: bool) -> ConnectionFacts {
    let tags = origin.tags.iter();
    ConnectionFacts {
        id: 1,
        peer: origin.from,
        local: origin.to,
        listener: origin.listener.as_str().into(),
        scheme: if origin.is_https {
            Scheme::Https
        } else {
            Scheme::Http
        },
        http2,
        tls: None,
        proxy: None,
        accepted: Instant::now(),
        tags: tags
            .map(|(name, value)| (name.as_str().into(), value.clone()))
            .collect(),
        downstream_bytes: 0.into(),
        upstream_bytes: 0.into(),
    }
}

/// The exchange that begins with this request.
///
/// # Errors
/// Why the host refuses the request.
pub(super) fn exchange(request: &Request) -> Result<Box<Exchange>, String> {
    let facts = facts(&request.origin, request.protocol == Protocol::Http2);
    let mut exchange = Box::new(Exchange::new(Arc::new(facts)));
    (exchange.id, exchange.unique) = (EXCHANGE_ID, UNIQUE);
    let version = match request.protocol {
        Protocol::Http10 => "HTTP/1.0",
        Protocol::Http11 | Protocol::Http2 => "HTTP/1.1",
    };
    let start = format!("{} {} {version}", request.method, request.target);
    let host = ("host".to_owned(), request.host.clone().into_bytes());
    let headers = std::iter::once(&host).chain(&request.headers);
    let head = head(&start, headers, request.body.as_deref());
    match parse_request(&head, &limits(), &mut exchange.request) {
        Ok(Parsed::Complete { .. }) => Ok(exchange),
        Ok(Parsed::Partial) => Err("it is not complete".to_owned()),
        Err(bad) => Err(format!("{} {}", bad.status, bad.reason)),
    }
}

/// Makes this response the one that has arrived.
///
/// # Errors
/// Why the host refuses the response.
pub(super) fn put_response(exchange: &mut Exchange, response: &Response) -> Result<(), String> {
    let start = format!("HTTP/1.1 {} -", response.status);
    let body = response.body.as_deref();
    let may_have_body = !matches!(response.status, 204 | 304);
    let body = body.or(may_have_body.then_some(&b""[..]));
    let head = head(&start, response.headers.iter(), body);
    exchange.has_response = true;
    let method = exchange.request.method().to_owned();
    match parse_response(&head, &method, &limits(), &mut exchange.response) {
        Ok(Parsed::Complete { .. }) => Ok(()),
        Ok(Parsed::Partial) => Err("it is not complete".to_owned()),
        Err(bad) => Err(bad.reason.to_owned()),
    }
}

fn head<'h>(
    start: &str,
    headers: impl Iterator<Item = &'h (String, Vec<u8>)>,
    body: Option<&[u8]>,
) -> Vec<u8> {
    let mut head = Vec::new();
    let mut line = |parts: &[&[u8]]| {
        parts.iter().for_each(|part| head.extend_from_slice(part));
        head.extend_from_slice(b"\r\n");
    };
    line(&[start.as_bytes()]);
    for (name, value) in headers {
        line(&[name.as_bytes(), b": ", value]);
    }
    if let Some(body) = body {
        line(&[b"content-length: ", body.len().to_string().as_bytes()]);
    }
    line(&[]);
    head
}
