//! Whatever is accepted as a response head, `httparse` accepts with the same status and lines; it does not matter how its bytes were cut; and what
//! is sent downstream parses again to the same response.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_fuzz::http::{
    Limits, Parsed, ResponseHead, Version, downstream_body, parse_response, write_response,
};

fuzz_target!(|input: (bool, u16, &[u8])| {
    let (is_head, cut, bytes) = input;
    let method = if is_head { "HEAD" } else { "GET" };
    let limits = Limits::default();
    let mut head = ResponseHead::new();
    let whole = parse_response(bytes, method, &limits, &mut head);
    let mut resumed = ResponseHead::new();
    let cut = usize::from(cut) % (bytes.len() + 1);
    let in_two = match parse_response(&bytes[..cut], method, &limits, &mut resumed) {
        Ok(Parsed::Partial) => parse_response(bytes, method, &limits, &mut resumed),
        settled => settled,
    };
    let Ok(Parsed::Complete { head_len }) = whole else {
        assert_eq!(whole.is_err(), in_two.is_err());
        return;
    };
    assert_eq!(whole, in_two);
    agrees_with_httparse(&bytes[..head_len], &head);
    survives_forwarding(&head, method, &limits);
});

fn agrees_with_httparse(bytes: &[u8], head: &ResponseHead) {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut reference = httparse::Response::new(&mut headers);
    // httparse refuses reason phrases beyond ASCII text that we pass on; everything else that we accept it accepts.
    let Ok(status) = reference.parse(bytes) else {
        assert!(!head.reason().is_ascii());
        return;
    };
    assert_eq!(status, httparse::Status::Complete(bytes.len()));
    assert_eq!(reference.code, Some(head.status()));
    for (name, value) in head.fields().iter() {
        let known = reference
            .headers
            .iter()
            .any(|header| header.name.as_bytes() == name && header.value == value);
        assert!(known, "a line that was not received");
    }
}

fn survives_forwarding(head: &ResponseHead, method: &str, limits: &Limits) {
    let (body, keep_alive) = downstream_body(head.body(), Version::Http11);
    let mut out = Vec::new();
    write_response(head, body, keep_alive, Version::Http11, &mut out);
    let limits = Limits {
        head_bytes_max: limits.head_bytes_max + 256,
        headers_max: limits.headers_max + 4,
        ..*limits
    };
    let mut again = ResponseHead::new();
    let parsed = parse_response(&out, method, &limits, &mut again).expect("what we write is valid");
    assert_eq!(
        parsed,
        Parsed::Complete {
            head_len: out.len()
        }
    );
    assert_eq!((head.status(), body), (again.status(), again.body()));
}
