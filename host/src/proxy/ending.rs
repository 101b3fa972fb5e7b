//! The end of a request: the filters that want to know of it, and the access line.

use super::connection::Connection;
use super::context::RequestContext;
use super::http::{Ended, Way};
use crate::observe::access;
use crate::snapshot::Route;
use std::time::Duration;

/// The filters that want to know how it ended, and the access line.
pub(super) fn finish(connection: &Connection, way: &Way, ctx: &mut RequestContext, ended: Ended) {
    if let Some(route) = &way.route
        && route.filters.wants_end()
    {
        tell_filters(connection, way, route, ctx, ended);
    }
    if !access::is_enabled() {
        return;
    }
    let exchange = ctx.exchange();
    let route = way.route.as_deref().map(|route| &**route);
    let filters = route
        .map(|route| filter_names(route, ctx))
        .unwrap_or_default();
    let bond = ctx.bond.as_ref();
    let mut timers = ctx.timers;
    timers.active = ctx.began.elapsed();
    access::HttpLine {
        client: exchange.client_address,
        listener: &connection.facts.listener,
        route: route.map(|route| &*route.name).unwrap_or_default(),
        cluster: way
            .target
            .as_ref()
            .map(|target| &*target.cluster().name)
            .unwrap_or_default(),
        endpoint: ctx
            .endpoint
            .as_ref()
            .map(|endpoint| &*endpoint.label)
            .unwrap_or_default(),
        affinity: bond
            .map(|bond| bond.binding.state.as_str())
            .unwrap_or_default(),
        affinity_issued: bond.map(|bond| bond.issued.as_str()).unwrap_or_default(),
        protocol: exchange.protocol(),
        tls: exchange.connection.tls.as_deref(),
        method: exchange.request.method(),
        host: exchange.request.host(),
        target: exchange.request.target(),
        status: ended.status,
        outcome: ended.outcome.token(),
        downstream_bytes: ctx.received_bytes(&connection.facts),
        upstream_bytes: ctx.sent_bytes(&connection.facts),
        attempts: ctx.attempts,
        timers,
        filters: &filters,
        generation: way.generation,
        connection: connection.facts.id,
    }
    .write();
}

/// Says how the exchange ended in tags that are the host's, and runs the filters' last phase.
#[cold]
fn tell_filters(
    connection: &Connection,
    way: &Way,
    route: &Route,
    ctx: &mut RequestContext,
    ended: Ended,
) {
    let nanoseconds = |duration: Duration| Some(duration.as_nanos().to_string());
    let number = |count: u64| Some(count.to_string());
    let (timers, facts) = (ctx.timers, &connection.facts);
    let cluster = way
        .target
        .as_ref()
        .map(|target| target.cluster().name.to_string());
    let endpoint = ctx
        .endpoint
        .as_ref()
        .map(|endpoint| endpoint.label.to_string());
    let tags = [
        ("exchange.outcome", Some(ended.outcome.token().to_owned())),
        (
            "exchange.status",
            number(ended.status.into()).filter(|_| ended.status != 0),
        ),
        ("exchange.duration", nanoseconds(ctx.began.elapsed())),
        ("exchange.queue", timers.queue.and_then(nanoseconds)),
        ("exchange.connect", timers.connect.and_then(nanoseconds)),
        (
            "exchange.response",
            timers.response_head.and_then(nanoseconds),
        ),
        ("exchange.received", number(ctx.received_bytes(facts))),
        ("exchange.sent", number(ctx.sent_bytes(facts))),
        ("exchange.attempts", number(ctx.attempts.into())),
        ("exchange.route", Some(route.name.to_string())),
        ("exchange.cluster", cluster),
        ("exchange.endpoint", endpoint),
    ];
    for (name, value) in tags {
        if let Some(value) = value {
            ctx.exchange_mut().set_tag(name, value.as_bytes());
        }
    }
    ctx.filter_end(&route.filters);
}

fn filter_names(route: &Route, ctx: &RequestContext) -> String {
    let mut names = String::new();
    for (name, faulted) in route.filters.acted(&ctx.run) {
        if !names.is_empty() {
            names.push(',');
        }
        names.push_str(name);
        if faulted {
            names.push_str(":fault");
        }
    }
    names
}
