//! `admin "127.0.0.1:9900" …`.

use std::net::SocketAddr;

use super::Spanned;
use super::address::parse_socket;
use super::decode::Decoder;
use super::syntax::Node;

impl Decoder<'_> {
    pub(super) fn admin(&mut self, node: &Node) -> Vec<Spanned<SocketAddr>> {
        let items = node.arguments.iter();
        items
            .filter_map(|item| self.parsed(item, parse_admin))
            .collect()
    }
}

fn parse_admin(text: &str) -> Result<SocketAddr, String> {
    let address = parse_socket(text)?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err(
            "only loopback addresses: the admin API has no authentication in this version"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_ask() {
        for (text, expected) in [
            ("127.0.0.1:9900", true),
            ("127.8.8.8:0", true),
            ("[::1]:9900", true),
            ("*:9900", false),
            ("[::]:9900", false),
            ("192.0.2.1:9900", false),
            // Which family it is bound in is the system's to decide: not worth the doubt.
            ("[::ffff:127.0.0.1]:9900", false),
            ("localhost:9900", false),
        ] {
            assert_eq!(parse_admin(text).is_ok(), expected, "{text}");
        }
    }
}
