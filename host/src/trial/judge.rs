//! Compares what came of a case with what was to come of it: every difference, each where the expectation is written.

use super::outcome::{Counts, Message, Outcome, Start, word};
use super::run::Picks;
use super::{Complaint, Difference};
use crate::config::cases::{
    Calls, Check, ConnectionExpect, HttpExpect, Lines, PicksExpect, Refusal, SettingsExpect, Tag,
    TagValue, Verdict,
};
use crate::config::{Place, Settings, Spanned};

/// Longest value that is shown whole.
const SHOWN_BYTES_MAX: usize = 300;

/// Collects differences.
#[derive(Default)]
struct Judge(Vec<Difference>);

pub(super) fn exchange(expect: &HttpExpect, place: Place, outcome: &Outcome) -> Vec<Difference> {
    let mut judge = Judge::default();
    judge.verdict(expect.verdict.as_ref(), outcome.verdict);
    judge.message(
        "upstream",
        expect.upstream.as_ref(),
        outcome.upstream.as_ref(),
    );
    judge.message(
        "downstream",
        expect.downstream.as_ref(),
        outcome.downstream.as_ref(),
    );
    judge.counts(&expect.calls, &expect.faults, place, &outcome.counts);
    judge.tags(&expect.tags, outcome);
    if let Some(priority) = &expect.priority
        && outcome.priority != Some(priority.value)
    {
        let got = outcome.priority;
        let got = got.map_or_else(|| "none".to_owned(), |got| got.to_string());
        judge.add(priority.place, "priority", priority.value, got);
    }
    judge.0
}

pub(super) fn connection(
    expect: &ConnectionExpect,
    place: Place,
    outcome: &Outcome,
) -> Vec<Difference> {
    let mut judge = Judge::default();
    judge.verdict(expect.verdict.as_ref(), outcome.verdict);
    judge.counts(&expect.calls, &expect.faults, place, &outcome.counts);
    judge.tags(&expect.tags, outcome);
    judge.0
}

impl Judge {
    fn add(
        &mut self,
        place: Place,
        what: impl Into<String>,
        expected: impl ToString,
        got: impl ToString,
    ) {
        self.0.push(Difference {
            place,
            what: what.into(),
            expected: expected.to_string(),
            got: got.to_string(),
        });
    }

    fn verdict(&mut self, expected: Option<&Spanned<Verdict>>, got: Option<Verdict>) {
        if let Some(expected) = expected
            && got != Some(expected.value)
        {
            let got = got.map_or("fault", word);
            self.add(expected.place, "verdict", word(expected.value), got);
        }
    }

    fn message(
        &mut self,
        side: &str,
        expected: Option<&Spanned<Vec<Spanned<Check>>>>,
        got: Option<&Message>,
    ) {
        let Some(expected) = expected else { return };
        let Some(message) = got else {
            let wanted = match side {
                "upstream" => "a request that goes on",
                _ => "a response",
            };
            return self.add(expected.place, side, wanted, "none");
        };
        for check in &expected.value {
            self.check(side, check, message);
        }
    }

    fn check(&mut self, side: &str, check: &Spanned<Check>, message: &Message) {
        let place = check.place;
        match (&check.value, &message.start) {
            (Check::Method(expected), Start::Request { method, .. }) => {
                self.same(place, format!("{side} method"), expected, method);
            }
            (Check::Target(expected), Start::Request { target, .. }) => {
                self.same(place, format!("{side} target"), expected, target);
            }
            (Check::Status(expected), Start::Response { status }) => {
                self.same(
                    place,
                    format!("{side} status"),
                    &expected.to_string(),
                    &status.to_string(),
                );
            }
            (Check::Header(name, lines), _) => {
                let got = message.lines(name);
                if !fits(lines, &got) {
                    let what = format!("{side} header `{name}`");
                    self.add(place, what, described(lines), shown_lines(&got));
                }
            }
            (Check::NoHeader(name), _) => {
                let got = message.lines(name);
                if !got.is_empty() {
                    let what = format!("{side} header `{name}`");
                    self.add(place, what, "no such header", shown_lines(&got));
                }
            }
            (Check::Body(expected), _) if *expected != message.body => {
                let got = shown(&message.body);
                self.add(place, format!("{side} body"), shown(expected), got);
            }
            (Check::BodyContains(part), _) if !contains(&message.body, part) => {
                let expected = format!("{} in it", shown(part));
                let got = shown(&message.body);
                self.add(place, format!("{side} body"), expected, got);
            }
            // The rest holds: a message of the other side cannot carry the first three, which the keys of the file see to.
            _ => {}
        }
    }

