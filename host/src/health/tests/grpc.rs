//! The gRPC probe against a hyper HTTP/2 server.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::Prober;
use super::{is_closed_when_dropped, listen, local, probe_and, probe_deaf, prober, words};
use crate::config::Probe;

pub(super) type Fields = &'static [(&'static str, &'static str)];

/// What a server answers: status, fields of the head, body, fields of the trailers.
#[derive(Clone, Copy)]
pub(super) struct Answer(
    pub(super) u16,
    pub(super) Fields,
    pub(super) &'static [u8],
    pub(super) Fields,
);

pub(super) const GRPC: Fields = &[("content-type", "application/grpc")];
pub(super) const OK: Fields = &[("grpc-status", "0")];
pub(super) const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

fn probe(service: &str) -> Prober {
    prober(Probe::Grpc {
        service: service.to_owned(),
    })
}

fn map(fields: Fields) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    };
    fields.iter().map(pair).collect()
}

/// Answers the calls of one connection; gives whether it ended without an error, and the last call's head and body.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    answer: Answer,
) -> (bool, Option<(String, Vec<u8>)>) {
    let seen = Arc::new(Mutex::new(None));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let head = format!(
                "{} {} {:?}",
                request.method(),
                request.uri(),
                request.headers()
            );
            let body = request.into_body().collect().await.expect("it is whole");
            let call = (head, body.to_bytes().to_vec());
            *seen.lock().expect("no test panics here") = Some(call);
            let Answer(status, head, body, trailers) = answer;
            let trailers = (!trailers.is_empty()).then(|| Ok(map(trailers)));
            let body = Full::new(Bytes::from_static(body)).with_trailers(async { trailers });
            let mut response = Response::new(body);
            *response.status_mut() = status.try_into().expect("a status");
            *response.headers_mut() = map(head);
            Ok::<_, Infallible>(response)
        }
    });
    let connection =
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    let clean = connection.await.is_ok();
    (clean, seen.lock().expect("no test panics here").take())
}

async fn check(answer: Answer) -> String {
    let (result, _) = probe_and(&probe(""), |stream| serve(stream, answer)).await;
    words(result)
}

#[tokio::test]
async fn only_serving_passes() {
    let cases: [(&[u8], &str); 6] = [
        (SERVING, "passed: grpc status SERVING"),
        (&[0, 0, 0, 0, 2, 8, 2], "grpc status NOT_SERVING"),
        (&[0, 0, 0, 0, 2, 8, 3], "grpc status SERVICE_UNKNOWN"),
        (&[0, 0, 0, 0, 2, 8, 0], "grpc status UNKNOWN"),
        // The default is not sent.
        (&[0, 0, 0, 0, 0], "grpc status UNKNOWN"),
        (&[0, 0, 0, 0, 2, 8, 9], "grpc status 9"),
    ];
    for (body, expected) in cases {
        let body = Bytes::from_static(body).to_vec().leak();
        for trailers in [OK, &[]] {
            assert_eq!(check(Answer(200, GRPC, body, trailers)).await, expected);
        }
    }
}

#[tokio::test]
async fn a_call_that_failed_fails_in_head_and_trailers() {
    const UNIMPLEMENTED: Fields = &[
        ("content-type", "application/grpc+proto"),
        ("grpc-status", "12"),
        ("grpc-message", "unknown service grpc%2ehealth%zz%0A"),
    ];
    let cases = [
        (
            Answer(200, UNIMPLEMENTED, b"", &[]),
            "grpc status UNIMPLEMENTED: unknown service grpc.health%zz\u{fffd}",
        ),
        (
            Answer(200, GRPC, SERVING, &[("grpc-status", "14")]),
            "grpc status UNAVAILABLE",
        ),
        (
            Answer(200, GRPC, b"", &[("grpc-status", "5")]),
            "grpc status NOT_FOUND",
        ),
        (
            Answer(200, GRPC, b"", &[("grpc-status", "99")]),
            "grpc status 99",
        ),
    ];
    for (answer, expected) in cases {
        assert_eq!(check(answer).await, expected);
    }
}

