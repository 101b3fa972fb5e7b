//! HTTP/1.1 messages as bytes: strict parsing, an index of spans, edits, body framing and serialising.
//!
//! A head is the received bytes, an index of lines in them, and edits appended behind them ([`Fields`]); [`RequestHead`] and
//! [`ResponseHead`] add what the host decides from it once: path, host, framing, persistence. [`parse_request`] and [`parse_response`] fill
//! them, [`write_request`] and [`write_response`] send them on, [`ChunkedDecoder`] and [`encode_chunk_head`] handle chunked bodies. An
//! [`Exchange`] is one request with its response and the facts that plugins may read of it.
//!
//! What leaves [`parse_request`] has passed every check of framing and hop-by-hop rules, so no filter ever sees a header that the
//! downstream nominated for removal, and no other room frames a message.
//!
//! This room knows no sockets, no runtime, no clock, no routes and no Wasm. Everything in it works on slices and reuses its buffers: parsing
//! and serialising allocate nothing once the buffers have grown to the size of the traffic.

mod authority;
mod chunked;
mod exchange;
mod facts;
mod fields;
pub mod head;
mod hop;
mod lines;
mod request;
mod response;
mod syntax;
mod target;
mod write;

pub use chunked::{
    BadChunk, ChunkedDecoder, Decoded, LAST_CHUNK, encode_chunk_head, encode_last_chunk,
};
pub use exchange::{ConnectionFacts, Exchange, Field, Scheme};
pub use facts::{ClientCertificate, ProxyFacts, TlsFacts, is_host_tag};
pub use fields::{BadField, Fields, Lines};
pub use head::{BodyLength, RequestHead, ResponseHead, TargetForm, Version};
pub use lines::{EscapedSlashes, Limits, Parsed, Underscores};
pub use request::{BadRequest, parse_request};
pub use response::{BadResponse, parse_response};
pub use syntax::{is_editable, valid_name, valid_value};
pub use target::BadTarget;
pub use write::{downstream_body, write_request, write_response};

#[cfg(test)]
mod tests;
