//! What each function of the empty world answers.

use wasmtime::StoreContextMut;
use wasmtime::component::types::{ComponentFunc, Variant};
use wasmtime::component::{Type, Val};

use super::super::bindings::Level;
use super::super::fault::Refusal;
use super::super::imports::{monotonic, since_1970};
use super::super::state::HostState;
use super::{Console, new_handle};

/// The standard streams, as the `rep` of their handles.
const STDOUT: u32 = 1;
const STDERR: u32 = 2;
/// What a stream says it takes at once.
const WRITE_BYTES_MAX: u64 = 64 * 1024;
/// Most bytes of one call for random bytes; a call for more ends in a trap, since fewer may not be given.
const RANDOM_BYTES_MAX: u64 = 64 * 1024;
/// What a function that is refused answers if its error type has it, the first that fits.
const REFUSALS: [&str; 8] = [
    "access",
    "access-denied",
    "not-permitted",
    "not-supported",
    "unsupported",
    "closed",
    "HTTP-request-denied",
    "internal-error",
];

/// What a function of the empty world does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stub {
    EmptyList,
    Absent,
    Stream(u32),
    Exit,
    CheckWrite,
    Write,
    Flush,
    AtEnd,
    Pollable,
    Ready,
    Block,
    Poll,
    Now,
    Wall,
    Resolution,
    WallResolution,
    RandomBytes,
    RandomNumber,
    Seed,
    Refuse,
}

impl Stub {
    pub(super) fn of(interface: &str, function: &str) -> Stub {
        match (interface, function) {
            ("wasi:cli/environment", "get-environment" | "get-arguments") => Stub::EmptyList,
            ("wasi:cli/environment", "initial-cwd") => Stub::Absent,
            ("wasi:filesystem/preopens", "get-directories") => Stub::EmptyList,
            ("wasi:cli/stdin", "get-stdin") => Stub::Stream(0),
            ("wasi:cli/stdout", "get-stdout") => Stub::Stream(STDOUT),
            ("wasi:cli/stderr", "get-stderr") => Stub::Stream(STDERR),
            (
                "wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr",
                _,
            ) => Stub::Absent,
            ("wasi:cli/exit", _) => Stub::Exit,
            ("wasi:io/streams", function) => Stub::of_stream(function),
            ("wasi:io/poll", "poll") => Stub::Poll,
            ("wasi:io/poll", "[method]pollable.ready") => Stub::Ready,
            ("wasi:io/poll", "[method]pollable.block") => Stub::Block,
            ("wasi:clocks/monotonic-clock", "now") => Stub::Now,
            ("wasi:clocks/monotonic-clock", "resolution") => Stub::Resolution,
            ("wasi:clocks/monotonic-clock", _) => Stub::Pollable,
            ("wasi:clocks/wall-clock", "now") => Stub::Wall,
            ("wasi:clocks/wall-clock", "resolution") => Stub::WallResolution,
            (
                "wasi:random/random" | "wasi:random/insecure",
                "get-random-bytes" | "get-insecure-random-bytes",
            ) => Stub::RandomBytes,
            (
                "wasi:random/random" | "wasi:random/insecure",
                "get-random-u64" | "get-insecure-random-u64",
            ) => Stub::RandomNumber,
            ("wasi:random/insecure-seed", _) => Stub::Seed,
            _ => Stub::Refuse,
        }
    }

