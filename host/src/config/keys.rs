//! The table of accepted keys: the one list that the shape check, its hints, and the tests walk.
//!
//! A key that is not here is an error. A key that is here must be decoded into the model; a test walks [`accepted_keys`].

/// What one node may carry.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// How it is written, for hints.
    pub(super) usage: &'static str,
    /// At least and at most so many arguments.
    pub(super) arguments: (usize, usize),
    pub(super) properties: &'static [&'static str],
    pub(super) children: Children,
    pub(super) repeat: Repeat,
}

pub(super) enum Children {
    /// No block.
    None,
    Keys(&'static [Key]),
    /// Plugins by name; `filter` decodes them.
    Filters,
    /// A plugin's own settings, properties included; its schema decides.
    Settings,
}

#[derive(PartialEq)]
pub(super) enum Repeat {
    Once,
    Many,
}

use super::cluster_keys::{CLUSTER, RETRY, RETRY_PROPERTIES};
use super::tls_keys::LISTENER_TLS;
use Children::{Filters, Keys, Settings};
use Repeat::{Many, Once};

pub(super) const ANY: usize = usize::MAX;

pub(super) const fn key(name: &'static str, usage: &'static str, arguments: (usize, usize)) -> Key {
    Key {
        name,
        usage,
        arguments,
        properties: &[],
        children: Children::None,
        repeat: Once,
    }
}

impl Key {
    pub(super) const fn with(mut self, properties: &'static [&'static str]) -> Self {
        self.properties = properties;
        self
    }

    pub(super) const fn holding(mut self, children: Children) -> Self {
        self.children = children;
        self
    }

    pub(super) const fn repeated(mut self) -> Self {
        self.repeat = Many;
        self
    }
}

pub(super) static TOP: &[Key] = &[
    key("process", "process { … }", (0, 0)).holding(Keys(PROCESS)),
    key("admin", "admin \"127.0.0.1:9900\"", (1, ANY)),
    key("plugin", "plugin \"name\" \"file.wasm\" { … }", (1, 2))
        .holding(Keys(PLUGIN))
        .repeated(),
    key("store", "store \"name\" { bytes-max \"64MiB\" }", (1, 1))
        .holding(Keys(STORE))
        .repeated(),
    key(
        "listener",
        "listener \"name\" \"address:port\" … { … }",
        (2, ANY),
    )
    .holding(Keys(LISTENER))
    .repeated(),
    key(
        "cluster",
        "cluster \"name\" { endpoint \"address:port\" }",
        (1, 1),
    )
    .holding(Keys(CLUSTER))
    .repeated(),
    key(
        "demo-origins",
        "demo-origins \"127.0.0.1:9001\" …",
        (0, ANY),
    )
    .holding(Keys(DEMO_ORIGINS))
    .repeated(),
    key("include", "include \"conf.d/*.kdl\"", (1, ANY)).repeated(),
];

static PROCESS: &[Key] = &[
    key("workers", "workers \"auto\"", (1, 1)),
    key("log", "log level=\"info\" format=\"text\"", (0, 0)).with(&["level", "format"]),
    key("drain-timeout", "drain-timeout \"30s\"", (1, 1)),
    key("drain-delay", "drain-delay \"5s\"", (1, 1)),
];

pub(super) static PLUGIN: &[Key] = &[
    key("sha256", "sha256 \"64 hexadecimal digits\"", (1, 1)),
    key("memory-max", "memory-max \"64MiB\"", (1, 1)),
    key("time-max", "time-max \"10ms\"", (1, 1)),
    key("instances-max", "instances-max 256", (1, 1)),
    key("grant", "grant { store \"sessions\" }", (0, 0)).holding(Keys(GRANT)),
];

static GRANT: &[Key] = &[key("store", "store \"sessions\" \"rates\"", (1, ANY)).repeated()];

