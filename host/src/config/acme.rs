//! `acme "directory" { … }` in a listener's `tls`.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use super::address::is_host_name;
use super::decode::Decoder;
use super::syntax::{Node, Scalar};
use super::{
    Acme, AcmeChallenge, Config, Diagnostics, Listener, ListenerProtocol, Secret, Spanned,
};

const STORAGE_DEFAULT: &str = "acme";
/// As the largest authority has it.
const NAMES_MAX: usize = 100;

impl Decoder<'_> {
    pub(super) fn acme(&mut self, node: &Node) -> Option<Acme> {
        let challenges = [
            ("http-01", AcmeChallenge::Http01),
            ("tls-alpn-01", AcmeChallenge::TlsAlpn01),
        ];
        let challenge = node.child_argument("challenge");
        let contact = node.child_argument("contact");
        let contact = contact.and_then(|item| self.parsed(item, parse_contact));
        let directory = node.arguments.first();
        Some(Acme {
            names: self.acme_names(node),
            contact: contact.map(|found| found.value),
            terms_agreed: self.terms_agreed(node),
            storage: self.acme_storage(node)?,
            challenge: self.choice(challenge, &challenges, AcmeChallenge::default()),
            ca: node.child_argument("ca").and_then(|item| self.file(item)),
            external_account: self.external_account(node),
            // Last, so that what is wrong with the others is reported as well.
            directory: self.parsed(directory?, parse_directory)?,
        })
    }

    fn acme_names(&mut self, node: &Node) -> Vec<Spanned<String>> {
        let names = self.distinct_values(node, "name", parse_name);
        if node.child("name").is_none() {
            let message = "`acme` lacks the names of the certificate";
            self.error_help(node.place(), message, "name \"www.example.com\"");
        }
        if let Some(beyond) = names.get(NAMES_MAX) {
            let message = format!("a certificate has at most {NAMES_MAX} names");
            self.error(beyond.place, message);
        }
        names
    }

    fn terms_agreed(&mut self, node: &Node) -> bool {
        let item = node.child_argument("terms-agreed");
        let agreed = self.boolean(item, false);
        let is_false = item.is_none_or(|item| item.value == Scalar::Bool(false));
        if is_false {
            let message = "the authority's terms of service must be agreed to";
            let place = item.map_or(node.place(), |item| item.place);
            self.error_help(
                place,
                message,
                "terms-agreed #true, once you have read them",
            );
        }
        agreed
    }

    fn acme_storage(&mut self, node: &Node) -> Option<Spanned<PathBuf>> {
        match node.child_argument("storage") {
            Some(item) => self.path_beside(item),
            None => Some(self.beside(STORAGE_DEFAULT, node.place())),
        }
    }

    fn external_account(&mut self, node: &Node) -> Option<(String, Secret)> {
        let node = node.child("external-account")?;
        let id = self.first_text(node)?;
        if id.value.is_empty() {
            self.error(id.place, "the key id is empty");
        }
        let Some(item) = node.property("key") else {
            let message =
                "`external-account` needs `key`, which the authority gave you with the id";
            self.error_help(
                node.place(),
                message,
                "external-account \"id\" key=\"${EAB_KEY}\"",
            );
            return None;
        };
        let key = self.parsed(item, parse_hmac_key)?;
        Some((id.value, Secret(key.value)))
    }
}

/// What spans listeners: where challenges are answered, and that no two certificates are stored in one place.
pub(super) fn check(config: &Config, diagnostics: &mut Diagnostics) {
    let all: Vec<&Acme> = config.listeners.iter().filter_map(acme_of).collect();
    let answers = config.listeners.iter().any(answers_http_01);
    for acme in &all {
        if acme.challenge == AcmeChallenge::Http01 && !answers {
            let message =
                "`http-01` is answered on HTTP listeners without `tls`, and there is none";
            let help = "listener \"plain\" \"*:80\" { route { redirect \"https://{host}{path}\" } }, or challenge \"tls-alpn-01\"";
            let place = acme.directory.place;
            diagnostics.error(place, message, Some(help.to_owned()));
        }
    }
    for (index, acme) in all.iter().enumerate() {
        let Some(name) = acme.names.first() else {
            continue;
        };
        let same = |other: &&&Acme| stored_under(other) == stored_under(acme);
        if let Some(first) = all[..index]
            .iter()
            .find(same)
            .and_then(|other| other.names.first())
        {
            let message = format!(
                "two certificates are stored under the name `{}`",
                name.value
            );
            let help = Some("give one of them another `storage`".to_owned());
            let related = (first.place, "the other is ordered here");
            diagnostics.error_with(name.place, message, help, related);
        }
    }
}

fn acme_of(listener: &Listener) -> Option<&Acme> {
    listener.tls.as_ref()?.acme.as_ref()
}

fn answers_http_01(listener: &Listener) -> bool {
    listener.tls.is_none() && matches!(listener.protocol, ListenerProtocol::Http(_))
}

