//! What listeners and clusters say about TLS becomes what the model promises.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::*;
use super::fake::{SMALLEST, config, load_file, load_text};
use super::protocols::{cluster, complaints, listener};

fn file_name(path: &Spanned<PathBuf>) -> &str {
    let name = path.value.file_name().and_then(|name| name.to_str());
    name.expect("it has a name")
}

#[test]
fn a_listener_ends_tls_with_the_documented_defaults() {
    let tls = listener("tls { certificate \"site.pem\" }; route { respond 200 }");
    let tls = tls.tls.expect("it has TLS");
    let [certificate] = tls.certificates.as_slice() else {
        panic!("{:?}", tls.certificates);
    };
    assert!(certificate.chain.value.is_absolute());
    assert_eq!(file_name(&certificate.chain), "site.pem");
    assert_eq!(file_name(&certificate.key), "site.pem");
    assert!(certificate.ocsp.is_none());
    assert_eq!(tls.unknown_name, UnknownName::Default);
    assert_eq!(tls.alpn, ["h2", "http/1.1"]);
    assert_eq!(tls.policy.versions, [TlsVersion::Tls12, TlsVersion::Tls13]);
    assert!(tls.policy.ciphers.is_empty());
    assert!(tls.client_certificate.is_none() && tls.acme.is_none() && tls.tickets);
    assert_eq!(tls.handshake_timeout, Duration::from_secs(10));
    assert_eq!(tls.handshakes_max, 1000);
}

#[test]
fn a_listener_keeps_all_it_says_about_tls() {
    let found = listener(
        r#"
        tls {
            certificate "a.pem" key="a.key" ocsp="a.ocsp"
            certificate "sub/b.pem"
            unknown-name "refuse"
            versions "1.3" "1.2"
            ciphers "TLS13_AES_256_GCM_SHA384" "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
            alpn "http/1.1" "h2"
            client-certificate "optional" ca="clients.pem" crl="a.crl" { crl "b.crl" "c.crl" }
            handshake timeout="3s" concurrent-max=7
            tickets #false
        }
        route { respond 200 }
        "#,
    );
    let tls = found.tls.expect("it has TLS");
    let [first, second] = tls.certificates.as_slice() else {
        panic!("{:?}", tls.certificates);
    };
    assert_eq!(file_name(&first.key), "a.key");
    assert_eq!(first.ocsp.as_ref().map(file_name), Some("a.ocsp"));
    assert!(second.chain.value.ends_with("sub/b.pem"));
    assert_eq!(tls.unknown_name, UnknownName::Refuse);
    assert_eq!(tls.policy.versions, [TlsVersion::Tls12, TlsVersion::Tls13]);
    let ciphers = tls.policy.ciphers.iter();
    let ciphers: Vec<_> = ciphers.map(|cipher| cipher.value.as_str()).collect();
    assert_eq!(
        ciphers,
        [
            "TLS13_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
        ]
    );
    assert_eq!(tls.alpn, ["http/1.1", "h2"]);
    let clients = tls.client_certificate.expect("it asks for one");
    assert_eq!(clients.demand, Demand::Optional);
    assert_eq!(file_name(&clients.ca), "clients.pem");
    let crls: Vec<_> = clients.crls.iter().map(file_name).collect();
    assert_eq!(crls, ["a.crl", "b.crl", "c.crl"]);
    assert_eq!(
        (tls.handshake_timeout, tls.handshakes_max, tls.tickets),
        (Duration::from_secs(3), 7, false)
    );
}

#[test]
fn what_is_agreed_on_follows_the_protocol() {
    for (inside, expected) in [
        (
            "http2 enabled=#false; route { respond 200 }",
            &["http/1.1"][..],
        ),
        ("protocol \"tcp\"; route { cluster \"c\" }", &[]),
    ] {
        let tls = format!("tls {{ certificate \"a.pem\" }}; {inside}");
        assert_eq!(listener(&tls).tls.expect("it has TLS").alpn, expected);
    }
    let other = "protocol \"tcp\"; tls { certificate \"a.pem\"; alpn \"postgresql\" }; route { cluster \"c\" }";
    assert_eq!(
        listener(other).tls.expect("it has TLS").alpn,
        ["postgresql"]
    );
}

#[test]
fn certificates_may_be_ordered() {
    let text = format!(
        r#"{SMALLEST}
        listener "l" "127.0.0.1:0" {{
            tls {{
                acme "https://acme.example/directory" {{
                    name "WWW.example.com" "example.com"; name "other.example.com"
                    contact "admin@example.com"
                    terms-agreed #true
                    challenge "tls-alpn-01"
                    ca "test-ca.pem"
                    external-account "kid-1" key="${{EAB_KEY}}"
                }}
            }}
            route {{ respond 200 }}
        }}"#
    )
    .replace("${EAB_KEY}", "c2VjcmV0");
    let acme = config(&text).listeners[1]
        .tls
        .clone()
        .and_then(|tls| tls.acme);
    let acme = acme.expect("it orders one");
    assert_eq!(acme.directory.value, "https://acme.example/directory");
    let names: Vec<_> = acme.names.iter().map(|name| name.value.as_str()).collect();
    assert_eq!(
        names,
        ["www.example.com", "example.com", "other.example.com"]
    );
    assert_eq!(acme.contact.as_deref(), Some("mailto:admin@example.com"));
    assert!(acme.terms_agreed && acme.storage.value.is_absolute());
    assert_eq!(file_name(&acme.storage), "acme");
    assert_eq!(acme.challenge, AcmeChallenge::TlsAlpn01);
    assert_eq!(acme.ca.as_ref().map(file_name), Some("test-ca.pem"));
    let account = ("kid-1".to_owned(), Secret("c2VjcmV0".to_owned()));
    assert_eq!(acme.external_account.as_ref(), Some(&account));
    assert!(!format!("{acme:?}").contains("c2VjcmV0"));
}

