//! What keeps a cluster available: limits and queues, the circuit breaker, affinity.

mod affinity;
mod affinity_table;
mod breaker;
mod limits;
mod queue;
mod scene;
mod tcp_queue;
