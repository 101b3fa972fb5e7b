//! Versions, ciphers and key exchange.

use std::sync::Arc;

use rustls::{AlertDescription, NamedGroup, ProtocolVersion};

use super::authority::{Authority, named};
use super::{Files, anyone, errors, server, settings, shake, spanned, worker};
use crate::config::{ServerTls, TlsPolicy, TlsVersion};
use crate::tls::{Server, cipher_names, is_cipher};

fn restricted(files: &Files, versions: &[TlsVersion], ciphers: &[&str]) -> ServerTls {
    let pair = files.certificate("own", &Authority::new("ca").issue(&named(&["a.test"])));
    let mut settings = settings(vec![pair]);
    settings.policy = TlsPolicy {
        versions: versions.to_vec(),
        ciphers: ciphers
            .iter()
            .map(|name| spanned((*name).to_owned()))
            .collect(),
    };
    settings
}

use TlsVersion::{Tls12, Tls13};

#[tokio::test]
async fn versions_and_ciphers_restrict_and_their_order_counts() {
    let files = Files::new();
    let aes_12 = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    for (versions, ciphers, version, cipher) in [
        (
            &[][..],
            &[][..],
            ProtocolVersion::TLSv1_3,
            "TLS13_AES_256_GCM_SHA384",
        ),
        (&[Tls12], &[], ProtocolVersion::TLSv1_2, aes_12),
        (
            &[Tls13],
            &["TLS_AES_128_GCM_SHA256"],
            ProtocolVersion::TLSv1_3,
            "TLS13_AES_128_GCM_SHA256",
        ),
        (
            &[Tls13],
            &["TLS13_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384"],
            ProtocolVersion::TLSv1_3,
            "TLS13_CHACHA20_POLY1305_SHA256",
        ),
        (
            &[],
            &["TLS_AES_128_GCM_SHA256", aes_12, aes_12],
            ProtocolVersion::TLSv1_3,
            "TLS13_AES_128_GCM_SHA256",
        ),
    ] {
        let server = server(&restricted(&files, versions, ciphers));
        let shaken = worker(shake(&server, &Arc::new(anyone()), "a.test")).await;
        assert_eq!(shaken.client().protocol_version(), Some(version));
        assert_eq!(shaken.facts().cipher, cipher);
    }
}

#[tokio::test]
async fn a_client_that_speaks_no_allowed_version_or_protocol_is_told() {
    let files = Files::new();
    let mut settings = restricted(&files, &[Tls13], &[]);
    settings.alpn = vec!["h2".to_owned()];
    let server = server(&settings);
    let provider = Arc::new(crate::tls::policy::default_provider());
    let old = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let mut other = anyone();
    other.alpn_protocols = vec![b"imap".to_vec()];
    worker(async {
        let refused = shake(&server, &Arc::new(old), "a.test").await;
        assert_eq!(refused.alert(), AlertDescription::ProtocolVersion);
        let refused = shake(&server, &Arc::new(other), "a.test").await;
        assert_eq!(refused.alert(), AlertDescription::NoApplicationProtocol);
        // Who offers nothing may go on, as the standard has it.
        assert_eq!(
            shake(&server, &Arc::new(anyone()), "a.test")
                .await
                .facts()
                .alpn,
            None
        );
    })
    .await;
}

#[test]
fn a_choice_that_leaves_nothing_is_explained() {
    let files = Files::new();
    for (versions, ciphers, expected) in [
        (
            &[][..],
            &["TLS_AES_128_GCM_SHA256"][..],
            "`ciphers` has none for TLS 1.2",
        ),
        (
            &[],
            &["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
            "`ciphers` has none for TLS 1.3",
        ),
        (
            &[Tls12],
            &["TLS_AES_128_GCM_SHA256"],
            "is a cipher of TLS 1.3, which",
        ),
        (
            &[],
            &["RC4"],
            "is not a supported cipher; there are TLS_AES_256_GCM_SHA384, ",
        ),
    ] {
        let words = errors(Server::new(&restricted(&files, versions, ciphers), None));
        assert!(words.len() == 1 && words[0].contains(expected), "{words:?}");
    }
}

#[test]
fn cipher_names_are_those_of_iana_and_both_spellings_are_known() {
    let names: Vec<_> = cipher_names().collect();
    assert_eq!(names.len(), 9);
    assert!(
        names
            .iter()
            .all(|name| is_cipher(name) && !name.starts_with("TLS13"))
    );
    for (name, expected) in [
        ("TLS13_AES_256_GCM_SHA384", true),
        ("TLS_AES_256_GCM_SHA384", true),
        ("TLS13_ECDHE_RSA_WITH_AES_128_GCM_SHA256", false),
        ("tls_aes_256_gcm_sha384", false),
        ("", false),
    ] {
        assert_eq!(is_cipher(name), expected, "{name}");
    }
}

#[tokio::test]
async fn key_exchange_is_post_quantum_without_a_retry() {
    let files = Files::new();
    let server = server(&restricted(&files, &[], &[]));
    let shaken = worker(shake(&server, &Arc::new(anyone()), "a.test")).await;
    let group = shaken
        .client()
        .negotiated_key_exchange_group()
        .expect("a group");
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
    assert_eq!(
        shaken.client().handshake_kind(),
        Some(rustls::HandshakeKind::Full)
    );
}
