//! Orders that fail: what the log says, when the next one begins, and that everything else serves.

use super::{HANDSHAKE, Site, installed_after, web};
use crate::harness::acme::Refusal;
use crate::harness::{Authority, Proxy, TlsClient, closed_port};
use serde_json::Value;

/// The line that says why there is no certificate.
fn failure_after(proxy: &Proxy, mark: usize) -> Value {
    let line = proxy.log_line_after(mark, "no certificate could be had");
    serde_json::from_str(&line).expect("the log is JSON")
}

fn reason(failure: &Value) -> &str {
    failure["error"].as_str().expect("there is a reason")
}

#[test]
fn an_authority_that_is_down_is_asked_again_later_and_everything_else_serves() {
    let ((_held, down), own) = (closed_port(), Authority::new());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let written = own.issue(&["a.example"]);
    std::fs::write(folder.path().join("written.pem"), written.both()).expect("a writable folder");
    let directory = format!("http://{down}/directory");
    let text = web(&directory, "certificate \"written.pem\"", HANDSHAKE);
    let proxy = Proxy::start_in(folder, &text).expect("an authority is not needed for that");
    let failure = failure_after(&proxy, 0);
    assert_eq!(failure["level"], "WARN");
    assert_eq!(failure["failures"], 1);
    assert_eq!(failure["authority"], directory.as_str());
    let again = failure["retry_seconds"].as_u64().expect("a number");
    assert!((60..=66).contains(&again), "{failure}");
    assert!(reason(&failure).contains("127.0.0.1"), "{failure}");
    assert_eq!(proxy.client_of("plain").get("/plain").text(), "plain");
    let mut client = TlsClient::new(&own, "a.example").connect(proxy.address("web"));
    let response = client.ask("GET", "/web", "Host: a.example\r\n");
    assert_eq!(response.text(), "web");
    for target in ["/plain", "/web"] {
        assert_eq!(proxy.line_of(target).outcome(), "route-reply");
    }
    // Another authority is asked at once.
    let site = Site::by_handshake();
    let mark = proxy.log_mark();
    site.look_at(proxy.address("web"));
    let other = text.replace(&directory, &site.directory());
    proxy.reload(&other).expect("it is valid");
    installed_after(&proxy, mark);
    site.shake(&proxy, "a.example").expect("it is there");
}

#[test]
fn a_name_that_is_not_proved_is_named_with_the_reason() {
    let site = Site::looking(|_, _| Err("nobody is at home".to_owned()));
    let proxy = Proxy::start(&web(&site.directory(), "", HANDSHAKE));
    site.look_at(proxy.address("web"));
    let failure = failure_after(&proxy, 0);
    let expected = "a.example was not proved: nobody is at home (unauthorized)";
    assert_eq!(reason(&failure), expected);
    site.shake(&proxy, "a.example").expect_err("there is none");
}

#[test]
fn the_wait_that_an_authority_asks_for_is_kept_over_a_restart() {
    let site = Site::by_handshake();
    let storage = tempfile::tempdir().expect("a temporary folder");
    let more = format!("storage \"{}\"; {HANDSHAKE}", storage.path().display());
    let text = web(&site.directory(), "", &more);
    site.authority
        .refuse_once("/new-order", Refusal::rate_limited(7200));
    let proxy = Proxy::start(&text);
    let failure = failure_after(&proxy, 0);
    assert_eq!(failure["retry_seconds"], 7200);
    assert_eq!(reason(&failure), "too many orders (rateLimited)");
    drop(proxy);
    let asked = site.authority.count("/new-order");
    let proxy = Proxy::start(&text);
    site.look_at(proxy.address("web"));
    // Other names are another matter. An order for the former would have begun before.
    let other = text.replace("a.example", "b.example");
    let mark = proxy.log_mark();
    proxy.reload(&other).expect("it is valid");
    installed_after(&proxy, mark);
    site.shake(&proxy, "b.example").expect("it is there");
    assert_eq!(site.authority.ordered(), [["b.example"]]);
    assert_eq!(site.authority.count("/new-order"), asked + 1);
}
