//! The proxy as a process of its own: its configuration, its ports, its log, its access lines.

use super::lines::Lines;
use super::{Client, config};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use tempfile::TempDir;

/// What every configuration starts with, unless it has a `process` of its own.
const PROCESS: &str = "process {\n    workers 1\n    log level=\"info\" format=\"json\"\n}\n";

/// One listener, one route, one cluster.
const PLAIN: &str = r#"
listener "web" "127.0.0.1:0" {
    route "all" { cluster "origin" }
}
cluster "origin" {
    endpoint "ORIGIN"
}
"#;

/// A running proxy; ends when dropped.
pub(crate) struct Proxy {
    child: Child,
    directory: TempDir,
    /// What it says, on standard error.
    log: Lines,
    /// Access lines, on standard output.
    access: Lines,
}

/// An access line in JSON.
#[derive(Debug, Clone)]
pub(crate) struct AccessLine(pub(crate) Value);

impl Proxy {
    /// Starts the proxy with this configuration and waits until it is in force. Addresses are `127.0.0.1:0`: [`Proxy::address`] tells the
    /// port. The log level stays at "info", which the harness reads. Without a `process` node there is one worker, and a log in JSON, which [`Proxy::access_line`] needs.
    pub(crate) fn start(text: &str) -> Proxy {
        Proxy::try_start(text).unwrap_or_else(|said| panic!("the proxy did not start:\n{said}"))
    }

    /// As [`Proxy::start`]; what it said when it ended instead.
    pub(crate) fn try_start(text: &str) -> Result<Proxy, String> {
        Proxy::start_in(tempfile::tempdir().expect("a temporary folder"), text)
    }

    /// As [`Proxy::try_start`], with the configuration beside the files that are in `directory` already.
    pub(crate) fn start_in(directory: TempDir, text: &str) -> Result<Proxy, String> {
        let file = directory.path().join("config.kdl");
        std::fs::write(&file, whole(text)).expect("a writable folder");
        let mut child = Command::new(binary())
            .args(["run", "--config"])
            .arg(&file)
            .env("TOLLGATE_CACHE_DIR", cache_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary was built with this test");
        let log = Lines::of(child.stderr.take().expect("piped"));
        let access = Lines::of(child.stdout.take().expect("piped"));
        let proxy = Proxy {
            child,
            directory,
            log,
            access,
        };
        match proxy
            .log
            .find(0, |line| line.contains("generation in force").then_some(()))
        {
            Some(()) => Ok(proxy),
            None => Err(proxy.log.all().join("\n")),
        }
    }

    /// Starts a proxy with the listener "web" and everything on it forwarded to the cluster "origin", which is `origin`.
    pub(crate) fn before(origin: &dyn Display) -> Proxy {
        Proxy::start(&config(PLAIN, &[("ORIGIN", origin)]))
    }

    /// The address of a listener that has one.
    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        let looked = self.log.find(0, |line| listening_at(line, listener));
        looked.unwrap_or_else(|| panic!("no listener {listener}: {}", self.log.all().join("\n")))
    }

    /// A new connection to the listener "web".
    pub(crate) fn client(&self) -> Client {
        self.client_of("web")
    }

    /// A new connection to a listener.
    pub(crate) fn client_of(&self, listener: &str) -> Client {
        Client::connect(self.address(listener))
    }

    /// The first access line that `matches`, from the first one on; waits for it.
    pub(crate) fn access_line(&self, matches: impl Fn(&AccessLine) -> bool) -> AccessLine {
        let found = self.access.find(0, |line| {
            let line = AccessLine(
                serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")),
            );
            matches(&line).then_some(line)
        });
        found.unwrap_or_else(|| {
            panic!(
                "no such access line among:\n{}",
                self.access.all().join("\n")
            )
        })
    }

    /// The first access line of a request for `target`.
    pub(crate) fn line_of(&self, target: &str) -> AccessLine {
        self.access_line(|line| line.text("target") == target)
    }

    /// Access lines so far, as written.
    pub(crate) fn access_lines(&self) -> Vec<String> {
        self.access.all()
    }

    /// The first access line as written that `matches`, in whatever format; waits for it.
    pub(crate) fn access_text(&self, matches: impl Fn(&str) -> bool) -> String {
        let found = self
            .access
            .find(0, |line| matches(line).then(|| line.to_owned()));
        found.unwrap_or_else(|| {
            panic!(
                "no such access line among:\n{}",
                self.access.all().join("\n")
            )
        })
    }

