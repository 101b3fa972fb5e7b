//! The generated bindings of the worlds, one file each, and of the capabilities that no world imports by itself; `regenerate.sh` writes them.
//! Types and host interfaces that the worlds share are in `http_filter`, to which the others refer. Plugins use what the crate re-exports, not this.

pub mod balancer;
pub mod capabilities;
pub mod full_http_filter;
pub mod http_filter;
pub mod network_filter;
