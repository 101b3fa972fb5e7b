//! What goes out on the wire.

use super::*;

fn written_request(head: &RequestHead, body: BodyLength) -> String {
    let mut out = Vec::new();
    write_request(head, body, &mut out);
    String::from_utf8(out).expect("ASCII")
}

fn written_response(
    head: &ResponseHead,
    body: BodyLength,
    keep_alive: bool,
    version: Version,
) -> String {
    let mut out = Vec::new();
    write_response(head, body, keep_alive, version, &mut out);
    String::from_utf8(out).expect("ASCII")
}

#[test]
fn a_request_goes_out_in_normal_form_with_its_lines_untouched() {
    let head = request(
        "\r\nPOST http://A:80/x/../y?z HTTP/1.1\r\nx-one:1\r\nConnection: gone\r\nhOST: A:80\r\nGone: 1\r\nX-Two:  2\t\r\nx-three: 3\r\nContent-Length: 03\r\n\r\n",
    );
    assert_eq!(
        written_request(&head, head.body()),
        "POST /y?z HTTP/1.1\r\nHost: A:80\r\nx-one:1\r\nX-Two:  2\t\r\nx-three: 3\r\nContent-Length: 3\r\n\r\n"
    );
}

#[test]
fn edits_show_in_what_goes_out() {
    let mut head = request(&with_lines("A: 1\r\nB: 2\r\nC: 3\r\n"));
    head.fields_mut().set(b"b", b"4").expect("a valid line");
    head.fields_mut().append(b"d", b"5").expect("a valid line");
    head.set_target(b"/new?x").expect("a valid target");
    assert_eq!(
        written_request(&head, BodyLength::None),
        "GET /new?x HTTP/1.1\r\nHost: a\r\nA: 1\r\nC: 3\r\nb: 4\r\nd: 5\r\n\r\n"
    );
}

#[test]
fn framing_is_written_from_the_decision() {
    let head = request(&with_lines("Transfer-Encoding: chunked\r\n"));
    for (body, line) in [
        (BodyLength::None, ""),
        (BodyLength::UntilClose, ""),
        (BodyLength::Fixed(0), "Content-Length: 0\r\n"),
        (
            BodyLength::Fixed(u64::MAX),
            "Content-Length: 18446744073709551615\r\n",
        ),
        (BodyLength::Chunked, "Transfer-Encoding: chunked\r\n"),
    ] {
        assert_eq!(
            written_request(&head, body),
            format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n")
        );
    }
}

#[test]
fn upgrade_and_te_are_written_anew() {
    for (lines, written) in [
        (
            "Connection: upgrade, x\r\nUpgrade: websocket\r\n",
            "Upgrade: websocket\r\nConnection: upgrade\r\n",
        ),
        (
            "TE: gzip, trailers\r\n",
            "TE: trailers\r\nConnection: TE\r\n",
        ),
        ("TE: gzip\r\n", ""),
        (
            "TE: trailers\r\nConnection: upgrade\r\nUpgrade: a\r\n",
            "Upgrade: a\r\nConnection: upgrade\r\n",
        ),
        ("Connection: keep-alive\r\n", ""),
    ] {
        let head = request(&with_lines(lines));
        assert_eq!(
            written_request(&head, BodyLength::None),
            format!("GET / HTTP/1.1\r\nHost: a\r\n{written}\r\n")
        );
    }
}

#[test]
fn an_old_request_gets_the_host_that_the_caller_gives() {
    let mut head = request("GET / HTTP/1.0\r\nConnection: keep-alive\r\nA: 1\r\n\r\n");
    assert!(head.set_authority(b"up:81"));
    assert_eq!(
        written_request(&head, BodyLength::None),
        "GET / HTTP/1.1\r\nHost: up:81\r\nA: 1\r\n\r\n"
    );
}

