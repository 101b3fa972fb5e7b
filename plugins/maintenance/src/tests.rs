use tollgate_plugin_sdk::testing::{End, Exchange, assert_plan_is_pure, errors, run, samples};

use super::*;

const SHOP: &str = r#"{
    "path":["/shop/*"],"body":"<h1>soon</h1>","content-type":"text/html","retry-after":"10m",
    "except":[
        {"source":["10.0.0.0/8"]},
        {"header":[["x-preview","s3cret"]]},
        {"cookie":[["preview","s3cret"],["preview","other"]],"method":["GET"]}
    ]}"#;

fn passes(settings: &str, exchange: Exchange) -> bool {
    run::<Maintenance>(settings, &exchange).end == End::Passed
}

#[test]
fn the_page_is_what_was_set() {
    let outcome = run::<Maintenance>("{}", &Exchange::get("/"));
    let plain = Reply::new(503)
        .header("content-type", "text/plain; charset=utf-8")
        .header("cache-control", "no-store")
        .body("down for maintenance");
    assert_eq!(outcome.end, End::Replied(plain));
    let outcome = run::<Maintenance>(SHOP, &Exchange::get("/shop/x").method("POST"));
    let page = Reply::new(503)
        .header("content-type", "text/html")
        .header("cache-control", "no-store")
        .body("<h1>soon</h1>")
        .header("retry-after", "600");
    assert_eq!(outcome.end, End::Replied(page));
}

#[test]
fn whoever_fits_an_exception_passes() {
    let shop = || Exchange::get("/shop/x");
    assert!(passes(SHOP, Exchange::get("/")));
    assert!(!passes(SHOP, shop()));
    assert!(passes(SHOP, shop().from("10.1.2.3")));
    assert!(passes(SHOP, shop().from("::ffff:10.1.2.3")));
    for (header, value, expected) in [
        ("x-preview", "s3cret", true),
        ("x-preview", "s3cret2", false),
        ("x-preview", "", false),
        ("cookie", "a=1; preview=s3cret", true),
        ("cookie", "preview=other", true),
        ("cookie", "preview=\"s3cret\"", true),
        ("cookie", "preview=s3cret2", false),
        ("cookie", "xpreview=s3cret", false),
        ("cookie", "a=preview=s3cret", false),
        ("cookie", "Preview=s3cret", false),
        ("cookie", "preview", false),
    ] {
        assert_eq!(
            passes(SHOP, shop().header(header, value)),
            expected,
            "{header}: {value}"
        );
    }
    let posted = shop().method("POST").header("cookie", "preview=s3cret");
    assert!(
        !passes(SHOP, posted),
        "all matchers of an exception must hold"
    );
    let lines = shop()
        .header("cookie", "a=1")
        .header("cookie", "preview=s3cret");
    assert!(passes(SHOP, lines));
    let two = r#"{"except":[{"cookie":[["a"],["b","1"]]}]}"#;
    assert!(passes(two, Exchange::get("/").header("cookie", "a=; b=1")));
    assert!(!passes(two, Exchange::get("/").header("cookie", "b=1")));
    let absent = r#"{"except":[{"not":[{"header":[["x-role","guest"]]}]}]}"#;
    assert!(
        !passes(absent, Exchange::get("/")),
        "what is missing opens nothing"
    );
}

#[test]
fn nothing_is_called_where_nobody_is_held_up() {
    let calls = |exchange: Exchange| run::<Maintenance>(SHOP, &exchange).calls;
    assert_eq!(calls(Exchange::get("/")), 0);
    assert_eq!(calls(Exchange::get("/shop/x").from("10.0.0.1")), 0);
    assert_eq!(
        calls(Exchange::get("/shop/x").header("x-preview", "s3cret")),
        0
    );
    assert_eq!(
        calls(Exchange::get("/shop/x").header("cookie", "preview=s3cret")),
        1
    );
}

#[test]
fn the_plan_is_pure() {
    let settings = [
        "{}",
        r#"{"path":["/a*"],"except":[{"source":["10.0.0.0/8"]},{"header":[["x-a","1"]]},{"cookie":[["k","v"]]}]}"#,
        r#"{"not":[{"path":["/admin/*"]}],"except":[{"query":[["q","1"]]},{"cookie":[["l"]],"method":["GET"]}]}"#,
        r#"{"any":[{"method":["POST"],"path-regex":["b$"]}],"except":[{"not":[{"header":[["x-a","1"]]}]}]}"#,
    ];
    for settings in settings {
        assert_plan_is_pure::<Maintenance>(settings, &samples(31, 300));
    }
}

#[test]
fn bad_settings_are_told_at_their_place() {
    let long = format!(r#"{{"body":"{}"}}"#, "x".repeat(BODY_BYTES_MAX + 1));
    let cases = [
        (r#"{"status":199}"#, "/status: "),
        (r#"{"status":204}"#, "/status: "),
        (&long, "/body: "),
        (r#"{"content-type":""}"#, "/content-type: "),
        (r#"{"content-type":"a\nb"}"#, "/content-type: "),
        (r#"{"retry-after":"10"}"#, "/retry-after: "),
        (r#"{"retry-after":"1500ms"}"#, "/retry-after: "),
        (r#"{"path":["a"]}"#, "/path/0: "),
        (r#"{"except":[{}]}"#, "/except/0: "),
        (
            r#"{"except":[{"source":["10.0.0.1/8"]}]}"#,
            "/except/0/source/0: ",
        ),
        (
            r#"{"except":[{"cookie":[["a b"]]}]}"#,
            "/except/0/cookie/0/0: ",
        ),
        (
            r#"{"except":[{"cookie":[["a",""]]}]}"#,
            "/except/0/cookie/0/1: ",
        ),
        (
            r#"{"except":[{"cookie":[["a","b;c"]]}]}"#,
            "/except/0/cookie/0/1: ",
        ),
    ];
    for (settings, expected) in cases {
        let found = errors::<Maintenance>(settings);
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{expected}: {found:?}"
        );
    }
    let full = format!(r#"{{"body":"{}"}}"#, "x".repeat(BODY_BYTES_MAX));
    assert!(!passes(&full, Exchange::get("/")));
}
