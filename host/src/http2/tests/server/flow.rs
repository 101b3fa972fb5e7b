//! Bodies under flow control, both ways.

use super::raw::{END_STREAM, GET, SETTINGS as SETTINGS_FRAME, frame};
use super::*;
use ::http::Request;
use std::future::poll_fn;

const MEBIBYTE: usize = 1 << 20;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

fn request(method: &str) -> Request<()> {
    let request = Request::builder().method(method).uri("http://a.test/");
    request.body(()).expect("valid")
}

/// A whole body, read and given back.
async fn read_body(mut body: h2::RecvStream) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.expect("data");
        whole.extend_from_slice(&data);
        body.flow_control()
            .release_capacity(data.len())
            .expect("is open");
    }
    whole
}

/// Sends as much as the peer allows, counting.
async fn send_body(mut sending: h2::SendStream<Bytes>, mut body: Bytes, sent: Rc<Cell<usize>>) {
    while !body.is_empty() {
        sending.reserve_capacity(body.len());
        let room = poll_fn(|cx| sending.poll_capacity(cx))
            .await
            .expect("is open")
            .expect("is open");
        sent.set(sent.get() + room);
        let piece = body.split_to(room);
        sending.send_data(piece, body.is_empty()).expect("is sent");
    }
}

#[tokio::test]
async fn a_mebibyte_passes_both_ways_in_each_framing() {
    on_worker(async {
        for chunked in [true, false] {
            let mut served = serve_tcp(SETTINGS, move |mut stream| async move {
                let mut text = Vec::new();
                stream.read_to_end(&mut text).await.expect("reads");
                let head = text
                    .windows(4)
                    .position(|bytes| bytes == b"\r\n\r\n")
                    .expect("a head")
                    + 4;
                let body = decoded(&text[head..], chunked);
                assert!(body == pattern(MEBIBYTE), "the request body changed");
                let framing = if chunked {
                    "Transfer-Encoding: chunked".into()
                } else {
                    format!("Content-Length: {}", body.len())
                };
                stream
                    .write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").as_bytes())
                    .await
                    .expect("is taken");
                for piece in body.chunks(10_000) {
                    let mut out = Vec::new();
                    if chunked {
                        crate::http::encode_chunk_head(piece.len(), &mut out);
                    }
                    out.extend_from_slice(piece);
                    out.extend_from_slice(if chunked { b"\r\n" } else { b"" });
                    stream.write_all(&out).await.expect("is taken");
                }
                stream
                    .write_all(if chunked { b"0\r\n\r\n" } else { b"" })
                    .await
                    .expect("is taken");
                stream.flush().await.expect("is taken");
            })
            .await;
            let mut client = served.client().await;
            let mut request = request("POST");
            if !chunked {
                request
                    .headers_mut()
                    .insert("content-length", MEBIBYTE.into());
            }
            let (response, sending) = client.send_request(request, false).expect("is sent");
            let sent = Rc::new(Cell::new(0));
            send_body(sending, pattern(MEBIBYTE).into(), sent).await;
            let response = response.await.expect("an answer");
            let body = read_body(response.into_body()).await;
            assert!(body == pattern(MEBIBYTE), "the response body changed");
        }
    })
    .await;
}

fn decoded(text: &[u8], chunked: bool) -> Vec<u8> {
    if !chunked {
        return text.to_vec();
    }
    let mut decoder = crate::http::ChunkedDecoder::new();
    let (mut body, mut at) = (Vec::new(), 0);
    while !decoder.is_done() {
        let step = decoder.decode(&text[at..]).expect("valid chunks");
        assert!(step.consumed > 0, "ends within its chunks");
        body.extend_from_slice(&text[at..][step.data]);
        at += step.consumed;
    }
    assert_eq!(at, text.len());
    body
}