#[test]
fn a_certificate_has_at_most_a_hundred_names() {
    let ordered = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("\"n{n}.example\"")).collect();
        complaints(&format!(
            "{SMALLEST}\nlistener \"l\" \"127.0.0.1:0\" {{ tls {{ acme \"https://a.example/\" {{ name {}; terms-agreed #true }} }}; route {{ respond 200 }} }}",
            names.join(" ")
        ))
    };
    assert_eq!(ordered(100), "");
    assert!(ordered(101).contains("at most 100 names"));
}

/// Every file whose change is a change of the configuration, whether it loaded or not; not what we write ourselves.
#[test]
fn files_of_tls_are_watched() {
    let good = r#"
        listener "plain" "127.0.0.1:0" { route { cluster "c" } }
        listener "l" "127.0.0.1:0" {
            tls {
                certificate "a.pem" key="a.key" ocsp="a.ocsp"
                certificate "b.pem"
                client-certificate "required" ca="clients.pem" crl="a.crl" { crl "b.crl" }
                acme "https://a.example/" { name "c.example"; terms-agreed #true; ca "acme-ca.pem"; storage "stored" }
            }
            route { respond 200 }
        }
        cluster "c" {
            endpoint "c:443"
            tls ca="roots.pem" { certificate "client.pem" key="client.key" }
            health-check { tls ca="check.pem" }
        }
    "#;
    let expected = [
        "a.crl",
        "a.key",
        "a.ocsp",
        "a.pem",
        "acme-ca.pem",
        "b.crl",
        "b.pem",
        "check.pem",
        "client.key",
        "client.pem",
        "clients.pem",
        "config.kdl",
        "roots.pem",
    ];
    let names = |watched: &Watched| {
        let names = watched.files.iter().filter_map(|file| file.file_name());
        let mut names: Vec<String> = names
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let loaded = load_text(good).unwrap_or_else(|refused| panic!("{}", refused.render(false)));
    assert_eq!(names(&loaded.watched), expected);
    assert!(loaded.watched.files.iter().all(|file| file.is_absolute()));
    let refused = load_text(&good.replace("\"127.0.0.1:0\" { route", "\"nowhere\" { route"));
    assert_eq!(
        names(&refused.expect_err("a bad address").watched),
        expected
    );
}

#[test]
fn clusters_speak_tls_with_the_documented_defaults() {
    let plain = cluster("endpoint \"c:443\"");
    assert!(plain.tls.is_none() && plain.proxy_protocol.is_none());
    let tls = cluster("endpoint \"c:443\"; tls").tls.expect("it has TLS");
    assert!(tls.verify && tls.ca.is_none() && tls.server_name.is_none());
    assert!(tls.certificate.is_none() && tls.alpn.is_empty() && tls.policy.ciphers.is_empty());
    assert_eq!(tls.policy.versions, [TlsVersion::Tls12, TlsVersion::Tls13]);
    let h2 = cluster("endpoint \"c:443\"; protocol \"h2\"; tls");
    assert_eq!(h2.tls.expect("it has TLS").alpn, ["h2"]);
}

#[test]
fn clusters_keep_all_they_say_about_tls() {
    let found = cluster(
        r#"
        endpoint "c:443"
        protocol "h2"
        tls server-name="api.internal" ca="ca.pem" verify=#true {
            certificate "client.pem" key="client.key"
            alpn "h2" "http/1.1"
            versions "1.3"
            ciphers "TLS_AES_128_GCM_SHA256"
        }
        "#,
    );
    let tls = found.tls.expect("it has TLS");
    let name = tls.server_name.as_ref().map(|name| name.value.as_str());
    assert_eq!(name, Some("api.internal"));
    assert_eq!(tls.ca.as_ref().map(file_name), Some("ca.pem"));
    let certificate = tls.certificate.expect("it shows one");
    assert_eq!(file_name(&certificate.key), "client.key");
    assert_eq!(tls.alpn, ["h2", "http/1.1"]);
    assert_eq!(tls.policy.versions, [TlsVersion::Tls13]);
    assert_eq!(tls.policy.ciphers.len(), 1);
    let trusting = cluster("endpoint \"c:443\"; tls verify=#false");
    assert!(!trusting.tls.expect("it has TLS").verify);
}

/// A chain of files: what a file names is beside that file, not beside the first.
#[test]
fn files_are_beside_the_file_that_names_them() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    write("main.kdl", &format!("{SMALLEST}\ninclude \"sub/tls.kdl\""));
    write(
        "sub/tls.kdl",
        "listener \"l\" \"127.0.0.1:0\" { tls { certificate \"a.pem\"; acme \"https://a.example/\" { name \"a.example\"; terms-agreed #true } }; route { respond 200 } }",
    );
    let loaded = load_file(&dir.path().join("main.kdl")).expect("it is good");
    let tls = loaded.config.listeners[1].tls.clone().expect("it has TLS");
    let is_beside = |path: &Path| path.parent() == Some(&dir.path().join("sub"));
    assert!(is_beside(&tls.certificates[0].chain.value));
    assert!(is_beside(&tls.acme.expect("it orders one").storage.value));
}
