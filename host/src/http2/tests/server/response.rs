//! Responses: HTTP/1.1 text to frames.

use super::raw::{END_STREAM, GET};
use super::*;
use ::http::Request;
use std::future::poll_fn;

/// How the frames look, for a response that is written whole and byte by byte.
#[tokio::test]
async fn responses_leave_as_frames() {
    let table: &[(&str, &'static str, &str, &str)] = &[
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HEADERS DATA(5)+E",
            "HEADERS DATA(5)+E",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HEADERS+E",
            "HEADERS+E",
        ),
        (
            "GET",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HEADERS+E",
            "HEADERS+E",
        ),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            "HEADERS+E",
            "HEADERS+E",
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            "HEADERS+E",
            "HEADERS+E",
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HEADERS+E",
            "HEADERS+E",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
            "HEADERS DATA(11)+E",
            "HEADERS DATA(11)+E",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
            "HEADERS DATA(5) HEADERS+E",
            "HEADERS DATA(5) HEADERS+E",
        ),
        // Trailers only, as gRPC has them: whole if it came whole.
        (
            "POST",
            "HTTP/1.1 200 OK\r\nGrpc-Status: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HEADERS+E",
            "HEADERS DATA(0)+E",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx-sum: 1\r\n\r\n",
            "HEADERS HEADERS+E",
            "HEADERS HEADERS+E",
        ),
        // Interim answers.
        (
            "GET",
            "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            "HEADERS HEADERS+E",
            "HEADERS HEADERS+E",
        ),
        (
            "GET",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            "HEADERS HEADERS HEADERS DATA(1)+E",
            "HEADERS HEADERS HEADERS DATA(1)+E",
        ),
        // Nothing that an answer may be.
        (
            "GET",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            "RST(8)",
            "RST(8)",
        ),
        ("GET", "HTTP/2 200\r\n\r\n", "RST(8)", "RST(8)"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "RST(8)",
            "RST(8)",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx",
            "HEADERS RST(2)",
            "HEADERS RST(2)",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1",
            "HEADERS RST(2)",
            "HEADERS RST(2)",
        ),
        // The end of the connection is the end of the body; a drop is not.
        (
            "GET",
            "HTTP/1.1 200 OK\r\n\r\nuntil close",
            "HEADERS RST(2)",
            "HEADERS RST(2)",
        ),
    ];
    on_worker(async {
        for (method, response, whole, in_bytes) in table {
            for (piece, expected) in [(usize::MAX, whole), (1, in_bytes)] {
                let mut served = serve(SETTINGS, move |mut stream| async move {
                    read_request(&mut stream, 4096).await.expect("a request");
                    // What cannot be sent is what is tested.
                    let _ = write_pieces(&mut stream, response.as_bytes(), piece).await;
                })
                .await;
                let mut raw = served.raw().await;
                let mut fields = GET;
                fields[0].1 = method;
                raw.request(1, END_STREAM, &fields).await;
                let found = raw.summary(1).await;
                // A reset drops what was not sent yet.
                let found = found
                    .replace("DATA(1) RST", "RST")
                    .replace("DATA(11) RST", "RST");
                let found = if found == "RST(2)" {
                    "HEADERS RST(2)".into()
                } else {
                    found
                };
                assert_eq!(found, *expected, "{response:?} in pieces of {piece}");
            }
        }
    })
    .await;
}

/// The parts of a response as a client sees them, one a line.
async fn received(method: &str, response: &'static str, piece: usize) -> String {
    let mut served = serve(SETTINGS, answering(response, piece)).await;
    let mut client = served.client().await;
    let request = Request::builder()
        .method(method)
        .uri("http://a.test/")
        .body(());
    let sent = client.send_request(request.expect("valid"), true);
    let (mut response, _) = sent.expect("is sent");
    let mut lines = Vec::new();
    while let Some(interim) = poll_fn(|cx| response.poll_informational(cx)).await {
        let interim = interim.expect("an interim answer");
        lines.push(format!(
            "{} {}",
            interim.status().as_u16(),
            fields(interim.headers())
        ));
    }
    let response = response.await.expect("an answer");
    lines.push(format!(
        "{} {}",
        response.status().as_u16(),
        fields(response.headers())
    ));
    let mut body = response.into_body();
    let mut whole = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.expect("data");
        let _ = body.flow_control().release_capacity(data.len());
        whole.extend_from_slice(&data);
    }
    lines.push(String::from_utf8(whole).expect("is text"));
    if let Some(trailers) = body.trailers().await.expect("an end") {
        lines.push(fields(&trailers));
    }
    lines.join("\n")
}

fn fields(map: &::http::HeaderMap) -> String {
    let lines = map
        .iter()
        .map(|(name, value)| format!("{name}={}", value.to_str().expect("is text")));
    lines.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn clients_read_what_was_written() {
    let table: &[(&str, &'static str, &str)] = &[
        (
            "GET",
            "HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello",
            "200 x-a=1 x-a=2 content-length=5\nhello",
        ),
        (
            "GET",
            "HTTP/1.1 599 Whatever it is\r\nContent-Length: 0\r\n\r\n",
            "599 content-length=0\n",
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
            "200 content-length=99\n",
        ),
        (
            "GET",
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            "204 \n",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nConnection: close, x-b\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nX-B: 1\r\nServer: s\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n",
            "200 server=s\nhi\nx-sum=1 x-sum=2",
        ),
        (
            "GET",
            "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
            "426 content-length=0\n",
        ),
        (
            "GET",
            "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <b>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "103 link=<a>\n103 link=<b>\n200 content-length=2\nok",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
            "200 set-cookie=a set-cookie=b content-length=0\n",
        ),
    ];
    on_worker(async {
        for (method, response, expected) in table {
            for piece in [1, 5, usize::MAX] {
                let found = received(method, response, piece).await;
                assert_eq!(found, *expected, "{response:?} in pieces of {piece}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_ends_a_body_that_ends_with_its_connection() {
    on_worker(async {
        let mut served = serve(SETTINGS, |mut stream| async move {
            read_request(&mut stream, 4096).await.expect("a request");
            stream
                .write_all(b"HTTP/1.1 200 OK\r\n\r\nall")
                .await
                .expect("is taken");
            stream.shutdown().await.expect("ends");
        })
        .await;
        let mut raw = served.raw().await;
        raw.request(1, END_STREAM, &GET).await;
        assert_eq!(raw.summary(1).await, "HEADERS DATA(3)+E");
    })
    .await;
}

#[tokio::test]
async fn bytes_behind_a_whole_response_are_refused() {
    on_worker(async {
        let mut served = serve(SETTINGS, |mut stream| async move {
            read_request(&mut stream, 4096).await.expect("a request");
            let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            stream.write_all(response).await.expect("is taken");
            let behind = stream.write_all(response).await;
            assert_eq!(
                behind.map_err(|error| error.kind()),
                Err(std::io::ErrorKind::InvalidData)
            );
        })
        .await;
        let mut raw = served.raw().await;
        raw.request(1, END_STREAM, &GET).await;
        assert_eq!(raw.summary(1).await, "HEADERS DATA(2)+E");
    })
    .await;
}
