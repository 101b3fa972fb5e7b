//! TLS for tests: an authority that issues certificates, clients that come by TLS, and origins behind it.
//!
//! A thread carries the plain bytes of a [`Client`] or an [`super::Origin`] into TLS and out of it, so what a test says about bytes, it
//! says about TLS too.

use super::{Client, PATIENCE};
use base64::prelude::{BASE64_STANDARD, Engine};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A certificate authority of the test's own.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) chain: String,
    pub(crate) key: String,
    /// The serial number, big-endian.
    pub(crate) serial: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        Authority::named("Test Authority")
    }

    /// One of another name: of two that share it, a certificate seems to be of both.
    pub(crate) fn named(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Authority { issuer }
    }

    /// The certificate of the authority, in PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.as_ref().pem()
    }

    /// A certificate for these DNS names or IP addresses, `CN` being the first.
    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    /// As [`Authority::issue`], with a change.
    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let names_owned: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names_owned).expect("names");
        if let Some(first) = names.first() {
            params.distinguished_name.push(DnType::CommonName, *first);
        }
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let serial: [u8; 8] = fastrand::u64(1..u64::MAX >> 2).to_be_bytes();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        change(&mut params);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Identity {
            chain: certificate.pem(),
            key: key.serialize_pem(),
            serial: serial.to_vec(),
        }
    }

    /// A certificate whose one name is a URI, as workloads have.
    pub(crate) fn issue_uri(&self, subject: &str, uri: &str) -> Identity {
        self.issue_with(&[], |params| {
            params.distinguished_name.push(DnType::CommonName, subject);
            let uri = uri.try_into().expect("ASCII");
            params.subject_alt_names = vec![SanType::URI(uri)];
        })
    }

    /// A revocation list with these certificates on it, in PEM.
    pub(crate) fn revoke(&self, revoked: &[&Identity]) -> String {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|identity| RevokedCertParams {
                    serial_number: SerialNumber::from_slice(&identity.serial),
                    revocation_time: date_time_ymd(2024, 1, 2),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("signed");
        let text = BASE64_STANDARD.encode(list.der());
        format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n")
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let certificate = self.issuer.as_ref().der().clone();
        roots.add(certificate).expect("a certificate");
        roots
    }
}

impl Identity {
    /// Chain and key in one text, as one file may hold them.
    pub(crate) fn both(&self) -> String {
        format!("{}{}", self.chain, self.key)
    }

    fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes());
        let chain = chain.collect::<Result<_, _>>().expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM");
        (chain, key)
    }
}

/// How a client comes by TLS.
#[derive(Clone)]
pub(crate) struct TlsClient {
    config: ClientConfig,
    name: Option<String>,
}

/// What a client has seen of the handshake.
#[derive(Debug, Clone)]
pub(crate) struct Handshake {
    pub(crate) alpn: Option<String>,
    /// `TLSv1_3`, as rustls writes it.
    pub(crate) version: String,
    pub(crate) cipher: String,
    /// The key exchange group, as rustls writes it.
    pub(crate) group: String,
    pub(crate) resumed: bool,
    /// The server's own certificate.
    pub(crate) certificate: Vec<u8>,
}

impl TlsClient {
    /// Trusts this authority; asks for `name`.
    pub(crate) fn new(authority: &Authority, name: &str) -> TlsClient {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(authority.roots())
            .with_no_client_auth();
        TlsClient {
            config,
            name: Some(name.to_owned()),
        }
    }

    /// Trusts this certificate, in PEM, as an authority; asks for `name`.
    pub(crate) fn trusting(root: &str, name: &str) -> TlsClient {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(root.as_bytes()).expect("PEM");
        roots.add(root).expect("a certificate");
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsClient {
            config,
            name: Some(name.to_owned()),
        }
    }

    /// Shows this certificate.
    pub(crate) fn showing(authority: &Authority, name: &str, identity: &Identity) -> TlsClient {
        let (chain, key) = identity.parts();
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(authority.roots())
            .with_client_auth_cert(chain, key)
            .expect("a key of its own");
        TlsClient {
            config,
            name: Some(name.to_owned()),
        }
    }

    /// Offers these protocols.
    pub(crate) fn alpn(mut self, protocols: &[&str]) -> TlsClient {
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
        self.config.alpn_protocols = protocols.collect();
        self
    }

    /// With whatever else a test wants to be different.
    pub(crate) fn configured(mut self, change: impl FnOnce(&mut ClientConfig)) -> TlsClient {
        change(&mut self.config);
        self
    }

    /// Speaks these versions only.
    pub(crate) fn versions(
        authority: &Authority,
        name: &str,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> TlsClient {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(authority.roots())
            .with_no_client_auth();
        TlsClient {
            config,
            name: Some(name.to_owned()),
        }
    }

    /// Names no host in the handshake; the certificate must be for `name` all the same.
    pub(crate) fn without_sni(mut self) -> TlsClient {
        self.config.enable_sni = false;
        self
    }

    /// Forgets every session.
    pub(crate) fn without_resumption(mut self) -> TlsClient {
        self.config.resumption = Resumption::disabled();
        self
    }

    /// Another name with the same sessions and trust.
    pub(crate) fn named(&self, name: &str) -> TlsClient {
        TlsClient {
            name: Some(name.to_owned()),
            ..self.clone()
        }
    }

    /// A connection; the handshake has succeeded.
    pub(crate) fn connect(&self, address: SocketAddr) -> Client {
        self.shake(address).expect("a handshake").0
    }

    /// A connection with what the handshake has shown, or why it failed.
    pub(crate) fn shake(&self, address: SocketAddr) -> io::Result<(Client, Handshake)> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the proxy listens");
        self.shake_on(stream)
    }

