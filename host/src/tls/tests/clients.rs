//! What clients must show, and what is known of those that did.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, SanType};
use rustls::{AlertDescription, ClientConfig, version};

use super::authority::{Authority, Issued, expired, named, numbered};
use super::{Files, anyone, errors, server, settings, shake, showing, worker};
use crate::config::{ClientAuthentication, Demand, ServerTls, Spanned};
use crate::tls::Server;

struct World {
    files: Files,
    own: Issued,
    clients: Authority,
}

impl World {
    fn new() -> World {
        World {
            files: Files::new(),
            own: Authority::new("servers").issue(&named(&["a.test"])),
            clients: Authority::new("clients"),
        }
    }

    fn settings(&self, demand: Demand, crls: Vec<Spanned<PathBuf>>) -> ServerTls {
        let mut settings = settings(vec![self.files.certificate("own", &self.own)]);
        settings.client_certificate = Some(ClientAuthentication {
            demand,
            ca: self.files.write("ca", self.clients.pem()),
            crls,
        });
        settings
    }
}

fn subject(params: &mut CertificateParams, parts: &[(DnType, &str)]) {
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in parts {
        params.distinguished_name.push(kind.clone(), *value);
    }
}

#[tokio::test]
async fn a_certificate_is_demanded_or_not_and_must_be_valid_in_either_case() {
    let world = World::new();
    let good = world.clients.issue(&numbered(&["good.test"], &[7]));
    let revoked = world.clients.issue(&numbered(&["revoked.test"], &[8]));
    let late = world.clients.issue(&expired(&["late.test"]));
    let stranger = Authority::new("strangers").issue(&named(&["stranger.test"]));
    let list = || vec![world.files.write("crl", world.clients.revokes(&[&[8]]))];
    let cases = [
        (
            "nothing",
            None,
            Ok(()),
            Err(AlertDescription::CertificateRequired),
        ),
        ("good", Some(&good), Ok(()), Ok(())),
        (
            "revoked",
            Some(&revoked),
            Err(AlertDescription::CertificateRevoked),
            Err(AlertDescription::CertificateRevoked),
        ),
        (
            "expired",
            Some(&late),
            Err(AlertDescription::CertificateExpired),
            Err(AlertDescription::CertificateExpired),
        ),
        (
            "stranger",
            Some(&stranger),
            Err(AlertDescription::UnknownCA),
            Err(AlertDescription::UnknownCA),
        ),
    ];
    worker(async {
        let optional = server(&world.settings(Demand::Optional, list()));
        let required = server(&world.settings(Demand::Required, list()));
        for (what, shown, if_optional, if_required) in cases {
            for (server, expected) in [(&optional, if_optional), (&required, if_required)] {
                let config = shown.map_or_else(anyone, showing);
                let shaken = shake(server, &Arc::new(config), "a.test").await;
                match expected {
                    Ok(()) => {
                        let client = shaken.facts().client.is_some();
                        assert_eq!(client, shown.is_some(), "{what}");
                    }
                    Err(alert) => {
                        assert_eq!(shaken.alert(), alert, "{what}");
                        assert!(!shaken.refusal().is_empty());
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn with_revocation_lists_a_certificate_of_unknown_status_is_refused() {
    let world = World::new();
    let other = Authority::new("others");
    let lists = vec![world.files.write("crl", other.revokes(&[]))];
    let server = server(&world.settings(Demand::Required, lists));
    let good = world.clients.issue(&named(&["good.test"]));
    let shaken = worker(shake(&server, &Arc::new(showing(&good)), "a.test")).await;
    assert!(
        shaken.refusal().contains("UnknownRevocationStatus"),
        "{}",
        shaken.refusal()
    );
}

fn rich_client(world: &World) -> Issued {
    let mut params = numbered(&["App.Client.test"], &[0x0a, 0xbc]);
    subject(
        &mut params,
        &[
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Example, Inc."),
            (DnType::CommonName, "app"),
        ],
    );
    params.subject_alt_names.extend([
        SanType::URI("spiffe://example/app".try_into().expect("ASCII")),
        SanType::IpAddress(IpAddr::from([192, 0, 2, 1])),
        SanType::Rfc822Name("app@example.test".try_into().expect("ASCII")),
    ]);
    world.clients.issue(&params)
}

fn only(mut config: ClientConfig, issued: &Issued, tls12: bool) -> ClientConfig {
    if tls12 {
        let provider = Arc::new(crate::tls::policy::default_provider());
        config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS12])
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(crate::tls::roots::AcceptsAnyCertificate))
            .with_client_auth_cert(vec![issued.der.clone()], issued.key())
            .expect("a key of its own");
    }
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

#[tokio::test]
async fn facts_are_complete_in_both_versions_and_the_same_when_resumed() {
    let world = World::new();
    let client = rich_client(&world);
    let mut settings = world.settings(Demand::Required, Vec::new());
    settings.alpn = vec!["h2".to_owned(), "http/1.1".to_owned()];
    let server = server(&settings);
    worker(async {
        for (tls12, expected_version) in [(false, "TLSv1.3"), (true, "TLSv1.2")] {
            let config = Arc::new(only(showing(&client), &client, tls12));
            for resumed in [false, true] {
                let shaken = shake(&server, &config, "a.test").await;
                let facts = shaken.facts();
                assert_eq!(facts.version, expected_version);
                assert_eq!(facts.resumed, resumed);
                assert_eq!(facts.alpn.as_deref(), Some("http/1.1"));
                assert!(
                    facts
                        .cipher
                        .starts_with(if tls12 { "TLS_ECDHE_" } else { "TLS13_" })
                );
                let shown = facts.client.as_ref().expect("a certificate");
                assert_eq!(&*shown.subject, r"CN=app,O=Example\, Inc.,C=DE");
                assert_eq!(&*shown.issuer, "CN=clients");
                assert_eq!(&*shown.serial, "0abc");
                let names: Vec<_> = shown.names.iter().map(|name| &**name).collect();
                assert_eq!(
                    names,
                    [
                        "DNS:app.client.test",
                        "URI:spiffe://example/app",
                        "IP:192.0.2.1",
                        "email:app@example.test"
                    ]
                );
                assert_eq!(
                    shown.fingerprint,
                    crate::tls::digest::fingerprint(&client.der)
                );
            }
        }
    })
    .await;
}

#[test]
fn files_for_clients_that_are_wrong_are_named() {
    let world = World::new();
    let mut bad = world.settings(
        Demand::Required,
        vec![
            world.files.name("missing"),
            world.files.write("not-crl", world.clients.pem()),
        ],
    );
    if let Some(asked) = &mut bad.client_certificate {
        asked.ca = world.files.write("empty", "");
    }
    let words = errors(Server::new(&bad, None));
    for (words, (file, what)) in words.iter().zip([
        ("empty", "there is no certificate in"),
        ("missing", "cannot read"),
        ("not-crl", "there is no revocation list in"),
    ]) {
        assert!(words.contains(file) && words.contains(what), "{words}");
    }
    assert_eq!(words.len(), 3);
}