static STORE: &[Key] = &[
    key("entries-max", "entries-max 250000", (1, 1)),
    key("bytes-max", "bytes-max \"64MiB\"", (1, 1)),
];

static LISTENER: &[Key] = &[
    key("protocol", "protocol \"http\"", (1, 1)),
    key("unix-mode", "unix-mode \"0660\"", (1, 1)),
    key(
        "tls",
        "tls { certificate \"site.pem\" key=\"site.key\" }",
        (0, 0),
    )
    .holding(Keys(LISTENER_TLS)),
    key(
        "proxy-protocol",
        "proxy-protocol from=\"10.0.0.0/8\"",
        (0, ANY),
    )
    .with(&["from", "timeout"])
    .repeated(),
    key("http2", "http2 streams-max=100", (0, 0)).with(&[
        "enabled",
        "only",
        "streams-max",
        "stream-window",
        "connection-window",
    ]),
    key(
        "trust-forwarded",
        "trust-forwarded from=\"10.0.0.0/8\"",
        (0, ANY),
    )
    .with(&["from"])
    .repeated(),
    key("limits", "limits connections-max=10000", (0, 0)).with(&[
        "connections-max",
        "header-bytes-max",
        "headers-max",
        "body-bytes-max",
    ]),
    key(
        "timeouts",
        "timeouts request-head=\"10s\" idle=\"60s\"",
        (0, 0),
    )
    .with(&["request-head", "request-body", "idle", "tunnel", "hello"]),
    key(
        "path-normalization",
        "path-normalization merge-slashes=#true",
        (0, 0),
    )
    .with(&["escaped-slashes", "merge-slashes"]),
    key("header-underscores", "header-underscores \"drop\"", (1, 1)),
    key(
        "network-filters",
        "network-filters { ip-acl { … } }",
        (0, 0),
    )
    .holding(Filters),
    key("filters", "filters { request-id }", (0, 0)).holding(Filters),
    key("route", "route path=\"/api/*\" { cluster \"api\" }", (0, 1))
        .with(&["host", "path", "path-regex", "sni", "alpn"])
        .holding(Keys(ROUTE))
        .repeated(),
];

static ROUTE: &[Key] = &[
    key("host", "host \"example.com\" \"*.example.com\"", (1, ANY)).repeated(),
    key("path", "path \"/a\" \"/b/*\"", (1, ANY)).repeated(),
    key("path-regex", "path-regex \"^/v[0-9]+/\"", (1, ANY)).repeated(),
    key("method", "method \"GET\" \"HEAD\"", (1, ANY)).repeated(),
    key("header", "header \"name\" \"value\"", (1, 2)).repeated(),
    key("sni", "sni \"db.example.com\" \"*.example.com\"", (1, ANY)).repeated(),
    key("alpn", "alpn \"h2\"", (1, ANY)).repeated(),
    key(
        "client-certificate",
        "client-certificate { subject \"CN=app\" }",
        (0, 0),
    )
    .holding(Keys(CLIENT_CERTIFICATE)),
    key("filters", "filters { request-id }", (0, 0)).holding(Filters),
    key("cluster", "cluster \"name\"", (1, 1)),
    key(
        "split",
        "split { cluster \"a\" weight=95; cluster \"b\" weight=5 }",
        (0, 0),
    )
    .holding(Keys(SPLIT)),
    key("redirect", "redirect \"/new/{rest}\" status=308", (1, 1)).with(&["status"]),
    key("respond", "respond 200 body=\"text\"", (1, 1))
        .with(&["body"])
        .holding(Keys(RESPOND)),
    key("timeouts", "timeouts response=\"30s\"", (0, 0)).with(&["response"]),
    key("priority", "priority 10", (1, 1)),
    key("retry", "retry attempts=3 on=\"connect-failure\"", (0, 0))
        .with(RETRY_PROPERTIES)
        .holding(Keys(RETRY)),
    key("mirror", "mirror \"cluster\" share=\"10%\"", (1, 1)).with(&["share", "body-bytes-max"]),
    key("compress", "compress \"br\" \"gzip\"", (0, ANY))
        .with(&["min-size"])
        .holding(Keys(COMPRESS)),
];

