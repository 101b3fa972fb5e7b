//! Sets up logging: what the process says goes to standard error, access lines to standard output.
//!
//! Both are written by a thread of their own through a bounded queue, so a full pipe never blocks the data path; lines that find it full are
//! dropped and counted.

use std::io;
use tracing::Level;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// The target of access lines.
pub const ACCESS: &str = "access";

/// Lines in a writer's queue, at most.
const QUEUED_LINES_MAX: usize = 16 * 1024;

/// Text for people or JSON for machines, one object a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

type FilterHandle = reload::Handle<Targets, Registry>;

/// Keeps logging alive; dropping it writes what is queued.
pub struct Logging {
    text: Output,
    json: Output,
    _guards: [WorkerGuard; 2],
}

/// The filters of one format: all closed while the other one is in use.
struct Output {
    messages: FilterHandle,
    access: FilterHandle,
}

impl Logging {
    /// Starts logging for the process; to be called once.
    pub fn start(level: Level, format: Format) -> Logging {
        let (messages, messages_guard) = writer(io::stderr());
        let (access, access_guard) = writer(io::stdout());
        let (text_messages, text_messages_filter) = closed();
        let (text_access, text_access_filter) = closed();
        let (json_messages, json_messages_filter) = closed();
        let (json_access, json_access_filter) = closed();
        let plain = || fmt::layer().with_target(false).with_ansi(false);
        let json = || {
            fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
        };
        let layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![
            plain()
                .with_writer(messages.clone())
                .with_filter(text_messages_filter)
                .boxed(),
            plain()
                .with_level(false)
                .with_writer(access.clone())
                .with_filter(text_access_filter)
                .boxed(),
            json()
                .with_writer(messages)
                .with_filter(json_messages_filter)
                .boxed(),
            json()
                .with_target(false)
                .with_level(false)
                .with_writer(access)
                .with_filter(json_access_filter)
                .boxed(),
        ];
        tracing_subscriber::registry().with(layers).init();
        let logging = Logging {
            text: Output {
                messages: text_messages,
                access: text_access,
            },
            json: Output {
                messages: json_messages,
                access: json_access,
            },
            _guards: [messages_guard, access_guard],
        };
        logging.set(level, format);
        logging
    }

    /// Changes level and format while running.
    pub fn set(&self, level: Level, format: Format) {
        let (open, shut) = match format {
            Format::Text => (&self.text, &self.json),
            Format::Json => (&self.json, &self.text),
        };
        open.open(level);
        shut.shut();
    }
}

impl Output {
    fn open(&self, level: Level) {
        let messages = Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("tollgate", level)
            .with_target("plugin", level);
        // Access lines have the level info: `level="warn"` turns them off.
        let access = Targets::new().with_target(ACCESS, level);
        replace(
            &self.messages,
            messages.with_target(ACCESS, LevelFilter::OFF),
        );
        replace(&self.access, access);
    }

    fn shut(&self) {
        replace(&self.messages, Targets::new());
        replace(&self.access, Targets::new());
    }
}

fn replace(handle: &FilterHandle, filter: Targets) {
    // Fails only when the subscriber is gone, that is, at the end of the process.
    let _ = handle.reload(filter);
}

fn closed() -> (FilterHandle, reload::Layer<Targets, Registry>) {
    let (filter, handle) = reload::Layer::new(Targets::new());
    (handle, filter)
}

fn writer(to: impl io::Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(QUEUED_LINES_MAX)
        .finish(to)
}
