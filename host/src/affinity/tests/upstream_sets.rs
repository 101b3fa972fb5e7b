//! The cookie that the upstream sets: rewrite and prefix.

use super::*;

#[test]
fn rewrite_replaces_the_upstreams_value_and_never_makes_a_cookie() {
    for value in VALUES {
        let mut fixture = Fixture::new(&by_cookie(CookieMode::Rewrite, value));
        let (one, two) = (fixture.value(0), fixture.value(1));
        let (binding, left) = fixture.cookies(&[format!("a=1; SRV={two}")]);
        assert_eq!(
            (binding.endpoint, left),
            (Some(1), vec![format!("a=1; SRV={two}")])
        );
        assert_eq!(
            fixture.response(&binding, IDS[0], &[]),
            (Issued::None, vec![])
        );

        let table = [
            (
                "SRV=x; Path=/; Max-Age=5",
                format!("SRV={one}; Path=/; Max-Age=5"),
            ),
            ("SRV=", format!("SRV={one}")),
            ("SRV = x ;Secure", format!("SRV = {one} ;Secure")),
            ("SRV=\"x\";a=SRV=1", format!("SRV={one};a=SRV=1")),
        ];
        for (set, expected) in table {
            let lines = [
                ("set-cookie", "a=SRV=1"),
                ("set-cookie", set),
                ("set-cookie", "SRV"),
            ];
            let (issued, lines) = fixture.response(&binding, IDS[0], &lines);
            assert_eq!(issued, Issued::Rewritten);
            assert_eq!(lines, ["a=SRV=1", &expected, "SRV"]);
        }
    }
}

#[test]
fn prefix_marks_the_upstreams_cookie_and_unmarks_it_on_requests() {
    for value in VALUES {
        let mut fixture = Fixture::new(&by_cookie(CookieMode::Prefix, value));
        let (binding, _) = fixture.cookies(&[]);
        let set = [("set-cookie", "SRV=s~1; Path=/"), ("set-cookie", "b=2")];
        let (issued, lines) = fixture.response(&binding, IDS[1], &set);
        let marked = format!("SRV={}~s~1", fixture.value(1));
        assert_eq!(issued, Issued::Prefixed);
        assert_eq!(lines, [format!("{marked}; Path=/"), "b=2".to_owned()]);

        let (binding, left) = fixture.cookies(&[format!("a=1; {marked}; b=\"2\"")]);
        assert_eq!(
            (binding.endpoint, binding.state),
            (Some(1), BindingState::Valid)
        );
        assert_eq!(left, ["a=1; SRV=s~1; b=\"2\""]);
        assert_eq!(
            fixture.response(&binding, IDS[1], &[]),
            (Issued::None, vec![])
        );
    }
}

#[test]
fn a_prefix_that_is_not_ours_stays_and_one_of_another_secret_goes() {
    for value in VALUES {
        let mut fixture = Fixture::new(&by_cookie(CookieMode::Prefix, value.clone()));
        let own = fixture.value(0);
        let other = config::Affinity::Cookie(CookieAffinity {
            secret: Some("another".into()),
            value,
            ..cookie()
        });
        let stale = members(&other, &IDS);
        let stale = text(stale.cookie_value(IDS[0]).expect("a member"));
        // With something before the id, a signature is still one of ours by form.
        let longer = format!("SRV=x{own}~s");
        let longer_after = if own.contains('.') { "SRV=s" } else { &longer };
        let table = [
            ("SRV=s", "SRV=s"),
            (&format!("SRV={own}"), &format!("SRV={own}")),
            ("SRV=s~1", "SRV=s~1"),
            (&longer, longer_after),
            (&format!("SRV={stale}~s~t"), "SRV=s~t"),
            (&format!("SRV={own}~"), "SRV="),
        ];
        for (before, after) in table {
            let (_, left) = fixture.request(&[("cookie", before)]);
            assert_eq!(left, [after], "{before}");
        }
    }
}
