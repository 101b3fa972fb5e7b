//! The table of accepted keys of a file of cases, as `config/keys.rs` has that of a configuration.

use crate::config::keys::Children::{Filters, Keys, Settings};
use crate::config::keys::{ANY, Key, PLUGIN, collect, key};

pub(super) static TOP: &[Key] = &[
    key("plugin", "plugin \"name\" \"file.wasm\" { … }", (2, 2))
        .holding(Keys(PLUGIN))
        .repeated(),
    FILTERS,
    NETWORK_FILTERS,
    BALANCER,
    EXCHANGE.repeated(),
    key(
        "sequence",
        "sequence \"name\" { exchange \"first\" { … }; exchange \"second\" { … } }",
        (1, 1),
    )
    .holding(Keys(SEQUENCE))
    .repeated(),
    key(
        "connection",
        "connection \"name\" { from \"192.0.2.1:4711\"; expect { close } }",
        (1, 1),
    )
    .holding(Keys(CONNECTION))
    .repeated(),
    key(
        "picks",
        "picks \"name\" count=100 { endpoint \"10.0.0.1:80\"; expect { … } }",
        (1, 1),
    )
    .with(&["count", "keys", "in-flight"])
    .holding(Keys(PICKS))
    .repeated(),
    key(
        "settings",
        "settings \"name\" { filters { acl { … } }; expect { refused \"/rule/0\" } }",
        (1, 1),
    )
    .holding(Keys(SETTINGS))
    .repeated(),
    key("include", "include \"more/*.kdl\"", (1, ANY)).repeated(),
];

const FILTERS: Key = key("filters", "filters { acl { … } }", (0, 0)).holding(Filters);
const NETWORK_FILTERS: Key = key(
    "network-filters",
    "network-filters { ip-acl { … } }",
    (0, 0),
)
.holding(Filters);
const BALANCER: Key = key("balancer", "balancer \"least-request\"", (1, ANY)).holding(Settings);
const EXCHANGE: Key = key(
    "exchange",
    "exchange \"name\" { request \"GET\" \"/\"; expect { next } }",
    (1, 1),
)
.holding(Keys(EXCHANGE_KEYS));
const REQUEST: Key =
    key("request", "request \"GET\" \"/path?query\" { … }", (2, 2)).holding(Keys(REQUEST_KEYS));

static SEQUENCE: &[Key] = &[FILTERS, EXCHANGE.repeated()];

static EXCHANGE_KEYS: &[Key] = &[
    FILTERS,
    REQUEST,
    key(
        "response",
        "response 200 { header \"server\" \"x\" }",
        (1, 1),
    )
    .holding(Keys(RESPONSE_KEYS)),
    key("expect", "expect { next }", (0, 0)).holding(Keys(EXPECT)),
];

const HEADER: Key = key("header", "header \"name\" \"value\"", (1, 2))
    .with(&["base64"])
    .repeated();
const BODY: Key = key("body", "body \"text\"", (0, 1)).with(&["base64"]);
const FROM: Key = key("from", "from \"192.0.2.1:4711\"", (1, 1));
const TO: Key = key("to", "to \"127.0.0.1:80\"", (1, 1));
const LISTENER: Key = key("listener", "listener \"name\"", (1, 1));
const SCHEME: Key = key("scheme", "scheme \"https\"", (1, 1));
const TAG: Key = key("tag", "tag \"name\" \"value\"", (1, 2))
    .with(&["base64"])
    .repeated();

static REQUEST_KEYS: &[Key] = &[
    key("host", "host \"shop.example\"", (1, 1)),
    HEADER,
    BODY,
    FROM,
    TO,
    LISTENER,
    SCHEME,
    key("protocol", "protocol \"HTTP/2\"", (1, 1)),
    TAG,
];

static RESPONSE_KEYS: &[Key] = &[HEADER, BODY];

const FAULT: Key = key("fault", "fault \"trap\"", (1, 1)).repeated();
const CALLS: Key = key(
    "calls",
    "calls 1, or of one filter: calls \"acl\" 1",
    (1, 2),
)
.repeated();
const NEXT: Key = key("next", "next", (0, 0));
const CLOSE: Key = key("close", "close", (0, 0));
const NO_TAG: Key = key("no-tag", "no-tag \"name\"", (1, ANY)).repeated();

