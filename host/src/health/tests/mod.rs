//! The room against real sockets and paused time.

mod counter;
mod grpc;
mod http;
mod task;
mod tcp;
mod tls;
mod transport;
mod unix;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::{Failure, Passed, Prober, Target, Transport};
use crate::config::{HealthCheck, HttpProbe, InitialHealth, Percent, Probe};

/// Long enough for any machine; tests of timeouts own the clock.
const TIMEOUT: Duration = Duration::from_secs(30);

fn settings(probe: Probe) -> HealthCheck {
    HealthCheck {
        probe,
        interval: Duration::from_secs(10),
        interval_changing: Duration::from_secs(1),
        interval_down: Duration::from_secs(60),
        jitter: Percent(0),
        timeout: TIMEOUT,
        rise: 2,
        fall: 3,
        port: None,
        address: None,
        initial: InitialHealth::Up,
    }
}

fn http_probe() -> HttpProbe {
    HttpProbe {
        path: "/healthz".to_owned(),
        method: "GET".to_owned(),
        host: None,
        headers: Vec::new(),
        expect: vec![200..=399],
        body: None,
    }
}

fn prober(probe: Probe) -> Prober {
    travelling(probe, Transport::default())
}

fn travelling(probe: Probe, transport: Transport) -> Prober {
    Prober::new(&settings(probe), transport).expect("the probe of a test is sound")
}

/// Where checks run.
async fn local<T>(work: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(work).await
}

fn target(address: SocketAddr, label: &str) -> Target {
    Target {
        address: address.into(),
        label: label.to_owned(),
    }
}

async fn listen() -> (TcpListener, Target) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let label = format!("localhost:{}", address.port());
    (listener, target(address, &label))
}

/// Runs a check and the endpoint that accepts its connection at the same time; both must end.
async fn probe_and<T, F: Future<Output = T>>(
    prober: &Prober,
    endpoint: impl FnOnce(TcpStream) -> F,
) -> (Result<Passed, Failure>, T) {
    let (listener, target) = listen().await;
    let serve = async {
        let (stream, _) = listener.accept().await.expect("the check connects");
        endpoint(stream).await
    };
    local(async { tokio::join!(prober.probe(&target), serve) }).await
}

/// An endpoint that reads a request head, sends `answer` and closes. Gives the head.
async fn answer_with(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("the head is sent whole"));
    }
    // The check may have seen enough before all is sent.
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
    String::from_utf8(head).expect("ASCII")
}

/// Checks an endpoint that accepts, waits to be spoken to, sends `first` and then nothing more, on a paused clock.
async fn probe_deaf(probe: Probe, first: &[u8]) -> (Result<Passed, Failure>, Duration) {
    let prober = Prober::new(
        &HealthCheck {
            timeout: Duration::from_secs(1),
            ..settings(probe)
        },
        Transport::default(),
    )
    .expect("the probe of a test is sound");
    let (listener, target) = listen().await;
    let deaf = async {
        let (mut stream, _) = listener.accept().await.expect("the check connects");
        let spoken = stream.read(&mut [0; 4096]).await;
        assert!(
            spoken.is_ok_and(|bytes| bytes > 0),
            "the check speaks first"
        );
        stream.write_all(first).await.expect("it listens");
        std::future::pending::<()>().await;
    };
    let begun = tokio::time::Instant::now();
    local(async {
        tokio::select! {
            result = prober.probe(&target) => (result, begun.elapsed()),
            () = deaf => unreachable!("it is pending"),
        }
    })
    .await
}

/// Whether a check that is dropped while it waits for an answer closes its connection.
async fn is_closed_when_dropped(probe: Probe) -> bool {
    let prober = prober(probe);
    let (listener, target) = listen().await;
    local(async {
        let check = tokio::task::spawn_local(async move { prober.probe(&target).await });
        let (mut stream, _) = listener.accept().await.expect("the check connects");
        check.abort();
        // Returns at the end of the stream, by a close or by a reset; it would wait for ever for a connection that is left open.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        check.await.is_err_and(|error| error.is_cancelled())
    })
    .await
}

fn words(result: Result<Passed, Failure>) -> String {
    match result {
        Ok(passed) => format!("passed: {}", passed.detail),
        Err(failure) => failure.to_string(),
    }
}
