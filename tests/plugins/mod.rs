//! Plugins through the real binary: what each bundled one does, how chains run, and what a bad one cannot do.

mod acl;
mod balancers;
mod body_rewrite;
mod chain;
mod connection_limit;
mod cors;
mod eligible;
mod files;
pub(crate) mod guests;
mod hashing;
mod headers;
mod hostile;
mod maintenance;
mod rate_limit;
mod redirect;
mod request_id;
mod rewrite;
mod security_headers;
mod settings;
mod store;

use crate::harness::h2::H2Client;
use crate::harness::{Origin, Proxy, config};
use std::path::Path;
use tempfile::TempDir;

/// A bundled plugin's component.
pub(crate) fn bundled(name: &str) -> Vec<u8> {
    tollgate::bundled::get(name)
        .expect("it is bundled")
        .to_vec()
}

/// A folder with these plugins in it.
pub(crate) fn folder(plugins: &[(&str, &Path)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary folder");
    for (name, file) in plugins {
        std::fs::copy(file, directory.path().join(name)).expect("it was built");
    }
    directory
}

/// A proxy that has these filters on everything, before an origin that shows what it got.
fn filtered(filters: &str) -> (Proxy, Origin) {
    let origin = Origin::echo();
    let text = config(
        "listener \"web\" \"127.0.0.1:0\" {\n    route { filters { FILTERS }; cluster \"c\" }\n}\ncluster \"c\" { endpoint \"ORIGIN\" }\n",
        &[("ORIGIN", &origin), ("FILTERS", &filters)],
    );
    (Proxy::start(&text), origin)
}

/// As [`filtered`], for clients that speak HTTP/2.
fn filtered_http2(filters: &str) -> (Proxy, Origin, H2Client) {
    let origin = Origin::echo();
    let text = config(
        "listener \"web\" \"127.0.0.1:0\" {\n    http2\n    route { filters { FILTERS }; cluster \"c\" }\n}\ncluster \"c\" { endpoint \"ORIGIN\" }\n",
        &[("ORIGIN", &origin), ("FILTERS", &filters)],
    );
    let proxy = Proxy::start(&text);
    let client = H2Client::connect(proxy.address("web"));
    (proxy, origin, client)
}