static CLIENT_CERTIFICATE: &[Key] = &[
    key("subject", "subject \"CN=app,O=Example\"", (1, ANY)).repeated(),
    key("name", "name \"DNS:app.example.com\"", (1, ANY)).repeated(),
    key(
        "fingerprint",
        "fingerprint \"64 hexadecimal digits\"",
        (1, ANY),
    )
    .repeated(),
];

static COMPRESS: &[Key] =
    &[key("type", "type \"text/*\" \"application/json\"", (1, ANY)).repeated()];

static SPLIT: &[Key] = &[key("cluster", "cluster \"name\" weight=5", (1, 1))
    .with(&["weight"])
    .repeated()];

static RESPOND: &[Key] =
    &[key("header", "header \"content-type\" \"text/plain\"", (2, 2)).repeated()];

static DEMO_ORIGINS: &[Key] = &[
    key("http", "http \"127.0.0.1:9001\" name=\"a\"", (1, 1))
        .with(&["name"])
        .repeated(),
    key("tcp-echo", "tcp-echo \"127.0.0.1:9101\" name=\"b\"", (1, 1))
        .with(&["name"])
        .repeated(),
];

/// The properties of a filter node that belong to the host; all others are the plugin's settings.
pub(super) static FILTER_PROPERTIES: &[&str] = &["on-fault"];

/// What the design has and this version lacks, as (node that would hold it, key). A hint only: none of these is accepted.
static LATER: &[(&str, &str)] = &[
    ("grant", "http-call"),
    ("plugin", "isolation"),
    ("route", "affinity"),
];

/// The path of every accepted key and property, such as `listener/limits/connections-max`; `*` stands for a plugin's name.
pub fn accepted_keys() -> Vec<String> {
    let mut keys = Vec::new();
    collect(TOP, "", &mut keys);
    keys.sort();
    // A route's `host`, for one, is both a property and a child.
    keys.dedup();
    keys
}

pub(super) fn collect(level: &[Key], above: &str, keys: &mut Vec<String>) {
    for key in level {
        let path = format!("{above}{}", key.name);
        keys.push(path.clone());
        keys.extend(key.properties.iter().map(|name| format!("{path}/{name}")));
        match key.children {
            Keys(children) => collect(children, &format!("{path}/"), keys),
            Filters => keys.extend(
                FILTER_PROPERTIES
                    .iter()
                    .map(|name| format!("{path}/*/{name}")),
            ),
            Settings | Children::None => {}
        }
    }
}

/// Whether a route may have this child; one that may not is reported, and may have been meant as the action.
pub(super) fn is_route_key(name: &str) -> bool {
    ROUTE.iter().any(|key| key.name == name)
}

/// Whether the design has this key and this version does not.
pub(super) fn is_later(parent: &str, name: &str) -> bool {
    LATER.contains(&(parent, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_keys_are_paths_without_doubles() {
        let keys = accepted_keys();
        for expected in [
            "process/log/level",
            "listener/limits/connections-max",
            "listener/filters/*/on-fault",
            "listener/route/host",
            "cluster/endpoint/requests-max",
            "include",
        ] {
            assert!(keys.iter().any(|key| key == expected), "{expected}");
        }
        assert_eq!(
            keys.iter()
                .filter(|key| *key == "listener/route/host")
                .count(),
            1
        );
    }

    #[test]
    fn nothing_is_both_accepted_and_for_later() {
        let keys = accepted_keys();
        for (parent, name) in LATER {
            let end = format!("{parent}/{name}");
            let accepted = keys
                .iter()
                .any(|key| *key == end || key.ends_with(&format!("/{end}")));
            assert!(!accepted, "{end}");
        }
    }
}
