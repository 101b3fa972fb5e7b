//! Properties over many mutated messages: agreement with `httparse`, and survival of forwarding.

use super::*;

const ROUNDS: usize = 40_000;

const CORPUS: [&str; 6] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /a/../b%2e?c HTTP/1.1\r\nHost: A.b:80\r\nContent-Length: 12\r\nX-Y:  z \r\n\r\n",
    "\r\nPUT //a HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE, p\r\nP: 1\r\n\r\n",
    "GET /ws HTTP/1.1\r\nHost: [::1]:80\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "GET http://a:80?x HTTP/1.1\r\nHost: a:80\r\nx_y: 1\r\nE:\r\n\r\n",
    "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\nAccept: text/html,*/*;q=0.8\r\n\r\n",
];

/// Pieces that parsers have been known to differ on.
const PIECES: [&str; 18] = [
    "\r",
    "\n",
    "\r\n",
    " ",
    "\t",
    ":",
    "\0",
    ",",
    "%2e",
    "%00",
    "..",
    "//",
    "\x7f",
    "\u{e9}",
    "Content-Length: 1\r\n",
    "Host: b\r\n",
    "Transfer-Encoding: chunked\r\n",
    "chunked",
];

fn mutated(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = CORPUS[random.usize(..CORPUS.len())].as_bytes().to_vec();
    for _ in 0..random.usize(..4) {
        let at = random.usize(..bytes.len());
        match random.u8(..4) {
            0 => bytes[at] = random.u8(..),
            1 => drop(bytes.remove(at)),
            2 => drop(bytes.splice(at..at, PIECES[random.usize(..PIECES.len())].bytes())),
            _ => bytes.swap(at, 0),
        }
    }
    bytes
}

#[test]
fn whatever_is_accepted_httparse_reads_in_the_same_way() {
    let mut random = fastrand::Rng::with_seed(0x7011_6a7e);
    let mut accepted = 0;
    for _ in 0..ROUNDS {
        let bytes = mutated(&mut random);
        let mut head = RequestHead::new();
        let Ok(Parsed::Complete { head_len }) =
            parse_request(&bytes, &Limits::default(), &mut head)
        else {
            continue;
        };
        accepted += 1;
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut reference = httparse::Request::new(&mut headers);
        assert_eq!(
            reference.parse(&bytes),
            Ok(httparse::Status::Complete(head_len)),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
        assert_eq!(reference.method, Some(head.method()));
        assert_eq!(
            reference.version,
            Some(u8::from(head.version() == Version::Http11))
        );
        let mut received = reference.headers.iter();
        for (name, value) in head.fields().iter() {
            let same =
                received.any(|header| header.name.as_bytes() == name && header.value == value);
            assert!(
                same,
                "not received, or not in this order: {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
    assert!(
        accepted > ROUNDS / 20,
        "only {accepted} messages were accepted: the corpus shows nothing"
    );
}

#[test]
fn what_is_forwarded_says_the_same() {
    let mut random = fastrand::Rng::with_seed(0x70_11ed);
    for _ in 0..ROUNDS {
        let bytes = mutated(&mut random);
        let mut head = RequestHead::new();
        let Ok(Parsed::Complete { .. }) = parse_request(&bytes, &Limits::default(), &mut head)
        else {
            continue;
        };
        if head.authority().is_empty() {
            assert!(head.set_authority(b"given"));
        }
        let mut out = Vec::new();
        write_request(&head, head.body(), &mut out);
        let mut again = RequestHead::new();
        let parsed = parse_request(&out, &Limits::default(), &mut again);
        assert_eq!(
            parsed,
            Ok(Parsed::Complete {
                head_len: out.len()
            }),
            "{:?}",
            String::from_utf8_lossy(&out)
        );
        assert_eq!(
            (head.method(), head.target(), head.authority()),
            (again.method(), again.target(), again.authority())
        );
        assert_eq!(
            (head.body(), head.upgrade()),
            (again.body(), again.upgrade())
        );
        assert_eq!(end_to_end(&head), end_to_end(&again));
    }
}

/// The lines that are not written by the host itself.
fn end_to_end(head: &RequestHead) -> Vec<(&[u8], &[u8])> {
    head.fields()
        .iter()
        .filter(|(name, _)| is_editable(name))
        .collect()
}

#[test]
fn a_cut_never_changes_the_verdict() {
    let mut random = fastrand::Rng::with_seed(0xc07);
    for _ in 0..ROUNDS {
        let bytes = mutated(&mut random);
        let mut whole = RequestHead::new();
        let at_once = parse_request(&bytes, &Limits::default(), &mut whole);
        let mut pieces = RequestHead::new();
        let cut = random.usize(..=bytes.len());
        let in_two = match parse_request(&bytes[..cut], &Limits::default(), &mut pieces) {
            Ok(Parsed::Partial) => parse_request(&bytes, &Limits::default(), &mut pieces),
            settled => settled,
        };
        assert_eq!(
            at_once,
            in_two,
            "{cut} {:?}",
            String::from_utf8_lossy(&bytes)
        );
        assert!(whole.fields().iter().eq(pieces.fields().iter()));
    }
}
