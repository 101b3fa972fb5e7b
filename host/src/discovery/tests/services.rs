//! SRV records.

use std::time::Duration;

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Record, RecordType};

use super::name_server::{NameServer, Reply, address, alias, records_only, service};
use super::{Published, all_found, discovery, found};
use crate::config::{Discovery, DiscoverySource};
use crate::discovery::{Found, LookError, look};

const NAME: &str = "_http._tcp.example";

fn services(server: &NameServer) -> Discovery {
    let name = NAME.to_owned();
    discovery(DiscoverySource::Srv { name }, &[server.address])
}

fn tell(server: &NameServer, records: &[(u16, u16, u16, &str)]) {
    let records = records.iter().map(|record| service(NAME, 60, *record));
    server.tell(NAME, RecordType::SRV, records_only(records.collect()));
}

fn weighted(address: &str, weight: u16, backup: bool) -> Found {
    Found {
        weight,
        backup,
        ..found(address)
    }
}

#[tokio::test]
async fn targets_have_their_ports_weights_and_priorities() {
    let server = NameServer::start().await;
    let records = [
        (10, 5, 8001, "a.example"),
        (10, 0, 8002, "B.example"),
        (20, 9, 8003, "c.example"),
        (30, 7, 8004, "a.example"),
    ];
    tell(&server, &records);
    server.tell_addresses("a.example", 60, &["192.0.2.1", "2001:db8::1"]);
    server.tell_addresses("B.example", 8, &["192.0.2.2"]);
    server.tell_addresses("c.example", 60, &["192.0.2.3"]);
    let (list, again) = look(&services(&server)).await.expect("found");
    let expected = [
        weighted("192.0.2.1:8001", 5, false),
        weighted("192.0.2.1:8004", 7, true),
        weighted("192.0.2.2:8002", 1, false),
        weighted("192.0.2.3:8003", 9, true),
        weighted("[2001:db8::1]:8001", 5, false),
        weighted("[2001:db8::1]:8004", 7, true),
    ];
    assert_eq!(list, expected);
    assert_eq!(again, Duration::from_secs(8));
}

#[tokio::test]
async fn large_weights_are_scaled() {
    let server = NameServer::start().await;
    let records = [
        (0, 1000, 1, "a.example"),
        (0, 500, 2, "a.example"),
        (0, 1, 3, "a.example"),
    ];
    tell(&server, &records);
    server.tell_addresses("a.example", 60, &["192.0.2.1"]);
    let (list, _) = look(&services(&server)).await.expect("found");
    let weights: Vec<u16> = list.iter().map(|found| found.weight).collect();
    assert_eq!(weights, [256, 128, 1]);
}

#[tokio::test]
async fn addresses_that_come_along_are_not_asked_for() {
    let mut server = NameServer::start().await;
    let both = Reply::Records {
        answers: vec![
            service(NAME, 60, (0, 1, 80, "a.example")),
            service(NAME, 60, (0, 1, 80, "b.example")),
        ],
        additionals: vec![
            address("a.example", 5, "192.0.2.1"),
            address("A.example", 60, "2001:db8::1"),
            address("stranger.example", 60, "192.0.2.66"),
        ],
    };
    server.tell(NAME, RecordType::SRV, both);
    server.tell_addresses("b.example", 60, &["192.0.2.2"]);
    let (list, again) = look(&services(&server)).await.expect("found");
    let expected = all_found(&["192.0.2.1:80", "192.0.2.2:80", "[2001:db8::1]:80"]);
    assert_eq!(list, expected);
    assert_eq!(again, Duration::from_secs(5));
    let mut asked: Vec<String> = server
        .questions_so_far()
        .into_iter()
        .map(|question| question.name)
        .collect();
    asked.sort();
    assert_eq!(asked, [NAME, "b.example", "b.example"]);
}

