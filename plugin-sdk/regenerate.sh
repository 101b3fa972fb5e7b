#!/bin/sh -eu
# Writes src/bindings/ anew from ../wit. Needed after a change of the WIT only; see README.md.
cd "$(dirname "$0")"
shared="crate::bindings::http_filter::tollgate::plugin"
# The capabilities that no world of the contract imports by itself: a world of the SDK's own, beside the contract's.
wit=$(mktemp -d)
trap 'rm -r "$wit"' EXIT
cp ../wit/*.wit "$wit"
cat > "$wit/sdk.wit" <<'WORLD'
package tollgate:plugin@0.1.0;
@since(version = 0.1.0)
world capabilities {
  import store;
  import metrics;
}
WORLD
generate() { # world, module, further arguments
    world=$1 module=$2
    shift 2
    wit-bindgen rust "$wit" --world "$world" --format --pub-export-macro --export-macro-name "export_$module" \
        --default-bindings-module "tollgate_plugin_sdk::bindings::$module" \
        -d PartialEq --runtime-path ::wit_bindgen::rt --out-dir src/bindings "$@"
}
generate http-filter http_filter -d Eq
generate full-http-filter full_http_filter -d Eq \
    --with "tollgate:plugin/types@0.1.0=$shared::types,tollgate:plugin/log@0.1.0=$shared::log,tollgate:plugin/clock@0.1.0=$shared::clock,tollgate:plugin/random@0.1.0=$shared::random,tollgate:plugin/exchange@0.1.0=$shared::exchange"
generate network-filter network_filter -d Eq \
    --with "tollgate:plugin/types@0.1.0=$shared::types,tollgate:plugin/log@0.1.0=$shared::log,tollgate:plugin/clock@0.1.0=$shared::clock,tollgate:plugin/random@0.1.0=$shared::random,tollgate:plugin/exchange@0.1.0=$shared::exchange"
generate balancer balancer -d Eq \
    --with "tollgate:plugin/types@0.1.0=$shared::types,tollgate:plugin/log@0.1.0=$shared::log,tollgate:plugin/clock@0.1.0=$shared::clock,tollgate:plugin/random@0.1.0=$shared::random"
generate capabilities capabilities --with "tollgate:plugin/types@0.1.0=$shared::types"
# Macros that are exported have one namespace in a crate, and both worlds export `http`.
sed -i 's/__export_tollgate_plugin_http_0_1_0_cabi/__export_full_http_0_1_0_cabi/g' src/bindings/full_http_filter.rs
