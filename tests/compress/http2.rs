//! Compressed bodies on HTTP/2, with a client of other people's making.

use super::{CODINGS, TEXT, compressing, decode, serving, text};
use crate::harness::{Gate, Origin};
use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use std::future::Future;
use std::net::SocketAddr;
use tokio::net::TcpStream;

type Sender = SendRequest<bytes::Bytes>;

/// Runs `work` with a connection that begins with HTTP/2 in the clear.
fn with_connection<W: Future<Output = ()>>(address: SocketAddr, work: impl FnOnce(Sender) -> W) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("an event loop");
    runtime.block_on(async {
        let stream = TcpStream::connect(address).await.expect("it listens");
        let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        let work = tokio::time::timeout(crate::harness::PATIENCE, work(sender));
        work.await.expect("it ends");
    });
}

/// Asks for `path`, with a wish for this coding.
async fn ask(sender: &Sender, path: &str, coding: &str) -> Response<RecvStream> {
    let request = Request::get(format!("http://test{path}"))
        .header("accept-encoding", coding)
        .header("te", "trailers")
        .body(())
        .expect("a request");
    let mut sender = sender.clone().ready().await.expect("room");
    let (response, _) = sender.send_request(request, true).expect("it is sent");
    response.await.expect("a head")
}

/// The body, its trailers, or that it broke off.
async fn rest(mut body: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, body.trailers().await?))
}

#[test]
fn bodies_of_several_streams_come_out_as_they_went_in() {
    let body = text(300_000);
    let origin = serving(&format!("{TEXT}ETag: \"abc\"\r\n"), &body);
    let proxy = compressing("compress", &origin);
    with_connection(proxy.address("web"), async |sender| {
        let answers = CODINGS.map(|coding| {
            let sender = sender.clone();
            tokio::spawn(async move { ask(&sender, &format!("/{coding}"), coding).await })
        });
        for (coding, answer) in CODINGS.into_iter().zip(answers) {
            let answer = answer.await.expect("an answer");
            assert_eq!(answer.headers()["content-encoding"], coding);
            assert_eq!(answer.headers()["etag"], "W/\"abc\"");
            assert!(!answer.headers().contains_key("content-length"));
            let (bytes, _) = rest(answer.into_body()).await.expect("a whole body");
            assert!(bytes.len() < body.len());
            assert!(decode(Some(coding), &bytes) == body, "{coding}");
        }
    });
    for coding in CODINGS {
        let line = proxy.line_of(&format!("/{coding}"));
        assert_eq!((line.status(), line.outcome()), (200, "ok"));
        assert_eq!(line.text("protocol"), "HTTP/2");
    }
}

#[test]
fn trailers_follow_a_compressed_body() {
    let origin = Origin::saying(format!(
        "{TEXT}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 17\r\nContent-Digest: sha-256=:eA==:\r\n\r\n"
    ));
    let proxy = compressing("compress", &origin);
    with_connection(proxy.address("web"), async |sender| {
        let answer = ask(&sender, "/x", "br").await;
        assert_eq!(answer.headers()["content-encoding"], "br");
        let (bytes, trailers) = rest(answer.into_body()).await.expect("a whole body");
        assert_eq!(decode(Some("br"), &bytes), b"hello");
        let trailers = trailers.expect("there are some");
        assert_eq!(trailers["x-sum"], "17");
        assert!(!trailers.contains_key("content-digest"));
    });
    assert_eq!(proxy.line_of("/x").outcome(), "ok");
}

#[test]
fn a_body_that_breaks_off_resets_its_stream_and_no_other() {
    let gate = Gate::default();
    let waited = gate.clone();
    let origin = Origin::start(move |mut peer| {
        while let Some(request) = peer.request() {
            peer.send(format!("{TEXT}Content-Length: 4000\r\n\r\n"));
            peer.send(text(2000));
            if request.head.target() == "/broken" {
                waited.wait();
                return;
            }
            peer.send(&text(4000)[2000..]);
        }
    });
    let proxy = compressing("compress", &origin);
    with_connection(proxy.address("web"), async |sender| {
        let broken = ask(&sender, "/broken", "gzip").await;
        assert_eq!(broken.headers()["content-encoding"], "gzip");
        gate.open();
        let error = rest(broken.into_body()).await.expect_err("it breaks off");
        assert!(error.is_reset() && error.is_remote(), "{error}");
        let whole = ask(&sender, "/whole", "gzip").await;
        let (bytes, _) = rest(whole.into_body()).await.expect("a whole body");
        assert_eq!(decode(Some("gzip"), &bytes), text(4000));
    });
    let line = proxy.line_of("/broken");
    assert_eq!((line.status(), line.outcome()), (200, "upstream-aborted"));
    assert_eq!(proxy.line_of("/whole").outcome(), "ok");
}
