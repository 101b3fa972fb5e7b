//! The gRPC probe: `grpc.health.v1.Health/Check` over HTTP/2 (grpc/grpc, `doc/health-checking.md`; framing as in
//! `doc/PROTOCOL-HTTP2.md`).

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use prost::Message;

use super::deadline::Deadline;
use super::exchange::read_body;
use super::failure::printable;
use super::http::AGENT;
use super::http2::{self, PROTOCOL};
use super::target::{Spoken, authority};
use super::{Failure, Passed, Stage};

const PATH: &str = "/grpc.health.v1.Health/Check";

/// Before each message: whether it is compressed, and its length in four bytes, the highest first.
const PREFIX_BYTES: usize = 5;

#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    status: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

#[derive(Debug)]
pub(super) struct GrpcProber {
    message: Bytes,
}

impl GrpcProber {
    pub(super) fn new(service: &str) -> GrpcProber {
        let service = service.to_owned();
        let message = frame(&HealthCheckRequest { service });
        GrpcProber { message }
    }

    pub(super) async fn probe(
        &self,
        spoken: Spoken<'_>,
        deadline: &Deadline,
    ) -> Result<Passed, Failure> {
        let request = self.request(&spoken)?;
        let judge = |response| judge(response, deadline);
        http2::exchange(spoken.stream, request, deadline, judge).await
    }

    fn request(&self, spoken: &Spoken<'_>) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::new(Full::new(self.message.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = spoken.uri(authority(spoken.label), PATH)?;
        let headers = request.headers_mut();
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        Ok(request)
    }
}

async fn judge(response: Response<Incoming>, deadline: &Deadline) -> Result<Passed, Failure> {
    if response.status() != StatusCode::OK {
        return Err(Failure::Status(response.status().as_u16()));
    }
    check_content_type(response.headers())?;
    // A call that fails before its first message says so here and sends nothing more.
    check_call(response.headers())?;
    let mut body = response.into_body();
    let body = deadline.bound(Stage::Body, read_body(&mut body)).await?;
    let (bytes, trailers) =
        body.map_err(|error| Failure::from_http(&error, PROTOCOL, Stage::Body))?;
    check_call(&trailers)?;
    match serving_status(&bytes)? {
        Ok(ServingStatus::Serving) => Ok(deadline.passed("grpc status SERVING".to_owned())),
        Ok(other) => Err(Failure::Grpc(status_word(other).to_owned())),
        Err(number) => Err(Failure::Grpc(number.to_string())),
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let found = headers
        .get(CONTENT_TYPE)
        .map_or(&b""[..], HeaderValue::as_bytes);
    if found.starts_with(b"application/grpc") {
        return Ok(());
    }
    let found = String::from_utf8_lossy(found);
    Err(malformed(format!("content-type {found:?}")))
}

/// Whether a head or trailers say that the call failed. Without a status nothing is said: then the message decides.
fn check_call(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(code) = headers.get("grpc-status") else {
        return Ok(());
    };
    if code.as_bytes() == b"0" {
        return Ok(());
    }
    let code = String::from_utf8_lossy(code.as_bytes());
    let word = code_word(&code).unwrap_or(&code);
    let text = match headers.get("grpc-message") {
        Some(message) => format!("{word}: {}", percent_decoded(message.as_bytes())),
        None => word.to_owned(),
    };
    Err(Failure::Grpc(printable(&text)))
}

/// The status in the only message of a body, or its number if the protocol knew none such when this was written.
fn serving_status(body: &[u8]) -> Result<Result<ServingStatus, i32>, Failure> {
    let Some((prefix, message)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(malformed("no message".to_owned()));
    };
    let [compressed, length @ ..] = *prefix;
    if compressed != 0 {
        return Err(malformed("the message is compressed".to_owned()));
    }
    if u32::from_be_bytes(length) as usize != message.len() {
        return Err(malformed("not exactly one message".to_owned()));
    }
    let response =
        HealthCheckResponse::decode(message).map_err(|error| malformed(error.to_string()))?;
    Ok(ServingStatus::try_from(response.status).map_err(|_| response.status))
}

fn frame(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    // A service name of 4 GiB cannot come out of a configuration file; cut short, the endpoint would refuse it.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let prefix = length.to_be_bytes();
    [&[0][..], &prefix[..], &message[..]].concat().into()
}

fn malformed(reason: String) -> Failure {
    Failure::Protocol {
        protocol: "gRPC",
        reason: printable(&reason),
    }
}

fn status_word(status: ServingStatus) -> &'static str {
    match status {
        ServingStatus::Unknown => "UNKNOWN",
        ServingStatus::Serving => "SERVING",
        ServingStatus::NotServing => "NOT_SERVING",
        ServingStatus::ServiceUnknown => "SERVICE_UNKNOWN",
    }
}

/// The name of a status code (grpc/grpc, `doc/statuscodes.md`); `None` for a number without one.
fn code_word(code: &str) -> Option<&'static str> {
    const WORDS: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    WORDS.get(code.parse::<usize>().ok()?).copied()
}

/// As `grpc-message` is encoded; what is no escape stays as it is.
fn percent_decoded(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        match escaped.and_then(hex_byte) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let value = digits
        .iter()
        .try_fold(0, |sum, d| Some(sum * 16 + digit(d)?))?;
    u8::try_from(value).ok()
}
