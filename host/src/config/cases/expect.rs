//! What is to come of a case.

use regex::Regex;

use super::{
    Calls, Check, ConnectionExpect, Endpoint, FAULTS, HttpExpect, Lines, PicksExpect, Refusal,
    SettingsExpect, Share, Tag, TagValue, Verdict,
};
use crate::config::decode::Decoder;
use crate::config::route_match::parse_header_name;
use crate::config::suggest::{did_you_mean, one_of};
use crate::config::syntax::{Item, Node};
use crate::config::{Percent, Settings, Spanned};

const VERDICTS: [(&str, Verdict); 3] = [
    ("next", Verdict::Next),
    ("reply", Verdict::Reply),
    ("close", Verdict::Close),
];

impl Decoder<'_> {
    pub(super) fn http_expect(&mut self, node: &Node) -> HttpExpect {
        let verdict = self.verdict(node);
        let upstream = node.child("upstream").map(|node| self.checks(node));
        let sent = node.child("downstream");
        let mut downstream = sent.map(|node| self.checks(node));
        if let Some(reply) = node.child("reply") {
            let mut checks = self.checks(reply);
            if let Some(status) = reply.arguments.first() {
                checks.value.push(Spanned {
                    value: Check::Status(self.status(reply)),
                    place: status.place,
                });
            }
            match &mut downstream {
                Some(downstream) => downstream.value.extend(checks.value),
                None => downstream = Some(checks),
            }
        }
        if let (Some(sent), Some(Verdict::Close)) = (sent, verdict.as_ref().map(|is| is.value)) {
            self.error(
                sent.place(),
                "nothing is sent to a connection that is closed",
            );
        }
        HttpExpect {
            verdict,
            upstream,
            downstream,
            calls: self.calls(node),
            faults: self.faults(node),
            tags: self.tags(node),
            priority: self.expected_priority(node),
        }
    }

    pub(super) fn connection_expect(&mut self, node: &Node) -> ConnectionExpect {
        ConnectionExpect {
            verdict: self.verdict(node),
            calls: self.calls(node),
            faults: self.faults(node),
            tags: self.tags(node),
        }
    }

    /// At most one of the words that say how it ends.
    fn verdict(&mut self, node: &Node) -> Option<Spanned<Verdict>> {
        let mut found = VERDICTS.iter().filter_map(|(word, verdict)| {
            Some(Spanned {
                value: *verdict,
                place: node.child(word)?.place(),
            })
        });
        let first = found.next()?;
        if let Some(second) = found.next() {
            self.diagnostics.error_with(
                second.place,
                format!(
                    "only one of {} can be",
                    one_of(VERDICTS.map(|(word, _)| word))
                ),
                None,
                (first.place, "this is the other"),
            );
        }
        Some(first)
    }

    fn expected_priority(&mut self, node: &Node) -> Option<Spanned<i16>> {
        let item = node.child_argument("priority")?;
        let number = self.whole_number(item, -2047..=2047)?;
        Some(Spanned {
            value: i16::try_from(number).ok()?,
            place: item.place,
        })
    }

    /// All statements in the block of one message.
    fn checks(&mut self, node: &Node) -> Spanned<Vec<Spanned<Check>>> {
        let mut checks = Vec::new();
        for child in node.children() {
            let place = child.place();
            let mut add = |value| checks.push(Spanned { value, place });
            match child.name() {
                "no-header" => {
                    for item in &child.arguments {
                        if let Some(name) = self.parsed(item, parse_header_name) {
                            add(Check::NoHeader(name.value));
                        }
                    }
                }
                _ => {
                    if let Some(check) = self.check(child) {
                        add(check);
                    }
                }
            }
        }
        Spanned {
            value: checks,
            place: node.place(),
        }
    }

    fn check(&mut self, node: &Node) -> Option<Check> {
        Some(match node.name() {
            "method" => Check::Method(self.first_text(node)?.value),
            "target" => Check::Target(self.first_text(node)?.value),
            "status" => Check::Status(self.status(node)),
            "header" => {
                let name = self.parsed(node.arguments.first()?, parse_header_name);
                let lines = self.lines(node)?;
                Check::Header(name?.value, lines)
            }
            "body" => Check::Body(self.bytes(node, 0)?.value),
            "body-contains" => Check::BodyContains(self.bytes(node, 0)?.value),
            // The shape check has reported it.
            _ => return None,
        })
    }

    fn lines(&mut self, node: &Node) -> Option<Lines> {
        let values = &node.arguments[1..];
        let Some(item) = node.property("matches") else {
            return match (values, node.property("base64")) {
                ([], None) => Some(Lines::Any),
                ([], Some(_)) => Some(Lines::Are(vec![self.bytes(node, 1)?.value])),
                (_, Some(_)) => self.bytes(node, 1).map(|_| Lines::Any),
                (values, None) => {
                    let texts = values.iter().map(|item| self.text(item));
                    let texts: Option<Vec<_>> = texts.collect();
                    let bytes = texts?.into_iter().map(|text| text.value.into_bytes());
                    Some(Lines::Are(bytes.collect()))
                }
            };
        };
        if !values.is_empty() || node.property("base64").is_some() {
            self.error(item.place, "a header has values or `matches`, not both");
        }
        let bad = |error: regex::Error| {
            // Its last line says what is wrong; those before draw the place.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let reason = last.trim_start_matches("error: ");
            format!("this is no regular expression: {reason}")
        };
        let regex = self.parsed(item, |text| Regex::new(text).map_err(bad))?;
        Some(Lines::Match(regex.value))
    }

    fn calls(&mut self, node: &Node) -> Vec<Spanned<Calls>> {
        node.named("calls")
            .filter_map(|node| {
                let (filter, count) = match node.arguments.as_slice() {
                    [count] => (None, count),
                    [name, count] => (Some(self.text(name)?.value), count),
                    _ => return None,
                };
                let count = self.whole_number(count, 0..=1_000_000)?;
                Some(Spanned {
                    value: Calls {
                        filter,
                        count: u64::try_from(count).ok()?,
                    },
                    place: node.place(),
                })
            })
            .collect()
    }

    fn faults(&mut self, node: &Node) -> Vec<Spanned<String>> {
        node.named("fault")
            .filter_map(|node| {
                let word = self.first_text(node)?;
                if !FAULTS.contains(&word.value.as_str()) {
                    let message = format!("expected {}, found `{}`", one_of(FAULTS), word.value);
                    let help = did_you_mean(&word.value, FAULTS);
                    self.diagnostics.error(word.place, message, help);
                }
                Some(word)
            })
            .collect()
    }

    fn tags(&mut self, node: &Node) -> Vec<Spanned<Tag>> {
        let mut tags = Vec::new();
        for node in node.named("tag") {
            let Some(name) = node.arguments.first().and_then(|item| self.text(item)) else {
                continue;
            };
            let is_given = node.arguments.len() > 1 || node.property("base64").is_some();
            let value = if is_given { self.bytes(node, 1) } else { None };
            tags.push(Spanned {
                value: Tag {
                    name: name.value,
                    expected: value.map_or(TagValue::Any, |value| TagValue::Is(value.value)),
                },
                place: node.place(),
            });
        }
        for item in node.named("no-tag").flat_map(|node| &node.arguments) {
            tags.extend(self.text(item).map(|name| Spanned {
                value: Tag {
                    name: name.value,
                    expected: TagValue::Absent,
                },
                place: name.place,
            }));
        }
        tags
    }

    pub(super) fn picks_expect(
        &mut self,
        node: &Node,
        endpoints: &[Endpoint],
        count: u32,
    ) -> PicksExpect {
        let word = |name: &str| {
            node.child(name).map(|node| Spanned {
                value: (),
                place: node.place(),
            })
        };
        let order = node.child("order").map(|order| {
            if order.arguments.len() > count as usize {
                let help = format!("write picks … count={}", order.arguments.len());
                self.error_help(order.place(), format!("only {count} are picked"), help);
            }
            let items = order.arguments.iter();
            Spanned {
                value: items
                    .filter_map(|item| self.endpoint_among(item, endpoints))
                    .collect(),
                place: order.place(),
            }
        });
        let shares = node
            .named("share")
            .filter_map(|node| self.expected_share(node, endpoints))
            .collect();
        let expect = PicksExpect {
            order,
            shares,
            same: word("same"),
            none: word("none"),
            faults: self.faults(node),
        };
        if let (Some(none), true) = (
            &expect.none,
            expect.order.is_some() || expect.same.is_some() || !expect.shares.is_empty(),
        ) {
            self.error(none.place, "with `none`, nothing else about picks can be");
        }
        expect
    }

    fn expected_share(&mut self, node: &Node, endpoints: &[Endpoint]) -> Option<Spanned<Share>> {
        const WHOLE: Percent = Percent(10_000);
        let address = self.endpoint_among(node.arguments.first()?, endpoints);
        let share = self.percent(node.arguments.get(1), Percent(0)..=WHOLE, WHOLE);
        let within = self.percent(node.property("within"), Percent(0)..=WHOLE, Percent(0));
        Some(Spanned {
            value: Share {
                address: address?,
                share,
                within,
            },
            place: node.place(),
        })
    }

    fn endpoint_among(&mut self, item: &Item, endpoints: &[Endpoint]) -> Option<String> {
        let address = self.text(item)?;
        let known = || endpoints.iter().map(|endpoint| endpoint.address.as_str());
        if !known().any(|known| known == address.value) {
            let message = format!("no endpoint `{}` is here", address.value);
            let help = did_you_mean(&address.value, known());
            self.diagnostics.error(address.place, message, help);
        }
        Some(address.value)
    }

    pub(super) fn settings_expect(&mut self, node: &Node, settings: &Settings) -> SettingsExpect {
        let Some(expect) = node.child("expect") else {
            let help = "add expect { accepted }, or expect { refused \"/pointer\" }";
            self.error_help(
                node.place(),
                "`settings` says nothing of what to expect",
                help,
            );
            return SettingsExpect::Accepted;
        };
        let refused: Vec<_> = expect.named("refused").collect();
        match (expect.child("accepted"), refused.as_slice()) {
            (Some(_), []) => SettingsExpect::Accepted,
            (None, [_, ..]) => SettingsExpect::Refused(
                refused
                    .iter()
                    .map(|node| self.refusal(node, settings))
                    .collect(),
            ),
            _ => {
                let message = "settings are either `accepted` or `refused`";
                self.error(expect.place(), message);
                SettingsExpect::Accepted
            }
        }
    }

    fn refusal(&mut self, node: &Node, settings: &Settings) -> Spanned<Refusal> {
        let pointer = node.arguments.first().and_then(|item| {
            let pointer = self.text(item)?;
            if !pointer.value.is_empty() && !settings.places.contains_key(&pointer.value) {
                let message = format!("nothing is written for `{}` here", pointer.value);
                let mut known: Vec<&str> = settings.places.keys().map(String::as_str).collect();
                known.sort_unstable();
                let near = did_you_mean(&pointer.value, known.iter().copied());
                let help = near.unwrap_or_else(|| format!("there are {}", one_of(known)));
                self.error_help(pointer.place, message, help);
            }
            Some(pointer.value)
        });
        let contains = node.property("contains").and_then(|item| self.text(item));
        Spanned {
            value: Refusal {
                pointer,
                contains: contains.map(|text| text.value),
            },
            place: node.place(),
        }
    }
}
