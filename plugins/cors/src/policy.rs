//! What browsers are told. The header names are those of the Fetch standard, section 3.3 (CORS protocol).

use tollgate_plugin_sdk::settings::Errors;
use tollgate_plugin_sdk::{Facts, Reply, is_header_name};

use crate::origins::Origins;
use crate::{CorsSettings, REQUEST_HEADERS, REQUEST_METHOD, REQUEST_PRIVATE_NETWORK};

const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const ALLOW_CREDENTIALS: &str = "access-control-allow-credentials";
const ALLOW_METHODS: &str = "access-control-allow-methods";
const ALLOW_HEADERS: &str = "access-control-allow-headers";
const ALLOW_PRIVATE_NETWORK: &str = "access-control-allow-private-network";
const EXPOSE_HEADERS: &str = "access-control-expose-headers";
const MAX_AGE: &str = "access-control-max-age";

/// What the origin server says of this is not sent on: there is one policy.
pub(crate) const REPLACED: [&str; 7] = [
    ALLOW_ORIGIN,
    ALLOW_CREDENTIALS,
    ALLOW_METHODS,
    ALLOW_HEADERS,
    ALLOW_PRIVATE_NETWORK,
    EXPOSE_HEADERS,
    MAX_AGE,
];

/// A longer list of headers to be asked for is not repeated.
const ASKED_BYTES_MAX: usize = 4096;

/// What those may do who may ask.
#[derive(Debug)]
pub(crate) struct Policy {
    methods: Names,
    headers: Names,
    /// Empty: none.
    exposed: String,
    credentials: bool,
    max_age: Option<String>,
    private_network: bool,
    /// What the answers to preflights depend on.
    vary: String,
}

/// Methods or headers.
#[derive(Debug, PartialEq, Eq)]
enum Names {
    /// These, as they are sent; nothing when empty.
    Listed(String),
    /// All. With credentials browsers take a `*` by the letter, so what is asked for is repeated.
    Asked,
}

impl Policy {
    pub(crate) fn compile(
        settings: &CorsSettings,
        origins: &Origins,
        errors: &mut Errors,
    ) -> Policy {
        let credentials = settings.credentials;
        let methods = match settings.method.as_slice() {
            [] => Names::Listed("GET, HEAD, POST".to_owned()),
            methods => names("method", methods, credentials, errors),
        };
        let headers = names("header", &settings.header, credentials, errors);
        let exposed = match names("expose", &settings.expose, credentials, errors) {
            Names::Listed(exposed) => exposed,
            Names::Asked => {
                errors.inside("expose", |errors| {
                    errors.add("`*` exposes nothing when there are `credentials`; name the headers")
                });
                String::new()
            }
        };
        let max_age = settings.max_age.map(|age| {
            if age.subsec_nanos() != 0 {
                errors.inside("max-age", |errors| {
                    errors.add("expected whole seconds; browsers know nothing shorter")
                });
            }
            age.as_secs().to_string()
        });
        let depends = [
            (origins.matter(), "Origin"),
            (methods == Names::Asked, "Access-Control-Request-Method"),
            (headers == Names::Asked, "Access-Control-Request-Headers"),
            (
                settings.private_network,
                "Access-Control-Request-Private-Network",
            ),
        ];
        let vary: Vec<&str> = depends
            .into_iter()
            .filter_map(|(depends, name)| depends.then_some(name))
            .collect();
        Policy {
            methods,
            headers,
            exposed,
            credentials,
            max_age,
            private_network: settings.private_network,
            vary: vary.join(", "),
        }
    }

    /// What a response says to the origin that may read it.
    pub(crate) fn permissions<'a>(&'a self, origin: &'a str) -> Vec<(&'static str, &'a str)> {
        let mut lines = vec![(ALLOW_ORIGIN, origin)];
        if self.credentials {
            lines.push((ALLOW_CREDENTIALS, "true"));
        }
        if !self.exposed.is_empty() {
            lines.push((EXPOSE_HEADERS, &self.exposed));
        }
        lines
    }

    /// The answer to a preflight. Without an allowed origin it permits nothing.
    pub(crate) fn preflight(&self, request: &Facts, allowed: Option<&str>) -> Reply {
        let mut reply = self.varying(Reply::new(204));
        let Some(origin) = allowed else {
            return reply;
        };
        reply = reply.header(ALLOW_ORIGIN, origin);
        if self.credentials {
            reply = reply.header(ALLOW_CREDENTIALS, "true");
        }
        for (name, names, asked) in [
            (ALLOW_METHODS, &self.methods, REQUEST_METHOD),
            (ALLOW_HEADERS, &self.headers, REQUEST_HEADERS),
        ] {
            let value = match names {
                Names::Listed(listed) => listed.clone(),
                Names::Asked => self.asked(request, asked),
            };
            if !value.is_empty() {
                reply = reply.header(name, value);
            }
        }
        if self.private_network && request.has_header_line(REQUEST_PRIVATE_NETWORK, b"true") {
            reply = reply.header(ALLOW_PRIVATE_NETWORK, "true");
        }
        match &self.max_age {
            Some(seconds) => reply.header(MAX_AGE, seconds.as_str()),
            None => reply,
        }
    }

    /// The headers that [`Policy::preflight`] reads.
    pub(crate) fn read(&self) -> impl Iterator<Item = &'static str> {
        let asked = (self.headers == Names::Asked).then_some(REQUEST_HEADERS);
        let network = self.private_network.then_some(REQUEST_PRIVATE_NETWORK);
        [REQUEST_METHOD].into_iter().chain(asked).chain(network)
    }

    /// The answer to an origin that may not ask, where such are denied.
    pub(crate) fn refusal(&self) -> Reply {
        self.varying(Reply::new(403))
            .text("requests of this origin are not allowed\n")
    }

    fn varying(&self, reply: Reply) -> Reply {
        match self.vary.as_str() {
            "" => reply,
            vary => reply.header("vary", vary),
        }
    }

    /// What the preflight asks for, when it is names and nothing else.
    fn asked(&self, request: &Facts, header: &str) -> String {
        let value = request.header(header).unwrap_or_default();
        let asked = String::from_utf8_lossy(&value);
        let names: Vec<&str> = asked.split(',').map(str::trim).collect();
        match value.len() <= ASKED_BYTES_MAX && names.iter().all(|name| is_header_name(name)) {
            true => names.join(", "),
            false => String::new(),
        }
    }
}

fn names(setting: &str, texts: &[String], credentials: bool, errors: &mut Errors) -> Names {
    errors.inside(setting, |errors| {
        for (index, text) in texts.iter().enumerate() {
            if !is_header_name(text) {
                errors.inside(index, |errors| {
                    errors.add(format!("`{text}` is not a name"))
                });
            }
        }
    });
    match credentials && texts.iter().any(|text| text == "*") {
        true => Names::Asked,
        false => Names::Listed(texts.join(", ")),
    }
}
