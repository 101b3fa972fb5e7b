//! How the endpoints of a cluster are spoken to below HTTP/1.1: TLS, a PROXY header, HTTP/2.

use crate::config::ProxyProtocolOut;
use crate::http::{ConnectionFacts, Scheme};
use crate::http2::client;
use crate::net::stream::Stream;
use crate::proxy_protocol;
use crate::tls;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io;
use std::sync::Arc;

/// What lies between a socket and the HTTP/1.1 that the data path speaks. The default is nothing.
#[derive(Debug, Default)]
pub struct Transport {
    pub tls: Option<Arc<tls::Client>>,
    pub proxy_protocol: Option<ProxyProtocolOut>,
    pub http2: Option<client::Settings>,
}

impl Transport {
    /// Connections of different identities are not shared: another certificate may have been verified, or none.
    pub fn identity(&self) -> u64 {
        let tls = self.tls.as_ref().map(|tls| tls.identity());
        let http2 = self.http2.map(|http2| {
            let windows = (http2.stream_window, http2.connection_window);
            (http2.streams_max, windows, http2.header_bytes_max)
        });
        let proxy = self.proxy_protocol.is_some();
        BuildHasherDefault::<DefaultHasher>::default().hash_one((tls, http2, proxy))
    }

    /// Whether there is nothing between socket and HTTP/1.1.
    pub fn is_plain(&self) -> bool {
        self.tls.is_none() && self.proxy_protocol.is_none() && self.http2.is_none()
    }

    /// Whether a connection may carry requests of several downstreams: a PROXY header speaks for one of them only (SEMANTICS 56).
    pub fn is_shared(&self) -> bool {
        self.proxy_protocol.is_none()
    }

    /// The scheme that HTTP/2 requests name.
    pub fn scheme(&self) -> Scheme {
        if self.tls.is_some() {
            Scheme::Https
        } else {
            Scheme::Http
        }
    }

    /// Brings a socket that was just connected to where HTTP begins. `label` is the endpoint as written; `facts` are those of the downstream
    /// that the connection is for, none where it is for nobody.
    ///
    /// # Errors
    /// The stream's; a handshake that fails says why.
    pub async fn establish(
        &self,
        mut stream: Stream,
        label: &str,
        facts: Option<&ConnectionFacts>,
    ) -> io::Result<Stream> {
        if let Some(settings) = &self.proxy_protocol {
            let mut header = Vec::new();
            match facts {
                Some(facts) => proxy_protocol::write_for(settings, facts, &mut header),
                None => proxy_protocol::write_local(settings, &mut header),
            }
            stream.send(&header).await?;
        }
        let Some(tls) = &self.tls else {
            return Ok(stream);
        };
        let (stream, alpn) = tls.connect(stream, label).await?;
        if self.http2.is_some() && alpn.as_deref() != Some(b"h2") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the endpoint did not agree on HTTP/2 (ALPN h2)",
            ));
        }
        Ok(stream)
    }
}
