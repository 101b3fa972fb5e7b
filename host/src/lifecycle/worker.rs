//! One event loop: its listening sockets, its connections, its pools and warm plugin instances, and the commands that change them.

use crate::listener::{Acceptor, accept_loop};
use crate::net::socket::Listening;
use crate::net::timer;
use crate::plugin;
use crate::proxy::Connections;
use crate::snapshot::{Bound, Snapshot, SocketKey};
use crate::upstream::pool;
use std::collections::HashMap;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

/// How often a worker looks for idle upstream connections to close.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What the control thread asks of a worker.
pub(super) enum Command {
    /// Puts a generation in force.
    Apply {
        snapshot: Arc<Snapshot>,
        /// Sockets that are new in this generation.
        sockets: Vec<(SocketKey, Listening)>,
        done: oneshot::Sender<()>,
    },
    /// Accepts nothing more and answers when the last connection has ended.
    Drain { done: oneshot::Sender<()> },
}

/// The control thread's end of a worker.
pub(super) struct Worker {
    commands: mpsc::UnboundedSender<Command>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts a worker thread.
    pub(super) fn start(index: usize) -> io::Result<Worker> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // Unbounded, since the control thread sends one command at a time and waits for its answer.
        let (commands, inbox) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                LocalSet::new().block_on(&runtime, serve(inbox));
            })?;
        Ok(Worker { commands, thread })
    }

    /// Puts a generation in force; the answer comes when every later request runs under it.
    pub(super) fn apply(
        &self,
        snapshot: Arc<Snapshot>,
        sockets: Vec<(SocketKey, Listening)>,
    ) -> oneshot::Receiver<()> {
        let (done, answer) = oneshot::channel();
        // A worker ends only after its `Worker` is dropped, so the command arrives.
        let _ = self.commands.send(Command::Apply {
            snapshot,
            sockets,
            done,
        });
        answer
    }

    /// Begins to drain; the answer comes when the last connection has ended.
    pub(super) fn drain(&self) -> oneshot::Receiver<()> {
        let (done, answer) = oneshot::channel();
        let _ = self.commands.send(Command::Drain { done });
        answer
    }

    /// Ends the worker with whatever it still has.
    pub(super) fn stop(self) {
        drop(self.commands);
        let _ = self.thread.join();
    }
}

/// Runs until the control thread drops its end.
async fn serve(mut inbox: mpsc::UnboundedReceiver<Command>) {
    tokio::task::spawn_local(timer::drive());
    tokio::task::spawn_local(sweep());
    let mut state = State::default();
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Apply {
                snapshot,
                sockets,
                done,
            } => {
                state.apply(&snapshot, sockets);
                let _ = done.send(());
            }
            Command::Drain { done } => {
                let (accepting, connections) = state.drain();
                tokio::task::spawn_local(async move {
                    // What waits in a closing socket is taken before anybody counts.
                    for task in accepting {
                        let _ = task.await;
                    }
                    for connections in connections {
                        connections.emptied().await;
                    }
                    let _ = done.send(());
                });
            }
        }
    }
}

async fn sweep() {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        pool::sweep();
        // Another worker, or a response that streams, may have held the last plugin of an old generation until now.
        plugin::retire_worker_instances();
    }
}

/// Bounds how long the connections of a listener that is gone may last.
async fn close_after(connections: Rc<Connections>, drain_timeout: Duration) {
    if tokio::time::timeout(drain_timeout, connections.emptied())
        .await
        .is_err()
    {
        connections.close_all();
    }
}

#[derive(Default)]
struct State {
    listeners: HashMap<Arc<str>, Rc<Connections>>,
    acceptors: HashMap<SocketKey, (Acceptor, tokio::task::JoinHandle<()>)>,
    /// Listeners that are gone from the configuration and still have connections.
    retired: Vec<Weak<Connections>>,
}

impl State {
    fn apply(&mut self, snapshot: &Arc<Snapshot>, sockets: Vec<(SocketKey, Listening)>) {
        let mut sockets: HashMap<_, _> = sockets.into_iter().collect();
        let mut wanted = HashMap::new();
        for listener in &snapshot.listeners {
            let bound = Rc::new(Bound::new(snapshot.clone(), listener.clone()));
            let connections = self.connections_of(&listener.name, bound);
            for key in listener.socket_keys() {
                wanted.insert(key, connections.clone());
            }
        }
        self.retire_listeners(snapshot);
        for (key, connections) in wanted {
            match self.acceptors.get(&key) {
                Some((acceptor, _)) => acceptor.hand_to(connections),
                None => {
                    if let Some(socket) = sockets.remove(&key) {
                        self.open(key, socket, connections);
                    }
                }
            }
        }
        plugin::retire_worker_instances();
    }

    fn connections_of(&mut self, name: &Arc<str>, bound: Rc<Bound>) -> Rc<Connections> {
        match self.listeners.get(name) {
            Some(connections) => {
                connections.replace(bound);
                connections.clone()
            }
            None => {
                let connections = Connections::new(bound);
                self.listeners.insert(name.clone(), connections.clone());
                connections
            }
        }
    }

    fn open(&mut self, key: SocketKey, socket: Listening, connections: Rc<Connections>) {
        match socket.register() {
            Ok(socket) => {
                let acceptor = Acceptor::new(connections);
                let accepting = tokio::task::spawn_local(accept_loop(socket, acceptor.clone()));
                self.acceptors.insert(key, (acceptor, accepting));
            }
            Err(error) => {
                tracing::error!(address = %key.0, %error, "a listening socket could not be registered")
            }
        }
    }

    fn retire_listeners(&mut self, snapshot: &Snapshot) {
        let keys: std::collections::HashSet<_> = snapshot
            .listeners
            .iter()
            .flat_map(|listener| listener.socket_keys())
            .collect();
        self.acceptors.retain(|key, (acceptor, _)| {
            let kept = keys.contains(key);
            if !kept {
                acceptor.close();
            }
            kept
        });
        let names: std::collections::HashSet<_> = snapshot
            .listeners
            .iter()
            .map(|listener| listener.name.clone())
            .collect();
        self.retired
            .retain(|connections| connections.strong_count() > 0);
        for (_, connections) in self.listeners.extract_if(|name, _| !names.contains(name)) {
            connections.drain();
            self.retired.push(Rc::downgrade(&connections));
            tokio::task::spawn_local(close_after(connections, snapshot.drain_timeout));
        }
    }

    /// Accepts nothing more; answers with the tasks that still take what waits, and with all that may have connections.
    fn drain(&mut self) -> (Vec<tokio::task::JoinHandle<()>>, Vec<Rc<Connections>>) {
        let closing = std::mem::take(&mut self.acceptors).into_values();
        let accepting = closing.map(|(acceptor, task)| {
            acceptor.close();
            task
        });
        let accepting = accepting.collect();
        for connections in self.listeners.values() {
            connections.drain();
        }
        let retired = self.retired.iter().filter_map(Weak::upgrade);
        (
            accepting,
            self.listeners.values().cloned().chain(retired).collect(),
        )
    }
}
