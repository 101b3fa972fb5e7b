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
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// A route that answers by itself with `body`.
pub(crate) fn responding(body: &str) -> String {
    format!(
        "listener \"web\" \"127.0.0.1:0\" {{\n    route {{ respond 200 body=\"{body}\" }}\n}}\n"
    )
}

/// How a changed file comes to be there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// Written over.
    InPlace,
    /// Replaced by another file.
    Rename,
}

impl Way {
    pub(crate) const ALL: [Way; 2] = [Way::InPlace, Way::Rename];

    /// Puts `bytes` at the place of a file of the configuration's folder, and waits until they are in force or refused.
    pub(crate) fn offer(self, proxy: &Proxy, name: &str, bytes: &[u8]) -> Result<(), String> {
        let mark = proxy.log_mark();
        match self {
            Way::Rename => proxy.replace_file(name, bytes),
            Way::InPlace => write_over(&proxy.directory().join(name), bytes),
        }
        proxy.reloaded_after(mark)
    }

    /// As [`Way::offer`] for the configuration itself.
    pub(crate) fn configure(self, proxy: &Proxy, text: &str) -> Result<(), String> {
        self.offer(proxy, "config.kdl", crate::harness::whole(text).as_bytes())
    }
}

/// Writes over what is there. Not emptied first: a proxy that looks in between would refuse an empty file, once more than the test expects.
fn write_over(path: &Path, bytes: &[u8]) {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .expect("a writable folder");
    file.write_all(bytes).expect("a writable folder");
    file.set_len(bytes.len() as u64).expect("a writable folder");
}

/// Sends SIGHUP and waits for the end of the reload.
pub(crate) fn hang_up(proxy: &Proxy) -> Result<(), String> {
    let mark = proxy.log_mark();
    proxy.signal(Signal::HUP);
    proxy.reloaded_after(mark)
}

/// What a log line in JSON says of a reload that was refused: the message with its diagnostics.
pub(crate) fn message(line: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(line).expect("the log is JSON");
    line["message"]
        .as_str()
        .expect("every line has a message")
        .to_owned()
}

/// Generations that the log says are retired.
pub(crate) fn retired(proxy: &Proxy) -> Vec<u64> {
    let lines = proxy.log_lines();
    let lines = lines
        .iter()
        .filter(|line| line.contains("generation retired"));
    lines.map(|line| generation(line)).collect()
}

/// The generation that a log line in JSON names.
pub(crate) fn generation(line: &str) -> u64 {
    let line: serde_json::Value = serde_json::from_str(line).expect("the log is JSON");
    line["generation"].as_u64().expect("it names a generation")
}