/// Files are named after the first name.
fn stored_under(acme: &Acme) -> Option<(&Path, &str)> {
    let name = acme.names.first()?;
    Some((&acme.storage.value, &name.value))
}

/// Only a machine's own addresses may be asked in the clear: who can change the answers can have the certificates.
fn parse_directory(text: &str) -> Result<String, String> {
    let form = || {
        format!(
            "`{text}` is no directory of an authority; write \"https://acme.example/directory\""
        )
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(form)?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = host_of(authority).ok_or_else(form)?;
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    match scheme {
        _ if !plain => Err(form()),
        "https" => Ok(text.to_owned()),
        "http" if is_loopback(host) => Ok(text.to_owned()),
        "http" => Err(
            "the directory is asked by `https://`; `http://` is for loopback addresses".to_owned(),
        ),
        _ => Err(form()),
    }
}

/// Of `host`, `host:port` and `[::1]:port`.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let good_port = match port.strip_prefix(':') {
        Some(port) => port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    let good_host = match authority.starts_with('[') {
        true => host.parse::<Ipv6Addr>().is_ok(),
        false => is_host_name(host),
    };
    (good_port && good_host).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn parse_name(text: &str) -> Result<String, String> {
    if text.starts_with("*.") {
        return Err(format!(
            "`{text}`: a wildcard needs a challenge by DNS, which this version has not"
        ));
    }
    let is_address = text.parse::<IpAddr>().is_ok();
    match is_host_name(text) && !text.ends_with('.') && !is_address {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("`{text}` is no host name")),
    }
}

/// An address of a person who reads mail about certificates; `mailto:` is added where it lacks.
fn parse_contact(text: &str) -> Result<String, String> {
    let address = text.strip_prefix("mailto:").unwrap_or(text);
    let visible = address
        .bytes()
        .all(|b| b.is_ascii_graphic() && b != b',' && b != b'?');
    let parts = address.split_once('@');
    let good = parts.is_some_and(|(user, host)| !user.is_empty() && is_host_name(host));
    match visible && good {
        true => Ok(format!("mailto:{address}")),
        false => Err(format!(
            "`{text}` is no mail address; write \"admin@example.com\""
        )),
    }
}

/// base64url, as authorities hand it out. The message does not repeat it: it is a secret.
fn parse_hmac_key(text: &str) -> Result<String, String> {
    let digits = text.trim_end_matches('=');
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    match !digits.is_empty() && digits.bytes().all(good) {
        true => Ok(digits.to_owned()),
        false => Err("the key of an external account is written in base64url".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_asked_in_private() {
        for (text, good) in [
            ("https://acme.example/directory", true),
            ("https://acme.example:14000/dir?x=1", true),
            ("https://192.0.2.1/dir", true),
            ("https://[2001:db8::1]:14000/dir", true),
            ("http://127.0.0.1:14000/dir", true),
            ("http://[::1]:14000/dir", true),
            ("http://localhost:14000/dir", true),
            ("http://acme.example/dir", false),
            ("http://192.0.2.1/dir", false),
            ("http://127.0.0.1.example/dir", false),
            ("http://localhost@acme.example/dir", false),
            ("ftp://acme.example/dir", false),
            ("https://", false),
            ("https:///dir", false),
            ("https://user@acme.example/dir", false),
            ("https://acme.example:/dir", false),
            ("https://acme.example:70000/dir", false),
            ("https://acme.example:+1/dir", false),
            ("https://[::1/dir", false),
            ("https://acme.example/a b", false),
            ("https://acme.example/a#b", false),
            ("acme.example/directory", false),
            ("", false),
        ] {
            assert_eq!(parse_directory(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn names_contacts_and_keys_have_one_form() {
        for (parse, text, expected) in [
            (
                parse_name as fn(&str) -> Result<String, String>,
                "WWW.example.com",
                Some("www.example.com"),
            ),
            (parse_name, "localhost", Some("localhost")),
            (parse_name, "*.example.com", None),
            (parse_name, "example.com.", None),
            (parse_name, "192.0.2.1", None),
            (parse_name, "a b", None),
            (parse_name, "", None),
            (parse_contact, "a@example.com", Some("mailto:a@example.com")),
            (
                parse_contact,
                "mailto:a@example.com",
                Some("mailto:a@example.com"),
            ),
            (parse_contact, "example.com", None),
            (parse_contact, "@example.com", None),
            (parse_contact, "a@b,c@d", None),
            (parse_contact, "a b@example.com", None),
            (parse_hmac_key, "aB-_9==", Some("aB-_9")),
            (parse_hmac_key, "a+b/", None),
            (parse_hmac_key, "=", None),
            (parse_hmac_key, "", None),
        ] {
            assert_eq!(parse(text).ok().as_deref(), expected, "{text}");
        }
    }
}
