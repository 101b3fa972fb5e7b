//! The limits: which requests each is about, what it counts by, and what the store says.

use std::time::Duration;

use tollgate_plugin_sdk::conditions::{Condition, Missing};
use tollgate_plugin_sdk::hashing::bytes_hash;
use tollgate_plugin_sdk::metrics::Counter;
use tollgate_plugin_sdk::settings::{Errors, Rate};
use tollgate_plugin_sdk::store::{Admission, Store, StoreError};
use tollgate_plugin_sdk::{Facts, Field, Guard, Settings, is_header_name};

use crate::RuleSettings;
use crate::key::{Key, Prefixes};

const NAME_BYTES_MAX: usize = 64;

/// How requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub(crate) enum Algorithm {
    /// Tokens that come evenly, of which as many as the burst can wait.
    TokenBucket,
    /// Requests of the last period, the one before weighed by how much of it still reaches back.
    SlidingWindow,
}

/// One limit.
#[derive(Debug)]
pub(crate) struct Rule {
    /// In headers and metrics.
    pub(crate) name: String,
    pub(crate) rate: Rate,
    /// None: a sliding window.
    burst: Option<u64>,
    /// What all keys of this limit begin with.
    prefix: Vec<u8>,
    key: Key,
    condition: Condition,
    counters: [Option<Counter>; 4],
}

/// How a request fared, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed,
    Denied,
    /// Over the limit, and let pass since this is a trial.
    WouldDeny,
    StoreError,
}

impl Decision {
    const ALL: [(Decision, &'static str); 4] = [
        (Decision::Allowed, "allowed"),
        (Decision::Denied, "denied"),
        (Decision::WouldDeny, "would-deny"),
        (Decision::StoreError, "store-error"),
    ];
}

pub(crate) fn compile(settings: &[RuleSettings], errors: &mut Errors) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    errors.inside("rule", |errors| {
        for (index, settings) in settings.iter().enumerate() {
            errors.inside(index, |errors| {
                let rule = compile_rule(index, settings, errors);
                if rules.iter().any(|before| before.prefix == rule.prefix) {
                    errors.add("this rule is there already: they would count twice; `name` tells rules apart");
                }
                rules.push(rule);
            });
        }
    });
    rules
}

fn compile_rule(index: usize, settings: &RuleSettings, errors: &mut Errors) -> Rule {
    let burst = match (settings.algorithm, settings.burst) {
        (Algorithm::TokenBucket, burst) => Some(burst.map_or(settings.rate.count, u64::from)),
        (Algorithm::SlidingWindow, None) => None,
        (Algorithm::SlidingWindow, Some(_)) => {
            errors.inside("burst", |errors| {
                errors.add("a sliding window has no burst; a token bucket has");
            });
            None
        }
    };
    if let Some(name) = &settings.name
        && (!is_header_name(name) || name.len() > NAME_BYTES_MAX)
    {
        errors.inside("name", |errors| {
            errors.add(format!(
                "a name has letters, digits, `-`, `_` and `.`, at most {NAME_BYTES_MAX}"
            ));
        });
    }
    let prefixes = Prefixes {
        ipv4: settings.ipv4_prefix,
        ipv6: settings.ipv6_prefix,
    };
    let name = settings.name.clone();
    let name = name.unwrap_or_else(|| (index + 1).to_string());
    let key = errors.inside("key", |errors| {
        Key::compile(settings.key.as_ref(), prefixes, errors)
    });
    Rule {
        prefix: prefix(settings),
        // A plugin with very many rules has more series than the host keeps; those beyond are not counted.
        counters: Decision::ALL.map(|(_, word)| {
            let labels = [("rule", name.as_str()), ("decision", word)];
            Counter::define("decisions", "What rules of rate limits decided", &labels).ok()
        }),
        name,
        rate: settings.rate,
        burst,
        key,
        condition: settings.conditions.compile(Missing::Holds, errors),
    }
}

/// Counts belong to a rule's name, or without one to all that it says: so they outlive a change of anything else, and two filters that say
/// the same count together.
fn prefix(settings: &RuleSettings) -> Vec<u8> {
    let mut prefix = match &settings.name {
        Some(name) => format!("n{name}").into_bytes(),
        None => {
            let text = format!("{settings:?}");
            format!("u{:016x}", bytes_hash(text.as_bytes())).into_bytes()
        }
    };
    prefix.push(0);
    prefix
}

impl Rule {
    pub(crate) fn applies(&self, request: &Facts) -> bool {
        self.condition.holds(request)
    }

    pub(crate) fn guard(&self) -> Guard {
        self.condition.guard()
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = Field> {
        self.condition.fields().chain(self.key.fields())
    }

    /// Counts the request, if it is within the limit.
    pub(crate) fn ask(&self, store: &Store, request: &Facts) -> Result<Admission, StoreError> {
        let mut key = self.prefix.clone();
        self.key.append(request, &mut key);
        let Rate { count, period } = self.rate;
        match self.burst {
            Some(burst) => store.bucket(&key, burst, count, period, 1),
            None => store.window(&key, count, period, 1),
        }
    }

    pub(crate) fn count(&self, decision: Decision) {
        let index = Decision::ALL
            .iter()
            .position(|(known, _)| *known == decision);
        if let Some(Some(counter)) = index.map(|index| self.counters[index]) {
            counter.add(1.0);
        }
    }
}

/// Whole seconds, rounded up.
pub(crate) fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
