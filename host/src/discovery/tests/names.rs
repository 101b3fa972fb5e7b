//! Addresses of a name.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;
use tokio::net::UdpSocket;

use super::name_server::{NameServer, Reply, address, alias, records_only};
use super::{PATIENCE, Published, all_found, discovery, found};
use crate::config::{Discovery, DiscoverySource};
use crate::discovery::{LookError, look};

const NAME: &str = "api.example";

fn addresses_of(host: &str, server: SocketAddr) -> Discovery {
    let host = host.to_owned();
    discovery(DiscoverySource::Dns { host, port: 8080 }, &[server])
}

/// Looks all the time, whatever the time to live.
fn often(server: &NameServer) -> Discovery {
    Discovery {
        refresh: Some(Duration::from_millis(10)),
        ..addresses_of(NAME, server.address)
    }
}

#[tokio::test]
async fn both_kinds_of_address_are_found_and_the_shorter_time_to_live_counts() {
    let server = NameServer::start().await;
    server.tell_addresses(NAME, 60, &["192.0.2.2", "192.0.2.1", "192.0.2.2"]);
    let v6 = address(NAME, 7, "2001:db8::1");
    server.tell(NAME, RecordType::AAAA, records_only(vec![v6]));
    let source = Discovery {
        requests_max: Some(5),
        ..addresses_of(NAME, server.address)
    };
    let (list, again) = look(&source).await.expect("found");
    let mut expected = all_found(&["192.0.2.1:8080", "192.0.2.2:8080", "[2001:db8::1]:8080"]);
    for found in &mut expected {
        found.requests_max = Some(5);
    }
    assert_eq!(list, expected);
    assert_eq!(list[2].label, "[2001:db8::1]:8080");
    assert_eq!(again, Duration::from_secs(7));
}

#[tokio::test]
async fn one_kind_of_address_is_enough() {
    let server = NameServer::start().await;
    for (only, other, text) in [
        (RecordType::A, RecordType::AAAA, "192.0.2.1"),
        (RecordType::AAAA, RecordType::A, "2001:db8::1"),
    ] {
        for absent in [
            records_only(vec![]),
            Reply::Code(ResponseCode::NXDomain),
            Reply::Code(ResponseCode::ServFail),
        ] {
            let record = address(NAME, 60, text);
            server.tell(NAME, only, records_only(vec![record]));
            server.tell(NAME, other, absent);
            let source = addresses_of(NAME, server.address);
            let (list, _) = look(&source).await.expect("found");
            assert_eq!(list.len(), 1);
            assert_eq!(list[0].address.ip().to_string(), text);
        }
    }
}

#[tokio::test]
async fn aliases_are_followed_and_their_time_to_live_counts() {
    let server = NameServer::start().await;
    let answers = vec![
        alias(NAME, 9, "real.example"),
        address("real.example", 60, "192.0.2.1"),
    ];
    server.tell(NAME, RecordType::A, records_only(answers));
    let (list, again) = look(&addresses_of(NAME, server.address))
        .await
        .expect("found");
    assert_eq!(list, all_found(&["192.0.2.1:8080"]));
    assert_eq!(again, Duration::from_secs(9));
}

#[tokio::test]
async fn an_address_needs_no_question() {
    let mut server = NameServer::start().await;
    for (host, expected) in [
        ("192.0.2.9", "192.0.2.9:8080"),
        ("2001:db8::9", "[2001:db8::9]:8080"),
    ] {
        let (list, again) = look(&addresses_of(host, server.address))
            .await
            .expect("found");
        assert_eq!(list, all_found(&[expected]));
        assert_eq!(again, Duration::from_secs(86_400));
    }
    assert_eq!(server.questions_so_far(), []);
}

