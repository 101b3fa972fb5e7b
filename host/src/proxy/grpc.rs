//! gRPC over the proxy: answers that are made here in the form that gRPC clients understand, and the deadline that they send.

use super::outcome::{Outcome, Stop};
use crate::http::{Exchange, RequestHead};
use std::time::Duration;

/// Whether a request is gRPC: `application/grpc`, `application/grpc+proto` and the like, not gRPC-Web.
pub(super) fn is_grpc(request: &RequestHead) -> bool {
    const TYPE: &[u8] = b"application/grpc";
    let Some(value) = request.fields().get(b"content-type") else {
        return false;
    };
    let starts = value
        .get(..TYPE.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(TYPE));
    starts && matches!(value.get(TYPE.len()), None | Some(b'+' | b';' | b' '))
}

/// Turns the response in the exchange, which is not the upstream's, into a gRPC answer without messages: 200 with the status in the head.
/// False where the request is no gRPC, or the response is one already; else the response has no body any more.
pub(super) fn answer(exchange: &mut Exchange, outcome: Outcome) -> bool {
    if !is_grpc(&exchange.request) || exchange.response.fields().contains(b"grpc-status") {
        return false;
    }
    let status = exchange.response.status();
    let code = code(status, outcome);
    let message = crate::http::head::usual_reason(status);
    if !exchange.response.set_status(200) {
        exchange.response.begin(200);
    }
    let fields = exchange.response.fields_mut();
    // Of these names and values none can be refused.
    let _ = fields.set(b"content-type", b"application/grpc");
    let _ = fields.set(b"grpc-status", code.to_string().as_bytes());
    let _ = fields.set(b"grpc-message", message.as_bytes());
    true
}

/// gRPC's own mapping of HTTP statuses (`http-grpc-status-mapping.md`), and more where the reason is known better than by its status.
fn code(status: u16, outcome: Outcome) -> u8 {
    const UNKNOWN: u8 = 2;
    const DEADLINE_EXCEEDED: u8 = 4;
    const PERMISSION_DENIED: u8 = 7;
    const RESOURCE_EXHAUSTED: u8 = 8;
    const UNIMPLEMENTED: u8 = 12;
    const INTERNAL: u8 = 13;
    const UNAVAILABLE: u8 = 14;
    const UNAUTHENTICATED: u8 = 16;
    match (outcome, status) {
        (Outcome::Stopped(Stop::ResponseTimeout | Stop::BodyTimeout), _) => DEADLINE_EXCEEDED,
        (_, 400) => INTERNAL,
        (_, 401) => UNAUTHENTICATED,
        (_, 403) => PERMISSION_DENIED,
        (_, 404) => UNIMPLEMENTED,
        (_, 413) => RESOURCE_EXHAUSTED,
        (_, 429 | 502 | 503 | 504) => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// How long the client waits (`grpc-timeout`: up to eight digits and a unit). None for another request, or a value that means nothing.
pub(super) fn deadline(request: &RequestHead) -> Option<Duration> {
    let value = request.fields().get(b"grpc-timeout")?;
    if !is_grpc(request) {
        return None;
    }
    let (unit, digits) = value.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits
        .iter()
        .fold(0_u64, |count, digit| count * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(count * 3600)),
        b'M' => Some(Duration::from_secs(count * 60)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Limits, parse_request};

    fn request(headers: &str) -> RequestHead {
        let text = format!("POST /s/m HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let mut head = RequestHead::new();
        parse_request(text.as_bytes(), &Limits::default(), &mut head).expect("valid");
        head
    }

    #[test]
    fn grpc_is_told_by_its_type() {
        for (value, expected) in [
            ("application/grpc", true),
            ("Application/gRPC+proto", true),
            ("application/grpc; charset=x", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let head = request(&format!("Content-Type: {value}\r\n"));
            assert_eq!(is_grpc(&head), expected, "{value}");
        }
        assert!(!is_grpc(&request("")));
    }

    #[test]
    fn deadlines_have_a_unit() {
        for (value, expected) in [
            ("5S", Some(Duration::from_secs(5))),
            ("100m", Some(Duration::from_millis(100))),
            ("2H", Some(Duration::from_secs(7200))),
            ("3M", Some(Duration::from_secs(180))),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("123456789S", None),
            ("5", None),
            ("S", None),
            ("+5S", None),
            ("5s", None),
        ] {
            let head = request(&format!(
                "Content-Type: application/grpc\r\ngrpc-timeout: {value}\r\n"
            ));
            assert_eq!(deadline(&head), expected, "{value}");
        }
        assert_eq!(deadline(&request("grpc-timeout: 5S\r\n")), None);
    }

    #[test]
    fn statuses_have_their_grpc_code() {
        let timeout = Outcome::Stopped(Stop::ResponseTimeout);
        assert_eq!(code(504, timeout), 4);
        let none = Outcome::Stopped(Stop::NoEndpoint);
        for (status, expected) in [
            (400, 13),
            (401, 16),
            (403, 7),
            (404, 12),
            (413, 8),
            (503, 14),
            (504, 14),
            (500, 2),
            (302, 2),
        ] {
            assert_eq!(code(status, none), expected, "{status}");
        }
    }
}
