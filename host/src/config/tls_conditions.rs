//! What routes ask of TLS: the name and the protocols of the hello, and the client's certificate.

use super::address::is_host_name;
use super::decode::Decoder;
use super::lists::listed;
use super::route_match::parse_host;
use super::suggest::one_of;
use super::syntax::Node;
use super::tls_policy::parse_alpn;
use super::{ClientCertificateMatch, HelloMatch, HostPattern, Place, Spanned};

/// The kinds of names in a certificate, as facts write them.
const NAME_KINDS: &[&str] = &["DNS:", "URI:", "IP:", "email:"];
const FINGERPRINT_DIGITS: usize = 64;

impl Decoder<'_> {
    pub(super) fn hello_match(&mut self, route: &Node) -> HelloMatch {
        HelloMatch {
            snis: self.snis(route),
            alpns: values(self.values(route, "alpn", parse_alpn)),
        }
    }

    pub(super) fn snis(&mut self, route: &Node) -> Vec<HostPattern> {
        values(self.values(route, "sni", parse_sni))
    }

    /// An empty block, or none, takes any verified certificate.
    pub(super) fn client_certificate_match(
        &mut self,
        route: &Node,
    ) -> Option<ClientCertificateMatch> {
        let node = route.child("client-certificate")?;
        Some(ClientCertificateMatch {
            subjects: values(self.values(node, "subject", parse_subject)),
            names: values(self.values(node, "name", parse_name)),
            fingerprints: values(self.values(node, "fingerprint", parse_fingerprint)),
        })
    }

    /// Conditions of an HTTP listener's routes that nothing could meet.
    pub(super) fn check_tls_conditions(&mut self, listener: &Node) {
        let tls = listener.child("tls");
        let asks_clients = tls.is_some_and(|tls| tls.child("client-certificate").is_some());
        for route in listener.named("route") {
            for place in conditions(route, "alpn") {
                self.error(place, "`alpn` needs `protocol \"tcp\"`");
            }
            for place in conditions(route, "sni").filter(|_| tls.is_none()) {
                self.error(place, "`sni` needs `tls` on this listener");
            }
            if !asks_clients && let Some(node) = route.child("client-certificate") {
                let message = "this listener asks for no client certificate";
                let help = "tls { client-certificate \"optional\" ca=\"clients.pem\" }";
                self.error_help(node.place(), message, help);
            }
        }
    }

    /// A listener that ends TLS itself knows of a client what both agreed on, and nothing else.
    pub(super) fn warn_of_alpn(&mut self, listener: &Node, agreed: &[String]) {
        for item in listener
            .named("route")
            .flat_map(|route| listed(route, "alpn"))
        {
            let offers = |text: &str| agreed.iter().any(|known| known == text);
            let Some(text) = self.text(item).filter(|text| !offers(&text.value)) else {
                continue;
            };
            let message = format!("this listener never agrees on `{}`", text.value);
            let help = Some("name it in `alpn` of `tls`".to_owned());
            self.diagnostics.warn(text.place, message, help, None);
        }
    }
}

/// Where a route has this condition, as property or as child.
pub(super) fn conditions<'n>(route: &'n Node, name: &'n str) -> impl Iterator<Item = Place> + 'n {
    let properties = route.properties.iter().map(|(key, _)| key);
    let children = route.children().iter().map(|child| &child.name);
    properties
        .chain(children)
        .filter(move |key| key.value == name)
        .map(|key| key.place)
}

/// Whether this route needs to see the hello.
pub(super) fn asks_of_hello(route: &Node) -> bool {
    ["sni", "alpn"]
        .iter()
        .any(|name| conditions(route, name).next().is_some())
}

pub(super) fn values<T>(list: Vec<Spanned<T>>) -> Vec<T> {
    list.into_iter().map(|entry| entry.value).collect()
}

