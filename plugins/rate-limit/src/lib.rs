//! HTTP filter `rate-limit`: a request passes if every rule that is about it has room. The rules are in `rules.rs`, what they count by in
//! `key.rs`, what clients are told in `headers.rs`; the counting itself is the host's.

mod headers;
mod key;
mod rules;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::time::Duration;

use headers::HeaderStyle;
use key::KeySettings;
use rules::{Algorithm, Decision, Rule, seconds};
use tollgate_plugin_sdk::conditions::Conditions;
use tollgate_plugin_sdk::prelude::*;
use tollgate_plugin_sdk::settings::Rate;
use tollgate_plugin_sdk::store::{Admission, Store, StoreError};
use tollgate_plugin_sdk::{clock, settings, warn};

/// How often a store that answers nothing is said in the log, at most, by each instance.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);

/// Settings of the filter.
#[derive(Settings)]
pub struct RateLimitSettings {
    /// Limits; a request has to be within all that are about it, and is counted by those before the first that it is over.
    rule: Vec<RuleSettings>,
    /// The store that counts are kept in; one that the plugin was granted. The first of those when absent.
    store: Option<String>,
    /// What happens to a request that cannot be counted, since the store is full or away.
    #[setting(default = "allow")]
    on_store_error: OnStoreError,
    /// Status of the answer to a request over the limit.
    #[setting(default = 429, range = 400..=599)]
    status: u16,
    /// Text of that answer; empty when absent.
    body: Option<String>,
    /// What clients are told about their limits.
    #[setting(default = "standard")]
    headers: HeaderStyle,
    /// Count and measure, and let everything pass.
    dry_run: bool,
}

/// One limit.
#[derive(Debug, Settings)]
pub struct RuleSettings {
    /// Requests and the time they may take: `100/1m`.
    #[setting(argument)]
    rate: Rate,
    /// How many may come at once, for the token bucket; the requests of the rate when absent.
    #[setting(range = 1..=1000000000)]
    burst: Option<u32>,
    /// How requests are counted.
    #[setting(default = "token-bucket")]
    algorithm: Algorithm,
    /// What to count by; the client address when absent.
    key: Option<KeySettings>,
    /// How many leading bits of an IPv4 address count.
    #[setting(default = 32, range = 0..=32)]
    ipv4_prefix: u8,
    /// How many leading bits of an IPv6 address count.
    #[setting(default = 64, range = 0..=128)]
    ipv6_prefix: u8,
    /// What it is called in headers and metrics; rules of one name in one store count together. Its number when absent.
    name: Option<String>,
    #[setting(flatten)]
    conditions: Conditions,
}

/// What happens when a request cannot be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub enum OnStoreError {
    /// The request passes.
    Allow,
    /// The request is answered with 503.
    Deny,
}

/// The filter.
pub struct RateLimit {
    rules: Vec<Rule>,
    store: Option<Store>,
    on_store_error: OnStoreError,
    status: u16,
    body: Option<String>,
    headers: HeaderStyle,
    dry_run: bool,
    /// Carries what clients are told from the request phase to the response phase.
    tag: String,
    complained: Cell<Option<Duration>>,
}

impl HttpFilter for RateLimit {
    type Settings = RateLimitSettings;

    fn new(settings: RateLimitSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        let rules = rules::compile(&settings.rule, &mut errors);
        if rules.is_empty() {
            errors.add("a rate limit has at least one rule: `rule \"100/1m\"`");
        }
        let name = settings.store.as_deref();
        let place = if name.is_some() { "store" } else { "" };
        let store = match place {
            "" => Store::of_setting(None, &mut errors),
            place => errors.inside(place, |errors| Store::of_setting(name, errors)),
        };
        errors.finish(RateLimit {
            rules,
            store,
            on_store_error: settings.on_store_error,
            status: settings.status,
            body: settings.body,
            headers: match settings.dry_run {
                true => HeaderStyle::None,
                false => settings.headers,
            },
            dry_run: settings.dry_run,
            tag: format!("rate-limit.{:016x}", settings::digest()),
            complained: Cell::new(None),
        })
    }

    fn plan(&self) -> Plan {
        let guards = self.rules.iter().map(Rule::guard);
        let fields = self.rules.iter().flat_map(Rule::fields);
        let plan = Plan::nothing()
            .guard(guards.reduce(Guard::or).unwrap_or_else(Guard::never))
            .on_request(fields);
        match self.headers {
            HeaderStyle::None => plan,
            _ => plan.on_response([Field::Tag(self.tag.clone())]),
        }
    }

    fn request(&self, request: &Request) -> Verdict {
        let mut asked = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.applies(request)) {
            let admission = match self.ask(rule, request) {
                Ok(admission) => admission,
                Err(error) => match self.on_error(rule, &error) {
                    Some(reply) => return reply.into(),
                    None => continue,
                },
            };
            asked.push((rule, admission));
            match (admission.allowed, self.dry_run) {
                (true, _) => rule.count(Decision::Allowed),
                (false, true) => rule.count(Decision::WouldDeny),
                (false, false) => {
                    rule.count(Decision::Denied);
                    return self.denied(admission, &asked).into();
                }
            }
        }
        let lines = headers::lines(self.headers, &asked);
        let mut edits = Edits::new();
        if !lines.is_empty() {
            edits.tag(&self.tag, headers::to_tag(&lines));
        }
        edits.into()
    }

    fn response(&self, response: &Response) -> Verdict {
        let mut edits = Edits::new();
        if let Some(tag) = response.tag(&self.tag) {
            headers::on_response(self.headers, &String::from_utf8_lossy(&tag), &mut edits);
        }
        edits.into()
    }
}

impl RateLimit {
    fn ask(&self, rule: &Rule, request: &Request) -> Result<Admission, StoreError> {
        match &self.store {
            Some(store) => rule.ask(store, request),
            // Cannot be met: without a store the settings are refused.
            None => Err(StoreError::Unavailable("no store".to_owned())),
        }
    }

    fn denied(&self, admission: Admission, asked: &[(&Rule, Admission)]) -> Reply {
        let reply = Reply::new(self.status);
        let reply = match &self.body {
            Some(body) => reply.text(body),
            None => reply,
        };
        let wait = seconds(admission.retry_after).max(1);
        let reply = reply.header("retry-after", wait.to_string());
        headers::on_reply(reply, headers::lines(self.headers, asked))
    }

    fn on_error(&self, rule: &Rule, error: &StoreError) -> Option<Reply> {
        rule.count(Decision::StoreError);
        self.complain(rule, error);
        let denies = self.on_store_error == OnStoreError::Deny && !self.dry_run;
        denies.then(|| Reply::new(503).header("retry-after", "1"))
    }

    fn complain(&self, rule: &Rule, error: &StoreError) {
        let now = clock::monotonic();
        let before = self.complained.get();
        if before.is_none_or(|before| now.saturating_sub(before) >= COMPLAINT_EVERY) {
            self.complained.set(Some(now));
            warn!("rule {}: not counted: {error}", rule.name);
        }
    }
}

http_filter!(RateLimit);
