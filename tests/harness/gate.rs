//! A gate that one thread waits at until another opens it.

use super::PATIENCE;
use std::sync::{Arc, Condvar, Mutex};

/// Opens once. Clones are the same gate.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().expect("nobody panics holding it") = true;
        self.0.1.notify_all();
    }

    /// Until the gate is open. Fails the test when that takes too long.
    pub(crate) fn wait(&self) {
        let open = self.0.0.lock().expect("nobody panics holding it");
        let (open, _) = self
            .0
            .1
            .wait_timeout_while(open, PATIENCE, |open| !*open)
            .expect("nobody panics holding it");
        assert!(*open, "the gate was not opened");
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.0.0.lock().expect("nobody panics holding it")
    }
}
