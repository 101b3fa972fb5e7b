//! Sources looked at for real: a name server on the loopback, files in a directory of their own.

mod files;
mod name_server;
mod names;
mod services;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{DiscoveryTask, Found, spawn};
use crate::config::{Discovery, DiscoverySource, Place, Spanned};

/// For what is certain to come; ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(30);

fn found(address: &str) -> Found {
    Found::at(address.parse().expect("an address"))
}

fn all_found(addresses: &[&str]) -> Vec<Found> {
    addresses.iter().map(|address| found(address)).collect()
}

fn discovery(source: DiscoverySource, nameservers: &[SocketAddr]) -> Discovery {
    Discovery {
        source: Spanned {
            value: source,
            place: Place::default(),
        },
        refresh: None,
        nameservers: nameservers.to_vec(),
        requests_max: None,
    }
}

/// A task and what it publishes.
struct Published {
    _task: DiscoveryTask,
    lists: UnboundedReceiver<Vec<Found>>,
}

impl Published {
    fn by(source: Discovery, initial: Option<Vec<Found>>) -> Published {
        let (tx, lists) = unbounded_channel();
        let publish = move |list| {
            // Nobody listens any more once the test is over.
            let _ = tx.send(list);
        };
        Published {
            _task: spawn(source, Arc::from("api"), initial, publish),
            lists,
        }
    }

    async fn next(&mut self) -> Vec<Found> {
        let next = tokio::time::timeout(PATIENCE, self.lists.recv()).await;
        next.expect("published in time")
            .expect("the task is running")
    }

    fn assert_nothing_more(&mut self) {
        assert_eq!(self.lists.try_recv().ok(), None);
    }
}
