//! What keeps a cluster available: limits and queues, the circuit breaker, affinity.

mod breaker;
mod limits;
mod scene;
