//! Needs: the plan that a plugin returns when it is configured, checked and made ready to be carried out natively.

use crate::http::{Exchange, Field};

use super::bindings;
use super::body_plan::{BodyPlan, MoreHttpNeeds};
use super::constant::ConstantEdit;
use super::guard::{Guard, lower_name};

/// Most fields of one phase.
const FIELDS_MAX: usize = 128;
/// Most edit groups, so that a [`Decision`] fits in 64 bits.
const GROUPS_MAX: usize = 60;
/// Most constant edits of one filter.
const CONSTANT_EDITS_MAX: usize = 1_000;

/// What an HTTP filter needs.
#[derive(Debug, Default)]
pub struct HttpNeeds {
    /// The fields of the `request` call; `None`: never called.
    pub request: Option<Vec<Field>>,
    /// The fields of the `response` call; `None`: never called.
    pub response: Option<Vec<Field>>,
    /// Where it is false for a request, no call is made for the exchange.
    pub guard: Guard,
    /// Edits that need no call.
    pub edits: Vec<EditGroup>,
    /// How it wants the body of a request; `None`: not at all.
    pub request_body: Option<BodyPlan>,
    /// The same for a response.
    pub response_body: Option<BodyPlan>,
    /// The fields of the call at the end of an exchange; `None`: never called.
    pub end: Option<Vec<Field>>,
}

/// Constant edits with the condition they stand under.
#[derive(Debug)]
pub struct EditGroup {
    pub guard: Guard,
    pub request: Vec<ConstantEdit>,
    pub response: Vec<ConstantEdit>,
}

/// What the guards of one filter say about one exchange; decided once, kept until its response phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decision(u64);

/// What a network filter needs.
#[derive(Debug, Default)]
pub struct NetworkNeeds {
    /// The fields of the `accept` call; `None`: never called.
    pub accept: Option<Vec<Field>>,
    /// The fields of the `close` call; `None`: never called.
    pub close: Option<Vec<Field>>,
    /// Tests of the source alone: see [`Guard::matches_source`].
    pub guard: Guard,
}

/// What a balancer needs.
#[derive(Debug, Default)]
pub struct BalancerNeeds {
    /// Whether each pick gets the loads of all endpoints.
    pub loads: bool,
    /// The fields whose flat form is hashed (XXH3, 64 bit) into the key; empty: the key is 0.
    pub key: Vec<Field>,
}

impl Decision {
    /// Whether the filter is to be called in the phases it asked for.
    pub fn called(self) -> bool {
        self.0 & 1 != 0
    }

    /// As if the filter's guard did not hold; its constant edits stay.
    pub fn uncalled(self) -> Decision {
        Decision(self.0 & !1)
    }

    /// Whether some group of constant edits applies to the exchange.
    pub fn edits(self) -> bool {
        self.0 >> 1 != 0
    }

    fn group(self, index: usize) -> bool {
        self.0 >> (index + 1) & 1 != 0
    }
}

impl HttpNeeds {
    /// Whether an exchange keeps one instance to itself.
    pub fn wants_lease(&self) -> bool {
        self.request_body.is_some() || self.response_body.is_some()
    }

    /// Evaluates every guard on the request as it stands: once, when the filter's request phase begins.
    pub fn decide(&self, exchange: &Exchange) -> Decision {
        let mut bits = u64::from(self.guard.matches(exchange));
        for (index, group) in self.edits.iter().enumerate() {
            bits |= u64::from(group.guard.matches(exchange)) << (index + 1);
        }
        Decision(bits)
    }

    /// Carries out the constant edits of the request, to be done before the request call. `scratch` is overwritten.
    pub fn apply_request_edits(
        &self,
        decision: Decision,
        exchange: &mut Exchange,
        scratch: &mut Vec<u8>,
    ) {
        for group in self.decided(decision) {
            group
                .request
                .iter()
                .for_each(|edit| edit.apply_request(exchange, scratch));
        }
    }

    /// The same for the response, before the response call.
    pub fn apply_response_edits(
        &self,
        decision: Decision,
        exchange: &mut Exchange,
        scratch: &mut Vec<u8>,
    ) {
        for group in self.decided(decision) {
            group
                .response
                .iter()
                .for_each(|edit| edit.apply_response(exchange, scratch));
        }
    }

    fn decided(&self, decision: Decision) -> impl Iterator<Item = &EditGroup> {
        self.edits
            .iter()
            .enumerate()
            .filter(move |(index, _)| decision.group(*index))
            .map(|(_, group)| group)
    }
}

/// Puts the fields of a call into the flat form (`wit/types.wit`, `phase.fields`); replaces what was in `out`.
pub fn flatten(fields: &[Field], exchange: &Exchange, out: &mut Vec<u8>) {
    flatten_with(fields, out, |field, out| exchange.read(field, out));
}

