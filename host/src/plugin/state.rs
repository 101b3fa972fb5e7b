//! What the host keeps for one instance: the message or connection of the current call, budgets, chance, and the plugin's log.

use std::borrow::Cow;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;

use crate::http::{Exchange, Field};
use crate::observe::plugin_metrics::PluginMetrics;

use super::balancer::EndpointTable;
use super::bindings::Level;
use super::fault::Refusal;
use super::grants::Grants;
use super::network_filter::ConnectionPhase;
use super::wasi::Console;

/// Most elements of one table of function references.
pub(super) const TABLE_ELEMENTS_MAX: usize = 100_000;
/// Log lines a second for each plugin and worker.
pub(super) const LINES_PER_SECOND: u32 = 100;
/// A log line is cut after this many bytes.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// The data of a store.
pub(super) struct HostState {
    /// The exchange of the current call; moved in before it and out after it.
    pub(super) exchange: Option<Box<Exchange>>,
    /// The same for a connection.
    pub(super) connection: Option<Box<dyn ConnectionPhase>>,
    /// The endpoints that a balancer has been told of. Weak, so that a worker that picks seldom keeps no old generation alive, nor a
    /// table that leads back to its balancer both.
    pub(super) endpoints: Option<Weak<dyn EndpointTable>>,
    /// Which of them cannot take the request of the current pick, whatever room they have.
    pub(super) refused: Vec<u32>,
    /// Their loads for one pick, kept for its buffer.
    pub(super) loads: Vec<u32>,
    pub(super) memory: MemoryBudget,
    pub(super) copied: Copied,
    /// The ticks that a call gets when its first deadline has passed; taken then.
    pub(super) second_stage: u64,
    pub(super) random: fastrand::Rng,
    pub(super) log: Log,
    pub(super) console: Console,
    pub(super) grants: Grants,
    /// The plugin's own, which all its instances share.
    pub(super) metrics: Arc<PluginMetrics>,
}

impl HostState {
    pub(super) fn new(
        label: Arc<str>,
        memory_max: usize,
        log: LogLimit,
        grants: Grants,
        metrics: Arc<PluginMetrics>,
    ) -> HostState {
        HostState {
            exchange: None,
            connection: None,
            endpoints: None,
            refused: Vec::new(),
            loads: Vec::new(),
            memory: MemoryBudget {
                left: memory_max,
                memory_max,
                spent: false,
            },
            copied: Copied::default(),
            second_stage: 0,
            random: fastrand::Rng::new(),
            log: Log { label, limit: log },
            console: Console::default(),
            grants,
            metrics,
        }
    }

    /// What the instance has used since it started.
    pub(super) fn usage(&self) -> Usage {
        Usage {
            host_calls: self.copied.host_calls,
            bytes_in: self.copied.bytes_in,
            bytes_out: self.copied.bytes_out,
            memory_bytes: self.memory.memory_max - self.memory.left,
        }
    }

    /// The value of a field of the current message or connection.
    pub(super) fn read(&self, field: &Field) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let found = match (&self.exchange, &self.connection) {
            (Some(exchange), _) => exchange.read(field, &mut out),
            (None, Some(connection)) => connection.read(field, &mut out),
            (None, None) => false,
        };
        found.then_some(out)
    }
}

/// What crossed the boundary of an instance. Plain numbers: the instance belongs to one thread.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Copied {
    host_calls: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Copied {
    /// A call of the host by the guest, with the bytes that go in and come out with it.
    pub(super) fn host_call(&mut self, bytes_in: usize, bytes_out: usize) {
        self.host_calls += 1;
        self.call(bytes_in, bytes_out);
    }

    /// A call of the guest by the host, likewise.
    pub(super) fn call(&mut self, bytes_in: usize, bytes_out: usize) {
        self.bytes_in += bytes_in as u64;
        self.bytes_out += bytes_out as u64;
    }
}

/// What one instance has used since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls of the host by the guest, what language runtimes call by themselves included.
    pub host_calls: u64,
    /// Copied into the guest: the fields of calls, and what host calls answered. Settings and endpoints of balancers are not counted.
    pub bytes_in: u64,
    /// Copied out of it: edits, replies, tags, log lines.
    pub bytes_out: u64,
    /// Linear memory, which never shrinks.
    pub memory_bytes: usize,
}

/// The memory that an instance may still take, over all of its linear memories.
pub(super) struct MemoryBudget {
    left: usize,
    memory_max: usize,
    /// Whether the limit was hit; then whatever the guest does next is called a memory fault.
    pub(super) spent: bool,
}

