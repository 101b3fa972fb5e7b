//! Certificates that are ordered: from a start without one, through the running proxy, to a client that sees it.

mod change;
mod failure;
mod first;
mod settings;
mod stored;

use crate::harness::acme::{Authority, Proof, by_handshake, by_http};
use crate::harness::{Gate, Handshake, Proxy, TlsClient};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// An authority that looks at nothing before it is told where: the ports of a proxy are known when it runs, and orders begin before that.
struct Site {
    authority: Authority,
    port: Arc<AtomicU16>,
    gate: Gate,
    begun: Mutex<Receiver<Proof>>,
}

impl Site {
    /// Names are proved by `http-01`.
    fn by_http() -> Site {
        Site::looking(|port, proof| by_http(port)(proof))
    }

    /// Names are proved by `tls-alpn-01`.
    fn by_handshake() -> Site {
        Site::looking(|port, proof| by_handshake(port)(proof))
    }

    fn looking(look: impl Fn(u16, &Proof) -> Result<(), String> + Send + Sync + 'static) -> Site {
        let (port, gate) = (Arc::new(AtomicU16::new(0)), Gate::default());
        let (begin, begun): (Sender<Proof>, _) = channel();
        let (begin, told, opened) = (Mutex::new(begin), port.clone(), gate.clone());
        let authority = Authority::start(move |proof| {
            let begin = begin.lock().expect("nobody panics holding it").clone();
            // A test need not be interested.
            let _ = begin.send(proof.clone());
            opened.wait();
            look(told.load(Ordering::Acquire), proof)
        });
        // As soon as the proxy dares to.
        authority.set_pace(0);
        Site {
            authority,
            port,
            gate,
            begun: Mutex::new(begun),
        }
    }

    /// From now on it looks at this address.
    fn look_at(&self, address: SocketAddr) {
        self.port.store(address.port(), Ordering::Release);
        self.gate.open();
    }

    /// What is to be shown for the next name whose challenge has begun; waits for it.
    fn begun(&self) -> Proof {
        let begun = self.begun.lock().expect("nobody panics holding it");
        let proof = begun.recv_timeout(crate::harness::PATIENCE);
        proof.expect("an order begins")
    }

    fn directory(&self) -> String {
        self.authority.directory()
    }

    /// A handshake with the listener "web" by a client that trusts what this authority issues, and nothing else.
    fn shake(&self, proxy: &Proxy, name: &str) -> io::Result<Handshake> {
        let client = TlsClient::trusting(&self.authority.root(), name);
        Ok(client.shake(proxy.address("web"))?.1)
    }
}

/// A listener "plain" in the clear and a listener "web" with TLS, both of which answer by their name. `tls` is what TLS has beside `acme`, `more` what
/// `acme` has beside the agreement to the terms.
fn web(directory: &str, tls: &str, more: &str) -> String {
    format!(
        r#"
        listener "plain" "127.0.0.1:0" {{ route {{ respond 200 body="plain" }} }}
        listener "web" "127.0.0.1:0" {{
            tls {{
                {tls}
                acme "{directory}" {{ terms-agreed #true; {more} }}
            }}
            route {{ respond 200 body="web" }}
        }}
        "#
    )
}

const HANDSHAKE: &str = r#"name "a.example"; challenge "tls-alpn-01""#;

/// The line of the log that says that a certificate was installed after `mark`; a test waits for it.
fn installed_after(proxy: &Proxy, mark: usize) -> String {
    proxy.log_line_after(mark, "certificate installed")
}

fn installed(proxy: &Proxy) -> String {
    installed_after(proxy, 0)
}
