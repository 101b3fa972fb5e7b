//! One of three endpoints fails, in every way there is, while eight downstreams ask without a pause: nobody of them notices.

use crate::harness::{Admin, Origin, Proxy, wait};
use socket2::{Domain, SockRef, Socket, Type};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CLIENTS: usize = 8;
/// Between two requests of a client: the load is to be continuous, not to starve the proxy on a small machine.
const PAUSE: Duration = Duration::from_millis(1);
/// How long what is slow takes to answer.
const SLOW: Duration = Duration::from_millis(300);
/// So many requests are answered, so many are not, and so on.
const FLAP: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Well,
    /// Takes requests and answers none.
    Hangs,
    /// Answers each request with a reset.
    Resets,
    Busy,
    /// Health checks notice nothing.
    Slow,
    Flaps,
}

/// An endpoint that can be broken, killed and started again.
struct Node {
    address: SocketAddr,
    /// Holds the port while nobody listens.
    _held: Socket,
    listener: Option<(TcpListener, Origin)>,
    state: Arc<State>,
}

struct State {
    mode: Mutex<Mode>,
    streams: Mutex<Vec<TcpStream>>,
    targets: Mutex<Vec<String>>,
    /// Requests so far, those of health checks too.
    requests: AtomicUsize,
    refused: AtomicUsize,
}

impl Node {
    fn start() -> Node {
        let held = reusable("127.0.0.1:0".parse().expect("an address"));
        let address = held.local_addr().expect("bound").as_socket();
        let mut node = Node {
            address: address.expect("an IP address"),
            _held: held,
            listener: None,
            state: Arc::new(State {
                mode: Mutex::new(Mode::Well),
                streams: Mutex::default(),
                targets: Mutex::default(),
                requests: AtomicUsize::new(0),
                refused: AtomicUsize::new(0),
            }),
        };
        node.revive();
        node
    }

    fn revive(&mut self) {
        let socket = reusable(self.address);
        socket.listen(128).expect("the port is ours");
        let listener = TcpListener::from(socket);
        let kept = listener.try_clone().expect("a second handle");
        let state = self.state.clone();
        let origin = Origin::start_on(listener, move |peer| state.serve(peer));
        self.listener = Some((kept, origin));
    }

    /// Nobody listens any more, and every connection is reset.
    fn kill(&mut self) {
        let (listener, _) = self.listener.take().expect("it runs");
        SockRef::from(&listener)
            .shutdown(Shutdown::Both)
            .expect("it listens");
        for stream in self.state.streams.lock().expect("no panic").drain(..) {
            let socket = SockRef::from(&stream);
            socket
                .set_linger(Some(Duration::ZERO))
                .expect("a TCP socket");
            // The proxy may have closed it.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn set(&self, mode: Mode) {
        *self.state.mode.lock().expect("no panic") = mode;
    }

    /// Requests for targets that begin so.
    fn received(&self, prefix: &str) -> usize {
        let targets = self.state.targets.lock().expect("no panic");
        targets
            .iter()
            .filter(|target| target.starts_with(prefix))
            .count()
    }
}

fn reusable(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("a socket");
    socket
        .bind(&address.into())
        .expect("the port is free or ours");
    socket
}

impl State {
    fn serve(&self, mut peer: crate::harness::Peer) {
        let stream = peer.stream().try_clone().expect("a second handle");
        self.streams.lock().expect("no panic").push(stream);
        while let Some(request) = peer.request() {
            let target = request.head.target().to_owned();
            let is_check = target == "/health";
            self.targets.lock().expect("no panic").push(target);
            let number = self.requests.fetch_add(1, Ordering::Relaxed);
            let mode = *self.mode.lock().expect("no panic");
            match mode {
                Mode::Hangs => continue,
                Mode::Resets => return self.refuse(peer),
                Mode::Flaps if number / FLAP % 2 == 1 => return self.refuse(peer),
                Mode::Busy => {
                    peer.send("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
                    continue;
                }
                Mode::Slow if !is_check => std::thread::sleep(SLOW),
                Mode::Well | Mode::Slow | Mode::Flaps => {}
            }
            peer.answer("well");
        }
    }

    fn refuse(&self, peer: crate::harness::Peer) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        // With the handle of ours it would not be closed.
        let ours = peer.stream().peer_addr().ok();
        let mut streams = self.streams.lock().expect("no panic");
        streams.retain(|stream| stream.peer_addr().ok() != ours);
        peer.abort();
    }
}

/// Three endpoints behind a proxy that does all it can.
struct Scene {
    nodes: [Node; 3],
    proxy: Proxy,
    admin: Admin,
}

impl Scene {
    fn start(retry: &str) -> Scene {
        let nodes = [Node::start(), Node::start(), Node::start()];
        let endpoints: String = nodes
            .iter()
            .map(|node| format!("    endpoint \"{}\"\n", node.address))
            .collect();
        // One failed check is enough: within an interval traffic goes elsewhere. A check may take long, since the machine may be busy.
        let proxy = Proxy::start(&format!(
            "process {{\n    workers 2\n    log format=\"json\"\n}}\nadmin \"127.0.0.1:0\"\nlistener \"web\" \"127.0.0.1:0\" {{ route {{ cluster \"c\" }} }}\ncluster \"c\" {{\n{endpoints}    health-check interval=\"50ms\" timeout=\"1s\" rise=2 fall=1 {{ http \"/health\" }}\n    outlier-detection consecutive-failures=5 ejection=\"200ms\" interval=\"1s\"\n    retry on=\"connect-failure,reset,timeout,503\" {retry}\n    timeouts response=\"60s\"\n}}\n"
        ));
        let admin = Admin::of(&proxy);
        Scene {
            nodes,
            proxy,
            admin,
        }
    }

