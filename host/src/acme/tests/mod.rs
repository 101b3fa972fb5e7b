//! The room against an authority that really looks.

#[path = "../../../../tests/harness/acme.rs"]
mod authority;
mod client;
mod failure;
mod first;
mod fixture;
mod renewal;
mod schedule;
mod storage;
