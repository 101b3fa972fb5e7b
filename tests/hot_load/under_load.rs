//! The promise as a whole: under continuous load, a hundred reloads and twenty plugin swaps, half of what is offered broken, fail no request,
//! cut no stream, and leave no old generation alive.

use super::{Way, generation, hang_up, retired};
use crate::harness::{Client, Origin, Proxy, config};
use crate::plugins::{bundled, guests};
use crate::tcp::{echo, end, established, pattern, read_exactly, server};
use crate::websocket;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const TEXT: &str = r#"
process {
    workers 2
    log format="json"
}
plugin "mine" "mine.wasm"

demo-origins { http "DEMO" name="demo" }

listener "web" "127.0.0.1:0" {
    filters { request-id }
    route path="/ws" { cluster "demo" }
    route {
        filters {
            mine
            headers { response { set "x-version" "VERSION" } }
        }
        cluster "c"
    }
}
cluster "demo" { endpoint "DEMO" }
cluster "c" {
    endpoint "ONE"
    endpoint "OTHER"
}
"#;

/// Configurations that are offered and must not be taken; each keeps the rest as it is.
const BROKEN: [(&str, &str); 4] = [
    ("filters { request-id }", "filters { request-id"),
    ("cluster \"c\"\n    }", "cluster \"nowhere\"\n    }"),
    ("set \"x-version\" ", "set \"x version\" "),
    ("workers 2", "workers 2 3"),
];

const LOADERS: usize = 4;
/// Between two requests of a loader: the load is to be continuous, not to starve the reloads on a small machine.
const PAUSE: Duration = Duration::from_millis(1);
/// One part of the slow download after each offer.
const PART: usize = 10_000;
const OFFERS: usize = 100;
const SWAPS: usize = 20;

/// Everything that goes on while the offers are made.
struct Load {
    over: AtomicBool,
    answered: AtomicUsize,
}

#[test]
fn a_hundred_reloads_and_twenty_swaps_disturb_nobody() {
    let (parts, wanted) = mpsc::channel();
    let slow = slow_origin(wanted);
    let (one, other) = (Origin::named("one"), Origin::named("other"));
    let demo = crate::harness::closed_port().1;
    let text = config(TEXT, &[("DEMO", &demo), ("ONE", &one), ("OTHER", &other)]);
    let relayed = server(echo);
    let text = text
        + &config(
            "listener \"raw\" \"127.0.0.1:0\" { protocol \"tcp\"; route { cluster \"raw\" } }\ncluster \"raw\" { endpoint \"RELAYED\" }\n",
            &[("RELAYED", &relayed)],
        );
    let text = text
        + &config(
            "listener \"slow\" \"127.0.0.1:0\" { route { cluster \"slow\" } }\ncluster \"slow\" { endpoint \"SLOW\" }\n",
            &[("SLOW", &slow)],
        );
    let directory = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(directory.path().join("mine.wasm"), plugin(0)).expect("a writable folder");
    let proxy = Proxy::start_in(directory, &text.replace("VERSION", "0")).expect("it is valid");

    let load = Load {
        over: AtomicBool::new(false),
        answered: AtomicUsize::new(0),
    };
    let mut socket = websocket::open(proxy.address("web"));
    let mut relay = established(proxy.address("raw"));
    let last = thread::scope(|scope| {
        let download = scope.spawn(|| download(proxy.client_of("slow")));
        let loaders: Vec<_> = (0..LOADERS)
            .map(|_| scope.spawn(|| keep_asking(proxy.address("web"), &load)))
            .collect();
        let offers = Offers {
            proxy: &proxy,
            text: &text,
            load: &load,
        };
        let over = Over(&load);
        for number in 0..OFFERS {
            offers.configuration(number);
            if number % (2 * OFFERS / SWAPS) == 0 {
                offers.broken_plugin(number);
                offers.good_plugin(number);
                hang_up(&proxy).expect("nothing has changed");
            }
            parts.send(()).expect("the download goes on");
            websocket::echoes(&mut socket, &format!("after offer {number}"));
            relay.write_all(b"ping").expect("the relay goes on");
            assert_eq!(read_exactly(&mut relay, 4), b"ping");
        }
        drop(over);
        loaders
            .into_iter()
            .for_each(|loader| loader.join().expect("no request failed"));
        drop(parts);
        assert!(
            download.join().expect("the download ended") == pattern(PART * OFFERS),
            "the download is not what was sent"
        );
        offers.last_generation()
    });
    drop(socket);
    end(&proxy, relay);

    // One more, in which workers drop what nobody needs any longer.
    Way::Rename
        .configure(&proxy, &text.replace("VERSION", "end"))
        .expect("it is valid");
    for generation in 1..=last {
        proxy.log_line(&format!(
            "\"generation retired\",\"generation\":{generation},"
        ));
    }
    assert!(
        !retired(&proxy).contains(&(last + 1)),
        "the last one is in force"
    );
    only_good_outcomes(&proxy);
}

