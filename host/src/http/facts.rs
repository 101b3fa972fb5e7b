//! What TLS and the PROXY protocol said about a downstream connection: plain data, which filters read as tags.
//!
//! A fact is read under the name that it has in [`TlsFacts::read`] and [`ProxyFacts::read`], such as `tls.sni`. The prefixes `tls.` and
//! `proxy.` belong to the host: no plugin can set a tag under them.

use std::net::SocketAddr;
use std::sync::Arc;

use super::syntax::write_decimal;

/// What the TLS handshake of a downstream has shown.
#[derive(Debug, Clone, Default)]
pub struct TlsFacts {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The name of the suite, as in `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The name that the client asked for, lower case.
    pub sni: Option<Box<str>>,
    /// The application protocol that was agreed on.
    pub alpn: Option<Box<str>>,
    /// The session was resumed.
    pub resumed: bool,
    pub client: Option<ClientCertificate>,
    /// What the certificate that we have shown is for: DNS names, lower case, wildcards as `*.name`, and addresses as `Host` has them.
    pub own_names: Arc<[Box<str>]>,
}

/// A verified client certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The distinguished name in the form of RFC 4514.
    pub subject: Box<str>,
    /// Likewise.
    pub issuer: Box<str>,
    /// Hexadecimal, lower case.
    pub serial: Box<str>,
    /// Each with its kind: `DNS:app.example.com`, `URI:spiffe://…`, `IP:192.0.2.1`, `email:…`.
    pub names: Vec<Box<str>>,
    /// SHA-256 of the certificate, hexadecimal, lower case.
    pub fingerprint: Box<str>,
}

/// What a trusted PROXY header said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyFacts {
    /// 1 or 2.
    pub version: u8,
    /// Who sent the header: the peer of the socket.
    pub sender: Option<SocketAddr>,
    /// Type-length-values of version 2 in order, without checksum and padding; 0x01 is the ALPN, 0x02 the authority, 0x05 the unique id.
    pub values: Vec<(u8, Box<[u8]>)>,
}

impl TlsFacts {
    /// Appends the value of a fact to `out` and says whether there is one.
    ///
    /// Names: `tls.version`, `tls.cipher`, `tls.sni`, `tls.alpn`, `tls.resumed` (`true` or `false`), `tls.client` (`verified`, absent without a
    /// certificate), `tls.client.subject`, `tls.client.issuer`, `tls.client.serial`, `tls.client.names` (joined by `, `),
    /// `tls.client.fingerprint`.
    pub fn read(&self, name: &str, out: &mut Vec<u8>) -> bool {
        let client = self.client.as_ref();
        let text = match name {
            "tls.version" => Some(self.version),
            "tls.cipher" => Some(self.cipher),
            "tls.sni" => self.sni.as_deref(),
            "tls.alpn" => self.alpn.as_deref(),
            "tls.resumed" => Some(if self.resumed { "true" } else { "false" }),
            "tls.client" => client.map(|_| "verified"),
            "tls.client.subject" => client.map(|client| &*client.subject),
            "tls.client.issuer" => client.map(|client| &*client.issuer),
            "tls.client.serial" => client.map(|client| &*client.serial),
            "tls.client.fingerprint" => client.map(|client| &*client.fingerprint),
            "tls.client.names" => {
                let Some(client) = client.filter(|client| !client.names.is_empty()) else {
                    return false;
                };
                out.extend_from_slice(client.names.join(", ").as_bytes());
                return true;
            }
            _ => None,
        };
        text.map(|text| out.extend_from_slice(text.as_bytes()))
            .is_some()
    }

    /// Whether the certificate that we have shown is good for `host` (lower case, without port): an exact name, or one label for the `*`.
    pub fn serves(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.own_names
            .iter()
            .any(|name| match name.strip_prefix("*.") {
                Some(rest) => parent == Some(rest),
                None => **name == *host,
            })
    }
}

impl ProxyFacts {
    /// Appends the value of a fact to `out` and says whether there is one.
    ///
    /// Names: `proxy.version`, `proxy.sender` (address and port of who sent the header), `proxy.alpn`, `proxy.authority`, `proxy.unique-id`,
    /// and `proxy.tlv.HH` for any value by its type in hexadecimal (the first of that type).
    pub fn read(&self, name: &str, out: &mut Vec<u8>) -> bool {
        let kind = match name {
            "proxy.version" => {
                write_decimal(self.version.into(), out);
                return true;
            }
            "proxy.sender" => {
                let Some(sender) = self.sender else {
                    return false;
                };
                out.extend_from_slice(sender.to_string().as_bytes());
                return true;
            }
            "proxy.alpn" => Some(1),
            "proxy.authority" => Some(2),
            "proxy.unique-id" => Some(5),
            other => other
                .strip_prefix("proxy.tlv.")
                .filter(|digits| {
                    digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
                })
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
        };
        let found = self.values.iter().find(|(found, _)| Some(*found) == kind);
        found
            .map(|(_, value)| out.extend_from_slice(value))
            .is_some()
    }
}

/// Whether a tag of this name is the host's to set.
pub fn is_host_tag(name: &str) -> bool {
    ["tls.", "proxy.", "exchange."]
        .iter()
        .any(|host| name.starts_with(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(read: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<String> {
        let mut out = Vec::new();
        read(&mut out).then(|| String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn tls_facts_are_read_by_name() {
        let facts = TlsFacts {
            version: "TLSv1.3",
            sni: Some("a.test".into()),
            client: Some(ClientCertificate {
                subject: "CN=a".into(),
                names: vec!["DNS:a.test".into(), "URI:spiffe://x".into()],
                ..ClientCertificate::default()
            }),
            ..TlsFacts::default()
        };
        for (name, expected) in [
            ("tls.version", Some("TLSv1.3")),
            ("tls.sni", Some("a.test")),
            ("tls.alpn", None),
            ("tls.resumed", Some("false")),
            ("tls.client", Some("verified")),
            ("tls.client.subject", Some("CN=a")),
            ("tls.client.names", Some("DNS:a.test, URI:spiffe://x")),
            ("tls.other", None),
        ] {
            assert_eq!(
                read(|out| facts.read(name, out)).as_deref(),
                expected,
                "{name}"
            );
        }
        assert_eq!(
            read(|out| TlsFacts::default().read("tls.client", out)),
            None
        );
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let facts = TlsFacts {
            own_names: ["a.test".into(), "*.b.test".into()].into(),
            ..TlsFacts::default()
        };
        for (host, expected) in [
            ("a.test", true),
            ("x.a.test", false),
            ("x.b.test", true),
            ("b.test", false),
            ("x.y.b.test", false),
            ("", false),
        ] {
            assert_eq!(facts.serves(host), expected, "{host}");
        }
    }

    #[test]
    fn proxy_facts_are_read_by_name_or_type() {
        let facts = ProxyFacts {
            version: 2,
            sender: Some("10.0.0.1:9".parse().expect("an address")),
            values: vec![(2, (*b"a.test").into()), (0xea, (*b"x").into())],
        };
        for (name, expected) in [
            ("proxy.version", Some("2")),
            ("proxy.sender", Some("10.0.0.1:9")),
            ("proxy.authority", Some("a.test")),
            ("proxy.unique-id", None),
            ("proxy.tlv.ea", Some("x")),
            ("proxy.tlv.EA", Some("x")),
            ("proxy.tlv.1", None),
            ("proxy.tlv.+2", None),
        ] {
            assert_eq!(
                read(|out| facts.read(name, out)).as_deref(),
                expected,
                "{name}"
            );
        }
    }
}
