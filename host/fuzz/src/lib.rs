//! The message room of the host, compiled for the fuzz targets.

#[path = "../../src/http/mod.rs"]
pub mod http;