/// What is taken from the spine for a downstream that does not read is its window, our buffer and one write.
#[tokio::test]
async fn a_downstream_that_does_not_read_holds_back_the_spine() {
    const WINDOW: u32 = 1000;
    on_worker(async {
        let taken = Rc::new(Cell::new(0));
        let counted = taken.clone();
        let mut served = serve(SETTINGS, move |mut stream| {
            let taken = counted.clone();
            async move {
                read_request(&mut stream, 4096).await.expect("a request");
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {MEBIBYTE}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.expect("is taken");
                let body = pattern(MEBIBYTE);
                while taken.get() < body.len() {
                    let count = stream.write(&body[taken.get()..]).await.expect("is taken");
                    taken.set(taken.get() + count);
                }
                stream.flush().await.expect("is taken");
            }
        })
        .await;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW);
        let mut client = served.client_with(&builder).await;
        let (response, _) = client.send_request(request("GET"), true).expect("is sent");
        let response = response.await.expect("an answer");
        served.settle().await;
        let held = taken.get();
        assert!(
            (1..=WINDOW as usize + 80 * 1024).contains(&held),
            "{held} bytes were taken"
        );
        let body = read_body(response.into_body()).await;
        assert!(body == pattern(MEBIBYTE), "the body changed");
        assert_eq!(taken.get(), MEBIBYTE);
    })
    .await;
}

/// A spine that does not read lets the peer fill its window and no more.
#[tokio::test]
async fn a_spine_that_does_not_read_holds_back_the_downstream() {
    on_worker(async {
        let go = Rc::new(tokio::sync::Notify::new());
        let gone = go.clone();
        let mut served = serve(SETTINGS, move |mut stream| {
            let go = gone.clone();
            async move {
                let mut head = [0; 8];
                stream.read_exact(&mut head).await.expect("reads");
                go.notified().await;
                let mut text = Vec::new();
                stream.read_to_end(&mut text).await.expect("reads");
                assert!(text.len() > MEBIBYTE);
                stream
                    .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                    .await
                    .expect("is taken");
            }
        })
        .await;
        let mut client = served.client().await;
        let (response, sending) = client
            .send_request(request("POST"), false)
            .expect("is sent");
        let sent = Rc::new(Cell::new(0));
        spawn_local(send_body(sending, pattern(MEBIBYTE).into(), sent.clone()));
        while sent.get() < SETTINGS.stream_window as usize {
            tokio::task::yield_now().await;
        }
        served.settle().await;
        assert_eq!(sent.get(), SETTINGS.stream_window as usize);
        go.notify_one();
        assert_eq!(response.await.expect("an answer").status(), 204);
        assert_eq!(sent.get(), MEBIBYTE);
    })
    .await;
}

/// The end of a body needs no window: a peer that has given exactly as much as the body is long need not give more.
#[tokio::test]
async fn the_end_of_a_body_waits_for_no_window() {
    on_worker(async {
        let mut served = serve(SETTINGS, |mut stream| async move {
            read_request(&mut stream, 4096).await.expect("a request");
            for part in [
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "5\r\nhello",
                "\r\n",
                "0\r\n",
                "x-a: 1\r\n\r\n",
            ] {
                stream.send(part.as_bytes()).await.expect("is taken");
                tokio::task::yield_now().await;
            }
        })
        .await;
        let mut raw = served.raw().await;
        raw.send(&frame(SETTINGS_FRAME, 0, 0, &[0, 4, 0, 0, 0, 5]))
            .await;
        raw.request(1, END_STREAM, &GET).await;
        assert_eq!(raw.summary(1).await, "HEADERS DATA(5) HEADERS+E");
    })
    .await;
}

/// Without any window a write stays pending, and giving up frees the stream.
#[tokio::test(start_paused = true)]
async fn a_downstream_without_window_is_left_to_the_timeouts_of_the_spine() {
    on_worker(async {
        let mut served = serve(SETTINGS, |mut stream| async move {
            read_request(&mut stream, 4096).await.expect("a request");
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
            stream.write_all(head).await.expect("is taken");
            let more = stream.write_all(b"5\r\nworld\r\n");
            let patience = std::time::Duration::from_secs(60);
            assert!(tokio::time::timeout(patience, more).await.is_err());
        })
        .await;
        let mut raw = served.raw().await;
        raw.send(&frame(SETTINGS_FRAME, 0, 0, &[0, 4, 0, 0, 0, 0]))
            .await;
        raw.request(1, END_STREAM, &GET).await;
        assert_eq!(raw.summary(1).await, "HEADERS RST(2)");
        served.settle().await;
        assert_eq!(served.open_streams.get(), 0);
    })
    .await;
}
