//! An HTTP filter whose one setting, `mode`, says how it misbehaves, or that it does not.

use std::cell::RefCell;
use std::hint::black_box;

use exports::tollgate::plugin::http::{Guest, Needs, Reply, Verdict};
use tollgate::plugin::types::{
    BodyMode, Condition, Edit, Edits, Field, Operation, Part, Phase, SettingsError, Test,
};
use tollgate::plugin::{clock, exchange, log, random};

wit_bindgen::generate!({ world: "http-filter", path: "../../../wit" });

struct Hostile;

export!(Hostile);

thread_local! {
    static MODE: RefCell<String> = const { RefCell::new(String::new()) };
    static CALLS: RefCell<u64> = const { RefCell::new(0) };
}

impl Guest for Hostile {
    fn configure(settings: String) -> Result<Needs, Vec<SettingsError>> {
        let mode = settings.split('"').nth(3).unwrap_or_default().to_owned();
        MODE.set(mode.clone());
        configure(&mode)
    }

    fn request(fields: Vec<u8>) -> Verdict {
        let calls = CALLS.with_borrow_mut(|calls| {
            *calls += 1;
            *calls
        });
        MODE.with_borrow(|mode| request(mode, &fields, calls))
    }

    fn response(fields: Vec<u8>) -> Verdict {
        MODE.with_borrow(|mode| response(mode, &fields))
    }
}

fn configure(mode: &str) -> Result<Needs, Vec<SettingsError>> {
    let phase = |fields: &[Field]| {
        Some(Phase {
            fields: fields.to_vec(),
        })
    };
    let mut needs = Needs {
        request: phase(&[Field::Path, Field::Header("x-a".into())]),
        response: phase(&[Field::Status]),
        request_body: BodyMode::None,
        response_body: BodyMode::None,
        guard: vec![],
        edits: vec![],
    };
    let set = |name: &str, value| Edit {
        name: name.into(),
        operation: Operation::Set,
        value,
    };
    match mode {
        "configure-trap" => trap(),
        "configure-spin" => spin(),
        "configure-error" => {
            return Err(vec![SettingsError {
                pointer: "/mode".into(),
                message: "no such mode".into(),
            }]);
        }
        "needs-nothing" => needs.request = phase(&[]),
        "needs-body" => needs.request_body = BodyMode::Stream,
        "needs-framing" => {
            let request = vec![set("content-length", vec![Part::Text(b"0".to_vec())])];
            needs.edits = vec![Edits {
                guard: vec![],
                request,
                response: vec![],
            }];
        }
        "needs-network" => {
            needs.guard = vec![vec![Condition {
                test: Test::Source(vec!["10.0.0.0/99".into()]),
                negate: false,
            }]]
        }
        "constant" => needs = constant(needs, set),
        _ => {}
    }
    Ok(needs)
}

/// A plan that the host carries out alone.
fn constant(needs: Needs, set: impl Fn(&str, Vec<Part>) -> Edit) -> Needs {
    let below_api = Condition {
        test: Test::PathPrefix(vec!["/api/".into()]),
        negate: false,
    };
    let composed = vec![
        Part::Text(b"from ".to_vec()),
        Part::Field(Field::ClientAddress),
        Part::Field(Field::Header("x-none".into())),
    ];
    let always = Edits {
        guard: vec![],
        request: vec![
            set("x-fixed", vec![Part::Text(b"1".to_vec())]),
            set("x-composed", composed),
            set("x-id", vec![Part::UniqueId]),
        ],
        response: vec![Edit {
            name: "server".into(),
            operation: Operation::Remove,
            value: vec![],
        }],
    };
    let sometimes = Edits {
        guard: vec![vec![below_api.clone()]],
        request: vec![Edit {
            name: "x-fixed".into(),
            operation: Operation::Append,
            value: vec![Part::Text(b"2".to_vec())],
        }],
        response: vec![set("x-api", vec![Part::Text(b"yes".to_vec())])],
    };
    Needs {
        request: None,
        guard: vec![vec![below_api]],
        edits: vec![always, sometimes],
        ..needs
    }
}

