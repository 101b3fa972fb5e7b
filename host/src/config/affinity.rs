//! A cluster's `affinity`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::address::is_host_name;
use super::affinity_key::parse_key;
use super::decode::Decoder;
use super::route_match::{is_token, parse_header_name};
use super::syntax::{Item, Node};
use super::{
    Affinity, CookieAffinity, CookieMode, CookieValue, KeyPart, SameSite, Secret, TableAffinity,
};

const SIZE_RANGE: RangeInclusive<u32> = 1..=10_000_000;
const SIZE_DEFAULT: u32 = 100_000;
const EXPIRY_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(720 * 3600);
const EXPIRY_DEFAULT: Duration = Duration::from_secs(30 * 60);
/// Browsers keep no cookie for longer than 400 days.
const MAX_AGE_RANGE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(9_600 * 3600);
const SECRET_BYTES: RangeInclusive<usize> = 16..=1024;

/// Only a cookie that the proxy sets itself has these.
const ATTRIBUTES: &[&str] = &[
    "path",
    "domain",
    "secure",
    "http-only",
    "same-site",
    "max-age",
];
const COOKIE_ONLY: &[&str] = &["mode", "value", "secret"];
const TABLE_ONLY: &[&str] = &["size", "expiry"];

impl Decoder<'_> {
    pub(super) fn affinity(&mut self, node: &Node) -> Option<Affinity> {
        let (kind, item) = self.one_property(node, &["cookie", "source", "header", "key"])?;
        if kind == "cookie" {
            let why = "means nothing with `cookie`: nothing is remembered here";
            self.refuse_properties(node, TABLE_ONLY, why);
            return self.cookie_affinity(node, item).map(Affinity::Cookie);
        }
        let why = format!("means nothing with `{kind}`: no cookie is set");
        self.refuse_properties(node, COOKIE_ONLY, &why);
        self.refuse_properties(node, ATTRIBUTES, &why);
        let size = self.integer(node.property("size"), SIZE_RANGE, SIZE_DEFAULT);
        let expiry = self.duration(node.property("expiry"), EXPIRY_RANGE, EXPIRY_DEFAULT);
        let key = match kind {
            "source" => self.source_key(item),
            "header" => self
                .parsed(item, parse_header_name)
                .map(|name| vec![KeyPart::Header(name.value)]),
            _ => self.template_key(item),
        };
        Some(Affinity::Table(TableAffinity {
            key: key?,
            size,
            expiry,
        }))
    }

    fn source_key(&mut self, item: &Item) -> Option<Vec<KeyPart>> {
        if !self.boolean(Some(item), true) {
            self.error(item.place, "write `source=#true`, or leave `affinity` out");
        }
        Some(vec![KeyPart::Source])
    }

    fn template_key(&mut self, item: &Item) -> Option<Vec<KeyPart>> {
        let text = self.text(item)?;
        match parse_key(&text.value) {
            Ok(key) => Some(key),
            Err(errors) => {
                for (message, help) in errors {
                    self.diagnostics.error(text.place, message, help);
                }
                None
            }
        }
    }

    fn cookie_affinity(&mut self, node: &Node, name: &Item) -> Option<CookieAffinity> {
        let of = |key| node.property(key);
        let name = self.parsed(name, parse_cookie_name);
        let mode = self.cookie_mode(node);
        let secret = of("secret").and_then(|item| self.parsed(item, parse_secret));
        let path = of("path").and_then(|item| self.parsed(item, parse_path));
        let domain = of("domain").and_then(|item| self.parsed(item, parse_domain));
        let affinity = CookieAffinity {
            mode,
            value: self.cookie_value(node),
            secret: secret.map(|found| Secret(found.value)),
            path: path.map_or_else(|| "/".to_owned(), |found| found.value),
            domain: domain.map(|found| found.value),
            secure: self.boolean(of("secure"), false),
            http_only: self.boolean(of("http-only"), true),
            same_site: self.same_site(of("same-site")),
            max_age: self.max_age(of("max-age")),
            // Last, so that what is wrong with the others is reported as well.
            name: name?.value,
        };
        self.warn_of_refused_cookie(node, &affinity);
        Some(affinity)
    }

    fn cookie_mode(&mut self, node: &Node) -> CookieMode {
        let words = [
            ("insert", CookieMode::Insert),
            ("rewrite", CookieMode::Rewrite),
            ("prefix", CookieMode::Prefix),
        ];
        let mode = self.choice(node.property("mode"), &words, CookieMode::default());
        if mode != CookieMode::Insert {
            let why = "means nothing in this mode: the upstream sets the cookie";
            self.refuse_properties(node, ATTRIBUTES, why);
        }
        mode
    }

    fn cookie_value(&mut self, node: &Node) -> CookieValue {
        let item = node.property("value");
        let words = [("opaque", false), ("signed", true)];
        let signed = self.choice(item, &words, false);
        if let Some(item) = item.filter(|_| signed && node.property("secret").is_none()) {
            let help = "secret=\"${AFFINITY_SECRET}\" takes it from the environment";
            self.error_help(item.place, "a signed value needs a `secret`", help);
        }
        match signed {
            true => CookieValue::Signed,
            false => CookieValue::Opaque,
        }
    }

    fn same_site(&mut self, item: Option<&Item>) -> Option<SameSite> {
        let words = [
            ("strict", SameSite::Strict),
            ("lax", SameSite::Lax),
            ("none", SameSite::None),
        ];
        item.map(|item| self.choice(Some(item), &words, SameSite::Lax))
    }

    fn max_age(&mut self, item: Option<&Item>) -> Option<Duration> {
        let found = self.optional_duration(item, MAX_AGE_RANGE)?;
        if let Some(item) = item.filter(|_| found.subsec_nanos() != 0) {
            self.error(item.place, "a cookie's age is in whole seconds");
        }
        Some(found)
    }

    fn warn_of_refused_cookie(&mut self, node: &Node, affinity: &CookieAffinity) {
        if let Some(item) = node.property("same-site")
            && affinity.same_site == Some(SameSite::None)
            && !affinity.secure
        {
            let message = "browsers refuse a cookie with `same-site=\"none\"` that is not secure";
            let help = Some("add secure=#true".to_owned());
            self.diagnostics.warn(item.place, message, help, None);
        }
    }
}

