//! Listeners on Unix sockets.

use super::{client_at, client_at_name, folder, name};
use crate::harness::{Gate, Origin, Proxy, config};
use crate::tcp::{echo, server};
use rustix::process::Signal;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A listener on this path that answers with `body`.
fn listener(name: &str, path: &Path, settings: &str, body: &str) -> String {
    let path = path.display();
    format!(
        "listener \"{name}\" \"unix:{path}\" {{\n {settings}\n route {{ respond 200 body=\"{body}\" }} }}\n"
    )
}

/// One on TCP, so that there is always a listener.
fn other(body: &str) -> String {
    format!("listener \"other\" \"127.0.0.1:0\" {{ route {{ respond 200 body=\"{body}\" }} }}\n")
}

#[test]
fn a_listener_serves_a_path_and_an_abstract_name() {
    let (folder, name, origin) = (folder(), name("both"), Origin::echo());
    let path = folder.path().join("web.sock");
    let proxy = Proxy::start(&config(
        r#"listener "web" "unix:PATH" "unix:@NAME" { route { cluster "origin" } }
        cluster "origin" { endpoint "ORIGIN" }"#,
        &[
            ("PATH", &path.display()),
            ("NAME", &name),
            ("ORIGIN", &origin),
        ],
    ));
    for (mut client, target) in [
        (client_at(&path), "/path"),
        (client_at_name(&name), "/name"),
    ] {
        for turn in 0..2 {
            let target = format!("{target}/{turn}");
            let seen = client.get(&target).echoed();
            // Peers without an address are this machine.
            assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
            let line = proxy.line_of(&target);
            assert_eq!((line.status(), line.outcome()), (200, "ok"));
            assert_eq!(line.text("client"), "127.0.0.1");
            assert_eq!(line.text("listener"), "web");
        }
    }
}

#[test]
fn connections_of_a_unix_socket_are_led_on_by_a_tcp_listener() {
    let folder = folder();
    let path = folder.path().join("raw.sock");
    let endpoint = server(echo);
    let proxy = Proxy::start(&format!(
        r#"listener "raw" "unix:{}" {{ protocol "tcp"; route {{ cluster "c" }} }}
        cluster "c" {{ endpoint "{endpoint}" }}"#,
        path.display()
    ));
    let mut client = client_at(&path);
    client.send("hello");
    assert_eq!(client.take(5), b"hello");
    client.finish();
    assert!(client.is_at_end());
    let line = proxy.access_line(|line| line.text("kind") == "tcp");
    assert_eq!((line.outcome(), line.text("client")), ("ok", "127.0.0.1:0"));
}

#[test]
fn unix_mode_is_the_mode_of_the_file_and_changes_with_it() {
    let folder = folder();
    let path = folder.path().join("web.sock");
    let mode = || {
        let metadata = path.metadata().expect("it is there");
        assert!(metadata.file_type().is_socket());
        metadata.permissions().mode() & 0o777
    };
    let with = |mode: &str| listener("web", &path, &format!("unix-mode \"{mode}\""), "hello");
    let proxy = Proxy::start(&with("0600"));
    assert_eq!(mode(), 0o600);
    assert_eq!(client_at(&path).get("/x").text(), "hello");
    proxy.reload(&with("666")).expect("it is valid");
    assert_eq!(mode(), 0o666);
    proxy.reload(&with("0640")).expect("it is valid");
    assert_eq!(mode(), 0o640);
    assert_eq!(client_at(&path).get("/y").text(), "hello");
    assert_eq!(proxy.line_of("/y").outcome(), "route-reply");
}

#[test]
fn a_socket_that_nobody_listens_on_any_more_is_replaced() {
    let folder = folder();
    let path = folder.path().join("web.sock");
    drop(UnixListener::bind(&path).expect("binds"));
    assert!(UnixStream::connect(&path).is_err() && path.exists());
    let proxy = Proxy::start(&listener("web", &path, "", "hello"));
    assert_eq!(client_at(&path).get("/x").text(), "hello");
    assert_eq!(proxy.line_of("/x").outcome(), "route-reply");
    let others = std::fs::read_dir(folder.path()).expect("a folder");
    assert_eq!(others.count(), 1, "nothing else is left beside it");
}

#[test]
fn a_socket_that_somebody_listens_on_is_not_taken_away() {
    let folder = folder();
    let path = folder.path().join("web.sock");
    let text = listener("web", &path, "", "first");
    let first = Proxy::start(&text);

    let said = Proxy::try_start(&text).err().expect("it does not start");
    assert!(said.contains("cannot listen on unix:"), "{said}");
    let second = Proxy::start(&other("second"));
    let refused = second.reload(&format!("{}{text}", other("third")));
    let refused = refused.expect_err("it is taken");
    assert!(refused.contains("cannot listen on unix:"), "{refused}");
    assert_eq!(second.client_of("other").get("/x").text(), "second");

    assert_eq!(client_at(&path).get("/x").text(), "first");
    assert_eq!(first.line_of("/x").outcome(), "route-reply");
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("web.sock");
    std::fs::write(&path, "precious").expect("writes");
    let started = Proxy::try_start(&listener("web", &path, "", "hello"));
    let said = started.err().expect("it does not start");
    assert!(said.contains("no socket"), "{said}");
    assert_eq!(std::fs::read(&path).expect("it is there"), b"precious");
}

