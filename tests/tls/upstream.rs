//! What is said to endpoints in the handshake, and which connections are used again.

use super::start;
use crate::harness::{Accepted, Authority, Gate, Origin, Proxy, TlsFront, config};

const TEXT: &str = r#"
listener "web" "127.0.0.1:0" { route { cluster "c" } }
cluster "c" {
    endpoint "ENDPOINT"
    tls PROPERTIES { CHILDREN }
}
"#;

/// An authority with files, and a front for "one.test" and "two.test".
struct Scene {
    ca: Authority,
    front: TlsFront,
    origin: Origin,
}

impl Scene {
    fn new(alpn: &[&str], demands_certificates: bool) -> Scene {
        let ca = Authority::new();
        let origin = Origin::named("secret");
        let identity = ca.issue(&["one.test", "two.test"]);
        let clients = demands_certificates.then_some(&ca);
        Scene {
            front: TlsFront::before(&origin, &identity, alpn, clients),
            ca,
            origin,
        }
    }

    fn text(&self, properties: &str, children: &str) -> String {
        config(
            TEXT,
            &[
                ("ENDPOINT", &self.front),
                ("PROPERTIES", &properties),
                ("CHILDREN", &children),
            ],
        )
    }

    fn start(&self, children: &str) -> Proxy {
        let client = self.ca.issue(&["proxy"]);
        start(
            &self.text("server-name=\"one.test\" ca=\"ca.pem\"", children),
            &[
                ("ca.pem", &self.ca.pem()),
                ("client.pem", &client.chain),
                ("client.key", &client.key),
                ("both.pem", &client.both()),
            ],
        )
    }
}

#[test]
fn an_endpoint_that_demands_a_certificate_is_shown_one() {
    for (certificate, has_certificate) in [
        ("certificate \"client.pem\" key=\"client.key\"", true),
        ("certificate \"both.pem\"", true),
        ("versions \"1.2\" \"1.3\"", false),
    ] {
        let scene = Scene::new(&[], true);
        let proxy = scene.start(certificate);
        let response = proxy.client().get("/");
        assert_eq!(response.status == 200, has_certificate, "{certificate}");
        let outcome = proxy.line_of("/").outcome() == "ok";
        assert_eq!(outcome, has_certificate, "{certificate}");
        let shown = scene
            .front
            .handshakes()
            .iter()
            .any(|one| one.has_certificate);
        assert_eq!(shown, has_certificate);
        assert_eq!(scene.origin.requests().len(), usize::from(has_certificate));
    }
}

#[test]
fn the_protocols_of_a_cluster_are_offered_in_its_order() {
    for (alpn, agreed) in [
        ("alpn \"http/1.1\"", Some("http/1.1")),
        ("alpn \"x\" \"http/1.1\"", Some("x")),
        ("versions \"1.2\" \"1.3\"", None),
    ] {
        let scene = Scene::new(&["x", "http/1.1"], false);
        let proxy = scene.start(alpn);
        assert_eq!(proxy.client().get("/").text(), "secret");
        let expected = Accepted {
            sni: Some("one.test".to_owned()),
            alpn: agreed.map(str::to_owned),
            has_certificate: false,
        };
        assert_eq!(scene.front.handshakes(), [expected]);
        assert_eq!(proxy.line_of("/").outcome(), "ok");
    }
    // Nothing in common.
    let scene = Scene::new(&["x"], false);
    let proxy = scene.start("alpn \"http/1.1\"");
    assert_eq!(proxy.client().get("/").status, 502);
    assert_eq!(proxy.line_of("/").outcome(), "connect-failed");
}

#[test]
fn an_endpoint_that_does_not_agree_on_http_2_is_not_spoken_to() {
    for alpn in [&["http/1.1"][..], &[]] {
        let scene = Scene::new(alpn, false);
        let proxy = scene.start("alpn \"h2\" \"http/1.1\"\n }\n protocol \"h2\"\n retry {");
        assert_eq!(proxy.client().get("/").status, 502, "{alpn:?}");
        assert_eq!(proxy.line_of("/").outcome(), "connect-failed");
        proxy.log_line("did not agree on HTTP/2");
        assert_eq!(scene.origin.requests().len(), 0);
    }
}

