//! Refuses what a browser on this machine could be made to send by another site.
//!
//! The listener takes the word of whoever reaches it on the loopback address, and a browser here reaches it on behalf of any page. Two
//! checks keep such pages out: a page whose own name was made to point at this machine (DNS rebinding) sends that name as `Host`; a page
//! of another origin sends its `Origin` with everything that changes something (Fetch standard, section "`Origin` header"). Bodies must be
//! JSON besides, which no form can send.

use super::answer::Problem;
use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::http::request::Parts;
use std::net::IpAddr;

/// # Errors
/// 400 without exactly one `Host`, 403 for a foreign one and for a foreign `Origin`.
pub(super) fn check(head: &Parts) -> Result<(), Problem> {
    let host = host(&head.headers)?;
    // RFC 9112 section 3.2.2: where the target names a host, that is the one that is meant.
    let target = head.uri.authority().map(|authority| authority.as_str());
    if !is_this_machine(host) || !target.is_none_or(is_this_machine) {
        let error = "the `Host` of this request is neither a loopback address nor `localhost`";
        return Err(Problem::forbidden(error)
            .help("ask at the address that `admin` has in the configuration"));
    }
    let own = |origin: &[u8]| {
        let authority = origin.strip_prefix(b"http://");
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_bytes()))
    };
    let mut origins = head.headers.get_all(ORIGIN).iter();
    match origins.all(|origin| own(origin.as_bytes())) {
        true => Ok(()),
        false => Err(Problem::forbidden(
            "this request comes from a page of another origin",
        )),
    }
}

fn host(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    }
    .ok_or_else(|| Problem::malformed("a request has one `Host` header"))
}

/// `127.0.0.1`, `[::1]` or `localhost`, with or without a port.
fn is_this_machine(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address without a port are inside its brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    port.is_none_or(is_port) && (host.eq_ignore_ascii_case("localhost") || is_loopback(host))
}

fn is_loopback(host: &str) -> bool {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let address = match inner {
        Some(address) => address.parse().map(IpAddr::V6),
        None => host.parse().map(IpAddr::V4),
    };
    address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    #[test]
    fn only_this_machine_is_asked_for() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("127.0.0.1:9900", true),
            ("127.9.9.9:1", true),
            ("[::1]", true),
            ("[::1]:9900", true),
            ("[0:0:0:0:0:0:0:1]:9900", true),
            ("localhost", true),
            ("LocalHost:9900", true),
            ("localhost.", false),
            ("localhost.evil.example:9900", false),
            ("x.localhost", false),
            ("evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1@evil.example", false),
            ("evil.example@127.0.0.1:80", false),
            ("::1", false),
            ("[127.0.0.1]", false),
            ("[::1", false),
            ("[::ffff:127.0.0.1]", false),
            ("127.1", false),
            ("0.0.0.0:9900", false),
            ("192.0.2.1:9900", false),
            ("127.0.0.1:9900x", false),
            ("", false),
            (":9900", false),
        ] {
            assert_eq!(is_this_machine(host), expected, "{host}");
        }
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let cases: &[(&[&str], &[&str], Option<u16>)] = &[
            (&["127.0.0.1:9900"], &[], None),
            (&["127.0.0.1:9900"], &["http://127.0.0.1:9900"], None),
            (&["localhost:9900"], &["http://LOCALHOST:9900"], None),
            (&["127.0.0.1:9900"], &["http://127.0.0.1:9901"], Some(403)),
            (&["127.0.0.1:9900"], &["http://localhost:9900"], Some(403)),
            (&["127.0.0.1:9900"], &["https://127.0.0.1:9900"], Some(403)),
            (&["127.0.0.1:9900"], &["http://evil.example"], Some(403)),
            (&["127.0.0.1:9900"], &["null"], Some(403)),
            (&["127.0.0.1:9900"], &[""], Some(403)),
            (
                &["127.0.0.1:9900"],
                &["http://127.0.0.1:9900", "http://evil.example"],
                Some(403),
            ),
            (&["evil.example"], &[], Some(403)),
            (&["evil.example"], &["http://evil.example"], Some(403)),
            (&[], &[], Some(400)),
            (&["localhost", "localhost"], &[], Some(400)),
        ];
        for (hosts, origins, expected) in cases {
            let mut request = Request::get("/live");
            for host in *hosts {
                request = request.header(HOST, *host);
            }
            for origin in *origins {
                request = request.header(ORIGIN, *origin);
            }
            let (head, ()) = request.body(()).expect("it is a request").into_parts();
            let status = check(&head).err().map(|problem| problem.status.as_u16());
            assert_eq!(status, *expected, "{hosts:?} {origins:?}");
        }
    }

    #[test]
    fn a_target_with_a_host_is_asked_for_that_host() {
        for (target, expected) in [
            ("http://127.0.0.1:9900/live", true),
            ("http://evil.example/live", false),
        ] {
            let request = Request::get(target).header(HOST, "127.0.0.1:9900");
            let (head, ()) = request.body(()).expect("it is a request").into_parts();
            assert_eq!(check(&head).is_ok(), expected, "{target}");
        }
    }
}
