//! Which certificate is shown, and what happens when its files change.

use super::{Credulous, HELLO, Http2, der, start};
use crate::harness::{Authority, Gate, Origin, TlsClient, config};
use crate::hot_load::message;
use rcgen::date_time_ymd;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
    let authority = Authority::new();
    let first = authority.issue(&["a.test", "b.test"]);
    let wild = authority.issue(&["*.wild.test"]);
    let exact = authority.issue(&["exact.wild.test"]);
    let proxy = start(
        r#"
listener "web" "127.0.0.1:0" {
    tls {
        certificate "first.pem" key="first.key"
        certificate "wild.pem"
        certificate "exact.pem" key="exact.key"
    }
    route { respond 200 body="hello" }
}
"#,
        &[
            ("first.pem", &first.chain),
            ("first.key", &first.key),
            ("wild.pem", &wild.both()),
            ("exact.pem", &exact.chain),
            ("exact.key", &exact.key),
        ],
    );
    let client = Credulous::default().verify_for(TlsClient::new(&authority, "a.test"));
    for (name, shown) in [
        ("a.test", &first),
        ("B.Test", &first),
        ("exact.wild.test", &exact),
        ("other.wild.test", &wild),
        ("two.labels.wild.test", &first),
        ("wild.test", &first),
        ("unknown.test", &first),
    ] {
        let shaken = client.named(name).shake(proxy.address("web"));
        let (_, seen) = shaken.expect("a handshake");
        assert!(seen.certificate == der(shown), "{name}");
    }
    let nameless = TlsClient::new(&authority, "b.test").without_sni();
    let (mut client, seen) = nameless
        .shake(proxy.address("web"))
        .expect("the first one is verified");
    assert!(seen.certificate == der(&first));
    assert_eq!(client.get("/nameless").text(), "hello");
    assert_eq!(proxy.line_of("/nameless").outcome(), "route-reply");
}

#[test]
fn an_unknown_name_is_refused_where_the_listener_says_so() {
    let (authority, proxy) = super::served("unknown-name \"refuse\"", HELLO, "");
    let client = TlsClient::new(&authority, "test");
    let refused = client.named("other.test").shake(proxy.address("web")).err();
    let refused = refused.expect("no certificate is for it").to_string();
    assert!(refused.contains("UnrecognisedName"), "{refused}");
    assert_eq!(client.connect(proxy.address("web")).get("/").status, 200);
    let mut nameless = client.without_sni().connect(proxy.address("web"));
    assert_eq!(nameless.get("/").status, 200);
}

