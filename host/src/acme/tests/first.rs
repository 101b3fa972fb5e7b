//! The first certificate of a site.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection};

use super::authority::{Authority, Refusal, by_handshake, by_http};
use super::fixture::{DAY, Recorder, SOON, Site, certificate};
use crate::acme::{http_challenge, maintain, stored};
use crate::config::{AcmeChallenge, Secret};

#[tokio::test]
async fn names_are_proved_over_http() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(answer_token));
    let authority = Authority::start(by_http(port));
    let site = Site::new(authority.directory(), &["www.example.com", "example.com"]);

    let pair = got(&site).await;

    let certificate = certificate(&pair);
    assert!(certificate.covers("www.example.com") && certificate.covers("example.com"));
    assert!(!certificate.covers("example.org"));
    assert_eq!(certificate.lifetime(), 90 * DAY);
    assert!(certificate.not_after > SystemTime::now() + 89 * DAY);
    assert_eq!(authority.issued(), [["www.example.com", "example.com"]]);
    assert_eq!(stored(&site.settings), Some(pair));
}

/// As a listener does: the token, or 404.
fn answer_token(stream: TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request");
    let path = line.split(' ').nth(1).unwrap_or_default();
    let token = path
        .strip_prefix("/.well-known/acme-challenge/")
        .unwrap_or_default();
    let answer = match http_challenge(token) {
        Some(body) => format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
        None => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
    };
    // The rest of the request has to be read, or its bytes turn the close into a reset.
    while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {}
    reader
        .get_mut()
        .write_all(answer.as_bytes())
        .expect("written");
}

#[tokio::test]
async fn names_are_proved_in_the_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let authority = Authority::start(by_handshake(port));
    let mut site = Site::new(authority.directory(), &["www.example.com", "example.com"]);
    site.settings.challenge = AcmeChallenge::TlsAlpn01;
    let recorder = site.recorder.clone();
    std::thread::spawn(move || {
        let handshakes = listener.incoming().flatten();
        handshakes.for_each(|stream| shake_hands(stream, &recorder));
    });

    let pair = got(&site).await;

    assert!(certificate(&pair).covers("example.com"));
    let every = site.recorder.every.lock().expect("not poisoned").clone();
    assert_eq!(every, ["www.example.com", "example.com"]);
    assert!(site.recorder.shows_nothing());
}

/// Shows the challenge of the name that is asked for.
fn shake_hands(mut stream: TcpStream, recorder: &Recorder) {
    let mut acceptor = rustls::server::Acceptor::default();
    let accepted = loop {
        acceptor.read_tls(&mut stream).expect("a hello");
        if let Some(accepted) = acceptor.accept().ok().flatten() {
            break accepted;
        }
    };
    let name = accepted
        .client_hello()
        .server_name()
        .expect("a name")
        .to_owned();
    let (certificate, key) = recorder.shown(&name).expect("it is shown");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
    let key = provider.key_provider.load_private_key(key).expect("a key");
    // Not `from_der`: that refuses certificates with a critical extension that it does not know, as this one has to have.
    let shown = CertifiedKey::new(vec![CertificateDer::from(certificate)], key);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let connection: Result<ServerConnection, _> = accepted.into_connection(Arc::new(config));
    let mut connection = connection.expect("acme-tls/1 is offered");
    while connection.is_handshaking() || connection.wants_write() {
        connection.complete_io(&mut stream).expect("a handshake");
    }
}

