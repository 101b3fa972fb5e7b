//! Changes of parts of the URL that was asked for: scheme, host, the slash at the end.

use tollgate_plugin_sdk::settings::Errors;
use tollgate_plugin_sdk::{Guard, header_equals, host, not};

use crate::target::one_leading_slash;
use crate::url::Url;
use crate::{Presence, RuleSettings};

/// What changes; at least one of them.
#[derive(Debug)]
pub(crate) struct Change {
    /// The port of https.
    https: Option<u16>,
    host: Option<HostChange>,
    slash: Option<Presence>,
    keep_query: bool,
}

#[derive(Debug)]
enum HostChange {
    Fixed(String),
    Www(Presence),
}

impl Change {
    /// The change that a rule asks for; none when it asks for none.
    pub(crate) fn compile(rule: &RuleSettings, errors: &mut Errors) -> Option<Change> {
        if rule.https_port.is_some() && !rule.https {
            errors.inside("https-port", |errors| {
                errors.add("`https-port` needs `https` beside it")
            });
        }
        if rule.to_host.is_some() && rule.www.is_some() {
            errors.inside("www", |errors| {
                errors.add("`to-host` says the whole host; leave `www` out")
            });
        }
        let fixed = rule.to_host.as_ref().map(|name| {
            errors.inside("to-host", |errors| check_host(name, errors));
            HostChange::Fixed(name.to_ascii_lowercase())
        });
        let change = Change {
            https: rule.https.then(|| rule.https_port.unwrap_or(443)),
            host: fixed.or(rule.www.map(HostChange::Www)),
            slash: rule.trailing_slash,
            keep_query: rule.keep_query.unwrap_or(true),
        };
        let is_some = change.https.is_some() || change.host.is_some() || change.slash.is_some();
        is_some.then_some(change)
    }

    /// The value of `location`; none when nothing would change, or there is no host to lead to.
    pub(crate) fn location(&self, url: &Url) -> Option<String> {
        let path = match self.slash {
            Some(Presence::Add) => with_slash(&url.path),
            Some(Presence::Remove) => without_slash(&url.path),
            None => url.path.clone().into_owned(),
        };
        let host = self.new_host(url).unwrap_or_else(|| url.host.to_string());
        let upgraded = self.https.filter(|_| url.scheme != "https");
        if path == url.path && host == url.host && upgraded.is_none() {
            return None;
        }
        let target = match &url.query {
            Some(query) if self.keep_query => format!("{path}?{query}"),
            _ => path,
        };
        match upgraded {
            None if host == url.host => Some(one_leading_slash(target)),
            _ if host.is_empty() => None,
            None => Some(format!("{}://{}{target}", url.scheme, url.with_port(&host))),
            Some(443) => Some(format!("https://{host}{target}")),
            Some(port) => Some(format!("https://{host}:{port}{target}")),
        }
    }

    fn new_host(&self, url: &Url) -> Option<String> {
        match self.host.as_ref()? {
            HostChange::Fixed(name) => Some(name.clone()),
            HostChange::Www(Presence::Remove) => {
                let bare = url.host.strip_prefix("www.")?;
                (!bare.is_empty()).then(|| bare.to_owned())
            }
            HostChange::Www(Presence::Add) => {
                let is_name = url.host.contains('.') && !is_address(&url.host);
                (is_name && !url.host.starts_with("www.")).then(|| format!("www.{}", url.host))
            }
        }
    }

    /// Where something may change.
    pub(crate) fn guard(&self) -> Guard {
        let mut guard = Guard::never();
        if self.https.is_some() {
            guard = guard.or(not(header_equals("x-forwarded-proto", "https")));
        }
        match &self.host {
            Some(HostChange::Fixed(name)) => guard = guard.or(not(host([name]))),
            Some(HostChange::Www(_)) => guard = guard.or(Guard::unknown()),
            None => {}
        }
        match self.slash {
            Some(_) => guard.or(Guard::unknown()),
            None => guard,
        }
    }
}

/// A last segment with a dot in it is a file's name, which no slash follows.
fn with_slash(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    match last.is_empty() || last.contains('.') {
        true => path.to_owned(),
        false => format!("{path}/"),
    }
}

fn without_slash(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => path.to_owned(),
        without => without.to_owned(),
    }
}

fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok()
}

fn check_host(name: &str, errors: &mut Errors) {
    let is_name = !name.is_empty()
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let address = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_address = address.is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
    if !is_name && !is_address {
        errors.add(format!(
            "`{name}` is not a host; expected a name without scheme, port and path, or an IPv6 address in brackets"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_come_and_go_at_the_end() {
        for (path, with, without) in [
            ("/", "/", "/"),
            ("/a", "/a/", "/a"),
            ("/a/", "/a/", "/a"),
            ("/a//", "/a//", "/a"),
            ("/a/b.css", "/a/b.css", "/a/b.css"),
            ("/a.d/b", "/a.d/b/", "/a.d/b"),
            ("//", "//", "//"),
        ] {
            assert_eq!(
                (with_slash(path).as_str(), without_slash(path).as_str()),
                (with, without),
                "{path}"
            );
        }
    }
}