    /// The load for as long as `meanwhile` runs, and at least so many requests of each client. Nothing of it fails.
    fn under_load(
        &mut self,
        phase: &str,
        least: usize,
        methods: &[&str],
        meanwhile: impl FnOnce(&mut Scene),
    ) {
        let over = AtomicBool::new(false);
        let address = self.proxy.address("web");
        let failed = std::thread::scope(|scope| {
            let over = &over;
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let prefix = format!("/{phase}/{client}");
                    scope.spawn(move || ask(address, &prefix, least, methods, over))
                })
                .collect();
            // However it ends, the clients end too.
            let ended = EndOfLoad(over);
            meanwhile(self);
            drop(ended);
            let failed = clients.into_iter().map(|client| client.join());
            failed
                .flat_map(|failed| failed.expect("each request is answered"))
                .collect::<Vec<String>>()
        });
        assert_eq!(failed, Vec::<String>::new(), "{phase}");
    }

    /// Until the endpoint takes no traffic, because checks say so.
    fn wait_until_down(&self, node: usize) {
        let address = self.nodes[node].address;
        self.admin.wait_for_endpoint("c", &address, |report| {
            report["state"] == "down" && report["eligible"] == false
        });
    }

    fn wait_until_eligible(&self, node: usize) {
        let address = self.nodes[node].address;
        self.admin
            .wait_for_endpoint("c", &address, |report| report["eligible"] == true);
    }

    /// The second node breaks under load. While it is broken requests fail over, once it is known to be down they do not come near it, and when
    /// it is well it gets its share again.
    fn one_breaks(&mut self, break_it: impl FnOnce(&mut Node), mend_it: impl FnOnce(&mut Node)) {
        self.under_load("before", 20, &["GET"], |_| {});
        assert!(self.nodes[1].received("/before") > 0);
        self.under_load("during", 20, &["GET", "PUT"], |scene| {
            break_it(&mut scene.nodes[1]);
            scene.wait_until_down(1);
        });
        self.under_load("after", 20, &["GET", "POST"], |_| {});
        assert_eq!(self.nodes[1].received("/after"), 0);
        self.assert_untried("/after", CLIENTS * 20);
        mend_it(&mut self.nodes[1]);
        self.wait_until_eligible(1);
        self.under_load("mended", 20, &["GET", "POST"], |_| {});
        assert!(self.nodes[1].received("/mended") > 0);
        self.assert_all_ok();
    }

    /// No request of the phase met an endpoint that failed it.
    fn assert_untried(&self, prefix: &str, count: usize) {
        let target = format!("\"target\":\"{prefix}/");
        let lines = wait(|| {
            let lines = self.proxy.access_lines().into_iter();
            let lines: Vec<_> = lines.filter(|line| line.contains(&target)).collect();
            if lines.len() >= count {
                Ok(lines)
            } else {
                Err(format!("{} of {count} lines", lines.len()))
            }
        });
        let broken = self.nodes[1].address.to_string();
        for line in lines {
            assert!(
                line.contains("\"attempts\":1,") && !line.contains(&broken),
                "{line}"
            );
        }
    }

    fn assert_all_ok(&self) {
        for line in self.proxy.access_lines() {
            assert!(line.contains("\"outcome\":\"ok\""), "{line}");
        }
    }
}

