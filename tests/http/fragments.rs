//! How the bytes of a message are cut into packets changes nothing.

use crate::harness::{Origin, Proxy};

#[test]
fn messages_may_arrive_byte_by_byte() {
    let origin = Origin::start(|mut peer| {
        while let Some(request) = peer.request() {
            assert_eq!(
                (request.body.as_slice(), request.trailers.len()),
                (&b"hello"[..], 1)
            );
            let answer = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
                          HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n3;x=y\r\nwor\r\n2\r\nld\r\n0\r\nx-sum: 1\r\n\r\n";
            for byte in answer.as_bytes() {
                peer.send([*byte]);
            }
        }
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    for path in ["/1", "/2"] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-B: 2\r\n\r\n2\r\nhe\r\n3;q=\"z\"\r\nllo\r\n0\r\nx-sum: 2\r\n\r\n"
        );
        for byte in request.as_bytes() {
            client.send([*byte]);
        }
        assert_eq!(client.response_head().status(), 103);
        let response = client.response();
        assert_eq!(
            (
                response.text().as_str(),
                response.header("x-a"),
                response.trailers.len()
            ),
            ("world", Some("1"), 1)
        );
        assert_eq!(proxy.line_of(path).outcome(), "ok");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn many_requests_may_arrive_in_one_piece() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    let count = 400;
    let requests: Vec<String> = (0..count)
        .map(|index| {
            format!("GET /{index} HTTP/1.1\r\nHost: some.host.example\r\nX-Fill: abcdefgh\r\n\r\n")
        })
        .collect();
    client.send(requests.concat());
    for index in 0..count {
        assert_eq!(client.response().echoed().target(), format!("/{index}"));
    }
    assert_eq!(origin.connections(), 1);
}
