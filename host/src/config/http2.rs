//! `http2 …` of a listener and of a cluster.

use std::ops::RangeInclusive;

use super::decode::Decoder;
use super::syntax::{Item, Node};
use super::units::show_size;
use super::{CONNECTION_WINDOW_MAX, Http2, UpstreamProtocol};

const STREAMS_RANGE: RangeInclusive<u32> = 1..=100_000;
/// From what every peer may send before it has heard of anything else (RFC 9113 section 6.9.2).
const STREAM_WINDOW_RANGE: RangeInclusive<u64> = 65_535..=16 << 20;
const CONNECTION_WINDOW_RANGE: RangeInclusive<u64> = 65_535..=CONNECTION_WINDOW_MAX as u64;

impl Decoder<'_> {
    pub(super) fn listener_http2(&mut self, listener: &Node) -> Http2 {
        let Some(node) = listener.child("http2") else {
            return Http2::default();
        };
        let enabled = self.boolean(node.property("enabled"), true);
        if !enabled {
            let limits = ["only", "streams-max", "stream-window", "connection-window"];
            self.refuse_properties(node, &limits, "means nothing with `enabled=#false`");
        }
        Http2 {
            enabled,
            only: self.boolean(node.property("only"), false),
            ..self.http2_limits(node, |limits| limits.connection_window)
        }
    }

    pub(super) fn cluster_http2(&mut self, cluster: &Node, protocol: UpstreamProtocol) -> Http2 {
        let Some(node) = cluster.child("http2") else {
            let limits = Http2::default();
            return Http2 {
                connection_window: limits.of_all_streams(),
                ..limits
            };
        };
        if protocol != UpstreamProtocol::Http2 {
            let message = "`http2` needs `protocol \"h2\"`";
            self.error(node.place(), message);
        }
        self.http2_limits(node, Http2::of_all_streams)
    }

    /// `connection_window` is the default, once the other limits are known.
    fn http2_limits(&mut self, node: &Node, connection_window: fn(&Http2) -> u32) -> Http2 {
        let default = Http2::default();
        let of = |name| node.property(name);
        let mut limits = Http2 {
            streams_max: self.integer(of("streams-max"), STREAMS_RANGE, default.streams_max),
            stream_window: self.window(
                of("stream-window"),
                STREAM_WINDOW_RANGE,
                default.stream_window,
            ),
            ..default
        };
        limits.connection_window = self.window(
            of("connection-window"),
            CONNECTION_WINDOW_RANGE,
            connection_window(&limits),
        );
        self.check_windows(node, &limits);
        limits
    }

    fn window(&mut self, item: Option<&Item>, range: RangeInclusive<u64>, default: u32) -> u32 {
        let found = self.size(item, range, default.into());
        // What is larger was reported.
        u32::try_from(found).unwrap_or(default)
    }

    fn check_windows(&mut self, node: &Node, limits: &Http2) {
        if limits.connection_window >= limits.stream_window {
            return;
        }
        let item = node
            .property("connection-window")
            .or_else(|| node.property("stream-window"));
        let (stream, connection) = (
            show_size(limits.stream_window.into()),
            show_size(limits.connection_window.into()),
        );
        let message =
            format!("`connection-window` ({connection}) is less than `stream-window` ({stream})");
        let help = format!("set connection-window={stream:?} or more");
        self.error_help(item.map_or(node.place(), |item| item.place), message, help);
    }
}
