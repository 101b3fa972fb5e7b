//! What a client is told about its limits.
//!
//! `RateLimit-Policy` and `RateLimit` are those of draft-ietf-httpapi-ratelimit-headers-10 (RFC 9651 lists of strings with parameters): `q` the
//! quota, `w` the seconds of its window, `r` what remains, `t` the seconds until all of it is there again.

use tollgate_plugin_sdk::store::Admission;
use tollgate_plugin_sdk::{Edits, Reply, Settings};

use crate::rules::{Rule, seconds};

/// Which headers are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub(crate) enum HeaderStyle {
    /// `ratelimit-policy` and `ratelimit`, of the IETF's draft.
    Standard,
    /// `x-ratelimit-limit`, `x-ratelimit-remaining` and `x-ratelimit-reset`, of the limit of which the least remains.
    XRatelimit,
    /// None; a denied request still gets `retry-after`.
    None,
}

/// Names and values, in the order in which they are sent.
pub(crate) type Lines = Vec<(&'static str, String)>;

pub(crate) fn lines(style: HeaderStyle, asked: &[(&Rule, Admission)]) -> Lines {
    match style {
        HeaderStyle::None => Lines::new(),
        _ if asked.is_empty() => Lines::new(),
        HeaderStyle::Standard => {
            let policy = |(rule, _): &(&Rule, Admission)| {
                let window = seconds(rule.rate.period);
                format!("\"{}\";q={};w={window}", rule.name, rule.rate.count)
            };
            let state = |(rule, found): &(&Rule, Admission)| {
                let reset = seconds(found.reset);
                format!("\"{}\";r={};t={reset}", rule.name, found.remaining)
            };
            vec![
                ("ratelimit-policy", joined(asked.iter().map(policy))),
                ("ratelimit", joined(asked.iter().map(state))),
            ]
        }
        HeaderStyle::XRatelimit => {
            let least = asked.iter().min_by_key(|(_, found)| found.remaining);
            let line = |(rule, found): &(&Rule, Admission)| {
                vec![
                    ("x-ratelimit-limit", rule.rate.count.to_string()),
                    ("x-ratelimit-remaining", found.remaining.to_string()),
                    ("x-ratelimit-reset", seconds(found.reset).to_string()),
                ]
            };
            least.map(line).unwrap_or_default()
        }
    }
}

pub(crate) fn on_reply(reply: Reply, lines: Lines) -> Reply {
    let add = |reply: Reply, (name, value): (&str, String)| reply.header(name, value);
    lines.into_iter().fold(reply, add)
}

/// One value for a tag, which the response phase takes apart again; no line has a `|`.
pub(crate) fn to_tag(lines: &Lines) -> String {
    joined_by(lines.iter().map(|(_, value)| value.clone()), "|")
}

/// Lists, so that those of two filters stand beside each other; the `x-` ones are one number each, of which the first filter's counts.
pub(crate) fn on_response(style: HeaderStyle, tag: &str, edits: &mut Edits) {
    let names: &[&str] = match style {
        HeaderStyle::Standard => &["ratelimit-policy", "ratelimit"],
        HeaderStyle::XRatelimit => &[
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
        ],
        HeaderStyle::None => &[],
    };
    for (name, value) in names.iter().zip(tag.split('|')) {
        match style {
            HeaderStyle::Standard => edits.append(name, value),
            HeaderStyle::XRatelimit | HeaderStyle::None => edits.set(name, value),
        };
    }
}

fn joined(values: impl Iterator<Item = String>) -> String {
    joined_by(values, ", ")
}

fn joined_by(values: impl Iterator<Item = String>, between: &str) -> String {
    values.collect::<Vec<_>>().join(between)
}
