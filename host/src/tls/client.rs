//! One cluster's TLS, compiled: whom we trust, what we ask for, what we show.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::digest::Digest;
use super::policy::Policy;
use super::roots::{self, AcceptsAnyCertificate, trusted_roots};
use super::transport::layered;
use super::{Errors, keep, pem};
use crate::config::{self, ClientTls, Place};
use crate::net::stream::Stream;

/// Verification, names and certificate of one cluster; shared by the workers. Sessions are resumed among its connections alone.
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    identity: u64,
}

impl Client {
    /// Reads all files; blocks.
    ///
    /// # Errors
    /// Everything that is wrong, with the place of the value; the default place stands for the whole of `tls`.
    pub fn new(settings: &ClientTls) -> Result<Client, Vec<(Place, String)>> {
        let mut errors = Errors::new();
        let mut digest = Digest::new();
        let server_name = keep(written_name(settings), &mut errors);
        let config = keep(config(settings, &mut digest), &mut errors);
        let (Some(server_name), Some(config)) = (server_name, config) else {
            return Err(errors);
        };
        Ok(Client {
            config: Arc::new(config),
            server_name,
            identity: digest.finish_short(),
        })
    }

    /// A handshake on `stream` with the endpoint that is written as `label`: `host:port`, `1.2.3.4:443`, `[::1]:443` or `unix:/path`. The
    /// name to ask for and to verify is that of the settings, else the host of the label; an IP address is verified against the addresses of
    /// the certificate. Returns the protocol that was agreed on, too. The caller bounds the time.
    ///
    /// Cancel safe in that dropping the future closes the connection.
    ///
    /// # Errors
    /// The stream's; `InvalidData` with a `rustls::Error` inside if the handshake fails; `InvalidInput` if the label has no name to verify.
    pub async fn connect(
        &self,
        stream: Stream,
        label: &str,
    ) -> io::Result<(Stream, Option<Box<[u8]>>)> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => host_of(label)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
        };
        let connector = TlsConnector::from(self.config.clone());
        let tls = connector.connect(name, stream).await?;
        let protocol = tls.get_ref().1.alpn_protocol().map(Box::from);
        Ok((layered(tls.into()), protocol))
    }

    /// Differs (but for chance, 1 in 2⁶⁴) whenever a connection that was made with other settings must not be shared: verification, contents
    /// of the files, server name, protocols, versions, ciphers. The same in every worker and after a reload that changed none of them.
    pub fn identity(&self) -> u64 {
        self.identity
    }
}

/// The TLS name of an endpoint as written.
///
/// # Errors
/// Words for an endpoint that has none.
pub fn host_of(label: &str) -> Result<ServerName<'static>, String> {
    if label.starts_with("unix:") {
        return Err(format!(
            "{label:?} has no name to verify: `tls` needs a `server-name`"
        ));
    }
    if let Ok(address) = label.parse::<SocketAddr>() {
        return Ok(ServerName::from(address.ip()));
    }
    if let Ok(address) = label.parse::<IpAddr>() {
        return Ok(ServerName::from(address));
    }
    let host = label.rsplit_once(':').map_or(label, |(host, _)| host);
    ServerName::try_from(host.to_owned()).map_err(|_| format!("{host:?} is not a TLS server name"))
}

fn written_name(settings: &ClientTls) -> Result<Option<ServerName<'static>>, Errors> {
    let Some(written) = &settings.server_name else {
        return Ok(None);
    };
    let name = ServerName::try_from(written.value.clone());
    name.map(Some).map_err(|_| {
        let error = format!("{:?} is not a TLS server name", written.value);
        vec![(written.place, error)]
    })
}

/// Adds to `digest` whatever makes connections differ.
fn config(settings: &ClientTls, digest: &mut Digest) -> Result<ClientConfig, Errors> {
    let mut errors = Errors::new();
    let policy = Policy::new(&settings.policy)?;
    let verifier = keep(verifier(settings, &policy, digest), &mut errors);
    add_settings(settings, &policy, digest);
    let own = settings.certificate.as_ref();
    let own = own
        .map(|own| own_certificate(own, &policy, digest))
        .transpose();
    let own = keep(own, &mut errors);
    let (Some(verifier), Some(own)) = (verifier, own) else {
        return Err(errors);
    };
    let builder = ClientConfig::builder_with_provider(policy.provider.clone());
    let builder = builder.with_protocol_versions(&policy.versions);
    let builder = builder.map_err(|error| vec![(Place::default(), error.to_string())])?;
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match own {
        Some(own) => builder.with_client_cert_resolver(Arc::new(own)),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = settings
        .alpn
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Ok(config)
}

fn add_settings(settings: &ClientTls, policy: &Policy, digest: &mut Digest) {
    let name = settings.server_name.as_ref().map_or("", |name| &name.value);
    digest.add(name.as_bytes());
    let mut lists = [Digest::new(), Digest::new(), Digest::new()];
    let [protocols, versions, suites] = &mut lists;
    for protocol in &settings.alpn {
        protocols.add(protocol.as_bytes());
    }
    policy.add_versions_to(versions);
    policy.add_suites_to(suites);
    for list in lists {
        digest.add(&list.finish());
    }
}

fn verifier(
    settings: &ClientTls,
    policy: &Policy,
    digest: &mut Digest,
) -> Result<Arc<dyn ServerCertVerifier>, Errors> {
    digest.add(&[u8::from(settings.verify)]);
    if !settings.verify {
        return Ok(Arc::new(AcceptsAnyCertificate));
    }
    let place = settings.ca.as_ref().map(|ca| ca.place).unwrap_or_default();
    let path = settings.ca.as_ref().map(|ca| &*ca.value);
    let trusted = trusted_roots(path).map_err(|error| vec![(place, error)])?;
    digest.add(&roots_digest(&trusted));
    let provider = policy.provider.clone();
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(trusted), provider);
    match builder.build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(vec![(
            place,
            format!("servers cannot be verified: {error}"),
        )]),
    }
}

fn roots_digest(trusted: &RootCertStore) -> [u8; 32] {
    let mut digest = Digest::new();
    roots::add_roots_to(&mut digest, trusted);
    digest.finish()
}

fn own_certificate(
    written: &config::Certificate,
    policy: &Policy,
    digest: &mut Digest,
) -> Result<SingleCertAndKey, Errors> {
    pem::pair(written, &policy.provider, digest).map(SingleCertAndKey::from)
}