fn request(mode: &str, fields: &[u8], calls: u64) -> Verdict {
    match mode {
        "trap" => trap(),
        "trap-first" if calls == 1 => trap(),
        "trap-on-path" if field(fields, 0) == Some(b"/trap") => trap(),
        "spin" => spin(),
        "recurse" => {
            black_box(recurse(1));
        }
        "allocate" => allocate(),
        "leak" => std::mem::forget(black_box(vec![1u8; 64 * 1024])),
        "log-flood" => {
            (0..1_000).for_each(|line| log::write(log::Level::Info, &format!("line {line}")))
        }
        "huge" => return Verdict::Next(vec![1; 4 * 1024 * 1024]),
        "bad-name" => return edit(1, b"a b", b"c"),
        "bad-value" => return edit(1, b"x-a", b"b\r\nx-c: d"),
        "framing" => return edit(1, b"transfer-encoding", b"chunked"),
        "bad-operation" => return edit(99, b"x-a", b"b"),
        "bad-phase" => return edit(6, b"", b"200"),
        "cut" => return Verdict::Next(vec![1, 5, 0, b'a']),
        "edit" => return edit(1, b"x-edit", b"value"),
        "bad-target" => return edit(5, b"", b"/%zz"),
        "target" => return edit(5, b"", b"/new?a=b"),
        "tag" => return edit(7, b"tls-sni", b"forged"),
        "forge" => return edit(7, b"tls.sni", b"forged"),
        "priority" => return edit(8, b"", b"-2047"),
        "bad-priority" => return edit(8, b"", b"2048"),
        "reply" => return reply(403, vec![("x-why".into(), b"no".to_vec())], 4),
        "reply-status" => return reply(700, vec![], 0),
        "reply-header" => return reply(200, vec![("connection".into(), b"close".to_vec())], 0),
        "reply-body" => return reply(200, vec![], 1024 * 1024 + 1),
        "close" => return Verdict::Close,
        "calls" => return edit(1, b"x-calls", calls.to_string().as_bytes()),
        "echo" => return echo(fields),
        _ => {}
    }
    Verdict::Next(Vec::new())
}

fn response(mode: &str, fields: &[u8]) -> Verdict {
    match mode {
        "trap-response" => trap(),
        "echo" => edit(1, b"x-status", field(fields, 0).unwrap_or_default()),
        "status" => edit(6, b"", b"418"),
        _ => Verdict::Next(Vec::new()),
    }
}

/// Shows what came with the call and what each import answers.
fn echo(fields: &[u8]) -> Verdict {
    let first = clock::monotonic();
    let sound = clock::monotonic() >= first
        && clock::wall() > 0
        && random::number() != random::number()
        && random::bytes(5_000).len() == 4_096;
    let method = exchange::read(&Field::Method).unwrap_or_default();
    let absent = exchange::read(&Field::Status).is_none() && field(fields, 1).is_none();
    let lines = exchange::headers("x-many").len();
    let names = exchange::names().join(",");
    log::write(log::Level::Info, "echo");
    let text = format!(
        "{} {} sound={sound} absent={absent} lines={lines} names={names}",
        show(&method),
        show(field(fields, 0).unwrap_or_default())
    );
    edit(1, b"x-echo", text.as_bytes())
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The field at this place of the flat form.
fn field(mut fields: &[u8], index: usize) -> Option<&[u8]> {
    for place in 0.. {
        let (length, rest) = fields.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length);
        let (value, rest) = if length == u32::MAX {
            (None, rest)
        } else {
            rest.split_at_checked(length as usize)
                .map(|(value, rest)| (Some(value), rest))?
        };
        if place == index {
            return value;
        }
        fields = rest;
    }
    None
}

fn edit(operation: u8, name: &[u8], value: &[u8]) -> Verdict {
    let mut out = vec![operation];
    out.extend_from_slice(&(name.len() as u16).to_le_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
    Verdict::Next(out)
}

fn reply(status: u16, headers: Vec<(String, Vec<u8>)>, body: usize) -> Verdict {
    Verdict::Reply(Reply {
        status,
        headers,
        body: vec![b'a'; body],
    })
}

fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

fn spin() -> ! {
    loop {
        black_box(0);
    }
}

fn recurse(depth: u64) -> u64 {
    let room = black_box([depth; 4]);
    if black_box(depth) == 0 {
        0
    } else {
        recurse(depth + 1) + room[3]
    }
}

fn allocate() {
    let mut held = Vec::new();
    loop {
        held.push(black_box(vec![1u8; 1024 * 1024]));
    }
}