/// As [`flatten`], from anything that can be read by field. Says whether any of the fields is there.
pub fn flatten_with(
    fields: &[Field],
    out: &mut Vec<u8>,
    read: impl Fn(&Field, &mut Vec<u8>) -> bool,
) -> bool {
    const ABSENT: [u8; 4] = u32::MAX.to_le_bytes();
    let mut found = false;
    out.clear();
    for field in fields {
        let start = out.len();
        out.extend_from_slice(&ABSENT);
        if read(field, out) {
            // Bounded by the limit on heads, far below 4 GiB.
            let length = (out.len() - start - ABSENT.len()) as u32;
            out[start..start + ABSENT.len()].copy_from_slice(&length.to_le_bytes());
            found = true;
        }
    }
    found
}

/// Turns what a guest returned into what the host carries out. An error says what is not possible, for the one who loads the plugin.
pub(super) trait Plan: Sized + Send + Sync + 'static {
    type Raw;
    /// What it says in its further phases.
    type More;

    fn check(raw: Self::Raw, more: Self::More) -> Result<Self, String>;
}

impl Plan for HttpNeeds {
    type Raw = bindings::HttpNeeds;
    type More = MoreHttpNeeds;

    fn check(raw: bindings::HttpNeeds, more: MoreHttpNeeds) -> Result<HttpNeeds, String> {
        let bodies = more.bodies;
        let request_body = BodyPlan::check(raw.request_body, bodies.map(|plans| plans.request))?;
        let response_body = BodyPlan::check(raw.response_body, bodies.map(|plans| plans.response))?;
        if raw.edits.len() > GROUPS_MAX {
            return Err(format!(
                "{} groups of edits; at most {GROUPS_MAX}",
                raw.edits.len()
            ));
        }
        let edits: usize = raw
            .edits
            .iter()
            .map(|group| group.request.len() + group.response.len())
            .sum();
        if edits > CONSTANT_EDITS_MAX {
            return Err(format!(
                "{edits} constant edits; at most {CONSTANT_EDITS_MAX}"
            ));
        }
        Ok(HttpNeeds {
            request: check_phase(raw.request)?,
            response: check_phase(raw.response)?,
            guard: Guard::compile(raw.guard)?,
            edits: raw
                .edits
                .into_iter()
                .map(check_group)
                .collect::<Result<_, _>>()?,
            request_body,
            response_body,
            end: check_phase(more.end)?,
        })
    }
}

impl Plan for NetworkNeeds {
    type Raw = bindings::NetworkNeeds;
    type More = ();

    fn check(raw: bindings::NetworkNeeds, (): ()) -> Result<NetworkNeeds, String> {
        Ok(NetworkNeeds {
            accept: check_phase(raw.accept)?,
            close: check_phase(raw.close)?,
            guard: Guard::compile_for_network(raw.guard)?,
        })
    }
}

impl Plan for BalancerNeeds {
    type Raw = bindings::BalancerNeeds;
    type More = ();

    fn check(raw: bindings::BalancerNeeds, (): ()) -> Result<BalancerNeeds, String> {
        Ok(BalancerNeeds {
            loads: raw.loads,
            key: check_fields(raw.key)?,
        })
    }
}

fn check_phase(phase: Option<bindings::Phase>) -> Result<Option<Vec<Field>>, String> {
    phase.map(|phase| check_fields(phase.fields)).transpose()
}

fn check_fields(fields: Vec<bindings::Field>) -> Result<Vec<Field>, String> {
    if fields.len() > FIELDS_MAX {
        return Err(format!(
            "{} fields in one phase; at most {FIELDS_MAX}",
            fields.len()
        ));
    }
    fields.into_iter().map(check_field).collect()
}

fn check_group(group: bindings::Edits) -> Result<EditGroup, String> {
    let check = |edits: Vec<bindings::Edit>| {
        edits
            .into_iter()
            .map(ConstantEdit::check)
            .collect::<Result<_, _>>()
    };
    Ok(EditGroup {
        guard: Guard::compile(group.guard)?,
        request: check(group.request)?,
        response: check(group.response)?,
    })
}

