//! What the host does alone, and what takes a call.
//!
//! Exact origins are guards, so responses to them need no call; a pattern does. Either the host edits every response, or the call edits those
//! to requests that name an origin and the host the others.

use tollgate_plugin_sdk::Part;
use tollgate_plugin_sdk::prelude::*;

use crate::origins::Origins;
use crate::policy::REPLACED;
use crate::{AUTHORITY, Cors, ORIGIN, REQUEST_METHOD};

/// The contract's limit of edit groups, less the one for every response.
const EXACT_MAX: usize = 59;

pub(crate) fn plan(cors: &Cors) -> Plan {
    let preflight = method(["OPTIONS"])
        .and(header(ORIGIN))
        .and(header(REQUEST_METHOD));
    let base = |guard| base_edits(cors, ConstantEdits::on_response(guard));
    let (exact, by_host) = match &cors.origins {
        Origins::Any => {
            let edits = permitting(cors, base(Guard::always()), "*");
            return Plan::nothing()
                .on_request(fields(cors))
                .guard(preflight)
                .edits(edits);
        }
        Origins::Listed { exact, patterns } => {
            (exact, patterns.is_empty() && exact.len() <= EXACT_MAX)
        }
    };
    if !by_host {
        return Plan::nothing()
            .on_request(fields(cors))
            .on_response([Field::Tag(cors.tag.clone())])
            .guard(header(ORIGIN))
            .edits(base(not(header(ORIGIN))));
    }
    let asks = |origin: &String| header_equals(ORIGIN, origin.as_str());
    let listed = exact.iter().map(asks).fold(Guard::never(), Guard::or);
    let guard = match cors.denies {
        true => preflight.or(header(ORIGIN).and(not(listed))),
        false => preflight,
    };
    let plan = Plan::nothing()
        .on_request(fields(cors))
        .guard(guard)
        .edits(base(Guard::always()));
    exact.iter().fold(plan, |plan, origin| {
        plan.edits(permitting(
            cors,
            ConstantEdits::on_response(asks(origin)),
            origin,
        ))
    })
}

fn fields(cors: &Cors) -> impl Iterator<Item = Field> {
    let authority = cors.denies.then_some(AUTHORITY);
    let headers = [ORIGIN]
        .into_iter()
        .chain(cors.policy.read())
        .chain(authority);
    let headers = headers.map(|name| Field::Header(name.to_owned()));
    [Field::Method].into_iter().chain(headers)
}

/// Whether there is an origin or not: a cache must not take one response for the other.
fn base_edits(cors: &Cors, edits: ConstantEdits) -> ConstantEdits {
    let edits = REPLACED
        .iter()
        .fold(edits, |edits, name| edits.remove(name));
    match cors.origins.matter() {
        true => edits.append("vary", text("Origin")),
        false => edits,
    }
}

fn permitting(cors: &Cors, edits: ConstantEdits, origin: &str) -> ConstantEdits {
    let lines = cors.policy.permissions(origin).into_iter();
    lines.fold(edits, |edits, (name, value)| edits.set(name, text(value)))
}

fn text(value: &str) -> Vec<Part> {
    vec![Part::Text(value.as_bytes().to_vec())]
}
