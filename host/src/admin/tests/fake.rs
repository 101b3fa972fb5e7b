//! A proxy with two clusters that remembers what it was told.

use crate::admin::{NewEndpoint, Operations, Refusal, Service, Weight};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Cluster `api` has 127.0.0.1:9001 (id `one`) and the endpoint `db.internal:80` at [::1]:80; cluster `a/b` has none.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) is_draining: AtomicBool,
    told: Mutex<Vec<String>>,
}

impl Fake {
    /// What it was told since it was last asked, without who told it; that is checked here.
    pub(crate) fn told(&self) -> Vec<String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut told)
    }

    fn tell(&self, cluster: &str, endpoint: &str, what: String, by: &str) -> Result<(), Refusal> {
        assert!(by.starts_with("admin 127.0.0.1:"), "{by}");
        if cluster != "api" {
            return Err(Refusal::NoSuchCluster);
        }
        let known = ["127.0.0.1:9001", "one", "[::1]:80", "db.internal:80"];
        if !known.contains(&endpoint) {
            return Err(Refusal::NoSuchEndpoint);
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.push(format!("{endpoint} {what}"));
        Ok(())
    }
}

impl Operations for Fake {
    fn is_ready(&self) -> bool {
        !self.is_draining.load(Ordering::Relaxed)
    }

    fn clusters(&self) -> Value {
        json!([self.cluster("api"), self.cluster("a/b")])
    }

    fn cluster(&self, name: &str) -> Option<Value> {
        let endpoints = match name {
            "api" => json!([
                endpoint("127.0.0.1:9001", "127.0.0.1:9001", "one"),
                endpoint("db.internal:80", "[::1]:80", "db.internal:80")
            ]),
            "a/b" => json!([]),
            _ => return None,
        };
        Some(json!({ "cluster": name, "queue": 0, "panic": false, "endpoints": endpoints }))
    }

    fn affinity(&self, cluster: &str, limit: usize) -> Option<Value> {
        (cluster == "api").then(|| json!([{ "key": "k", "endpoint": "one", "limit": limit }]))
    }

    fn metrics(&self) -> (&'static str, String) {
        ("text/x-metrics", "a_metric 1\n".to_owned())
    }

    fn plugin_metrics(&self, plugin: &str) -> Option<Value> {
        (plugin == "rate-limit").then(|| json!([{ "name": "decisions" }]))
    }

    fn set_service(
        &self,
        cluster: &str,
        endpoint: &str,
        service: Service,
        by: &str,
    ) -> Result<(), Refusal> {
        self.tell(cluster, endpoint, format!("{service:?}"), by)
    }

    fn set_weight(
        &self,
        cluster: &str,
        endpoint: &str,
        weight: Weight,
        by: &str,
    ) -> Result<(), Refusal> {
        self.tell(cluster, endpoint, format!("{weight:?}"), by)
    }

    fn add(&self, cluster: &str, endpoint: NewEndpoint, by: &str) -> Result<(), Refusal> {
        match endpoint.address.port() {
            9001 => Err(Refusal::Exists),
            9666 => Err(Refusal::Invalid("that port is unlucky".to_owned())),
            _ => self.tell(cluster, "one", format!("{endpoint:?}"), by),
        }
    }

    fn remove(&self, cluster: &str, endpoint: &str, by: &str) -> Result<(), Refusal> {
        self.tell(cluster, endpoint, "removed".to_owned(), by)
    }
}

fn endpoint(endpoint: &str, address: &str, id: &str) -> Value {
    json!({
        "endpoint": endpoint, "address": address, "id": id, "state": "up", "reason": null, "eligible": true,
        "weight": 1, "written-weight": 1, "backup": false, "zone": null, "requests": 3, "requests-max": 100, "queue": 0,
        "connections": 4, "history": [],
    })
}
