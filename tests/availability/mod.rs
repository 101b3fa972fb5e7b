//! Endpoints that come and go, fail and heal, fill up and drain.

mod admin;
mod discovery;
mod drain;
mod faults;
mod hedge;
mod mirror;
mod retry;
