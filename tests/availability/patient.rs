//! Origins whose health a test decides, and what the log says about them.

use crate::harness::{Gate, Origin, Peer, Proxy, wait};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

/// Checks that decide at once and are made often. Their timeout is long, since the machine may be busy.
pub(super) const CHECK: &str =
    r#"health-check interval="20ms" timeout="60s" rise=1 fall=1 { http "/health" }"#;

/// An origin that is checked at `/health` and says what the test wants. Shows itself as its address.
pub(super) struct Patient {
    origin: Origin,
    /// `/silent` is not answered before it opens, `/held` only by half.
    pub(super) gate: Gate,
    said: Arc<Said>,
}

/// Status of checks and of everything else, and how many there were of each.
struct Said {
    check: AtomicU16,
    answer: AtomicU16,
    checks: AtomicUsize,
    answers: AtomicUsize,
}

impl Patient {
    /// Well, and answers every other path with 200 and its name; `/ws` becomes an echo.
    pub(super) fn named(name: &'static str) -> Patient {
        let (gate, said) = (Gate::default(), Arc::new(Said::well()));
        let (opened, saying) = (gate.clone(), said.clone());
        let origin = Origin::start(move |mut peer| {
            while let Some(request) = peer.request() {
                saying.answer(request.head.target(), name, &mut peer, &opened);
            }
        });
        Patient { origin, gate, said }
    }

    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.origin.address()
    }

    /// Checks fail from now on.
    pub(super) fn falls_ill(&self) {
        self.said.check.store(503, Ordering::SeqCst);
    }

    /// Checks pass from now on.
    pub(super) fn recovers(&self) {
        self.said.check.store(200, Ordering::SeqCst);
    }

    /// What is no check has this status from now on.
    pub(super) fn answers(&self, status: u16) {
        self.said.answer.store(status, Ordering::SeqCst);
    }

    /// Checks so far.
    pub(super) fn checks(&self) -> usize {
        self.said.checks.load(Ordering::SeqCst)
    }

    /// Requests so far that were no checks.
    pub(super) fn served(&self) -> usize {
        self.said.answers.load(Ordering::SeqCst)
    }

    /// Until there were so many further checks.
    pub(super) fn wait_for_checks(&self, more: usize) {
        let wanted = self.checks() + more;
        wait(|| match self.checks() {
            count if count >= wanted => Ok(()),
            count => Err(format!("{count} checks of {wanted}")),
        });
    }

    /// Until a request has arrived that was no check.
    pub(super) fn wait_for_request(&self) {
        wait(|| match self.served() {
            0 => Err("no request".to_owned()),
            _ => Ok(()),
        });
    }
}

impl Said {
    fn well() -> Said {
        Said {
            check: AtomicU16::new(200),
            answer: AtomicU16::new(200),
            checks: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
        }
    }

    fn answer(&self, target: &str, name: &str, peer: &mut Peer, gate: &Gate) {
        if target == "/health" {
            self.checks.fetch_add(1, Ordering::SeqCst);
            return peer.send(head(self.check.load(Ordering::SeqCst), 0));
        }
        self.answers.fetch_add(1, Ordering::SeqCst);
        match target {
            "/held" => {
                peer.send(head(200, 8) + "half");
                gate.wait();
                peer.send("half");
            }
            "/ws" => echo(peer),
            _ => {
                if target == "/silent" {
                    gate.wait();
                }
                let status = self.answer.load(Ordering::SeqCst);
                peer.send(head(status, name.len()) + name);
            }
        }
    }
}

fn head(status: u16, length: usize) -> String {
    format!("HTTP/1.1 {status} said\r\nContent-Length: {length}\r\n\r\n")
}

fn echo(peer: &mut Peer) {
    peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    loop {
        let byte = peer.take(1);
        if byte.is_empty() {
            return;
        }
        peer.send(byte);
    }
}

impl fmt::Display for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.fmt(f)
    }
}

/// The first log line from `mark` on that says this about an endpoint of `cluster`; waits for it.
pub(super) fn said_of(
    proxy: &Proxy,
    mark: usize,
    message: &str,
    cluster: &str,
    endpoint: &dyn fmt::Display,
) -> Value {
    let words = format!(r#""message":"{message}","cluster":"{cluster}","endpoint":"{endpoint}""#);
    serde_json::from_str(&proxy.log_line_after(mark, &words)).expect("the log is JSON")
}

/// Waits until an endpoint of "c" goes down; why.
pub(super) fn is_down(proxy: &Proxy, mark: usize, endpoint: &dyn fmt::Display) -> String {
    reason(&said_of(proxy, mark, "endpoint is down", "c", endpoint))
}

/// Waits until an endpoint of "c" comes up; why.
pub(super) fn is_up(proxy: &Proxy, mark: usize, endpoint: &dyn fmt::Display) -> String {
    reason(&said_of(proxy, mark, "endpoint is up", "c", endpoint))
}

pub(super) fn reason(line: &Value) -> String {
    line["reason"].as_str().expect("it says why").to_owned()
}

/// Has an endpoint of "c" fail its checks, and waits until it is down.
pub(super) fn take_down(proxy: &Proxy, patient: &Patient) {
    let mark = proxy.log_mark();
    patient.falls_ill();
    assert_eq!(is_down(proxy, mark, patient), "status 503");
}

/// Has an endpoint of "c" pass its checks, and waits until it is up.
pub(super) fn bring_up(proxy: &Proxy, patient: &Patient) {
    let mark = proxy.log_mark();
    patient.recovers();
    assert_eq!(is_up(proxy, mark, patient), "status 200");
}