    fn same(&mut self, place: Place, what: String, expected: &str, got: &str) {
        if expected != got {
            self.add(place, what, expected, got);
        }
    }

    /// A fault that is not expected is a difference, even where nothing is expected.
    fn counts(
        &mut self,
        calls: &[Spanned<Calls>],
        faults: &[Spanned<String>],
        place: Place,
        got: &Counts,
    ) {
        for expected in calls {
            let Calls { filter, count } = &expected.value;
            let (what, known) = match filter {
                Some(name) => (
                    format!("calls of `{name}`"),
                    got.calls.iter().any(|(known, _)| known == name),
                ),
                None => ("calls".to_owned(), true),
            };
            let found = got.calls_of(filter.as_deref());
            if !known {
                self.add(expected.place, what, count, "no such filter in the chain");
            } else if found != *count {
                self.add(expected.place, what, count, found);
            }
        }
        let mut unexpected: Vec<&(String, &str)> = got.faults.iter().collect();
        for fault in faults {
            let found = unexpected.iter().position(|(_, kind)| *kind == fault.value);
            match found {
                Some(index) => {
                    unexpected.remove(index);
                }
                None => {
                    let got = fault_words(&got.faults);
                    self.add(fault.place, "fault", &fault.value, got);
                }
            }
        }
        // Two filters may fault in the same way; one `fault` is enough for that.
        unexpected.retain(|(_, kind)| !faults.iter().any(|fault| fault.value == *kind));
        for (name, kind) in unexpected {
            self.add(place, "fault", "none", format!("{kind} in `{name}`"));
        }
    }

    fn tags(&mut self, expected: &[Spanned<Tag>], outcome: &Outcome) {
        for Spanned { value: tag, place } in expected {
            let mut found = outcome.tags.iter();
            let found = found
                .find(|(name, _)| *name == tag.name)
                .map(|(_, value)| value);
            let (expected, holds) = match &tag.expected {
                TagValue::Any => ("any value".to_owned(), found.is_some()),
                TagValue::Absent => ("no such tag".to_owned(), found.is_none()),
                TagValue::Is(value) => (shown(value), found == Some(value)),
            };
            if !holds {
                let got = found.map_or_else(|| "no such tag".to_owned(), |value| shown(value));
                self.add(*place, format!("tag `{}`", tag.name), expected, got);
            }
        }
    }
}

fn fault_words(faults: &[(String, &str)]) -> String {
    if faults.is_empty() {
        return "none".to_owned();
    }
    let words = faults
        .iter()
        .map(|(name, kind)| format!("{kind} in `{name}`"));
    words.collect::<Vec<_>>().join(", ")
}

fn fits(expected: &Lines, got: &[&[u8]]) -> bool {
    match expected {
        Lines::Any => !got.is_empty(),
        Lines::Are(values) => values.iter().eq(got.iter().copied()),
        Lines::Match(regex) => {
            let matches = |line: &&[u8]| regex.is_match(&String::from_utf8_lossy(line));
            !got.is_empty() && got.iter().all(matches)
        }
    }
}

fn described(lines: &Lines) -> String {
    match lines {
        Lines::Any => "a line".to_owned(),
        Lines::Are(values) => {
            let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            shown_lines(&values)
        }
        Lines::Match(regex) => format!("lines that match {:?}", regex.as_str()),
    }
}

fn shown_lines(lines: &[&[u8]]) -> String {
    if lines.is_empty() {
        return "no such header".to_owned();
    }
    let lines = lines.iter().map(|line| shown(line));
    lines.collect::<Vec<_>>().join(", ")
}

