//! The TCP probe, and what all probes do before they speak.

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::super::{Prober, Transport};
use super::{listen, probe_and, prober, settings, target, words};
use crate::config::{HealthCheck, Probe};

#[tokio::test]
async fn an_open_port_passes_and_a_closed_one_is_refused() {
    let (listener, target) = listen().await;
    drop(listener);
    let result = prober(Probe::Tcp).probe(&target).await;
    assert_eq!(words(result), "connection refused");

    let (result, ()) = probe_and(&prober(Probe::Tcp), |stream| async { drop(stream) }).await;
    assert_eq!(words(result), "passed: connected");
}

#[tokio::test]
async fn an_endpoint_that_greets_sees_no_reset() {
    let (result, end) = probe_and(&prober(Probe::Tcp), |mut stream| async move {
        stream.write_all(b"220 mail.test ESMTP\r\n").await?;
        stream.read_to_end(&mut Vec::new()).await
    })
    .await;
    assert_eq!(words(result), "passed: connected");
    assert_eq!(end.ok(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_never_takes_leave_is_not_waited_for() {
    let (result, _stream) = probe_and(&prober(Probe::Tcp), |stream| async { stream }).await;
    assert_eq!(words(result), "passed: connected");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_accepted_in_time_fails() {
    let socket = TcpSocket::new_v4().expect("a socket");
    let local = "127.0.0.1:0".parse().expect("an address");
    socket.bind(local).expect("loopback");
    // A queue of one holds two; what comes then is not answered.
    let listener = socket.listen(1).expect("bound");
    let address = listener.local_addr().expect("bound");
    let queued = [(); 2].map(|()| std::net::TcpStream::connect(address));
    assert!(queued.iter().all(Result::is_ok));

    let prober = Prober::new(
        &HealthCheck {
            timeout: Duration::from_millis(1500),
            ..settings(Probe::Tcp)
        },
        Transport::default(),
    )
    .expect("sound");
    let result = prober.probe(&target(address, "full")).await;
    assert_eq!(words(result), "no connection within 1.5s");
}

#[tokio::test]
async fn the_address_and_port_of_the_check_go_before_the_endpoints() {
    let (listener, there) = listen().await;
    let there = there.address.ip().expect("not a Unix socket");
    let loopback: IpAddr = there.ip();
    let elsewhere: IpAddr = "127.0.0.2".parse().expect("an address");
    let port = there.port();
    // Held without listening, so that nothing answers there.
    let silent = TcpSocket::new_v4().expect("a socket");
    let local = "127.0.0.1:0".parse().expect("an address");
    silent.bind(local).expect("loopback");
    let closed = silent.local_addr().expect("bound").port();

    let cases = [
        ((loopback, port), (None, None), true),
        ((loopback, closed), (None, None), false),
        ((loopback, closed), (None, Some(port)), true),
        ((elsewhere, port), (Some(loopback), None), true),
        ((elsewhere, closed), (Some(loopback), Some(port)), true),
        ((loopback, port), (Some(elsewhere), None), false),
        ((loopback, port), (None, Some(closed)), false),
    ];
    let accept = async {
        loop {
            drop(listener.accept().await);
        }
    };
    let check = async {
        for (endpoint, (address, port), passes) in cases {
            let settings = HealthCheck {
                address,
                port,
                ..settings(Probe::Tcp)
            };
            let prober = Prober::new(&settings, Transport::default()).expect("sound");
            let result = prober.probe(&target(endpoint.into(), "app")).await;
            assert_eq!(result.is_ok(), passes, "{endpoint:?} {address:?} {port:?}");
        }
    };
    tokio::select! {
        () = check => {}
        () = accept => unreachable!("it has no end"),
    }
}
