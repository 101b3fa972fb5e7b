//! A cluster's `tls` and `protocol`.

use super::decode::Decoder;
use super::health_check::parse_server_name;
use super::syntax::Node;
use super::{ClientTls, Endpoint, EndpointAddress, UpstreamProtocol};

impl Decoder<'_> {
    pub(super) fn upstream_protocol(&mut self, cluster: &Node) -> UpstreamProtocol {
        let words = [
            ("http/1.1", UpstreamProtocol::Http1),
            ("h2", UpstreamProtocol::Http2),
        ];
        let item = cluster.child_argument("protocol");
        self.choice(item, &words, UpstreamProtocol::default())
    }

    pub(super) fn client_tls(
        &mut self,
        cluster: &Node,
        protocol: UpstreamProtocol,
        endpoints: &[Endpoint],
    ) -> Option<ClientTls> {
        let node = cluster.child("tls")?;
        let verify = self.boolean(node.property("verify"), true);
        if !verify {
            let why = "means nothing with `verify=#false`: no certificate is compared with it";
            self.refuse_properties(node, &["ca"], why);
        }
        let server_name = node.property("server-name");
        if server_name.is_none() {
            self.refuse_nameless(endpoints);
        }
        let certificate = node.child("certificate");
        Some(ClientTls {
            verify,
            ca: node.property("ca").and_then(|item| self.file(item)),
            server_name: server_name.and_then(|item| self.parsed(item, parse_server_name)),
            certificate: certificate.and_then(|node| self.certificate(node)),
            alpn: self.client_alpn(node, protocol),
            policy: self.tls_policy(node),
        })
    }

    fn refuse_nameless(&mut self, endpoints: &[Endpoint]) {
        let addresses = endpoints.iter().map(|endpoint| &endpoint.address);
        for address in addresses.filter(|address| matches!(address.value, EndpointAddress::Unix(_)))
        {
            let message = "a Unix socket has no host name to verify";
            let help = "tls server-name=\"api.internal\"";
            self.error_help(address.place, message, help);
        }
    }

    fn client_alpn(&mut self, node: &Node, protocol: UpstreamProtocol) -> Vec<String> {
        let Some(written) = self.alpn(node) else {
            return match protocol {
                UpstreamProtocol::Http1 => Vec::new(),
                UpstreamProtocol::Http2 => vec!["h2".to_owned()],
            };
        };
        let h2 = written.iter().find(|name| name.value == "h2");
        match (protocol, h2) {
            (UpstreamProtocol::Http1, Some(h2)) => {
                let message = "`h2` is offered, and `protocol` is not \"h2\"";
                self.error(h2.place, message);
            }
            (UpstreamProtocol::Http2, None) => {
                if let Some(node) = node.child("alpn") {
                    let message = "`protocol \"h2\"` needs `h2` among these";
                    self.error_help(node.place(), message, "leave `alpn` out to offer it");
                }
            }
            (UpstreamProtocol::Http1, None) | (UpstreamProtocol::Http2, Some(_)) => {}
        }
        written.into_iter().map(|name| name.value).collect()
    }
}
