//! What a path names, and what may be done with it; pure.

use super::answer::Problem;
use hyper::StatusCode;
use std::fmt::Write;

/// Everything that the listener has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    Ready,
    Live,
    /// Those of all plugins, for Prometheus.
    Metrics,
    PluginMetrics(String),
    Clusters,
    Cluster(String),
    Affinity(String),
    Endpoints(String),
    Endpoint(Named),
    /// A change of service without a body.
    Verb(Named, Verb),
}

/// An endpoint as a path names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) cluster: String,
    pub(super) endpoint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Ready,
    Drain,
    Maintain,
}

impl Resource {
    /// What `path` names.
    ///
    /// # Errors
    /// 400 for a path that cannot be decoded, 404 for one that names nothing.
    pub(super) fn find(path: &str) -> Result<Resource, Problem> {
        let segments: Option<Vec<String>> = path.split('/').skip(1).map(decode_segment).collect();
        let segments = segments.ok_or_else(|| {
            Problem::malformed("the path has a `%` that no two hexadecimal digits of UTF-8 follow")
        })?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Resource::of(&segments).ok_or_else(|| {
            Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path")
                .help("there are /ready, /live, /metrics, /api/v1/clusters and /api/v1/plugins/NAME/metrics")
        })
    }

    fn of(segments: &[&str]) -> Option<Resource> {
        if segments.iter().any(|segment| segment.is_empty()) {
            return None;
        }
        match *segments {
            ["ready"] => Some(Resource::Ready),
            ["live"] => Some(Resource::Live),
            ["metrics"] => Some(Resource::Metrics),
            ["api", "v1", "plugins", plugin, "metrics"] => {
                Some(Resource::PluginMetrics(plugin.to_owned()))
            }
            ["api", "v1", "clusters", ref rest @ ..] => Resource::of_clusters(rest),
            _ => None,
        }
    }

    fn of_clusters(segments: &[&str]) -> Option<Resource> {
        let named = |cluster: &str, endpoint: &str| Named {
            cluster: cluster.to_owned(),
            endpoint: endpoint.to_owned(),
        };
        match *segments {
            [] => Some(Resource::Clusters),
            [cluster] => Some(Resource::Cluster(cluster.to_owned())),
            [cluster, "affinity"] => Some(Resource::Affinity(cluster.to_owned())),
            [cluster, "endpoints"] => Some(Resource::Endpoints(cluster.to_owned())),
            [cluster, "endpoints", endpoint] => Some(Resource::Endpoint(named(cluster, endpoint))),
            [cluster, "endpoints", endpoint, verb] => {
                let verb = match verb {
                    "ready" => Verb::Ready,
                    "drain" => Verb::Drain,
                    "maintain" => Verb::Maintain,
                    _ => return None,
                };
                Some(Resource::Verb(named(cluster, endpoint), verb))
            }
            _ => None,
        }
    }

    /// The methods it has, as `Allow` lists them.
    pub(super) fn allow(&self) -> &'static str {
        match self {
            Resource::Ready | Resource::Live => "GET, HEAD",
            Resource::Metrics | Resource::PluginMetrics(_) => "GET, HEAD",
            Resource::Clusters | Resource::Cluster(_) | Resource::Affinity(_) => "GET, HEAD",
            Resource::Endpoints(_) => "GET, HEAD, POST",
            Resource::Endpoint(_) => "GET, HEAD, PATCH, DELETE",
            Resource::Verb(..) => "POST",
        }
    }
}

/// Where an endpoint is.
pub(super) fn endpoint_path(cluster: &str, endpoint: &str) -> String {
    format!(
        "/api/v1/clusters/{}/endpoints/{}",
        encode_segment(cluster),
        encode_segment(endpoint)
    )
}

/// `text` as one segment of a path: all but the unreserved characters of RFC 3986 section 2.3 percent-encoded.
pub fn encode_segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                segment.push(char::from(byte));
            }
            _ => write!(segment, "%{byte:02X}").expect("a string takes all that is written to it"),
        }
    }
    segment
}

/// None where an escape is not `%` and two hexadecimal digits, or the bytes are not UTF-8.
fn decode_segment(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>()?;
        bytes.push(hexadecimal(digits[0])? << 4 | hexadecimal(digits[1])?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn hexadecimal(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(endpoint: &str) -> Named {
        Named {
            cluster: "api".to_owned(),
            endpoint: endpoint.to_owned(),
        }
    }

    #[test]
    fn a_path_names_one_thing() {
        let api = || "api".to_owned();
        for (path, expected) in [
            ("/ready", Resource::Ready),
            ("/live", Resource::Live),
            ("/api/v1/clusters", Resource::Clusters),
            ("/metrics", Resource::Metrics),
            (
                "/api/v1/plugins/rate-limit/metrics",
                Resource::PluginMetrics("rate-limit".to_owned()),
            ),
            ("/api/v1/clusters/api", Resource::Cluster(api())),
            (
                "/api/v1/clusters/a%2Fb",
                Resource::Cluster("a/b".to_owned()),
            ),
            ("/api/v1/clusters/api/affinity", Resource::Affinity(api())),
            ("/api/v1/clusters/api/endpoints", Resource::Endpoints(api())),
            (
                "/api/v1/clusters/api/endpoints/%5B::1%5d:80",
                Resource::Endpoint(named("[::1]:80")),
            ),
            (
                "/api/v1/clusters/api/endpoints/a+b",
                Resource::Endpoint(named("a+b")),
            ),
            (
                "/api/v1/clusters/api/endpoints/x/drain",
                Resource::Verb(named("x"), Verb::Drain),
            ),
            (
                "/api/v1/clusters/api/endpoints/x/ready",
                Resource::Verb(named("x"), Verb::Ready),
            ),
            (
                "/api/v1/clusters/api/endpoints/x/maintain",
                Resource::Verb(named("x"), Verb::Maintain),
            ),
        ] {
            assert_eq!(Resource::find(path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn other_paths_name_nothing() {
        for (path, status) in [
            ("/", 404),
            ("", 404),
            ("*", 404),
            ("/ready/", 404),
            ("//ready", 404),
            ("/READY", 404),
            ("/api/v1", 404),
            ("/api/v2/clusters", 404),
            ("/api/v1/clusters/", 404),
            ("/api/v1/plugins/rate-limit", 404),
            ("/api/v1/plugins//metrics", 404),
            ("/api/v1/clusters/api/other", 404),
            ("/api/v1/clusters/api/endpoints/", 404),
            ("/api/v1/clusters/api/endpoints/x/stop", 404),
            ("/api/v1/clusters/api/endpoints/x/drain/y", 404),
            ("/api/v1/clusters/%", 400),
            ("/api/v1/clusters/%4", 400),
            ("/api/v1/clusters/%+1", 400),
            ("/api/v1/clusters/%zz", 400),
            ("/api/v1/clusters/%ff", 400),
        ] {
            let status = StatusCode::from_u16(status).expect("it is a status");
            let found = Resource::find(path).map_err(|problem| problem.status);
            assert_eq!(found, Err(status), "{path}");
        }
    }

    #[test]
    fn segments_are_read_as_they_were_meant() {
        for text in ["a", "[::1]:80", "a/b?c#d", "50%", "ä ö", "..", "~-_."] {
            let segment = encode_segment(text);
            let good = |b: u8| b.is_ascii_alphanumeric() || b"%-._~".contains(&b);
            assert!(segment.bytes().all(good), "{segment}");
            assert_eq!(decode_segment(&segment).as_deref(), Some(text));
        }
    }
}
