//! What a process writes, line by line, while it writes it.

use super::PATIENCE;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// The lines of one output so far.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Collects the lines of `output` in a thread that ends with it.
    pub(crate) fn of(output: impl Read + Send + 'static) -> Lines {
        let lines = Lines::default();
        let collected = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                collected.change(|state| state.lines.push(line));
            }
            collected.change(|state| state.ended = true);
        });
        lines
    }

    /// Waits until there will be no further line; false when patience ended before.
    pub(crate) fn wait_for_end(&self) -> bool {
        let state = self.0.0.lock().expect("nobody panics holding it");
        let waited = self
            .0
            .1
            .wait_timeout_while(state, PATIENCE, |state| !state.ended);
        waited.expect("nobody panics holding it").0.ended
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.0.lock().expect("nobody panics holding it"));
        self.0.1.notify_all();
    }

    /// How many there are now; a place to look from.
    pub(crate) fn count(&self) -> usize {
        self.0
            .0
            .lock()
            .expect("nobody panics holding it")
            .lines
            .len()
    }

    /// All lines so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0
            .0
            .lock()
            .expect("nobody panics holding it")
            .lines
            .clone()
    }

    /// The first line from number `start` on for which `look` finds something; waits for it. None when the output ended or patience did.
    pub(crate) fn find<T>(&self, start: usize, look: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.0.0.lock().expect("nobody panics holding it");
        let mut next = start;
        loop {
            if let Some(found) = state.lines.iter().skip(next).find_map(|line| look(line)) {
                return Some(found);
            }
            next = state.lines.len().max(start);
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self
                .0
                .1
                .wait_timeout(state, left)
                .expect("nobody panics holding it")
                .0;
        }
    }
}