static EXPECT: &[Key] = &[
    NEXT,
    CLOSE,
    key(
        "reply",
        "reply 403 { header \"content-type\" \"text/plain\" }",
        (0, 1),
    )
    .holding(Keys(REPLY)),
    key("upstream", "upstream { header \"x-a\" \"1\" }", (0, 0)).holding(Keys(UPSTREAM)),
    key("downstream", "downstream { status 200 }", (0, 0)).holding(Keys(DOWNSTREAM)),
    CALLS,
    FAULT,
    TAG,
    NO_TAG,
    key("priority", "priority 10", (1, 1)),
];

const LINES: Key = key(
    "header",
    "header \"name\", header \"name\" \"value\" …, or header \"name\" matches=\"^[0-9]+$\"",
    (1, ANY),
)
.with(&["base64", "matches"])
.repeated();
const NO_HEADER: Key = key("no-header", "no-header \"name\" …", (1, ANY)).repeated();
const BODY_CONTAINS: Key = key("body-contains", "body-contains \"text\"", (0, 1))
    .with(&["base64"])
    .repeated();

static REPLY: &[Key] = &[LINES, NO_HEADER, BODY, BODY_CONTAINS];

static UPSTREAM: &[Key] = &[
    key("method", "method \"GET\"", (1, 1)),
    key("target", "target \"/path?query\"", (1, 1)),
    LINES,
    NO_HEADER,
    BODY,
    BODY_CONTAINS,
];

static DOWNSTREAM: &[Key] = &[
    key("status", "status 200", (1, 1)),
    LINES,
    NO_HEADER,
    BODY,
    BODY_CONTAINS,
];

static CONNECTION: &[Key] = &[
    NETWORK_FILTERS,
    FROM,
    TO,
    LISTENER,
    SCHEME,
    TAG,
    key("expect", "expect { close }", (0, 0)).holding(Keys(CONNECTION_EXPECT)),
];

static CONNECTION_EXPECT: &[Key] = &[NEXT, CLOSE, CALLS, FAULT, TAG, NO_TAG];

static PICKS: &[Key] = &[
    BALANCER,
    key(
        "endpoint",
        "endpoint \"10.0.0.1:80\" weight=2 requests=3 latency=\"5ms\" failures=\"10%\"",
        (1, 1),
    )
    .with(&["weight", "requests", "full", "latency", "failures"])
    .repeated(),
    REQUEST,
    key(
        "expect",
        "expect { share \"10.0.0.1:80\" \"50%\" within=\"2%\" }",
        (0, 0),
    )
    .holding(Keys(PICKS_EXPECT)),
];

static PICKS_EXPECT: &[Key] = &[
    key("order", "order \"10.0.0.1:80\" \"10.0.0.2:80\" …", (1, ANY)),
    key(
        "share",
        "share \"10.0.0.1:80\" \"66%\" within=\"2%\"",
        (2, 2),
    )
    .with(&["within"])
    .repeated(),
    key("same", "same", (0, 0)),
    key("none", "none", (0, 0)),
    FAULT,
];

static SETTINGS: &[Key] = &[
    FILTERS,
    NETWORK_FILTERS,
    BALANCER,
    key("expect", "expect { refused \"/rule/0/status\" }", (0, 0)).holding(Keys(SETTINGS_EXPECT)),
];

static SETTINGS_EXPECT: &[Key] = &[
    key("accepted", "accepted", (0, 0)),
    key(
        "refused",
        "refused \"/rule/0/status\" contains=\"599\"",
        (0, 1),
    )
    .with(&["contains"])
    .repeated(),
];

/// The path of every accepted key and property, as [`accepted_keys`](crate::config::accepted_keys) has those of a configuration.
pub fn accepted_case_keys() -> Vec<String> {
    let mut keys = Vec::new();
    collect(TOP, "", &mut keys);
    keys.sort();
    keys.dedup();
    keys
}
