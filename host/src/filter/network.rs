//! Runs the network filters of a listener when a connection is accepted and when it ends.

use super::OnFault;
use crate::http::{ConnectionFacts, Field};
use crate::plugin::{self, ConnectionPhase, Edit, Edits, NetworkVerdict, flatten_with};
use std::sync::Arc;
use std::time::Instant;

/// One configured step of a network chain.
#[derive(Debug)]
pub struct NetworkFilter {
    pub name: Arc<str>,
    pub plugin: Arc<plugin::NetworkFilter>,
    pub on_fault: OnFault,
}

/// The network filters of a listener in order.
#[derive(Debug, Default)]
pub struct NetworkChain(Vec<NetworkFilter>);

/// A filter refused the connection.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The filter's name.
    pub filter: Arc<str>,
    /// It did so by faulting under `on-fault="deny"`.
    pub faulted: bool,
}

impl NetworkChain {
    pub fn new(filters: Vec<NetworkFilter>) -> NetworkChain {
        NetworkChain(filters)
    }

    /// Asks every filter about a new connection; tags that they set are in the facts afterwards. The facts must not be shared yet.
    pub fn on_accept(&self, facts: &mut Arc<ConnectionFacts>) -> Result<(), Refused> {
        for (index, filter) in self.0.iter().enumerate() {
            if let Err(refused) = filter.accept(facts) {
                // Those before it let the connection pass, and now it ends.
                self.0[..index]
                    .iter()
                    .for_each(|passed| passed.close(facts));
                return Err(refused);
            }
        }
        Ok(())
    }

    /// The filters in order.
    pub fn iter(&self) -> std::slice::Iter<'_, NetworkFilter> {
        self.0.iter()
    }

    /// Tells the filters that want to know that a connection they let pass has ended.
    pub fn on_close(&self, facts: &Arc<ConnectionFacts>) {
        for filter in &self.0 {
            filter.close(facts);
        }
    }
}

impl NetworkFilter {
    fn accept(&self, facts: &mut Arc<ConnectionFacts>) -> Result<(), Refused> {
        let needs = self.plugin.needs();
        let Some(fields) = needs
            .accept
            .as_ref()
            .filter(|_| needs.guard.matches_source(facts.peer.ip()))
        else {
            return Ok(());
        };
        let phase = Phase::boxed(facts);
        let flat = flat_fields(fields, facts);
        let (phase, verdict) = self.plugin.accept(phase, &flat);
        drop(phase);
        let faulted = match verdict {
            Ok(NetworkVerdict::Next(tags)) => {
                set_tags(facts, &tags);
                return Ok(());
            }
            Ok(NetworkVerdict::Close) => false,
            Err(_) if self.on_fault == OnFault::Skip => return Ok(()),
            Err(_) => true,
        };
        Err(Refused {
            filter: self.name.clone(),
            faulted,
        })
    }

    fn close(&self, facts: &Arc<ConnectionFacts>) {
        let needs = self.plugin.needs();
        let Some(fields) = needs
            .close
            .as_ref()
            .filter(|_| needs.guard.matches_source(facts.peer.ip()))
        else {
            return;
        };
        // Best effort by contract: a fault has been counted and logged by the plugin room.
        let _ = self
            .plugin
            .close(Phase::boxed(facts), &flat_fields(fields, facts));
    }
}

/// The facts of a connection as a plugin call sees them.
struct Phase {
    facts: Arc<ConnectionFacts>,
    now: Instant,
}

impl Phase {
    fn boxed(facts: &Arc<ConnectionFacts>) -> Box<dyn ConnectionPhase> {
        Box::new(Phase {
            facts: facts.clone(),
            now: Instant::now(),
        })
    }
}

impl ConnectionPhase for Phase {
    fn read(&self, field: &Field, out: &mut Vec<u8>) -> bool {
        self.facts.read(field, self.now, out)
    }
}

fn flat_fields(fields: &[Field], facts: &ConnectionFacts) -> Vec<u8> {
    let mut flat = Vec::new();
    let now = Instant::now();
    flatten_with(fields, &mut flat, |field, out| facts.read(field, now, out));
    flat
}

fn set_tags(facts: &mut Arc<ConnectionFacts>, tags: &Edits) {
    let facts = Arc::get_mut(facts)
        .expect("the facts of a connection that is being accepted are not shared");
    for edit in tags.iter() {
        if let Edit::Tag { name, value } = edit {
            facts.set_tag(name, value);
        }
    }
}
