//! `process { … }`.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::decode::Decoder;
use super::syntax::{Node, Scalar};
use super::{Log, LogFormat, LogLevel, Process, Workers};

const DRAIN_RANGE: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 3600);
const DRAIN_DELAY_MAX: Duration = Duration::from_secs(600);

impl Decoder<'_> {
    pub(super) fn process(&mut self, node: &Node) -> Process {
        let default = Process::default();
        let drain = node.child_argument("drain-timeout");
        Process {
            workers: node
                .child("workers")
                .map_or(default.workers, |node| self.workers(node)),
            log: node.child("log").map_or(default.log, |node| self.log(node)),
            drain_timeout: self.duration(drain, DRAIN_RANGE, default.drain_timeout),
            drain_delay: self.duration(
                node.child_argument("drain-delay"),
                Duration::ZERO..=DRAIN_DELAY_MAX,
                default.drain_delay,
            ),
        }
    }

    fn workers(&mut self, node: &Node) -> Workers {
        let Some(item) = node.arguments.first() else {
            return Workers::Auto;
        };
        match &item.value {
            Scalar::Integer(_) => {
                let count = self.integer(Some(item), 1..=1024, 1);
                NonZeroUsize::new(count as usize).map_or(Workers::Auto, Workers::Count)
            }
            Scalar::Text(word) if word == "auto" => Workers::Auto,
            Scalar::Broken => Workers::Auto,
            _ => {
                self.error(item.place, "expected \"auto\" or a number from 1 to 1024");
                Workers::Auto
            }
        }
    }

    fn log(&mut self, node: &Node) -> Log {
        let levels = [
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
        ];
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        Log {
            level: self.choice(node.property("level"), &levels, LogLevel::default()),
            format: self.choice(node.property("format"), &formats, LogFormat::default()),
        }
    }
}
