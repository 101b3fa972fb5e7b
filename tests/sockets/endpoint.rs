//! Endpoints on Unix sockets.

use super::{abstract_address, client_at, folder, lead, name};
use crate::harness::{Admin, Origin, Proxy, binary, closed_port, config, endpoint_path};
use crate::tcp::{connect, echo, read_exactly, server};
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// An origin behind a Unix socket; the name of the endpoint.
fn behind(path: &Path, origin: &Origin) -> String {
    lead(UnixListener::bind(path).expect("binds"), origin.address());
    format!("unix:{}", path.display())
}

struct Pair {
    folder: TempDir,
    origins: [Origin; 2],
    endpoints: [String; 2],
}

fn pair() -> Pair {
    let folder = folder();
    let origins = ["first", "second"].map(Origin::named);
    let paths = ["1.sock", "2.sock"].map(|name| folder.path().join(name));
    let endpoints = [0, 1].map(|at| behind(&paths[at], &origins[at]));
    Pair {
        folder,
        origins,
        endpoints,
    }
}

fn proxy_before(cluster: &str) -> Proxy {
    Proxy::start(&config(
        r#"admin "127.0.0.1:0"
        listener "web" "127.0.0.1:0" { route { cluster "c" } }
        cluster "c" {
            CLUSTER
        }"#,
        &[("CLUSTER", &cluster)],
    ))
}

#[test]
fn requests_go_to_a_path_and_to_an_abstract_name() {
    let (folder, name) = (folder(), name("endpoint"));
    let (of_path, of_name) = (Origin::echo(), Origin::echo());
    let by_path = behind(&folder.path().join("app.sock"), &of_path);
    let listener = UnixListener::bind_addr(&abstract_address(&name)).expect("binds");
    lead(listener, of_name.address());
    let proxy = proxy_before(&format!(
        "balancer \"round-robin\"\nendpoint \"{by_path}\"\nendpoint \"unix:@{name}\""
    ));
    let mut client = proxy.client();
    let mut endpoints = Vec::new();
    for turn in 0..4 {
        let target = format!("/{turn}");
        let seen = client.get(&target).echoed();
        assert_eq!(seen.header("host"), Some("test"));
        let line = proxy.line_of(&target);
        assert_eq!((line.status(), line.outcome()), (200, "ok"));
        endpoints.push(line.text("endpoint").to_owned());
    }
    endpoints.sort();
    endpoints.dedup();
    assert_eq!(endpoints, [by_path, format!("unix:@{name}")]);
    assert_eq!(
        (of_path.connections(), of_name.connections()),
        (1, 1),
        "connections are used again"
    );
}

#[test]
fn bytes_go_to_a_unix_socket() {
    let folder = folder();
    let path = folder.path().join("app.sock");
    lead(UnixListener::bind(&path).expect("binds"), server(echo));
    let proxy = Proxy::start(&format!(
        r#"listener "raw" "127.0.0.1:0" {{ protocol "tcp"; route {{ cluster "c" }} }}
        cluster "c" {{ endpoint "unix:{}" }}"#,
        path.display()
    ));
    let mut client = connect(proxy.address("raw"));
    client.write_all(b"hello").expect("sends");
    assert_eq!(read_exactly(&mut client, 5), b"hello");
    client.shutdown(Shutdown::Write).expect("half-closes");
    let line = proxy.access_line(|line| line.text("kind") == "tcp");
    assert_eq!(line.outcome(), "ok");
    assert_eq!(line.text("endpoint"), format!("unix:{}", path.display()));
}

#[test]
fn a_socket_that_is_not_there_is_an_endpoint_that_refuses() {
    let folder = folder();
    let gone = folder.path().join("gone.sock");
    let proxy = proxy_before(&format!("endpoint \"unix:{}\"", gone.display()));
    assert_eq!(proxy.client().get("/x").status, 502);
    assert_eq!(proxy.line_of("/x").outcome(), "connect-failed");
}

#[test]
fn health_checks_ask_a_unix_socket() {
    for probe in ["http \"/health\"", "tcp"] {
        let folder = folder();
        let path = folder.path().join("app.sock");
        let endpoint = format!("unix:{}", path.display());
        let proxy = proxy_before(&format!(
            "endpoint \"{endpoint}\"\nhealth-check interval=\"20ms\" rise=1 fall=1 {{ {probe} }}"
        ));
        let admin = Admin::of(&proxy);
        let state = |wanted: &str| {
            let named = endpoint.replace('/', "%2F");
            admin.wait_for_endpoint("c", &named, |report| report["state"] == wanted);
        };
        state("down");
        assert_eq!(proxy.client().get("/down").status, 503);
        assert_eq!(proxy.line_of("/down").outcome(), "no-endpoint");
        let origin = Origin::named("healthy");
        behind(&path, &origin);
        state("up");
        assert_eq!(proxy.client().get("/up").text(), "healthy");
        assert_eq!(proxy.line_of("/up").outcome(), "ok");
        if probe != "tcp" {
            let check = origin.request(0).head;
            assert_eq!(check.target(), "/health");
            assert_eq!(check.header("host"), Some("localhost"));
        }
    }
}