/// As a host, but no address: RFC 6066 section 3 has clients name hosts alone, without a dot at the end.
fn parse_sni(text: &str) -> Result<HostPattern, String> {
    let is_address = text.parse::<std::net::Ipv4Addr>().is_ok() || text.starts_with('[');
    if is_address {
        return Err(format!(
            "`{text}` can never match: a client that asks for an address sends no name"
        ));
    }
    if text.ends_with('.') {
        return Err(format!(
            "`{text}` can never match: names are sent without a dot at the end"
        ));
    }
    match text {
        "*" => Err("leave `sni` out to match every connection".to_owned()),
        _ => parse_host(text).map_err(|_| {
            format!("`{text}` is no name that a client could ask for; write \"www.example.com\" or \"*.example.com\"")
        }),
    }
}

fn parse_subject(text: &str) -> Result<String, String> {
    match text.contains('=') {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "`{text}` is no subject; write it as in \"CN=app,O=Example\""
        )),
    }
}

fn parse_name(text: &str) -> Result<String, String> {
    let value = NAME_KINDS.iter().find_map(|kind| text.strip_prefix(kind));
    let Some(value) = value else {
        let kinds = one_of(NAME_KINDS.iter().copied());
        return Err(format!(
            "`{text}`: a certificate's name begins with {kinds}"
        ));
    };
    if value.is_empty() {
        return Err(format!("`{text}` names nothing"));
    }
    // A wildcard in a certificate is a name like any other: `DNS:*.example.com`.
    let inner = value.strip_suffix('*').unwrap_or(value);
    match inner.contains('*') && !is_wildcard_name(text) {
        true => Err(format!("`{text}`: a `*` stands at the end, for any rest")),
        false => Ok(text.to_owned()),
    }
}

fn is_wildcard_name(text: &str) -> bool {
    text.strip_prefix("DNS:*.").is_some_and(is_host_name)
}

/// With colons between bytes or without, as tools print it.
fn parse_fingerprint(text: &str) -> Result<String, String> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let good = digits.len() == FINGERPRINT_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
    match good {
        true => Ok(digits.to_ascii_lowercase()),
        false => Err(format!(
            "`{text}` is no SHA-256 fingerprint, which has {FINGERPRINT_DIGITS} hexadecimal digits"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_hello_are_host_names() {
        for (text, expected) in [
            (
                "DB.example.com",
                Some(HostPattern::Exact("db.example.com".into())),
            ),
            (
                "*.example.com",
                Some(HostPattern::Suffix(".example.com".into())),
            ),
            ("localhost", Some(HostPattern::Exact("localhost".into()))),
            ("*", None),
            ("db.example.com.", None),
            ("127.0.0.1", None),
            ("[::1]", None),
            ("::1", None),
            ("db.*.com", None),
            ("db:5432", None),
            ("", None),
        ] {
            assert_eq!(parse_sni(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn names_of_a_certificate_have_a_kind() {
        for (text, good) in [
            ("DNS:app.example.com", true),
            ("DNS:*.example.com", true),
            ("DNS:app*", true),
            ("DNS:*", true),
            ("URI:spiffe://example/*", true),
            ("IP:192.0.2.1", true),
            ("email:a@example.com", true),
            ("dns:app.example.com", false),
            ("app.example.com", false),
            ("DNS:", false),
            ("DNS:a*b", false),
            ("URI:*.example.com", false),
            ("DNS:app**", false),
            ("", false),
        ] {
            assert_eq!(parse_name(text).is_ok(), good, "{text}");
        }
        for (text, good) in [
            ("CN=a", true),
            ("CN=a,O=b", true),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(parse_subject(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn fingerprints_are_normalised() {
        let plain = "0123456789abcdef".repeat(4);
        let pairs: Vec<&str> = (0..64).step_by(2).map(|at| &plain[at..at + 2]).collect();
        let upper = pairs.join(":").to_ascii_uppercase();
        assert_eq!(parse_fingerprint(&plain).as_ref(), Ok(&plain));
        assert_eq!(parse_fingerprint(&upper).as_ref(), Ok(&plain));
        for text in ["", "ab", &plain[1..], &format!("{plain}0"), &"g".repeat(64)] {
            assert!(parse_fingerprint(text).is_err(), "{text}");
        }
    }
}
