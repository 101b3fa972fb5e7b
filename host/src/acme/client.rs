//! Requests to the authority, each on a connection of its own: an order is a dozen of them every two months.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::error::AcmeError;
use crate::tls::roots::trusted_roots;

/// From the look-up of the name to the last byte of the answer.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// For one address of the authority, when it has several.
const CONNECT_TIME: Duration = Duration::from_secs(8);
/// Of an answer; the longest is a chain of certificates.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// HTTP/1.1 over TLS, or without it to this machine alone.
pub(super) struct Client {
    tls: TlsConnector,
}

impl Client {
    /// Trusts the PEM file `ca`, or else the system's roots. Blocks on files.
    pub(super) fn new(ca: Option<&Path>) -> Result<Client, AcmeError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| AcmeError::Roots(error.to_string()))?
            .with_root_certificates(trusted_roots(ca).map_err(AcmeError::Roots)?)
            .with_no_client_auth();
        Ok(Client {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let tls = self.tls.clone();
        Box::pin(async move {
            let host = request.uri().host().unwrap_or_default().to_owned();
            let answer = tokio::time::timeout(REQUEST_TIME, exchange(&tls, request)).await;
            let answer = answer.unwrap_or_else(|_| {
                Err(format!("no answer within {} s", REQUEST_TIME.as_secs()).into())
            });
            answer.map_err(|error| Error::Other(format!("{host}: {error}").into()))
        })
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(
    tls: &TlsConnector,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, AnyError> {
    let (scheme, authority) = split(&mut request)?;
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    if scheme == Scheme::HTTPS {
        let stream = connect(&host, authority.port_u16().unwrap_or(443), |_| true).await?;
        let stream = tls.connect(ServerName::try_from(host)?, stream).await?;
        return converse(stream, request).await;
    }
    // What is in clear stays on this machine, also where a directory sends us elsewhere.
    let here = |address: &SocketAddr| address.ip().is_loopback();
    let stream = connect(&host, authority.port_u16().unwrap_or(80), here).await?;
    converse(stream, request).await
}

/// Takes the authority off the target, into the `Host` field.
fn split(request: &mut Request<BodyWrapper<Bytes>>) -> Result<(Scheme, Authority), AnyError> {
    let parts = request.uri().clone().into_parts();
    let scheme = parts
        .scheme
        .filter(|scheme| *scheme == Scheme::HTTPS || *scheme == Scheme::HTTP);
    let (Some(scheme), Some(authority)) = (scheme, parts.authority) else {
        return Err("not an address of the kind https://host/path".into());
    };
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    request
        .headers_mut()
        .insert(HOST, HeaderValue::from_str(host)?);
    let path = parts
        .path_and_query
        .unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    Ok((scheme, authority))
}

/// The first address that takes the connection.
async fn connect(
    host: &str,
    port: u16,
    allowed: impl Fn(&SocketAddr) -> bool,
) -> Result<TcpStream, AnyError> {
    let addresses = tokio::net::lookup_host((host, port)).await?;
    let mut failed: AnyError = "not https, and not on this machine".into();
    for address in addresses.filter(allowed) {
        match tokio::time::timeout(CONNECT_TIME, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error.into(),
            Err(_) => failed = io::Error::from(io::ErrorKind::TimedOut).into(),
        }
    }
    Err(failed)
}

/// One request and the whole of its answer.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, AnyError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?;
        let body: Box<dyn instant_acme::BytesBody> = Box::new(body.to_bytes());
        Ok(BytesResponse { parts, body })
    };
    // The connection may well end before the answer is taken off it; how it ended, the answer tells.
    let driven = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = answer => answer,
        never = driven => never,
    }
}
