//! `redirect`: where clients are sent, and where no client can have others sent.

use super::{filtered, filtered_http2};
use crate::harness::h2::h2_request;
use crate::harness::{Authority, Client, Origin, Proxy, TlsClient, config};
use crate::tls::start;

/// Each target with the status and `location` of the answer; an empty one stands for a request that passes.
fn locations(client: &mut Client, headers: &str, table: &[(&str, u16, &str)]) {
    for (target, status, location) in table {
        let response = client.ask("GET", target, headers);
        assert_eq!(
            (
                response.status,
                response.header("location").unwrap_or_default()
            ),
            (*status, *location),
            "{target} {headers:?}"
        );
        if *status != 200 {
            assert!(response.body.is_empty(), "{target}");
        }
    }
}

#[test]
fn rules_with_targets_answer_in_order_with_what_was_captured() {
    let (proxy, origin) = filtered(
        r##"redirect {
            rule "/new/{rest}" status=301 { path "/old/*" }
            rule "https://users.test/{id}?from={host}" status=307 { path-regex #"^/u/(?<id>\d+)$"# }
            rule "/kept?a=1" status=303 keep-query=#true { path "/keep" }
            rule "{scheme}://www.{host}{path}?{query}" { header "x-www" }
            rule "/late" status=308 { path "/old/*" "/late" "/posted"; method "GET" "POST" }
        }"##,
    );
    let mut client = proxy.client();
    locations(
        &mut client,
        "Host: Shop.test:80\r\n",
        &[
            ("/old/a/b?q", 301, "/new/a/b"),
            ("/old/../old/x", 301, "/new/x"),
            ("/u/17", 307, "https://users.test/17?from=shop.test"),
            ("/u/x", 200, ""),
            ("/keep?b=2", 303, "/kept?a=1&b=2"),
            ("/keep", 303, "/kept?a=1"),
            ("/late?x", 308, "/late"),
            ("/late", 200, ""),
        ],
    );
    locations(
        &mut client,
        "Host: a.test\r\nX-Www: \r\n",
        &[("/p?q=1", 302, "http://www.a.test/p?q=1")],
    );
    assert_eq!(
        client.post("/posted", "body").header("location"),
        Some("/late")
    );
    assert_eq!(
        client.get("/after").status,
        200,
        "a body that nobody wanted does not disturb the next request"
    );
    let line = proxy.line_of("/posted");
    assert_eq!(
        (line.status(), line.outcome(), line.text("filters")),
        (308, "filter-reply", "redirect")
    );
    assert_eq!(origin.requests().len(), 3, "what is redirected stays here");
}

#[test]
fn no_request_leads_to_another_host() {
    let origin = Origin::echo();
    // As lenient with paths as it can be.
    let text = config(
        r#"
        listener "web" "127.0.0.1:0" {
            path-normalization escaped-slashes="keep" merge-slashes=#false
            route {
                filters {
                    redirect {
                        rule "/{rest}" { path "/go/*" }
                        rule "{path}?seen" { query "again" }
                        rule trailing-slash="add" { path "/*" }
                    }
                }
                cluster "c"
            }
        }
        cluster "c" { endpoint "ORIGIN" }
        "#,
        &[("ORIGIN", &origin)],
    );
    let proxy = Proxy::start(&text);
    locations(
        &mut proxy.client(),
        "Host: a.test\r\n",
        &[
            ("/go//evil.test/x", 302, "/evil.test/x"),
            ("/go////evil.test", 302, "/evil.test"),
            ("/go/https://evil.test/", 302, "/https://evil.test/"),
            ("/go/%09/evil.test", 302, "/%09/evil.test"),
            ("/go/%5Cevil.test", 302, "/%5Cevil.test"),
            ("/go/%2F/evil.test", 302, "/%2F/evil.test"),
            ("//evil.test/?again", 302, "/evil.test/?seen"),
            ("//evil.test/a", 302, "/evil.test/a/"),
            ("///evil", 302, "/evil/"),
        ],
    );
    for target in ["/go/\\evil.test", "/\\evil.test", "/go/\t/evil.test"] {
        let response = proxy.client().get(target);
        assert_eq!(
            (response.status, response.header("location")),
            (400, None),
            "{target}"
        );
    }
    for host in ["evil.test/x", "a.test\\@evil.test", "evil.test#", ""] {
        let mut client = proxy.client();
        let response = client.ask("GET", "/a", &format!("Host: {host}\r\n"));
        assert_eq!(response.status, 400, "{host}");
    }
}

