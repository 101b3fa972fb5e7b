//! Each mode from request to response, on messages; the parts have their own tables.

mod insert;
mod random;
mod upstream_sets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::*;
use crate::config::{CookieAffinity, CookieMode, CookieValue, KeyPart, SameSite, TableAffinity};
use crate::http::{Fields, Scheme};

const IDS: [&str; 3] = ["10.0.0.1:80", "10.0.0.2:80", "api 3~;ü"];

struct Fixture {
    affinity: Affinity,
    members: Members,
    exchange: Exchange,
}

impl Fixture {
    fn new(settings: &config::Affinity) -> Fixture {
        Fixture {
            affinity: Affinity::new("api", settings, Arc::new(Table::new())),
            members: members(settings, &IDS),
            exchange: Exchange::new(Arc::new(facts("192.0.2.7:4000"))),
        }
    }

    fn value(&self, position: usize) -> String {
        let value = self.members.cookie_value(IDS[position]);
        text(value.expect("a cookie affinity has a value for each member"))
    }

    /// A new request with these headers, bound; what is left of its `Cookie` lines.
    fn request(&mut self, lines: &[(&str, &str)]) -> (Binding, Vec<String>) {
        let connection = Arc::clone(&self.exchange.connection);
        self.exchange.begin(1, &connection, [1, 2], Instant::now());
        fill(self.exchange.request.fields_mut(), lines);
        let binding = self.affinity.request(&mut self.exchange, &self.members);
        (binding, values(self.exchange.request.fields(), "cookie"))
    }

    fn cookies(&mut self, lines: &[String]) -> (Binding, Vec<String>) {
        let lines: Vec<_> = lines.iter().map(|line| ("cookie", line.as_str())).collect();
        self.request(&lines)
    }

    /// The answer of an endpoint with these headers; what was done and all `Set-Cookie` lines.
    fn response(
        &mut self,
        binding: &Binding,
        id: &str,
        lines: &[(&str, &str)],
    ) -> (Issued, Vec<String>) {
        self.exchange.response.begin(200);
        fill(self.exchange.response.fields_mut(), lines);
        let issued = self
            .affinity
            .response(&mut self.exchange, binding, id, &self.members);
        (
            issued,
            values(self.exchange.response.fields(), "set-cookie"),
        )
    }
}

fn members(settings: &config::Affinity, ids: &[&str]) -> Members {
    Members::new(Some(settings), "api", ids.iter().map(|&id| id.to_owned()))
}

fn cookie() -> CookieAffinity {
    CookieAffinity {
        name: "SRV".into(),
        mode: CookieMode::Insert,
        value: CookieValue::Opaque,
        secret: None,
        path: "/".into(),
        domain: None,
        secure: false,
        http_only: true,
        same_site: None,
        max_age: None,
    }
}

fn by_cookie(mode: CookieMode, value: CookieValue) -> config::Affinity {
    config::Affinity::Cookie(CookieAffinity {
        mode,
        value,
        secret: Some("a secret".into()),
        ..cookie()
    })
}

fn by_key(key: &[KeyPart]) -> config::Affinity {
    config::Affinity::Table(TableAffinity {
        key: key.to_vec(),
        size: 100,
        expiry: Duration::from_secs(60),
    })
}

fn facts(peer: &str) -> ConnectionFacts {
    let peer: SocketAddr = peer.parse().expect("a socket address");
    ConnectionFacts {
        id: 1,
        peer,
        local: peer,
        listener: "web".into(),
        scheme: Scheme::Http,
        http2: false,
        tls: None,
        proxy: None,
        accepted: Instant::now(),
        tags: Vec::new(),
        downstream_bytes: AtomicU64::new(0),
        upstream_bytes: AtomicU64::new(0),
    }
}

fn fill(fields: &mut Fields, lines: &[(&str, &str)]) {
    for (name, value) in lines {
        fields
            .append(name.as_bytes(), value.as_bytes())
            .expect("a valid line");
    }
}

