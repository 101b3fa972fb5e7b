//! `rewrite`: the target that the origin sees.

use super::filtered;

fn targets(filter: &str, table: &[(&str, &str)]) {
    let (proxy, _origin) = filtered(&format!("rewrite {{ {filter} }}"));
    let mut client = proxy.client();
    for (sent, expected) in table {
        assert_eq!(client.get(sent).echoed().target(), *expected, "{sent}");
        assert_eq!(
            proxy.access_line(|line| line.outcome() == "ok").status(),
            200
        );
    }
}

#[test]
fn prefixes_end_where_a_segment_ends() {
    targets(
        r#"strip-prefix "/api" "/v1"; prefix "/old" "/new""#,
        &[
            ("/api/x?q=1", "/x?q=1"),
            ("/api", "/"),
            ("/apis", "/apis"),
            ("/v1/api/x", "/api/x"),
            ("/old/x", "/new/x"),
            ("/older", "/older"),
            ("/x/api/y", "/x/api/y"),
        ],
    );
}

#[test]
fn a_regular_expression_may_bring_a_query_of_its_own() {
    targets(
        r##"regex #"^/u/(\d+)$"# "/users?id=$1"; regex #"^/(?<a>[a-z]+)-(?<b>[a-z]+)$"# "/$${b}/$${a}""##,
        &[
            ("/u/42", "/users?id=42"),
            ("/u/42?x=y", "/users?id=42&x=y"),
            ("/u/x", "/u/x"),
            ("/one-two", "/two/one"),
        ],
    );
}

#[test]
fn parameters_are_removed_set_and_given_by_default() {
    targets(
        r#"query { remove "utm_source" "gone"; set "lang" "e n"; default "page" "1" }"#,
        &[
            ("/x", "/x?lang=e%20n&page=1"),
            ("/x?utm_source=a&b=2&gone", "/x?b=2&lang=e%20n&page=1"),
            ("/x?lang=de&page=7&lang=fr", "/x?page=7&lang=e%20n"),
            ("/x?utm%5Fsource=a", "/x?lang=e%20n&page=1"),
        ],
    );
}

#[test]
fn a_path_that_the_host_would_refuse_is_a_fault_and_never_reaches_the_origin() {
    let (proxy, origin) = filtered(r##"rewrite { regex #"^/bad(.*)$"# "/%zz$1" }"##);
    let response = proxy.client().get("/bad/x");
    assert_eq!(response.status, 500);
    let line = proxy.line_of("/bad/x");
    assert_eq!(
        (line.outcome(), line.text("filters")),
        ("filter-fault", "rewrite:fault")
    );
    assert!(origin.requests().is_empty());
}
