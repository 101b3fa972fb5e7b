//! `retry …`, in a cluster and in a route.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::decode::{Decoder, words};
use super::listener::TIMEOUT_RANGE;
use super::statuses::{looks_like_status, parse_statuses};
use super::suggest::{did_you_mean, one_of};
use super::syntax::{Item, Node};
use super::{Percent, Retry, RetryOn};

/// Above 100 % the budget limits next to nothing; that may be wanted where attempts are many and requests few.
const BUDGET_RANGE: RangeInclusive<Percent> = Percent(0)..=Percent(100_000);
const BUDGET_MIN_MAX: u32 = 1_000_000;
const BACKOFF_RANGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
/// Each request that may be retried holds so much memory.
pub(super) const REPLAY_BYTES_MAX: u64 = 64 << 20;
/// Nothing below is a failure.
const STATUSES: RangeInclusive<u16> = 400..=599;

impl Decoder<'_> {
    /// Absent properties have the defaults of [`Retry::default`], in a route as well.
    pub(super) fn retry(&mut self, node: &Node) -> Retry {
        let default = Retry::default();
        let of = |name| node.property(name);
        let retry = Retry {
            attempts: self.integer(of("attempts"), 1..=100, default.attempts),
            on: self.retry_on(node).unwrap_or(default.on),
            non_idempotent: self.boolean(of("non-idempotent"), default.non_idempotent),
            budget: self.percent(of("budget"), BUDGET_RANGE, default.budget),
            budget_min: self.integer(of("budget-min"), 0..=BUDGET_MIN_MAX, default.budget_min),
            timeout: self.optional_duration(of("timeout"), TIMEOUT_RANGE),
            backoff: self.duration(of("backoff"), BACKOFF_RANGE, default.backoff),
            backoff_max: self.duration(of("backoff-max"), BACKOFF_RANGE, default.backoff_max),
            body_bytes_max: self.size(
                of("body-bytes-max"),
                0..=REPLAY_BYTES_MAX,
                default.body_bytes_max,
            ),
            hedge_delay: self.optional_duration(of("hedge-delay"), TIMEOUT_RANGE),
        };
        self.check_retry(node, &retry);
        retry
    }

    fn check_retry(&mut self, node: &Node, retry: &Retry) {
        self.ordered(
            node,
            ("backoff", retry.backoff),
            ("backoff-max", retry.backoff_max),
        );
        if let Some(item) = node.property("hedge-delay")
            && retry.attempts == 1
        {
            let message = "`hedge-delay` has no effect with `attempts=1`: it begins a second one";
            self.error(item.place, message);
        }
    }

    /// What property or children list; `None` when neither is there. It takes the place of the default.
    fn retry_on(&mut self, node: &Node) -> Option<RetryOn> {
        let (property, child) = (node.property("on"), node.child("on"));
        if let (Some(item), Some(child)) = (property, child) {
            let message = "`on` is given as property and in the block";
            let related = (item.place, "this is the other");
            self.diagnostics
                .error_with(child.place(), message, None, related);
        }
        let children = node.named("on").flat_map(|node| &node.arguments);
        let items: Vec<&Item> = property.into_iter().chain(children).collect();
        let mut on = RetryOn::default();
        for item in &items {
            self.retry_conditions(item, &mut on);
        }
        (!items.is_empty()).then_some(on)
    }

    fn retry_conditions(&mut self, item: &Item, on: &mut RetryOn) {
        let Some(text) = self.text(&Self::as_text(item)) else {
            return;
        };
        for word in words(&text.value) {
            if let Err((message, help)) = on.add(word) {
                self.diagnostics.error(text.place, message, help);
            }
        }
        if words(&text.value).next().is_none() {
            let help = format!("expected {}", one_of(EXPECTED.iter().copied()));
            self.error_help(text.place, "this names nothing to retry on", help);
        }
    }
}

const WORDS: &[&str] = &["connect-failure", "reset", "timeout"];
const EXPECTED: &[&str] = &[
    "connect-failure",
    "reset",
    "timeout",
    "503",
    "500-504",
    "5xx",
];

impl RetryOn {
    /// On failure a message and a hint.
    fn add(&mut self, word: &str) -> Result<(), (String, Option<String>)> {
        match word {
            "connect-failure" => self.connect_failure = true,
            "reset" => self.reset = true,
            "timeout" => self.timeout = true,
            word if looks_like_status(word) => {
                let statuses = parse_statuses(word, STATUSES).map_err(|message| (message, None))?;
                self.statuses.push(statuses);
            }
            word => {
                let expected = one_of(EXPECTED.iter().copied());
                let message = format!("expected {expected}, found `{word}`");
                return Err((message, did_you_mean(word, WORDS.iter().copied())));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_statuses_add_up() {
        let mut on = RetryOn::default();
        for word in words("reset, 503,5xx\ttimeout 500-502") {
            assert_eq!(on.add(word), Ok(()), "{word}");
        }
        let expected = RetryOn {
            connect_failure: false,
            reset: true,
            timeout: true,
            statuses: vec![503..=503, 500..=599, 500..=502],
        };
        assert_eq!(on, expected);
    }

    #[test]
    fn other_words_are_refused_with_what_was_meant() {
        for (word, hint) in [
            ("connect-failiure", Some("did you mean `connect-failure`?")),
            ("timeouts", Some("did you mean `timeout`?")),
            ("Reset", Some("did you mean `reset`?")),
            ("everything", None),
            ("200", None),
            ("600", None),
        ] {
            let (_, help) = RetryOn::default().add(word).expect_err(word);
            assert_eq!(help.as_deref(), hint, "{word}");
        }
    }
}
