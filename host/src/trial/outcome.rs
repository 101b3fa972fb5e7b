//! What came of a case: what is judged, shown, and compared between two builds of a plugin.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::config::cases::Verdict;
use crate::http::Fields;

/// What came of an exchange or a connection.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) verdict: Option<Verdict>,
    /// The request as it would go on.
    pub(super) upstream: Option<Message>,
    /// The response as it would be sent.
    pub(super) downstream: Option<Message>,
    pub(super) counts: Counts,
    pub(super) tags: Vec<(String, Vec<u8>)>,
    pub(super) priority: Option<i16>,
}

/// A head with its body.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) start: Start,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

#[derive(Debug)]
pub(super) enum Start {
    Request { method: String, target: String },
    Response { status: u16 },
}

/// Calls and faults of each filter of a chain, by name.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) calls: Vec<(String, u64)>,
    /// The filter, and the kind of its fault.
    pub(super) faults: Vec<(String, &'static str)>,
}

impl Counts {
    /// Of all filters, or of those of one name.
    pub(super) fn calls_of(&self, filter: Option<&str>) -> u64 {
        let wanted = |name: &str| filter.is_none_or(|filter| filter == name);
        let calls = self.calls.iter().filter(|(name, _)| wanted(name));
        calls.map(|(_, calls)| calls).sum()
    }

    pub(super) fn to_json(&self) -> Value {
        let calls: Map<_, _> = self
            .calls
            .iter()
            .map(|(name, calls)| (name.clone(), json!(calls)))
            .collect();
        let faults = self.faults.iter();
        let faults: Vec<_> = faults
            .map(|(name, kind)| json!({ "filter": name, "kind": kind }))
            .collect();
        json!({ "calls": calls, "faults": faults })
    }
}

impl Message {
    /// The values of the lines of this name, in order.
    pub(super) fn lines(&self, name: &str) -> Vec<&[u8]> {
        let lines = self.headers.iter();
        lines
            .filter(|(found, _)| found == name)
            .map(|(_, value)| value.as_slice())
            .collect()
    }

    fn to_json(&self) -> Value {
        let mut members = match &self.start {
            Start::Request { method, target } => json!({ "method": method, "target": target }),
            Start::Response { status } => json!({ "status": status }),
        };
        let headers = self.headers.iter();
        members["headers"] = headers
            .map(|(name, value)| json!([name, shown(value)]))
            .collect();
        members["body"] = shown(&self.body);
        members
    }
}

impl Outcome {
    pub(super) fn to_json(&self) -> Value {
        let message = |message: &Option<Message>| message.as_ref().map(Message::to_json);
        let tags = self.tags.iter();
        let tags: Map<_, _> = tags
            .map(|(name, value)| (name.clone(), shown(value)))
            .collect();
        let mut members = json!({
            "verdict": self.verdict.map(word),
            "upstream": message(&self.upstream),
            "downstream": message(&self.downstream),
            "tags": tags,
            "priority": self.priority,
        });
        if let (Some(members), Value::Object(counts)) =
            (members.as_object_mut(), self.counts.to_json())
        {
            members.extend(counts);
        }
        members
    }
}

/// All lines of a head, names in lower case.
pub(super) fn headers(fields: &Fields) -> Vec<(String, Vec<u8>)> {
    let lower = |name: &[u8]| String::from_utf8_lossy(name).to_ascii_lowercase();
    fields
        .iter()
        .map(|(name, value)| (lower(name), value.to_vec()))
        .collect()
}

pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Next => "next",
        Verdict::Reply => "reply",
        Verdict::Close => "close",
    }
}

/// Text as it is, other bytes as in a file of cases.
fn shown(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}
