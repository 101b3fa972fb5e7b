//! Changing the configuration and the plugins of a running proxy: what is valid is in force, what is not changes nothing, and nobody notices
//! whom the change does not concern.

mod edit;
mod listeners;
mod live;
mod memory;
mod plugin_files;
mod stop;
mod under_load;

use crate::harness::Proxy;
use rustix::process::Signal;

/// A route that answers by itself with `body`.
pub(crate) fn responding(body: &str) -> String {
    format!("listener \"web\" \"127.0.0.1:0\" {{\n    route {{ respond 200 body=\"{body}\" }}\n}}\n")
}

/// How a changed file comes to be there, or is noticed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// Written over.
    InPlace,
    /// Replaced by another file.
    Rename,
    /// Written over, and SIGHUP right behind it.
    Hangup,
}

impl Way {
    pub(crate) const ALL: [Way; 3] = [Way::InPlace, Way::Rename, Way::Hangup];

    /// Puts `bytes` at the place of a file of the configuration's folder, and waits until they are in force or refused.
    pub(crate) fn offer(self, proxy: &Proxy, name: &str, bytes: &[u8]) -> Result<(), String> {
        let mark = proxy.log_mark();
        match self {
            Way::Rename => proxy.replace_file(name, bytes),
            Way::InPlace | Way::Hangup => {
                std::fs::write(proxy.directory().join(name), bytes).expect("a writable folder");
            }
        }
        if let Way::Hangup = self {
            proxy.signal(Signal::HUP);
        }
        proxy.reloaded_after(mark)
    }

    /// As [`Way::offer`] for the configuration itself.
    pub(crate) fn configure(self, proxy: &Proxy, text: &str) -> Result<(), String> {
        self.offer(proxy, "config.kdl", crate::harness::whole(text).as_bytes())
    }
}

/// What a log line in JSON says of a reload that was refused: the message with its diagnostics.
pub(crate) fn message(line: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(line).expect("the log is JSON");
    line["message"].as_str().expect("every line has a message").to_owned()
}

/// Generations that the log says are retired.
pub(crate) fn retired(proxy: &Proxy) -> Vec<u64> {
    let lines = proxy.log_lines();
    let lines = lines.iter().filter(|line| line.contains("generation retired"));
    lines.map(|line| generation(line)).collect()
}

/// The generation that a log line in JSON names.
pub(crate) fn generation(line: &str) -> u64 {
    let line: serde_json::Value = serde_json::from_str(line).expect("the log is JSON");
    line["generation"].as_u64().expect("it names a generation")
}