fn parse_cookie_name(text: &str) -> Result<String, String> {
    match is_token(text) && text.len() <= 128 {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is no name of a cookie")),
    }
}

fn parse_secret(text: &str) -> Result<String, String> {
    match SECRET_BYTES.contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err("a secret has 16 to 1024 bytes".to_owned()),
    }
}

/// RFC 6265 section 4.1.1: no control characters and no `;`. A `,` would end the cookie for some readers.
fn parse_path(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_graphic() && !b";,".contains(&b);
    match text.starts_with('/') && text.bytes().all(good) {
        true => Ok(text.to_owned()),
        false => Err(
            "a cookie's path begins with `/` and has visible ASCII characters without `;` and `,`"
                .to_owned(),
        ),
    }
}

/// A leading dot is allowed and means nothing (RFC 6265 section 4.1.2.3).
fn parse_domain(text: &str) -> Result<String, String> {
    match is_host_name(text.strip_prefix('.').unwrap_or(text)) {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is no domain of a cookie")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_cookie_cannot_break_its_header() {
        let secret = "0123456789abcdef";
        let long = "x".repeat(1025);
        for (parse, good, bad) in [
            (
                parse_cookie_name as fn(&str) -> Result<String, String>,
                &["tollgate", "__Host-a"][..],
                &["", "a b", "a=b", "a;b", "ä"][..],
            ),
            (parse_secret, &[secret], &["", &secret[1..], &long]),
            (
                parse_path,
                &["/", "/a/b"],
                &["", "a", "/a;b", "/a,b", "/a\r\n", "/a b"],
            ),
            (
                parse_domain,
                &["a.example", ".a.example"],
                &["", ".", "a;b", "a,b", "a b", "a\r\nb"],
            ),
        ] {
            for text in good {
                assert!(parse(text).is_ok(), "{text:?}");
            }
            for text in bad {
                assert!(parse(text).is_err(), "{text:?}");
            }
        }
    }
}
