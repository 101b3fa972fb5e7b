//! One check of one address.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::connect::{close, connect};
use super::deadline::Deadline;
use super::grpc::GrpcProber;
use super::http::HttpProber;
use super::target::{Spoken, Target};
use super::tls::TlsProber;
use super::{Failure, Transport};
use crate::config::{HealthCheck, Probe};
use crate::net::address::Address;
use crate::net::stream::Stream;

/// A probe made ready: requests built, certificates read. One serves all endpoints of a cluster.
#[derive(Debug)]
pub struct Prober {
    kind: Kind,
    timeout: Duration,
    address: Option<IpAddr>,
    port: Option<u16>,
    transport: Transport,
}

#[derive(Debug)]
enum Kind {
    Tcp,
    Http(Box<HttpProber>),
    Tls(TlsProber),
    Grpc(GrpcProber),
}

/// A check that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// "connected", "status 200", "TLS 1.3", "grpc status SERVING".
    pub detail: String,
    /// From the start of the connect to the result; closing is not in it.
    pub took: Duration,
}

impl Kind {
    /// Whether an endpoint that agreed on this protocol in its TLS handshake understands the probe. What requests would not take, the probe
    /// does not take either: HTTP/2 must be agreed on, unless it is spoken to a cluster whose requests are HTTP/1.1.
    fn speaks(&self, agreed: Option<&[u8]>, cluster_http2: bool) -> bool {
        let http2 = agreed == Some(b"h2");
        match self {
            Kind::Tcp | Kind::Tls(_) => true,
            Kind::Http(_) => http2 == cluster_http2,
            Kind::Grpc(_) => http2 || agreed.is_none() && !cluster_http2,
        }
    }
}

impl Prober {
    /// Reads certificates from files, so it blocks.
    ///
    /// A check with an `address` or `port` of its own goes in the clear, as HTTP/1.1 and without a PROXY header, for what listens there is not
    /// what the cluster's settings are about (as in HAProxy, whose `addr` and `port` of a check mean the same).
    ///
    /// # Errors
    /// In words for a diagnostic: a method, path or header that cannot be sent, a server name that is none, a CA file that cannot be
    /// read or holds no certificate, a system without root certificates.
    pub fn new(check: &HealthCheck, transport: Transport) -> Result<Prober, String> {
        let elsewhere = check.address.is_some() || check.port.is_some();
        let transport = if elsewhere {
            Transport::default()
        } else {
            transport
        };
        let kind = match &check.probe {
            Probe::Tcp => Kind::Tcp,
            Probe::Http(probe) => Kind::Http(Box::new(HttpProber::new(probe, transport.http2)?)),
            Probe::Tls(probe) => Kind::Tls(TlsProber::new(probe)?),
            Probe::Grpc { service } => Kind::Grpc(GrpcProber::new(service)),
        };
        Ok(Prober {
            kind,
            timeout: check.timeout,
            address: check.address,
            port: check.port,
            transport,
        })
    }

    /// Connects anew and asks. The timeout covers the whole; beyond a result the endpoint has up to 100 ms of what is left to close its
    /// side. Dropping the future closes the connection. At most 64 KiB of a body are kept, and about as much of a head. Must be called within
    /// a `LocalSet`.
    ///
    /// # Errors
    /// Each reason not to count the endpoint as healthy, except [`Failure::Local`], which says nothing about it.
    pub async fn probe(&self, target: &Target) -> Result<Passed, Failure> {
        let deadline = Deadline::start(self.timeout);
        let mut stream = connect(&self.address(target)?, &deadline).await?;
        self.transport.introduce(&mut stream, &deadline).await?;
        match &self.kind {
            Kind::Tcp => {
                let spoken = self.secure(stream, target, &deadline).await?;
                let passed = deadline.passed("connected".to_owned());
                close(spoken.stream, &deadline).await;
                Ok(passed)
            }
            Kind::Http(http) => {
                let spoken = self.secure(stream, target, &deadline).await?;
                http.probe(spoken, &deadline).await
            }
            Kind::Grpc(grpc) => {
                let spoken = self.secure(stream, target, &deadline).await?;
                grpc.probe(spoken, &deadline).await
            }
            Kind::Tls(tls) => tls.probe(stream, &target.label, &deadline).await,
        }
    }

    /// With the cluster's TLS, where it has it.
    async fn secure<'t>(
        &self,
        stream: Stream,
        target: &'t Target,
        deadline: &Deadline,
    ) -> Result<Spoken<'t>, Failure> {
        let label = &target.label;
        let secured = self.transport.secure(stream, label, deadline);
        let (stream, agreed) = secured.await?;
        let secure = self.transport.tls.is_some();
        if secure && !self.kind.speaks(agreed.as_deref(), self.transport.http2) {
            return Err(Failure::disagreed(agreed.as_deref()));
        }
        Ok(Spoken {
            stream,
            label,
            secure,
        })
    }

    /// Whether the connections of both look alike to endpoints.
    pub(super) fn is_same_transport(&self, other: &Prober) -> bool {
        self.transport.is_same(&other.transport)
    }

    /// A Unix socket has neither IP address nor port; it is on this machine, so that with a port of the check alone its address is loopback's.
    fn address(&self, target: &Target) -> Result<Address, Failure> {
        if self.address.is_none() && self.port.is_none() {
            return Ok(target.address.clone());
        }
        let own = target.address.ip();
        let ip = self.address.unwrap_or(target.address.as_peer().ip());
        let port = self.port.or(own.map(|own| own.port()));
        let missing = "`address` without `port` does not do for a Unix socket";
        let port = port.ok_or_else(|| Failure::Connect(missing.to_owned()))?;
        Ok(SocketAddr::new(ip, port).into())
    }
}
