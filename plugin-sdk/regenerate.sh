#!/bin/sh -eu
# Writes src/bindings/ anew from ../wit. Needed after a change of the WIT only; see README.md.
cd "$(dirname "$0")"
shared="crate::bindings::http_filter::tollgate::plugin"
generate() { # world, module, further arguments
    world=$1 module=$2
    shift 2
    wit-bindgen rust ../wit --world "$world" --format --pub-export-macro --export-macro-name "export_$module" \
        --default-bindings-module "tollgate_plugin_sdk::bindings::$module" \
        -d PartialEq -d Eq --runtime-path ::wit_bindgen::rt --out-dir src/bindings "$@"
}
generate http-filter http_filter
generate full-http-filter full_http_filter \
    --with "tollgate:plugin/types@0.1.0=$shared::types,tollgate:plugin/log@0.1.0=$shared::log,tollgate:plugin/clock@0.1.0=$shared::clock,tollgate:plugin/random@0.1.0=$shared::random,tollgate:plugin/exchange@0.1.0=$shared::exchange"
generate network-filter network_filter \
    --with "tollgate:plugin/types@0.1.0=$shared::types,tollgate:plugin/log@0.1.0=$shared::log,tollgate:plugin/clock@0.1.0=$shared::clock,tollgate:plugin/random@0.1.0=$shared::random,tollgate:plugin/exchange@0.1.0=$shared::exchange"
generate balancer balancer \
    --with "tollgate:plugin/types@0.1.0=$shared::types,tollgate:plugin/log@0.1.0=$shared::log,tollgate:plugin/clock@0.1.0=$shared::clock,tollgate:plugin/random@0.1.0=$shared::random"
# Macros that are exported have one namespace in a crate, and both worlds export `http`.
sed -i 's/__export_tollgate_plugin_http_0_1_0_cabi/__export_full_http_0_1_0_cabi/g' src/bindings/full_http_filter.rs
