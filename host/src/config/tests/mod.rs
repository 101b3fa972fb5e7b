//! The room as a whole: files in, configuration or diagnostics out.

mod availability;
mod availability_keys;
mod cases;
mod every_key;
mod fake;
mod load;
mod protocol_keys;
mod protocols;
mod reference;
mod settings;
mod snapshots;
mod tls;
