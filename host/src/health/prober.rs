//! One check of one address.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Failure;
use super::connect::{close, connect};
use super::deadline::Deadline;
use super::grpc::GrpcProber;
use super::http::HttpProber;
use super::tls::TlsProber;
use crate::config::{HealthCheck, Probe};

/// A probe made ready: requests built, certificates read. One serves all endpoints of a cluster.
#[derive(Debug)]
pub struct Prober {
    kind: Kind,
    timeout: Duration,
    address: Option<IpAddr>,
    port: Option<u16>,
}

#[derive(Debug)]
enum Kind {
    Tcp,
    Http(Box<HttpProber>),
    Tls(TlsProber),
    Grpc(GrpcProber),
}

/// The endpoint to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The endpoint's own; the probe's `address` and `port` go before it.
    pub address: SocketAddr,
    /// As written, with its port: what is sent as `Host`, and without the port the name asked for in TLS.
    pub label: String,
}

/// A check that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// "connected", "status 200", "TLS 1.3", "grpc status SERVING".
    pub detail: String,
    /// From the start of the connect to the result; closing is not in it.
    pub took: Duration,
}

impl Prober {
    /// Reads certificates from files, so it blocks.
    ///
    /// # Errors
    /// In words for a diagnostic: a method, path or header that cannot be sent, a server name that is none, a CA file that cannot be
    /// read or holds no certificate, a system without root certificates.
    pub fn new(check: &HealthCheck) -> Result<Prober, String> {
        let kind = match &check.probe {
            Probe::Tcp => Kind::Tcp,
            Probe::Http(probe) => Kind::Http(Box::new(HttpProber::new(probe)?)),
            Probe::Tls(probe) => Kind::Tls(TlsProber::new(probe)?),
            Probe::Grpc { service } => Kind::Grpc(GrpcProber::new(service)),
        };
        Ok(Prober {
            kind,
            timeout: check.timeout,
            address: check.address,
            port: check.port,
        })
    }

    /// Connects anew and asks. The timeout covers the whole; beyond a result the endpoint has up to 100 ms of what is left to close its
    /// side. Dropping the future closes the connection. At most 64 KiB of a body are kept, and about as much of a head.
    ///
    /// # Errors
    /// Each reason not to count the endpoint as healthy, except [`Failure::Local`], which says nothing about it.
    pub async fn probe(&self, target: &Target) -> Result<Passed, Failure> {
        let deadline = Deadline::start(self.timeout);
        let stream = connect(self.address(target), &deadline).await?;
        match &self.kind {
            Kind::Tcp => {
                let passed = deadline.passed("connected".to_owned());
                close(stream, &deadline).await;
                Ok(passed)
            }
            Kind::Http(http) => http.probe(stream, &target.label, &deadline).await,
            Kind::Tls(tls) => tls.probe(stream, &target.label, &deadline).await,
            Kind::Grpc(grpc) => grpc.probe(stream, &target.label, &deadline).await,
        }
    }

    fn address(&self, target: &Target) -> SocketAddr {
        let ip = self.address.unwrap_or(target.address.ip());
        SocketAddr::new(ip, self.port.unwrap_or(target.address.port()))
    }
}
