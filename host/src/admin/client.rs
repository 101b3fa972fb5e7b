//! The other end of the admin API, for the commands.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue, InvalidHeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::error::Error;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// For a request as a whole, the connection included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A cluster of ten thousand endpoints with their histories has less.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Asks one proxy.
#[derive(Debug, Clone)]
pub struct Client {
    address: String,
}

/// An answer, good or bad.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: StatusCode,
    /// Null where the answer has no body.
    pub body: Value,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    #[error("nothing answers at {address}")]
    Connect { address: String, source: io::Error },
    #[error("{address} did not answer within {} s", TIMEOUT.as_secs())]
    Timeout { address: String },
    #[error("the exchange with {address} failed")]
    Exchange {
        address: String,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error(
        "what {address} answered with status {status} is no JSON: another program may be listening there"
    )]
    NotJson { address: String, status: StatusCode },
    #[error("this cannot be asked for")]
    Ask(#[from] hyper::http::Error),
}

impl Client {
    /// Of the proxy whose admin listener is at `address`: `127.0.0.1:9900`, `[::1]:9900` or `localhost:9900`.
    pub fn new(address: impl Into<String>) -> Client {
        Client {
            address: address.into(),
        }
    }

    /// Sends one request over a connection of its own. A status that says no is an answer too. Dropping the future closes the connection.
    ///
    /// # Errors
    /// [`ClientError`], when there was no answer in JSON within 5 s.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, ClientError> {
        let exchange = self.exchange(self.request(method, path, body)?);
        let finished = tokio::time::timeout(TIMEOUT, exchange).await;
        finished.unwrap_or_else(|_| {
            Err(ClientError::Timeout {
                address: self.address.clone(),
            })
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let host: Result<HeaderValue, InvalidHeaderValue> = HeaderValue::from_str(&self.address);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host?)
            .header(ACCEPT, "application/json");
        match body {
            Some(body) => request
                .header(CONTENT_TYPE, "application/json")
                .body(Full::from(body.to_string())),
            None => request.body(Full::default()),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Reply, ClientError> {
        let connecting = TcpStream::connect(&self.address).await;
        let stream = connecting.map_err(|source| ClientError::Connect {
            address: self.address.clone(),
            source,
        })?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| self.broken(error))?;
        let answered = async {
            let response = sender.send_request(request).await;
            self.read(response.map_err(|error| self.broken(error))?)
                .await
        };
        let mut answered = std::pin::pin!(answered);
        tokio::select! {
            biased;
            reply = &mut answered => reply,
            // What went wrong with the connection is what the exchange says next; what it had read by then is there still.
            _ = connection => answered.await,
        }
    }

    fn broken(&self, source: impl Into<Box<dyn Error + Send + Sync>>) -> ClientError {
        ClientError::Exchange {
            address: self.address.clone(),
            source: source.into(),
        }
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Reply, ClientError> {
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let bytes = body.collect().await.map_err(|source| self.broken(source))?;
        let bytes = bytes.to_bytes();
        let body = match &*bytes {
            [] => Ok(Value::Null),
            bytes => serde_json::from_slice(bytes),
        };
        body.map(|body| Reply { status, body })
            .map_err(|_| ClientError::NotJson {
                address: self.address.clone(),
                status,
            })
    }
}