#[test]
fn versions_and_ciphers_of_a_cluster_are_what_is_agreed_on() {
    for (children, agreed) in [
        ("alpn \"y\"", "TLSv1_3 TLS13_AES_256_GCM_SHA384"),
        (
            "versions \"1.2\"",
            "TLSv1_2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        ),
        ("versions \"1.3\"", "TLSv1_3 TLS13_AES_256_GCM_SHA384"),
        (
            "versions \"1.2\"; ciphers \"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256\"",
            "TLSv1_2 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
        (
            "versions \"1.3\"; ciphers \"TLS_AES_128_GCM_SHA256\"",
            "TLSv1_3 TLS13_AES_128_GCM_SHA256",
        ),
    ] {
        let scene = Scene::new(&[], false);
        let proxy = scene.start(children);
        assert_eq!(proxy.client().get("/").text(), "secret", "{children}");
        assert_eq!(scene.front.agreed(), [agreed], "{children}");
        assert_eq!(proxy.line_of("/").outcome(), "ok");
    }
}

#[test]
fn a_connection_is_used_again_until_anything_about_its_tls_changes() {
    let scene = Scene::new(&["x"], false);
    let one = "server-name=\"one.test\" ca=\"ca.pem\"";
    let proxy = scene.start("");
    let mut client = proxy.client();
    let mut handshakes = 0;
    for (properties, children, is_new) in [
        (one, "", true),
        // The same again, written otherwise.
        (
            "ca=\"ca.pem\" server-name=\"one.test\" verify=#true",
            "",
            false,
        ),
        ("server-name=\"two.test\" ca=\"ca.pem\"", "", true),
        ("server-name=\"two.test\" verify=#false", "", true),
        ("server-name=\"two.test\" verify=#false", "alpn \"x\"", true),
        (one, "certificate \"both.pem\"", true),
        (one, "versions \"1.2\"", true),
        (
            one,
            "ciphers \"TLS_AES_128_GCM_SHA256\" \"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\"",
            true,
        ),
    ] {
        let text = scene.text(properties, children);
        proxy.reload(&text).expect("it is valid");
        for _ in 0..2 {
            assert_eq!(client.get("/").text(), "secret", "{properties} {children}");
        }
        handshakes += usize::from(is_new);
        let found = scene.front.handshakes().len();
        assert_eq!(found, handshakes, "{properties} {children}");
    }
}

#[test]
fn files_of_a_cluster_are_in_force_as_soon_as_they_change() {
    let scene = Scene::new(&[], true);
    let proxy = scene.start("certificate \"both.pem\"");
    let mut client = proxy.client();
    let replace = |name: &str, text: String| {
        let mark = proxy.log_mark();
        proxy.replace_file(name, text.as_bytes());
        proxy.reloaded_after(mark).expect("it is valid");
    };
    assert_eq!(client.get("/first").status, 200);
    replace("both.pem", scene.ca.issue(&["renewed"]).both());
    assert_eq!(client.get("/renewed").status, 200);
    assert_eq!(
        scene.front.handshakes().len(),
        2,
        "the old one has shown the old one"
    );
    replace("ca.pem", Authority::new().pem());
    assert_eq!(client.get("/untrusted").status, 502);
    let line = proxy.line_of("/untrusted");
    assert_eq!((line.outcome(), line.status()), ("connect-failed", 502));
    replace("ca.pem", scene.ca.pem());
    assert_eq!(client.get("/trusted").status, 200);
}

#[test]
fn a_body_that_ends_with_the_connection_must_end_the_session_too() {
    for is_cut in [false, true] {
        let ca = Authority::new();
        let gate = Gate::default();
        let seen = gate.clone();
        let origin = Origin::start(move |mut peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\n\r\nhalf");
            seen.wait();
            // A reset behind the front closes its connection without a word of TLS.
            if is_cut {
                peer.abort();
            }
        });
        let front = TlsFront::before(&origin, &ca.issue(&["127.0.0.1"]), &[], None);
        let text = config(
            TEXT,
            &[
                ("ENDPOINT", &front),
                ("PROPERTIES", &"ca=\"ca.pem\""),
                ("CHILDREN", &""),
            ],
        );
        let proxy = start(&text, &[("ca.pem", &ca.pem())]);
        let mut client = proxy.client();
        client.send("GET /cut HTTP/1.1\r\nHost: test\r\n\r\n");
        let head = client.response_head();
        assert_eq!(head.status(), 200);
        assert_eq!(client.chunk().as_deref(), Some(&b"half"[..]));
        gate.open();
        // One that is whole leaves the connection open for the next request.
        if is_cut {
            assert_eq!(client.rest(), b"");
        } else {
            assert_eq!(client.chunk(), None);
        }
        let outcome = if is_cut { "upstream-aborted" } else { "ok" };
        assert_eq!(proxy.line_of("/cut").outcome(), outcome);
    }
}

#[test]
fn a_response_head_that_the_end_of_the_session_cuts_is_no_response() {
    let ca = Authority::new();
    let origin = Origin::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Le");
    });
    let front = TlsFront::before(&origin, &ca.issue(&["127.0.0.1"]), &[], None);
    let text = config(
        TEXT,
        &[
            ("ENDPOINT", &front),
            ("PROPERTIES", &"ca=\"ca.pem\""),
            ("CHILDREN", &""),
        ],
    );
    let proxy = start(&text, &[("ca.pem", &ca.pem())]);
    assert_eq!(proxy.client().get("/head").status, 502);
    assert_eq!(proxy.line_of("/head").outcome(), "upstream-reset");
}