struct EndOfLoad<'o>(&'o AtomicBool);

impl Drop for EndOfLoad<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks on one connection until it is over. What was not answered with 200.
fn ask(
    address: SocketAddr,
    prefix: &str,
    least: usize,
    methods: &[&str],
    over: &AtomicBool,
) -> Vec<String> {
    let mut client = crate::harness::Client::connect(address);
    let mut failed = Vec::new();
    for number in 0.. {
        if number >= least && over.load(Ordering::Relaxed) {
            break;
        }
        let method = methods[number % methods.len()];
        let target = format!("{prefix}/{number}");
        let response = client.ask(method, &target, "Content-Length: 0\r\n");
        if response.status != 200 || !response.complete {
            failed.push(format!(
                "{method} {target}: {} {}",
                response.status,
                response.text()
            ));
        }
        std::thread::sleep(PAUSE);
    }
    failed
}

const PATIENT: &str = "timeout=\"10s\"";

#[test]
fn nobody_notices_that_an_endpoint_is_killed() {
    Scene::start(PATIENT).one_breaks(Node::kill, Node::revive);
}

#[test]
fn nobody_notices_that_an_endpoint_resets_every_connection() {
    Scene::start(PATIENT).one_breaks(|node| node.set(Mode::Resets), |node| node.set(Mode::Well));
}

#[test]
fn nobody_notices_that_an_endpoint_answers_503() {
    Scene::start(PATIENT).one_breaks(|node| node.set(Mode::Busy), |node| node.set(Mode::Well));
}

#[test]
fn nobody_notices_that_an_endpoint_hangs() {
    let hangs = |node: &mut Node| node.set(Mode::Hangs);
    Scene::start("timeout=\"1s\" budget=\"100%\"").one_breaks(hangs, |node| node.set(Mode::Well));
}

#[test]
fn nobody_waits_for_an_endpoint_that_is_slow() {
    let mut scene = Scene::start("timeout=\"10s\" hedge-delay=\"30ms\" budget=\"100%\"");
    scene.nodes[1].set(Mode::Slow);
    scene.under_load("slow", 30, &["GET"], |_| {});
    assert!(scene.nodes[1].received("/slow") > 0);
    scene.assert_all_ok();
    let hedged = scene.proxy.access_line(|line| line.number("attempts") == 2);
    assert_ne!(hedged.text("endpoint"), scene.nodes[1].address.to_string());
}

#[test]
fn nobody_notices_that_an_endpoint_flaps() {
    let mut scene = Scene::start("timeout=\"10s\" budget=\"100%\"");
    scene.nodes[1].set(Mode::Flaps);
    scene.under_load("flaps", 50, &["GET", "PUT"], |scene| {
        // It comes back as often as it goes.
        let state = scene.nodes[1].state.clone();
        wait(|| match state.refused.load(Ordering::Relaxed) {
            refused if refused >= 4 * FLAP => Ok(()),
            refused => Err(format!("{refused} were refused")),
        });
    });
    assert!(scene.nodes[1].received("/flaps") > 0);
    scene.assert_all_ok();
}

/// One endpoint after the other is drained, stopped, started and taken back, while others ask without a pause. Nothing is tried twice here.
#[test]
fn a_rolling_restart_of_every_endpoint_loses_nothing() {
    let mut scene = Scene::start("timeout=\"10s\" attempts=1");
    scene.under_load("rolling", 20, &["GET", "POST"], |scene| {
        for number in 0..scene.nodes.len() {
            let address = scene.nodes[number].address;
            scene.admin.order("c", &address, "drain");
            scene
                .admin
                .wait_for_endpoint("c", &address, |report| report["requests"] == 0);
            scene.nodes[number].kill();
            scene.nodes[number].revive();
            scene.admin.order("c", &address, "ready");
            scene.wait_until_eligible(number);
        }
    });
    scene.under_load("rolled", 20, &["GET", "POST"], |_| {});
    for node in &scene.nodes {
        assert!(node.received("/rolled") > 0);
    }
    scene.assert_all_ok();
}