/// The first pair that is installed, with real time, sockets and chance.
async fn got(site: &Site) -> (Vec<u8>, Vec<u8>) {
    tokio::select! {
        () = maintain(site.settings.clone(), site.recorder.clone()) => unreachable!("it never ends"),
        pair = site.recorder.installed(1) => pair,
        () = tokio::time::sleep(SOON) => panic!("no certificate"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_account_is_made_once_and_bound_to_the_directory() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    site.run(&authority, clock).first(&site).await;
    assert_eq!(authority.contacts(), [["mailto:admin@example.com"]]);

    let mut other_names = site.restarted();
    other_names.settings.names[0].value = "b.example".to_owned();
    other_names.run(&authority, clock).first(&other_names).await;
    assert_eq!(authority.contacts().len(), 1, "the account is shared");

    let (elsewhere, another, clock) = Site::in_memory(&["a.example"]);
    let mut moved = site.restarted();
    moved.settings.directory.value = elsewhere
        .settings
        .directory
        .value
        .replace("directory", "directory?2");
    moved.run(&another, clock).nth(&moved, 2).await;
    assert_eq!(another.contacts().len(), 1);
    let accounts = site
        .files()
        .into_iter()
        .filter(|name| name.starts_with("account-"));
    assert_eq!(accounts.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_changed_contact_is_told_and_told_once() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    site.run(&authority, clock).first(&site).await;
    let mut changed = site.restarted();
    changed.settings.contact = Some("mailto:other@example.com".to_owned());
    changed.settings.names[0].value = "b.example".to_owned();
    changed.run(&authority, clock).first(&changed).await;
    assert_eq!(authority.contacts(), [["mailto:other@example.com"]]);

    let mut same = changed.restarted();
    same.settings.names[0].value = "c.example".to_owned();
    same.run(&authority, clock).first(&same).await;
    assert_eq!(authority.count("POST /account/"), 1);

    let mut none = same.restarted();
    none.settings.names[0].value = "d.example".to_owned();
    none.settings.contact = None;
    none.run(&authority, clock).first(&none).await;
    assert_eq!(authority.contacts(), [[""; 0]]);
}

#[tokio::test(start_paused = true)]
async fn an_external_account_is_bound_where_the_authority_demands_it() {
    let cases = [
        (None, "externalAccountRequired"),
        (Some(("kid-2", "c2VjcmV0")), "not that account"),
        (Some(("kid-1", "b3RoZXI")), "not that account"),
        (Some(("kid-1", "c2VjcmV0!")), "not base64url"),
    ];
    for (external, reason) in cases {
        let (mut site, authority, clock) = Site::in_memory(&["a.example"]);
        authority.demand_external_account("kid-1", b"secret");
        site.settings.external_account = external.map(bound);
        let running = site.run(&authority, clock);
        tokio::time::sleep(SOON).await;
        assert_eq!(site.recorder.count(), 0, "{reason}");
        assert!(authority.contacts().is_empty(), "{reason}");
        running.stop().await;
    }
    for key in ["c2VjcmV0", "c2VjcmV0=="] {
        let (mut site, authority, clock) = Site::in_memory(&["a.example"]);
        authority.demand_external_account("kid-1", b"secret");
        site.settings.external_account = Some(bound(("kid-1", key)));
        site.run(&authority, clock).first(&site).await;
    }
}

fn bound((id, key): (&str, &str)) -> (String, Secret) {
    (id.to_owned(), Secret(key.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_refused_nonce_costs_one_more_request_and_no_more() {
    for path in [
        "/new-account",
        "/new-order",
        "/challenge/",
        "/finalize/",
        "/certificate/",
    ] {
        let (site, authority, clock) = Site::in_memory(&["a.example"]);
        authority.refuse_once(path, Refusal::problem(400, "badNonce", "too old"));
        site.run(&authority, clock).first(&site).await;
        assert_eq!(authority.count(&format!("POST {path}")), 2, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_pace_that_the_authority_asks_for_is_kept() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    authority.set_pace(10);
    let began = tokio::time::Instant::now();
    site.run(&authority, clock).first(&site).await;
    // Before the first look at each of two stages nothing has been asked; there are two looks to each.
    let elapsed = began.elapsed() - SOON;
    assert_eq!(elapsed.as_millis(), 250 + 10_000 + 250 + 10_000);
}

#[tokio::test(start_paused = true)]
async fn secrets_are_for_us_alone_and_no_draft_is_left() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    site.run(&authority, clock).first(&site).await;
    let mode =
        |path: &std::path::Path| path.metadata().expect("a file").permissions().mode() & 0o777;
    let (accounts, others): (Vec<_>, Vec<_>) = site
        .files()
        .into_iter()
        .partition(|name| name.starts_with("account-"));
    assert_eq!(
        others,
        [
            "a.example.json",
            "a.example.key",
            "a.example.lock",
            "a.example.pem"
        ]
    );
    assert_eq!(accounts.len(), 1);
    assert_eq!(mode(&site.path(&accounts[0])), 0o600);
    assert_eq!(mode(&site.path("a.example.key")), 0o600);
    assert_eq!(mode(&site.settings.storage.value), 0o700);
}

#[tokio::test(start_paused = true)]
async fn an_account_file_that_cannot_be_used_is_replaced() {
    for garbage in [
        "",
        "{}",
        r#"{"credentials": {"directory": "not this one"}}"#,
    ] {
        let (site, authority, clock) = Site::in_memory(&["a.example"]);
        site.run(&authority, clock).first(&site).await;
        let mut files = site.files().into_iter();
        let account = files
            .find(|name| name.starts_with("account-"))
            .expect("an account");
        std::fs::write(site.path(&account), garbage).expect("written");
        let mut more = site.restarted();
        more.settings.names[0].value = "b.example".to_owned();
        more.run(&authority, clock).first(&more).await;
        assert_eq!(authority.contacts().len(), 2, "{garbage}");
    }
}
