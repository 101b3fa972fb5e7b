//! Requests over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use hyper::Request;
use instant_acme::{BodyWrapper, HttpClient};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::acme::client::Client;
use crate::acme::heed::Heed;

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// Whatever is asked, each connection is answered by `answer`, which need not be whole.
fn peer(answer: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
    address
}

/// Answers once a head has come. What becomes of the answer is for the other side to say.
fn reply(mut stream: impl Read + Write, answer: &[u8]) {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|bytes| bytes == 1) {
        seen.push(byte[0]);
    }
    let _ = stream.write_all(answer);
    let _ = stream.flush();
}

async fn ask(client: Client, url: &str) -> Result<String, String> {
    let heed = Heed::new(Arc::new(client));
    let request = Request::get(url)
        .body(BodyWrapper::default())
        .expect("a request");
    let mut response = heed
        .request(request)
        .await
        .map_err(|error| error.to_string())?;
    let body = response
        .body
        .into_bytes()
        .await
        .map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Any file of certificates will do where none is looked at.
async fn ask_in_clear(url: &str) -> Result<String, String> {
    let authority = Trusted::new();
    ask(Client::new(Some(authority.path())).expect("roots"), url).await
}

/// A root and a peer for `localhost` that it has signed.
struct Trusted {
    root: tempfile::NamedTempFile,
    config: Arc<ServerConfig>,
}

impl Trusted {
    fn new() -> Trusted {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let root = params.self_signed(&key).expect("a certificate");
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(root.pem().as_bytes()).expect("written");
        Trusted {
            root: file,
            config: config(certificate, &key),
        }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn serve(&self) -> SocketAddr {
        let config = self.config.clone();
        peer(move |stream| {
            let connection = ServerConnection::new(config.clone()).expect("a configuration");
            reply(StreamOwned::new(connection, stream), ANSWER.as_bytes());
        })
    }
}

fn config(certificate: rcgen::Certificate, key: &KeyPair) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    Arc::new(config.expect("a certificate and its key"))
}

#[tokio::test]
async fn an_authority_is_trusted_by_the_file_that_is_named() {
    let (ours, other) = (Trusted::new(), Trusted::new());
    let port = ours.serve().port();
    let client = |trusted: &Trusted| Client::new(Some(trusted.path())).expect("roots");
    let named = format!("https://localhost:{port}/directory");
    assert_eq!(ask(client(&ours), &named).await.as_deref(), Ok("{}"));
    let refused = ask(client(&other), &named).await.expect_err("another root");
    assert!(
        refused.starts_with("localhost: ") && refused.contains("invalid peer certificate"),
        "{refused}"
    );
    let address = format!("https://127.0.0.1:{port}/directory");
    let refused = ask(client(&ours), &address)
        .await
        .expect_err("another name");
    assert!(refused.contains("not valid for name"), "{refused}");
}

#[test]
fn a_file_without_certificates_is_refused_by_name() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for path in [file.path(), Path::new("/nowhere/ca.pem")] {
        let error = Client::new(Some(path)).err().expect("no roots").chain();
        assert!(error.contains(path.to_str().expect("UTF-8")), "{error}");
    }
}

#[tokio::test]
async fn in_clear_it_speaks_to_this_machine_alone() {
    let port = peer(|stream| reply(stream, ANSWER.as_bytes())).port();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{port}/directory");
        assert_eq!(ask_in_clear(&url).await.as_deref(), Ok("{}"), "{url}");
    }
    for url in ["http://192.0.2.1/directory", "http://[2001:db8::1]:80/"] {
        let refused = ask_in_clear(url).await.expect_err("elsewhere");
        assert!(
            refused.ends_with("not https, and not on this machine"),
            "{refused}"
        );
    }
    for url in ["ftp://127.0.0.1/", "/directory"] {
        let refused = ask_in_clear(url).await.expect_err("another kind");
        assert!(refused.contains("not an address of the kind"), "{refused}");
    }
}

#[tokio::test]
async fn broken_answers_are_errors() {
    let long = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {0}\r\n\r\n{1}",
        (1 << 20) + 1,
        "a".repeat((1 << 20) + 1)
    );
    let answers = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", ""),
        ("SSH-2.0-x\r\n", ""),
        ("", ""),
        (long.as_str(), "length limit exceeded"),
        (
            "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
            "503 Service Unavailable",
        ),
        (
            "HTTP/1.1 429 Many\r\ncontent-type: application/problem+json\r\ncontent-length: 22\r\n\r\n{\"detail\": \"too many\"}",
            "too many",
        ),
    ];
    for (answer, expected) in answers {
        let shown: String = answer.chars().take(60).collect();
        let bytes = answer.as_bytes().to_vec();
        let port = peer(move |stream| reply(stream, &bytes)).port();
        let error = ask_in_clear(&format!("http://127.0.0.1:{port}/")).await;
        let error = error.expect_err(&shown);
        assert!(error.contains(expected), "{shown:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_waited_for_for_ever() {
    let (hold, held) = std::sync::mpsc::channel();
    let port = peer(move |stream| hold.send(stream).expect("the test holds it")).port();
    let error = ask_in_clear(&format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(error, Err("127.0.0.1: no answer within 30 s".to_owned()));
    drop(held);
}

#[tokio::test]
async fn a_longest_answer_is_taken() {
    let body = "a".repeat(1 << 20);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let port = peer(move |stream| reply(stream, answer.as_bytes())).port();
    assert_eq!(
        ask_in_clear(&format!("http://127.0.0.1:{port}/")).await,
        Ok(body)
    );
}

#[tokio::test]
async fn how_long_to_wait_is_forgotten_when_there_is_no_answer() {
    let answer = "HTTP/1.1 200 OK\r\nretry-after: 600\r\ncontent-length: 2\r\n\r\n{}";
    let good = peer(|stream| reply(stream, answer.as_bytes())).port();
    let silent = peer(drop).port();
    let authority = Trusted::new();
    let client = Client::new(Some(authority.path())).expect("roots");
    let heed = Heed::new(Arc::new(client));
    for (port, asked) in [(good, Some(600)), (silent, None)] {
        let request = Request::get(format!("http://127.0.0.1:{port}/"));
        let request = request.body(BodyWrapper::default()).expect("a request");
        assert_eq!(heed.request(request).await.is_ok(), asked.is_some());
        assert_eq!(heed.asked().map(|asked| asked.as_secs()), asked);
    }
}