#[tokio::test]
async fn an_alias_of_the_service_is_followed() {
    let server = NameServer::start().await;
    let answers = vec![
        alias(NAME, 9, "_http._tcp.real.example"),
        service("_http._tcp.real.example", 60, (0, 1, 80, "a.example")),
    ];
    let only_alias = vec![answers[0].clone()];
    server.tell(NAME, RecordType::CNAME, records_only(only_alias));
    let real = vec![answers[1].clone()];
    let real_name = "_http._tcp.real.example";
    server.tell(real_name, RecordType::SRV, records_only(real));
    server.tell(NAME, RecordType::SRV, records_only(answers));
    server.tell_addresses("a.example", 60, &["192.0.2.1"]);
    let (list, again) = look(&services(&server)).await.expect("found");
    assert_eq!(list, all_found(&["192.0.2.1:80"]));
    assert_eq!(again, Duration::from_secs(9));
}

#[tokio::test]
async fn aliases_in_a_circle_lead_nowhere() {
    let server = NameServer::start().await;
    let other = "_http._tcp.other.example";
    for (from, to) in [(NAME, other), (other, NAME)] {
        let alias = alias(from, 9, to);
        for kind in [RecordType::SRV, RecordType::CNAME] {
            server.tell(from, kind, records_only(vec![alias.clone()]));
        }
    }
    let error = look(&services(&server)).await;
    assert!(error.is_err(), "{error:?}");
}

#[tokio::test]
async fn a_long_answer_comes_by_tcp() {
    let server = NameServer::start().await;
    let records: Vec<Record> = (1..=300)
        .map(|port| service(NAME, 60, (0, 1, port, "a.example")))
        .collect();
    server.tell(NAME, RecordType::SRV, Reply::Truncated(records));
    server.tell_addresses("a.example", 60, &["192.0.2.1"]);
    let (list, _) = look(&services(&server)).await.expect("found");
    assert_eq!(list.len(), 300);
}

#[tokio::test]
async fn who_does_not_exist_is_left_out_and_nobody_at_all_is_an_error() {
    let server = NameServer::start().await;
    server.tell_addresses("a.example", 60, &["192.0.2.1"]);
    tell(
        &server,
        &[(0, 1, 80, "a.example"), (0, 1, 80, "gone.example")],
    );
    let (list, _) = look(&services(&server)).await.expect("found");
    assert_eq!(list, all_found(&["192.0.2.1:80"]));

    for nobody in [
        (0, 0, 0, "."),
        (0, 1, 80, "gone.example"),
        (0, 1, 0, "a.example"),
    ] {
        tell(&server, &[nobody]);
        let error = look(&services(&server)).await;
        assert!(matches!(error, Err(LookError::Empty)), "{error:?}");
    }
    server.tell(NAME, RecordType::SRV, Reply::Code(ResponseCode::NXDomain));
    let error = look(&services(&server)).await;
    assert!(matches!(error, Err(LookError::Absent { .. })), "{error:?}");
}

#[tokio::test]
async fn a_target_that_cannot_be_asked_for_keeps_its_endpoints() {
    let server = NameServer::start().await;
    let fail = |target| {
        for kind in [RecordType::A, RecordType::AAAA] {
            server.tell(target, kind, Reply::Code(ResponseCode::ServFail));
        }
    };
    tell(&server, &[(0, 1, 80, "a.example"), (0, 1, 80, "b.example")]);
    server.tell_addresses("a.example", 60, &["192.0.2.1"]);
    server.tell_addresses("b.example", 60, &["192.0.2.2"]);
    let source = Discovery {
        refresh: Some(Duration::from_millis(10)),
        ..services(&server)
    };
    let mut published = Published::by(source.clone(), None);
    published.next().await;
    fail("b.example");
    server.tell_addresses("a.example", 60, &["192.0.2.1", "192.0.2.3"]);
    let three = all_found(&["192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"]);
    assert_eq!(published.next().await, three);
    // Whoever knew nothing before gets what there is.
    let (list, _) = look(&source).await.expect("found");
    assert_eq!(list, all_found(&["192.0.2.1:80", "192.0.2.3:80"]));

    fail("a.example");
    let error = look(&source).await;
    assert!(matches!(error, Err(LookError::Query { .. })), "{error:?}");
}
