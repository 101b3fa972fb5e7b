//! One line for each exchange and each TCP connection.
//!
//! Fields are structured events, so the text form is `name=value` pairs and the JSON form an object with the same names.

use super::log::ACCESS;
use crate::http::TlsFacts;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Whether access lines are written at all; ask before collecting.
pub fn is_enabled() -> bool {
    tracing::enabled!(target: ACCESS, tracing::Level::INFO)
}

/// The timers of SEMANTICS 77 that an HTTP exchange has; `None`: the stage was never finished.
#[derive(Debug, Default, Clone, Copy)]
pub struct Timers {
    /// From the first byte of the request to the end of its head.
    pub request_head: Option<Duration>,
    /// Waiting for a place at an endpoint, over all attempts.
    pub queue: Option<Duration>,
    /// Establishing the upstream connection; zero when it was reused.
    pub connect: Option<Duration>,
    /// From the request having been sent to the response head.
    pub response_head: Option<Duration>,
    /// From the response head to the last byte.
    pub data: Option<Duration>,
    /// From the first byte of the request to the last of the response.
    pub active: Duration,
}

/// An exchange, when it is over.
#[derive(Debug)]
pub struct HttpLine<'a> {
    pub client: IpAddr,
    pub listener: &'a str,
    pub route: &'a str,
    pub cluster: &'a str,
    pub endpoint: &'a str,
    /// What the request was bound to: `none`, `invalid`, `new`, `unknown`, `valid`; empty where the cluster has no affinity.
    pub affinity: &'a str,
    /// What the downstream was told: `none`, `inserted`, `rewritten`, `prefixed`, `dropped`, `remembered`; likewise.
    pub affinity_issued: &'a str,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    pub protocol: &'a str,
    pub tls: Option<&'a TlsFacts>,
    pub method: &'a str,
    pub host: &'a str,
    pub target: &'a str,
    pub status: u16,
    pub outcome: &'static str,
    pub downstream_bytes: u64,
    pub upstream_bytes: u64,
    pub attempts: u32,
    pub timers: Timers,
    /// `name` or `name:fault`, comma between.
    pub filters: &'a str,
    pub generation: u64,
    pub connection: u64,
}

/// A TCP connection, when it is over.
#[derive(Debug)]
pub struct TcpLine<'a> {
    pub client: SocketAddr,
    pub listener: &'a str,
    pub route: &'a str,
    pub tls: Option<&'a TlsFacts>,
    pub cluster: &'a str,
    pub endpoint: &'a str,
    pub outcome: &'static str,
    pub downstream_bytes: u64,
    pub upstream_bytes: u64,
    pub attempts: u32,
    /// Waiting for a place at an endpoint, over all attempts.
    pub queue: Option<Duration>,
    pub connect: Option<Duration>,
    pub total: Duration,
    pub generation: u64,
    pub connection: u64,
}

impl HttpLine<'_> {
    /// Writes the line.
    pub fn write(&self) {
        tracing::info!(
            target: ACCESS,
            kind = "http",
            client = %self.client,
            listener = self.listener,
            route = self.route,
            cluster = self.cluster,
            endpoint = self.endpoint,
            affinity = self.affinity,
            affinity_issued = self.affinity_issued,
            protocol = self.protocol,
            tls_version = self.tls.map(|tls| tls.version).unwrap_or_default(),
            tls_cipher = self.tls.map(|tls| tls.cipher).unwrap_or_default(),
            tls_sni = sni(self.tls),
            tls_client = client(self.tls),
            method = self.method,
            host = self.host,
            target = self.target,
            status = self.status,
            outcome = self.outcome,
            downstream_bytes = self.downstream_bytes,
            upstream_bytes = self.upstream_bytes,
            attempts = self.attempts,
            request_head_us = micros(self.timers.request_head),
            queue_us = micros(self.timers.queue),
            connect_us = micros(self.timers.connect),
            response_head_us = micros(self.timers.response_head),
            data_us = micros(self.timers.data),
            active_us = micros(Some(self.timers.active)),
            filters = self.filters,
            generation = self.generation,
            connection = self.connection,
        );
    }
}

impl TcpLine<'_> {
    /// Writes the line.
    pub fn write(&self) {
        tracing::info!(
            target: ACCESS,
            kind = "tcp",
            client = %self.client,
            listener = self.listener,
            route = self.route,
            tls_version = self.tls.map(|tls| tls.version).unwrap_or_default(),
            tls_cipher = self.tls.map(|tls| tls.cipher).unwrap_or_default(),
            tls_sni = sni(self.tls),
            tls_client = client(self.tls),
            cluster = self.cluster,
            endpoint = self.endpoint,
            outcome = self.outcome,
            downstream_bytes = self.downstream_bytes,
            upstream_bytes = self.upstream_bytes,
            attempts = self.attempts,
            queue_us = micros(self.queue),
            connect_us = micros(self.connect),
            total_us = micros(Some(self.total)),
            generation = self.generation,
            connection = self.connection,
        );
    }
}

/// The name that the client asked for in the handshake.
fn sni(tls: Option<&TlsFacts>) -> &str {
    tls.and_then(|tls| tls.sni.as_deref()).unwrap_or_default()
}

/// The subject of the client's certificate.
fn client(tls: Option<&TlsFacts>) -> &str {
    let client = tls.and_then(|tls| tls.client.as_ref());
    client.map(|client| &*client.subject).unwrap_or_default()
}

/// Microseconds; -1 for a stage that never finished, as the field writes it.
fn micros(duration: Option<Duration>) -> i64 {
    duration.map_or(-1, |duration| {
        i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
    })
}
