//! Endpoints that come and go, fail and heal, fill up and drain.

mod admin;
mod checks;
mod discovery;
mod drain;
mod eligibility;
mod faults;
mod health;
mod hedge;
mod mirror;
mod outlier;
mod patient;
mod probes;
mod retry;
