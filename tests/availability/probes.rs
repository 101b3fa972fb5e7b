//! What a check asks, and which answer passes: each kind once, up and down.

use super::admin::start;
use super::patient::{reason, said_of};
use crate::harness::{Origin, Proxy};
use crate::tcp::server;
use base64::prelude::{BASE64_STANDARD, Engine};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustix::process::Signal;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};
use std::convert::Infallible;
use std::fmt::Display;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One endpoint that serves always, in a cluster for each of these: its name, how it is checked, and what is in the block.
fn checked(clusters: &[(&str, String)]) -> (Proxy, Origin) {
    let endpoint = Origin::named("a");
    let (last, rest) = clusters.split_last().expect("at least one");
    let cluster = |keys: &str| format!("endpoint \"{endpoint}\"\nhealth-check {keys}");
    let mut text = cluster(&last.1);
    for (name, keys) in rest {
        text = format!("{text}\n}}\ncluster \"{name}\" {{\n{}", cluster(keys));
    }
    (start(&text).0, endpoint)
}

/// Of a check that is to decide at once. `initial` is what it begins as, so that its first answer makes a change.
fn at_once(initial: &str, more: &str) -> String {
    format!("interval=\"20ms\" timeout=\"60s\" rise=1 fall=1 initial=\"{initial}\" {more}")
}

fn down(proxy: &Proxy, cluster: &str, endpoint: &dyn Display) -> String {
    reason(&said_of(proxy, 0, "endpoint is down", cluster, endpoint))
}

fn up(proxy: &Proxy, cluster: &str, endpoint: &dyn Display) -> String {
    reason(&said_of(proxy, 0, "endpoint is up", cluster, endpoint))
}

/// Starts such a proxy; each cluster changes for the reason in its second place, upwards if that is in the first.
fn assert_changes(cases: &[(&str, Result<&str, &str>, String)]) {
    let clusters: Vec<_> = cases
        .iter()
        .map(|(name, change, keys)| {
            let initial = if change.is_ok() {
                "fully-down"
            } else {
                "fully-up"
            };
            (*name, at_once(initial, keys))
        })
        .collect();
    let (proxy, endpoint) = checked(&clusters);
    for (name, change, keys) in cases {
        match change {
            Ok(reason) => assert_eq!(up(&proxy, name, &endpoint), *reason, "{keys}"),
            Err(reason) => assert_eq!(down(&proxy, name, &endpoint), *reason, "{keys}"),
        }
    }
}

#[test]
fn an_http_check_is_sent_as_it_is_written() {
    let endpoint = Origin::named("a");
    let check = r#"health-check timeout="60s" { http "/healthz?full=1" method="OPTIONS" host="site.example" { header "x-check" "1"; header "x-check" "2" } }"#;
    let (_proxy, _) = start(&format!("endpoint \"{endpoint}\"\n{check}"));
    let head = endpoint.request(0).head;
    assert_eq!(head.start_line, "OPTIONS /healthz?full=1 HTTP/1.1");
    assert_eq!(head.header("host"), Some("site.example"));
    assert_eq!(head.all("x-check"), ["1", "2"]);

    let plain = Origin::named("a");
    let (_proxy, _) = start(&format!(
        "endpoint \"{plain}\"\nhealth-check timeout=\"60s\" {{ http \"/\" }}"
    ));
    let head = plain.request(0).head;
    assert_eq!(head.start_line, "GET / HTTP/1.1");
    assert_eq!(head.header("host"), Some(plain.to_string().as_str()));
}

#[test]
fn an_http_check_passes_on_the_expected_statuses_alone() {
    let origin = Origin::answering(|request| {
        let status = request.head.target().trim_start_matches('/');
        format!("HTTP/1.1 {status} said\r\nContent-Length: 0\r\n\r\n").into()
    });
    let asking = |path: &str, expect: &str| {
        format!(
            "port={} {{ http \"{path}\" {expect} }}",
            origin.address().port()
        )
    };
    let unusual = "expect=\"204 500-509,3xx\"";
    assert_changes(&[
        ("a", Ok("status 204"), asking("/204", unusual)),
        ("b", Ok("status 503"), asking("/503", unusual)),
        ("d", Ok("status 302"), asking("/302", unusual)),
        ("e", Err("status 200"), asking("/200", unusual)),
        ("f", Err("status 510"), asking("/510", unusual)),
        ("g", Ok("status 399"), asking("/399", "")),
        ("c", Err("status 400"), asking("/400", "")),
    ]);
}

#[test]
fn an_http_check_passes_on_the_expected_body_alone() {
    let origin = Origin::named("state: fine");
    let asking = |body: &str| {
        format!(
            "port={} {{ http \"/\" body=\"{body}\" }}",
            origin.address().port()
        )
    };
    assert_changes(&[
        ("a", Ok("status 200"), asking("^state: (fine|good)$")),
        ("c", Err("body does not match"), asking("^fine")),
    ]);
}

/// A TLS server with a certificate of its own making, and the file that vouches for it.
struct TlsServer {
    address: SocketAddr,
    authority: PathBuf,
}

