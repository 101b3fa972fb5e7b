//! The accepted keys of `tls`, in a listener and in a cluster: a part of the table in `keys`.

use super::keys::Children::Keys;
use super::keys::{ANY, Key, key};

pub(super) static LISTENER_TLS: &[Key] = &[
    key(
        "certificate",
        "certificate \"site.pem\" key=\"site.key\"",
        (1, 1),
    )
    .with(&["key", "ocsp"])
    .repeated(),
    key("unknown-name", "unknown-name \"refuse\"", (1, 1)),
    VERSIONS,
    CIPHERS,
    ALPN,
    key(
        "client-certificate",
        "client-certificate \"required\" ca=\"clients.pem\"",
        (1, 1),
    )
    .with(&["ca", "crl"])
    .holding(Keys(CRLS)),
    key(
        "handshake",
        "handshake timeout=\"10s\" concurrent-max=1000",
        (0, 0),
    )
    .with(&["timeout", "concurrent-max"]),
    key("tickets", "tickets #false", (1, 1)),
    key(
        "acme",
        "acme \"https://acme.example/directory\" { … }",
        (1, 1),
    )
    .holding(Keys(ACME)),
];

pub(super) static CLUSTER_TLS: &[Key] = &[
    key(
        "certificate",
        "certificate \"client.pem\" key=\"client.key\"",
        (1, 1),
    )
    .with(&["key"]),
    VERSIONS,
    CIPHERS,
    ALPN,
];

const VERSIONS: Key = key("versions", "versions \"1.2\" \"1.3\"", (1, ANY));
const CIPHERS: Key = key("ciphers", "ciphers \"TLS_AES_256_GCM_SHA384\" …", (1, ANY));
const ALPN: Key = key("alpn", "alpn \"h2\" \"http/1.1\"", (1, ANY));

static CRLS: &[Key] = &[key("crl", "crl \"a.crl\" \"b.crl\"", (1, ANY)).repeated()];

static ACME: &[Key] = &[
    key("name", "name \"www.example.com\" \"example.com\"", (1, ANY)).repeated(),
    key("contact", "contact \"admin@example.com\"", (1, 1)),
    key("terms-agreed", "terms-agreed #true", (1, 1)),
    key("storage", "storage \"acme\"", (1, 1)),
    key("challenge", "challenge \"http-01\"", (1, 1)),
    key("ca", "ca \"authority.pem\"", (1, 1)),
    key(
        "external-account",
        "external-account \"id\" key=\"${EAB_KEY}\"",
        (1, 1),
    )
    .with(&["key"]),
];
