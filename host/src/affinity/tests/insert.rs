//! The cookie that the proxy sets.

use super::*;

/// `Cookie` lines, what they are bound to, and the lines that are left.
type Row = (
    &'static [&'static str],
    BindingState,
    Option<usize>,
    &'static [&'static str],
);

#[test]
fn insert_takes_the_cookie_off_and_leaves_the_others() {
    for value in VALUES {
        let mut fixture = Fixture::new(&by_cookie(CookieMode::Insert, value));
        let (one, two, odd) = (fixture.value(0), fixture.value(1), fixture.value(2));
        use BindingState::{Invalid, None as Absent, Valid};
        let table: &[Row] = &[
            (&[], Absent, None, &[]),
            (&["a=1; b=\"2\""], Absent, None, &["a=1; b=\"2\""]),
            (&["SRV={1}"], Valid, Some(0), &[]),
            (&["SRV={2}"], Valid, Some(1), &[]),
            (&["SRV={3}"], Valid, Some(2), &[]),
            (&["SRV={1};"], Valid, Some(0), &[]),
            (&[";; SRV = {1} ;"], Valid, Some(0), &[]),
            (&["a=1; SRV={1}; b=2"], Valid, Some(0), &["a=1; b=2"]),
            (&["SRV={1};a=1;b=2"], Valid, Some(0), &["a=1;b=2"]),
            (&["a=1 ;\tSRV={1}"], Valid, Some(0), &["a=1"]),
            (
                &["a=1;  b=\"x y\";SRV={2};c"],
                Valid,
                Some(1),
                &["a=1;  b=\"x y\";c"],
            ),
            (&["a=1", "SRV={1}; b=2"], Valid, Some(0), &["a=1; b=2"]),
            (&["a=1 ;SRV={1}", "b=2"], Valid, Some(0), &["a=1; b=2"]),
            (
                &["a=1", "SRV={1}", "b=2; c"],
                Valid,
                Some(0),
                &["a=1; b=2; c"],
            ),
            (
                &["a=SRV={1}; xSRV={1}; srv={1}"],
                Absent,
                None,
                &["a=SRV={1}; xSRV={1}; srv={1}"],
            ),
            // The first valid one counts; all are taken off.
            (&["SRV=old; SRV={2}; SRV={1}"], Valid, Some(1), &[]),
            (&["SRV={2}", "a=1; SRV={1}"], Valid, Some(1), &["a=1"]),
            (&["SRV="], Invalid, None, &[]),
            (&["SRV=x; a=1"], Invalid, None, &["a=1"]),
            (&["SRV=\"{1}\""], Invalid, None, &[]),
            (&["SRV={1}~x"], Invalid, None, &[]),
            // A name without a value is no such cookie.
            (&["SRV; a=1"], Absent, None, &["SRV; a=1"]),
        ];
        for (before, state, endpoint, after) in table {
            let put = |line: &&str| {
                line.replace("{1}", &one)
                    .replace("{2}", &two)
                    .replace("{3}", &odd)
            };
            let before: Vec<_> = before.iter().map(put).collect();
            let after: Vec<_> = after.iter().map(put).collect();
            let (binding, left) = fixture.cookies(&before);
            assert_eq!(
                (binding.state, binding.endpoint),
                (*state, *endpoint),
                "{before:?}"
            );
            assert_eq!(left, after, "{before:?}");
        }
    }
}

#[test]
fn no_more_than_eight_cookies_of_the_name_are_read_and_all_go() {
    let mut fixture = Fixture::new(&by_cookie(CookieMode::Insert, CookieValue::Signed));
    let valid = format!("SRV={}", fixture.value(1));
    let (eighth, _) = fixture.cookies(&[format!("{}{valid}", "SRV=x; ".repeat(7))]);
    assert_eq!(eighth.endpoint, Some(1));
    let (ninth, left) = fixture.cookies(&[format!("{}{valid}", "SRV=x; ".repeat(8))]);
    assert_eq!((ninth.endpoint, ninth.state), (None, BindingState::Invalid));
    assert!(left.is_empty());
}

#[test]
fn insert_issues_once_and_again_for_another_endpoint() {
    let mut fixture = Fixture::new(&by_cookie(CookieMode::Insert, CookieValue::Opaque));
    let (one, two) = (fixture.value(0), fixture.value(1));
    let line = |value: &str| vec![format!("SRV={value}; Path=/; HttpOnly")];
    let table = [
        (None, 0, Issued::Inserted, line(&one)),
        (Some("forged".to_owned()), 0, Issued::Inserted, line(&one)),
        (Some(one.clone()), 0, Issued::None, vec![]),
        (Some(one.clone()), 1, Issued::Inserted, line(&two)),
        (Some(two), 1, Issued::None, vec![]),
    ];
    for (carried, answered, issued, lines) in table {
        let carried: Vec<_> = carried.iter().map(|value| format!("SRV={value}")).collect();
        let (binding, _) = fixture.cookies(&carried);
        let done = fixture.response(&binding, IDS[answered], &[]);
        assert_eq!(done, (issued, lines), "{carried:?}");
    }
}