/// The endpoint says goodbye after each answer, with which the connection may be in the pool already.
#[test]
fn a_pooled_connection_that_the_endpoint_has_ended_costs_no_request() {
    let ca = Authority::new();
    let origin = Origin::start(|mut peer| {
        if peer.request().is_some() {
            peer.answer("once");
        }
    });
    let front = TlsFront::before(&origin, &ca.issue(&["127.0.0.1"]), &[], None);
    let text = config(
        TEXT,
        &[
            ("ENDPOINT", &front),
            ("PROPERTIES", &"ca=\"ca.pem\""),
            ("CHILDREN", &""),
        ],
    );
    let proxy = start(&text, &[("ca.pem", &ca.pem())]);
    let mut client = proxy.client();
    for number in 1..=8 {
        let target = format!("/{number}");
        let response = client.get(&target);
        assert_eq!((response.status, response.text().as_str()), (200, "once"));
        assert_eq!(proxy.line_of(&target).outcome(), "ok");
        origin.wait_for_ends(number);
    }
    assert_eq!(origin.requests().len(), 8, "each was sent once");
}

#[test]
fn checks_and_mirrors_go_by_the_tls_of_the_cluster() {
    let scene = Scene::new(&[], true);
    let certificate = "certificate \"both.pem\"\n }\n health-check interval=\"50ms\" initial=\"fully-down\" rise=1 { http \"/healthz\"";
    let proxy = scene.start(certificate);
    let up = proxy.log_line("endpoint is up");
    assert!(up.contains(&scene.front.to_string()), "{up}");
    let request = scene.origin.request(0);
    assert_eq!(request.head.target(), "/healthz");
    let accepted = &scene.front.handshakes()[0];
    assert_eq!(accepted.sni.as_deref(), Some("one.test"));
    assert!(accepted.has_certificate);
    assert_eq!(proxy.client().get("/").text(), "secret");
    assert_eq!(proxy.line_of("/").outcome(), "ok");

    let (scene, first) = (Scene::new(&[], true), Origin::named("first"));
    let text = scene.text(
        "server-name=\"one.test\" ca=\"ca.pem\"",
        "certificate \"both.pem\"",
    );
    let text = text.replace("{ cluster \"c\" }", "{ cluster \"first\"; mirror \"c\" }");
    let text = format!("{text}cluster \"first\" {{ endpoint \"{first}\" }}\n");
    let files = [
        ("ca.pem", scene.ca.pem()),
        ("both.pem", scene.ca.issue(&["proxy"]).both()),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let proxy = start(&text, &files);
    assert_eq!(proxy.client().get("/mirrored").text(), "first");
    assert_eq!(scene.origin.request(0).head.target(), "/mirrored");
    assert_eq!(proxy.line_of("/mirrored").outcome(), "ok");
}
