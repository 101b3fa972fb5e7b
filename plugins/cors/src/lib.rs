//! HTTP filter `cors`: cross-origin requests by the CORS protocol of the Fetch standard. Who may ask is in `origins.rs`, what is answered in
//! `policy.rs`, and what the host does without a call in `plan.rs`.

mod origins;
mod plan;
mod policy;

use std::time::Duration;

use origins::Origins;
use policy::Policy;
use tollgate_plugin_sdk::prelude::*;

const ORIGIN: &str = "origin";
const REQUEST_METHOD: &str = "access-control-request-method";
const REQUEST_HEADERS: &str = "access-control-request-headers";
const REQUEST_PRIVATE_NETWORK: &str = "access-control-request-private-network";
/// The host's word for who was asked, with the port: its own, or that of a trusted peer.
const AUTHORITY: &str = "x-forwarded-host";

/// Settings of the filter.
#[derive(Settings)]
pub struct CorsSettings {
    /// Origins that may ask: `https://app.example.com`, `https://*.example.com`, `null`, or `*` for all.
    origin: Vec<String>,
    /// Methods that may be used; `GET`, `HEAD` and `POST` when absent, `*` for all.
    method: Vec<String>,
    /// Headers that may be sent beyond those that browsers allow anyway; `*` for all.
    header: Vec<String>,
    /// Headers of responses that scripts may read; `*` for all.
    expose: Vec<String>,
    /// Whether requests may carry cookies and the like.
    credentials: bool,
    /// How long a browser may remember the answer to a preflight, in whole seconds; not said when absent.
    max_age: Option<Duration>,
    /// Whether public sites may ask, though this is a private network.
    private_network: bool,
    /// What happens to requests of other origins; they pass, without any permission, when absent.
    disallowed: Option<Disallowed>,
}

/// What happens to requests of origins that may not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub enum Disallowed {
    /// They pass; the browser keeps the response from the script.
    Pass,
    /// They are answered 403.
    Deny,
}

/// The filter.
pub struct Cors {
    origins: Origins,
    policy: Policy,
    denies: bool,
    /// The tag that tells the response phase which origin may read.
    tag: String,
}

impl HttpFilter for Cors {
    type Settings = CorsSettings;

    fn new(settings: CorsSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        let origins = Origins::compile(&settings.origin, settings.credentials, &mut errors);
        let denies = settings.disallowed == Some(Disallowed::Deny);
        if denies && matches!(origins, Origins::Any) {
            errors.inside("disallowed", |errors| {
                errors.add("`*` allows every origin; there is none to deny")
            });
        }
        let cors = Cors {
            policy: Policy::compile(&settings, &origins, &mut errors),
            origins,
            denies,
            tag: format!("cors.{:016x}", tollgate_plugin_sdk::settings::digest()),
        };
        errors.finish(cors)
    }

    fn plan(&self) -> Plan {
        plan::plan(self)
    }

    fn request(&self, request: &Request) -> Verdict {
        let Some(asking) = request.header(ORIGIN) else {
            return Verdict::next();
        };
        let allowed = self.origins.allowed(request, &asking);
        let refused = self.denies && allowed.is_none() && !is_own(request, &asking);
        if refused {
            self.policy.refusal().into()
        } else if is_preflight(request) {
            self.policy.preflight(request, allowed.as_deref()).into()
        } else {
            let mut edits = Edits::new();
            if let Some(origin) = allowed {
                edits.tag(&self.tag, origin);
            }
            edits.into()
        }
    }

    fn response(&self, response: &Response) -> Verdict {
        let mut edits = Edits::new();
        for name in policy::REPLACED {
            edits.remove(name);
        }
        if self.origins.matter() {
            edits.append("vary", "Origin");
        }
        let allowed = match &self.origins {
            Origins::Any => Some("*".to_owned()),
            Origins::Listed { .. } => response
                .tag(&self.tag)
                .map(|origin| String::from_utf8_lossy(&origin).into_owned()),
        };
        if let Some(origin) = allowed {
            for (name, value) in self.policy.permissions(&origin) {
                edits.set(name, value);
            }
        }
        edits.into()
    }
}

fn is_preflight(request: &Request) -> bool {
    request.method() == "OPTIONS" && request.header(REQUEST_METHOD).is_some()
}

/// Browsers name the origin of many requests to the site itself, too. Told by host and port: the scheme is not always known behind other
/// proxies.
fn is_own(request: &Request, origin: &[u8]) -> bool {
    let origin = String::from_utf8_lossy(origin);
    let Some((_, asking)) = origin.split_once("://") else {
        return false;
    };
    match request.header(AUTHORITY) {
        Some(authority) => authority.eq_ignore_ascii_case(asking.as_bytes()),
        None => asking == request.host(),
    }
}

http_filter!(Cors);

#[cfg(test)]
mod tests;