pub(super) fn check_field(field: bindings::Field) -> Result<Field, String> {
    use bindings::Field as Raw;
    Ok(match field {
        Raw::Method => Field::Method,
        Raw::Path => Field::Path,
        Raw::Query => Field::Query,
        Raw::Scheme => Field::Scheme,
        Raw::Host => Field::Host,
        Raw::Protocol => Field::Protocol,
        Raw::ClientAddress => Field::ClientAddress,
        Raw::ClientPort => Field::ClientPort,
        Raw::LocalAddress => Field::LocalAddress,
        Raw::LocalPort => Field::LocalPort,
        Raw::Listener => Field::Listener,
        Raw::ConnectionId => Field::ConnectionId,
        Raw::ExchangeId => Field::ExchangeId,
        Raw::Status => Field::Status,
        Raw::Header(name) => Field::Header(lower_name(name)?),
        Raw::RequestHeader(name) => Field::RequestHeader(lower_name(name)?),
        Raw::Tag(name) => Field::Tag(name.into_boxed_str()),
        Raw::ConnectionDuration => Field::ConnectionDuration,
        Raw::DownstreamBytes => Field::DownstreamBytes,
        Raw::UpstreamBytes => Field::UpstreamBytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bindings::BodyMode;
    use bindings::Field as Raw;

    fn needs() -> bindings::HttpNeeds {
        bindings::HttpNeeds {
            request: None,
            response: None,
            request_body: BodyMode::None,
            response_body: BodyMode::None,
            guard: vec![],
            edits: vec![],
        }
    }

    fn group(count: usize) -> bindings::Edits {
        let edit = bindings::Edit {
            name: "x-a".to_owned(),
            operation: bindings::Operation::Remove,
            value: vec![],
        };
        bindings::Edits {
            guard: vec![],
            request: vec![edit; count],
            response: vec![],
        }
    }

    fn phase(field: Raw, count: usize) -> Option<bindings::Phase> {
        Some(bindings::Phase {
            fields: vec![field; count],
        })
    }

    #[test]
    fn plans_are_accepted_up_to_their_limits() {
        let table: Vec<(&str, bindings::HttpNeeds, bool)> = vec![
            ("nothing", needs(), true),
            (
                "request bodies",
                bindings::HttpNeeds {
                    request_body: BodyMode::Stream,
                    ..needs()
                },
                false,
            ),
            (
                "response bodies",
                bindings::HttpNeeds {
                    response_body: BodyMode::Buffer(1),
                    ..needs()
                },
                false,
            ),
            (
                "60 groups",
                bindings::HttpNeeds {
                    edits: vec![group(1); 60],
                    ..needs()
                },
                true,
            ),
            (
                "61 groups",
                bindings::HttpNeeds {
                    edits: vec![group(1); 61],
                    ..needs()
                },
                false,
            ),
            (
                "1,000 edits",
                bindings::HttpNeeds {
                    edits: vec![group(1_000)],
                    ..needs()
                },
                true,
            ),
            (
                "1,001 edits",
                bindings::HttpNeeds {
                    edits: vec![group(1_001)],
                    ..needs()
                },
                false,
            ),
            (
                "128 fields",
                bindings::HttpNeeds {
                    request: phase(Raw::Path, 128),
                    ..needs()
                },
                true,
            ),
            (
                "129 fields",
                bindings::HttpNeeds {
                    request: phase(Raw::Path, 129),
                    ..needs()
                },
                false,
            ),
            (
                "upper case",
                bindings::HttpNeeds {
                    response: phase(Raw::Header("X-A".into()), 1),
                    ..needs()
                },
                false,
            ),
            (
                "a bad name",
                bindings::HttpNeeds {
                    request: phase(Raw::RequestHeader("a b".into()), 1),
                    ..needs()
                },
                false,
            ),
        ];
        for (what, raw, sound) in table {
            let checked = HttpNeeds::check(raw, MoreHttpNeeds::default());
            assert_eq!(checked.is_ok(), sound, "{what}");
        }
    }

    #[test]
    fn the_flat_form_tells_absent_from_empty() {
        let mut out = b"old".to_vec();
        let fields = [Field::Path, Field::Query, Field::Method];
        let found = flatten_with(&fields, &mut out, |field, out| match field {
            Field::Path => {
                out.extend_from_slice(b"/a");
                true
            }
            Field::Query => false,
            _ => true,
        });
        assert_eq!(out, b"\x02\0\0\0/a\xff\xff\xff\xff\0\0\0\0");
        assert!(found);
    }

    #[test]
    fn whether_any_field_is_there_is_told() {
        let table: [(&[Field], bool); 5] = [
            (&[], false),
            (&[Field::Query], false),
            (&[Field::Query, Field::Status], false),
            (&[Field::Path, Field::Query], true),
            (&[Field::Query, Field::Path], true),
        ];
        for (fields, expected) in table {
            let read = |field: &Field, _: &mut Vec<u8>| *field == Field::Path;
            let found = flatten_with(fields, &mut Vec::new(), read);
            assert_eq!(found, expected, "{fields:?}");
        }
    }

    #[test]
    fn a_decision_keeps_one_bit_for_each_group() {
        let decision = Decision(1 | 1 << 60);
        assert!(decision.called() && decision.group(59) && !decision.group(58));
        assert!(!Decision::default().called());
    }
}
