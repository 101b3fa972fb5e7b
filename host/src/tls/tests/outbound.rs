//! Connections to endpoints.

use std::io;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{NamedGroup, ServerConfig, ServerConnection};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server};

use super::authority::{Authority, Issued, expired, named};
use super::{Files, errors, settings, shake, spanned, trusting, worker};
use crate::config::{ClientTls, TlsPolicy, TlsVersion};
use crate::net::stream::Stream;
use crate::tls::{Client, Server, host_of};

fn unverified() -> ClientTls {
    ClientTls {
        verify: false,
        ca: None,
        server_name: None,
        certificate: None,
        alpn: Vec::new(),
        policy: TlsPolicy::default(),
    }
}

fn verifying(files: &Files, authority: &Authority) -> ClientTls {
    ClientTls {
        verify: true,
        ca: Some(files.write("ca", authority.pem())),
        ..unverified()
    }
}

fn endpoint(own: &Issued, clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(crate::tls::policy::default_provider());
    let verifier = match clients {
        Some(clients) => {
            let roots = Arc::new(clients.roots());
            let builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
            builder.build().expect("a verifier")
        }
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.der.clone()], own.key())
        .expect("a key of its own");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

type Both = (
    io::Result<(Stream, Option<Box<[u8]>>)>,
    io::Result<server::TlsStream<TcpStream>>,
);

async fn connect(client: &Client, label: &str, endpoint: ServerConfig) -> Both {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let connects = async {
        let stream = TcpStream::connect(address).await.expect("connects");
        client.connect(Stream::Tcp(stream), label).await
    };
    let accepts = async {
        let (stream, _) = listener.accept().await.expect("accepts");
        TlsAcceptor::from(Arc::new(endpoint)).accept(stream).await
    };
    tokio::join!(connects, accepts)
}

fn new(settings: &ClientTls) -> Client {
    Client::new(settings).expect("good settings")
}

fn words(both: &Both) -> String {
    both.0
        .as_ref()
        .map(|_| ())
        .map_err(ToString::to_string)
        .expect_err("refused")
}

