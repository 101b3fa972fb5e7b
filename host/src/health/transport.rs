//! What lies between the connection and what a probe says on it: the PROXY header, then TLS.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;

use super::deadline::Deadline;
use super::{Failure, Stage};
use crate::config::{ProxyProtocolOut, ProxyVersion};
use crate::net::stream::Stream;
use crate::proxy_protocol::{self, Header};
use crate::tls;

/// How the requests of a cluster travel, and so its checks. Default: in the clear, as HTTP/1.1, without a PROXY header.
#[derive(Debug, Clone, Default)]
pub struct Transport {
    /// The cluster's; a `tls` probe has settings of its own.
    pub tls: Option<Arc<tls::Client>>,
    pub proxy_protocol: Option<ProxyProtocolOut>,
    /// `http` probes speak HTTP/2; `grpc` ones do so always.
    pub http2: bool,
}

impl Transport {
    /// Whether endpoints see no difference.
    pub(super) fn is_same(&self, other: &Transport) -> bool {
        let identity = |transport: &Transport| transport.tls.as_ref().map(|tls| tls.identity());
        identity(self) == identity(other)
            && self.proxy_protocol == other.proxy_protocol
            && self.http2 == other.http2
    }

    /// Sends the PROXY header, where there is one. As no downstream is behind the connection it speaks of the connection itself.
    pub(super) async fn introduce(
        &self,
        stream: &mut Stream,
        deadline: &Deadline,
    ) -> Result<(), Failure> {
        let Some(settings) = &self.proxy_protocol else {
            return Ok(());
        };
        let header = header(settings, stream);
        let sent = deadline.bound(Stage::Connection, stream.write_all(&header));
        sent.await?
            .map_err(|error| Failure::Connect(error.to_string()))
    }

    /// The stream with TLS above it, where the cluster has it, and the protocol that was agreed on.
    pub(super) async fn secure(
        &self,
        stream: Stream,
        label: &str,
        deadline: &Deadline,
    ) -> Result<(Stream, Option<Box<[u8]>>), Failure> {
        let Some(tls) = &self.tls else {
            return Ok((stream, None));
        };
        let handshake = deadline.bound(Stage::Handshake, tls.connect(stream, label));
        let secured = handshake.await?;
        secured.map_err(|error| Failure::from_tls(&error))
    }
}

/// Version 2 says `LOCAL`. Version 1 has no such word; the protocol asks senders of checks to give the addresses of the connection, since there
/// are receivers that refuse `UNKNOWN`, which is left for connections without such addresses.
fn header(settings: &ProxyProtocolOut, stream: &Stream) -> Vec<u8> {
    let mut out = Vec::new();
    let addresses = match (settings.version, stream) {
        (ProxyVersion::V1, Stream::Tcp(tcp)) => tcp.local_addr().ok().zip(tcp.peer_addr().ok()),
        _ => None,
    };
    match addresses {
        Some((source, destination)) => {
            let header = Header {
                version: settings.version,
                source: Some(source),
                destination: Some(destination),
                values: &[],
                checksum: settings.checksum,
            };
            proxy_protocol::write(&header, &mut out);
        }
        None => proxy_protocol::write_local(settings, &mut out),
    }
    out
}
