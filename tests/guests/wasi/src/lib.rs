//! An HTTP filter for wasm32-wasip2 that uses the standard library as if it ran in a process, to show what such a guest finds.

use std::io::{Read, Write};
use std::time::{Duration, Instant, SystemTime};

use exports::tollgate::plugin::http::{Guest, Needs, Verdict};
use tollgate::plugin::types::{BodyMode, Phase, SettingsError};

wit_bindgen::generate!({ world: "http-filter", path: "../../../wit" });

struct Wasi;

export!(Wasi);

impl Guest for Wasi {
    fn configure(settings: String) -> Result<Needs, Vec<SettingsError>> {
        println!("configured with {settings}");
        Ok(Needs {
            request: Some(Phase { fields: vec![] }),
            response: Some(Phase { fields: vec![] }),
            request_body: BodyMode::None,
            response_body: BodyMode::None,
            guard: vec![],
            edits: vec![],
        })
    }

    fn request(_fields: Vec<u8>) -> Verdict {
        let started = Instant::now();
        println!("to standard output");
        eprintln!("to standard error");
        std::io::stdout()
            .flush()
            .expect("standard output can be flushed");
        std::thread::sleep(Duration::from_secs(3_600));
        let findings = [
            (
                "environment",
                std::env::vars().count() == 0 && std::env::args().count() == 0,
            ),
            (
                "no-input",
                std::io::stdin()
                    .read(&mut [0; 8])
                    .is_ok_and(|length| length == 0),
            ),
            (
                "no-file",
                std::fs::read("/etc/hostname").is_err() && std::fs::write("/x", "y").is_err(),
            ),
            (
                "no-socket",
                std::net::TcpStream::connect("127.0.0.1:1").is_err(),
            ),
            (
                "clock",
                started.elapsed() < Duration::from_secs(60)
                    && SystemTime::now() > SystemTime::UNIX_EPOCH,
            ),
            ("random", std::collections::HashMap::from([(1, 2)])[&1] == 2),
        ];
        let failed: Vec<&str> = findings
            .iter()
            .filter(|(_, holds)| !holds)
            .map(|(name, _)| *name)
            .collect();
        edit(b"x-failed", failed.join(",").as_bytes())
    }

    fn response(_fields: Vec<u8>) -> Verdict {
        std::process::exit(3)
    }
}

fn edit(name: &[u8], value: &[u8]) -> Verdict {
    let mut out = vec![1];
    out.extend_from_slice(&(name.len() as u16).to_le_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
    Verdict::Next(out)
}