#[test]
fn insert_drops_the_upstreams_cookie_of_the_name() {
    let mut fixture = Fixture::new(&by_cookie(CookieMode::Insert, CookieValue::Opaque));
    let one = fixture.value(0);
    let upstream = [
        ("set-cookie", "a=1; Path=/"),
        ("Set-Cookie", "SRV=mine; Path=/"),
        ("set-cookie", "b=SRV=2"),
    ];
    let (binding, _) = fixture.cookies(&[]);
    let (issued, lines) = fixture.response(&binding, IDS[0], &upstream);
    let inserted = format!("SRV={one}; Path=/; HttpOnly");
    assert_eq!(issued, Issued::Inserted);
    assert_eq!(lines, ["a=1; Path=/", "b=SRV=2", &inserted]);

    let (binding, _) = fixture.cookies(&[format!("SRV={one}")]);
    let (issued, lines) = fixture.response(&binding, IDS[0], &upstream);
    assert_eq!(issued, Issued::Dropped);
    assert_eq!(lines, ["a=1; Path=/", "b=SRV=2"]);
    assert!(values(fixture.exchange.response.fields(), "cache-control").is_empty());
}

#[test]
fn an_interim_response_is_left_alone() {
    let mut fixture = Fixture::new(&by_cookie(CookieMode::Insert, CookieValue::Opaque));
    let (binding, _) = fixture.cookies(&[]);
    fixture.exchange.response.begin(103);
    let Fixture {
        affinity,
        members,
        exchange,
    } = &mut fixture;
    let issued = affinity.response(exchange, &binding, IDS[0], members);
    assert_eq!(issued, Issued::None);
    assert!(exchange.response.fields().is_empty());
}

#[test]
fn attributes_are_as_set() {
    let full = CookieAffinity {
        path: "/shop".into(),
        domain: Some("example.com".into()),
        secure: true,
        same_site: Some(SameSite::Lax),
        max_age: Some(Duration::from_secs(3600)),
        ..cookie()
    };
    let bare = CookieAffinity {
        http_only: false,
        ..cookie()
    };
    let strict = CookieAffinity {
        same_site: Some(SameSite::Strict),
        ..cookie()
    };
    let cross = CookieAffinity {
        same_site: Some(SameSite::None),
        secure: true,
        ..cookie()
    };
    let table = [
        (
            full,
            "; Path=/shop; HttpOnly; Secure; SameSite=Lax; Domain=example.com; Max-Age=3600",
        ),
        (bare, "; Path=/"),
        (strict, "; Path=/; HttpOnly; SameSite=Strict"),
        (cross, "; Path=/; HttpOnly; Secure; SameSite=None"),
    ];
    for (settings, attributes) in table {
        let mut fixture = Fixture::new(&config::Affinity::Cookie(settings));
        let (binding, _) = fixture.cookies(&[]);
        let (_, lines) = fixture.response(&binding, IDS[0], &[]);
        assert_eq!(lines, [format!("SRV={}{attributes}", fixture.value(0))]);
    }
}

#[test]
fn a_response_with_the_cookie_is_kept_from_shared_caches() {
    let table: [(&[&str], bool); 9] = [
        (&[], true),
        (&["max-age=60"], true),
        (&["public, max-age=60"], true),
        (&["private"], false),
        (&["max-age=5 , PRIVATE"], false),
        (&["max-age=5", "no-store"], false),
        (&["private=\"x-a\""], true),
        (&["x=\"a, private, b\""], true),
        (&["no-storeroom, x-private"], true),
    ];
    for (before, is_added) in table {
        let mut fixture = Fixture::new(&by_cookie(CookieMode::Insert, CookieValue::Opaque));
        let (binding, _) = fixture.cookies(&[]);
        let lines: Vec<_> = before.iter().map(|&line| ("cache-control", line)).collect();
        fixture.response(&binding, IDS[0], &lines);
        let mut expected = before.to_vec();
        expected.extend(is_added.then_some("private"));
        assert_eq!(
            values(fixture.exchange.response.fields(), "cache-control"),
            expected
        );
    }
}

#[test]
fn of_several_cookies_that_bind_nothing_the_most_telling_is_reported() {
    for value in VALUES {
        let settings = by_cookie(CookieMode::Insert, value);
        let mut fixture = Fixture::new(&settings);
        let gone = fixture.value(0);
        fixture.members = members(&settings, &IDS[1..]);
        for line in [format!("SRV={gone}; SRV=x"), format!("SRV=x; SRV={gone}")] {
            let (binding, _) = fixture.cookies(&[line]);
            assert_eq!(binding.state, BindingState::Unknown);
            assert_eq!(binding.endpoint, None);
        }
    }
}