    /// As [`TlsClient::shake`], on a connection that is there already.
    pub(crate) fn shake_on(&self, stream: TcpStream) -> io::Result<(Client, Handshake)> {
        let (plain, near) = pair();
        let name = self.name.clone().unwrap_or_default();
        let name = ServerName::try_from(name).expect("a server name");
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        let (tell, told) = mpsc::channel();
        in_own_loop(async move {
            let stream = asynchronous(stream);
            match connector.connect(name, stream).await {
                Ok(mut stream) => {
                    let seen = seen(&stream);
                    if tell.send(Ok(seen)).is_ok() {
                        let mut near = asynchronous(near);
                        // However it ends: the test looks at what its side sees.
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut stream).await;
                    }
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        });
        let seen = told.recv_timeout(PATIENCE).expect("a handshake ends")?;
        Ok((Client::over(plain), seen))
    }
}

fn seen(stream: &tokio_rustls::client::TlsStream<tokio::net::TcpStream>) -> Handshake {
    let (_, session) = stream.get_ref();
    let suite = session.negotiated_cipher_suite().expect("agreed");
    let group = session.negotiated_key_exchange_group();
    let alpn = session.alpn_protocol();
    Handshake {
        alpn: alpn.map(|name| String::from_utf8_lossy(name).into_owned()),
        version: format!("{:?}", session.protocol_version().expect("agreed")),
        cipher: format!("{:?}", suite.suite()),
        group: group.map_or(String::new(), |group| format!("{:?}", group.name())),
        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        certificate: session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map_or(Vec::new(), |certificate| certificate.to_vec()),
    }
}

/// What several connections add to.
type Shared<T> = Arc<std::sync::Mutex<Vec<T>>>;

/// TLS before an origin: terminates it and passes the plain bytes on, each connection on its own. Shows itself as its address.
pub(crate) struct TlsFront {
    address: SocketAddr,
    handshakes: Shared<Accepted>,
    agreed: Shared<String>,
}

/// What an origin has seen of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) sni: Option<String>,
    pub(crate) alpn: Option<String>,
    /// Whether the proxy has shown a certificate.
    pub(crate) has_certificate: bool,
}

impl TlsFront {
    /// Shows `identity`, speaks these protocols; with `clients` it demands a certificate of that authority.
    pub(crate) fn before(
        origin: &dyn fmt::Display,
        identity: &Identity,
        alpn: &[&str],
        clients: Option<&Authority>,
    ) -> TlsFront {
        let behind: SocketAddr = origin.to_string().parse().expect("an address");
        let (chain, key) = identity.parts();
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match clients {
            Some(authority) => {
                let roots = Arc::new(authority.roots());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                builder.with_client_cert_verifier(verifier.build().expect("roots"))
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .expect("a key of its own");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let handshakes: Shared<Accepted> = Arc::default();
        let agreed: Shared<String> = Arc::default();
        let record = (handshakes.clone(), agreed.clone());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (acceptor, record) = (acceptor.clone(), record.clone());
                in_own_loop(serve(stream, acceptor, behind, record));
            }
        });
        TlsFront {
            address,
            handshakes,
            agreed,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Handshakes that have succeeded so far.
    pub(crate) fn handshakes(&self) -> Vec<Accepted> {
        self.handshakes
            .lock()
            .expect("nobody panics holding it")
            .clone()
    }

    /// Version and cipher of each of them, as in `TLSv1_3 TLS13_AES_256_GCM_SHA384`.
    pub(crate) fn agreed(&self) -> Vec<String> {
        self.agreed
            .lock()
            .expect("nobody panics holding it")
            .clone()
    }
}

impl fmt::Display for TlsFront {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    behind: SocketAddr,
    (record, agreed): (Shared<Accepted>, Shared<String>),
) {
    let Ok(mut stream) = acceptor.accept(asynchronous(stream)).await else {
        return;
    };
    {
        let (_, session) = stream.get_ref();
        let alpn = session.alpn_protocol();
        let accepted = Accepted {
            sni: session.server_name().map(str::to_owned),
            alpn: alpn.map(|name| String::from_utf8_lossy(name).into_owned()),
            has_certificate: session.peer_certificates().is_some(),
        };
        let version = session.protocol_version().expect("agreed");
        let suite = session.negotiated_cipher_suite().expect("agreed").suite();
        agreed
            .lock()
            .expect("nobody panics holding it")
            .push(format!("{version:?} {suite:?}"));
        record
            .lock()
            .expect("nobody panics holding it")
            .push(accepted);
    }
    if let Ok(mut origin) = tokio::net::TcpStream::connect(behind).await {
        // However it ends: the proxy's behaviour is what a test looks at.
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut origin).await;
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Two ends of one connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let one = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (other, _) = listener.accept().expect("it has connected");
    (one, other)
}

fn asynchronous(stream: TcpStream) -> tokio::net::TcpStream {
    stream.set_nonblocking(true).expect("a TCP socket");
    tokio::net::TcpStream::from_std(stream).expect("an event loop")
}

/// Runs `work` to its end in a thread with an event loop of its own.
fn in_own_loop(work: impl Future<Output = ()> + Send + 'static) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("an event loop");
        runtime.block_on(work);
    });
}
