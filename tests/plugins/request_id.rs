//! `request-id`: an id for every request.

use super::filtered;
use std::collections::HashSet;

fn is_id(value: &str) -> bool {
    value.len() == 32
        && value
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[test]
fn every_request_gets_an_id_of_its_own_and_an_incoming_one_is_overwritten() {
    let (proxy, _origin) = filtered("request-id");
    let mut client = proxy.client();
    let ids: HashSet<String> = (0..50)
        .map(|_| {
            client
                .ask("GET", "/", "X-Request-Id: forged\r\n")
                .echoed()
                .header("x-request-id")
                .expect("an id")
                .to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 50);
    assert!(ids.iter().all(|id| is_id(id)), "{ids:?}");
    assert_eq!(
        client.get("/").header("x-request-id"),
        None,
        "the response has none unless it is asked for"
    );
}

#[test]
fn a_trusted_id_is_kept_and_the_response_carries_it() {
    let (proxy, _origin) =
        filtered("request-id header=\"x-trace\" trust-incoming=#true response=#true");
    let mut client = proxy.client();
    let response = client.ask("GET", "/", "X-Trace: mine\r\n");
    assert_eq!(response.header("x-trace"), Some("mine"));
    assert_eq!(response.echoed().header("x-trace"), Some("mine"));

    let response = client.get("/");
    let id = response.header("x-trace").expect("an id").to_owned();
    assert!(is_id(&id), "{id}");
    assert_eq!(
        response.echoed().header("x-trace"),
        Some(&*id),
        "both sides see the same"
    );
    assert_eq!(response.echoed().header("x-request-id"), None);
}
