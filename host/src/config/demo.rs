//! `demo-origins …`: small servers inside the process, for a first look.

use super::address::parse_socket;
use super::decode::Decoder;
use super::syntax::{Item, Node};
use super::{DemoKind, DemoOrigin};

impl Decoder<'_> {
    /// Arguments are HTTP origins; children say their kind and may have a name.
    pub(super) fn demo_origins(&mut self, node: &Node, origins: &mut Vec<DemoOrigin>) {
        if node.arguments.is_empty() && node.children().is_empty() {
            let help = "demo-origins \"127.0.0.1:9001\" \"127.0.0.1:9002\"";
            self.error_help(node.place(), "`demo-origins` lists no address", help);
        }
        for item in &node.arguments {
            self.demo_origin(item, None, DemoKind::Http, origins);
        }
        for child in node.children() {
            let kind = match child.name() {
                "http" => DemoKind::Http,
                "tcp-echo" => DemoKind::TcpEcho,
                // Reported by the shape check.
                _ => continue,
            };
            if let Some(item) = child.arguments.first() {
                self.demo_origin(item, child.property("name"), kind, origins);
            }
        }
    }

    fn demo_origin(
        &mut self,
        item: &Item,
        name: Option<&Item>,
        kind: DemoKind,
        origins: &mut Vec<DemoOrigin>,
    ) {
        let name = self.name(name).map_or_else(
            || format!("origin-{}", origins.len() + 1),
            |name| name.value,
        );
        if let Some(address) = self.parsed(item, parse_socket) {
            origins.push(DemoOrigin {
                address,
                name,
                kind,
            });
        }
    }
}
