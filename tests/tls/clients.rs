//! Certificates of clients: who must show one, which ones are valid, and what routes make of them.

use super::{Http2, der, start};
use crate::harness::{Authority, Identity, Proxy, TlsClient, config};
use rcgen::{DnType, date_time_ymd};
use rustls::version::TLS12;
use sha2::{Digest, Sha256};

const TEXT: &str = r#"
listener "web" "127.0.0.1:0" {
    tls { certificate "site.pem"; CLIENTS }
    route { respond 200 body="hello" }
}
"#;

/// The authority of the site and that of the clients.
struct World {
    site: Authority,
    clients: Authority,
}

impl World {
    fn new() -> World {
        World {
            site: Authority::new(),
            clients: Authority::named("Clients"),
        }
    }

    fn start(&self, clients: &str, files: &[(&str, &str)]) -> Proxy {
        let (site, ca) = (self.site.issue(&["test"]).both(), self.clients.pem());
        let own = [("site.pem", site.as_str()), ("clients.pem", ca.as_str())];
        let files = [&own[..], files].concat();
        start(&config(TEXT, &[("CLIENTS", &clients)]), &files)
    }

    fn showing(&self, identity: &Identity) -> TlsClient {
        TlsClient::showing(&self.site, "test", identity).without_resumption()
    }

    fn nobody(&self) -> TlsClient {
        TlsClient::new(&self.site, "test").without_resumption()
    }
}

/// Whether a client gets in. In TLS 1.3 its own handshake is over before it is refused.
fn gets_in(client: &TlsClient, proxy: &Proxy) -> bool {
    let Ok((mut client, _)) = client.shake(proxy.address("web")) else {
        return false;
    };
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    let answer = String::from_utf8_lossy(&client.rest()).into_owned();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 200 "),
        "{answer}"
    );
    !answer.is_empty()
}