#[test]
fn the_admin_api_knows_an_endpoint_by_its_path() {
    let Pair {
        endpoints: [first, second],
        ..
    } = &pair();
    let proxy = proxy_before(&format!("endpoint \"{first}\"\nendpoint \"{second}\""));
    let admin = Admin::of(&proxy);
    assert_eq!(admin.endpoints("c"), [first.as_str(), second]);
    let named = first.replace('/', "%2F");
    let report = admin.endpoint("c", &named);
    assert_eq!(report["endpoint"], first.as_str());
    assert_eq!(report["address"], first.as_str());
    admin.order("c", &named, "drain");
    admin.wait_for_endpoint("c", &named, |report| report["state"] != "up");
    let mut client = proxy.client();
    for turn in 0..4 {
        let target = format!("/{turn}");
        assert_eq!(client.get(&target).status, 200);
        let line = proxy.line_of(&target);
        assert_eq!(
            (line.outcome(), line.text("endpoint")),
            ("ok", second.as_str())
        );
    }
    // Written as it is, the slashes of the path would be those of the API.
    let path = endpoint_path("c", first);
    assert_eq!(admin.ask("GET", &path, "").status, 404);
}

#[test]
fn the_command_line_knows_an_endpoint_by_its_path() {
    let both = pair();
    let [first, second] = &both.endpoints;
    let proxy = proxy_before(&format!("endpoint \"{first}\"\nendpoint \"{second}\""));
    let admin = Admin::of(&proxy);
    let address = admin.address().to_string();
    let tell = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        command.arg("endpoint").args(arguments);
        let output = command.args(["--admin", &address]).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {complaint}");
        said
    };
    let listed = tell(&["list"]);
    assert!(
        listed.contains(first) && listed.contains(second),
        "{listed}"
    );
    tell(&["drain", "c", first]);
    assert_eq!(proxy.client().get("/drained").text(), "second");
    // In one word too: the cluster ends at the first slash.
    tell(&["ready", &format!("c/{first}")]);
    tell(&["maintain", &format!("c/{second}")]);
    assert_eq!(proxy.client().get("/back").text(), "first");
    for (target, endpoint) in [("/drained", second), ("/back", first)] {
        let line = proxy.line_of(target);
        assert_eq!(
            (line.outcome(), line.text("endpoint")),
            ("ok", endpoint.as_str())
        );
    }
    drop(both.folder);
    drop(both.origins);
}

#[test]
fn a_cookie_binds_to_a_unix_socket_by_its_id() {
    let both = pair();
    let [first, second] = &both.endpoints;
    let proxy = proxy_before(&format!(
        "affinity cookie=\"lb\"\nendpoint \"{first}\" id=\"one\"\nendpoint \"{second}\" id=\"two\""
    ));
    for turn in 0..2 {
        let answer = proxy.client().get(&format!("/{turn}"));
        let cookie = answer.header("set-cookie").expect("it is bound");
        let pair = cookie.split(';').next().expect("a pair").to_owned();
        for again in 0..3 {
            let target = format!("/{turn}/{again}");
            let cookie = format!("Cookie: {pair}\r\n");
            let bound = proxy.client().ask("GET", &target, &cookie);
            assert_eq!(bound.text(), answer.text(), "{pair}");
            let line = proxy.line_of(&target);
            assert_eq!((line.outcome(), line.text("affinity")), ("ok", "valid"));
        }
    }
    drop(both.origins);
}

#[test]
fn retries_pass_over_a_socket_that_is_gone_to_one_of_another_kind() {
    let folder = folder();
    let gone: PathBuf = folder.path().join("gone.sock");
    let (_held, closed) = closed_port();
    let origin = Origin::named("there");
    let there = behind(&folder.path().join("app.sock"), &origin);
    let proxy = proxy_before(&format!(
        "balancer \"first\"\nendpoint \"unix:{}\"\nendpoint \"{closed}\"\nendpoint \"{there}\"\nretry attempts=3 backoff=\"1ms\" backoff-max=\"1ms\"",
        gone.display()
    ));
    assert_eq!(proxy.client().get("/x").text(), "there");
    let line = proxy.line_of("/x");
    assert_eq!((line.outcome(), line.number("attempts")), ("ok", 3));
}

#[test]
fn who_comes_by_a_unix_socket_has_no_address_to_pass_on() {
    let folder = folder();
    let path = folder.path().join("web.sock");
    let origin = Origin::start(|mut peer| {
        let line = peer.line().unwrap_or_default();
        peer.request();
        peer.answer(&line);
    });
    let proxy = Proxy::start(&format!(
        r#"listener "web" "unix:{}" {{ route {{ cluster "c" }} }}
        cluster "c" {{ endpoint "{origin}"; proxy-protocol "v1" }}"#,
        path.display()
    ));
    assert_eq!(client_at(&path).get("/x").text(), "PROXY UNKNOWN");
    assert_eq!(proxy.line_of("/x").outcome(), "ok");
}