impl ResourceLimiter for MemoryBudget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        if more > self.left {
            self.spent = true;
            let text = format!(
                "wants {} KiB more than `memory-max` ({} KiB) allows",
                (more - self.left) >> 10,
                self.memory_max >> 10
            );
            return Err(wasmtime::Error::new(Refusal(text.into())));
        }
        self.left -= more;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}

/// The plugin's lines in the host's log, under its label.
pub(super) struct Log {
    label: Arc<str>,
    pub(super) limit: LogLimit,
}

impl Log {
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn write(&mut self, level: Level, message: &str) {
        match self.limit.allow(LINES_PER_SECOND, Instant::now()) {
            Allowed::No => {}
            Allowed::Yes { dropped } => {
                if dropped > 0 {
                    tracing::warn!(target: "plugin", plugin = %self.label, dropped, "log lines over 100 a second were dropped");
                }
                self.emit(level, &printable(message));
            }
        }
    }

    fn emit(&self, level: Level, message: &str) {
        let plugin = &*self.label;
        match level {
            Level::Debug => tracing::debug!(target: "plugin", plugin, "{message}"),
            Level::Info => tracing::info!(target: "plugin", plugin, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, "{message}"),
            Level::Error => tracing::error!(target: "plugin", plugin, "{message}"),
        }
    }
}

/// Cut to the longest line, and with control characters escaped, so that a guest cannot forge lines or steer a terminal.
fn printable(message: &str) -> Cow<'_, str> {
    let line = &message[..message.floor_char_boundary(LINE_BYTES_MAX)];
    if !line.contains(char::is_control) {
        return Cow::Borrowed(line);
    }
    let escape = |character: char| {
        if character.is_control() {
            character.escape_default().to_string()
        } else {
            character.to_string()
        }
    };
    Cow::Owned(line.chars().map(escape).collect())
}

/// So many lines in each second that begins with a line. Outlives the instance, so that a guest cannot reset it by trapping.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct LogLimit {
    second_began: Option<Instant>,
    lines: u32,
    dropped: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    No,
    /// With the number of lines dropped since the last second that dropped any.
    Yes {
        dropped: u64,
    },
}

impl LogLimit {
    pub(super) fn allow(&mut self, lines_per_second: u32, now: Instant) -> Allowed {
        let second_over = self
            .second_began
            .is_none_or(|began| now.saturating_duration_since(began) >= Duration::from_secs(1));
        if second_over {
            let dropped = self.dropped;
            *self = LogLimit {
                second_began: Some(now),
                lines: 1,
                dropped: 0,
            };
            return Allowed::Yes { dropped };
        }
        if self.lines >= lines_per_second {
            self.dropped += 1;
            return Allowed::No;
        }
        self.lines += 1;
        Allowed::Yes { dropped: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_lines_pass_in_a_second_and_the_rest_is_counted() {
        let start = Instant::now();
        let mut limit = LogLimit::default();
        let passed = (0..250)
            .filter(|_| limit.allow(100, start) != Allowed::No)
            .count();
        assert_eq!(passed, 100);
        assert_eq!(
            limit.allow(100, start + Duration::from_nanos(999_999_999)),
            Allowed::No
        );
        assert_eq!(
            limit.allow(100, start + Duration::from_secs(1)),
            Allowed::Yes { dropped: 151 }
        );
        assert_eq!(
            limit.allow(100, start + Duration::from_secs(1)),
            Allowed::Yes { dropped: 0 }
        );
    }

    #[test]
    fn lines_are_cut_between_characters_and_made_printable() {
        assert_eq!(printable("plain \u{e9}"), "plain \u{e9}");
        assert_eq!(printable("a\nb\x1b[2J"), "a\\nb\\u{1b}[2J");
        let long = "\u{e9}".repeat(LINE_BYTES_MAX);
        assert_eq!(printable(&long).len(), LINE_BYTES_MAX);
        let odd = format!("a{long}");
        assert_eq!(printable(&odd).len(), LINE_BYTES_MAX - 1);
    }

    #[test]
    fn memory_is_counted_over_all_memories_and_up_to_the_limit() {
        let mut budget = MemoryBudget {
            left: 100,
            memory_max: 100,
            spent: false,
        };
        assert!(budget.memory_growing(0, 60, None).is_ok());
        assert!(budget.memory_growing(0, 40, None).is_ok());
        assert!(!budget.spent);
        assert!(budget.memory_growing(40, 41, None).is_err());
        assert!(budget.spent);
    }
}
