//! Sessions are resumed, whichever worker they come to and whatever configuration they began under.

use super::start;
use crate::harness::{Authority, Proxy, TlsClient};
use rustls::version::TLS12;

const TEXT: &str = r#"
process { workers 2; log format="json" }
listener "web" "127.0.0.1:0" {
    tls { certificate "site.pem"; MORE }
    filters { headers { response { set "x-resumed" "{tag:tls.resumed}" } } }
    route { respond 200 body="hello" }
}
"#;

fn started(authority: &Authority, more: &str) -> Proxy {
    let text = TEXT.replace("MORE", more);
    start(&text, &[("site.pem", &authority.issue(&["test"]).both())])
}

/// Whether a connection resumes a session; afterwards its client has a new ticket.
fn resumes(client: &TlsClient, proxy: &Proxy) -> bool {
    let (mut client, seen) = client.shake(proxy.address("web")).expect("a handshake");
    let response = client.get("/");
    let told = response.header("x-resumed");
    assert_eq!(told, Some(if seen.resumed { "true" } else { "false" }));
    seen.resumed
}

#[test]
fn a_session_is_resumed_by_every_worker_and_after_a_reload() {
    let authority = Authority::new();
    for client in [
        TlsClient::new(&authority, "test"),
        TlsClient::versions(&authority, "test", &[&TLS12]),
    ] {
        let proxy = started(&authority, "");
        assert!(!resumes(&client, &proxy), "there is no session yet");
        for turn in 0..16 {
            assert!(resumes(&client, &proxy), "turn {turn}");
        }
        let text = TEXT.replace("MORE", "").replace("hello", "changed");
        proxy.reload(&text).expect("it is valid");
        for turn in 0..4 {
            assert!(resumes(&client, &proxy), "after the reload, turn {turn}");
        }
    }
}

#[test]
fn without_tickets_every_handshake_is_a_whole_one() {
    let authority = Authority::new();
    for client in [
        TlsClient::new(&authority, "test"),
        TlsClient::versions(&authority, "test", &[&TLS12]),
    ] {
        let proxy = started(&authority, "tickets #false");
        for turn in 0..3 {
            assert!(!resumes(&client, &proxy), "turn {turn}");
        }
    }
}

/// A ticket says that its holder has been verified; under other rules that is not so.
#[test]
fn a_session_is_not_resumed_under_other_rules_for_clients() {
    let authority = Authority::new();
    let proxy = started(&authority, "");
    let client = TlsClient::new(&authority, "test");
    assert!(!resumes(&client, &proxy));
    assert!(resumes(&client, &proxy));
    let other = Authority::new();
    proxy.replace_file("clients.pem", other.pem().as_bytes());
    let asked = "client-certificate \"optional\" ca=\"clients.pem\"";
    proxy
        .reload(&TEXT.replace("MORE", asked))
        .expect("it is valid");
    assert!(!resumes(&client, &proxy));
    assert!(resumes(&client, &proxy));
}
