//! Headers on real sockets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::super::{BadHeader, ReceiveError, Received, receive};
use super::received;
use crate::net::stream::Stream;

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n";
const LINE_IPV6: &[u8] = b"PROXY TCP6 2001:db8:1:2:3:4:5:6 2001:db8::1 56324 443\r\n";
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\x01\xbb\x02\0\x05a.tst";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

async fn pair() -> (TcpStream, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let (sender, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (receiver, _) = accepted.expect("it was dialled");
    let sender = sender.expect("it was accepted");
    sender.set_nodelay(true).expect("a socket");
    (sender, Stream::Tcp(receiver))
}

/// Sends `header` in pieces of `size`, then "after", all of which must be left on the stream.
async fn exchange(
    mut sender: impl AsyncWriteExt + Unpin,
    mut receiver: Stream,
    header: &[u8],
    size: usize,
) -> Received {
    let send = async move {
        for piece in header.chunks(size) {
            sender.write_all(piece).await.expect("it listens");
            // Lets the other side see the piece alone; whether it does changes nothing about the result.
            tokio::task::yield_now().await;
        }
        sender.write_all(b"after").await.expect("it listens");
    };
    let read = async {
        let (received, rest) = receive(&mut receiver).await.expect("a header");
        assert_eq!(rest, b"");
        let mut after = Vec::new();
        receiver.read_to_end(&mut after).await.expect("it ends");
        assert_eq!(after, b"after");
        received
    };
    tokio::join!(send, read).1
}

#[tokio::test]
async fn nothing_behind_the_header_is_taken() {
    let addresses = Some(("192.0.2.1:56324", "192.0.2.2:443"));
    let ipv6 = Some(("[2001:db8:1:2:3:4:5:6]:56324", "[2001:db8::1]:443"));
    let cases = [
        (LINE, received(1, addresses, &[])),
        (LINE_IPV6, received(1, ipv6, &[])),
        (b"PROXY UNKNOWN\r\n", received(1, None, &[])),
        (BINARY, received(2, addresses, &[(2, b"a.tst")])),
        (LOCAL, received(2, None, &[])),
    ];
    for (header, expected) in cases {
        for size in [1, 7, header.len(), header.len() + 1] {
            let (sender, receiver) = pair().await;
            let found = exchange(sender, receiver, header, size).await;
            assert_eq!(found, expected, "{size}");
        }
        let (sender, receiver) = UnixStream::pair().expect("sockets");
        let found = exchange(sender, Stream::Unix(receiver), header, header.len()).await;
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn what_is_sent_with_the_header_is_left_even_if_it_looks_like_one() {
    let (mut sender, mut receiver) = pair().await;
    sender
        .write_all(&[LINE, BINARY, LOCAL].concat())
        .await
        .expect("it listens");
    for version in [1, 2, 2] {
        let (found, _) = receive(&mut receiver).await.expect("a header");
        assert_eq!(found.facts.version, version);
    }
}

#[tokio::test]
async fn the_end_of_the_stream_is_told_apart_by_where_it_comes() {
    for (bytes, silent) in [
        (&b""[..], true),
        (b"P", false),
        (&LINE[..30], false),
        (&BINARY[..20], false),
    ] {
        let (mut sender, mut receiver) = pair().await;
        sender.write_all(bytes).await.expect("it listens");
        drop(sender);
        let found = receive(&mut receiver).await;
        match silent {
            true => assert!(matches!(found, Err(ReceiveError::Silent)), "{found:?}"),
            false => assert!(matches!(found, Err(ReceiveError::Closed)), "{found:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_no_header_is_refused_without_waiting_for_more() {
    for bytes in [
        &b"G"[..],
        b"\x16\x03\x01",
        b"PROXY TCP4 x",
        b"\r\n\r\n\0\r\nQUIT\n\x31",
    ] {
        let (mut sender, mut receiver) = pair().await;
        sender.write_all(bytes).await.expect("it listens");
        let found = receive(&mut receiver).await;
        assert!(matches!(found, Err(ReceiveError::Bad(_))), "{found:?}");
    }
    let (mut sender, mut receiver) = pair().await;
    let announced = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x10\x01";
    sender.write_all(announced).await.expect("it listens");
    let found = receive(&mut receiver).await;
    assert!(
        matches!(found, Err(ReceiveError::Bad(BadHeader::Length(4097)))),
        "{found:?}"
    );
}
