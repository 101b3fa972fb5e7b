//! A cluster's `queue` and `circuit-breaker`.

use super::decode::Decoder;
use super::listener::{COUNT_MAX, TIMEOUT_RANGE};
use super::syntax::Node;
use super::{CircuitBreaker, Queue};

impl Decoder<'_> {
    pub(super) fn queue(&mut self, cluster: &Node) -> Queue {
        let default = Queue::default();
        let Some(node) = cluster.child("queue") else {
            return default;
        };
        let requests_max = node.property("requests-max");
        let endpoint_requests_max = node.property("endpoint-requests-max");
        Queue {
            requests_max: self.integer(requests_max, 0..=COUNT_MAX, default.requests_max),
            endpoint_requests_max: self.optional_integer(endpoint_requests_max, 0..=COUNT_MAX),
            timeout: self.optional_duration(node.property("timeout"), TIMEOUT_RANGE),
        }
    }

    pub(super) fn circuit_breaker(&mut self, cluster: &Node) -> CircuitBreaker {
        let Some(node) = cluster.child("circuit-breaker") else {
            return CircuitBreaker::default();
        };
        if node.properties.is_empty() {
            let message = "`circuit-breaker` without a limit has no effect";
            self.error_help(node.place(), message, "circuit-breaker requests-max=1024");
        }
        CircuitBreaker {
            requests_max: self.count(node.property("requests-max")),
            connections_max: self.count(node.property("connections-max")),
            pending_max: self.count(node.property("pending-max")),
            endpoint_requests_max: self.count(node.property("endpoint-requests-max")),
            endpoint_connections_max: self.count(node.property("endpoint-connections-max")),
        }
    }
}
