//! A listener's `tls`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::decode::Decoder;
use super::lists::listed;
use super::syntax::Node;
use super::{
    Certificate, ClientAuthentication, Demand, Http2, ListenerProtocol, ServerTls, Spanned,
    UnknownName,
};

/// Of a handshake, and of a PROXY header: what a peer sends at once.
pub(super) const GREETING_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(60);
const HANDSHAKES_RANGE: RangeInclusive<u32> = 1..=1_000_000;
const HANDSHAKES_DEFAULT: u32 = 1000;
/// What an HTTP listener speaks.
const HTTP_PROTOCOLS: &[&str] = &["h2", "http/1.1"];

impl Decoder<'_> {
    pub(super) fn server_tls(
        &mut self,
        listener: &Node,
        protocol: &ListenerProtocol,
    ) -> Option<ServerTls> {
        let node = listener.child("tls")?;
        let handshake = node.child("handshake");
        let handshake = |name| handshake.and_then(|node| node.property(name));
        let default = Duration::from_secs(10);
        let tls = ServerTls {
            certificates: self.certificates(node),
            unknown_name: self.unknown_name(node),
            alpn: match protocol {
                ListenerProtocol::Http(http) => self.http_alpn(node, &http.http2),
                ListenerProtocol::Tcp(_) => self.tcp_alpn(node, listener),
            },
            policy: self.tls_policy(node),
            client_certificate: self.client_authentication(node),
            handshake_timeout: self.duration(handshake("timeout"), GREETING_RANGE, default),
            handshakes_max: self.integer(
                handshake("concurrent-max"),
                HANDSHAKES_RANGE,
                HANDSHAKES_DEFAULT,
            ),
            tickets: self.boolean(node.child_argument("tickets"), true),
            acme: node.child("acme").and_then(|node| self.acme(node)),
        };
        if node.child("certificate").is_none() && node.child("acme").is_none() {
            let help = "certificate \"site.pem\" key=\"site.key\", or acme \"https://…\" { … }";
            self.error_help(node.place(), "`tls` has no certificate to show", help);
        }
        Some(tls)
    }

    fn certificates(&mut self, node: &Node) -> Vec<Certificate> {
        let certificates: Vec<_> = node
            .named("certificate")
            .filter_map(|node| self.certificate(node))
            .collect();
        let chains = certificates.iter().map(|found| &found.chain);
        let texts: Vec<_> = chains
            .map(|chain| (chain.value.display().to_string(), chain.place))
            .collect();
        self.refuse_doubles(texts.iter().map(|(text, place)| (text.as_str(), *place)));
        certificates
    }

    fn unknown_name(&mut self, node: &Node) -> UnknownName {
        let words = [
            ("default", UnknownName::Default),
            ("refuse", UnknownName::Refuse),
        ];
        let item = node.child_argument("unknown-name");
        self.choice(item, &words, UnknownName::default())
    }

    fn http_alpn(&mut self, node: &Node, http2: &Http2) -> Vec<String> {
        let Some(written) = self.alpn(node) else {
            let spoken = |name: &&str| {
                if **name == *"h2" {
                    http2.enabled
                } else {
                    !http2.only
                }
            };
            let known = HTTP_PROTOCOLS.iter().filter(|name| spoken(name));
            return known.map(|name| (*name).to_owned()).collect();
        };
        for name in &written {
            if !HTTP_PROTOCOLS.contains(&name.value.as_str()) {
                let message = format!(
                    "an HTTP listener speaks `h2` and `http/1.1`, not `{}`",
                    name.value
                );
                self.error(name.place, message);
            } else if name.value == "h2" && !http2.enabled {
                self.error(name.place, "`http2 enabled=#false` excludes `h2`");
            } else if name.value != "h2" && http2.only {
                self.error(name.place, "`http2 only=#true` excludes `http/1.1`");
            }
        }
        written.into_iter().map(|name| name.value).collect()
    }

    fn tcp_alpn(&mut self, node: &Node, listener: &Node) -> Vec<String> {
        let written = self.alpn(node).unwrap_or_default();
        let agreed: Vec<_> = written.into_iter().map(|name| name.value).collect();
        self.warn_of_alpn(listener, &agreed);
        agreed
    }

    fn client_authentication(&mut self, tls: &Node) -> Option<ClientAuthentication> {
        let node = tls.child("client-certificate")?;
        let words = [
            ("required", Demand::Required),
            ("optional", Demand::Optional),
        ];
        let demand = self.choice(node.arguments.first(), &words, Demand::Required);
        let crls: Vec<Spanned<_>> = listed(node, "crl")
            .into_iter()
            .filter_map(|item| self.file(item))
            .collect();
        let Some(item) = node.property("ca") else {
            let message = "`client-certificate` needs `ca`: whose certificates are good";
            let help = "client-certificate \"required\" ca=\"clients.pem\"";
            self.error_help(node.place(), message, help);
            return None;
        };
        Some(ClientAuthentication {
            demand,
            ca: self.file(item)?,
            crls,
        })
    }
}
