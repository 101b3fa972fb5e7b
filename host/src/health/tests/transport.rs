//! Probes that travel as a cluster's requests do: over TLS, behind a PROXY header, as HTTP/2.

use std::sync::Arc;

use rcgen::CertificateParams;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::{Check, Prober, Transport};
use super::grpc::{Answer, GRPC, OK, SERVING, serve};
use super::tls::Server;
use super::{
    answer_with, http_probe, listen, local, probe_and, settings, target, travelling, words,
};
use crate::config::{
    ClientTls, HealthCheck, HttpProbe, Place, Probe, ProxyProtocolOut, ProxyValue, ProxyVersion,
    Spanned, TlsPolicy, TlsProbe,
};
use crate::tls::Client;

pub(super) const ANSWER: &[u8] = b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n";

const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// TLS that trusts `ca` alone.
pub(super) fn tls(ca: &Server, server_name: Option<&str>, alpn: &[&str]) -> Transport {
    let spanned = |value: &str| Spanned {
        value: value.to_owned(),
        place: Place::default(),
    };
    let settings = ClientTls {
        verify: true,
        ca: Some(Spanned {
            value: ca.ca.clone(),
            place: Place::default(),
        }),
        server_name: server_name.map(spanned),
        certificate: None,
        alpn: alpn.iter().map(|&name| name.to_owned()).collect(),
        policy: TlsPolicy::default(),
    };
    let client = Client::new(&settings).expect("the settings of a test are sound");
    Transport {
        tls: Some(Arc::new(client)),
        ..Transport::default()
    }
}

pub(super) fn proxy_protocol(version: ProxyVersion) -> Transport {
    let settings = ProxyProtocolOut {
        version,
        values: vec![ProxyValue::UniqueId],
        checksum: false,
    };
    Transport {
        proxy_protocol: Some(settings),
        ..Transport::default()
    }
}

fn http2() -> Transport {
    Transport {
        http2: true,
        ..Transport::default()
    }
}

pub(super) fn http() -> Probe {
    Probe::Http(http_probe())
}

fn grpc() -> Probe {
    let service = String::new();
    Probe::Grpc { service }
}

fn server(protocols: &[&str]) -> Server {
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    Server::speaking(params, protocols)
}

/// Takes `expected` off the front of what a check sends.
async fn take(stream: &mut TcpStream, expected: &[u8]) {
    let mut found = vec![0; expected.len()];
    stream.read_exact(&mut found).await.expect("it is sent");
    assert_eq!(found, expected);
}

#[tokio::test]
async fn http_over_tls_is_asked_as_in_the_clear_and_ends_cleanly() {
    let server = Server::new("localhost");
    let prober = travelling(http(), tls(&server, None, &[]));
    let (result, (head, end)) = probe_and(&prober, |stream| async {
        let mut stream = server.acceptor.accept(stream).await.expect("a handshake");
        let head = answer_with(&mut stream, ANSWER).await;
        // A connection that is cut, without `close_notify`, is an error here.
        (head, stream.read_to_end(&mut Vec::new()).await)
    })
    .await;
    assert_eq!(words(result), "passed: status 200");
    assert!(head.starts_with("GET /healthz HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: localhost:"), "{head}");
    assert_eq!(end.ok(), Some(0));
}

#[tokio::test]
async fn an_answer_that_never_ends_is_left_cleanly() {
    let server = Server::new("localhost");
    let prober = travelling(http(), tls(&server, None, &[]));
    let (result, end) = probe_and(&prober, |stream| async {
        let mut stream = server.acceptor.accept(stream).await?;
        let begun = b"HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\nok";
        stream.write_all(begun).await?;
        stream.read_to_end(&mut Vec::new()).await
    })
    .await;
    assert_eq!(words(result), "passed: status 200");
    assert!(end.is_ok(), "{end:?}");
}

