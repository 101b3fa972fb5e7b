//! Time and number of handshakes.

use super::{HELLO, is_silent, start, until};
use crate::harness::{Authority, TlsClient};

/// The beginning of a hello, of which the rest does not come.
const HALF_A_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

#[test]
fn a_handshake_that_does_not_go_on_is_ended_at_its_timeout() {
    let authority = Authority::new();
    let proxy = start(
        r#"
listener "patient" "127.0.0.1:0" {
    tls { certificate "site.pem"; handshake timeout="1m" }
    route { respond 200 }
}
listener "web" "127.0.0.1:0" {
    tls { certificate "site.pem"; handshake timeout="100ms" }
    route { respond 200 }
}
"#,
        &[("site.pem", &authority.issue(&["test"]).both())],
    );
    for beginning in [&[][..], &HALF_A_HELLO[..1], HALF_A_HELLO] {
        let mut other = proxy.client_of("patient");
        other.send(beginning);
        let mut slow = proxy.client();
        slow.send(beginning);
        assert!(slow.is_at_end());
        assert!(is_silent(&other), "its timeout is another one");
    }
    // A finished handshake is not under that timeout any more: what is waited for here takes longer than it.
    let mut done = TlsClient::new(&authority, "test").connect(proxy.address("web"));
    let mut slow = proxy.client();
    slow.send(HALF_A_HELLO);
    assert!(slow.is_at_end());
    assert_eq!(done.get("/").status, 200);
}

#[test]
fn as_many_handshakes_are_under_way_as_may_be() {
    let (authority, proxy) = super::served("handshake timeout=\"1m\" concurrent-max=1", HELLO, "");
    let client = TlsClient::new(&authority, "test").without_resumption();
    // Those who have not said a word keep nobody out.
    let quiet = proxy.client();
    assert_eq!(client.connect(proxy.address("web")).get("/").status, 200);
    let mut half = proxy.client();
    half.send(HALF_A_HELLO);
    until("a refusal", || client.shake(proxy.address("web")).err());
    proxy.log_line("as many TLS handshakes are under way as may be");
    assert!(is_silent(&quiet) && is_silent(&half));
    drop(half);
    let (mut again, _) = until("a place", || client.shake(proxy.address("web")).ok());
    assert_eq!(again.get("/").text(), "hello");
    // A finished one does not count: there is room for another.
    let (mut other, _) = until("a place", || client.shake(proxy.address("web")).ok());
    assert_eq!(other.get("/").text(), "hello");
    assert_eq!(again.get("/").text(), "hello");
}
