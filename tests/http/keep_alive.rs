//! Connections that carry more than one exchange, on both sides.

use crate::harness::{Origin, Proxy};

#[test]
fn requests_on_one_downstream_connection_share_one_upstream_connection() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    for path in ["/1", "/2", "/3"] {
        assert_eq!(client.get(path).echoed().target(), path);
        let line = proxy.line_of(path);
        assert_eq!((line.outcome(), line.status()), ("ok", 200));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_upstream_connection_is_reused_for_another_downstream() {
    let origin = Origin::named("a");
    let proxy = Proxy::before(&origin);
    for path in ["/1", "/2"] {
        assert_eq!(proxy.client().get(path).text(), "a");
        assert_eq!(proxy.line_of(path).outcome(), "ok");
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(proxy.line_of("/2").number("connect_us"), 0);
}
