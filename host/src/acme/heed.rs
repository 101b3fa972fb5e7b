//! Between `instant-acme` and the network: takes note of what the library does not pass on (how long the authority wants us to wait, errors
//! that are not ACME's), and keeps from it what it would panic over.

use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode, Uri};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient, Problem};

use super::error::told;
use super::schedule::ASKED_MAX;

/// An [`HttpClient`] that remembers. Cheap to clone; all clones remember the same.
#[derive(Clone)]
pub(super) struct Heed {
    inner: Arc<dyn HttpClient>,
    asked: Arc<Mutex<Option<Duration>>>,
}

impl Heed {
    pub(super) fn new(inner: Arc<dyn HttpClient>) -> Heed {
        Heed {
            inner,
            asked: Arc::default(),
        }
    }

    /// The `Retry-After` of the last answer, a day at most.
    pub(super) fn asked(&self) -> Option<Duration> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, asked: Option<Duration>) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = asked;
    }
}

impl HttpClient for Heed {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let heed = self.clone();
        Box::pin(async move {
            // What an earlier answer asked for is no longer so when there is none now.
            heed.note(None);
            let signed = request.method() == Method::POST;
            let mut response = heed.inner.request(request).await?;
            heed.note(bound_wait(&mut response.parts.headers));
            let refused =
                response.parts.status.is_client_error() || response.parts.status.is_server_error();
            // Of a signed request the library wants to see the problem document itself: `badNonce` is one.
            match refused && !(signed && is_problem(&response.parts.headers)) {
                true => Err(refusal(response).await),
                false if signed => Ok(response),
                false => sound(response).await,
            }
        })
    }
}

/// The library adds the seconds to the clock, which panics where there are too many.
fn bound_wait(headers: &mut HeaderMap) -> Option<Duration> {
    let asked = retry_after(headers, SystemTime::now()).map(|asked| asked.min(ASKED_MAX));
    match asked {
        Some(asked) => headers.insert(RETRY_AFTER, HeaderValue::from(asked.as_secs())),
        None => headers.remove(RETRY_AFTER),
    };
    asked
}

/// The library expects the address in a directory to be one.
async fn sound(mut response: BytesResponse) -> Result<BytesResponse, Error> {
    let body = response.body.into_bytes().await.map_err(Error::Other)?;
    if let Ok(directory) = serde_json::from_slice::<serde_json::Value>(&body) {
        let address = directory["newNonce"].as_str();
        if address.is_some_and(|address| address.parse::<Uri>().is_err()) {
            return Err(Error::Str("an address for nonces in the directory"));
        }
    }
    response.body = Box::new(body);
    Ok(response)
}

async fn refusal(mut response: BytesResponse) -> Error {
    let status = response.parts.status;
    let body = response.body.into_bytes().await.unwrap_or_default();
    let problem = is_problem(&response.parts.headers)
        .then(|| serde_json::from_slice::<Problem>(&body).ok())
        .flatten();
    Error::Other(said(status, problem.as_ref()).into())
}

fn said(status: StatusCode, problem: Option<&Problem>) -> String {
    match problem {
        Some(problem) => told(problem),
        None => format!("the authority answers {status}"),
    }
}

fn is_problem(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| {
        kind.starts_with("application/problem+json") || kind.starts_with("application/json")
    })
}

/// RFC 9110 §10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = u64::from_str(value) {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood() {
        let now = httpdate::parse_http_date("Fri, 01 Jan 2027 00:00:00 GMT").expect("a date");
        let cases = [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Fri, 01 Jan 2027 00:10:00 GMT", Some(600)),
            ("Thu, 31 Dec 2026 00:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().expect("a header value"));
            let seconds = retry_after(&headers, now).map(|wait| wait.as_secs());
            assert_eq!(seconds, expected, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
