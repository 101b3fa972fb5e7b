//! The room as a whole, with real guests (`tests/guests/`), each misbehaving in one way.

mod balancer;
mod capabilities;
mod granted;
mod guests;
mod hostile;
mod http;
mod lifetime;
mod loading;
mod network;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Budgets, Edit, Engine, Fault, HttpFilter, Verdict, flatten};
use crate::http::{
    ConnectionFacts, EscapedSlashes, Exchange, Limits, Scheme, Underscores, parse_request,
};

/// One engine for all tests: each would reserve its own terabytes.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(None).expect("an engine"))
}

fn mode(mode: &str) -> Value {
    json!({ "mode": mode })
}

/// The default budgets, but with time enough for a machine that does much else at once.
pub(crate) fn patient() -> Budgets {
    Budgets {
        time_max: Duration::from_secs(20),
        ..Budgets::default()
    }
}

/// The hostile guest in one of its modes.
fn filter(name: &str) -> Arc<HttpFilter> {
    filter_with(name, patient())
}

fn filter_with(name: &str, budgets: Budgets) -> Arc<HttpFilter> {
    let component = engine()
        .load_file(&guests::hostile())
        .expect("the hostile guest loads");
    HttpFilter::configure(engine(), &component, name, &mode(name), budgets)
        .expect("the hostile guest is configured")
}

fn facts() -> ConnectionFacts {
    ConnectionFacts {
        id: 7,
        peer: "10.1.2.3:4567".parse().expect("an address"),
        local: "127.0.0.1:80".parse().expect("an address"),
        listener: "web".into(),
        scheme: Scheme::Http,
        http2: false,
        tls: None,
        proxy: None,
        accepted: Instant::now(),
        tags: Vec::new(),
        downstream_bytes: 100.into(),
        upstream_bytes: 200.into(),
    }
}

/// An exchange whose request is this head, without its last empty line.
fn exchange(head: &str) -> Box<Exchange> {
    let limits = Limits {
        head_bytes_max: 64 * 1024,
        headers_max: 128,
        underscores: Underscores::Drop,
        escaped_slashes: EscapedSlashes::Reject,
        merge_slashes: true,
    };
    let mut exchange = Box::new(Exchange::new(Arc::new(facts())));
    parse_request(
        format!("{head}\r\n\r\n").as_bytes(),
        &limits,
        &mut exchange.request,
    )
    .expect("a valid request");
    exchange
}

fn simple() -> Box<Exchange> {
    exchange("GET /api/x HTTP/1.1\r\nhost: a.example")
}

/// One request phase as the host runs it.
fn request(
    filter: &HttpFilter,
    exchange: Box<Exchange>,
) -> (Box<Exchange>, Result<Verdict, Fault>) {
    let mut fields = Vec::new();
    flatten(
        filter.needs().request.as_deref().unwrap_or_default(),
        &exchange,
        &mut fields,
    );
    filter.request(exchange, &fields)
}

/// The value of the one header that the filter sets.
fn set_value(verdict: &Verdict) -> String {
    let Verdict::Next(edits) = verdict else {
        panic!("not `next`: {verdict:?}")
    };
    let first = edits.iter().next();
    let Some(Edit::Set { value, .. }) = first else {
        panic!("not `set`: {first:?}")
    };
    String::from_utf8_lossy(value).into_owned()
}
