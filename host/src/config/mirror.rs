//! A route's `mirror "cluster" …`.

use super::decode::Decoder;
use super::retry::REPLAY_BYTES_MAX;
use super::syntax::Node;
use super::{Mirror, Percent};

const ALL: Percent = Percent(10_000);

impl Decoder<'_> {
    pub(super) fn mirror(&mut self, node: &Node) -> Option<Mirror> {
        let share = self.percent(node.property("share"), Percent(0)..=ALL, ALL);
        let bytes = node.property("body-bytes-max");
        let body_bytes_max = self.size(bytes, 0..=REPLAY_BYTES_MAX, 64 << 10);
        Some(Mirror {
            cluster: self.first_text(node)?,
            share,
            body_bytes_max,
        })
    }
}
