//! The admin API of a running proxy, as a script that operates it sees it.

use super::{Client, PATIENCE, Proxy, Response};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Between two looks at something that is waited for: the proxy has better things to do than to answer.
const PACE: Duration = Duration::from_millis(5);

/// An admin listener. Each request has a connection of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admin {
    address: SocketAddr,
}

impl Admin {
    /// The first one that the proxy opened; the log is in JSON.
    pub(crate) fn of(proxy: &Proxy) -> Admin {
        Admin::opened_after(proxy, 0)
    }

    /// The first one that the proxy opened after `mark`, see [`Proxy::log_mark`].
    pub(crate) fn opened_after(proxy: &Proxy, mark: usize) -> Admin {
        let line = proxy.log_line_after(mark, "admin API is listening");
        let line: Value = serde_json::from_str(&line).expect("the log is JSON");
        let address = line["address"].as_str().map(str::parse);
        let address = address.and_then(Result::ok).expect("it says where");
        Admin { address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// One request. A body that is not empty is sent as JSON.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Response {
        let mut client = Client::connect(self.address);
        let content = match body.len() {
            0 => String::new(),
            length => {
                format!("Content-Type: application/json\r\nContent-Length: {length}\r\n")
            }
        };
        client.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{content}\r\n{body}",
            self.address
        ));
        client.response()
    }

    /// Asks for what must succeed; the answer, null if there is none.
    pub(crate) fn told(&self, method: &str, path: &str, body: &str) -> Value {
        let response = self.ask(method, path, body);
        let text = response.text();
        let is_done = (200..300).contains(&response.status);
        assert!(is_done, "{method} {path}: {} {text}", response.status);
        match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).expect("the answer is JSON"),
        }
    }

    /// What `POST …/{verb}` of an endpoint answers, which must succeed.
    pub(crate) fn order(&self, cluster: &str, endpoint: &dyn ToString, verb: &str) -> Value {
        let path = format!("{}/{verb}", endpoint_path(cluster, endpoint));
        self.told("POST", &path, "")
    }

    /// What there is to say of an endpoint.
    pub(crate) fn endpoint(&self, cluster: &str, endpoint: &dyn ToString) -> Value {
        self.told("GET", &endpoint_path(cluster, endpoint), "")
    }

    /// The endpoints of a cluster as they are written, in their order.
    pub(crate) fn endpoints(&self, cluster: &str) -> Vec<String> {
        let cluster = self.told("GET", &format!("/api/v1/clusters/{cluster}"), "");
        let endpoints = cluster["endpoints"].as_array().expect("a list");
        let names = endpoints
            .iter()
            .map(|endpoint| endpoint["endpoint"].as_str());
        names.flatten().map(str::to_owned).collect()
    }

    /// Until the cluster has just these endpoints, in any order.
    pub(crate) fn wait_for_endpoints(&self, cluster: &str, wanted: &[&dyn ToString]) {
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let wanted = sorted(wanted.iter().map(|name| name.to_string()).collect());
        wait(|| match sorted(self.endpoints(cluster)) {
            found if found == wanted => Ok(()),
            found => Err(format!("{found:?} instead of {wanted:?}")),
        });
    }

    /// Until an endpoint's report is so.
    pub(crate) fn wait_for_endpoint(
        &self,
        cluster: &str,
        endpoint: &dyn ToString,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        wait(|| {
            let report = self.endpoint(cluster, endpoint);
            if is_so(&report) {
                Ok(report)
            } else {
                Err(report.to_string())
            }
        })
    }

    /// The status of `/ready`.
    pub(crate) fn ready(&self) -> u16 {
        self.ask("GET", "/ready", "").status
    }
}

/// Where an endpoint is in the API.
pub(crate) fn endpoint_path(cluster: &str, endpoint: &dyn ToString) -> String {
    let endpoint = endpoint.to_string().replace('[', "%5B").replace(']', "%5D");
    format!("/api/v1/clusters/{cluster}/endpoints/{endpoint}")
}

/// Looks until there is something; what stood there last if patience ends before.
pub(crate) fn wait<T>(look: impl Fn() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(last) => assert!(Instant::now() < deadline, "waited in vain: {last}"),
        }
        std::thread::sleep(PACE);
    }
}
