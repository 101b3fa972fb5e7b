//! The URL that a request asked for, as its client sees it.

use std::borrow::Cow;

use tollgate_plugin_sdk::{Facts, Field};

const PROTO: &str = "x-forwarded-proto";
const HOST: &str = "x-forwarded-host";

/// The parts of the URL.
#[derive(Debug)]
pub(crate) struct Url<'a> {
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// Lower case, without port; empty when the request has none.
    pub(crate) host: Cow<'a, str>,
    /// Digits; none for the usual port.
    port: Option<String>,
    pub(crate) path: Cow<'a, str>,
    /// Without its `?`.
    pub(crate) query: Option<Cow<'a, str>>,
}

impl<'a> Url<'a> {
    /// Reads it. The host settles the forwarding headers before any filter: from peers that are not trusted they are its own.
    pub(crate) fn of(request: &Facts<'a>) -> Url<'a> {
        let secure = request.has_header_line(PROTO, b"https") || request.scheme() == "https";
        let host = request.host();
        let port = request
            .header(HOST)
            .and_then(|authority| port_of(&authority, &host));
        Url {
            scheme: if secure { "https" } else { "http" },
            host,
            port,
            path: request.path(),
            query: request.query(),
        }
    }

    /// What [`Url::of`] reads.
    pub(crate) fn fields() -> [Field; 6] {
        [
            Field::Scheme,
            Field::Host,
            Field::Path,
            Field::Query,
            Field::Header(PROTO.to_owned()),
            Field::Header(HOST.to_owned()),
        ]
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> String {
        self.with_port(&self.host)
    }

    /// Another host on the same port.
    pub(crate) fn with_port(&self, host: &str) -> String {
        match &self.port {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// Path and query.
    pub(crate) fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone().into_owned(),
        }
    }

    /// Whether following `location` leads back to this URL.
    pub(crate) fn is_at(&self, location: &str) -> bool {
        let location = location.split('#').next().unwrap_or_default();
        if location.starts_with('/') {
            return location == self.target();
        }
        let Some((scheme, rest)) = location.split_once("://") else {
            return false;
        };
        let path = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(path);
        let slash = if target.starts_with('/') { "" } else { "/" };
        scheme == self.scheme
            && authority.eq_ignore_ascii_case(&self.authority())
            && format!("{slash}{target}") == self.target()
    }
}

/// The port in `authority`, when that is this host on a port of its own. A list, or the name of another host, says nothing of ours.
fn port_of(authority: &[u8], host: &str) -> Option<String> {
    let authority = std::str::from_utf8(authority).ok()?;
    let (name, port) = authority.rsplit_once(':')?;
    let is_port = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_ours = name.trim_end_matches('.').eq_ignore_ascii_case(host);
    (is_port && is_ours).then(|| port.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_port_of_the_same_host_counts() {
        let cases: [(&[u8], &str, Option<&str>); 9] = [
            (b"a.test:8080", "a.test", Some("8080")),
            (b"A.Test.:8080", "a.test", Some("8080")),
            (b"[::1]:81", "[::1]", Some("81")),
            (b"[::1]", "[::1]", None),
            (b"a.test", "a.test", None),
            (b"b.test:80", "a.test", None),
            (b"a.test:80, b.test:81", "a.test", None),
            (b"a.test:8x", "a.test", None),
            (b"a.test:\xff", "a.test", None),
        ];
        for (authority, host, expected) in cases {
            assert_eq!(
                port_of(authority, host).as_deref(),
                expected,
                "{authority:?}"
            );
        }
    }
}
