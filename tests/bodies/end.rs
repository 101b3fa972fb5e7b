//! The phase at the end of an exchange.

use super::{filtering, mode};
use crate::harness::Origin;

#[test]
fn a_filter_learns_how_an_exchange_ended() {
    let origin = Origin::start(|mut peer| {
        while let Some(request) = peer.request() {
            match request.head.target() {
                "/good" => peer.answer("ok"),
                _ => return,
            }
        }
    });
    let proxy = filtering(&mode("end"), &origin);
    assert_eq!(proxy.client().get("/good").status, 200);
    proxy.log_line("ended /good ok status 200 cluster c attempts 1 sent true");
    assert_eq!(proxy.client().get("/bad").status, 502);
    proxy.log_line("ended /bad upstream-reset status 502 cluster c attempts 2 sent true");
}

#[test]
fn a_fault_at_the_end_harms_nobody() {
    let origin = Origin::named("ok");
    let proxy = filtering(&mode("bad-end"), &origin);
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_eq!(client.get("/x").text(), "ok");
    }
    proxy.log_line("\"phase\":\"end\"");
    assert_eq!(origin.connections(), 1);
}