    /// How many lines the log has now; a place for [`Proxy::log_line_after`].
    pub(crate) fn log_mark(&self) -> usize {
        self.log.count()
    }

    /// The first log line that contains `words`; waits for it.
    pub(crate) fn log_line(&self, words: &str) -> String {
        self.log_line_after(0, words)
    }

    /// As [`Proxy::log_line`], among the lines from `mark` on.
    pub(crate) fn log_line_after(&self, mark: usize, words: &str) -> String {
        let found = self
            .log
            .find(mark, |line| line.contains(words).then(|| line.to_owned()));
        found.unwrap_or_else(|| {
            panic!(
                "the log does not say {words:?}:\n{}",
                self.log.all().join("\n")
            )
        })
    }

    /// The log so far.
    pub(crate) fn log_lines(&self) -> Vec<String> {
        self.log.all()
    }

    /// The folder that the configuration is in.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Replaces the configuration by rename, and waits until it is in force (`Ok`) or refused (`Err`, with the log line).
    pub(crate) fn reload(&self, text: &str) -> Result<(), String> {
        let mark = self.log_mark();
        self.replace_file("config.kdl", whole(text).as_bytes());
        self.reloaded_after(mark)
    }

    /// Replaces a file of the configuration's folder by rename.
    pub(crate) fn replace_file(&self, name: &str, bytes: &[u8]) {
        let new = self.directory().join(format!("{name}.new"));
        std::fs::write(&new, bytes).expect("a writable folder");
        std::fs::rename(&new, self.directory().join(name)).expect("the same folder");
    }

    /// Waits for the end of the first reload that ends after `mark`, see [`Proxy::log_mark`].
    pub(crate) fn reloaded_after(&self, mark: usize) -> Result<(), String> {
        let ended = self.log.find(mark, |line| {
            if line.contains("reload refused") {
                return Some(Err(line.to_owned()));
            }
            line.contains("reloaded").then_some(Ok(()))
        });
        ended.unwrap_or_else(|| panic!("the reload did not end:\n{}", self.log.all().join("\n")))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs until waited for");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for the process to end by itself; after it, log and access lines are complete.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        // Its outputs end when it does.
        for output in [&self.log, &self.access] {
            assert!(output.wait_for_end(), "the proxy does not end");
        }
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the test has failed; this says why")]
            {
                eprintln!(
                    "log of the proxy:\n{}\naccess lines:\n{}",
                    self.log.all().join("\n"),
                    self.access.all().join("\n")
                );
            }
        }
    }
}

impl AccessLine {
    /// A field of text; empty if it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A field that is a number.
    pub(crate) fn number(&self, name: &str) -> i64 {
        self.0
            .get(name)
            .and_then(Value::as_i64)
            .unwrap_or_else(|| panic!("no number {name} in {}", self.0))
    }

    pub(crate) fn outcome(&self) -> &str {
        self.text("outcome")
    }

    /// What the downstream saw; 0 for nothing.
    pub(crate) fn status(&self) -> i64 {
        self.number("status")
    }
}

/// The binary under test.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tollgate"))
}

/// Where compiled plugins are kept, for all tests together.
pub(crate) fn cache_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-cache")
}

/// The text with a `process` node, its own or the usual one.
pub(crate) fn whole(text: &str) -> String {
    let has_process = text.lines().any(|line| line.starts_with("process"));
    if has_process {
        text.to_owned()
    } else {
        format!("{PROCESS}{text}")
    }
}

/// The address in a line of the log that says where `listener` listens, in either format.
fn listening_at(line: &str, listener: &str) -> Option<SocketAddr> {
    if let Ok(line) = serde_json::from_str::<Value>(line) {
        let is_it = line["message"] == "listening" && line["listener"] == listener;
        return is_it
            .then(|| line["address"].as_str()?.parse().ok())
            .flatten();
    }
    let words = line.split_once(" listening ")?.1;
    let words: Vec<&str> = words.split(' ').collect();
    let is_it = words.iter().any(|word| {
        word.strip_prefix("listener=")
            .is_some_and(|name| name.trim_matches('"') == listener)
    });
    let address = words
        .iter()
        .find_map(|word| word.strip_prefix("address="))?;
    is_it.then(|| address.parse().ok()).flatten()
}
