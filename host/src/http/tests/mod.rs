//! Tests of the room as a whole, by what they state about a message.

mod chunked;
mod differential;
mod exchange;
mod fields;
mod hop;
mod limits;
mod request;
mod response;
mod target;
mod write;

use super::*;

/// The head that `text` parses to, which must be complete and use all of it.
fn request(text: &str) -> RequestHead {
    let mut head = RequestHead::new();
    let parsed = parse_request(text.as_bytes(), &Limits::default(), &mut head);
    assert_eq!(
        parsed,
        Ok(Parsed::Complete {
            head_len: text.len()
        }),
        "{text:?}"
    );
    head
}

/// Status and reason of the refusal of `text`.
fn refusal(text: &[u8]) -> (u16, &'static str) {
    match parse_request(text, &Limits::default(), &mut RequestHead::new()) {
        Err(bad) => (bad.status, bad.reason),
        Ok(parsed) => panic!("{parsed:?}: {}", String::from_utf8_lossy(text)),
    }
}

/// A valid request with `lines`, each ended by CR LF, behind its `Host`.
fn with_lines(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// The response head that `text` parses to as the answer to `method`; must be complete and use all of it.
fn response(text: &str, method: &str) -> ResponseHead {
    let mut head = ResponseHead::new();
    let parsed = parse_response(text.as_bytes(), method, &Limits::default(), &mut head);
    assert_eq!(
        parsed,
        Ok(Parsed::Complete {
            head_len: text.len()
        }),
        "{text:?}"
    );
    head
}

/// All lines as text, `name: value`, in order.
fn lines_of(fields: &Fields) -> Vec<String> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    fields
        .iter()
        .map(|(name, value)| format!("{}: {}", text(name), text(value)))
        .collect()
}
