//! A network filter whose one setting, `mode`, says what it answers or how it misbehaves: to connections from 10/8, or, where the mode begins
//! with `near-`, to those from the machine itself.

use std::cell::RefCell;

use exports::tollgate::plugin::network::{Guest, Needs, Verdict};
use tollgate::plugin::exchange;
use tollgate::plugin::types::{Condition, Field, Phase, SettingsError, Test};

wit_bindgen::generate!({ world: "network-filter", path: "../../../wit" });

struct Network;

export!(Network);

thread_local! {
    static MODE: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Guest for Network {
    fn configure(settings: String) -> Result<Needs, Vec<SettingsError>> {
        let mode = settings.split('"').nth(3).unwrap_or_default();
        let (network, mode) = match mode.strip_prefix("near-") {
            Some(mode) => ("127.0.0.0/8", mode.to_owned()),
            None => ("10.0.0.0/8", mode.to_owned()),
        };
        let source = Test::Source(vec![network.into()]);
        let test = if mode == "guard-path" {
            Test::PathPrefix(vec!["/".into()])
        } else {
            source
        };
        MODE.set(mode);
        Ok(Needs {
            accept: Some(Phase {
                fields: vec![Field::ClientAddress],
            }),
            close: Some(Phase {
                fields: vec![Field::DownstreamBytes],
            }),
            guard: vec![vec![Condition {
                test,
                negate: false,
            }]],
        })
    }

    fn accept(fields: Vec<u8>) -> Verdict {
        MODE.with_borrow(|mode| match mode.as_str() {
            "close" => Verdict::Close,
            "trap" => core::arch::wasm32::unreachable(),
            "header" => edit(1, b"x-a", b"b"),
            _ => {
                let listener = exchange::read(&Field::Listener).unwrap_or_default();
                let value = [&fields[4..], b" at ", &listener].concat();
                edit(7, b"seen", &value)
            }
        })
    }

    fn close(_fields: Vec<u8>) {
        MODE.with_borrow(|mode| {
            if mode == "trap-close" {
                core::arch::wasm32::unreachable();
            }
        });
    }
}

fn edit(operation: u8, name: &[u8], value: &[u8]) -> Verdict {
    let mut out = vec![operation];
    out.extend_from_slice(&(name.len() as u16).to_le_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
    Verdict::Next(out)
}