/// In quotes; cut where it is long.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.len() <= SHOWN_BYTES_MAX {
        return format!("{text:?}");
    }
    let cut = &text[..text.floor_char_boundary(SHOWN_BYTES_MAX)];
    format!("{cut:?}… ({} bytes)", bytes.len())
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(body, part).is_some()
}

pub(super) fn picks(expect: &PicksExpect, place: Place, got: &Picks) -> Vec<Difference> {
    let mut judge = Judge::default();
    let address = |picked: &Option<String>| picked.clone().unwrap_or_else(|| "none".to_owned());
    if let Some(order) = &expect.order {
        let first: Vec<String> = got
            .picked
            .iter()
            .take(order.value.len())
            .map(address)
            .collect();
        if first != order.value {
            let (expected, got) = (order.value.join(" "), first.join(" "));
            judge.add(order.place, "order", expected, got);
        }
    }
    for share in &expect.shares {
        let wanted = share.value.address.as_str();
        let hits = got
            .picked
            .iter()
            .filter(|picked| picked.as_deref() == Some(wanted));
        let (hits, all) = (hits.count() as f64, got.picked.len().max(1) as f64);
        let (found, expected) = (hits * 100.0 / all, f64::from(share.value.share.0) / 100.0);
        let within = f64::from(share.value.within.0) / 100.0;
        // A share that differs by no more than rounding is not another one.
        if (found - expected).abs() > within + 1e-9 {
            let expected = format!("{expected}% within {within}%");
            let what = format!("share of {wanted}");
            judge.add(share.place, what, expected, format!("{found:.2}%"));
        }
    }
    if let Some(same) = &expect.same
        && let Some(other) = got.picked.iter().find(|picked| **picked != got.picked[0])
    {
        let both = format!("{} and {}", address(&got.picked[0]), address(other));
        judge.add(same.place, "picks", "the same endpoint each time", both);
    }
    if let Some(none) = &expect.none
        && let Some(picked) = got.picked.iter().flatten().next()
    {
        judge.add(none.place, "picks", "none", picked);
    }
    for fault in &expect.faults {
        if !got.faults.contains(&fault.value.as_str()) {
            let first = got.faults.first().copied().unwrap_or("none");
            judge.add(fault.place, "fault", &fault.value, first);
        }
    }
    let mut unexpected = got.faults.iter();
    let unexpected =
        unexpected.find(|kind| !expect.faults.iter().any(|fault| fault.value == **kind));
    if let Some(kind) = unexpected {
        judge.add(place, "fault", "none", kind);
    }
    judge.0
}

pub(super) fn settings(
    expect: &SettingsExpect,
    place: Place,
    settings: &Settings,
    complaints: &[Complaint],
) -> Vec<Difference> {
    let mut judge = Judge::default();
    let all = || {
        let words: Vec<_> = complaints.iter().map(|it| it.message.as_str()).collect();
        match words.is_empty() {
            true => "accepted".to_owned(),
            false => format!("refused: {}", words.join("; ")),
        }
    };
    match expect {
        SettingsExpect::Accepted if complaints.is_empty() => {}
        SettingsExpect::Accepted => judge.add(place, "settings", "accepted", all()),
        SettingsExpect::Refused(refusals) => {
            for refusal in refusals {
                let Refusal { pointer, contains } = &refusal.value;
                let at = pointer.as_ref().map(|pointer| settings.place_of(pointer));
                let found = complaints.iter().any(|complaint| {
                    at.is_none_or(|at| at == complaint.place)
                        && contains
                            .as_ref()
                            .is_none_or(|part| complaint.message.contains(part.as_str()))
                });
                if !found {
                    let at = pointer.as_ref().map(|pointer| format!(" at `{pointer}`"));
                    let with = contains.as_ref().map(|part| format!(" with {part:?}"));
                    let expected = format!(
                        "refused{}{}",
                        at.unwrap_or_default(),
                        with.unwrap_or_default()
                    );
                    judge.add(refusal.place, "settings", expected, all());
                }
            }
        }
    }
    judge.0
}