#[test]
fn https_and_one_name_for_the_site() {
    let (proxy, _origin) = filtered(
        r#"redirect {
            rule https=#true www="remove" status=308 { host "a.test" "www.a.test"; not { path "/health" } }
            rule to-host="right.test" status=301 { host "wrong.test" }
            rule www="add" { host "bare.test" "192.0.2.1" }
            rule trailing-slash="remove" { path "/docs/*" }
        }"#,
    );
    let mut client = proxy.client();
    for (headers, table) in [
        (
            "Host: www.a.test:8080\r\n",
            [("/x?q", 308, "https://a.test/x?q"), ("/health", 200, "")],
        ),
        (
            "Host: a.test\r\nX-Forwarded-Proto: https\r\n",
            [
                ("/x", 308, "https://a.test/x"),
                ("/docs/a/", 308, "https://a.test/docs/a/"),
            ],
        ),
        (
            "Host: Wrong.test:8080\r\n",
            [
                ("/x?q", 301, "http://right.test:8080/x?q"),
                ("/", 301, "http://right.test:8080/"),
            ],
        ),
        (
            "Host: bare.test\r\n",
            [
                ("/x", 302, "http://www.bare.test/x"),
                ("/docs/", 302, "http://www.bare.test/docs/"),
            ],
        ),
        (
            "Host: 192.0.2.1\r\n",
            [("/x", 200, ""), ("/docs/a//?q", 302, "/docs/a?q")],
        ),
    ] {
        locations(&mut client, headers, &table);
    }
}

#[test]
fn https_is_the_word_of_tls_or_of_a_trusted_peer() {
    let origin = Origin::echo();
    let text = config(
        r#"
        listener "web" "127.0.0.1:0" {
            trust-forwarded "127.0.0.0/8"
            route { filters { redirect { rule https=#true https-port=8443 } }; cluster "c" }
        }
        cluster "c" { endpoint "ORIGIN" }
        "#,
        &[("ORIGIN", &origin)],
    );
    let proxy = Proxy::start(&text);
    let mut client = proxy.client();
    for (headers, status) in [
        ("", 302),
        ("X-Forwarded-Proto: http\r\n", 302),
        ("X-Forwarded-Proto: https\r\n", 200),
    ] {
        let response = client.ask("GET", "/x", headers);
        assert_eq!(response.status, status, "{headers:?}");
        let location = (status == 302).then_some("https://test:8443/x");
        assert_eq!(response.header("location"), location);
    }

    let authority = Authority::new();
    let text = r#"
        listener "web" "127.0.0.1:0" {
            tls { certificate "site.pem" }
            filters { redirect { rule https=#true; rule "{scheme}://{host}/new" { path "/old" } } }
            route { respond 200 body="secure" }
        }
        "#;
    let proxy = start(text, &[("site.pem", &authority.issue(&["test"]).both())]);
    let mut client = TlsClient::new(&authority, "test").connect(proxy.address("web"));
    locations(
        &mut client,
        "Host: test\r\nX-Forwarded-Proto: http\r\n",
        &[("/x", 200, ""), ("/old", 302, "https://test/new")],
    );
}

#[test]
fn over_http2_the_authority_is_the_host() {
    let (_proxy, _origin, client) = filtered_http2(
        r#"redirect {
            rule "https://{host}/new/{rest}" { path "/old/*" }
            rule to-host="right" { path "/wrong" }
        }"#,
    );
    for (path, location) in [
        ("/old/a", Some("https://test/new/a")),
        ("/wrong?q", Some("http://right/wrong?q")),
        ("/x", None),
    ] {
        let response = client.ask(h2_request("GET", path));
        let found = response.headers.get("location");
        let found = found.map(|value| value.to_str().expect("text"));
        assert_eq!(
            (response.status, found),
            (if location.is_some() { 302 } else { 200 }, location),
            "{path}"
        );
    }
}
