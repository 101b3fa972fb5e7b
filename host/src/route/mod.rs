//! Request head to route: pure. No I/O, no time.
//!
//! Patterns and templates are parsed by `config`; here they are matched and filled.

mod pattern;
mod table;
mod template;

pub use pattern::{Captures, host_matches, path_matches};
pub use table::{RouteRequest, RouteTable, matched_path, sni_matches};
pub use template::{TemplateFacts, render};
