//! Each kind of call, over plain HTTP/2 and by TLS.

use super::before;
use super::service::{Client, Words, message, word};
use crate::harness::h2::wait_for;
use crate::harness::{Admin, Authority, Proxy, TlsClient, TlsFront, config, wait};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Outcome and status of the call of a method.
fn ended(proxy: &Proxy, method: &str) -> (String, i64) {
    let line = proxy.line_of(&format!("/words.Words/{method}"));
    assert_eq!(line.text("protocol"), "HTTP/2");
    (line.outcome().to_owned(), line.status())
}

fn ok() -> (String, i64) {
    ("ok".to_owned(), 200)
}

/// Each kind of call once.
fn call_everything(proxy: &Proxy, client: &Client) {
    let mut request = Request::new(word("hello"));
    let asked = "anything".parse().expect("ASCII");
    request.metadata_mut().insert("x-asked", asked);
    let response = client.unary("Echo", request).expect("an answer");
    assert_eq!(response.get_ref().text, "hello");
    assert_eq!(response.metadata().get("x-told").expect("told"), "anything");
    assert_eq!(ended(proxy, "Echo"), ok());

    let mut counted = client
        .server_streaming("Count", "500")
        .expect("an answer")
        .into_inner();
    for number in 0..500 {
        assert_eq!(
            message(&mut counted).expect("a number"),
            Some(number.to_string())
        );
    }
    assert_eq!(message(&mut counted).expect("the end"), None);
    assert_eq!(ended(proxy, "Count"), ok());

    let words = ["a", "b", "c"].repeat(100);
    let words = words.into_iter().map(word).collect();
    let joined = client.client_streaming("Join", words).expect("an answer");
    assert_eq!(joined.get_ref().text, "abc".repeat(100));
    assert_eq!(ended(proxy, "Join"), ok());

    // Each word is answered before the next one is said.
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let mut heard = client
        .talk("Talk", ReceiverStream::new(receiver))
        .expect("an answer")
        .into_inner();
    for text in ["one", "two", "three"] {
        wait_for("room", sender.send(word(text))).expect("it listens");
        assert_eq!(message(&mut heard).expect("a word").as_deref(), Some(text));
    }
    drop(sender);
    assert_eq!(message(&mut heard).expect("the end"), None);
    assert_eq!(ended(proxy, "Talk"), ok());
}

#[test]
fn each_kind_of_call_passes() {
    let server = Words::start();
    let proxy = before("", "", &server);
    call_everything(&proxy, &Client::connect(proxy.address("web")));
}

#[test]
fn each_kind_of_call_passes_by_tls_on_both_sides() {
    let authority = Authority::new();
    let server = Words::start();
    let identity = authority.issue(&["test"]);
    let front = TlsFront::before(&server, &identity, &["h2"], None);
    let directory = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(directory.path().join("site.pem"), identity.both()).expect("writable");
    std::fs::write(directory.path().join("ca.pem"), authority.pem()).expect("writable");
    let text = r#"
        listener "web" "127.0.0.1:0" {
            tls { certificate "site.pem" }
            route { cluster "c" }
        }
        cluster "c" {
            protocol "h2"
            tls server-name="test" ca="ca.pem"
            endpoint "SERVER"
        }"#;
    let proxy = Proxy::start_in(directory, &config(text, &[("SERVER", &front)]));
    let proxy = proxy.unwrap_or_else(|said| panic!("{said}"));
    let tls = TlsClient::new(&authority, "test");
    call_everything(&proxy, &Client::tls(&tls, proxy.address("web")));
}

#[test]
fn a_status_of_the_server_arrives_with_its_words_and_metadata() {
    let server = Words::start();
    let proxy = before("", "", &server);
    let client = Client::connect(proxy.address("web"));
    let status = client.say("Fail", "").expect_err("it fails");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), "not now, maybe later: 50%");
    assert_eq!(
        status.metadata().get("x-why").expect("it says why"),
        "in trailers"
    );
    assert_eq!(ended(&proxy, "Fail"), ok());
    let mut late = client
        .server_streaming("FailLate", "")
        .expect("an answer")
        .into_inner();
    assert_eq!(message(&mut late).expect("a word").as_deref(), Some("one"));
    let status = message(&mut late).expect_err("it fails");
    assert_eq!(
        (status.code(), status.message()),
        (Code::DataLoss, "half of it")
    );
    assert_eq!(ended(&proxy, "FailLate"), ok());
}

