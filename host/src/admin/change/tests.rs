use super::*;
use crate::config::Percent;

/// The problem's status, for comparison.
fn status<T>(result: Result<T, Problem>) -> Result<T, u16> {
    result.map_err(|problem| problem.status.as_u16())
}

#[test]
fn a_change_says_something_that_is_known() {
    let service = |service| {
        Ok(Change {
            service: Some(service),
            weight: None,
        })
    };
    let weight = |weight| {
        Ok(Change {
            service: None,
            weight: Some(weight),
        })
    };
    let drain = |seconds: Option<u64>| Service::Drain {
        timeout: seconds.map(Duration::from_secs),
    };
    for (body, expected) in [
        (r#"{"state":"ready"}"#, service(Service::Ready)),
        (r#"{"state":"maintain"}"#, service(Service::Maintain)),
        (r#"{"state":"drain"}"#, service(drain(None))),
        (
            r#"{"state":"drain","drain-timeout":"10m"}"#,
            service(drain(Some(600))),
        ),
        (r#"{"weight":5}"#, weight(Weight::Absolute(5))),
        (
            r#"{"weight":"50%"}"#,
            weight(Weight::Percent(Percent(5_000))),
        ),
        (
            r#"{"state":"ready","weight":0}"#,
            Ok(Change {
                service: Some(Service::Ready),
                weight: Some(Weight::Absolute(0)),
            }),
        ),
        ("{}", Err(422)),
        (r#"{"state":null}"#, Err(422)),
        (r#"{"state":"up"}"#, Err(422)),
        (r#"{"weight":257}"#, Err(422)),
        (r#"{"weight":"5"}"#, Err(422)),
        (r#"{"drain-timeout":"10m"}"#, Err(422)),
        (r#"{"drain-timeout":"10m","weight":1}"#, Err(422)),
        (r#"{"state":"ready","drain-timeout":"10m"}"#, Err(422)),
        (r#"{"state":"drain","drain-timeout":"10"}"#, Err(422)),
        (r#"{"state":"drain","drain-timeout":10}"#, Err(422)),
        (r#"{"state":"drain","timeout":"10m"}"#, Err(422)),
        (r#"{"state":"ready","state":"drain"}"#, Err(422)),
        ("[]", Err(422)),
        ("", Err(400)),
        ("{", Err(400)),
        (r#"{"weight":5}x"#, Err(400)),
        ("weight=5", Err(400)),
    ] {
        assert_eq!(status(Change::parse(body.as_bytes())), expected, "{body}");
    }
}

#[test]
fn verbs_need_no_body() {
    let drain = |timeout| Ok(Service::Drain { timeout });
    for (body, expected, nothing) in [
        ("", drain(None), Ok(())),
        ("{}", drain(None), Ok(())),
        (
            r#"{"drain-timeout":"1s"}"#,
            drain(Some(Duration::from_secs(1))),
            Err(422),
        ),
        (r#"{"state":"drain"}"#, Err(422), Err(422)),
        ("null", Err(422), Err(422)),
        ("{", Err(400), Err(400)),
    ] {
        assert_eq!(status(parse_drain(body.as_bytes())), expected, "{body}");
        assert_eq!(status(parse_nothing(body.as_bytes())), nothing, "{body}");
    }
}

#[test]
fn a_new_endpoint_is_as_strict_as_a_written_one() {
    let plain = NewEndpoint {
        address: SocketAddr::from(([127, 0, 0, 1], 9001)),
        weight: 1,
        requests_max: None,
        backup: false,
        zone: None,
        id: None,
    };
    let full = NewEndpoint {
        weight: 0,
        requests_max: Some(100),
        backup: true,
        zone: Some("a".to_owned()),
        id: Some("b".to_owned()),
        ..plain.clone()
    };
    let v6 = NewEndpoint {
        address: "[::1]:80".parse().expect("it is an address"),
        ..plain.clone()
    };
    let long = format!(
        r#"{{"address":"127.0.0.1:9001","zone":"{}"}}"#,
        "z".repeat(129)
    );
    for (body, expected) in [
        (r#"{"address":"127.0.0.1:9001"}"#, Ok(plain)),
        (r#"{"address":"[::1]:80"}"#, Ok(v6)),
        (
            r#"{"address":"127.0.0.1:9001","weight":0,"requests-max":100,"backup":true,"zone":"a","id":"b"}"#,
            Ok(full),
        ),
        ("{}", Err(422)),
        (r#"{"address":"api.internal:80"}"#, Err(422)),
        (r#"{"address":"127.0.0.1"}"#, Err(422)),
        (r#"{"address":"127.0.0.1:0"}"#, Err(422)),
        (r#"{"address":"127.0.0.1:9001","weight":257}"#, Err(422)),
        (r#"{"address":"127.0.0.1:9001","weight":"50%"}"#, Err(422)),
        (r#"{"address":"127.0.0.1:9001","requests-max":0}"#, Err(422)),
        (
            r#"{"address":"127.0.0.1:9001","requests-max":10000001}"#,
            Err(422),
        ),
        (r#"{"address":"127.0.0.1:9001","zone":""}"#, Err(422)),
        (r#"{"address":"127.0.0.1:9001","zone":"a b"}"#, Err(422)),
        (long.as_str(), Err(422)),
        (r#"{"address":"127.0.0.1:9001","id":"a;b"}"#, Err(422)),
        (r#"{"address":"127.0.0.1:9001","ID":"b"}"#, Err(422)),
    ] {
        assert_eq!(status(parse_endpoint(body.as_bytes())), expected, "{body}");
    }
}
