//! Files of cases: the bad ones with what is said of them, and the reference.

use std::path::Path;

use super::super::cases::{
    Case, Check, HttpCase, Lines, LoadedCases, Protocol, Substitute, Verdict, accepted_case_keys,
    load_cases,
};
use super::super::{PluginCatalog as _, Refused};
use super::fake::{FakeCatalog, env};
use super::snapshots::assert_explained;

fn load_file(path: &Path, substitute: Option<&Substitute>) -> Result<LoadedCases, Refused> {
    load_cases(path, &FakeCatalog, &env, substitute)
}

fn load_text(text: &str, substitute: Option<&Substitute>) -> Result<LoadedCases, Refused> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("cases.kdl");
    std::fs::write(&path, text).expect("written");
    load_file(&path, substitute)
}

#[track_caller]
fn loaded(text: &str) -> LoadedCases {
    load_text(text, None).unwrap_or_else(|refused| panic!("{}", refused.render(false)))
}

#[track_caller]
fn only_exchange(text: &str) -> HttpCase {
    let mut cases = loaded(text).file.cases;
    match (cases.pop(), cases.is_empty()) {
        (Some(Case::Http(case)), true) => case,
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_files_of_cases_are_explained() {
    assert_explained("bad-cases", 5, |path| {
        let refused = load_file(path, None).expect_err("it is bad");
        (refused.render(false), refused.to_json())
    });
}

#[test]
fn what_is_not_written_has_its_default() {
    let case = only_exchange(
        r#"filters { request-id }
           exchange "a" { request "GET" "/"; response 204 }"#,
    );
    let exchange = &case.exchanges[0];
    let request = &exchange.request.value;
    assert_eq!(
        (request.host.as_str(), request.protocol),
        ("test.example", Protocol::Http11)
    );
    assert!(request.headers.is_empty() && request.body.is_none());
    assert_eq!(request.origin.from.to_string(), "192.0.2.1:4711");
    assert_eq!(request.origin.to.to_string(), "127.0.0.1:80");
    assert!(!request.origin.is_https && request.origin.listener == "test");
    let expect = &exchange.expect;
    assert!(expect.verdict.is_none() && expect.upstream.is_none() && expect.downstream.is_none());
    assert_eq!(case.filters.len(), 1);
}

#[test]
fn what_is_written_is_what_is_tried() {
    let case = only_exchange(
        r#"exchange "a" {
            filters { request-id on-fault="skip"; acl { rule "deny" } }
            request "PUT" "/a?b" {
                host "h.example:8080"; header "X-A" "1"; header "x-b" base64="/w=="
                body base64="AAE="; from "[::1]:5"; to "10.0.0.1:443"; listener "l"
                scheme "https"; protocol "HTTP/2"; tag "tls.sni" "s"
            }
            expect { reply 403 { body "no" }; downstream { header "x" "1" "2" } }
        }"#,
    );
    assert_eq!(case.filters.len(), 2);
    let exchange = &case.exchanges[0];
    let request = &exchange.request.value;
    let bytes = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("PUT", "/a?b")
    );
    assert_eq!(request.headers, [bytes("x-a", b"1"), bytes("x-b", b"\xff")]);
    assert_eq!(request.body.as_deref(), Some(&[0, 1][..]));
    let origin = &request.origin;
    assert_eq!(
        (origin.from.to_string(), origin.to.to_string()),
        ("[::1]:5".into(), "10.0.0.1:443".into())
    );
    assert!(origin.is_https && origin.listener == "l" && request.protocol == Protocol::Http2);
    assert_eq!(origin.tags, [bytes("tls.sni", b"s")]);
    let verdict = exchange.expect.verdict.as_ref().map(|is| is.value);
    assert_eq!(verdict, Some(Verdict::Reply));
    let downstream = exchange.expect.downstream.as_ref().expect("it is written");
    let [header, body, status] = downstream.value.as_slice() else {
        panic!("{downstream:?}");
    };
    assert!(
        matches!(&header.value, Check::Header(name, Lines::Are(lines)) if name == "x" && lines.len() == 2)
    );
    assert!(matches!(&body.value, Check::Body(body) if body == b"no"));
    assert!(matches!(status.value, Check::Status(403)));
}

/// As its own name, as the only plugin declared, as what it is said to be; else it is refused.
#[test]
fn a_component_stands_for_a_plugin_of_the_file() {
    let manifest = FakeCatalog
        .read(Path::new("geo.wasm"))
        .expect("it is known");
    let substitute = |stands_for: Option<&str>| Substitute {
        manifest: manifest.clone(),
        stands_for: stands_for.map(str::to_owned),
    };
    let exchange = r#"exchange "a" { request "GET" "/" }"#;
    for (text, stands_for, expected) in [
        (r#"filters { geo { country "NO" } }"#, None, Some("geo")),
        (
            r#"plugin "mine" "gone.wasm"; filters { mine { country "NO" } }"#,
            None,
            Some("mine"),
        ),
        (
            r#"filters { acl { country "NO" } }"#,
            Some("acl"),
            Some("acl"),
        ),
        (r#"filters { acl { rule "deny" } }"#, None, None),
        (r#"filters { acl { rule "deny" } }"#, Some("headers"), None),
        (
            r#"plugin "one" "geo.wasm"; plugin "two" "geo.wasm"; filters { one { country "NO" } }"#,
            None,
            None,
        ),
    ] {
        let text = format!("{text}\n{exchange}");
        let found = load_text(&text, Some(&substitute(stands_for)));
        let found = found.map(|loaded| loaded.file.substituted);
        match expected {
            Some(name) => assert_eq!(found.ok().flatten().as_deref(), Some(name), "{text}"),
            None => assert!(found.is_err(), "{text}"),
        }
    }
}

fn reference() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plugin-test.md");
    std::fs::read_to_string(path).expect("it is there")
}

#[test]
fn the_reference_names_every_key() {
    let text = reference();
    for path in accepted_case_keys() {
        let name = path.rsplit('/').next().unwrap_or_default();
        // Those of `plugin` are in the reference of the configuration.
        let elsewhere = ["sha256", "memory-max", "time-max", "instances-max", "*"].contains(&name);
        let named = [format!("`{name}`"), format!("{name}=")];
        assert!(
            elsewhere || named.iter().any(|form| text.contains(form.as_str())),
            "{path} is not in the reference"
        );
    }
}