/// Filters in turn that leave the request alone and that mark it; each has bytes of its own.
fn plugin(number: usize) -> Vec<u8> {
    let mut component = if number.is_multiple_of(2) {
        std::fs::read(guests::hostile()).expect("it was built")
    } else {
        bundled("request-id")
    };
    // A custom section: length, length of the name, name, content.
    component.extend_from_slice(&[0, 3, 1, b'n', number as u8]);
    component
}

/// An origin that sends one part of its answer each time that it is told to, and ends when nobody can tell it any more.
fn slow_origin(wanted: mpsc::Receiver<()>) -> Origin {
    let wanted = std::sync::Mutex::new(wanted);
    Origin::start(move |mut peer| {
        peer.request();
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            PART * OFFERS
        ));
        for part in pattern(PART * OFFERS).chunks(PART) {
            wanted
                .lock()
                .expect("one connection")
                .recv()
                .expect("another part is wanted");
            peer.send(part);
        }
    })
}

fn download(mut client: Client) -> Vec<u8> {
    let response = client.get("/download");
    assert!(response.complete && response.status == 200);
    response.body
}

/// Requests on one connection, one after the other.
fn keep_asking(address: SocketAddr, load: &Load) {
    let mut client = Client::connect(address);
    while !load.over.load(Ordering::Relaxed) {
        let response = client.get("/load");
        assert_eq!(response.status, 200, "{}", response.head.raw);
        assert!(
            response.complete && matches!(response.text().as_str(), "one" | "other"),
            "{}",
            response.text()
        );
        assert!(
            response.header("x-version").is_some() && response.header("connection").is_none(),
            "{}",
            response.head.raw
        );
        load.answered.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PAUSE);
    }
}

/// Ends the load however the test ends.
struct Over<'a>(&'a Load);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

struct Offers<'a> {
    proxy: &'a Proxy,
    text: &'a str,
    load: &'a Load,
}

impl Offers<'_> {
    fn way(number: usize) -> Way {
        Way::ALL[number / 2 % Way::ALL.len()]
    }

    /// A good one, then a broken one, and so on: plugins are swapped while a good one is there.
    fn configuration(&self, number: usize) {
        self.load_goes_on();
        let version = number.to_string();
        let good = self.text.replace("VERSION", &version);
        if number.is_multiple_of(2) {
            Self::way(number)
                .configure(self.proxy, &good)
                .unwrap_or_else(|why| panic!("offer {number}: {why}"));
            assert_eq!(
                self.proxy.client().get("/probe").header("x-version"),
                Some(&*version),
                "offer {number} is in force"
            );
            return;
        }
        let (from, to) = BROKEN[number / 2 % BROKEN.len()];
        assert!(good.contains(from));
        let before = self.last_generation();
        let refused = Self::way(number).configure(self.proxy, &good.replace(from, to));
        assert_eq!(
            generation(&refused.expect_err("it is broken")),
            before,
            "offer {number}"
        );
    }

    fn broken_plugin(&self, number: usize) {
        let good = plugin(number);
        let broken = match number % 3 {
            0 => good[..good.len() / 3].to_vec(),
            1 => bundled("round-robin"),
            _ => b"garbage".to_vec(),
        };
        Self::way(number + 1)
            .offer(self.proxy, "mine.wasm", &broken)
            .expect_err("it is broken");
    }

    fn good_plugin(&self, number: usize) {
        let number = number / (2 * OFFERS / SWAPS) + 1;
        Self::way(number)
            .offer(self.proxy, "mine.wasm", &plugin(number))
            .unwrap_or_else(|why| panic!("swap {number}: {why}"));
    }

    /// Between two offers every loader has had its turn.
    fn load_goes_on(&self) {
        let before = self.load.answered.load(Ordering::Relaxed);
        while self.load.answered.load(Ordering::Relaxed) < before + LOADERS {
            thread::yield_now();
        }
    }

    fn last_generation(&self) -> u64 {
        let lines = self.proxy.log_lines();
        let last = lines
            .iter()
            .rfind(|line| line.contains("\"generation in force\""));
        generation(last.expect("one is in force"))
    }
}

fn only_good_outcomes(proxy: &Proxy) {
    let good = |line: &String| {
        line.contains("\"outcome\":\"ok\"") || line.contains("\"outcome\":\"tunnel\"")
    };
    let bad: Vec<_> = proxy
        .access_lines()
        .into_iter()
        .filter(|line| !good(line))
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
}
