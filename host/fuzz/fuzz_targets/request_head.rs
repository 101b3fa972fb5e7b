//! Whatever is accepted as a request head, `httparse` accepts with the same parts; it does not matter how its bytes were cut; and what is
//! sent upstream parses again to the same request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_fuzz::http::{BodyLength, Limits, Parsed, RequestHead, parse_request, write_request};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let mut head = RequestHead::new();
    let whole = parse_request(bytes, &limits, &mut head);
    let mut resumed = RequestHead::new();
    let cut = bytes
        .first()
        .map_or(0, |&byte| usize::from(byte) % (bytes.len() + 1));
    let in_two = match parse_request(&bytes[..cut], &limits, &mut resumed) {
        Ok(Parsed::Partial) => parse_request(bytes, &limits, &mut resumed),
        settled => settled,
    };
    let Ok(Parsed::Complete { head_len }) = whole else {
        assert_eq!(whole.is_err(), in_two.is_err());
        return;
    };
    assert_eq!(whole, in_two);
    agrees_with_httparse(&bytes[..head_len], &head);
    survives_forwarding(&head, &limits);
});

fn agrees_with_httparse(bytes: &[u8], head: &RequestHead) {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut reference = httparse::Request::new(&mut headers);
    let status = reference
        .parse(bytes)
        .expect("httparse accepts what we accept");
    assert_eq!(status, httparse::Status::Complete(bytes.len()));
    assert_eq!(reference.method, Some(head.method()));
    for (name, value) in head.fields().iter() {
        let known = reference
            .headers
            .iter()
            .any(|header| header.name.as_bytes() == name && header.value == value);
        assert!(known, "a line that was not received");
    }
}

fn survives_forwarding(head: &RequestHead, limits: &Limits) {
    // HTTP/1.0 without a host needs one from the caller before it can be forwarded.
    if head.authority().is_empty() {
        return;
    }
    let mut out = Vec::new();
    write_request(head, head.body(), &mut out);
    // The form of the head may be longer than the one received, by the lines that are always written.
    let limits = Limits {
        head_bytes_max: limits.head_bytes_max + 256,
        headers_max: limits.headers_max + 4,
        ..*limits
    };
    let mut again = RequestHead::new();
    let parsed = parse_request(&out, &limits, &mut again).expect("what we write is valid");
    assert_eq!(
        parsed,
        Parsed::Complete {
            head_len: out.len()
        }
    );
    assert_eq!(
        (
            head.method(),
            head.path(),
            head.query(),
            head.host(),
            head.authority()
        ),
        (
            again.method(),
            again.path(),
            again.query(),
            again.host(),
            again.authority()
        )
    );
    assert_eq!(
        (head.body(), head.upgrade()),
        (again.body(), again.upgrade())
    );
    assert!(again.body() != BodyLength::UntilClose);
    let end_to_end = |head: &RequestHead| -> Vec<(Vec<u8>, Vec<u8>)> {
        let own = |name: &[u8]| {
            !tollgate_fuzz::http::is_editable(name) && !name.eq_ignore_ascii_case(b"trailer")
        };
        head.fields()
            .iter()
            .filter(|(name, _)| !own(name))
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect()
    };
    assert_eq!(end_to_end(head), end_to_end(&again));
}