fn values(fields: &Fields, name: &str) -> Vec<String> {
    fields.get_all(name.as_bytes()).map(text).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const VALUES: [CookieValue; 2] = [CookieValue::Opaque, CookieValue::Signed];

#[test]
fn an_endpoint_that_is_no_member_gets_no_cookie() {
    for mode in [CookieMode::Insert, CookieMode::Rewrite, CookieMode::Prefix] {
        let mut fixture = Fixture::new(&by_cookie(mode, CookieValue::Signed));
        let (binding, _) = fixture.cookies(&[]);
        let done = fixture.response(&binding, "10.0.0.9:80", &[("set-cookie", "a=1")]);
        assert_eq!(done, (Issued::None, vec!["a=1".to_owned()]), "{mode:?}");
    }
}

#[test]
fn a_table_remembers_who_answered() {
    let header = by_key(&[KeyPart::Header("x-user".into())]);
    let mut fixture = Fixture::new(&header);
    let (ann, bob) = ([("x-user", "ann")], [("x-user", "bob")]);
    let (binding, _) = fixture.request(&ann);
    assert_eq!((binding.endpoint, binding.state), (None, BindingState::New));
    let (issued, lines) = fixture.response(&binding, IDS[1], &[]);
    assert_eq!((issued, lines.len()), (Issued::Remembered, 0));

    let (binding, _) = fixture.request(&ann);
    assert_eq!(
        (binding.endpoint, binding.state),
        (Some(1), BindingState::Valid)
    );
    assert_eq!(fixture.response(&binding, IDS[1], &[]).0, Issued::None);
    assert_eq!(fixture.request(&bob).0.endpoint, None);

    // Picked anew, and gone for good.
    assert_eq!(
        fixture.response(&binding, IDS[0], &[]).0,
        Issued::Remembered
    );
    assert_eq!(fixture.request(&ann).0.endpoint, Some(0));
    fixture.members = members(&header, &IDS[1..]);
    let (binding, _) = fixture.request(&ann);
    assert_eq!(
        (binding.endpoint, binding.state),
        (None, BindingState::Unknown)
    );
}

#[test]
fn a_request_without_key_is_bound_to_nothing() {
    let mut fixture = Fixture::new(&by_key(&[KeyPart::Header("x-user".into())]));
    for lines in [&[][..], &[("x-user", "")]] {
        let (binding, _) = fixture.request(lines);
        assert_eq!(
            (binding.endpoint, binding.state),
            (None, BindingState::None)
        );
        assert_eq!(fixture.response(&binding, IDS[0], &[]).0, Issued::None);
    }
    let Kind::Table { table, .. } = &fixture.affinity.kind else {
        panic!("a table affinity");
    };
    assert!(table.is_empty());
}

#[test]
fn a_connection_is_bound_by_its_peer() {
    let settings = by_key(&[KeyPart::Source]);
    let affinity = Affinity::new("api", &settings, Arc::new(Table::new()));
    let members = members(&settings, &IDS);
    let binding = affinity.connection(&facts("192.0.2.7:4000"), &members);
    assert_eq!(binding.state, BindingState::New);
    assert_eq!(affinity.remember(&binding, IDS[2]), Issued::Remembered);
    let again = affinity.connection(&facts("192.0.2.7:4001"), &members);
    assert_eq!(again.endpoint, Some(2));
    let other = affinity.connection(&facts("192.0.2.8:4000"), &members);
    assert_eq!(other.endpoint, None);

    let settings = by_cookie(CookieMode::Insert, CookieValue::Opaque);
    let affinity = Affinity::new("api", &settings, Arc::new(Table::new()));
    let binding = affinity.connection(&facts("192.0.2.7:4000"), &members);
    assert_eq!(binding.state, BindingState::None);
    assert_eq!(affinity.remember(&binding, IDS[0]), Issued::None);
}
