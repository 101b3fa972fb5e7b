//! Certificates that come after the start: installed ones, and those for validation.

use std::sync::Arc;

use rcgen::CustomExtension;
use rustls::AlertDescription;

use super::authority::{Authority, Issued, named};
use super::{Files, anyone, server, settings, shake, spanned, worker};
use crate::config::{Acme, AcmeChallenge, ServerTls};
use crate::tls::{AcceptError, Server};

fn ordering(files: &Files, names: &[&str]) -> ServerTls {
    let mut settings = settings(Vec::new());
    settings.acme = Some(Acme {
        directory: spanned("https://ca.test/directory".to_owned()),
        names: names
            .iter()
            .map(|name| spanned((*name).to_owned()))
            .collect(),
        contact: None,
        terms_agreed: true,
        storage: files.name("storage"),
        challenge: AcmeChallenge::TlsAlpn01,
        ca: None,
        external_account: None,
    });
    settings
}

fn install(server: &Server, issued: &Issued) {
    let installed = server.install(issued.chain_pem().as_bytes(), issued.key_pem().as_bytes());
    installed.expect("installed");
}

async fn gets(server: &Server, name: &str, issued: &Issued) -> bool {
    let shaken = shake(server, &Arc::new(anyone()), name).await;
    shaken.client().peer_certificates().expect("a certificate")[0] == issued.der
}

#[tokio::test]
async fn an_installed_certificate_is_shown_replaced_and_kept_over_a_reload() {
    let ca = Authority::new("ca");
    let files = Files::new();
    let settings = ordering(&files, &["a.test"]);
    let server = server(&settings);
    let (old, new) = (ca.issue(&named(&["a.test"])), ca.issue(&named(&["a.test"])));
    worker(async {
        let none = shake(&server, &Arc::new(anyone()), "a.test").await;
        assert_eq!(none.alert(), AlertDescription::UnrecognisedName);
        install(&server, &old);
        assert!(gets(&server, "a.test", &old).await);
        assert!(
            gets(&server, "other.test", &old).await,
            "it is the first there is"
        );
        install(&server, &new);
        assert!(gets(&server, "a.test", &new).await);
        let reloaded = Server::new(&settings, Some(&server)).expect("good settings");
        assert!(gets(&reloaded, "a.test", &new).await);
        let others = ordering(&files, &["b.test"]);
        let others = Server::new(&others, Some(&server)).expect("good settings");
        let none = shake(&others, &Arc::new(anyone()), "a.test").await;
        assert_eq!(none.alert(), AlertDescription::UnrecognisedName);
    })
    .await;
}

#[tokio::test]
async fn a_certificate_for_more_names_takes_the_place_of_one_for_fewer() {
    let ca = Authority::new("ca");
    let files = Files::new();
    let server = server(&ordering(&files, &["a.test", "b.test"]));
    let fewer = ca.issue(&named(&["a.test"]));
    let more = ca.issue(&named(&["a.test", "b.test"]));
    install(&server, &fewer);
    install(&server, &more);
    worker(async {
        assert!(gets(&server, "a.test", &more).await);
        assert!(gets(&server, "b.test", &more).await);
    })
    .await;
}

#[tokio::test]
async fn what_is_installed_during_a_reload_is_shown_after_it() {
    let ca = Authority::new("ca");
    let files = Files::new();
    let settings = ordering(&files, &["a.test"]);
    let server = server(&settings);
    let (old, new) = (ca.issue(&named(&["a.test"])), ca.issue(&named(&["a.test"])));
    install(&server, &old);
    let reloaded = Server::new(&settings, Some(&server)).expect("good settings");
    install(&server, &new);
    reloaded.catch_up(&server);
    worker(async {
        assert!(gets(&reloaded, "a.test", &new).await);
    })
    .await;
}

#[tokio::test]
async fn an_installed_certificate_goes_before_a_written_one_for_its_names_alone() {
    let ca = Authority::new("ca");
    let files = Files::new();
    let written = ca.issue(&named(&["a.test", "b.test"]));
    let installed = ca.issue(&named(&["a.test"]));
    let mut settings = ordering(&files, &["a.test"]);
    settings.certificates = vec![files.certificate("written", &written)];
    let server = server(&settings);
    install(&server, &installed);
    worker(async {
        assert!(gets(&server, "a.test", &installed).await);
        assert!(gets(&server, "b.test", &written).await);
        assert!(gets(&server, "other.test", &written).await);
    })
    .await;
}

#[test]
fn what_cannot_be_installed_is_explained() {
    let ca = Authority::new("ca");
    let files = Files::new();
    let server = server(&ordering(&files, &["a.test"]));
    let (one, other) = (ca.issue(&named(&["a.test"])), ca.issue(&named(&["b.test"])));
    let nameless = ca.issue(&named(&["192.0.2.1"]));
    for (chain, key, expected) in [
        (one.chain_pem(), other.key_pem(), "does not belong"),
        (
            String::new(),
            one.key_pem(),
            "there is no certificate in the chain",
        ),
        (
            one.chain_pem(),
            String::new(),
            "there is no private key in the key",
        ),
        (nameless.chain_pem(), nameless.key_pem(), "for no DNS name"),
    ] {
        let error = server.install(chain.as_bytes(), key.as_bytes());
        let error = error.expect_err("refused");
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_validation_gets_its_certificate_and_nothing_else_does() {
    let ca = Authority::new("ca");
    let files = Files::new();
    let mut settings = ordering(&files, &["a.test"]);
    settings.alpn = vec!["http/1.1".to_owned()];
    let server = server(&settings);
    let own = ca.issue(&named(&["a.test"]));
    let mut params = named(&["a.test"]);
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&[7; 32])];
    let proof = ca.issue(&params);
    install(&server, &own);
    let set = server
        .challenges()
        .set("A.test", proof.der.to_vec(), proof.key_der.clone());
    set.expect("set");
    assert!(
        server
            .challenges()
            .set("a.test", vec![1], proof.key_der.clone())
            .is_err()
    );
    let mut config = anyone();
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let validator = Arc::new(config);
    worker(async {
        for server in [
            &server,
            &Server::new(&settings, Some(&server)).expect("good settings"),
        ] {
            let (ours, theirs) = tokio::net::UnixStream::pair().expect("a pair of sockets");
            let timer = crate::net::timer::Timer::new();
            let accept = server.accept(crate::net::stream::Stream::Unix(ours), &timer);
            let name = "a.test".try_into().expect("a name");
            let connector = tokio_rustls::TlsConnector::from(validator.clone());
            let (accepted, client) = tokio::join!(accept, connector.connect(name, theirs));
            assert!(matches!(accepted, Err(AcceptError::AcmeChallenge)));
            let client = client.expect("connected");
            let chain = client
                .get_ref()
                .1
                .peer_certificates()
                .expect("a certificate");
            assert_eq!(chain[0], proof.der);
            assert!(gets(server, "a.test", &own).await);
        }
        let other = shake(&server, &validator, "b.test").await;
        assert_eq!(other.alert(), AlertDescription::NoApplicationProtocol);
        server.challenges().clear("a.Test");
        let cleared = shake(&server, &validator, "a.test").await;
        assert_eq!(cleared.alert(), AlertDescription::NoApplicationProtocol);
    })
    .await;
}