#[test]
fn large_messages_pass() {
    let server = Words::start();
    let proxy = before("", "", &server);
    let client = Client::connect(proxy.address("web"));
    let text: String = ('a'..='z').cycle().take(3 << 20).collect();
    let response = client.say("Echo", &text).expect("an answer");
    assert!(response.get_ref().text == text);
    let words = vec![word(&text[..1 << 20]); 3];
    let joined = client.client_streaming("Join", words).expect("an answer");
    assert!(joined.get_ref().text == text[..1 << 20].repeat(3));
    assert_eq!(ended(&proxy, "Join"), ok());
}

#[test]
fn a_cancelled_call_is_cancelled_at_the_server() {
    let server = Words::start();
    let proxy = before("", "", &server);
    let client = Client::connect(proxy.address("web"));
    let call = client.begin("Hang");
    server.begun.wait();
    call.abort();
    server.cancelled.wait();
    assert_eq!(ended(&proxy, "Hang"), ("downstream-aborted".to_owned(), 0));
    assert_eq!(
        client
            .say("Echo", "next")
            .expect("an answer")
            .get_ref()
            .text,
        "next"
    );
    let admin = Admin::of(&proxy);
    admin.wait_for_endpoint("c", &server, |report| report["requests"] == 0);
}

#[test]
fn a_stream_that_is_left_is_cancelled_at_the_server() {
    let server = Words::start();
    let proxy = before("", "", &server);
    let client = Client::connect(proxy.address("web"));
    let mut drops = client
        .server_streaming("Drip", "")
        .expect("an answer")
        .into_inner();
    assert_eq!(
        message(&mut drops).expect("a word").as_deref(),
        Some("a drop")
    );
    drop(drops);
    server.cancelled.wait();
    assert_eq!(
        ended(&proxy, "Drip"),
        ("downstream-aborted".to_owned(), 200)
    );
}

#[test]
fn many_calls_share_one_connection() {
    let server = Words::start();
    let proxy = before("", "", &server);
    let client = Client::connect(proxy.address("web"));
    let hanging = client.begin("Hang");
    server.begun.wait();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let client = &client;
            scope.spawn(move || {
                for number in 0..25 {
                    let text = format!("{thread} {number}");
                    let response = client.say("Echo", &text).expect("an answer");
                    assert_eq!(response.get_ref().text, text);
                }
            });
        }
    });
    hanging.abort();
    let admin = Admin::of(&proxy);
    admin.wait_for_endpoint("c", &server, |report| {
        report["requests"] == 0 && report["connections"] == 1
    });
}

#[test]
fn a_grpc_check_decides_whether_a_server_gets_calls() {
    let server = Words::start();
    let set = |status: ServingStatus| {
        wait_for(
            "a status",
            server.health.set_service_status("words.Words", status),
        );
    };
    set(ServingStatus::NotServing);
    let check = "health-check interval=\"30ms\" rise=1 fall=1 initial=\"down\" { grpc service=\"words.Words\" }";
    let proxy = before("", check, &server);
    let client = Client::connect(proxy.address("web"));
    let status = client.say("Echo", "x").expect_err("it is down");
    assert_eq!(status.code(), Code::Unavailable);
    set(ServingStatus::Serving);
    wait(|| client.say("Echo", "x").map_err(|status| status.to_string()));
    set(ServingStatus::NotServing);
    wait(|| match client.say("Echo", "x") {
        Err(status) if status.code() == Code::Unavailable => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let line = proxy.access_line(|line| line.outcome() == "no-endpoint");
    assert_eq!(line.status(), 200, "what the downstream saw");
}

#[test]
fn a_health_service_is_a_service_like_any_other() {
    let server = Words::start();
    let proxy = before("", "", &server);
    let client = Client::connect(proxy.address("web"));
    let mut health = HealthClient::new(client.channel());
    let asked = HealthCheckRequest {
        service: String::new(),
    };
    let answer = wait_for("an answer", health.check(asked.clone())).expect("an answer");
    assert_eq!(answer.get_ref().status, 1);
    let watched = wait_for("an answer", health.watch(asked)).expect("an answer");
    let mut watched = watched.into_inner();
    let first = wait_for("a status", watched.message()).expect("a status");
    assert_eq!(first.map(|first| first.status), Some(1));
}