#[tokio::test]
async fn failures_are_told_apart() {
    let server = NameServer::start().await;
    let fails = async |reply: Reply| {
        server.tell(NAME, RecordType::A, reply.clone());
        server.tell(NAME, RecordType::AAAA, reply);
        let looked = look(&addresses_of(NAME, server.address)).await;
        looked.expect_err("no address")
    };
    for absent in [records_only(vec![]), Reply::Code(ResponseCode::NXDomain)] {
        let error = fails(absent).await;
        assert!(matches!(error, LookError::Absent { .. }), "{error:?}");
    }
    for code in [ResponseCode::ServFail, ResponseCode::Refused] {
        let error = fails(Reply::Code(code)).await;
        assert!(matches!(error, LookError::Query { .. }), "{error:?}");
        assert!(error.chain().contains(NAME), "{}", error.chain());
        // Once, although each error of the resolver repeats its cause.
        let mentions = error.chain().matches(code.to_str()).count();
        assert_eq!(mentions, 1, "{}", error.chain());
    }
    // Absent of one kind and unknown of the other is not known to be absent.
    for (absent, unknown) in [
        (RecordType::A, RecordType::AAAA),
        (RecordType::AAAA, RecordType::A),
    ] {
        server.tell(NAME, absent, records_only(vec![]));
        server.tell(NAME, unknown, Reply::Code(ResponseCode::ServFail));
        let error = look(&addresses_of(NAME, server.address)).await;
        assert!(matches!(error, Err(LookError::Query { .. })), "{error:?}");
    }
    let error = look(&addresses_of("not a name..", server.address)).await;
    assert!(matches!(error, Err(LookError::Query { .. })), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_look_within_five_seconds() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    let server = silent.local_addr().expect("bound");
    let began = tokio::time::Instant::now();
    let error = look(&addresses_of(NAME, server)).await;
    assert!(matches!(error, Err(LookError::Timeout { .. })), "{error:?}");
    assert!(began.elapsed() <= Duration::from_millis(5001));
}

#[tokio::test]
async fn silence_about_one_kind_leaves_the_other() {
    let server = NameServer::start().await;
    server.tell_addresses(NAME, 60, &["192.0.2.1"]);
    server.tell(NAME, RecordType::AAAA, Reply::Silence);
    let (list, _) = look(&addresses_of(NAME, server.address))
        .await
        .expect("found");
    assert_eq!(list, all_found(&["192.0.2.1:8080"]));
}

#[tokio::test]
async fn a_lost_question_is_repeated() {
    let mut server = NameServer::start().await;
    for kind in [RecordType::A, RecordType::AAAA] {
        server.tell(NAME, kind, Reply::Silence);
    }
    let source = addresses_of(NAME, server.address);
    let recovers = async {
        server.next_question().await;
        server.next_question().await;
        server.tell_addresses(NAME, 60, &["192.0.2.1"]);
    };
    let (looked, ()) = tokio::join!(look(&source), recovers);
    assert_eq!(looked.expect("found").0, all_found(&["192.0.2.1:8080"]));
}

#[tokio::test]
async fn a_second_name_server_makes_up_for_the_first() {
    let (mut failing, good) = (NameServer::start().await, NameServer::start().await);
    for kind in [RecordType::A, RecordType::AAAA] {
        failing.tell(NAME, kind, Reply::Code(ResponseCode::ServFail));
    }
    good.tell_addresses(NAME, 60, &["192.0.2.1"]);
    let source = Discovery {
        nameservers: vec![failing.address, good.address],
        ..addresses_of(NAME, good.address)
    };
    let (list, _) = look(&source).await.expect("found");
    assert_eq!(list, all_found(&["192.0.2.1:8080"]));
    assert!(!failing.questions_so_far().is_empty());

    // Each is believed when it says that there is nothing, and the second is not asked while the first answers.
    failing.tell_addresses(NAME, 60, &[]);
    let error = look(&source).await;
    assert!(matches!(error, Err(LookError::Absent { .. })), "{error:?}");
}

#[tokio::test]
async fn a_dead_name_server_delays_and_does_not_fail_a_look() {
    let dead = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    let good = NameServer::start().await;
    good.tell_addresses(NAME, 60, &["192.0.2.1", "2001:db8::1"]);
    let source = Discovery {
        nameservers: vec![dead.local_addr().expect("bound"), good.address],
        ..addresses_of(NAME, good.address)
    };
    let (list, _) = look(&source).await.expect("found");
    assert_eq!(list.len(), 2);
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_by_tcp() {
    let mut server = NameServer::start().await;
    let many: Vec<_> = (1..=200).map(|n| format!("192.0.2.{n}")).collect();
    let records = many.iter().map(|text| address(NAME, 60, text)).collect();
    server.tell(NAME, RecordType::A, Reply::Truncated(records));
    let (list, _) = look(&addresses_of(NAME, server.address))
        .await
        .expect("found");
    assert_eq!(list.len(), 200);
    let questions = server.questions_so_far();
    let transports: Vec<bool> = questions
        .iter()
        .filter(|question| question.kind == RecordType::A)
        .map(|question| question.by_tcp)
        .collect();
    assert_eq!(transports, [false, true]);
}

#[tokio::test]
async fn each_change_is_published_once_and_an_answer_is_not_remembered() {
    let mut server = NameServer::start().await;
    server.tell_addresses(NAME, 3600, &["192.0.2.1"]);
    let mut published = Published::by(often(&server), None);
    assert_eq!(published.next().await, all_found(&["192.0.2.1:8080"]));
    server.looks_pass(RecordType::A).await;
    published.assert_nothing_more();

    server.tell_addresses(NAME, 3600, &["192.0.2.2", "192.0.2.1"]);
    let both = all_found(&["192.0.2.1:8080", "192.0.2.2:8080"]);
    assert_eq!(published.next().await, both);
    // The same in another order is no change.
    server.tell_addresses(NAME, 3600, &["192.0.2.1", "192.0.2.2"]);
    server.looks_pass(RecordType::A).await;
    published.assert_nothing_more();
}

#[tokio::test]
async fn the_list_of_the_start_is_not_published_again() {
    let mut server = NameServer::start().await;
    server.tell_addresses(NAME, 3600, &["192.0.2.1"]);
    let initial = Some(all_found(&["192.0.2.1:8080"]));
    let mut published = Published::by(often(&server), initial);
    server.looks_pass(RecordType::A).await;
    published.assert_nothing_more();
    server.tell_addresses(NAME, 3600, &["192.0.2.2"]);
    assert_eq!(published.next().await, all_found(&["192.0.2.2:8080"]));
}

#[tokio::test]
async fn the_last_good_list_outlives_every_failure() {
    let mut server = NameServer::start().await;
    server.tell_addresses(NAME, 3600, &["192.0.2.1"]);
    let mut published = Published::by(often(&server), None);
    published.next().await;
    for failure in [
        Reply::Code(ResponseCode::ServFail),
        Reply::Code(ResponseCode::NXDomain),
        records_only(vec![]),
    ] {
        server.tell(NAME, RecordType::AAAA, failure.clone());
        server.tell(NAME, RecordType::A, failure);
        server.looks_pass(RecordType::A).await;
        published.assert_nothing_more();
    }
    server.tell_addresses(NAME, 3600, &["192.0.2.7"]);
    assert_eq!(published.next().await, all_found(&["192.0.2.7:8080"]));
}

#[tokio::test]
async fn a_kind_that_cannot_be_asked_for_keeps_what_it_had() {
    let server = NameServer::start().await;
    server.tell_addresses(NAME, 3600, &["192.0.2.1", "2001:db8::1"]);
    let mut published = Published::by(often(&server), None);
    published.next().await;
    let failure = Reply::Code(ResponseCode::ServFail);
    server.tell(NAME, RecordType::AAAA, failure);
    let v4 = address(NAME, 3600, "192.0.2.2");
    server.tell(NAME, RecordType::A, records_only(vec![v4]));
    let expected = all_found(&["192.0.2.2:8080", "[2001:db8::1]:8080"]);
    assert_eq!(published.next().await, expected);
    // Known to be absent is another matter.
    server.tell(NAME, RecordType::AAAA, records_only(vec![]));
    assert_eq!(published.next().await, all_found(&["192.0.2.2:8080"]));
}

#[tokio::test]
async fn the_time_to_live_brings_the_next_look() {
    let mut server = NameServer::start().await;
    server.tell_addresses(NAME, 1, &["192.0.2.1"]);
    let mut published = Published::by(addresses_of(NAME, server.address), None);
    published.next().await;
    server.tell_addresses(NAME, 3600, &["192.0.2.2"]);
    assert_eq!(published.next().await, vec![found("192.0.2.2:8080")]);
    // Both kinds, twice; now there is an hour to wait.
    assert_eq!(server.questions_so_far().len(), 4);
}

#[tokio::test]
async fn dropping_the_task_ends_it() {
    let server = NameServer::start().await;
    server.tell_addresses(NAME, 3600, &["192.0.2.1"]);
    let Published { _task, mut lists } = Published::by(often(&server), None);
    assert!(lists.recv().await.is_some());
    drop(_task);
    // The task owned the sender.
    let end = tokio::time::timeout(PATIENCE, lists.recv()).await;
    assert_eq!(end, Ok(None));
}
