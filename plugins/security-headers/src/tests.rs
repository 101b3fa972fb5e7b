use tollgate_plugin_sdk::testing::{
    End, Exchange, Headers, assert_plan_is_pure, errors, run, samples,
};

use super::*;

/// The response's headers after the filter, which is never called.
fn headers(settings: &str, exchange: Exchange, theirs: &[(&str, &str)]) -> Headers {
    let outcome = run::<SecurityHeaders>(settings, &exchange.response(200, theirs));
    assert_eq!((outcome.end, outcome.calls), (End::Passed, 0), "{settings}");
    outcome.exchange.response.expect("there was one").headers
}

fn https() -> Exchange {
    Exchange::get("/").header("x-forwarded-proto", "https")
}

#[test]
fn with_nothing_said_four_headers_are_sent() {
    let plain = headers(
        "{}",
        Exchange::get("/").header("x-forwarded-proto", "http"),
        &[],
    );
    assert_eq!(
        plain.names(),
        [
            "x-content-type-options",
            "x-frame-options",
            "referrer-policy"
        ]
    );
    let secure = headers("{}", https(), &[]);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("strict-transport-security", "max-age=31536000"),
    ] {
        assert_eq!(secure.text(name), value);
    }
    assert_eq!(secure.names().len(), 4);
}

#[test]
fn each_setting_is_the_value_of_its_header() {
    let cases = [
        (r#""frame-options":"DENY""#, "x-frame-options", "DENY"),
        (
            r#""content-type-options":"nosniff""#,
            "x-content-type-options",
            "nosniff",
        ),
        (
            r#""referrer-policy":"no-referrer,strict-origin""#,
            "referrer-policy",
            "no-referrer, strict-origin",
        ),
        (
            r#""hsts":{"max-age":"0s"}"#,
            "strict-transport-security",
            "max-age=0",
        ),
        (
            r#""hsts":{"max-age":"10m","include-subdomains":true}"#,
            "strict-transport-security",
            "max-age=600; includeSubDomains",
        ),
        (
            r#""hsts":{"include-subdomains":true,"preload":true}"#,
            "strict-transport-security",
            "max-age=31536000; includeSubDomains; preload",
        ),
        (
            r#""content-security-policy":"default-src 'self';\n\t frame-ancestors 'none'\n""#,
            "content-security-policy",
            "default-src 'self'; frame-ancestors 'none'",
        ),
        (
            r#""content-security-policy-report-only":"default-src 'none'""#,
            "content-security-policy-report-only",
            "default-src 'none'",
        ),
        (
            r#""permissions-policy":"camera=(), geolocation=(self)""#,
            "permissions-policy",
            "camera=(), geolocation=(self)",
        ),
        (
            r#""cross-origin-opener-policy":"same-origin-allow-popups""#,
            "cross-origin-opener-policy",
            "same-origin-allow-popups",
        ),
        (
            r#""cross-origin-embedder-policy":"require-corp""#,
            "cross-origin-embedder-policy",
            "require-corp",
        ),
        (
            r#""cross-origin-resource-policy":"same-site""#,
            "cross-origin-resource-policy",
            "same-site",
        ),
    ];
    for (members, header, expected) in cases {
        let found = headers(&format!("{{{members}}}"), https(), &[(header, "theirs")]);
        assert_eq!(found.text(header), expected, "{members}");
        assert_eq!(found.lines(header).len(), 1, "{members}");
    }
}

#[test]
fn a_header_can_be_off_or_left_to_the_origin() {
    let theirs = [
        ("x-frame-options", "DENY"),
        ("strict-transport-security", "max-age=1"),
    ];
    let off = headers(r#"{"off":["frame-options","hsts"]}"#, https(), &theirs);
    assert_eq!(
        off.text("x-frame-options"),
        "DENY",
        "what is off is not touched"
    );
    assert_eq!(off.text("strict-transport-security"), "max-age=1");
    assert!(off.contains("referrer-policy"));
    let settings = r#"{"if-absent":["frame-options","hsts"]}"#;
    let left = headers(settings, https(), &theirs);
    assert_eq!(left.text("x-frame-options"), "DENY");
    assert_eq!(left.text("strict-transport-security"), "max-age=1");
    let added = headers(settings, https(), &[]);
    assert_eq!(added.text("x-frame-options"), "SAMEORIGIN");
    assert_eq!(added.text("strict-transport-security"), "max-age=31536000");
    let all_off = r#"{"off":["frame-options","hsts","referrer-policy","content-type-options"]}"#;
    assert!(headers(all_off, https(), &[]).names().is_empty());
}

#[test]
fn the_plan_is_pure() {
    let with_proto = |(index, exchange): (usize, Exchange)| match index % 3 {
        0 => exchange,
        1 => exchange.header("x-forwarded-proto", "https"),
        _ => exchange.header("x-forwarded-proto", "https, http"),
    };
    let exchanges: Vec<_> = samples(41, 300)
        .into_iter()
        .enumerate()
        .map(with_proto)
        .collect();
    let settings = [
        "{}",
        r#"{"off":["frame-options"],"if-absent":["hsts"],"permissions-policy":"camera=()"}"#,
        r#"{"hsts":{"include-subdomains":true},"off":["referrer-policy","frame-options","content-type-options"]}"#,
    ];
    for settings in settings {
        assert_plan_is_pure::<SecurityHeaders>(settings, &exchanges);
    }
}

#[test]
fn every_header_has_one_name() {
    let names: std::collections::BTreeSet<_> = Name::ALL.iter().map(|name| name.header()).collect();
    assert_eq!(names.len(), Name::ALL.len());
}

#[test]
fn a_policy_is_as_long_as_the_contract_takes() {
    let of = |bytes: usize| format!(r#"{{"permissions-policy":"{}"}}"#, "x".repeat(bytes));
    assert!(errors::<SecurityHeaders>(&of(16 * 1024)).is_empty());
    let found = errors::<SecurityHeaders>(&of(16 * 1024 + 1));
    assert!(
        found.len() == 1 && found[0].starts_with("/permissions-policy: "),
        "{found:?}"
    );
}

#[test]
fn bad_settings_are_told_at_their_place() {
    let cases = [
        (r#""frame-options":"ALLOW""#, "/frame-options: "),
        (r#""referrer-policy":"none""#, "/referrer-policy: "),
        (r#""referrer-policy":"""#, "/referrer-policy: "),
        (r#""hsts":{"max-age":"1500ms"}"#, "/hsts/max-age: "),
        (r#""hsts":{"preload":true}"#, "/hsts/preload: "),
        (
            r#""hsts":{"preload":true,"include-subdomains":true,"max-age":"24h"}"#,
            "/hsts/preload: ",
        ),
        (
            r#""content-security-policy":" \n""#,
            "/content-security-policy: ",
        ),
        (r#""permissions-policy":"a\u0000""#, "/permissions-policy: "),
        (r#""permissions-policy":"ä""#, "/permissions-policy: "),
        (r#""off":["frame-options","server"]"#, "/off/1: "),
        (r#""off":["hsts","hsts"]"#, "/off/1: "),
        (r#""off":["permissions-policy"]"#, "/off/0: "),
        (r#""off":["hsts"],"hsts":{}"#, "/off/0: "),
        (r#""if-absent":["permissions-policy"]"#, "/if-absent/0: "),
        (r#""off":["hsts"],"if-absent":["hsts"]"#, "/if-absent/0: "),
    ];
    for (members, expected) in cases {
        let found = errors::<SecurityHeaders>(&format!("{{{members}}}"));
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{members}: {found:?}"
        );
    }
}
