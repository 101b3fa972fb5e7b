//! HTTP filter `security-headers`: response headers that make browsers stricter. All of it is constant edits, so the component is never called
//! for an exchange. The headers are in `name.rs`, what their values may be in `value.rs`.

mod choices;
mod name;
mod value;

use std::time::Duration;

use choices::{ContentTypeOptions, EmbedderPolicy, FrameOptions, OpenerPolicy, ResourcePolicy};
use name::Name;
use tollgate_plugin_sdk::Part;
use tollgate_plugin_sdk::prelude::*;

/// Settings of the filter. What is not on by default is sent when it is set.
#[derive(Settings)]
pub struct SecurityHeadersSettings {
    /// `x-content-type-options`: the type that a response names is the one that counts. On by default.
    content_type_options: Option<ContentTypeOptions>,
    /// `x-frame-options`: who may show the page in a frame. `SAMEORIGIN` by default.
    frame_options: Option<FrameOptions>,
    /// `referrer-policy`: how much of the URL other sites are told. `strict-origin-when-cross-origin` by default.
    referrer_policy: Option<String>,
    /// `strict-transport-security`, in responses over https: the browser comes by https alone from now on. A year by default.
    hsts: Option<HstsSettings>,
    /// `content-security-policy`.
    content_security_policy: Option<String>,
    /// `content-security-policy-report-only`.
    content_security_policy_report_only: Option<String>,
    /// `permissions-policy`.
    permissions_policy: Option<String>,
    /// `cross-origin-opener-policy`.
    cross_origin_opener_policy: Option<OpenerPolicy>,
    /// `cross-origin-embedder-policy`.
    cross_origin_embedder_policy: Option<EmbedderPolicy>,
    /// `cross-origin-resource-policy`.
    cross_origin_resource_policy: Option<ResourcePolicy>,
    /// What is not sent though it is on by default.
    off: Vec<Name>,
    /// Sent only where the response has no such header.
    if_absent: Vec<Name>,
}

/// How long and for which names https is kept to.
#[derive(Settings)]
pub struct HstsSettings {
    /// How long the browser remembers, in whole seconds.
    #[setting(default = "8760h")]
    max_age: Duration,
    /// For every name below the host too.
    include_subdomains: bool,
    /// Browsers may carry the host in the list that they are shipped with.
    preload: bool,
}

/// The filter.
pub struct SecurityHeaders {
    lines: Vec<Line>,
    /// The tag that tells the response phase that the client speaks https.
    tag: String,
}

/// How the client came. The host settles it before any filter: it is the connection's own scheme, or the word of a trusted peer.
const PROTO: &str = "x-forwarded-proto";

/// One header to be sent.
#[derive(Debug)]
struct Line {
    name: Name,
    value: String,
    if_absent: bool,
}

impl HttpFilter for SecurityHeaders {
    type Settings = SecurityHeadersSettings;

    fn new(settings: SecurityHeadersSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        let set = value::all(&settings, &mut errors);
        let is_sent = |name: Name| {
            let is_set = set.iter().any(|(known, _)| *known == name);
            is_set || (name.default_value().is_some() && !settings.off.contains(&name))
        };
        check_names("off", &settings.off, &mut errors, |name| {
            if set.iter().any(|(known, _)| *known == name) {
                Some("it is set here; leave one of the two out")
            } else if name.default_value().is_none() {
                Some("it is not on by default")
            } else {
                None
            }
        });
        check_names("if-absent", &settings.if_absent, &mut errors, |name| {
            (!is_sent(name)).then_some("it is not sent at all; set it")
        });
        let lines = Name::ALL.into_iter().filter(|name| is_sent(*name));
        let lines = lines.map(|name| {
            let value = set.iter().find(|(known, _)| *known == name);
            Line {
                name,
                value: value.map_or_else(
                    || name.default_value().unwrap_or_default().to_owned(),
                    |(_, value)| value.clone(),
                ),
                if_absent: settings.if_absent.contains(&name),
            }
        });
        let filter = SecurityHeaders {
            lines: lines.collect(),
            tag: format!(
                "security-headers.{:016x}",
                tollgate_plugin_sdk::settings::digest()
            ),
        };
        errors.finish(filter)
    }

    fn plan(&self) -> Plan {
        let groups = [
            (Guard::always(), false),
            (header_equals(PROTO, "https"), true),
        ];
        groups
            .into_iter()
            .fold(Plan::nothing(), |plan, (guard, over_https)| {
                let mut lines = self.lines(over_https).peekable();
                match lines.peek() {
                    Some(_) => {
                        plan.edits(lines.fold(ConstantEdits::on_response(guard), Line::add_to))
                    }
                    None => plan,
                }
            })
    }

    // What follows is for a host that calls for everything; by the plan there is no call.

    fn request(&self, request: &Request) -> Verdict {
        let mut edits = Edits::new();
        if request.has_header_line(PROTO, b"https") {
            edits.tag(&self.tag, "https");
        }
        edits.into()
    }

    fn response(&self, response: &Response) -> Verdict {
        let is_https = response.tag(&self.tag).is_some();
        let secure = self.lines(true).filter(|_| is_https);
        let mut edits = Edits::new();
        for line in self.lines(false).chain(secure) {
            match line.if_absent {
                true => edits.set_if_absent(line.name.header(), &line.value),
                false => edits.set(line.name.header(), &line.value),
            };
        }
        edits.into()
    }
}

impl SecurityHeaders {
    /// What is sent in every response, or over https alone.
    fn lines(&self, over_https: bool) -> impl Iterator<Item = &Line> {
        self.lines
            .iter()
            .filter(move |line| (line.name == Name::Hsts) == over_https)
    }
}

impl Line {
    fn add_to(edits: ConstantEdits, line: &Line) -> ConstantEdits {
        let value = vec![Part::Text(line.value.clone().into_bytes())];
        match line.if_absent {
            true => edits.set_if_absent(line.name.header(), value),
            false => edits.set(line.name.header(), value),
        }
    }
}

fn check_names(
    list: &str,
    names: &[Name],
    errors: &mut Errors,
    wrong: impl Fn(Name) -> Option<&'static str>,
) {
    errors.inside(list, |errors| {
        for (index, name) in names.iter().enumerate() {
            let why = match names[..index].contains(name) {
                true => Some("it stands here twice"),
                false => wrong(*name),
            };
            if let Some(why) = why {
                errors.inside(index, |errors| {
                    errors.add(format!("`{}` in `{list}`: {why}", name.header()))
                });
            }
        }
    });
}

http_filter!(SecurityHeaders);

#[cfg(test)]
mod tests;
