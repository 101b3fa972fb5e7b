use std::collections::HashSet;

use super::*;
use crate::affinity::{BindingState, Members};
use crate::config::{Affinity, CookieMode};

fn settings(value: CookieValue, secret: Option<&str>) -> CookieAffinity {
    CookieAffinity {
        name: "SRV".into(),
        mode: CookieMode::Insert,
        value,
        secret: secret.map(Into::into),
        path: "/".into(),
        domain: None,
        secure: false,
        http_only: true,
        same_site: None,
        max_age: None,
    }
}

fn maker(value: CookieValue, secret: Option<&str>) -> ValueMaker {
    ValueMaker::new("api", &settings(value, secret))
}

/// Expected values were computed with another implementation of HMAC.
#[test]
fn values_are_as_documented() {
    use CookieValue::{Opaque, Signed};
    let address = "10.0.0.1:80";
    let table = [
        (Opaque, Some("s3cret"), address, "7C_Me6ywgP4lswb5htTzBg"),
        (Opaque, None, address, "HL5S9l1Ttv2Menj7Zs365g"),
        (
            Signed,
            Some("s3cret"),
            address,
            "10.0.0.1:80.yQjubC6pxPUt_WQ4xm2f30rHiUXVmoRpUQtFsuaqFQQ",
        ),
        (
            Signed,
            Some("s3cret"),
            "a b~;%",
            "a%20b%7E%3B%25.-G8rGm1eQ1sEkeD7U7ugoRrnmeZceuPaL_ONbpO8Mfc",
        ),
    ];
    for (value, secret, id, expected) in table {
        let value = maker(value, secret).value(id);
        assert_eq!(String::from_utf8_lossy(&value), expected);
    }
}

#[test]
fn secret_cluster_and_id_each_change_the_value() {
    for kind in [CookieValue::Opaque, CookieValue::Signed] {
        let base = settings(kind.clone(), Some("one"));
        let other = settings(kind.clone(), Some("two"));
        let unkeyed = settings(kind, None);
        let makers = [
            ValueMaker::new("a", &base),
            ValueMaker::new("b", &base),
            ValueMaker::new("a", &other),
            ValueMaker::new("a", &unkeyed),
            ValueMaker::new("b", &unkeyed),
        ];
        let values = makers
            .iter()
            .flat_map(|maker| [maker.value("x"), maker.value("y")]);
        assert_eq!(values.collect::<HashSet<_>>().len(), 10);
    }
}

#[test]
fn every_value_may_stand_in_a_cookie_before_a_prefix_end() {
    let id: String = (1..=0x2ff).filter_map(char::from_u32).collect();
    let value = maker(CookieValue::Signed, Some("s")).value(&id);
    let is_octet =
        |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\' | b'~');
    assert!(value.iter().all(is_octet));
}

fn members(kind: &CookieValue, secret: &str, ids: &[&str]) -> Members {
    let settings = Affinity::Cookie(settings(kind.clone(), Some(secret)));
    Members::new(Some(&settings), "api", ids.iter().map(|&id| id.to_owned()))
}

#[test]
fn a_value_is_read_back_and_no_other_is() {
    let ids = ["10.0.0.1:80", "a.b.c:1", "a b~;%", "", "."];
    for kind in [CookieValue::Opaque, CookieValue::Signed] {
        let members = members(&kind, "s", &ids);
        for (position, id) in ids.iter().enumerate() {
            let value = members.cookie_value(id).expect("a member").to_vec();
            assert_eq!(
                members.read_cookie(&value),
                (BindingState::Valid, Some(position))
            );
            for at in 0..value.len() {
                let mut tampered = value.clone();
                tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
                let (state, endpoint) = members.read_cookie(&tampered);
                assert_eq!(endpoint, None, "{id}, byte {at}");
                // An opaque value of the right form cannot be told from that of an endpoint that is gone; a signature can.
                let is_opaque = kind == CookieValue::Opaque;
                assert_eq!(state == BindingState::Unknown, is_opaque, "{id}, byte {at}");
                assert_eq!(
                    members.read_cookie(&value[..at]),
                    (BindingState::Invalid, None)
                );
            }
            let longer = [&value[..], b"A"].concat();
            assert_eq!(members.read_cookie(&longer), (BindingState::Invalid, None));
        }
    }
}

#[test]
fn an_endpoint_that_is_gone_is_told_from_a_forgery() {
    for kind in [CookieValue::Opaque, CookieValue::Signed] {
        let (before, after) = (
            members(&kind, "s", &["a", "b"]),
            members(&kind, "s", &["b"]),
        );
        let gone = before.cookie_value("a").expect("a member");
        assert_eq!(after.read_cookie(gone), (BindingState::Unknown, None));
    }
    let kind = CookieValue::Signed;
    let (one, other) = (members(&kind, "s", &["a"]), members(&kind, "t", &["a"]));
    let foreign = one.cookie_value("a").expect("a member");
    assert_eq!(other.read_cookie(foreign), (BindingState::Invalid, None));
    let moved = [b"b", &foreign[1..]].concat();
    assert_eq!(one.read_cookie(&moved), (BindingState::Invalid, None));
}

#[test]
fn of_endpoints_that_share_an_id_the_first_counts() {
    let members = members(&CookieValue::Opaque, "s", &["a", "b", "b"]);
    let value = members.cookie_value("b").expect("a member");
    assert_eq!(members.read_cookie(value), (BindingState::Valid, Some(1)));
    assert_eq!((members.len(), members.position("b")), (3, Some(1)));
}

#[test]
fn random_values_are_nobodys() {
    let mut random = fastrand::Rng::with_seed(3);
    for kind in [CookieValue::Opaque, CookieValue::Signed] {
        let members = members(&kind, "s", &["a", "b"]);
        for _ in 0..5000 {
            let value: Vec<u8> = (0..random.usize(0..70)).map(|_| random.u8(..)).collect();
            assert_eq!(members.read_cookie(&value), (BindingState::Invalid, None));
        }
        assert_eq!(members.read_cookie(&[b'.'; 10_000]).1, None);
    }
}
