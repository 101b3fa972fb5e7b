//! HTTP/2, presented to the spine as byte streams that carry HTTP/1.1.
//!
//! One stream of a connection is a [`Transport`](crate::net::transport::Transport): downstream, reading gives the request as HTTP/1.1 text and the
//! response written to it leaves as frames ([`server`]); upstream the reverse ([`client`]). So there is one spine, one strict parser and one set
//! of limits for all protocols. `head` and `message` translate heads and bodies, both ways; `guard` watches what a peer sends for floods, `wire` sends in one piece what
//! belongs together.
//!
//! Framing, HPACK, flow control and the states of streams are the `h2` crate's. This room knows no routes, no plugins and no configuration.

pub mod client;
mod guard;
mod head;
mod message;
pub mod server;
mod wire;

#[cfg(test)]
mod tests {
    mod client;
    mod server;
}