#[tokio::test]
async fn the_clusters_certificates_hold_for_its_checks() {
    let ours = Server::new("localhost");
    let other = Server::new("localhost");
    let named = Server::new("app.test");
    let cases = [
        (&ours, &ours, None, "passed: "),
        (&named, &named, Some("app.test"), "passed: "),
        (&named, &named, None, "certificate is not for localhost"),
        (&ours, &other, None, "certificate is not signed "),
    ];
    for (server, trusted, name, expected) in cases {
        for probe in [Probe::Tcp, http()] {
            let prober = travelling(probe, tls(trusted, name, &[]));
            let (result, ()) = probe_and(&prober, |stream| async {
                if let Ok(mut stream) = server.acceptor.accept(stream).await {
                    // A TCP probe is content with the handshake.
                    let _ = stream.write_all(ANSWER).await;
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
            })
            .await;
            let found = words(result);
            assert!(found.starts_with(expected), "{found}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_without_tls_fails_the_checks_of_a_cluster_with_it() {
    let trusted = Server::new("localhost");
    for probe in [Probe::Tcp, http(), grpc()] {
        let prober = travelling(probe, tls(&trusted, None, &[]));
        let (result, ()) = probe_and(&prober, |mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 400 x\r\n\r\n").await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let found = words(result);
        assert!(found.starts_with("TLS handshake failed: "), "{found}");
    }
}

#[tokio::test]
async fn version_2_of_the_proxy_protocol_says_local() {
    for probe in [Probe::Tcp, http()] {
        let asks = matches!(probe, Probe::Http(_));
        let prober = travelling(probe, proxy_protocol(ProxyVersion::V2));
        let (result, ()) = probe_and(&prober, |mut stream| async move {
            take(&mut stream, LOCAL).await;
            if asks {
                let head = answer_with(stream, ANSWER).await;
                assert!(head.starts_with("GET /healthz "), "{head}");
            } else {
                let end = stream.read_to_end(&mut Vec::new()).await;
                assert_eq!(end.ok(), Some(0), "nothing follows");
            }
        })
        .await;
        assert!(result.is_ok(), "{result:?}");
    }
}

#[tokio::test]
async fn version_1_of_the_proxy_protocol_names_the_connection_itself() {
    let prober = travelling(http(), proxy_protocol(ProxyVersion::V1));
    let (result, ()) = probe_and(&prober, |mut stream| async move {
        let peer = stream.peer_addr().expect("connected");
        let own = stream.local_addr().expect("connected");
        let (from, to) = (peer.port(), own.port());
        let line = format!("PROXY TCP4 {} {} {from} {to}\r\n", peer.ip(), own.ip());
        take(&mut stream, line.as_bytes()).await;
        answer_with(stream, ANSWER).await;
    })
    .await;
    assert_eq!(words(result), "passed: status 200");
}

#[tokio::test]
async fn the_proxy_header_goes_before_tls_of_either_kind() {
    let server = Server::new("localhost");
    let own = TlsProbe {
        server_name: None,
        ca: Some(server.ca.clone()),
        verify: true,
    };
    let cases = [
        (http(), "passed: status 200"),
        // Which has TLS once, by its own settings.
        (Probe::Tls(own), "passed: TLS 1.3"),
    ];
    for (probe, expected) in cases {
        let prober = travelling(
            probe,
            Transport {
                proxy_protocol: proxy_protocol(ProxyVersion::V2).proxy_protocol,
                ..tls(&server, None, &[])
            },
        );
        let (result, ()) = probe_and(&prober, |mut stream| async {
            take(&mut stream, LOCAL).await;
            let mut stream = server.acceptor.accept(stream).await.expect("a handshake");
            let _ = stream.write_all(ANSWER).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        assert_eq!(words(result), expected);
    }
}

#[tokio::test]
async fn http2_is_asked_what_http1_would_be() {
    let rich = HttpProbe {
        path: "/ready?deep=1".to_owned(),
        method: "POST".to_owned(),
        host: Some("shop.test".to_owned()),
        headers: vec![("x-probe".to_owned(), "1".to_owned())],
        ..http_probe()
    };
    let star = HttpProbe {
        path: "*".to_owned(),
        method: "OPTIONS".to_owned(),
        ..http_probe()
    };
    let cases = [
        (
            http_probe(),
            "GET http://localhost:PORT/healthz ",
            "tollgate-health-check",
        ),
        (
            rich,
            "POST http://shop.test/ready?deep=1 ",
            r#""x-probe": "1""#,
        ),
        (
            star,
            "OPTIONS http://localhost:PORT* ",
            "tollgate-health-check",
        ),
    ];
    for (probe, line, field) in cases {
        let (listener, target) = listen().await;
        let prober = travelling(Probe::Http(probe), http2());
        let endpoint = async {
            let (stream, _) = listener.accept().await.expect("the check connects");
            serve(stream, Answer(200, &[], b"", &[])).await
        };
        let checked = async { tokio::join!(prober.probe(&target), endpoint) };
        let (result, (clean, call)) = local(checked).await;
        assert_eq!(words(result), "passed: status 200");
        assert!(clean, "the connection was closed in order");
        let (head, body) = call.expect("a request was made");
        let head = head.replace(&target.label, "localhost:PORT");
        assert!(head.starts_with(line), "{head}");
        assert!(head.contains(field), "{head}");
        assert!(!head.contains("connection"), "{head}");
        assert_eq!(body, b"");
    }
}

#[tokio::test]
async fn http2_answers_are_judged_as_those_of_http1() {
    let matching = HttpProbe {
        body: Some(regex::bytes::Regex::new("^ok$").expect("a pattern")),
        ..http_probe()
    };
    let cases = [
        (
            http_probe(),
            Answer(204, &[], b"", &[]),
            "passed: status 204",
        ),
        (http_probe(), Answer(503, &[], b"", &[]), "status 503"),
        (
            matching.clone(),
            Answer(200, &[], b"ok", OK),
            "passed: status 200",
        ),
        (
            matching,
            Answer(200, &[], b"not ok", &[]),
            "body does not match",
        ),
    ];
    for (probe, answer, expected) in cases {
        let prober = travelling(Probe::Http(probe), http2());
        let (result, _) = probe_and(&prober, |stream| serve(stream, answer)).await;
        assert_eq!(words(result), expected);
    }
    let prober = travelling(http(), http2());
    let (result, ()) = probe_and(&prober, |mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let found = words(result);
    assert!(found.starts_with("not a valid HTTP/2 answer: "), "{found}");
}

#[tokio::test]
async fn http2_and_grpc_go_over_tls_by_what_was_agreed_on() {
    let answer = Answer(200, GRPC, SERVING, OK);
    let (h2, http1, none) = (server(&["h2"]), server(&["http/1.1"]), server(&[]));
    let both = &["h2", "http/1.1"][..];
    let other = "TLS handshake failed: \"http/1.1\" was agreed on";
    let missing = "TLS handshake failed: HTTP/2 was not agreed on";
    let cases = [
        (&h2, true, http(), "passed: status 200"),
        (&h2, true, grpc(), "passed: grpc status SERVING"),
        (&h2, false, grpc(), "passed: grpc status SERVING"),
        (&none, false, grpc(), "passed: grpc status SERVING"),
        (&none, true, http(), missing),
        (&none, true, grpc(), missing),
        (&http1, true, http(), other),
        (&http1, false, grpc(), other),
        (
            &h2,
            false,
            http(),
            "TLS handshake failed: \"h2\" was agreed on",
        ),
    ];
    for (server, http2, probe, expected) in cases {
        let prober = travelling(
            probe,
            Transport {
                http2,
                ..tls(server, None, both)
            },
        );
        let (result, head) = probe_and(&prober, |stream| async {
            let stream = server.acceptor.accept(stream).await.ok()?;
            serve(stream, answer).await.1.map(|(head, _)| head)
        })
        .await;
        assert_eq!(words(result), expected);
        if expected.starts_with("passed") {
            let head = head.expect("a request was made");
            assert!(head.contains(" https://localhost:"), "{head}");
        }
    }
}

#[tokio::test]
async fn a_check_with_an_own_place_travels_plainly() {
    let server = Server::new("localhost");
    let transport = Transport {
        proxy_protocol: proxy_protocol(ProxyVersion::V2).proxy_protocol,
        http2: true,
        ..tls(&server, None, &["h2"])
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let there = listener.local_addr().expect("bound");
    for (address, port) in [(Some(there.ip()), None), (None, Some(there.port()))] {
        let settings = HealthCheck {
            address,
            port,
            ..settings(http())
        };
        let prober = Prober::new(&settings, transport.clone()).expect("sound");
        let target = target(there, "app.test:80");
        let serve = async {
            let (stream, _) = listener.accept().await.expect("the check connects");
            answer_with(stream, ANSWER).await
        };
        let checked = async { tokio::join!(prober.probe(&target), serve) };
        let (result, head) = local(checked).await;
        assert_eq!(words(result), "passed: status 200");
        assert!(head.starts_with("GET /healthz HTTP/1.1\r\n"), "{head}");
    }
}

#[test]
fn a_host_that_http2_cannot_ask_for_is_refused_when_made() {
    for (host, sound) in [
        ("shop.test", true),
        ("shop.test:80", true),
        ("shop/test", false),
        ("a b", false),
    ] {
        let probe = HttpProbe {
            host: Some(host.to_owned()),
            ..http_probe()
        };
        let made = Prober::new(&settings(Probe::Http(probe)), http2());
        assert_eq!(made.is_ok(), sound, "{host}");
    }
}

#[test]
fn checks_are_the_same_if_they_travel_alike() {
    let (ours, other) = (Server::new("localhost"), Server::new("localhost"));
    let with_port = HealthCheck {
        port: Some(1),
        ..settings(http())
    };
    let check = |settings: &HealthCheck, transport: &Transport| {
        Check::new(settings.clone(), transport.clone()).expect("sound")
    };
    // Twice, for what is made anew from the same settings is the same.
    let transports = || {
        [
            Transport::default(),
            http2(),
            proxy_protocol(ProxyVersion::V1),
            proxy_protocol(ProxyVersion::V2),
            tls(&ours, None, &[]),
            tls(&ours, Some("app.test"), &[]),
            tls(&other, None, &[]),
        ]
    };
    for (at, one) in transports().iter().enumerate() {
        for (other_at, another) in transports().iter().enumerate() {
            let plain = settings(http());
            let same = check(&plain, one).is_same(&check(&plain, another));
            assert_eq!(same, at == other_at, "{at} {other_at}");
            let same = check(&with_port, one).is_same(&check(&with_port, another));
            assert!(same, "it travels plainly either way");
        }
    }
}