#[test]
fn a_required_certificate_must_be_shown_and_an_optional_one_may_be() {
    let world = World::new();
    let good = world.clients.issue(&["app"]);
    let foreign = world.site.issue(&["app"]);
    let expired = world.clients.issue_with(&["app"], |params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    for (demand, without) in [("required", false), ("optional", true)] {
        let clients = format!("client-certificate \"{demand}\" ca=\"clients.pem\"");
        let proxy = world.start(&clients, &[]);
        for (client, expected) in [
            (world.nobody(), without),
            (world.showing(&good), true),
            (world.showing(&expired), false),
        ] {
            assert_eq!(gets_in(&client, &proxy), expected, "{demand}");
        }
        // It shows its certificate although nobody asks for one of that authority.
        assert!(!gets_in(&world.showing(&foreign), &proxy));
        let old = TlsClient::versions(&world.site, "test", &[&TLS12]);
        let refused = old.shake(proxy.address("web")).err();
        assert_eq!(refused.is_none(), without, "{refused:?}");
        assert!(gets_in(&world.showing(&good), &proxy));
    }
}

#[test]
fn who_is_not_asked_shows_nothing() {
    let world = World::new();
    let proxy = world.start("tickets #true", &[]);
    let mut client = world
        .showing(&world.clients.issue(&["app"]))
        .connect(proxy.address("web"));
    assert_eq!(client.get("/").status, 200);
    assert_eq!(proxy.line_of("/").text("tls_client"), "");
}

#[test]
fn a_revoked_certificate_is_refused_however_its_list_is_written() {
    let world = World::new();
    let others = Authority::named("Others");
    let both = format!("{}{}", world.clients.pem(), others.pem());
    let [good, revoked] = [world.clients.issue(&["a"]), world.clients.issue(&["b"])];
    let [other, other_revoked] = [others.issue(&["c"]), others.issue(&["d"])];
    let files = [
        ("all.pem", both.as_str()),
        ("a.crl", &world.clients.revoke(&[&revoked])),
        ("b.crl", &others.revoke(&[&other_revoked])),
    ];
    for clients in [
        "client-certificate \"required\" ca=\"all.pem\" crl=\"a.crl\" { crl \"b.crl\" }",
        "client-certificate \"required\" ca=\"all.pem\" { crl \"a.crl\" \"b.crl\" }",
        "client-certificate \"required\" ca=\"all.pem\" { crl \"a.crl\"; crl \"b.crl\" }",
    ] {
        let proxy = world.start(clients, &files);
        for (identity, expected) in [
            (&good, true),
            (&revoked, false),
            (&other, true),
            (&other_revoked, false),
        ] {
            let found = gets_in(&world.showing(identity), &proxy);
            assert_eq!(found, expected, "{clients}");
        }
    }
}

#[test]
fn a_list_is_in_force_as_soon_as_it_is_there() {
    let world = World::new();
    let [one, other] = [world.clients.issue(&["a"]), world.clients.issue(&["b"])];
    let clients = "client-certificate \"required\" ca=\"clients.pem\" crl=\"a.crl\"";
    let proxy = world.start(clients, &[("a.crl", &world.clients.revoke(&[&other]))]);
    let client = TlsClient::showing(&world.site, "test", &one);
    assert!(gets_in(&client, &proxy));
    assert!(gets_in(&client, &proxy), "resumed");
    let mut open = client.connect(proxy.address("web"));
    assert_eq!(open.get("/").status, 200);
    let mark = proxy.log_mark();
    proxy.replace_file("a.crl", world.clients.revoke(&[&one]).as_bytes());
    proxy.reloaded_after(mark).expect("it is valid");
    assert!(!gets_in(&client, &proxy), "not by its ticket either");
    assert!(gets_in(&world.showing(&other), &proxy));
    assert_eq!(open.get("/").status, 200, "old connections live on");
}

const ROUTES: &str = r#"
listener "web" "127.0.0.1:0" {
    tls { certificate "site.pem"; client-certificate "optional" ca="clients.pem" }
    route "subject" path="/subject" { client-certificate { subject "CN=other" "CN=app,O=Example" }; respond 200 }
    route "name" path="/name" { client-certificate { name "URI:spiffe://example/staff/*" }; respond 200 }
    route "dns" path="/name" { client-certificate { name "DNS:app.test" "IP:192.0.2.1" }; respond 200 }
    route "print" path="/print" { client-certificate { fingerprint "PRINT" }; respond 200 }
    route "two" path="/two" { client-certificate { subject "CN=app,O=Example"; name "DNS:app.test" }; respond 200 }
    route "any" path="/any" { client-certificate; respond 200 }
    route "nobody" { respond 200 }
}
"#;

#[test]
fn a_route_asks_for_subject_name_or_fingerprint_of_the_certificate() {
    let world = World::new();
    let app = world.clients.issue_with(&["app.test"], |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, "app");
    });
    let staff = world
        .clients
        .issue_uri("staff", "spiffe://example/staff/jane");
    let print: Vec<String> = Sha256::digest(der(&staff))
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let text = config(ROUTES, &[("PRINT", &print.join(":"))]);
    let proxy = start(
        &text,
        &[
            ("site.pem", &world.site.issue(&["test"]).both()),
            ("clients.pem", &world.clients.pem()),
        ],
    );
    for (client, subject, expected) in [
        (
            world.showing(&app),
            "CN=app,O=Example",
            ["subject", "dns", "nobody", "two", "any"],
        ),
        (
            world.showing(&staff),
            "CN=staff",
            ["nobody", "name", "print", "nobody", "any"],
        ),
        (world.nobody(), "", ["nobody"; 5]),
    ] {
        let first = client.clone().connect(proxy.address("web"));
        let mut second = Http2::over(&client.clone().alpn(&["h2"]).connect(proxy.address("web")));
        let mut first = first;
        let paths = ["/subject", "/name", "/print", "/two", "/any"];
        for (path, route) in paths.into_iter().zip(expected) {
            let query = subject.len();
            let (one, two) = (format!("{path}?1-{query}"), format!("{path}?2-{query}"));
            assert_eq!(first.get(&one).status, 200);
            assert_eq!(second.get("test", &two).0, 200);
            for target in [one, two] {
                let line = proxy.line_of(&target);
                assert_eq!(line.text("route"), route, "{subject} {target}");
                assert_eq!(line.text("tls_client"), subject);
            }
        }
    }
}
