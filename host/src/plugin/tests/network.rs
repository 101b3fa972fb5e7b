//! Network filters through the real host.

use std::sync::Arc;
use std::time::Instant;

use super::super::{
    ConfigureError, ConnectionPhase, Edit, FaultKind, NetworkFilter, NetworkVerdict, flatten_with,
};
use super::{engine, facts, guests, mode, patient};
use crate::http::{ConnectionFacts, Field};

struct Accepted(ConnectionFacts);

impl ConnectionPhase for Accepted {
    fn read(&self, field: &Field, out: &mut Vec<u8>) -> bool {
        self.0.read(field, Instant::now(), out)
    }
}

fn filter(name: &str) -> Result<Arc<NetworkFilter>, ConfigureError> {
    let component = engine()
        .load_file(&guests::network())
        .expect("the guest loads");
    NetworkFilter::configure(engine(), &component, name, &mode(name), patient())
}

fn accept(
    filter: &NetworkFilter,
) -> (
    Box<dyn ConnectionPhase>,
    Result<NetworkVerdict, super::Fault>,
) {
    let connection = Accepted(facts());
    let mut fields = Vec::new();
    flatten_with(
        filter.needs().accept.as_deref().unwrap_or_default(),
        &mut fields,
        |field, out| connection.read(field, out),
    );
    filter.accept(Box::new(connection), &fields)
}

#[test]
fn facts_are_read_and_tags_are_set() {
    let filter = filter("next").expect("configured");
    let (connection, verdict) = accept(&filter);
    let Ok(NetworkVerdict::Next(tags)) = verdict else {
        panic!("not `next`")
    };
    assert_eq!(
        tags.iter().collect::<Vec<_>>(),
        [Edit::Tag {
            name: "seen",
            value: b"10.1.2.3 at web"
        }]
    );
    assert!(filter.close(connection, b"\x01\0\0\x000").is_ok());
    assert!(filter.needs().guard.matches_source([10, 0, 0, 1].into()));
    assert!(!filter.needs().guard.matches_source([11, 0, 0, 1].into()));
}

#[test]
fn a_connection_can_be_closed() {
    assert!(matches!(
        accept(&filter("close").expect("configured")).1,
        Ok(NetworkVerdict::Close)
    ));
}

#[test]
fn misbehaviour_is_a_fault() {
    for (name, kind) in [("trap", FaultKind::Trap), ("header", FaultKind::BadOutput)] {
        let fault = accept(&filter(name).expect("configured"))
            .1
            .expect_err(name);
        assert_eq!(fault.kind, kind, "{name}");
    }
    let filter = filter("trap-close").expect("configured");
    let (connection, verdict) = accept(&filter);
    assert!(verdict.is_ok());
    assert_eq!(
        filter.close(connection, &[]).expect_err("a trap").kind,
        FaultKind::Trap
    );
    assert!(accept(&filter).1.is_ok(), "a new instance");
}

#[test]
fn a_guard_that_a_connection_cannot_answer_is_refused() {
    assert!(matches!(
        filter("guard-path"),
        Err(ConfigureError::Refused(_))
    ));
}