#[tokio::test]
async fn what_is_no_answer_says_so() {
    let cases = [
        (Answer(503, &[], b"", &[]), "status 503"),
        (
            Answer(200, &[("content-type", "text/html")], b"<html>", &[]),
            "not a valid gRPC answer: content-type \"text/html\"",
        ),
        (
            Answer(200, &[], SERVING, &[]),
            "not a valid gRPC answer: content-type \"\"",
        ),
        (
            Answer(200, GRPC, b"", OK),
            "not a valid gRPC answer: no message",
        ),
        (
            Answer(200, GRPC, &[1, 0, 0, 0, 2, 8, 1], OK),
            "not a valid gRPC answer: the message is compressed",
        ),
        (
            Answer(200, GRPC, &[0, 0, 0, 0, 3, 8, 1], OK),
            "not a valid gRPC answer: not exactly one message",
        ),
        (
            Answer(200, GRPC, &[0, 0, 0, 0, 1, 8, 1], OK),
            "not a valid gRPC answer: not exactly one message",
        ),
        (
            Answer(200, GRPC, &[0, 0, 0, 0, 1, 8], OK),
            "not a valid gRPC answer: failed to decode Protobuf message: ",
        ),
    ];
    for (answer, expected) in cases {
        let found = check(answer).await;
        assert!(found.starts_with(expected), "{found}");
    }
}

#[tokio::test]
async fn the_call_names_the_service_and_ends_cleanly() {
    let (listener, target) = listen().await;
    let prober = probe("shop");
    let endpoint = async {
        let (stream, _) = listener.accept().await.expect("the check connects");
        serve(stream, Answer(200, GRPC, SERVING, OK)).await
    };
    let checked = async { tokio::join!(prober.probe(&target), endpoint) };
    let (result, (clean, call)) = local(checked).await;
    assert_eq!(words(result), "passed: grpc status SERVING");
    assert!(clean, "the connection was closed in order");
    let (head, body) = call.expect("a call was made");
    let path = format!("POST http://{}/grpc.health.v1.Health/Check ", target.label);
    for expected in [
        &path,
        r#""te": "trailers""#,
        r#""content-type": "application/grpc""#,
        r#""user-agent": "tollgate-health-check""#,
    ] {
        assert!(head.contains(expected), "{expected} in {head}");
    }
    assert_eq!(body, b"\0\0\0\0\x06\x0a\x04shop");
}

/// A frame on the wire, as RFC 9113, section 4.1.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("short");
    let head = [0, 0, length, kind, flags, 0, 0, 0, stream];
    [&head, payload].concat()
}

/// A header field in full, as RFC 7541, section 6.2.2.
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| vec![u8::try_from(text.len()).expect("short")];
    let text = |text: &str| [length(text), text.into()].concat();
    [vec![0], text(name), text(value)].concat()
}

#[tokio::test]
async fn the_connection_ends_with_a_goodbye() {
    const SETTINGS: u8 = 4;
    const HEADERS: u8 = 1;
    const GOAWAY: u8 = 7;
    let (result, end) = probe_and(&probe("shop"), |mut stream| async move {
        let mut received = Vec::new();
        while !received.ends_with(b"shop") {
            received.push(stream.read_u8().await?);
        }
        let status_200 = vec![0x88];
        let call = field("grpc-status", "5");
        let block = [status_200, field("content-type", "application/grpc"), call].concat();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
        stream.write_all(&frame(HEADERS, 5, 1, &block)).await?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.map(|_| rest)
    })
    .await;
    assert_eq!(words(result), "grpc status NOT_FOUND");
    let rest = end.expect("it ends without a reset");
    let goodbye = frame(GOAWAY, 0, 0, &[0; 8]);
    assert!(rest.ends_with(&goodbye), "{rest:?}");
}

#[tokio::test]
async fn an_endpoint_that_does_not_speak_http2_fails_at_once() {
    let refused = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
    let (result, ()) = probe_and(&probe(""), |mut stream| async move {
        let _ = stream.write_all(refused).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let found = words(result);
    assert!(found.starts_with("not a valid HTTP/2 answer: "), "{found}");

    for _ in 0..20 {
        let (result, ()) = probe_and(&probe(""), |mut stream| async move {
            let _ = stream.read(&mut [0; 4096]).await;
        })
        .await;
        assert_eq!(words(result), "connection closed before the answer");

        let (result, ()) = probe_and(&probe(""), |stream| async { drop(stream) }).await;
        assert_eq!(words(result), "connection closed before the answer");
    }
}

#[tokio::test]
async fn a_refused_connection_is_named() {
    let (listener, target) = listen().await;
    drop(listener);
    let result = probe("").probe(&target).await;
    assert_eq!(words(result), "connection refused");
}

#[tokio::test(start_paused = true)]
async fn a_deaf_endpoint_times_out() {
    let service = String::new();
    let (result, took) = probe_deaf(Probe::Grpc { service }, b"").await;
    assert_eq!(words(result), "no answer within 1s");
    assert_eq!(took.as_millis() / 10, 100);
}

#[tokio::test]
async fn a_dropped_check_closes_its_connection() {
    let service = String::new();
    assert!(is_closed_when_dropped(Probe::Grpc { service }).await);
}