    fn of_stream(function: &str) -> Stub {
        match function {
            "[method]output-stream.check-write" => Stub::CheckWrite,
            "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
                Stub::Write
            }
            "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => Stub::Flush,
            "[method]output-stream.subscribe" | "[method]input-stream.subscribe" => Stub::Pollable,
            _ => Stub::AtEnd,
        }
    }

    /// `None` when the function can only be refused.
    pub(super) fn answer(
        self,
        call: &mut StoreContextMut<'_, HostState>,
        ty: &ComponentFunc,
        params: &[Val],
        handles: &[u32],
    ) -> wasmtime::Result<Option<Answer>> {
        let value = match self {
            Stub::EmptyList => Val::List(Vec::new()),
            Stub::Absent => Val::Option(None),
            Stub::Stream(rep) => new_handle(
                call,
                if rep == 0 {
                    "input-stream"
                } else {
                    "output-stream"
                },
                rep,
            )?,
            Stub::Pollable => new_handle(call, "pollable", 0)?,
            Stub::CheckWrite => ok(Some(Val::U64(WRITE_BYTES_MAX))),
            Stub::Write => {
                write(call.data_mut(), handles, params);
                ok(None)
            }
            Stub::Flush => ok(None),
            Stub::AtEnd => err(Some(Val::Variant("closed".to_owned(), None))),
            Stub::Ready => Val::Bool(true),
            Stub::Block => return Ok(Some(Answer::Nothing)),
            Stub::Poll => Val::List((0..handles.len() as u32).map(Val::U32).collect()),
            Stub::Now => Val::U64(monotonic()),
            Stub::Resolution => Val::U64(1),
            Stub::Wall => datetime(since_1970()),
            Stub::WallResolution => datetime(std::time::Duration::from_nanos(1)),
            Stub::RandomNumber => Val::U64(call.data_mut().random.u64(..)),
            Stub::Seed => Val::Tuple(
                (0..2)
                    .map(|_| Val::U64(call.data_mut().random.u64(..)))
                    .collect(),
            ),
            Stub::RandomBytes => {
                return Ok(random_bytes(call.data_mut(), params).map(Answer::Value));
            }
            Stub::Exit => {
                return Err(wasmtime::Error::new(Refusal(
                    "the plugin asked to end the process".into(),
                )));
            }
            Stub::Refuse => {
                return Ok(ty
                    .results()
                    .next()
                    .and_then(|ty| refusal(&ty))
                    .map(Answer::Value));
            }
        };
        Ok(Some(Answer::Value(value)))
    }
}

pub(super) enum Answer {
    Nothing,
    Value(Val),
}

impl Answer {
    pub(super) fn into_value(self) -> Option<Val> {
        match self {
            Answer::Nothing => None,
            Answer::Value(value) => Some(value),
        }
    }
}

fn ok(value: Option<Val>) -> Val {
    Val::Result(Ok(value.map(Box::new)))
}

fn err(value: Option<Val>) -> Val {
    Val::Result(Err(value.map(Box::new)))
}

fn datetime(since_1970: std::time::Duration) -> Val {
    let seconds = ("seconds".to_owned(), Val::U64(since_1970.as_secs()));
    Val::Record(vec![
        seconds,
        (
            "nanoseconds".to_owned(),
            Val::U32(since_1970.subsec_nanos()),
        ),
    ])
}

fn random_bytes(state: &mut HostState, params: &[Val]) -> Option<Val> {
    let Some(Val::U64(length @ 0..=RANDOM_BYTES_MAX)) = params.first() else {
        return None;
    };
    Some(Val::List(
        (0..*length).map(|_| Val::U8(state.random.u8(..))).collect(),
    ))
}

/// The error that a refused function answers, if its type has one that fits.
fn refusal(ty: &Type) -> Option<Val> {
    let Type::Result(result) = ty else {
        return None;
    };
    let error = match result.err() {
        None => None,
        Some(Type::Enum(names)) => {
            let has = |word: &&&str| names.names().any(|name| name == **word);
            Some(Val::Enum((*REFUSALS.iter().find(has)?).to_owned()))
        }
        Some(Type::Variant(variant)) => {
            Some(REFUSALS.iter().find_map(|word| case(&variant, word))?)
        }
        Some(_) => return None,
    };
    Some(err(error))
}

fn case(variant: &Variant, word: &str) -> Option<Val> {
    let case = variant.cases().find(|case| case.name == word)?;
    let payload = match case.ty {
        None => None,
        Some(Type::Option(_)) => Some(Box::new(Val::Option(None))),
        Some(_) => return None,
    };
    Some(Val::Variant(word.to_owned(), payload))
}

fn write(state: &mut HostState, handles: &[u32], params: &[Val]) {
    let Some(Val::List(bytes)) = params.get(1) else {
        return;
    };
    let bytes = bytes.iter().filter_map(|byte| {
        if let Val::U8(byte) = byte {
            Some(*byte)
        } else {
            None
        }
    });
    let HostState { console, log, .. } = state;
    match handles.first() {
        Some(&STDOUT) => Console::write(&mut console.stdout, bytes, |line| {
            log.write(Level::Info, line)
        }),
        Some(&STDERR) => Console::write(&mut console.stderr, bytes, |line| {
            log.write(Level::Warn, line)
        }),
        _ => {}
    }
}