#[tokio::test]
async fn the_endpoint_is_verified_by_the_name_it_is_written_with() {
    let files = Files::new();
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let good = ca.issue(&named(&["app.test", "127.0.0.1", "::1"]));
    let by_other = other.issue(&named(&["app.test"]));
    let late = ca.issue(&expired(&["app.test"]));
    for (own, label, server_name, expected) in [
        (&good, "app.test:443", None, None),
        (&good, "127.0.0.1:443", None, None),
        (&good, "[::1]:443", None, None),
        (&good, "wrong.test:443", None, Some("not valid for name")),
        (&good, "127.0.0.2:443", None, Some("not valid for name")),
        (&good, "wrong.test:443", Some("app.test"), None),
        (
            &good,
            "app.test:443",
            Some("wrong.test"),
            Some("not valid for name"),
        ),
        (&good, "unix:/run/app", Some("app.test"), None),
        (&good, "unix:/run/app", None, Some("needs a `server-name`")),
        (&by_other, "app.test:443", None, Some("UnknownIssuer")),
        (&late, "app.test:443", None, Some("expired")),
    ] {
        let mut settings = verifying(&files, &ca);
        settings.server_name = server_name.map(|name: &str| spanned(name.to_owned()));
        let both = connect(&new(&settings), label, endpoint(own, None)).await;
        match expected {
            None => assert!(both.0.is_ok(), "{label} {server_name:?}: {}", words(&both)),
            Some(expected) => {
                let words = words(&both);
                assert!(words.contains(expected), "{label} {server_name:?}: {words}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_verified_where_that_is_asked_for() {
    let late = Authority::new("ca").issue(&expired(&["app.test"]));
    let both = connect(&new(&unverified()), "wrong.test:443", endpoint(&late, None)).await;
    both.0.expect("connected");
}

#[tokio::test]
async fn name_protocol_certificate_and_post_quantum_key_reach_the_endpoint() {
    let files = Files::new();
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let own = ca.issue(&named(&["app.test"]));
    let shown = clients.issue(&named(&["client.test"]));
    let mut settings = verifying(&files, &ca);
    settings.alpn = vec!["http/1.1".to_owned()];
    settings.certificate = Some(files.certificate("shown", &shown));
    let both = connect(
        &new(&settings),
        "app.test:443",
        endpoint(&own, Some(&clients)),
    )
    .await;
    let (_, protocol) = both.0.expect("connected");
    assert_eq!(protocol.as_deref(), Some(&b"http/1.1"[..]));
    let accepted = both.1.expect("accepted");
    let session: &ServerConnection = accepted.get_ref().1;
    assert_eq!(session.server_name(), Some("app.test"));
    assert_eq!(
        session.peer_certificates().expect("a certificate")[0],
        shown.der
    );
    let group = session.negotiated_key_exchange_group().expect("a group");
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
    settings.certificate = None;
    let both = connect(
        &new(&settings),
        "app.test:443",
        endpoint(&own, Some(&clients)),
    )
    .await;
    assert!(both.1.is_err(), "the endpoint wants a certificate");
}

#[tokio::test]
async fn tickets_do_not_make_an_idle_connection_stale_but_bytes_and_the_end_do() {
    let own = Authority::new("ca").issue(&named(&["app.test"]));
    for end in [false, true] {
        let client = new(&unverified());
        let (connected, accepted) = connect(&client, "app.test:443", endpoint(&own, None)).await;
        let (stream, _) = connected.expect("connected");
        let mut accepted = accepted.expect("accepted");
        stream.readable().await.expect("tickets have come");
        assert!(!stream.is_stale());
        if end {
            accepted.shutdown().await.expect("shuts down");
        } else {
            accepted.write_all(b"!").await.expect("writes");
            accepted.flush().await.expect("flushes");
        }
        loop {
            stream.readable().await.expect("is readable");
            if stream.is_stale() {
                break;
            }
        }
        assert!(stream.is_stale(), "it stays so");
    }
}

#[test]
fn identities_are_equal_for_equal_settings_and_differ_for_others() {
    let files = Files::new();
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let (one, two) = (
        ca.issue(&named(&["one.test"])),
        ca.issue(&named(&["two.test"])),
    );
    let base = || verifying(&files, &ca);
    let with = |change: &dyn Fn(&mut ClientTls)| {
        let mut settings = base();
        change(&mut settings);
        new(&settings).identity()
    };
    let suite = |name: &str| spanned(name.to_owned());
    let all = [
        with(&|_| {}),
        with(&|new| new.verify = false),
        with(&|new| new.ca = Some(files.write("other", other.pem()))),
        with(&|new| new.server_name = Some(spanned("app.test".to_owned()))),
        with(&|new| new.certificate = Some(files.certificate("one", &one))),
        with(&|new| new.certificate = Some(files.certificate("two", &two))),
        with(&|new| new.alpn = vec!["h2".to_owned()]),
        with(&|new| new.alpn = vec!["h2".to_owned(), "http/1.1".to_owned()]),
        with(&|new| new.policy.versions = vec![TlsVersion::Tls13]),
        with(&|new| new.policy.versions = vec![TlsVersion::Tls12]),
        with(&|new| {
            new.policy.versions = vec![TlsVersion::Tls13];
            new.policy.ciphers = vec![suite("TLS_AES_128_GCM_SHA256")];
        }),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(
            !all[..at].contains(one),
            "the identity of case {at} is not its own"
        );
    }
    let copied = with(&|new| new.ca = Some(files.write("copy", ca.pem())));
    assert_eq!(copied, all[0], "what counts is what the file holds");
    let spelled = with(&|new| {
        new.policy.versions = vec![TlsVersion::Tls13];
        new.policy.ciphers = vec![suite("TLS13_AES_128_GCM_SHA256")];
    });
    assert_eq!(spelled, all[10]);
}

#[test]
fn bad_settings_are_explained_all_at_once() {
    let files = Files::new();
    let own = Authority::new("ca").issue(&named(&["app.test"]));
    let mut settings = unverified();
    settings.verify = true;
    settings.ca = Some(files.write("empty", ""));
    settings.server_name = Some(spanned("two words".to_owned()));
    let mut shown = files.certificate("shown", &own);
    shown.key = files.name("missing");
    settings.certificate = Some(shown);
    let words = errors(Client::new(&settings));
    for (words, expected) in words.iter().zip(["two words", "empty", "missing"]) {
        assert!(words.contains(expected), "{words}");
    }
    assert_eq!(words.len(), 3, "{words:?}");
}

#[test]
fn the_system_has_roots_or_that_is_said() {
    let settings = ClientTls {
        verify: true,
        ..unverified()
    };
    match Client::new(&settings) {
        Ok(client) => assert_eq!(client.identity(), new(&settings).identity()),
        Err(errors) => assert!(errors[0].1.contains("name a file with `ca`"), "{errors:?}"),
    }
}

#[test]
fn the_name_of_an_endpoint_is_its_host() {
    for (label, expected) in [
        ("app.internal:8443", Some("app.internal")),
        ("app", Some("app")),
        ("10.0.0.1:443", Some("10.0.0.1")),
        ("10.0.0.1", Some("10.0.0.1")),
        ("[::1]:443", Some("::1")),
        ("::1", Some("::1")),
        ("", None),
        (":443", None),
        ("two words:443", None),
        ("unix:/run/app.sock", None),
        ("unix:@app", None),
    ] {
        let name = host_of(label).map(|name| name.to_str().into_owned());
        assert_eq!(name.ok().as_deref(), expected, "{label:?}");
    }
}

#[tokio::test]
async fn both_sides_of_the_room_meet_with_verification() {
    let files = Files::new();
    let ca = Authority::new("ca");
    let own = ca.issue(&named(&["app.test"]));
    let server = Server::new(&settings(vec![files.certificate("own", &own)]), None);
    let server = server.expect("good settings");
    let config = Arc::new(trusting(ca.roots()));
    let shaken = worker(shake(&server, &config, "app.test")).await;
    assert_eq!(shaken.facts().sni.as_deref(), Some("app.test"));
    let refused = worker(shake(&server, &config, "wrong.test")).await;
    assert!(
        refused.refusal().contains("received fatal alert"),
        "{}",
        refused.refusal()
    );
}
