//! HTTP/1.1 through the proxy.

mod aborts;
mod access_log;
mod balancing;
mod bodies;
mod concurrency;
mod forwarded;
mod fragments;
mod framing;
mod hop_headers;
mod interim;
mod keep_alive;
mod limits;
mod local_replies;
mod paths;
mod poisoning;
mod retries;
mod routes;
mod streaming;
mod unsent;
mod upgrade;
mod upstream_errors;
mod upstream_limits;
mod versions;
