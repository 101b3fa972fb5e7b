//! An HTTP filter with every phase; its one setting, `mode`, says what it does to bodies, good or bad.

use std::cell::RefCell;
use std::hint::black_box;

use exports::tollgate::plugin::body::{self, Change, Excess, Handling, Handlings};
use exports::tollgate::plugin::{end, http};
use http::{Needs, Reply, Verdict};
use tollgate::plugin::types::{BodyMode, Field, Phase, SettingsError};
use tollgate::plugin::{exchange, log};

wit_bindgen::generate!({ world: "full-http-filter", path: "../../../wit" });

struct Bodies;

export!(Bodies);

#[derive(Default)]
struct State {
    mode: String,
    /// Of the current exchange.
    bytes: usize,
    path: Vec<u8>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// What each mode asks for, of requests and of responses.
fn modes(mode: &str) -> (BodyMode, BodyMode) {
    match mode {
        "upper" | "count" | "late-edits" | "trailers" | "drop-trailers" | "swallow" => {
            (BodyMode::Stream, BodyMode::Stream)
        }
        "whole" | "whole-pass" | "decode" | "secret" => (BodyMode::Buffer(64), BodyMode::Buffer(64)),
        "too-large" => (BodyMode::Buffer(u64::MAX), BodyMode::None),
        "end" | "bad-end" => (BodyMode::None, BodyMode::None),
        // Of requests: to answer, to fault.
        _ => (BodyMode::Stream, BodyMode::None),
    }
}

impl http::Guest for Bodies {
    fn configure(settings: String) -> Result<Needs, Vec<SettingsError>> {
        let mode = settings.split('"').nth(3).unwrap_or_default().to_owned();
        let (request_body, response_body) = modes(&mode);
        STATE.with_borrow_mut(|state| state.mode = mode);
        Ok(Needs {
            request: Some(Phase {
                fields: vec![Field::Path],
            }),
            response: None,
            request_body,
            response_body,
            guard: vec![],
            edits: vec![],
        })
    }

    fn request(fields: Vec<u8>) -> Verdict {
        STATE.with_borrow_mut(|state| state.path = fields[4..].to_vec());
        Verdict::Next(vec![])
    }

    fn response(_: Vec<u8>) -> Verdict {
        Verdict::Next(vec![])
    }
}

impl body::Guest for Bodies {
    fn plan() -> Handlings {
        let handling = STATE.with_borrow(|state| Handling {
            excess: match state.mode.as_str() {
                "whole-pass" => Excess::Pass,
                _ => Excess::Refuse,
            },
            decoded: state.mode == "decode",
        });
        Handlings {
            request: handling,
            response: handling,
        }
    }

    fn begin() {
        STATE.with_borrow_mut(|state| {
            state.bytes = 0;
            state.path.clear();
        });
    }

    fn request(part: Vec<u8>, last: bool) -> body::Verdict {
        STATE.with_borrow_mut(|state| handle(state, part, last, true))
    }

    fn response(part: Vec<u8>, last: bool) -> body::Verdict {
        STATE.with_borrow_mut(|state| handle(state, part, last, false))
    }

    fn trailers(lines: Vec<u8>) -> Vec<u8> {
        STATE.with_borrow(|state| match state.mode.as_str() {
            "trailers" => [lines, line(2, "x-bytes", state.bytes.to_string().as_bytes())].concat(),
            "drop-trailers" => vec![],
            _ => lines,
        })
    }
}

impl end::Guest for Bodies {
    fn plan() -> Option<Phase> {
        STATE.with_borrow(|state| match state.mode.as_str() {
            "end" | "bad-end" => Some(Phase {
                fields: vec![Field::Path, Field::Tag("exchange.outcome".to_owned())],
            }),
            _ => None,
        })
    }

    fn finish(fields: Vec<u8>) {
        let mode = STATE.with_borrow(|state| state.mode.clone());
        if mode == "bad-end" {
            panic!("as told");
        }
        let mut texts = Vec::new();
        let mut rest = fields.as_slice();
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            texts.push(String::from_utf8_lossy(&behind[..length]).into_owned());
            rest = &behind[length..];
        }
        let tag = |name: &str| {
            let value = exchange::read(&Field::Tag(format!("exchange.{name}")));
            String::from_utf8_lossy(&value.unwrap_or_default()).into_owned()
        };
        let text = format!(
            "ended {} status {} cluster {} attempts {} sent {}",
            texts.join(" "),
            tag("status"),
            tag("cluster"),
            tag("attempts"),
            tag("sent").parse::<u64>().is_ok_and(|sent| sent > 0),
        );
        log::write(log::Level::Info, &text);
    }
}

fn next(content: Option<Vec<u8>>) -> body::Verdict {
    body::Verdict::Next(Change {
        content,
        edits: vec![],
    })
}

fn handle(state: &mut State, part: Vec<u8>, last: bool, is_request: bool) -> body::Verdict {
    state.bytes += part.len();
    match state.mode.as_str() {
        "upper" => next(Some(part.to_ascii_uppercase())),
        "swallow" => next(Some(vec![])),
        // Only right when no other exchange meets the instance meanwhile.
        "count" if last => {
            let path = String::from_utf8_lossy(&state.path).into_owned();
            let told = format!("|{path} {}", state.bytes);
            state.bytes = 0;
            next(Some([part, told.into_bytes()].concat()))
        }
        "late-edits" => body::Verdict::Next(Change {
            content: None,
            edits: line(1, "x-late", b"1"),
        }),
        "whole" | "whole-pass" | "decode" => {
            let edits = match is_request {
                true => line(1, "x-request-bytes", part.len().to_string().as_bytes()),
                false => line(1, "x-response-bytes", part.len().to_string().as_bytes()),
            };
            body::Verdict::Next(Change {
                content: Some(part.into_iter().rev().collect()),
                edits,
            })
        }
        "secret" if part.windows(6).any(|window| window == b"secret") => {
            body::Verdict::Reply(reply())
        }
        "evil" if part.windows(4).any(|window| window == b"evil") => body::Verdict::Reply(reply()),
        "close" => body::Verdict::Close,
        "trap" => panic!("as told"),
        "spin" => loop {
            black_box(0);
        },
        "bomb" => next(Some(vec![0; 20 << 20])),
        _ => next(None),
    }
}

fn reply() -> Reply {
    Reply {
        status: 451,
        headers: vec![("x-why".to_owned(), b"body".to_vec())],
        body: b"not this\n".to_vec(),
    }
}

fn line(operation: u8, name: &str, value: &[u8]) -> Vec<u8> {
    let mut line = vec![operation];
    line.extend((name.len() as u16).to_le_bytes());
    line.extend(name.as_bytes());
    line.extend((value.len() as u32).to_le_bytes());
    line.extend(value);
    line
}