#[test]
fn the_file_goes_when_the_proxy_stops() {
    let folder = folder();
    let path = folder.path().join("web.sock");
    let mut proxy = Proxy::start(&listener("web", &path, "", "hello"));
    assert_eq!(client_at(&path).get("/x").text(), "hello");
    assert_eq!(proxy.line_of("/x").outcome(), "route-reply");
    proxy.signal(Signal::TERM);
    assert!(proxy.wait().success());
    assert!(!path.exists());
}

#[test]
fn the_file_goes_with_its_listener_and_comes_with_it() {
    let folder = folder();
    let path = folder.path().join("web.sock");
    let both = |body| format!("{}{}", other("other"), listener("web", &path, "", body));
    let proxy = Proxy::start(&both("first"));
    let mut idle = client_at(&path);
    assert_eq!(idle.get("/x").text(), "first");

    proxy.reload(&other("other")).expect("it is valid");
    assert!(!path.exists());
    assert!(idle.is_at_end(), "an idle connection is closed");
    assert_eq!(proxy.client_of("other").get("/").text(), "other");

    proxy.reload(&both("second")).expect("it is valid");
    assert_eq!(client_at(&path).get("/y").text(), "second");
    assert_eq!(proxy.line_of("/y").outcome(), "route-reply");
}

#[test]
fn a_reload_that_is_refused_leaves_no_file_behind() {
    let folder = folder();
    let (old, new) = (
        folder.path().join("old.sock"),
        folder.path().join("new.sock"),
    );
    let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = held.local_addr().expect("bound").to_string();
    let text = listener("web", &old, "", "hello");
    let proxy = Proxy::start(&text);
    let added = listener("new", &new, "", "new");
    for broken in [
        format!("{text}{added}{}", other("x").replace("127.0.0.1:0", &taken)),
        // The admin API is bound after the listeners.
        format!("{text}{added}admin \"{taken}\"\n"),
    ] {
        let refused = proxy.reload(&broken).expect_err("an address is taken");
        assert!(refused.contains("cannot listen on 127.0.0.1"), "{refused}");
        assert!(!new.exists());
        assert_eq!(client_at(&old).get("/x").text(), "hello");
    }
    drop(held);
    proxy
        .reload(&format!("{text}{added}"))
        .expect("it is valid");
    assert_eq!(client_at(&new).get("/new").text(), "new");
    assert_eq!(proxy.line_of("/new").outcome(), "route-reply");
}

#[test]
fn connections_and_the_file_survive_a_reload() {
    let folder = folder();
    let path = folder.path().join("web.sock");
    let (gate, origin) = held();
    let text = |extra: &str| {
        config(
            r#"listener "web" "unix:PATH" {
                EXTRA
                route { cluster "origin" }
            }
            cluster "origin" { endpoint "ORIGIN" }"#,
            &[
                ("PATH", &path.display()),
                ("EXTRA", &extra),
                ("ORIGIN", &origin),
            ],
        )
    };
    let proxy = Proxy::start(&text(""));
    let file = path.metadata().expect("there").ino();
    let (mut kept, mut in_flight) = (client_at(&path), client_at(&path));
    assert_eq!(kept.get("/first").text(), "answer");
    in_flight.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.request(1);
    proxy.reload(&text("timeouts idle=\"30s\"")).expect("valid");
    gate.open();
    assert_eq!(in_flight.response().text(), "answer");
    assert_eq!(kept.get("/second").text(), "answer");
    assert_eq!(path.metadata().expect("there").ino(), file, "the same file");
    let (first, second) = (proxy.line_of("/first"), proxy.line_of("/second"));
    assert_eq!(first.number("connection"), second.number("connection"));
    assert_eq!(second.number("generation"), 2);
    assert_eq!(proxy.line_of("/held").outcome(), "ok");
}

/// Answers, `/held` only once the gate is open.
fn held() -> (Gate, Origin) {
    let gate = Gate::default();
    let waited = gate.clone();
    let origin = Origin::start(move |mut peer| {
        while let Some(request) = peer.request() {
            if request.head.target() == "/held" {
                waited.wait();
            }
            peer.answer("answer");
        }
    });
    (gate, origin)
}

#[test]
fn new_connections_are_served_by_all_workers_while_configurations_change() {
    let folder = folder();
    let path = folder.path().join("web.sock");
    let text = |number: usize| {
        let process = "process { workers 4; log level=\"info\" format=\"json\" }\n";
        format!(
            "{process}{}",
            listener("web", &path, "", &number.to_string())
        )
    };
    let proxy = Proxy::start(&text(0));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while !over.load(Ordering::Relaxed) {
                        assert_eq!(client_at(&path).get("/x").status, 200);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        (1..5).for_each(|number| proxy.reload(&text(number)).expect("it is valid"));
        over.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().expect("each was answered") > 0);
        }
    });
    assert_eq!(client_at(&path).get("/y").text(), "4");
    assert_eq!(proxy.line_of("/y").outcome(), "route-reply");
}
