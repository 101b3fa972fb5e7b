//! Each path, and each way to say no.

use super::start;
use crate::admin::{Client, ClientError};
use hyper::Method;
use serde_json::json;
use std::sync::atomic::Ordering;

const ENDPOINTS: &str = "/api/v1/clusters/api/endpoints";

#[tokio::test]
async fn metrics_come_with_their_media_type() {
    let admin = start().await;
    let answer = admin.ask("GET", "/metrics", None).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "a_metric 1\n"));
    let media_type = "\r\ncontent-type: text/x-metrics\r\n";
    assert!(answer.head.contains(media_type), "{}", answer.head);
    assert_eq!(admin.ask("POST", "/metrics", None).await.status, 405);
    let unknown = admin
        .ask("GET", "/api/v1/plugins/other/metrics", None)
        .await;
    assert_eq!(unknown.status, 404);
    assert!(
        unknown.body.contains("no plugin `other`"),
        "{}",
        unknown.body
    );
}

#[tokio::test]
async fn what_is_there_can_be_read() {
    let admin = start().await;
    for (path, pointer, expected) in [
        ("/api/v1/clusters", "/1/cluster", json!("a/b")),
        (
            "/api/v1/plugins/rate-limit/metrics",
            "/0/name",
            json!("decisions"),
        ),
        ("/api/v1/clusters/api", "/endpoints/0/id", json!("one")),
        ("/api/v1/clusters/a%2Fb", "/cluster", json!("a/b")),
        (
            "/api/v1/clusters/api/endpoints",
            "/1/address",
            json!("[::1]:80"),
        ),
        ("/api/v1/clusters/api/affinity", "/0/limit", json!(100)),
        (
            "/api/v1/clusters/api/affinity?limit=7",
            "/0/limit",
            json!(7),
        ),
        (
            "/api/v1/clusters/api/affinity?limit=10000",
            "/0/limit",
            json!(10_000),
        ),
        (
            "/api/v1/clusters/api/endpoints/127.0.0.1:9001",
            "/id",
            json!("one"),
        ),
        ("/api/v1/clusters/api/endpoints/one", "/id", json!("one")),
        (
            "/api/v1/clusters/api/endpoints/%5B%3A%3A1%5D%3A80",
            "/endpoint",
            json!("db.internal:80"),
        ),
        (
            "/api/v1/clusters/api/endpoints/db.internal:80",
            "/address",
            json!("[::1]:80"),
        ),
    ] {
        let answer = admin.ask("GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.head.contains("\r\ncontent-type: application/json"));
        assert!(answer.head.contains("\r\ncache-control: no-store"));
        assert_eq!(answer.json().pointer(pointer), Some(&expected), "{path}");
        let head = admin.ask("HEAD", path, None).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        let length = format!("\r\ncontent-length: {}", answer.body.len());
        assert!(head.head.contains(&length), "{path}: {}", head.head);
    }
    assert!(admin.proxy.told().is_empty());
}

#[tokio::test]
async fn readiness_follows_the_proxy_and_life_does_not() {
    let admin = start().await;
    for (is_draining, ready) in [
        (false, (200, "ready\n")),
        (true, (503, "draining or starting\n")),
    ] {
        admin
            .proxy
            .is_draining
            .store(is_draining, Ordering::Relaxed);
        let answer = admin.ask("GET", "/ready", None).await;
        assert_eq!((answer.status, answer.body.as_str()), ready);
        assert_eq!(admin.ask("HEAD", "/ready", None).await.status, ready.0);
        assert_eq!(admin.ask("GET", "/live", None).await.status, 200);
    }
}

#[tokio::test]
async fn changes_reach_the_proxy() {
    let admin = start().await;
    let v6 = "/%5B::1%5D:80";
    for (method, path, body, status, told) in [
        (
            "POST",
            "/one/drain",
            None,
            200,
            "one Drain { timeout: None }",
        ),
        (
            "POST",
            "/one/drain",
            Some(r#"{"drain-timeout":"10m"}"#),
            200,
            "one Drain { timeout: Some(600s) }",
        ),
        ("POST", "/one/ready", None, 200, "one Ready"),
        ("POST", "/one/maintain", Some("{}"), 200, "one Maintain"),
        (
            "PATCH",
            v6,
            Some(r#"{"state":"drain"}"#),
            200,
            "[::1]:80 Drain { timeout: None }",
        ),
        (
            "PATCH",
            v6,
            Some(r#"{"weight":5}"#),
            200,
            "[::1]:80 Absolute(5)",
        ),
        (
            "PATCH",
            v6,
            Some(r#"{"state":"ready","weight":"50%"}"#),
            200,
            "[::1]:80 Percent(Percent(5000)), [::1]:80 Ready",
        ),
        (
            "DELETE",
            "/db.internal:80",
            None,
            204,
            "db.internal:80 removed",
        ),
        (
            "POST",
            "",
            Some(r#"{"address":"127.0.0.1:9003","backup":true}"#),
            201,
            "one NewEndpoint { address: 127.0.0.1:9003, weight: 1, requests_max: None, backup: true, zone: None, id: None }",
        ),
    ] {
        let answer = admin.ask(method, &format!("{ENDPOINTS}{path}"), body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert_eq!(admin.proxy.told().join(", "), told, "{method} {path}");
        match status {
            200 => assert_eq!(answer.json()["state"], "up", "{method} {path}"),
            201 => assert!(
                answer
                    .head
                    .contains("\r\nlocation: /api/v1/clusters/api/endpoints/127.0.0.1%3a9003")
            ),
            _ => assert_eq!(answer.body, ""),
        }
    }
}

#[tokio::test]
async fn each_refusal_has_its_status_and_words() {
    let admin = start().await;
    let one = || format!("{ENDPOINTS}/one");
    let cases: Vec<(&str, String, Option<&str>, u16, &str)> = vec![
        ("GET", "/".into(), None, 404, "nothing at this path"),
        (
            "GET",
            "/api/v1/clusters/nope".into(),
            None,
            404,
            "no cluster `nope`",
        ),
        (
            "GET",
            "/api/v1/clusters/nope/endpoints".into(),
            None,
            404,
            "no cluster `nope`",
        ),
        (
            "GET",
            "/api/v1/clusters/nope/endpoints/x".into(),
            None,
            404,
            "no cluster `nope`",
        ),
        (
            "GET",
            "/api/v1/clusters/nope/affinity".into(),
            None,
            404,
            "no cluster `nope`",
        ),
        (
            "GET",
            format!("{ENDPOINTS}/x"),
            None,
            404,
            "no endpoint `x`",
        ),
        (
            "POST",
            format!("{ENDPOINTS}/x/drain"),
            None,
            404,
            "no endpoint `x`",
        ),
        (
            "PATCH",
            format!("{ENDPOINTS}/x"),
            Some(r#"{"weight":1}"#),
            404,
            "no endpoint `x`",
        ),
        (
            "PATCH",
            format!("{ENDPOINTS}/x"),
            Some(r#"{"state":"ready"}"#),
            404,
            "no endpoint `x`",
        ),
        (
            "DELETE",
            "/api/v1/clusters/nope/endpoints/x".into(),
            None,
            404,
            "no cluster `nope`",
        ),
        ("GET", "/api/v1/clusters/%zz".into(), None, 400, "`%`"),
        ("GET", "/api/v1/clusters?x=1".into(), None, 400, "no query"),
        (
            "GET",
            "/api/v1/clusters/api/affinity?limit=0".into(),
            None,
            400,
            "`limit=`",
        ),
        (
            "GET",
            "/api/v1/clusters/api/affinity?limit=10001".into(),
            None,
            400,
            "`limit=`",
        ),
        (
            "GET",
            "/api/v1/clusters/api/affinity?limit=5&x=1".into(),
            None,
            400,
            "`limit=`",
        ),
        (
            "GET",
            "/api/v1/clusters/api/affinity?max=5".into(),
            None,
            400,
            "`limit=`",
        ),
        ("PATCH", one(), Some("{"), 400, "no JSON"),
        ("PATCH", one(), None, 400, "no JSON"),
        ("PATCH", one(), Some("{}"), 422, "nothing is to change"),
        (
            "PATCH",
            one(),
            Some(r#"{"colour":"red"}"#),
            422,
            "unknown field `colour`",
        ),
        (
            "POST",
            format!("{ENDPOINTS}/one/ready"),
            Some(r#"{"drain-timeout":"1s"}"#),
            422,
            "unknown field",
        ),
        (
            "DELETE",
            one(),
            Some(r#"{"force":true}"#),
            422,
            "unknown field `force`",
        ),
        (
            "POST",
            ENDPOINTS.into(),
            Some(r#"{"address":"db.internal:80"}"#),
            422,
            "names are only looked up",
        ),
        (
            "POST",
            ENDPOINTS.into(),
            Some(r#"{"address":"127.0.0.1:9001"}"#),
            409,
            "already",
        ),
        (
            "POST",
            ENDPOINTS.into(),
            Some(r#"{"address":"127.0.0.1:9666"}"#),
            422,
            "unlucky",
        ),
        (
            "POST",
            "/api/v1/clusters/nope/endpoints".into(),
            Some(r#"{"address":"127.0.0.1:9002"}"#),
            404,
            "no cluster `nope`",
        ),
    ];
    for (method, path, body, status, words) in cases {
        let answer = admin.ask(method, &path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        let error = answer.json()["error"].as_str().map(str::to_owned);
        let error = error.expect("a refusal is JSON with an error");
        assert!(error.contains(words), "{method} {path}: {error}");
    }
    assert!(admin.proxy.told().is_empty());
}

#[tokio::test]
async fn methods_that_are_not_there_are_told_which_are() {
    let admin = start().await;
    for (method, path, allow) in [
        ("POST", "/ready", "get, head"),
        ("POST", "/live", "get, head"),
        ("DELETE", "/api/v1/clusters", "get, head"),
        ("PATCH", "/api/v1/clusters/api", "get, head"),
        ("POST", "/api/v1/clusters/api/affinity", "get, head"),
        ("PUT", "/api/v1/clusters/api/endpoints", "get, head, post"),
        (
            "POST",
            "/api/v1/clusters/api/endpoints/one",
            "get, head, patch, delete",
        ),
        ("GET", "/api/v1/clusters/api/endpoints/one/drain", "post"),
        ("HEAD", "/api/v1/clusters/api/endpoints/one/drain", "post"),
        ("OPTIONS", "/live", "get, head"),
    ] {
        let answer = admin.ask(method, path, None).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        let line = format!("\r\nallow: {allow}\r\n");
        assert!(
            answer.head.contains(&line),
            "{method} {path}: {}",
            answer.head
        );
    }
    assert!(admin.proxy.told().is_empty());
}

#[tokio::test]
async fn the_client_hears_what_the_listener_says() {
    let admin = start().await;
    let client = Client::new(admin.address.to_string());
    let reply = client.send(Method::GET, "/api/v1/clusters/api", None).await;
    let reply = reply.expect("it answers");
    assert_eq!(
        (reply.status.as_u16(), &reply.body["cluster"]),
        (200, &json!("api"))
    );
    let path = format!("{ENDPOINTS}/one");
    let body = json!({ "weight": "50%" });
    let reply = client.send(Method::PATCH, &path, Some(&body)).await;
    assert_eq!(reply.expect("it answers").status, 200);
    assert_eq!(admin.proxy.told(), ["one Percent(Percent(5000))"]);
    let reply = client.send(Method::DELETE, &path, None).await;
    let reply = reply.expect("it answers");
    assert_eq!((reply.status.as_u16(), reply.body), (204, json!(null)));
    let reply = client.send(Method::GET, "/nope", None).await;
    assert_eq!(reply.expect("it answers").status, 404);
    let error = client.send(Method::GET, "/live", None).await;
    assert!(
        matches!(error, Err(ClientError::NotJson { .. })),
        "{error:?}"
    );
    let error = client.send(Method::GET, "no path", None).await;
    assert!(matches!(error, Err(ClientError::Ask(_))), "{error:?}");
}