#[test]
fn a_staple_is_shown_and_follows_its_file() {
    // A successful response of which nothing else is known.
    const FIRST: &[u8] = &[0x30, 0x03, 0x0a, 0x01, 0x00];
    const SECOND: &[u8] = &[0x30, 0x05, 0x0a, 0x01, 0x00, 0x05, 0x00];
    let authority = Authority::new();
    let folder = super::folder(&[("site.pem", &authority.issue(&["test"]).both())]);
    std::fs::write(folder.path().join("site.ocsp"), FIRST).expect("a writable folder");
    let text = "listener \"web\" \"127.0.0.1:0\" {\n    tls { certificate \"site.pem\" ocsp=\"site.ocsp\" }\n    route { respond 200 }\n}\n";
    let proxy = crate::harness::Proxy::start_in(folder, text).expect("it is valid");
    let seen = Credulous::default();
    let client = seen.verify_for(TlsClient::new(&authority, "test").without_resumption());
    client.connect(proxy.address("web"));
    assert_eq!(seen.staple(), FIRST);
    let mark = proxy.log_mark();
    proxy.replace_file("site.ocsp", SECOND);
    proxy.reloaded_after(mark).expect("it is valid");
    client.connect(proxy.address("web"));
    assert_eq!(seen.staple(), SECOND);
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_costs_the_old_ones_nothing() {
    let authority = Authority::new();
    let (old, new) = (authority.issue(&["test"]), authority.issue(&["test"]));
    let origin = Origin::echo();
    let text = config(
        r#"
listener "web" "127.0.0.1:0" {
    tls { certificate "site.pem" }
    route path="/local" { respond 200 body="hello" }
    route { cluster "c" }
}
cluster "c" { endpoint "ORIGIN" }
"#,
        &[("ORIGIN", &origin)],
    );
    let proxy = start(&text, &[("site.pem", &old.both())]);
    let address = proxy.address("web");
    let client = TlsClient::new(&authority, "test").without_resumption();
    let (mut kept, seen) = client.shake(address).expect("a handshake");
    assert!(seen.certificate == der(&old));
    assert_eq!(kept.get("/local").status, 200);
    let second = client.clone().alpn(&["h2"]).connect(address);
    let mut second = Http2::over(&second);
    assert_eq!(second.get("test", "/local"), (200, "hello".to_owned()));
    let mut upload = client.connect(address);
    upload.send("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\nhalf");
    origin.wait_for_connections(1);

    let mark = proxy.log_mark();
    proxy.replace_file("site.pem", new.both().as_bytes());
    proxy.reloaded_after(mark).expect("it is valid");

    let (mut fresh, seen) = client.shake(address).expect("a handshake");
    assert!(seen.certificate == der(&new));
    assert_eq!(fresh.get("/fresh").status, 200);
    assert_eq!(kept.get("/kept").status, 200);
    assert_eq!(second.get("test", "/second").0, 200);
    upload.send("done");
    assert!(upload.response().text().ends_with("halfdone"));
    for target in ["/fresh", "/kept", "/second", "/upload"] {
        assert_eq!(proxy.line_of(target).outcome(), "ok", "{target}");
    }
    assert_eq!(proxy.line_of("/upload").number("generation"), 1);
}

#[test]
fn files_that_are_no_good_are_named_and_the_old_certificate_stays() {
    let authority = Authority::new();
    let (old, new) = (authority.issue(&["test"]), authority.issue(&["test"]));
    let text = "listener \"web\" \"127.0.0.1:0\" {\n    tls { certificate \"site.pem\" key=\"site.key\" }\n    route { respond 200 }\n}\n";
    let proxy = start(text, &[("site.pem", &old.chain), ("site.key", &old.key)]);
    let client = TlsClient::new(&authority, "test").without_resumption();
    let offer = |name: &str, text: &str| {
        let mark = proxy.log_mark();
        proxy.replace_file(name, text.as_bytes());
        proxy.reloaded_after(mark)
    };
    for (name, text, said) in [
        ("site.pem", "broken", "there is no certificate in"),
        ("site.pem", new.chain.as_str(), "does not belong"),
        ("site.key", "broken", "there is no private key in"),
    ] {
        let refused = message(&offer(name, text).expect_err("it is no good"));
        assert!(
            refused.contains(name) && refused.contains(said),
            "{refused}"
        );
        assert!(refused.contains("config.kdl:"), "{refused}");
        let (_, seen) = client.shake(proxy.address("web")).expect("a handshake");
        assert!(seen.certificate == der(&old), "after {said}");
    }
    offer("site.key", &new.key).expect("they belong together now");
    let (_, seen) = client.shake(proxy.address("web")).expect("a handshake");
    assert!(seen.certificate == der(&new));
}

/// The files are replaced while the connection that is under way has not sent its first byte.
#[test]
fn a_handshake_that_began_before_a_reload_ends_well() {
    let (authority, proxy) = super::served("", HELLO, "");
    let early = std::net::TcpStream::connect(proxy.address("web")).expect("it listens");
    // Accepted in order: this one is through, so the early one has been accepted.
    let client = TlsClient::new(&authority, "test");
    assert_eq!(client.connect(proxy.address("web")).get("/").status, 200);
    let mark = proxy.log_mark();
    proxy.replace_file("site.pem", authority.issue(&["test"]).both().as_bytes());
    proxy.reloaded_after(mark).expect("it is valid");
    let (mut early, _) = client.shake_on(early).expect("a handshake");
    assert_eq!(early.get("/early").text(), "hello");
}

/// An exchange that waits for its origin while the certificate changes is answered.
#[test]
fn a_request_under_way_outlives_the_certificate_of_its_connection() {
    let gate = Gate::default();
    let wait = gate.clone();
    let origin = Origin::start(move |mut peer| {
        while peer.request().is_some() {
            wait.wait();
            peer.answer("late");
        }
    });
    let (authority, proxy) = super::served(
        "",
        "route { cluster \"c\" }",
        &format!("cluster \"c\" {{ endpoint \"{origin}\" }}"),
    );
    let mut client = TlsClient::new(&authority, "test").connect(proxy.address("web"));
    client.send("GET /late HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.request(0);
    let mark = proxy.log_mark();
    proxy.replace_file("site.pem", authority.issue(&["test"]).both().as_bytes());
    proxy.reloaded_after(mark).expect("it is valid");
    gate.open();
    assert_eq!(client.response().text(), "late");
    assert_eq!(proxy.line_of("/late").outcome(), "ok");
}

#[test]
fn a_certificate_that_is_out_of_date_is_warned_of_and_shown() {
    let authority = Authority::new();
    let expired = authority.issue_with(&["test"], |params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let text = "listener \"web\" \"127.0.0.1:0\" {\n    tls { certificate \"site.pem\" }\n    route { respond 200 }\n}\n";
    let proxy = start(text, &[("site.pem", &expired.both())]);
    let said = proxy.log_line("the certificate has expired");
    assert!(said.contains("site.pem") && said.contains("WARN"), "{said}");
    let client = Credulous::default().verify_for(TlsClient::new(&authority, "test"));
    let (mut client, seen) = client.shake(proxy.address("web")).expect("a handshake");
    assert!(seen.certificate == der(&expired));
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_listener_takes_up_tls_and_gives_it_up_under_open_connections() {
    let authority = Authority::new();
    let text = |tls: &str| {
        format!(
            "listener \"web\" \"127.0.0.1:0\" {{\n    {tls}\n    route {{ respond 200 body=\"{{scheme}}\" }}\n}}\n"
        )
    };
    let site = authority.issue(&["test"]).both();
    let proxy = start(&text(""), &[("site.pem", &site)]);
    let address = proxy.address("web");
    let client = TlsClient::new(&authority, "test");
    let mut plain = proxy.client();
    assert_eq!(plain.get("/").text(), "http");
    proxy
        .reload(&text("tls { certificate \"site.pem\" }"))
        .expect("it is valid");
    let mut under_tls = client.connect(address);
    assert_eq!(under_tls.get("/").text(), "https");
    assert_eq!(plain.get("/").text(), "http", "as it was accepted");
    assert_eq!(proxy.client().get("/").status, 400);
    proxy.reload(&text("")).expect("it is valid");
    assert_eq!(under_tls.get("/").text(), "https", "as it was accepted");
    assert_eq!(plain.get("/").text(), "http");
    assert_eq!(proxy.client().get("/").text(), "http");
    assert!(client.shake(address).is_err());
}

/// Ends the clients however the test ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_handshake_and_no_request_fails_while_certificates_change() {
    let authority = Authority::new();
    let text = "process { workers 2; log format=\"json\" }\nlistener \"web\" \"127.0.0.1:0\" {\n    tls { certificate \"site.pem\" }\n    route { respond 200 body=\"hello\" }\n}\n";
    let proxy = start(text, &[("site.pem", &authority.issue(&["test"]).both())]);
    let (address, over) = (proxy.address("web"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let clients: Vec<_> = [true, false]
            .into_iter()
            .map(|resumes| {
                let client = TlsClient::new(&authority, "test");
                let (client, over) = match resumes {
                    true => (client, &over),
                    false => (client.without_resumption(), &over),
                };
                scope.spawn(move || {
                    let mut kept = client.connect(address);
                    let mut asked = 0;
                    while !over.load(Ordering::Relaxed) {
                        assert_eq!(client.connect(address).get("/new").text(), "hello");
                        assert_eq!(kept.get("/kept").text(), "hello");
                        asked += 1;
                    }
                    asked
                })
            })
            .collect();
        let end = Over(&over);
        for _ in 0..10 {
            let mark = proxy.log_mark();
            proxy.replace_file("site.pem", authority.issue(&["test"]).both().as_bytes());
            proxy.reloaded_after(mark).expect("it is valid");
        }
        drop(end);
        for client in clients {
            assert!(client.join().expect("every answer is good") > 0);
        }
    });
}
