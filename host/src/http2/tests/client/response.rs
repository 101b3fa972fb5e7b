//! Responses, from frames to HTTP/1.1 text.

use super::raw::{self, DATA, END_HEADERS, END_STREAM, HEADERS, STATUS_200, STATUS_204, block};
use super::{exchange, open, read_to_end, within_worker};
use std::future::poll_fn;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";

/// One frame of an answer: kind, flags, payload.
type Part = (u8, u8, Vec<u8>);

fn head(start: &[u8], lines: &[(&str, &str)]) -> Part {
    (HEADERS, END_HEADERS, block(start, lines))
}

fn last(mut part: Part) -> Part {
    part.1 |= END_STREAM;
    part
}

fn data(text: &str) -> Part {
    (DATA, 0, text.as_bytes().to_vec())
}

/// The answer of a peer that sends these frames.
async fn answered(request: &str, parts: &[Part], piece: usize) -> io::Result<String> {
    let (connection, mut raw) = raw::connect(&[]).await;
    let answer = async {
        raw.next_of(HEADERS).await;
        for (kind, flags, payload) in parts {
            raw.send(*kind, *flags, 1, payload).await;
        }
        // The connection stays until the answer has been read, and goes on being read from.
        while raw.next().await.is_some() {}
    };
    let read = async {
        let answer = exchange(&connection, request.as_bytes(), piece).await;
        connection.close();
        answer
    };
    let (answer, ()) = tokio::join!(read, answer);
    answer
}

