//! HTTP filter `redirect`: the first rule that fits a request and leads elsewhere answers it. Rules are in `rule.rs`, the templates of their
//! targets in `target.rs`, changes of parts of the URL in `change.rs`, and the URL that was asked for in `url.rs`.

mod change;
mod rule;
mod target;
mod url;

use rule::Rules;
use tollgate_plugin_sdk::conditions::Conditions;
use tollgate_plugin_sdk::prelude::*;
use url::Url;

/// Settings of the filter.
#[derive(Settings)]
pub struct RedirectSettings {
    /// Rules; the first that fits a request and leads elsewhere answers it. Without one the request passes.
    rule: Vec<RuleSettings>,
}

/// One rule: a target, or what changes of the URL that was asked for.
#[derive(Settings)]
pub struct RuleSettings {
    /// Where to, with placeholders.
    #[setting(argument)]
    target: Option<String>,
    /// Status of the answer: 301, 302, 303, 307 or 308.
    #[setting(default = 302)]
    status: u16,
    /// To `https`, where the request came by `http`.
    https: bool,
    /// The port of `https`; 443 when absent.
    #[setting(range = 1..=65535)]
    https_port: Option<u16>,
    /// To this host.
    to_host: Option<String>,
    /// `www.` before the host: add or remove it.
    www: Option<Presence>,
    /// The slash at the end of the path: add or remove it.
    trailing_slash: Option<Presence>,
    /// Whether the query goes along; when absent, with changes it does and with a target it does not.
    keep_query: Option<bool>,
    #[setting(flatten)]
    conditions: Conditions,
}

/// Whether something should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub enum Presence {
    /// It is put there.
    Add,
    /// It is taken away.
    Remove,
}

/// The filter.
pub struct Redirect {
    rules: Rules,
}

impl HttpFilter for Redirect {
    type Settings = RedirectSettings;

    fn new(settings: RedirectSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        let rules = Rules::compile(&settings.rule, &mut errors);
        errors.finish(Redirect { rules })
    }

    fn plan(&self) -> Plan {
        match self.rules.guard() {
            None => Plan::nothing(),
            Some(guard) => Plan::nothing()
                .on_request(Url::fields().into_iter().chain(self.rules.fields()))
                .guard(guard),
        }
    }

    fn request(&self, request: &Request) -> Verdict {
        match self.rules.first(request) {
            Some((status, location)) => Reply::new(status).header("location", location).into(),
            None => Verdict::next(),
        }
    }
}

http_filter!(Redirect);

#[cfg(test)]
mod tests;
