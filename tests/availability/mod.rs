//! Endpoints that come and go, fail and heal, fill up and drain.

mod admin;
mod affinity;
mod affinity_table;
mod breaker;
mod checks;
mod discovery;
mod drain;
mod eligibility;
mod faults;
mod health;
mod hedge;
mod limits;
mod mirror;
mod outlier;
mod patient;
mod probes;
mod queue;
mod replay;
mod retry;
mod scene;
mod tcp_queue;
