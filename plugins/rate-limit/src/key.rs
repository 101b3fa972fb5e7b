//! What a limit counts by: facts of the request, made into a key of the store.

use std::net::IpAddr;

use tollgate_plugin_sdk::cidr::network_of;
use tollgate_plugin_sdk::hashing::bytes_hash;
use tollgate_plugin_sdk::settings::Errors;
use tollgate_plugin_sdk::{Facts, Field, Settings, is_header_name};

/// Most parts of one key: with the longest of each, still short enough for the store.
const PARTS_MAX: usize = 7;
/// A longer value stands in the key as its beginning and a hash, so that nobody fills the store with few requests.
const VALUE_BYTES_MAX: usize = 128;
/// The part of a longer value that is kept.
const VALUE_BYTES_KEPT: usize = 96;

/// The key as it is set: `key "source"`, `key "host" "path"`, `key header="x-api-key"`, `key "source" { cookie "session" }`.
#[derive(Clone, Debug, Settings)]
pub(crate) struct KeySettings {
    /// Facts of the request.
    #[setting(argument)]
    fact: Vec<Fact>,
    /// Request headers, by name in any case.
    header: Vec<String>,
    /// Cookies, by name.
    cookie: Vec<String>,
    /// Tags that earlier filters have set.
    tag: Vec<String>,
}

/// A fact that can be part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub(crate) enum Fact {
    /// The address of the client, as far as the prefix goes.
    Source,
    /// The host asked for, without port.
    Host,
    /// The normalised path, without the query.
    Path,
    /// The request method.
    Method,
    /// The name of the listener.
    Listener,
}

/// How many leading bits of an address count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefixes {
    pub(crate) ipv4: u8,
    pub(crate) ipv6: u8,
}

/// The key, ready to be read from requests.
#[derive(Debug)]
pub(crate) struct Key {
    parts: Vec<Part>,
    prefixes: Prefixes,
}

#[derive(Debug)]
enum Part {
    Fact(Fact),
    Header(String),
    Cookie(String),
    Tag(String),
}

impl Key {
    /// Without settings: the client address.
    pub(crate) fn compile(
        settings: Option<&KeySettings>,
        prefixes: Prefixes,
        errors: &mut Errors,
    ) -> Key {
        let Some(settings) = settings else {
            let parts = vec![Part::Fact(Fact::Source)];
            return Key { parts, prefixes };
        };
        let mut parts: Vec<Part> = settings.fact.iter().map(|fact| Part::Fact(*fact)).collect();
        let mut named = |kind: &str, names: &[String], part: fn(String) -> Part| {
            for (index, name) in names.iter().enumerate() {
                if is_header_name(name) {
                    parts.push(part(name.clone()));
                    continue;
                }
                errors.inside(kind, |errors| {
                    errors.inside(index, |errors| {
                        errors.add(format!("`{name}` is not a name"))
                    });
                });
            }
        };
        named("header", &settings.header, |name| {
            Part::Header(name.to_ascii_lowercase())
        });
        named("cookie", &settings.cookie, Part::Cookie);
        named("tag", &settings.tag, Part::Tag);
        match parts.len() {
            0 => errors.add("name something to count by: `\"source\"`, `\"host\"`, `\"path\"`, a header, a cookie, a tag"),
            1..=PARTS_MAX => {}
            many => errors.add(format!("{many} parts of a key; at most {PARTS_MAX}")),
        }
        Key { parts, prefixes }
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = Field> {
        self.parts.iter().map(|part| match part {
            Part::Fact(Fact::Source) => Field::ClientAddress,
            Part::Fact(Fact::Host) => Field::Host,
            Part::Fact(Fact::Path) => Field::Path,
            Part::Fact(Fact::Method) => Field::Method,
            Part::Fact(Fact::Listener) => Field::Listener,
            Part::Header(name) => Field::Header(name.clone()),
            Part::Cookie(_) => Field::Header("cookie".to_owned()),
            Part::Tag(name) => Field::Tag(name.clone()),
        })
    }

    /// Appends the key of this request. What is missing is a value of its own: all requests without an API key share one count.
    pub(crate) fn append(&self, request: &Facts, key: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Fact(Fact::Source) => self.append_source(request, key),
                Part::Fact(Fact::Host) => append(Some(request.host().as_bytes()), key),
                Part::Fact(Fact::Path) => append(Some(request.path().as_bytes()), key),
                Part::Fact(Fact::Method) => append(Some(request.method().as_bytes()), key),
                Part::Fact(Fact::Listener) => append(Some(request.listener().as_bytes()), key),
                Part::Header(name) => append(request.header(name).as_deref(), key),
                Part::Tag(name) => append(request.tag(name).as_deref(), key),
                Part::Cookie(name) => {
                    let cookies = request.header("cookie").unwrap_or_default();
                    append(cookie(&cookies, name), key);
                }
            }
        }
    }

    fn append_source(&self, request: &Facts, key: &mut Vec<u8>) {
        match request.client_address() {
            None => append(None, key),
            Some(address) => match network_of(address, self.prefixes.ipv4, self.prefixes.ipv6) {
                IpAddr::V4(network) => append(Some(&network.octets()), key),
                IpAddr::V6(network) => append(Some(&network.octets()), key),
            },
        }
    }
}

/// With its length before it, so that `a` beside `bc` is not `ab` beside `c`.
fn append(value: Option<&[u8]>, key: &mut Vec<u8>) {
    match value {
        None => key.push(0xff),
        Some(value) if value.len() <= VALUE_BYTES_MAX => {
            key.push(value.len() as u8);
            key.extend_from_slice(value);
        }
        Some(value) => {
            key.push(0xfe);
            key.extend_from_slice(&value[..VALUE_BYTES_KEPT]);
            key.extend_from_slice(&bytes_hash(value).to_le_bytes());
        }
    }
}

/// The first cookie of this name (RFC 6265 section 5.4; names are told apart by case).
fn cookie<'c>(cookies: &'c [u8], name: &str) -> Option<&'c [u8]> {
    let mut pairs = cookies.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    pairs.find_map(|pair| {
        let value = pair.strip_prefix(name.as_bytes())?.trim_ascii_start();
        value.strip_prefix(b"=").map(<[u8]>::trim_ascii_start)
    })
}
