//! What a cluster's settings say about a downstream.

use std::borrow::Cow;

use super::binary::{ALPN, AUTHORITY, SSL, UNIQUE_ID};
use super::common_name::common_name;
use super::write::{Header, write, write_value};
use crate::config::{ProxyProtocolOut, ProxyValue};
use crate::http::{ClientCertificate, ConnectionFacts, TlsFacts};
use crate::net::address::LOCAL_PEER;

/// Values within that of TLS: version, common name of the client, cipher.
const SSL_VERSION: u8 = 0x21;
const SSL_COMMON_NAME: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;

/// A longer common name is not sent, so that the rest is: X.520 bounds one to 64 characters, of at most four bytes.
const COMMON_NAME_BYTES_MAX: usize = 256;

/// What the first byte of the value of TLS says: that there is TLS, and where the client's certificate was shown.
const CLIENT_SSL: u8 = 1;
const CLIENT_CERTIFICATE_NOW: u8 = 2;
const CLIENT_CERTIFICATE_IN_SESSION: u8 = 4;

/// The first and the last type for custom use.
const CUSTOM: std::ops::RangeInclusive<u8> = 0xe0..=0xef;

/// Appends the header that an upstream connection for this downstream begins with.
///
/// The addresses are those of [`ConnectionFacts`], so what a trusted PROXY header said goes on. A downstream on a Unix socket has none: saying
/// 127.0.0.1 instead would make it a neighbour of the endpoint. Then nothing else is said either, see [`Header`]. Values that the downstream does
/// not have are not sent.
pub fn write_for(settings: &ProxyProtocolOut, facts: &ConnectionFacts, out: &mut Vec<u8>) {
    let mut values = Vec::new();
    for value in &settings.values {
        add(*value, facts, &mut values);
    }
    let values: Vec<(u8, &[u8])> = values
        .iter()
        .map(|(kind, value)| (*kind, &**value))
        .collect();
    let addressed = facts.peer != LOCAL_PEER;
    let header = Header {
        version: settings.version,
        source: addressed.then_some(facts.peer),
        destination: addressed.then_some(facts.local),
        values: &values,
        checksum: settings.checksum,
    };
    write(&header, out);
}

/// Appends the header of a connection that is relayed for nobody, as checks make them: `LOCAL` of version 2, `UNKNOWN` of version 1.
pub fn write_local(settings: &ProxyProtocolOut, out: &mut Vec<u8>) {
    let header = Header {
        version: settings.version,
        source: None,
        destination: None,
        values: &[],
        checksum: settings.checksum,
    };
    write(&header, out);
}

fn add<'f>(value: ProxyValue, facts: &'f ConnectionFacts, out: &mut Vec<(u8, Cow<'f, [u8]>)>) {
    let tls = facts.tls.as_deref();
    let text = |text: &'f Option<Box<str>>| text.as_deref().map(|text| Cow::from(text.as_bytes()));
    let (kind, found) = match value {
        ProxyValue::Authority => {
            let own = tls.and_then(|tls| text(&tls.sni));
            (AUTHORITY, own.or_else(|| received(facts, AUTHORITY)))
        }
        ProxyValue::Alpn => {
            let own = tls.and_then(|tls| text(&tls.alpn));
            (ALPN, own.or_else(|| received(facts, ALPN)))
        }
        ProxyValue::Ssl => {
            let own = tls.map(|tls| ssl(tls).into());
            (SSL, own.or_else(|| received(facts, SSL)))
        }
        // It is there to find one connection again in the logs of all that relay it, so the first number stays.
        ProxyValue::UniqueId => {
            let own = || Cow::from(facts.id.to_string().into_bytes());
            (
                UNIQUE_ID,
                Some(received(facts, UNIQUE_ID).unwrap_or_else(own)),
            )
        }
        ProxyValue::Custom => {
            let custom = all_received(facts).filter(|(kind, _)| CUSTOM.contains(kind));
            return out.extend(custom.map(|(kind, value)| (*kind, Cow::from(&**value))));
        }
    };
    out.extend(found.map(|found| (kind, found)));
}

fn all_received(facts: &ConnectionFacts) -> impl Iterator<Item = &(u8, Box<[u8]>)> {
    facts.proxy.iter().flat_map(|proxy| &proxy.values)
}

/// The first of a type.
fn received(facts: &ConnectionFacts, kind: u8) -> Option<Cow<'_, [u8]>> {
    let found = all_received(facts).find(|(found, _)| *found == kind);
    found.map(|(_, value)| Cow::from(&**value))
}

/// `struct pp2_tlv_ssl`: what the client did, whether its certificate was bad (zero: it was shown and is good), and values in the value.
fn ssl(tls: &TlsFacts) -> Vec<u8> {
    let (shown, verify) = match &tls.client {
        // A resumed session knows the certificate from the connection that began it.
        Some(_) if tls.resumed => (CLIENT_CERTIFICATE_IN_SESSION, 0_u32),
        Some(_) => (CLIENT_CERTIFICATE_NOW | CLIENT_CERTIFICATE_IN_SESSION, 0),
        None => (0, 1),
    };
    let mut value = vec![CLIENT_SSL | shown];
    value.extend_from_slice(&verify.to_be_bytes());
    write_value(SSL_VERSION, tls.version.as_bytes(), &mut value);
    if let Some(name) = tls.client.as_ref().and_then(name_of) {
        write_value(SSL_COMMON_NAME, name.as_bytes(), &mut value);
    }
    write_value(SSL_CIPHER, openssl_name(tls.cipher).as_bytes(), &mut value);
    value
}

fn name_of(client: &ClientCertificate) -> Option<String> {
    let name = common_name(&client.subject);
    name.filter(|name| name.len() <= COMMON_NAME_BYTES_MAX)
}

/// The name that OpenSSL has for a suite, which is what other senders send: for TLS 1.3 that of IANA, for TLS 1.2 its own.
fn openssl_name(cipher: &str) -> Cow<'_, str> {
    if let Some(name) = cipher.strip_prefix("TLS13_") {
        return Cow::from(format!("TLS_{name}"));
    }
    let known = TLS12_NAMES.iter().find(|(iana, _)| *iana == cipher);
    Cow::from(known.map_or(cipher, |(_, openssl)| openssl))
}

/// All suites of TLS 1.2 that rustls has.
const TLS12_NAMES: [(&str, &str); 6] = [
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ),
];
