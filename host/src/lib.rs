//! Tollgate: a reverse proxy and load balancer for TCP and HTTP whose every policy is a WebAssembly component.
//!
//! ```text
//!  SLOW PATH  start and every reload; may fail             HOT PATH  per connection, per request
//!
//!  config.kdl                                               downstream
//!      | parse, validate; places kept                           | accept, PROXY header, network filters, TLS
//!      v                                                        v
//!  config::Config                                           listener::accept_loop
//!      | compile: load plugins, resolve names                   |
//!      v                                                        v
//!  snapshot::Snapshot ------ one per worker command ----->  proxy::http::serve_connection     <- read this first
//!   immutable, numbered        one load per request             |
//!    |- route::RouteTable  - - - - - - - - - - - - - - - ->   1 read the head, match the route
//!    |- filter::FilterChain -> plugin::HttpFilter (Wasm) ->   2 request phases, first filter to last
//!    |- affinity::Affinity - - - - - - - - - - - - - - - ->   3 the endpoint it is bound to, else a pick;
//!    |- upstream::Cluster -> balance::Picker (Wasm)  - - ->     waits where that is full
//!    |    '-> live state: who may be picked, load, - - - ->   4 attempt: reuse or connect, send, perhaps again
//!    |        queue, pools (survives)                         5 response phases, last filter to first
//!    '- limits, timeouts, names                               6 outcome -> access line
//!
//!  BESIDE IT  on the control thread, for the generation in force: decides who may be picked
//!
//!   health::Prober         asks each endpoint        ->  up, down
//!   discovery              asks DNS, reads lists     ->  endpoints come and go
//!   lifecycle's ticker     looks at the clock        ->  slow start, ends of ejections and drains
//!   acme                   asks an authority         ->  certificates, shown by `tls`
//!   admin::serve           asked by an operator      ->  drain, ready, maintain, weight, add, remove
//! ```
//!
//! 1. [`lifecycle`] reads the configuration ([`config`]), compiles it ([`snapshot`]) and hands it to the workers: start-up is a reload from
//!    nothing. Each worker is one event loop with its own listening sockets, upstream pools and warm plugin instances.
//! 2. [`listener`] accepts, reads a PROXY header ([`proxy_protocol`]) where one is due, asks the network filters, shakes hands ([`tls`]), and starts
//!    the spine of the protocol: [`proxy::http`] or [`proxy::tcp`]. Each stream of [`http2`] comes to the same spine as bytes of HTTP/1.1.
//! 3. The spine loads the snapshot once for each request. [`http`] parses strictly and knows the framing; [`route`] finds the route;
//!    [`filter`] runs the chain through [`plugin`], whose components may share a [`store`]; [`affinity`] tells what the request is bound to; [`balance`] asks the balancer plugin for an
//!    endpoint of an [`upstream`] cluster.
//! 4. The response passes back through the filters, last first, perhaps through [`compress`], and every way to end is one [`proxy::Outcome`].
//! 5. Meanwhile [`acme`] keeps certificates, [`health`] checks the endpoints, [`discovery`] finds them, and [`admin`] shows and changes them at
//!    run time; [`lifecycle`] starts and stops all four. They meet requests in the live state of [`upstream`] alone; certificates in [`tls`].
//!
//! Besides, `trial` runs plugins on cases in files, through [`filter`] and [`plugin`], without a proxy.
//!
//! Dependencies point downwards in steps 1 to 4; `net` and [`observe`] are used by all.

pub mod acme;
pub mod admin;
pub mod affinity;
pub mod balance;
pub mod bundled;
pub mod cli;
pub mod compress;
pub mod config;
mod demo;
pub mod discovery;
pub mod filter;
pub mod health;
pub mod http;
pub mod http2;
pub mod lifecycle;
pub mod listener;
pub mod net;
pub mod observe;
pub mod plugin;
pub mod proxy;
pub mod proxy_protocol;
pub mod route;
pub mod scaffold;
pub mod snapshot;
pub mod store;
pub mod tls;
pub(crate) mod trial;
pub mod upstream;