impl TlsServer {
    /// Hangs up instead of shaking hands while `silent` is set.
    fn start(name: &str, folder: &Path, silent: &Arc<AtomicBool>) -> TlsServer {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("a certificate");
        let authority = folder.join(format!("{name}.pem"));
        let text = BASE64_STANDARD.encode(certificate.der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        std::fs::write(&authority, pem).expect("a writable folder");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a key of its own");
        let (config, silent) = (Arc::new(config), silent.clone());
        let address = server(move |mut stream| {
            if silent.load(Ordering::SeqCst) {
                return;
            }
            let mut tls = ServerConnection::new(config.clone()).expect("a configuration");
            // How it ends is what the check says about it.
            let _ = rustls::Stream::new(&mut tls, &mut stream).read(&mut [0; 16]);
        });
        TlsServer { address, authority }
    }

    fn asked(&self, more: &str) -> String {
        format!("port={} {{ tls {more} }}", self.address.port())
    }
}

#[test]
fn a_tls_check_passes_with_a_trusted_certificate_for_the_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let well = Arc::new(AtomicBool::new(false));
    let named = TlsServer::start("app.test", folder.path(), &well);
    let other = TlsServer::start("127.0.0.1", folder.path(), &well);
    let ca = |server: &TlsServer| format!("ca=\"{}\"", server.authority.display());
    let unknown = "certificate is not signed by a trusted authority";
    assert_changes(&[
        (
            "a",
            Ok("TLS 1.3"),
            named.asked(&format!("server-name=\"app.test\" {}", ca(&named))),
        ),
        (
            "b",
            Err("certificate is not for 127.0.0.1"),
            named.asked(&ca(&named)),
        ),
        ("d", Ok("TLS 1.3"), other.asked(&ca(&other))),
        ("e", Err(unknown), other.asked(&ca(&named))),
        ("c", Ok("TLS 1.3"), named.asked("verify=#false")),
    ]);
}

#[test]
fn a_tls_check_fails_when_no_hands_are_shaken() {
    let folder = tempfile::tempdir().expect("a folder");
    let silent = Arc::new(AtomicBool::new(true));
    let server = TlsServer::start("app.test", folder.path(), &silent);
    let keys = at_once("up", &server.asked("verify=#false"));
    let (proxy, endpoint) = checked(&[("c", keys)]);
    let reason = down(&proxy, "c", &endpoint);
    assert_eq!(reason, "connection closed before the TLS handshake");
    assert_eq!(proxy.client().get("/").status, 503);
    silent.store(false, Ordering::SeqCst);
    assert_eq!(up(&proxy, "c", &endpoint), "TLS 1.3");
    assert_eq!(proxy.client().get("/").text(), "a");
}

#[test]
fn a_reload_reads_the_certificates_of_a_check_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let well = Arc::new(AtomicBool::new(false));
    let server = TlsServer::start("127.0.0.1", folder.path(), &well);
    let other = TlsServer::start("other.test", folder.path(), &well);
    let ca = folder.path().join("ca.pem");
    std::fs::copy(&other.authority, &ca).expect("a writable folder");
    let keys = at_once("up", &server.asked(&format!("ca=\"{}\"", ca.display())));
    let (proxy, endpoint) = checked(&[("c", keys)]);
    let reason = down(&proxy, "c", &endpoint);
    assert_eq!(reason, "certificate is not signed by a trusted authority");
    std::fs::copy(&server.authority, &ca).expect("a writable folder");
    proxy.signal(Signal::HUP);
    assert_eq!(up(&proxy, "c", &endpoint), "TLS 1.3");
}

/// A gRPC health service: SERVING for the service "shop" while `well` is set, and for no other.
fn grpc_server(well: &Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("a socket");
    let well = well.clone();
    std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve_grpc(stream, well.clone()));
            }
        });
    });
    address
}

async fn serve_grpc(stream: tokio::net::TcpStream, well: Arc<AtomicBool>) {
    let service = service_fn(|request: Request<Incoming>| {
        let well = well.load(Ordering::SeqCst);
        async move { Ok::<_, Infallible>(answer_grpc(request, well).await) }
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // How it ends is what the check says about it.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer_grpc(
    request: Request<Incoming>,
    well: bool,
) -> Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>> {
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    let asked = request.into_body().collect().await.expect("it is whole");
    let serving = well && asked.to_bytes().ends_with(b"\x0a\x04shop");
    let status = if serving { 1 } else { 2 };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("a value"));
    let body = Full::new(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]));
    let mut response = Response::new(body.with_trailers(async { Some(Ok(trailers)) }));
    let content = "application/grpc".parse().expect("a value");
    response.headers_mut().insert("content-type", content);
    response
}

#[test]
fn a_grpc_check_passes_while_the_service_it_names_is_serving() {
    let well = Arc::new(AtomicBool::new(true));
    let port = grpc_server(&well).port();
    let named = format!("port={port} {{ grpc service=\"shop\" }}");
    let unnamed = format!("port={port} {{ grpc }}");
    let (proxy, endpoint) = checked(&[
        ("whole", at_once("up", &unnamed)),
        ("c", at_once("down", &named)),
    ]);
    assert_eq!(up(&proxy, "c", &endpoint), "grpc status SERVING");
    assert_eq!(proxy.client().get("/").text(), "a");
    let reason = down(&proxy, "whole", &endpoint);
    assert_eq!(reason, "grpc status NOT_SERVING", "it asks for no service");
    well.store(false, Ordering::SeqCst);
    assert_eq!(down(&proxy, "c", &endpoint), "grpc status NOT_SERVING");
    assert_eq!(proxy.client().get("/").status, 503);
}
