//! Which origins may ask. An origin is compared as browsers write it: scheme, host and port in lower case, the port left out where it is the
//! scheme's usual one.

use tollgate_plugin_sdk::Facts;
use tollgate_plugin_sdk::settings::Errors;

use crate::ORIGIN;

/// Origins that may ask.
#[derive(Debug)]
pub(crate) enum Origins {
    /// Everybody.
    Any,
    /// These.
    Listed {
        exact: Vec<String>,
        patterns: Vec<Pattern>,
    },
}

/// Any name below a host: `https://*.example.com`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// `https://`
    scheme: String,
    /// `.example.com`
    suffix: String,
    /// `:8443`, or nothing.
    port: String,
}

impl Origins {
    pub(crate) fn compile(texts: &[String], credentials: bool, errors: &mut Errors) -> Origins {
        if texts.is_empty() {
            errors.add("`origin` is missing; without one nobody may ask");
        }
        let (mut exact, mut patterns) = (Vec::new(), Vec::new());
        let mut any = false;
        errors.inside("origin", |errors| {
            for (index, text) in texts.iter().enumerate() {
                let mut add = |why: &str| errors.inside(index, |errors| errors.add(why));
                match text.as_str() {
                    "*" if credentials => add(ANY_WITH_CREDENTIALS),
                    "*" if texts.len() > 1 => add("`*` is everybody; leave the other origins out"),
                    "*" => any = true,
                    "null" if credentials => add(NULL_WITH_CREDENTIALS),
                    "null" => exact.push(text.clone()),
                    text => match parse(text) {
                        Ok(Origin::Exact(origin)) => exact.push(origin),
                        Ok(Origin::Below(pattern)) => patterns.push(pattern),
                        Err(why) => add(&format!("`{text}` is not an origin: {why}")),
                    },
                }
            }
        });
        match any {
            true => Origins::Any,
            false => Origins::Listed { exact, patterns },
        }
    }

    /// The origin that the response names as allowed; `asking` is the request's `origin`.
    pub(crate) fn allowed(&self, request: &Facts, asking: &[u8]) -> Option<String> {
        let Origins::Listed { exact, patterns } = self else {
            return Some("*".to_owned());
        };
        // The last, as by the host's edits, should a client name several.
        let named = exact
            .iter()
            .rev()
            .find(|origin| request.has_header_line(ORIGIN, origin.as_bytes()));
        if let Some(origin) = named {
            return Some(origin.clone());
        }
        let asking = std::str::from_utf8(asking).ok()?;
        let below = patterns.iter().any(|pattern| pattern.matches(asking));
        below.then(|| asking.to_owned())
    }

    /// Whether responses depend on who asks.
    pub(crate) fn matter(&self) -> bool {
        matches!(self, Origins::Listed { .. })
    }
}

const ANY_WITH_CREDENTIALS: &str = "`*` cannot go with `credentials`: every site could act in the name of the user; name the origins";
const NULL_WITH_CREDENTIALS: &str =
    "`null` cannot go with `credentials`: every site can make itself a `null` origin in a frame";

enum Origin {
    Exact(String),
    Below(Pattern),
}

impl Pattern {
    /// What stands for the star is one or more labels, so nothing that ends the host can hide in it.
    fn matches(&self, origin: &str) -> bool {
        let below = origin
            .strip_prefix(self.scheme.as_str())
            .and_then(|rest| rest.strip_suffix(self.port.as_str()))
            .and_then(|host| host.strip_suffix(self.suffix.as_str()));
        below.is_some_and(is_name)
    }
}

