//! Does what a request asks for.

use super::answer::{Answer, Problem};
use super::change::{Change, parse_drain, parse_endpoint, parse_nothing};
use super::operations::{Operations, Refusal, Service};
use super::resource::{Named, Resource, Verb, endpoint_path};
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use serde_json::Value;

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 10_000;

/// A request that was read and may be looked at.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) resource: Resource,
    /// Without its question mark.
    pub(super) query: String,
    pub(super) body: Bytes,
}

/// # Errors
/// 405 for a method that the resource does not have, 400 and 422 for what is not understood, and what [`Refusal`] becomes.
pub(super) fn perform(ask: &Ask, operations: &dyn Operations, by: &str) -> Result<Answer, Problem> {
    let limit = parse_query(ask)?;
    // hyper leaves the body out for HEAD.
    let method = match ask.method {
        Method::HEAD => &Method::GET,
        ref method => method,
    };
    let body = &ask.body;
    match (method, &ask.resource) {
        (&Method::GET, Resource::Ready) => Ok(ready(operations)),
        (&Method::GET, Resource::Live) => Ok(Answer::Text(StatusCode::OK, "live\n")),
        (&Method::GET, Resource::Metrics) => {
            let (media_type, text) = operations.metrics();
            Ok(Answer::Typed(media_type, text))
        }
        (&Method::GET, Resource::PluginMetrics(plugin)) => {
            let found = operations.plugin_metrics(plugin);
            let found = found.ok_or_else(|| Problem::no_such_plugin(plugin));
            found.map(Answer::Json)
        }
        (&Method::GET, Resource::Clusters) => Ok(Answer::Json(operations.clusters())),
        (&Method::GET, Resource::Cluster(cluster)) => {
            find_cluster(operations, cluster).map(Answer::Json)
        }
        (&Method::GET, Resource::Affinity(cluster)) => {
            let found = operations.affinity(cluster, limit);
            let found = found.ok_or_else(|| Problem::no_such_cluster(cluster));
            found.map(Answer::Json)
        }
        (&Method::GET, Resource::Endpoints(cluster)) => {
            let mut found = find_cluster(operations, cluster)?;
            Ok(Answer::Json(found["endpoints"].take()))
        }
        (&Method::POST, Resource::Endpoints(cluster)) => add(operations, cluster, body, by),
        (&Method::GET, Resource::Endpoint(named)) => {
            find_endpoint(operations, named).map(Answer::Json)
        }
        (&Method::PATCH, Resource::Endpoint(named)) => {
            change(operations, named, &Change::parse(body)?, by)
        }
        (&Method::DELETE, Resource::Endpoint(named)) => remove(operations, named, body, by),
        (&Method::POST, Resource::Verb(named, verb)) => {
            let change = Change {
                service: Some(parse_verb(*verb, body)?),
                weight: None,
            };
            self::change(operations, named, &change, by)
        }
        _ => Err(no_such_method(ask)),
    }
}

fn no_such_method(ask: &Ask) -> Problem {
    let error = format!("{} is not for this path", ask.method);
    Problem {
        allow: Some(ask.resource.allow()),
        ..Problem::new(StatusCode::METHOD_NOT_ALLOWED, error)
    }
}

/// `limit` is the only thing to ask for, and only the affinity table has it.
fn parse_query(ask: &Ask) -> Result<usize, Problem> {
    match (ask.query.as_str(), &ask.resource) {
        ("", _) => Ok(LIMIT_DEFAULT),
        (query, Resource::Affinity(_)) => query
            .strip_prefix("limit=")
            .and_then(|limit| limit.parse().ok())
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| {
                let error =
                    format!("the query here is `limit=` and a number from 1 to {LIMIT_MAX}");
                Problem::malformed(error)
            }),
        _ => Err(Problem::malformed("this path takes no query")),
    }
}

fn parse_verb(verb: Verb, body: &[u8]) -> Result<Service, Problem> {
    match verb {
        Verb::Drain => parse_drain(body),
        Verb::Ready => parse_nothing(body).map(|()| Service::Ready),
        Verb::Maintain => parse_nothing(body).map(|()| Service::Maintain),
    }
}

fn ready(operations: &dyn Operations) -> Answer {
    match operations.is_ready() {
        true => Answer::Text(StatusCode::OK, "ready\n"),
        false => Answer::Text(StatusCode::SERVICE_UNAVAILABLE, "draining or starting\n"),
    }
}

fn find_cluster(operations: &dyn Operations, cluster: &str) -> Result<Value, Problem> {
    let found = operations.cluster(cluster);
    found.ok_or_else(|| Problem::no_such_cluster(cluster))
}

fn find_endpoint(operations: &dyn Operations, named: &Named) -> Result<Value, Problem> {
    let mut cluster = find_cluster(operations, &named.cluster)?;
    let endpoints = cluster["endpoints"].as_array_mut();
    let mut endpoints = endpoints.into_iter().flatten();
    let is = |endpoint: &&mut Value| {
        let names = ["endpoint", "address", "id"].map(|name| endpoint[name].as_str());
        names.contains(&Some(named.endpoint.as_str()))
    };
    let found = endpoints.find(is).map(Value::take);
    found.ok_or_else(|| Problem::no_such_endpoint(&named.cluster, &named.endpoint))
}

fn add(
    operations: &dyn Operations,
    cluster: &str,
    body: &[u8],
    by: &str,
) -> Result<Answer, Problem> {
    let endpoint = parse_endpoint(body)?;
    let named = Named {
        cluster: cluster.to_owned(),
        endpoint: endpoint.address.to_string(),
    };
    let added = operations.add(cluster, endpoint, by);
    added.map_err(|refusal| refused(refusal, &named))?;
    let path = endpoint_path(&named.cluster, &named.endpoint);
    let report = find_endpoint(operations, &named).unwrap_or_default();
    Ok(Answer::Created(path, report))
}

/// The weight first, so that an endpoint that comes back has it from its first request.
fn change(
    operations: &dyn Operations,
    named: &Named,
    change: &Change,
    by: &str,
) -> Result<Answer, Problem> {
    let (cluster, endpoint) = (named.cluster.as_str(), named.endpoint.as_str());
    if let Some(weight) = change.weight {
        let set = operations.set_weight(cluster, endpoint, weight, by);
        set.map_err(|refusal| refused(refusal, named))?;
    }
    if let Some(service) = change.service {
        let set = operations.set_service(cluster, endpoint, service, by);
        set.map_err(|refusal| refused(refusal, named))?;
    }
    // A reload can have taken it away since; it was changed all the same.
    Ok(find_endpoint(operations, named).map_or(Answer::Done, Answer::Json))
}

fn remove(
    operations: &dyn Operations,
    named: &Named,
    body: &[u8],
    by: &str,
) -> Result<Answer, Problem> {
    parse_nothing(body)?;
    let removed = operations.remove(&named.cluster, &named.endpoint, by);
    removed.map_err(|refusal| refused(refusal, named))?;
    Ok(Answer::Done)
}

fn refused(refusal: Refusal, named: &Named) -> Problem {
    Problem::refused(refusal, &named.cluster, &named.endpoint)
}