#[test]
fn a_response_goes_out_with_its_lines_untouched() {
    let head = response(
        "HTTP/1.0 200 Fine\r\nServer: x\r\nConnection: p\r\nP: 1\r\nContent-Length: 3\r\nA:  b \r\n\r\n",
        "GET",
    );
    assert_eq!(
        written_response(&head, head.body(), true, Version::Http11),
        "HTTP/1.1 200 Fine\r\nServer: x\r\nA:  b \r\nContent-Length: 3\r\n\r\n"
    );
}

#[test]
fn persistence_is_announced_where_it_is_not_the_rule() {
    let head = response("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET");
    for (keep_alive, version, line) in [
        (true, Version::Http11, ""),
        (false, Version::Http11, "Connection: close\r\n"),
        (true, Version::Http10, "Connection: keep-alive\r\n"),
        (false, Version::Http10, "Connection: close\r\n"),
    ] {
        let expected = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{line}\r\n");
        assert_eq!(
            written_response(&head, head.body(), keep_alive, version),
            expected
        );
    }
}

#[test]
fn a_response_without_body_keeps_its_length_where_one_may_stand() {
    for (text, method, line) in [
        (
            "200 OK\r\nContent-Length: 5\r\n",
            "HEAD",
            "Content-Length: 5\r\n",
        ),
        (
            "304 Not Modified\r\nContent-Length: 5\r\n",
            "GET",
            "Content-Length: 5\r\n",
        ),
        ("304 Not Modified\r\n", "GET", ""),
        ("204 No Content\r\nContent-Length: 0\r\n", "GET", ""),
        ("200 OK\r\nTransfer-Encoding: chunked\r\n", "HEAD", ""),
    ] {
        let head = response(&format!("HTTP/1.1 {text}\r\n"), method);
        let written = written_response(&head, head.body(), true, Version::Http11);
        assert!(
            written.ends_with(&format!("\r\n{line}\r\n"))
                && written.matches("ength").count() == line.matches("ength").count()
        );
    }
}

#[test]
fn interim_and_switching_responses() {
    let hints = response("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "GET");
    assert_eq!(
        written_response(&hints, BodyLength::None, false, Version::Http11),
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    );
    let switching = response(
        "HTTP/1.1 101 Go\r\nupgrade: websocket\r\nA: b\r\nconnection: Upgrade\r\n\r\n",
        "GET",
    );
    for keep_alive in [true, false] {
        assert_eq!(
            written_response(&switching, BodyLength::None, keep_alive, Version::Http11),
            "HTTP/1.1 101 Go\r\nA: b\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
        );
    }
}

#[test]
fn a_demand_to_upgrade_says_whether_the_connection_persists() {
    let text = "HTTP/1.1 426 No\r\nConnection: upgrade\r\nUpgrade: a\r\nContent-Length: 0\r\n\r\n";
    let head = response(text, "GET");
    let start = "HTTP/1.1 426 No\r\nContent-Length: 0\r\nUpgrade: a\r\nConnection: upgrade\r\n";
    for (keep_alive, line) in [(true, ""), (false, "Connection: close\r\n")] {
        let written = written_response(&head, head.body(), keep_alive, Version::Http11);
        assert_eq!(written, format!("{start}{line}\r\n"));
    }
}

#[test]
fn own_responses_are_written() {
    let mut head = ResponseHead::new();
    head.begin(503);
    head.fields_mut()
        .set(b"retry-after", b"1")
        .expect("a valid line");
    assert_eq!(
        written_response(&head, BodyLength::Fixed(4), false, Version::Http11),
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn bodies_towards_the_downstream() {
    use BodyLength::{Chunked, Fixed, None, UntilClose};
    let table = [
        (None, (None, true), (None, true)),
        (Fixed(1), (Fixed(1), true), (Fixed(1), true)),
        (Chunked, (Chunked, true), (UntilClose, false)),
        (UntilClose, (Chunked, true), (UntilClose, false)),
    ];
    for (upstream, new, old) in table {
        assert_eq!(downstream_body(upstream, Version::Http11), new);
        assert_eq!(downstream_body(upstream, Version::Http10), old);
    }
}
