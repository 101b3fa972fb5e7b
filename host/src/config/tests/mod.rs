//! The room as a whole: files in, configuration or diagnostics out.

mod every_key;
mod fake;
mod load;
mod settings;
mod snapshots;
