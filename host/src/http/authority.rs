//! `host[:port]` as it stands in `Host` and in an absolute target.

use super::fields::{Fields, Span};

/// DNS allows 253; a little room for brackets and a final dot.
const HOST_BYTES_MAX: usize = 256;

/// The length of the host in `authority`, when that is a host of letters, digits and `-._~` or a bracketed IPv6 address, with an optional port
/// of 1 to 65535. Stricter than RFC 3986: percent escapes, user information, an empty host and an empty port are refused, because
/// their readings differ from one application to the next.
pub(super) fn host_len(authority: &[u8]) -> Option<usize> {
    let host_len = match authority {
        [b'[', rest @ ..] => address_len(rest)? + 2,
        _ => authority
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(host_len);
    let valid_host = host.starts_with(b"[") || is_name(host);
    (valid_host && host_len <= HOST_BYTES_MAX && is_port_or_nothing(rest)).then_some(host_len)
}

/// The host in the form that routes match: lower case, without a final dot (`shop.example.` is the same name as `shop.example`). Points into
/// the authority where it already has that form.
pub(super) fn store_host(fields: &mut Fields, authority: Span, host_len: usize) -> Span {
    let host = Span {
        len: host_len as u32,
        ..authority
    };
    let text = fields.slice(host);
    let host = if text.ends_with(b".") {
        Span {
            len: host.len - 1,
            ..host
        }
    } else {
        host
    };
    if !text.iter().any(u8::is_ascii_uppercase) {
        return host;
    }
    let (from, start) = (host.start as usize, fields.buffer().len());
    fields
        .buffer()
        .extend_from_within(from..from + host.len as usize);
    fields.buffer()[start..].make_ascii_lowercase();
    fields.stored_since(start)
}

fn is_name(host: &[u8]) -> bool {
    let allowed =
        |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    !host.is_empty()
        && !host.starts_with(b".")
        && host.iter().all(allowed)
        && !host.windows(2).any(|pair| pair == b"..")
}

/// The length of the IPv6 address before the closing bracket.
fn address_len(rest: &[u8]) -> Option<usize> {
    let len = rest.iter().position(|&byte| byte == b']')?;
    let address = std::str::from_utf8(&rest[..len]).ok()?;
    address.parse::<std::net::Ipv6Addr>().ok().map(|_| len)
}

fn is_port_or_nothing(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b':', digits @ ..] if digits.len() <= 5 => {
            matches!(super::syntax::parse_decimal(digits), Some(1..=65_535))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_port() {
        let table: [(&str, Option<usize>); 27] = [
            ("a", Some(1)),
            ("shop.example.com", Some(16)),
            ("shop.example.com.", Some(17)),
            ("shop.example.com:8080", Some(16)),
            ("a_b-c~d:1", Some(7)),
            ("127.0.0.1:65535", Some(9)),
            ("[::1]", Some(5)),
            ("[::1]:80", Some(5)),
            ("[::ffff:10.0.0.1]:80", Some(17)),
            ("", None),
            (":80", None),
            ("a:", None),
            ("a:0", None),
            ("a:65536", None),
            ("a:000080", None),
            ("a:+80", None),
            ("a:80:80", None),
            ("a b", None),
            ("a/b", None),
            ("user@a", None),
            ("a%2e", None),
            ("a,b", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[fe80::1%25eth0]", None),
            (".a", None),
            ("a..b", None),
        ];
        for (text, host) in table {
            assert_eq!(host_len(text.as_bytes()), host, "{text:?}");
        }
        assert_eq!(host_len(&[b'a'; 256]), Some(256));
        assert_eq!(host_len(&[b'a'; 257]), None);
    }

    #[test]
    fn the_matched_host_is_lower_case_without_final_dot() {
        for (authority, host) in [
            ("Shop.Example.:80", "shop.example"),
            ("shop.example", "shop.example"),
            ("a.", "a"),
            ("[::1]:80", "[::1]"),
        ] {
            let mut fields = Fields::new();
            let span = fields.store(authority.as_bytes());
            let len = host_len(authority.as_bytes()).expect("a valid authority");
            let stored = store_host(&mut fields, span, len);
            assert_eq!(fields.slice(stored), host.as_bytes());
        }
    }
}
