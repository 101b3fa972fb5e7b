//! `headers`: every edit of requests and responses, with conditions and templates.

use super::filtered;
use crate::harness::{Origin, Proxy, config};

#[test]
fn each_edit_of_a_request_arrives_at_the_origin() {
    let (proxy, _origin) = filtered(
        r##"headers {
            request {
                remove "x-gone" "x-gone-too"
                set "x-set" "new"
                default "x-default" "there"
                default "x-kept" "not this"
                append "x-append" "2"
                replace "x-replace" #"^(\w+)-(\w+)$"# "$2-$${1}"
            }
        }"##,
    );
    let sent = "X-Gone: 1\r\nX-Gone: 2\r\nx-gone-too: 3\r\nX-Set: old\r\nX-Set: older\r\nX-Kept: mine\r\nX-Append: 1\r\nX-Replace: left-right\r\n";
    let seen = proxy.client().ask("GET", "/", sent).echoed();
    assert!(
        seen.all("x-gone").is_empty() && seen.all("x-gone-too").is_empty(),
        "{}",
        seen.raw
    );
    assert_eq!(seen.all("x-set"), ["new"]);
    assert_eq!(seen.all("x-default"), ["there"]);
    assert_eq!(seen.all("x-kept"), ["mine"]);
    assert_eq!(seen.all("x-append"), ["1", "2"]);
    assert_eq!(seen.all("x-replace"), ["right-left"]);
}

#[test]
fn each_edit_of_a_response_arrives_at_the_client() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nServer: secret\r\nLocation: http://a/http://b\r\nX-Set: old\r\nCache-Control: private\r\nContent-Length: 2\r\n\r\nok",
    );
    let text = config(
        r#"
        listener "web" "127.0.0.1:0" {
            route {
                filters { headers { response {
                    remove "server"
                    set "x-set" "{status} for {method} {path}"
                    default "cache-control" "no-store"
                    default "x-default" "there"
                    append "x-append" "{request-header:x-ask}"
                    replace "location" "^http://" "https://"
                } } }
                cluster "c"
            }
        }
        cluster "c" { endpoint "ORIGIN" }
        "#,
        &[("ORIGIN", &origin)],
    );
    let proxy = Proxy::start(&text);
    let response = proxy.client().ask("GET", "/a/path?q", "X-Ask: me\r\n");
    assert_eq!(response.text(), "ok");
    assert_eq!(response.header("server"), None);
    assert_eq!(response.header("x-set"), Some("200 for GET /a/path"));
    assert_eq!(response.header("cache-control"), Some("private"));
    assert_eq!(response.header("x-default"), Some("there"));
    assert_eq!(response.header("x-append"), Some("me"));
    assert_eq!(response.header("location"), Some("https://a/http://b"));
}

#[test]
fn templates_stand_for_facts_of_the_connection_and_the_request() {
    let (proxy, _origin) = filtered(
        r#"headers { request {
            set "x-client" "{client-ip}:{client-port}"
            set "x-where" "{scheme}|{host}|{listener}|{protocol}"
            set "x-what" "{method} {path} {query}"
            set "x-copy" "<{header:x-source}>"
            set "x-none" "<{header:x-absent}>"
            set "x-id" "{request-id}"
            set "x-same" "{request-id}"
            set "x-braces" "{{literal}}"
        } }"#,
    );
    let mut client = proxy.client();
    let address = client.stream().local_addr().expect("connected");
    let seen = client
        .ask(
            "PUT",
            "/some/path?a=1&b",
            "Host: example.com\r\nX-Source: value\r\nContent-Length: 0\r\n",
        )
        .echoed();
    assert_eq!(seen.header("x-client"), Some(&*address.to_string()));
    assert_eq!(
        seen.header("x-where"),
        Some("http|example.com|web|HTTP/1.1")
    );
    assert_eq!(seen.header("x-what"), Some("PUT /some/path a=1&b"));
    assert_eq!(seen.header("x-copy"), Some("<value>"));
    assert_eq!(seen.header("x-none"), Some("<>"));
    assert_eq!(seen.header("x-braces"), Some("{literal}"));
    let id = seen.header("x-id").expect("an id");
    assert!(
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(seen.header("x-same"), Some(id));
}

#[test]
fn blocks_apply_when_their_condition_holds_and_in_order() {
    let (proxy, _origin) = filtered(
        r#"headers {
            request { when { path "/api/*"; not { header "x-version" } }; set "x-version" "1" }
            request { when { method "POST" }; append "x-version" "post" }
            request { when { query "debug" "1" }; set "x-debug" "yes" }
            response { when { path "/api/*" }; set "x-api" "yes" }
            response { when { query "debug" "1" }; set "x-debugged" "yes" }
        }"#,
    );
    let mut client = proxy.client();
    let mut ask = |method: &str, path: &str, headers: &str| {
        let response = client.ask(method, path, headers);
        let marks = (
            response.header("x-api").is_some(),
            response.header("x-debugged").is_some(),
        );
        let seen = response.echoed();
        let version = seen.all("x-version").join(",");
        (version, seen.header("x-debug").is_some(), marks)
    };
    assert_eq!(
        ask("GET", "/api/x", ""),
        ("1".to_owned(), false, (true, false))
    );
    assert_eq!(
        ask("GET", "/api/x", "X-Version: 7\r\n"),
        ("7".to_owned(), false, (true, false))
    );
    assert_eq!(
        ask("POST", "/api/x", "Content-Length: 0\r\n"),
        ("1,post".to_owned(), false, (true, false))
    );
    assert_eq!(
        ask("GET", "/x?debug=1", ""),
        (String::new(), true, (false, true))
    );
    assert_eq!(
        ask("GET", "/x?debug=2", ""),
        (String::new(), false, (false, false))
    );
}

#[test]
fn answers_of_the_proxy_itself_are_edited_too() {
    let proxy = Proxy::start(
        r#"
        listener "web" "127.0.0.1:0" {
            filters { headers { response { set "x-by" "tollgate" } } }
            route path="/moved" { redirect "/there" }
            route path="/ping" { respond 200 body="pong" }
            route { cluster "c" }
        }
        cluster "c" { endpoint "127.0.0.1:9" weight=0 }
        "#,
    );
    let mut client = proxy.client();
    for (path, status) in [("/moved", 302), ("/ping", 200), ("/x", 503)] {
        let response = client.get(path);
        assert_eq!(
            (response.status, response.header("x-by")),
            (status, Some("tollgate")),
            "{path}"
        );
    }
}
