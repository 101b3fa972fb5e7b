//! Orders and reloads.

use super::{HANDSHAKE, Site, installed, installed_after, web};
use crate::harness::{Proxy, wait};

#[test]
fn changed_names_are_ordered_and_the_earlier_certificate_serves_meanwhile() {
    let site = Site::by_handshake();
    let text = web(&site.directory(), "", HANDSHAKE);
    let proxy = Proxy::start(&text);
    site.look_at(proxy.address("web"));
    installed(&proxy);
    let first = site.shake(&proxy, "a.example").expect("it is there");
    let other = Site::by_handshake();
    let more = text
        .replace("name \"a.example\"", "name \"a.example\" \"b.example\"")
        .replace(&site.directory(), &other.directory());
    proxy.reload(&more).expect("it is valid");
    other.begun();
    let meanwhile = site.shake(&proxy, "a.example").expect("the earlier one");
    assert_eq!(meanwhile.certificate, first.certificate);
    let mark = proxy.log_mark();
    other.look_at(proxy.address("web"));
    installed_after(&proxy, mark);
    for name in ["a.example", "b.example"] {
        other.shake(&proxy, name).expect("the new one");
    }
    assert_eq!(other.authority.ordered(), [["a.example", "b.example"]]);
    assert_eq!(site.authority.ordered(), [["a.example"]]);
}

#[test]
fn a_reload_of_something_else_goes_on_with_the_order_and_its_challenge() {
    for (site, listener, more) in [
        (Site::by_handshake(), "web", HANDSHAKE),
        (Site::by_http(), "plain", "name \"a.example\""),
    ] {
        let text = web(&site.directory(), "", more);
        let proxy = Proxy::start(&text);
        site.begun();
        let changed = text.replace("body=\"web\"", "body=\"changed\"");
        proxy.reload(&changed).expect("it is valid");
        site.look_at(proxy.address(listener));
        installed(&proxy);
        site.shake(&proxy, "a.example")
            .expect("in the generation that runs");
        assert_eq!(site.authority.ordered().len(), 1, "{listener}");
        proxy.reload(&text).expect("it is valid");
        site.shake(&proxy, "a.example")
            .expect("in the next one too");
        assert_eq!(site.authority.ordered().len(), 1, "{listener}");
    }
}

#[test]
fn an_order_that_is_no_longer_wanted_ends_and_shows_nothing_any_longer() {
    let site = Site::by_http();
    let text = web(&site.directory(), "", "name \"a.example\"");
    let proxy = Proxy::start(&text);
    let proof = site.begun();
    let path = format!("/.well-known/acme-challenge/{}", proof.token);
    assert_eq!(
        proxy.client_of("plain").get(&path).text(),
        proof.key_authorization
    );
    let without = "listener \"plain\" \"127.0.0.1:0\" { route { respond 200 body=\"plain\" } }";
    proxy.reload(without).expect("it is valid");
    wait(|| match proxy.client_of("plain").get(&path).text() {
        text if text == "plain" => Ok(()),
        text => Err(text),
    });
    site.look_at(proxy.address("plain"));
    assert!(site.authority.issued().is_empty());
}
