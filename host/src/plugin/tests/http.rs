//! What a well-behaved HTTP filter is handed, and what becomes of its answers.

use super::super::{Edit, Verdict};
use super::{exchange, filter, request, set_value, simple};

#[test]
fn fields_come_with_the_call_and_imports_answer() {
    let filter = filter("echo");
    let (_, verdict) = request(
        &filter,
        exchange("PUT /a%7eb?c=d HTTP/1.1\r\nHost: h\r\nX-Many: 1\r\nx-many: 2"),
    );
    let echoed = set_value(&verdict.expect("a verdict"));
    assert_eq!(
        echoed,
        "PUT /a~b sound=true absent=true lines=2 names=host,x-many,x-many"
    );
}

#[test]
fn the_response_phase_sees_the_response() {
    let filter = filter("echo");
    let mut exchange = simple();
    exchange.response.begin(404);
    exchange.has_response = true;
    let mut fields = Vec::new();
    super::flatten(
        filter.needs().response.as_deref().expect("asked for"),
        &exchange,
        &mut fields,
    );
    let (mut exchange, verdict) = filter.response(exchange, &fields);
    let verdict = verdict.expect("a verdict");
    assert_eq!(set_value(&verdict), "404");
    let Verdict::Next(edits) = verdict else {
        panic!("not `next`")
    };
    edits.apply_response(&mut exchange).expect("applied");
    assert_eq!(
        exchange.response.fields().get(b"x-status"),
        Some(&b"404"[..])
    );
}

#[test]
fn edits_of_the_target_and_of_the_status_are_applied() {
    let (mut exchange, verdict) = request(&filter("target"), simple());
    let Ok(Verdict::Next(edits)) = verdict else {
        panic!("not `next`")
    };
    assert_eq!(
        edits.iter().collect::<Vec<_>>(),
        [Edit::Target(b"/new?a=b")]
    );
    edits.apply_request(&mut exchange).expect("applied");
    assert_eq!(
        (exchange.request.path(), exchange.request.query()),
        ("/new", Some("a=b"))
    );

    exchange.response.begin(200);
    exchange.has_response = true;
    let (mut exchange, verdict) = filter("status").response(exchange, b"\x03\0\0\x00200");
    let Ok(Verdict::Next(edits)) = verdict else {
        panic!("not `next`")
    };
    assert_eq!(edits.iter().collect::<Vec<_>>(), [Edit::Status(418)]);
    edits.apply_response(&mut exchange).expect("applied");
    assert_eq!(exchange.response.status(), 418);
}

#[test]
fn a_priority_is_applied_and_forgotten_with_the_exchange() {
    let (mut exchange, verdict) = request(&filter("priority"), simple());
    let Ok(Verdict::Next(edits)) = verdict else {
        panic!("not `next`")
    };
    assert_eq!(edits.iter().collect::<Vec<_>>(), [Edit::Priority(-2047)]);
    assert_eq!(exchange.priority, None);
    edits.apply_request(&mut exchange).expect("applied");
    assert_eq!(exchange.priority, Some(-2047));
    let (connection, now) = (exchange.connection.clone(), exchange.now);
    exchange.begin(2, &connection, [0; 2], now);
    assert_eq!(exchange.priority, None);
}

#[test]
fn replies_and_closing_come_through() {
    let (_, verdict) = request(&filter("reply"), simple());
    let Ok(Verdict::Reply(reply)) = verdict else {
        panic!("not a reply")
    };
    assert_eq!((reply.status, reply.body.as_slice()), (403, &b"aaaa"[..]));
    assert_eq!(reply.headers, [("x-why".to_owned(), b"no".to_vec())]);
    let (_, verdict) = request(&filter("close"), simple());
    assert!(matches!(verdict, Ok(Verdict::Close)));
}

#[test]
fn constant_edits_need_no_call() {
    let filter = filter("constant");
    let needs = filter.needs();
    let mut scratch = Vec::new();
    let mut run = |path: &str| {
        let mut exchange = exchange(&format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-fixed: old"));
        exchange.unique = [1, 2];
        let decision = needs.decide(&exchange);
        needs.apply_request_edits(decision, &mut exchange, &mut scratch);
        exchange.response.begin(200);
        exchange.has_response = true;
        exchange
            .response
            .fields_mut()
            .set(b"server", b"x")
            .expect("a valid header");
        needs.apply_response_edits(decision, &mut exchange, &mut scratch);
        (decision.called(), exchange)
    };
    let (called, exchange) = run("/api/x");
    let fixed: Vec<&[u8]> = exchange.request.fields().get_all(b"x-fixed").collect();
    assert_eq!(fixed, [&b"1"[..], b"2"]);
    assert_eq!(
        exchange.request.fields().get(b"x-composed"),
        Some(&b"from 10.1.2.3"[..])
    );
    assert_eq!(
        exchange.request.fields().get(b"x-id"),
        Some(&b"00000000000000010000000000000002"[..])
    );
    assert_eq!(exchange.response.fields().get(b"x-api"), Some(&b"yes"[..]));
    assert!(called && !exchange.response.fields().contains(b"server"));

    let (called, exchange) = run("/other");
    let fixed: Vec<&[u8]> = exchange.request.fields().get_all(b"x-fixed").collect();
    assert_eq!(fixed, [&b"1"[..]]);
    assert!(!called && !exchange.response.fields().contains(b"x-api"));
    assert_eq!((needs.request.is_none(), filter.stats().calls()), (true, 0));
}
