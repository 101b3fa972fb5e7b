//! 1xx responses and `Expect: 100-continue`.

use crate::harness::{Client, Gate, Origin, Proxy, config};
use crate::websocket::secured;

const EXPECTING: &str =
    "POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";

#[test]
fn the_origin_decides_whether_the_body_is_wanted() {
    let origin = Origin::start(|mut peer| {
        let head = peer.head().expect("a request");
        assert_eq!(head.header("expect"), Some("100-continue"));
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        let request = peer.finish_request(head);
        peer.answer(&String::from_utf8_lossy(&request.body));
        peer.request();
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send(EXPECTING);
    assert_eq!(client.response_head().status(), 100);
    client.send("body");
    assert_eq!(client.response_head().status(), 200);
    assert_eq!(client.take(4), b"body");
    assert_eq!(proxy.line_of("/upload").outcome(), "ok");
}

#[test]
fn a_body_that_the_origin_does_not_want_is_never_sent() {
    let origin = Origin::start(|mut peer| {
        peer.head();
        peer.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
        assert!(
            peer.is_at_end(),
            "the connection was used again before the body of the first request"
        );
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send(EXPECTING);
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (417, "no"));
    // Whether the body still comes is not known, so nothing after it can be told from it.
    assert!(client.is_at_end());
    let line = proxy.line_of("/upload");
    assert_eq!((line.outcome(), line.status()), ("ok", 417));
    origin.wait_for_ends(1);
}

#[test]
fn a_filter_refuses_an_upload_before_it_is_sent() {
    let proxy = Proxy::start(
        r#"listener "web" "127.0.0.1:0" {
            filters { acl { rule "deny" { method "POST" } } }
            route { respond 200 }
        }"#,
    );
    let mut client = proxy.client();
    client.send(EXPECTING);
    assert_eq!(client.response_head().status(), 403);
    assert_eq!(proxy.line_of("/upload").outcome(), "filter-reply");
}

#[test]
fn early_hints_arrive_at_once_and_as_often_as_sent() {
    let seen = Gate::default();
    let gate = seen.clone();
    let origin = Origin::start(move |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n");
        gate.wait();
        peer.answer("page");
        peer.request();
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for link in ["</a.css>", "</b.css>"] {
        let hint = client.response_head();
        assert_eq!((hint.status(), hint.header("link")), (103, Some(link)));
        assert_eq!(
            (hint.header("connection"), hint.header("content-length")),
            (None, None)
        );
    }
    seen.open();
    let response = client.response();
    assert_eq!(
        (response.text().as_str(), response.header("link")),
        ("page", None)
    );
    assert_eq!(proxy.line_of("/").outcome(), "ok");
}

#[test]
fn a_downstream_that_takes_no_hints_is_left_and_gives_its_place_back() {
    let origin = Origin::start(|mut peer| {
        while let Some(request) = peer.request() {
            if request.head.target() == "/hints" {
                // Together more than the system keeps for a downstream that does not read.
                let fill = "x".repeat(512 * 1024);
                let hint = format!("HTTP/1.1 103 Early Hints\r\nX-Fill: {fill}\r\n\r\n");
                while peer.try_send(&hint) {}
                return;
            }
            peer.answer("page");
        }
    });
    let text = r#"
        listener "web" "127.0.0.1:0" {
            limits header-bytes-max="1MiB"
            timeouts idle="300ms"
            route { cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" requests-max=1 }"#;
    let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
    let mut deaf = proxy.client();
    deaf.send("GET /hints HTTP/1.1\r\nHost: a\r\n\r\n");
    let line = proxy.line_of("/hints");
    assert_eq!((line.outcome(), line.status()), ("downstream-aborted", 0));
    origin.wait_for_ends(1);
    assert_eq!(proxy.client().get("/page").text(), "page");
}

fn interim(client: &mut Client) -> (u16, Option<String>) {
    let head = client.response_head();
    (head.status(), head.header("link").map(str::to_owned))
}

#[test]
fn interim_answers_of_every_kind_arrive_in_order_under_tls() {
    let origin = Origin::start(|mut peer| {
        let head = peer.head().expect("a request");
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </1.css>\r\n\r\n");
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        let request = peer.finish_request(head);
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </2.css>\r\n\r\n");
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </3.css>\r\n\r\n");
        peer.answer(&String::from_utf8_lossy(&request.body));
        peer.request();
    });
    let (proxy, tls, _front) = secured(&origin.address(), "");
    let mut client = tls.connect(proxy.address("web"));
    client.send(EXPECTING.replace("Host: a", "Host: site.test"));
    let hint = |link: &str| (103, Some(link.to_owned()));
    assert_eq!(interim(&mut client), hint("</1.css>"));
    assert_eq!(interim(&mut client), (100, None));
    client.send("body");
    assert_eq!(interim(&mut client), hint("</2.css>"));
    assert_eq!(interim(&mut client), hint("</3.css>"));
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, "body"));
    assert_eq!(proxy.line_of("/upload").outcome(), "ok");
}

#[test]
fn hints_over_tls_arrive_while_the_answer_is_not_there_and_not_at_http_1_0() {
    let gates: [Gate; 2] = Default::default();
    let waited = gates.clone();
    let origin = Origin::start(move |mut peer| {
        while let Some(request) = peer.request() {
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
            waited[usize::from(request.head.target() == "/old")].wait();
            peer.answer("page");
        }
    });
    let (proxy, tls, _front) = secured(&origin.address(), "");
    let mut client = tls.connect(proxy.address("web"));
    client.send("GET /new HTTP/1.1\r\nHost: site.test\r\n\r\n");
    assert_eq!(client.response_head().status(), 103);
    gates[0].open();
    assert_eq!(client.response().text(), "page");
    let mut old = tls.connect(proxy.address("web"));
    old.send("GET /old HTTP/1.0\r\nHost: site.test\r\n\r\n");
    gates[1].open();
    assert_eq!(old.response_head().status(), 200);
    for target in ["/new", "/old"] {
        assert_eq!(proxy.line_of(target).outcome(), "ok");
    }
}
