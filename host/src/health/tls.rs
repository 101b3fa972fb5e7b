//! The TLS probe: a handshake, and the certificate with it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion};
use tokio_rustls::TlsConnector;

use super::connect::close;
use super::deadline::Deadline;
use super::target::authority;
use super::{Failure, Passed, Stage};
use crate::config::TlsProbe;
use crate::net::stream::Stream;
use crate::tls::roots::{AcceptsAnyCertificate, trusted_roots};

#[derive(Debug)]
pub(super) struct TlsProber {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl TlsProber {
    pub(super) fn new(probe: &TlsProbe) -> Result<TlsProber, String> {
        let name = match &probe.server_name {
            Some(name) => Some(
                ServerName::try_from(name.clone())
                    .map_err(|_| format!("{name:?} is not a server name"))?,
            ),
            None => None,
        };
        let config = Arc::new(client_config(probe)?);
        Ok(TlsProber { config, name })
    }

    pub(super) async fn probe(
        &self,
        stream: Stream,
        label: &str,
        deadline: &Deadline,
    ) -> Result<Passed, Failure> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => server_name(authority(label))?,
        };
        let handshake = TlsConnector::from(self.config.clone()).connect(name, stream);
        let stream = deadline
            .bound(Stage::Handshake, handshake)
            .await?
            .map_err(|error| Failure::from_tls(&error))?;
        let passed = deadline.passed(version(stream.get_ref().1.protocol_version()));
        // Session tickets are still on their way in TLS 1.3: closing at once would answer them with a reset.
        close(stream, deadline).await;
        Ok(passed)
    }
}

fn client_config(probe: &TlsProbe) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = if probe.verify {
        let roots = trusted_roots(probe.ca.as_deref())?;
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptsAnyCertificate))
            .with_no_client_auth()
    };
    // A resumed session shows no certificate, so one that has expired since would go unnoticed.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The host of an endpoint as written: `name`, `name:port`, `1.2.3.4:port`, `[::1]:port`.
fn server_name(label: &str) -> Result<ServerName<'static>, Failure> {
    if let Ok(address) = label.parse::<SocketAddr>() {
        return Ok(ServerName::from(address.ip()));
    }
    if let Ok(address) = label.parse::<IpAddr>() {
        return Ok(ServerName::from(address));
    }
    let host = label.rsplit_once(':').map_or(label, |(host, _)| host);
    ServerName::try_from(host.to_owned())
        .map_err(|_| Failure::Name(host.to_owned(), "a TLS server name"))
}

fn version(version: Option<ProtocolVersion>) -> String {
    let version = match version {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        Some(_) | None => "TLS",
    };
    version.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_name_is_the_host_of_the_label() {
        let cases = [
            ("app.internal:8443", Some("app.internal")),
            ("app", Some("app")),
            ("10.0.0.1:443", Some("10.0.0.1")),
            ("[::1]:443", Some("::1")),
            ("::1", Some("::1")),
            ("", None),
            ("two words:443", None),
        ];
        for (label, expected) in cases {
            let name = server_name(label).map(|name| name.to_str().into_owned());
            assert_eq!(name.ok().as_deref(), expected, "{label:?}");
        }
    }
}
