//! What the admin listener answers: a value, or a problem in words.

use super::Refusal;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// A request that was done.
#[derive(Debug)]
pub(super) enum Answer {
    Json(Value),
    /// With the path at which it now is.
    Created(String, Value),
    /// There is nothing to show of it any more.
    Done,
    Text(StatusCode, &'static str),
    /// With its media type.
    Typed(&'static str, String),
}

impl Answer {
    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        match self {
            Answer::Json(value) => json_response(StatusCode::OK, &value),
            Answer::Created(path, value) => {
                let mut response = json_response(StatusCode::CREATED, &value);
                // The path is percent-encoded; were it not, the answer would do without.
                if let Ok(path) = HeaderValue::from_str(&path) {
                    response.headers_mut().insert(LOCATION, path);
                }
                response
            }
            Answer::Done => response(StatusCode::NO_CONTENT, None, Bytes::new()),
            Answer::Text(status, text) => response(
                status,
                Some("text/plain; charset=utf-8"),
                Bytes::from_static(text.as_bytes()),
            ),
            Answer::Typed(media_type, text) => {
                response(StatusCode::OK, Some(media_type), Bytes::from(text))
            }
        }
    }
}

/// A request that was not done: `{"error": …, "help": …}`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) error: String,
    pub(super) help: Option<&'static str>,
    /// The methods that there are instead.
    pub(super) allow: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Problem {
        Problem {
            status,
            error: error.into(),
            help: None,
            allow: None,
        }
    }

    pub(super) fn help(self, help: &'static str) -> Problem {
        Problem {
            help: Some(help),
            ..self
        }
    }

    pub(super) fn malformed(error: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, error)
    }

    pub(super) fn forbidden(error: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, error)
    }

    pub(super) fn invalid(error: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error)
    }

    pub(super) fn no_such_cluster(cluster: &str) -> Problem {
        let error = format!("there is no cluster `{cluster}`");
        Problem::new(StatusCode::NOT_FOUND, error).help("GET /api/v1/clusters lists them")
    }

    pub(super) fn no_such_plugin(plugin: &str) -> Problem {
        let error = format!("no plugin `{plugin}` is in use");
        Problem::new(StatusCode::NOT_FOUND, error).help("a plugin is named as in the configuration")
    }

    pub(super) fn no_such_endpoint(cluster: &str, endpoint: &str) -> Problem {
        let error = format!("cluster `{cluster}` has no endpoint `{endpoint}`");
        Problem::new(StatusCode::NOT_FOUND, error)
            .help("an endpoint is named as it is written, by its address, or by its id")
    }

    pub(super) fn refused(refusal: Refusal, cluster: &str, endpoint: &str) -> Problem {
        match refusal {
            Refusal::NoSuchCluster => Problem::no_such_cluster(cluster),
            Refusal::NoSuchEndpoint => Problem::no_such_endpoint(cluster, endpoint),
            Refusal::Exists => Problem::new(
                StatusCode::CONFLICT,
                format!("cluster `{cluster}` has the endpoint `{endpoint}` already"),
            ),
            Refusal::Invalid(why) => Problem::invalid(why),
        }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let value = match self.help {
            Some(help) => json!({ "error": self.error, "help": help }),
            None => json!({ "error": self.error }),
        };
        let mut response = json_response(self.status, &value);
        if let Some(allow) = self.allow {
            let allow = HeaderValue::from_static(allow);
            response.headers_mut().insert(ALLOW, allow);
        }
        response
    }
}

fn json_response(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let text = format!("{value}\n");
    response(status, Some("application/json"), Bytes::from(text))
}

fn response(
    status: StatusCode,
    content_type: Option<&'static str>,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
