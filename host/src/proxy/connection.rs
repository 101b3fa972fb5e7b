//! One downstream connection, and the register of those that a worker has on a listener.

use crate::http::ConnectionFacts;
use crate::net::buffer::Buffer;
use crate::net::copy::Moved;
use crate::net::prefixed::Prefixed;
use crate::net::stream::Stream;
use crate::net::timer::Timer;
use crate::snapshot::Bound;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// How long a connection that is being closed is read on, so that the peer gets the answer before a reset.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// How many bytes are thrown away meanwhile.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// A downstream connection, or one stream of it where it carries several at once.
#[derive(Debug)]
pub struct Connection {
    pub stream: Stream,
    pub facts: Arc<ConnectionFacts>,
    pub register: Rc<Registration>,
}

impl Connection {
    pub fn new(
        stream: Stream,
        facts: Arc<ConnectionFacts>,
        register: Rc<Registration>,
    ) -> Connection {
        Connection {
            stream,
            facts,
            register,
        }
    }

    /// The one timer of whatever this connection waits for now.
    pub fn timer(&self) -> &Timer {
        self.register.timer()
    }

    /// The configuration that the next unit of work runs under. One load per request.
    pub fn current(&self) -> Rc<Bound> {
        self.register.current()
    }

    /// Whether no further request may begin on it.
    pub fn is_draining(&self) -> bool {
        self.register.is_draining()
    }

    /// Counts bytes received from the downstream.
    pub fn count_received(&self, count: usize) {
        self.facts.count_received(count as u64);
    }

    /// Counts what a relay has moved.
    pub fn count_relayed(&self, moved: &Moved) {
        self.facts.count_received(moved.from_downstream.get());
        self.facts.count_sent(moved.from_upstream.get());
    }

    /// Counts bytes sent to the downstream.
    pub fn count_sent(&self, count: usize) {
        self.facts.count_sent(count as u64);
    }

    /// Lets the connection go on from `bytes`, which were read off it already.
    pub fn unread(self, bytes: Vec<u8>) -> Connection {
        Connection {
            stream: Prefixed::new(bytes, self.stream),
            ..self
        }
    }

    /// Closes so that the peer can read the answer: closing a socket that has unread bytes resets it, which may destroy what the peer has
    /// not read yet.
    pub async fn linger(mut self) {
        self.timer().set(LINGER_TIMEOUT);
        let timer = self.register.timer();
        let stream = &mut self.stream;
        let drained = async {
            stream.shutdown().await?;
            let mut thrown_away = 0;
            let mut buffer = Buffer::take();
            while thrown_away < LINGER_BYTES_MAX {
                buffer.clear();
                match stream.receive(&mut buffer).await? {
                    0 => break,
                    count => thrown_away += count,
                }
            }
            std::io::Result::Ok(())
        };
        // However it ends, the connection is closed.
        let _ = timer.within(drained).await;
    }
}

/// A worker's side of a listener: what is in force, and the connections it has.
#[derive(Debug)]
pub struct Connections {
    current: RefCell<Rc<Bound>>,
    /// Bounded by the listener's `connections-max`, and the streams that each of these may have.
    registrations: RefCell<Slab<Weak<Registration>>>,
    draining: Cell<bool>,
    emptied: Notify,
}

/// A connection's place in the register, with what a drain needs of it; leaves when dropped.
pub struct Registration {
    connections: Rc<Connections>,
    key: usize,
    timer: Timer,
    /// It waits, and looks whether it is to be drained when its timer is let expire.
    idle: Cell<bool>,
    task: Cell<Option<AbortHandle>>,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Registration")
            .field("key", &self.key)
            .field("timer", &self.timer)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

impl Connections {
    pub fn new(current: Rc<Bound>) -> Rc<Connections> {
        Rc::new(Connections {
            current: RefCell::new(current),
            registrations: RefCell::default(),
            draining: Cell::new(false),
            emptied: Notify::new(),
        })
    }

    /// What is in force now.
    pub fn current(&self) -> Rc<Bound> {
        self.current.borrow().clone()
    }

    /// Puts a new generation in force for every later unit of work.
    pub fn replace(&self, bound: Rc<Bound>) {
        self.current.replace(bound);
    }

    /// Registers a new connection.
    pub fn register(self: &Rc<Self>) -> Rc<Registration> {
        let mut registrations = self.registrations.borrow_mut();
        let place = registrations.vacant_entry();
        let registration = Rc::new(Registration {
            connections: self.clone(),
            key: place.key(),
            timer: Timer::new(),
            idle: Cell::new(false),
            task: Cell::new(None),
        });
        place.insert(Rc::downgrade(&registration));
        registration
    }

    /// Closes idle connections now and the others after the exchange they are in.
    pub fn drain(&self) {
        self.draining.set(true);
        for registration in self.all() {
            if registration.idle.get() {
                registration.timer.expire_now();
            }
        }
    }

    /// Ends every connection at once, whatever it does.
    pub fn close_all(&self) {
        for registration in self.all() {
            if let Some(task) = registration.task.take() {
                task.abort();
            }
        }
    }

    fn all(&self) -> Vec<Rc<Registration>> {
        let registrations = self.registrations.borrow();
        let all = registrations.iter();
        all.filter_map(|(_, registration)| registration.upgrade())
            .collect()
    }

    /// Connections open now.
    pub fn count(&self) -> usize {
        self.registrations.borrow().len()
    }

    /// Until no connection is left.
    pub async fn emptied(&self) {
        while self.count() > 0 {
            self.emptied.notified().await;
        }
    }
}

impl Registration {
    /// The connection's timer.
    pub fn timer(&self) -> &Timer {
        &self.timer
    }

    /// A place for one more, in the same register.
    pub fn beside(&self) -> Rc<Registration> {
        self.connections.register()
    }

    /// The configuration in force now.
    pub fn current(&self) -> Rc<Bound> {
        self.connections.current()
    }

    /// Whether the connection is to be closed after what it does now.
    pub fn is_draining(&self) -> bool {
        self.connections.draining.get()
    }

    /// Lets [`Connections::close_all`] end the connection's task.
    pub fn set_task(&self, task: AbortHandle) {
        self.task.set(Some(task));
    }

    /// Says whether the connection is between requests.
    pub fn set_idle(&self, idle: bool) {
        self.idle.set(idle);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut registrations = self.connections.registrations.borrow_mut();
        registrations.remove(self.key);
        if registrations.is_empty() {
            self.connections.emptied.notify_waiters();
            self.connections.emptied.notify_one();
        }
    }
}