fn parse(text: &str) -> Result<Origin, String> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!(
            "browsers write it in lower case: `{}`",
            text.to_ascii_lowercase()
        ));
    }
    let (scheme, authority) = text
        .split_once("://")
        .ok_or("expected `scheme://host`, perhaps with a port")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !is_scheme {
        return Err(format!("`{scheme}` is not a scheme"));
    }
    if authority.contains(['/', '?', '#']) {
        return Err("it ends after host and port, without a slash".to_owned());
    }
    let (host, port) = split_port(authority);
    check_port(scheme, port)?;
    if let Some(suffix) = host.strip_prefix('*') {
        let bare = suffix.strip_prefix('.').filter(|bare| is_name(bare));
        return match bare {
            Some(_) => Ok(Origin::Below(Pattern {
                scheme: format!("{scheme}://"),
                suffix: suffix.to_owned(),
                port: port.to_owned(),
            })),
            None => Err("a star stands for any name below: `https://*.example.com`".to_owned()),
        };
    }
    match is_name(host) || is_address(host) {
        true => Ok(Origin::Exact(text.to_owned())),
        false => Err(format!("`{host}` is not a host")),
    }
}

/// The port with its colon, which is not one within the brackets of an address.
fn split_port(authority: &str) -> (&str, &str) {
    let from = authority.rfind(']').unwrap_or(0);
    match authority[from..].find(':') {
        Some(at) => authority.split_at(from + at),
        None => (authority, ""),
    }
}

fn check_port(scheme: &str, port: &str) -> Result<(), String> {
    let Some(digits) = port.strip_prefix(':') else {
        return Ok(());
    };
    if matches!((scheme, digits), ("https", "443") | ("http", "80")) {
        return Err(format!(
            "browsers leave the usual port out; write it without `{port}`"
        ));
    }
    let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    match plain && digits.parse::<u16>().is_ok() {
        true => Ok(()),
        false => Err(format!("`{digits}` is not a port")),
    }
}

/// Labels with dots between.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
            })
    };
    text.split('.').all(is_label)
}

fn is_address(host: &str) -> bool {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_browsers_write_is_an_origin() {
        for text in [
            "https://a.test",
            "http://localhost:3000",
            "http://127.0.0.1:81",
            "https://[::1]",
            "http://[::1]:81",
            "chrome-extension://abcdef",
            "capacitor://localhost",
            "https://*.a.test",
            "http://*.a.test:81",
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text).err());
        }
        for text in [
            "",
            "a.test",
            "*.a.test",
            "https://",
            "https://a.test/",
            "https://a.test?x",
            "https://A.test",
            "https://a.test:443",
            "http://a.test:80",
            "http://a.test:",
            "http://a.test:0",
            "http://a.test:08",
            "http://a.test:65536",
            "http://a.test:x",
            "https://*",
            "https://*.",
            "https://*a.test",
            "https://a.*.test",
            "https://*.*.test",
            "https://u@a.test",
            "https://a..test",
            "https://[::g]",
            "1a://x",
            "https://ä.test",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_star_stands_for_names_below_and_nothing_else() {
        let Ok(Origin::Below(plain)) = parse("https://*.a.test") else {
            panic!("it is a pattern");
        };
        let Ok(Origin::Below(with_port)) = parse("https://*.a.test:81") else {
            panic!("it is a pattern");
        };
        for (origin, by_plain, by_port) in [
            ("https://x.a.test", true, false),
            ("https://x.y.a.test", true, false),
            ("https://x.a.test:81", false, true),
            ("https://x.a.test:82", false, false),
            ("https://a.test", false, false),
            ("https://.a.test", false, false),
            ("https://xa.test", false, false),
            ("http://x.a.test", false, false),
            ("https://X.a.test", false, false),
            ("https://evil.test/.a.test", false, false),
            ("https://evil.test#.a.test", false, false),
            ("https://evil.test?.a.test", false, false),
            ("https://evil.test:81.a.test", false, false),
            ("https://evil.test@x.a.test", false, false),
            ("https://evil.test, https://x.a.test", false, false),
            ("https://x.a.test.evil.test", false, false),
            ("https://x.a.test.", false, false),
        ] {
            assert_eq!(
                (plain.matches(origin), with_port.matches(origin)),
                (by_plain, by_port),
                "{origin}"
            );
        }
    }
}