#[tokio::test]
async fn an_answer_means_the_same_in_text() {
    let status = |status| (":status", status);
    let table: Vec<(&str, Vec<Part>, &str)> = vec![
        (
            GET,
            vec![
                head(STATUS_200, &[("content-length", "5"), ("x", "1")]),
                last(data("hello")),
            ],
            "HTTP/1.1 200 OK\r\nx: 1\r\nContent-Length: 5\r\n\r\nhello",
        ),
        (
            GET,
            vec![
                head(STATUS_200, &[("content-length", "5")]),
                data("he"),
                data(""),
                data("llo"),
                last(data("")),
            ],
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ),
        (
            GET,
            vec![
                head(STATUS_200, &[]),
                data("hello"),
                last(data("0123456789abcdef")),
            ],
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
        ),
        (
            GET,
            vec![
                head(STATUS_200, &[]),
                data("a"),
                last(head(&[], &[("grpc-status", "0"), ("x", "y")])),
            ],
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\ngrpc-status: 0\r\nx: y\r\n\r\n",
        ),
        (
            GET,
            vec![last(head(STATUS_200, &[("grpc-status", "5")]))],
            "HTTP/1.1 200 OK\r\ngrpc-status: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            GET,
            vec![
                head(STATUS_200, &[("content-length", "1")]),
                data("a"),
                last(head(&[], &[("x", "y")])),
            ],
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
        ),
        (
            GET,
            vec![last(head(STATUS_200, &[("content-length", "0")]))],
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            GET,
            vec![last(head(STATUS_204, &[]))],
            "HTTP/1.1 204 No Content\r\n\r\n",
        ),
        (
            GET,
            vec![last(head(
                &[],
                &[status("304"), ("content-length", "9"), ("etag", "\"a\"")],
            ))],
            "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\nContent-Length: 9\r\n\r\n",
        ),
        (
            HEAD,
            vec![last(head(STATUS_200, &[("content-length", "9")]))],
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        ),
        (
            HEAD,
            vec![head(STATUS_200, &[]), last(data(""))],
            "HTTP/1.1 200 OK\r\n\r\n",
        ),
        (
            GET,
            vec![
                head(&[], &[status("103"), ("link", "</a>")]),
                head(&[], &[status("102")]),
                last(head(&[], &[status("599"), ("content-length", "0")])),
            ],
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
             HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n",
        ),
        (
            GET,
            vec![last(head(
                STATUS_200,
                &[
                    ("set-cookie", "a"),
                    ("set-cookie", "b"),
                    ("content-length", "0"),
                    ("content-length", "0"),
                ],
            ))],
            "HTTP/1.1 200 OK\r\nset-cookie: a\r\nset-cookie: b\r\nContent-Length: 0\r\n\r\n",
        ),
    ];
    within_worker(async {
        for (request, parts, expected) in table {
            for piece in [1, 2, 1000] {
                let text = answered(request, &parts, piece).await.expect("valid");
                assert_eq!(text, expected, "in pieces of {piece}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_response_must_not_hold_fails_it_as_invalid() {
    let status = |status| (":status", status);
    let table: Vec<(&str, Vec<Part>)> = vec![
        (
            "connection",
            vec![last(head(STATUS_200, &[("connection", "close")]))],
        ),
        (
            "keep-alive",
            vec![last(head(STATUS_200, &[("keep-alive", "1")]))],
        ),
        (
            "transfer-encoding",
            vec![last(head(STATUS_200, &[("transfer-encoding", "chunked")]))],
        ),
        ("upgrade", vec![last(head(STATUS_200, &[("upgrade", "x")]))]),
        ("upper case", vec![last(head(STATUS_200, &[("X", "1")]))]),
        (
            "line feed in a value",
            vec![last(head(STATUS_200, &[("x", "a\nb: c")]))],
        ),
        (
            "carriage return in a value",
            vec![last(head(STATUS_200, &[("x", "a\rb")]))],
        ),
        (
            "NUL in a value",
            vec![last(head(STATUS_200, &[("x", "a\0b")]))],
        ),
        (
            "blank in front",
            vec![last(head(STATUS_200, &[("x", " a")]))],
        ),
        (
            "blank behind",
            vec![last(head(STATUS_200, &[("x", "a\t")]))],
        ),
        (
            "blank in a name",
            vec![last(head(STATUS_200, &[("x y", "a")]))],
        ),
        ("no status", vec![last(head(&[], &[("x", "a")]))]),
        ("status beyond 599", vec![last(head(&[], &[status("600")]))]),
        ("101", vec![head(&[], &[status("101")])]),
        (
            "blank in an interim head",
            vec![head(&[], &[status("103"), ("x", " ")])],
        ),
        (
            "no number",
            vec![head(STATUS_200, &[("content-length", "x")])],
        ),
        (
            "two lengths",
            vec![head(
                STATUS_200,
                &[("content-length", "1"), ("content-length", "2")],
            )],
        ),
        (
            "signed length",
            vec![head(STATUS_200, &[("content-length", "+1")])],
        ),
        (
            "too short",
            vec![
                head(STATUS_200, &[("content-length", "3")]),
                last(data("ab")),
            ],
        ),
        (
            "empty",
            vec![last(head(STATUS_200, &[("content-length", "3")]))],
        ),
        (
            "too long",
            vec![
                head(STATUS_200, &[("content-length", "3")]),
                last(data("abcd")),
            ],
        ),
        (
            "short with trailers",
            vec![
                head(STATUS_200, &[("content-length", "3")]),
                data("a"),
                last(head(&[], &[("x", "y")])),
            ],
        ),
        (
            "blank in a trailer",
            vec![head(STATUS_200, &[]), last(head(&[], &[("x", "y ")]))],
        ),
        (
            "trailers that do not end",
            vec![head(STATUS_200, &[]), data("a"), head(&[], &[("x", "y")])],
        ),
        (
            "too large",
            vec![last(head(STATUS_200, &[("x", "v"); 1000]))],
        ),
        ("data before the head", vec![data("a")]),
    ];
    within_worker(async {
        for (what, parts) in table {
            let failed = answered(GET, &parts, 1000).await;
            let error = failed.expect_err(what);
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{what}: {error}");
        }
    })
    .await;
}

#[tokio::test]
async fn head_and_end_of_a_trailers_only_answer_come_in_one_read() {
    within_worker(async {
        let (connection, mut raw) = raw::connect(&[]).await;
        let mut stream = open(&connection);
        stream.write_all(GET.as_bytes()).await.expect("sent");
        raw.next_of(HEADERS).await;
        let head = block(STATUS_200, &[("grpc-status", "7")]);
        raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &head).await;
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).await.expect("an answer");
        assert!(buffer[..count].ends_with(b"\r\n\r\n0\r\n\r\n"));
    })
    .await;
}

#[tokio::test]
async fn an_interim_answer_is_read_before_there_is_a_final_one() {
    within_worker(async {
        let (connection, mut raw) = raw::connect(&[]).await;
        let mut stream = open(&connection);
        let head =
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        stream.write_all(head).await.expect("sent");
        raw.next_of(HEADERS).await;
        let interim = block(&[], &[(":status", "100")]);
        raw.send(HEADERS, END_HEADERS, 1, &interim).await;
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).await.expect("an answer");
        assert_eq!(&buffer[..count], b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"ok").await.expect("sent");
        let body = raw.next_of(DATA).await;
        assert_eq!((&body.payload[..], body.flags), (&b"ok"[..], END_STREAM));
        raw.send(HEADERS, END_HEADERS | END_STREAM, 1, STATUS_204)
            .await;
        let rest = read_to_end(&mut stream, 99).await.expect("an answer");
        assert_eq!(rest, "HTTP/1.1 204 No Content\r\n\r\n");
    })
    .await;
}

#[tokio::test]
async fn a_peek_takes_nothing_and_sees_the_end() {
    within_worker(async {
        let (connection, mut raw) = raw::connect(&[]).await;
        let mut stream = open(&connection);
        assert!(!stream.is_stale());
        stream.write_all(GET.as_bytes()).await.expect("sent");
        assert!(stream.is_stale() && !stream.is_read_closed());
        raw.next_of(HEADERS).await;
        raw.send(HEADERS, END_HEADERS | END_STREAM, 1, STATUS_204)
            .await;
        stream.readable().await.expect("never fails");
        assert!(!poll_fn(|cx| stream.poll_closed(cx)).await);
        let text = read_to_end(&mut stream, 99).await.expect("an answer");
        assert_eq!(text, "HTTP/1.1 204 No Content\r\n\r\n");
        assert!(poll_fn(|cx| stream.poll_closed(cx)).await);
        assert!(stream.is_read_closed());
    })
    .await;
}
