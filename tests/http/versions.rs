//! HTTP/1.0 on either side.

use crate::harness::{Client, Origin, Proxy, config};

#[test]
fn an_old_downstream_gets_bodies_that_end_with_the_connection() {
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\nx-sum: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\nabcdef",
    ] {
        let origin = Origin::saying(answer);
        let proxy = Proxy::before(&origin);
        let mut client = proxy.client();
        client.send("GET /old HTTP/1.0\r\nHost: a\r\n\r\n");
        let response = client.response();
        assert_eq!(
            (
                response.text().as_str(),
                response.header("transfer-encoding")
            ),
            ("abcdef", None)
        );
        assert_eq!(response.header("connection"), Some("close"));
        assert!(client.is_at_end());
        assert_eq!(proxy.line_of("/old").outcome(), "ok");
    }
}

#[test]
fn an_old_downstream_may_keep_its_connection() {
    let origin = Origin::named("ok");
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    for path in ["/1", "/2"] {
        client.send(format!(
            "GET {path} HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
        ));
        let response = client.response();
        assert_eq!(
            (response.text().as_str(), response.header("connection")),
            ("ok", Some("keep-alive"))
        );
    }
}

#[test]
fn an_old_request_is_forwarded_as_1_1_with_a_host() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send("GET /x HTTP/1.0\r\n\r\n");
    let request = client.response().echoed();
    assert_eq!(request.start_line, "GET /x HTTP/1.1");
    assert_eq!(request.header("host"), Some(origin.to_string().as_str()));
}

#[test]
fn an_old_downstream_gets_no_interim_response() {
    let origin = Origin::saying(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.response_head().status(), 200);
}

#[test]
fn an_old_upstream_is_used_once_unless_it_keeps_alive() {
    for (connection, expected) in [("", 2), ("Connection: keep-alive\r\n", 1)] {
        let origin = Origin::saying(format!(
            "HTTP/1.0 200 OK\r\n{connection}Content-Length: 2\r\n\r\nok"
        ));
        let proxy = Proxy::before(&origin);
        let mut client = proxy.client();
        for path in ["/1", "/2"] {
            let response = client.get(path);
            assert_eq!(
                (response.text().as_str(), response.head.start_line.as_str()),
                ("ok", "HTTP/1.1 200 OK")
            );
        }
        assert_eq!(origin.connections(), expected, "{connection}");
    }
}

#[test]
fn an_old_downstream_can_tell_a_response_that_was_cut_with_its_upload() {
    let finish: fn(&mut Client) = |client| client.finish();
    let stay_silent: fn(&mut Client) = |_| ();
    for framing in ["Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "\r\nok"] {
        for (end, what) in [(finish, "an end"), (stay_silent, "silence")] {
            let origin = Origin::start(move |mut peer| {
                peer.head();
                peer.send(format!("HTTP/1.1 200 OK\r\n{framing}"));
                peer.rest();
            });
            let text = r#"
                listener "web" "127.0.0.1:0" {
                    timeouts request-body="300ms"
                    route { cluster "origin" }
                }
                cluster "origin" { endpoint "ORIGIN" }"#;
            let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
            let mut client = proxy.client();
            client.send("POST /half HTTP/1.0\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
            let head = client.response_head();
            assert_eq!((head.status(), head.header("content-length")), (200, None));
            assert_eq!(client.take(2), b"ok");
            end(&mut client);
            assert_eq!(client.rest(), b"", "{what}, {framing:?}");
            // The end of the connection would be the end of the body.
            assert!(client.was_reset(), "{what}, {framing:?}");
            let line = proxy.line_of("/half");
            assert_eq!(line.outcome(), "downstream-aborted", "{what}");
            assert_eq!(line.status(), 200, "{what}");
        }
    }
}

#[test]
fn a_cluster_speaks_http_1_1_whatever_the_downstream_speaks() {
    let origin = Origin::echo();
    let text = r#"
        listener "web" "127.0.0.1:0" { route { cluster "origin" } }
        cluster "origin" {
            endpoint "ORIGIN"
            protocol "PROTOCOL"
        }"#;
    let with = |protocol: &str| config(text, &[("ORIGIN", &origin), ("PROTOCOL", &protocol)]);
    let proxy = Proxy::start(&with("http/1.1"));
    for version in ["1.0", "1.1"] {
        let mut client = proxy.client();
        client.send(format!("GET /x HTTP/{version}\r\nHost: a\r\n\r\n"));
        let request = client.response().echoed();
        assert_eq!(request.start_line, "GET /x HTTP/1.1");
    }
    for protocol in ["h3", "http/1.0", "http"] {
        let refusal = Proxy::try_start(&with(protocol)).err();
        let refusal = refusal.expect("it speaks nothing else");
        assert!(
            refusal.contains("config.kdl:9:") && refusal.contains(protocol),
            "{refusal}"
        );
    }
}
