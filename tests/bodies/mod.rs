//! Bodies through filters, and the end of exchanges, through the real binary: parts, wholes, codings, and filters that misbehave.

mod end;
mod hostile;
mod parts;
mod wholes;

use crate::harness::{Origin, Proxy, config};
use crate::plugins::{folder, guests};

/// A proxy whose filters are the guest `bodies` in these modes, in this order, before an origin.
fn filtering(filters: &str, origin: &Origin) -> Proxy {
    let text = config(
        r#"
        plugin "bodies" "bodies.wasm" { time-max "50ms"; instances-max 8 }
        listener "web" "127.0.0.1:0" {
            route path="/plain" { cluster "c" }
            route { filters { FILTERS }; cluster "c" }
        }
        cluster "c" { endpoint "ORIGIN" }
        "#,
        &[("FILTERS", &filters), ("ORIGIN", origin)],
    );
    Proxy::start_in(folder(&[("bodies.wasm", &guests::bodies())]), &text).expect("it starts")
}

/// The node of a filter in this mode.
fn mode(mode: &str) -> String {
    format!("bodies {{ mode \"{mode}\" }}")
}
