//! Write Tollgate plugins in Rust.
//!
//! A plugin is a settings type, one trait, and one macro:
//!
//! ```
//! use tollgate_plugin_sdk::prelude::*;
//!
//! #[derive(Settings)]
//! struct Maintenance {
//!     /// What visitors are told.
//!     #[setting(default = "back soon")]
//!     message: String,
//! }
//!
//! impl HttpFilter for Maintenance {
//!     type Settings = Self;
//!
//!     fn new(settings: Self) -> Result<Self, Errors> {
//!         Ok(settings)
//!     }
//!
//!     // The host calls the filter only where this holds, with these fields at hand.
//!     fn plan(&self) -> Plan {
//!         Plan::nothing().on_request([Field::Path]).guard(path_prefix("/shop/"))
//!     }
//!
//!     fn request(&self, request: &Request) -> Verdict {
//!         match request.path().starts_with("/shop/") {
//!             true => Reply::new(503).text(&self.message).into(),
//!             false => Verdict::next(),
//!         }
//!     }
//! }
//!
//! http_filter!(Maintenance);
//! ```
//!
//! - Traits: [`HttpFilter`], [`NetworkFilter`], [`Balancer`]; registered by [`http_filter!`], [`network_filter!`], [`balancer!`].
//! - Bodies and the end of exchanges: [`FullHttpFilter`], registered by [`full_http_filter!`].
//! - Settings: [`Settings`] and its derive; the schema goes into the component, where the host reads it without running anything.
//! - What the host offers: [`log`], [`clock`], [`random`], and reads of the current exchange through [`Request`] and [`Response`].
//! - [`metrics`]: the plugin's own counters, gauges and histograms. [`store`]: keys, values, counters and rates that all workers share, for
//!   plugins that were granted a store. A component imports what it uses and nothing else.
//! - [`loads`] and [`measures`], for balancers: how many requests each endpoint serves; how fast and how well it has answered lately. The host
//!   measures only where a balancer reads it.
//! - [`hashing`], for balancers that send equal requests to the same endpoint: the settings of a key, a number for an endpoint that is the same in
//!   every process, and the walk past endpoints that cannot take the request.
//! - [`testing`]: a fake host, so that all of it runs in native unit tests.
//!
//! A panic is written to the host's log before the instance is lost.

// The derived code names this crate from outside; so must the crate itself.
extern crate self as tollgate_plugin_sdk;

mod balancer;
#[allow(warnings, clippy::all, unsafe_code)]
#[rustfmt::skip]
mod bindings;
pub mod cidr;
pub mod clock;
#[cfg(feature = "conditions")]
pub mod conditions;
mod edits;
mod facts;
mod full;
mod guard;
pub mod hashing;
mod host;
mod http;
pub mod json;
pub mod loads;
pub mod log;
mod manifest;
pub mod measures;
pub mod metrics;
mod network;
pub mod query;
pub mod random;
pub mod schema;
pub mod settings;
pub mod store;
mod template;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod verdict;

pub use balancer::{Balancer, BalancerPlan, Endpoint, Pick};
pub use bindings::http_filter::tollgate::plugin::types::{Field, Part};
pub use edits::{Edits, is_editable, is_header_name, is_header_value};
pub use facts::Facts;
pub use full::{Bodies, BodyVerdict, FullHttpFilter, Handling, Part as BodyPart};
pub use guard::{Guard, header, header_equals, host, method, not, path, path_prefix, source};
pub use http::{ConstantEdits, HttpFilter, Plan, Request, Response};
pub use manifest::Manifest;
pub use network::{Accepted, Connection, NetworkFilter, NetworkPlan};
pub use settings::Settings;
pub use template::{Template, TemplatePhase};
pub use tollgate_plugin_sdk_derive::Settings;
pub use verdict::{Reply, Verdict};

/// The README's example is compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What a plugin usually needs.
pub mod prelude {
    pub use crate::settings::Errors;
    pub use crate::{
        Accepted, Balancer, BalancerPlan, Bodies, BodyPart, BodyVerdict, Connection, ConstantEdits,
        Edits, Endpoint, Field, FullHttpFilter, Guard, Handling, HttpFilter, NetworkFilter,
        NetworkPlan, Pick, Plan, Reply, Request, Response, Settings, Verdict, balancer,
        full_http_filter, header, header_equals, host, http_filter, method, network_filter, not,
        path, path_prefix, source,
    };
}

/// What the register macros expand to. Nothing for authors.
#[doc(hidden)]
pub mod __private {
    pub use crate::balancer::BalancerPlugin;
    pub use crate::bindings::{balancer, full_http_filter, http_filter, network_filter};
    pub use crate::full::FullHttpPlugin;
    pub use crate::http::HttpPlugin;
    pub use crate::network::NetworkPlugin;
}

/// Registers an [`HttpFilter`] as the plugin of this crate.
#[macro_export]
macro_rules! http_filter {
    ($filter:ty) => {
        $crate::__manifest!("http-filter", <$filter as $crate::HttpFilter>::Settings);

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Plugin = $crate::__private::HttpPlugin<$filter>;
            $crate::__private::http_filter::export_http_filter!(Plugin with_types_in $crate::__private::http_filter);
        };
    };
}

/// Registers a [`FullHttpFilter`] as the plugin of this crate.
#[macro_export]
macro_rules! full_http_filter {
    ($filter:ty) => {
        $crate::__manifest!("http-filter", <$filter as $crate::HttpFilter>::Settings);

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Plugin = $crate::__private::FullHttpPlugin<$filter>;
            $crate::__private::full_http_filter::export_full_http_filter!(Plugin with_types_in $crate::__private::full_http_filter);
        };
    };
}

/// Registers a [`NetworkFilter`] as the plugin of this crate.
#[macro_export]
macro_rules! network_filter {
    ($filter:ty) => {
        $crate::__manifest!("network-filter", <$filter as $crate::NetworkFilter>::Settings);

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Plugin = $crate::__private::NetworkPlugin<$filter>;
            $crate::__private::network_filter::export_network_filter!(Plugin with_types_in $crate::__private::network_filter);
        };
    };
}

/// Registers a [`Balancer`] as the plugin of this crate.
#[macro_export]
macro_rules! balancer {
    ($balancer:ty) => {
        $crate::__manifest!("balancer", <$balancer as $crate::Balancer>::Settings);

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Plugin = $crate::__private::BalancerPlugin<$balancer>;
            $crate::__private::balancer::export_balancer!(Plugin with_types_in $crate::__private::balancer);
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __manifest {
    ($kind:literal, $settings:ty) => {
        /// What this plugin tells about itself.
        pub const MANIFEST: $crate::Manifest = $crate::Manifest {
            package: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            kind: $kind,
            settings: <$settings as $crate::Settings>::SCHEMA,
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(link_section = "tollgate:manifest")]
            static BYTES: [u8; MANIFEST.length()] = MANIFEST.bytes();
        };
    };
}
