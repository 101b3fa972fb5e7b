//! Requests: frames to HTTP/1.1 text.

use super::*;
use ::http::{HeaderMap, HeaderName, HeaderValue, Request};
use tokio::sync::mpsc::unbounded_channel;

type Fields = &'static [(&'static str, &'static str)];

fn header_map(fields: Fields) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    map
}

/// What the spine reads, or the code of the reset.
async fn text_of(
    method: &str,
    uri: &str,
    fields: Fields,
    body: Option<(&'static str, Fields)>,
    piece: usize,
) -> Result<String, u32> {
    let (texts, mut received) = unbounded_channel();
    let mut served = serve(SETTINGS, move |mut stream| {
        let texts = texts.clone();
        async move {
            let text = read_request(&mut stream, piece).await.expect("a request");
            let _ = texts.send(text);
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .expect("is taken");
        }
    })
    .await;
    let mut client = served.client().await;
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .body(())
        .expect("valid");
    *request.headers_mut() = header_map(fields);
    let (response, mut sending) = client
        .send_request(request, body.is_none())
        .expect("is sent");
    if let Some((data, trailers)) = body {
        sending
            .send_data(Bytes::from_static(data.as_bytes()), trailers.is_empty())
            .expect("is sent");
        if !trailers.is_empty() {
            sending
                .send_trailers(header_map(trailers))
                .expect("are sent");
        }
    }
    match response.await {
        Ok(_) => {
            let text = received.recv().await.expect("was read");
            Ok(String::from_utf8(text).expect("is text"))
        }
        Err(error) => Err(error.reason().map_or(u32::MAX, u32::from)),
    }
}

/// A table row: method, target, fields, body with trailers, text. `\n` stands for CR LF.
type Row = (
    &'static str,
    &'static str,
    Fields,
    Option<(&'static str, Fields)>,
    &'static str,
);

#[tokio::test]
async fn requests_read_as_http_1_1() {
    let table: &[Row] = &[
        (
            "GET",
            "http://a.test/x?y=1",
            &[("accept", "*/*")],
            None,
            "GET /x?y=1 HTTP/1.1\nHost: a.test\naccept: */*\n\n",
        ),
        (
            "GET",
            "https://a.test:8443/",
            &[],
            None,
            "GET / HTTP/1.1\nHost: a.test:8443\n\n",
        ),
        (
            "HEAD",
            "http://a.test/",
            &[],
            None,
            "HEAD / HTTP/1.1\nHost: a.test\n\n",
        ),
        (
            "PURGE",
            "http://a.test/",
            &[],
            None,
            "PURGE / HTTP/1.1\nHost: a.test\n\n",
        ),
        (
            "OPTIONS",
            "http://a.test/*",
            &[],
            None,
            "OPTIONS /* HTTP/1.1\nHost: a.test\n\n",
        ),
        // Without a body.
        (
            "POST",
            "http://a.test/",
            &[],
            None,
            "POST / HTTP/1.1\nHost: a.test\nContent-Length: 0\n\n",
        ),
        (
            "PUT",
            "http://a.test/",
            &[("content-length", "0")],
            None,
            "PUT / HTTP/1.1\nHost: a.test\ncontent-length: 0\n\n",
        ),
        (
            "DELETE",
            "http://a.test/",
            &[],
            None,
            "DELETE / HTTP/1.1\nHost: a.test\n\n",
        ),
        // With one.
        (
            "POST",
            "http://a.test/",
            &[("content-length", "5")],
            Some(("hello", &[])),
            "POST / HTTP/1.1\nHost: a.test\ncontent-length: 5\n\nhello",
        ),
        (
            "POST",
            "http://a.test/",
            &[],
            Some(("hello", &[])),
            "POST / HTTP/1.1\nHost: a.test\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n",
        ),
        (
            "GET",
            "http://a.test/",
            &[],
            Some(("hello", &[])),
            "GET / HTTP/1.1\nHost: a.test\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n",
        ),
        (
            "POST",
            "http://a.test/",
            &[("expect", "100-continue")],
            Some(("hello, world!", &[])),
            "POST / HTTP/1.1\nHost: a.test\nexpect: 100-continue\nTransfer-Encoding: chunked\n\nd\nhello, world!\n0\n\n",
        ),
        // Trailers.
        (
            "POST",
            "http://a.test/",
            &[("te", "trailers")],
            Some(("hi", &[("x-sum", "1"), ("x-sum", "2")])),
            "POST / HTTP/1.1\nHost: a.test\nTE: trailers\nConnection: TE\nTransfer-Encoding: chunked\n\n2\nhi\n0\nx-sum: 1\nx-sum: 2\n\n",
        ),
        (
            "POST",
            "http://a.test/",
            &[("content-length", "2")],
            Some(("hi", &[("x-sum", "1")])),
            "POST / HTTP/1.1\nHost: a.test\ncontent-length: 2\n\nhi",
        ),
        // Cookies, and other lines that repeat.
        (
            "GET",
            "http://a.test/",
            &[
                ("cookie", "a=1"),
                ("x-a", "1"),
                ("cookie", "b=2"),
                ("x-a", "2"),
                ("cookie", "c=3"),
            ],
            None,
            "GET / HTTP/1.1\nHost: a.test\nx-a: 1\nx-a: 2\ncookie: a=1; b=2; c=3\n\n",
        ),
        // Hosts that agree, and that do not.
        (
            "GET",
            "http://a.test/",
            &[("host", "A.test:80")],
            None,
            "GET / HTTP/1.1\nHost: a.test\n\n",
        ),
        (
            "GET",
            "http://a.test/",
            &[("host", "b.test")],
            None,
            "GET / HTTP/1.1\nHost: a.test\nHost: b.test\n\n",
        ),
        (
            "GET",
            "http://user@a.test/",
            &[],
            None,
            "GET / HTTP/1.1\nHost: user@a.test\n\n",
        ),
        // A scheme that is neither is an absolute target, which the parser refuses.
        (
            "GET",
            "ftp://a.test/x",
            &[],
            None,
            "GET ftp://a.test/x HTTP/1.1\nHost: a.test\n\n",
        ),
        (
            "CONNECT",
            "a.test:443",
            &[],
            None,
            "CONNECT a.test:443 HTTP/1.1\nHost: a.test:443\n\n",
        ),
        (
            "CONNECT",
            "a.test:443",
            &[],
            Some(("early", &[])),
            "CONNECT a.test:443 HTTP/1.1\nHost: a.test:443\n\n",
        ),
    ];
    on_worker(async {
        for (method, uri, fields, body, expected) in table {
            for piece in [1, 7, 16 * 1024] {
                let text = text_of(method, uri, fields, *body, piece).await;
                let expected = expected.replace('\n', "\r\n");
                assert_eq!(text, Ok(expected), "{method} {uri} in pieces of {piece}");
            }
        }
    })
    .await;
}
