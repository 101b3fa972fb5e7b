//! What goes wrong at the proxy, said so that gRPC understands it.

use super::before;
use super::service::{Client, Words};
use crate::harness::h2::{H2Client, H2Origin, h2_request_with};
use crate::harness::{Admin, Proxy, closed_port};
use tonic::Code;

fn outcome(proxy: &Proxy, method: &str) -> String {
    let line = proxy.line_of(&format!("/words.Words/{method}"));
    assert_eq!(line.status(), 200, "what the downstream saw");
    line.outcome().to_owned()
}

fn code(client: &Client, method: &str) -> Code {
    client.say(method, "x").expect_err("it fails").code()
}

#[test]
fn an_endpoint_that_is_not_there_is_unavailable() {
    let (_held, refused) = closed_port();
    let proxy = before("", "retry attempts=1", &refused);
    let client = Client::connect(proxy.address("web"));
    assert_eq!(code(&client, "Refused"), Code::Unavailable);
    assert_eq!(outcome(&proxy, "Refused"), "connect-failed");
    Admin::of(&proxy).order("c", &refused, "maintain");
    assert_eq!(code(&client, "Out"), Code::Unavailable);
    assert_eq!(outcome(&proxy, "Out"), "no-endpoint");
}

#[test]
fn a_call_that_a_filter_denies_is_not_permitted() {
    let server = Words::start();
    let denied = "filters { acl { rule \"deny\" { path \"/words.Words/Denied\" } } }";
    let proxy = before(denied, "", &server);
    let client = Client::connect(proxy.address("web"));
    assert_eq!(code(&client, "Denied"), Code::PermissionDenied);
    assert_eq!(outcome(&proxy, "Denied"), "filter-reply");
    assert_eq!(
        client.say("Echo", "x").expect("an answer").get_ref().text,
        "x"
    );
}

#[test]
fn a_service_without_a_route_is_unimplemented() {
    let server = Words::start();
    let text = format!(
        "listener \"web\" \"127.0.0.1:0\" {{ route path=\"/other/*\" {{ cluster \"c\" }} }}\ncluster \"c\" {{ protocol \"h2\"; endpoint \"{server}\" }}\n"
    );
    let proxy = Proxy::start(&text);
    let client = Client::connect(proxy.address("web"));
    assert_eq!(code(&client, "Echo"), Code::Unimplemented);
    assert_eq!(outcome(&proxy, "Echo"), "no-route");
}

#[test]
fn answers_of_the_proxy_are_trailers_alone_and_only_for_grpc() {
    let (_held, refused) = closed_port();
    let proxy = before("", "retry attempts=1", &refused);
    let client = H2Client::connect(proxy.address("web"));
    let mut call = client.open(h2_request_with(
        "POST",
        "/words.Words/Raw",
        &[("content-type", "application/grpc"), ("te", "trailers")],
    ));
    call.send([0, 0, 0, 0, 0], true);
    let answer = call.rest();
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-type"), Some("application/grpc"));
    assert_eq!(answer.header("grpc-status"), Some("14"));
    assert_eq!(answer.header("grpc-message"), Some("Bad Gateway"));
    assert!(answer.trailers.is_none() && answer.error.is_none());
    assert_eq!(outcome(&proxy, "Raw"), "connect-failed");
    let plain = client.post("/words.Words/Plain", "x");
    assert_eq!((plain.status, plain.header("grpc-status")), (502, None));
}

#[test]
fn the_deadline_of_a_call_caps_the_response_timeout() {
    let origin = H2Origin::start(|mut exchange| {
        exchange.body();
        exchange.wait_for_reset();
    });
    let proxy = before("", "timeouts response=\"10m\"\nretry attempts=1", &origin);
    let client = H2Client::connect(proxy.address("web"));
    let headers = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "200m"),
    ];
    let mut call = client.open(h2_request_with("POST", "/words.Words/Late", &headers));
    call.send([0, 0, 0, 0, 0], true);
    let answer = call.rest();
    assert_eq!(
        (answer.status, answer.header("grpc-status")),
        (200, Some("4"))
    );
    assert_eq!(outcome(&proxy, "Late"), "response-timeout");
    assert_eq!(origin.request(0).headers["grpc-timeout"], "200m");
}

#[test]
fn a_deadline_does_not_lengthen_the_response_timeout() {
    let origin = H2Origin::start(|mut exchange| {
        exchange.wait_for_reset();
    });
    let proxy = before("", "timeouts response=\"200ms\"\nretry attempts=1", &origin);
    let client = H2Client::connect(proxy.address("web"));
    let headers = [("content-type", "application/grpc"), ("grpc-timeout", "1H")];
    let call = client.begin(h2_request_with("POST", "/words.Words/Late", &headers), true);
    assert_eq!(call.rest().header("grpc-status"), Some("4"));
    assert_eq!(outcome(&proxy, "Late"), "response-timeout");
}

#[test]
fn a_server_that_breaks_off_within_a_call_is_not_taken_for_the_end() {
    let origin = H2Origin::start(|mut exchange| {
        exchange.body();
        exchange.head(200, &[("content-type", "application/grpc")], false);
        exchange.send([0, 0, 0, 0, 3, 10, 1, b'x'], false);
        exchange.wait_for_reset();
    });
    let proxy = before("", "timeouts response=\"200ms\"", &origin);
    let client = Client::connect(proxy.address("web"));
    let mut words = client
        .server_streaming("Count", "2")
        .expect("an answer")
        .into_inner();
    let first = super::service::message(&mut words).expect("a word");
    assert_eq!(first.as_deref(), Some("x"));
    assert!(super::service::message(&mut words).is_err());
    assert_eq!(outcome(&proxy, "Count"), "upstream-stalled");
}
