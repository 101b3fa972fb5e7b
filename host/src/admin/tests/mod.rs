//! The listener over real sockets, with a proxy that is not there.

pub(crate) mod fake;
mod limits;
mod paths;

use super::serve;
use fake::Fake;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// An admin listener; ends when dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) proxy: Arc<Fake>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn start() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let proxy = Arc::new(Fake::default());
    let task = tokio::spawn(serve(listener, proxy.clone()));
    Running {
        address,
        proxy,
        task,
    }
}

struct Response {
    status: u16,
    /// In lower case.
    head: String,
    body: String,
}

impl Response {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    /// Sends these bytes and reads until the other side closes. None when it closed without an answer.
    async fn send(&self, request: &str) -> Option<Response> {
        let mut stream = self.connect().await;
        let sent = stream.write_all(request.as_bytes()).await;
        sent.expect("the listener reads");
        read(stream).await
    }

    /// One request with a good `Host`.
    async fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Response {
        let body = match body {
            Some(body) => format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            None => "\r\n".to_owned(),
        };
        let host = self.address;
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{body}");
        self.send(&request).await.expect("it answers")
    }
}

async fn read(mut stream: impl AsyncRead + Unpin) -> Option<Response> {
    let mut bytes = Vec::new();
    // A reset after the answer is as good an end as any.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).expect("it answers in UTF-8");
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Response {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    })
}
