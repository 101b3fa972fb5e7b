//! The bodies of requests: what is to change. A member that is not known is refused.

use super::answer::Problem;
use super::{NewEndpoint, Service, Weight};
use crate::config::{parse_duration, parse_id};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::net::SocketAddr;
use std::time::Duration;

const REQUESTS_MAX_MAX: u32 = 10_000_000;
const ZONE_LEN_MAX: usize = 128;

/// Of an endpoint that is there; at least one of both.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) service: Option<Service>,
    pub(super) weight: Option<Weight>,
}

impl Change {
    /// `{"state": "ready|drain|maintain", "drain-timeout": "10m", "weight": 5 | "50%"}`.
    pub(super) fn parse(body: &[u8]) -> Result<Change, Problem> {
        let written: WrittenChange = parse(body)?;
        let service = written.service()?;
        if service.is_none() && written.weight.is_none() {
            return Err(Problem::invalid("nothing is to change")
                .help("at least one of `state` and `weight` is needed"));
        }
        Ok(Change {
            service,
            weight: written.weight,
        })
    }
}

/// What a `drain` without further body members means: `{"drain-timeout": "10m"}`, or nothing.
pub(super) fn parse_drain(body: &[u8]) -> Result<Service, Problem> {
    let written: WrittenDrain = parse_or_default(body)?;
    Ok(Service::Drain {
        timeout: written.drain_timeout.map(|timeout| timeout.0),
    })
}

/// No body, or an object without members.
pub(super) fn parse_nothing(body: &[u8]) -> Result<(), Problem> {
    parse_or_default::<WrittenNothing>(body).map(|_| ())
}

/// `{"address": "127.0.0.1:9001", "weight": 1, "requests-max": 100, "backup": false, "zone": "a", "id": "b"}`; all but `address` may be left out.
pub(super) fn parse_endpoint(body: &[u8]) -> Result<NewEndpoint, Problem> {
    let written: WrittenEndpoint = parse(body)?;
    let weight = match written.weight {
        None => 1,
        Some(Weight::Absolute(weight)) => weight,
        Some(Weight::Percent(_)) => {
            return Err(Problem::invalid(
                "`weight` of a new endpoint is a number from 0 to 256: there is no written weight to take a share of",
            ));
        }
    };
    let requests_max = written.requests_max;
    if requests_max.is_some_and(|max| !(1..=REQUESTS_MAX_MAX).contains(&max)) {
        let error = format!("`requests-max` is a number from 1 to {REQUESTS_MAX_MAX}");
        return Err(Problem::invalid(error));
    }
    Ok(NewEndpoint {
        address: written.address.0,
        weight,
        requests_max,
        backup: written.backup,
        zone: written.zone.map(|zone| zone.0),
        id: written.id.map(|id| id.0),
    })
}

/// Parses the address of an endpoint that is to be added.
///
/// # Errors
/// A sentence that says which form is expected.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let address: Option<SocketAddr> = text.parse().ok();
    let address = address.ok_or_else(|| {
        format!(
            "`{text}` is no address with a port, such as 192.0.2.1:80 or [2001:db8::1]:80; names are only looked up for the configuration's `endpoint` and `discover`"
        )
    })?;
    match address.port() {
        0 => Err("an endpoint needs a port above 0".to_owned()),
        _ => Ok(address),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenChange {
    state: Option<WrittenState>,
    drain_timeout: Option<Timeout>,
    weight: Option<Weight>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum WrittenState {
    Ready,
    Drain,
    Maintain,
}

impl WrittenChange {
    fn service(&self) -> Result<Option<Service>, Problem> {
        let timeout = self.drain_timeout.as_ref().map(|timeout| timeout.0);
        match (self.state, timeout) {
            (Some(WrittenState::Drain), timeout) => Ok(Some(Service::Drain { timeout })),
            (_, Some(_)) => Err(Problem::invalid(
                "`drain-timeout` belongs to the state \"drain\"",
            )),
            (Some(WrittenState::Ready), None) => Ok(Some(Service::Ready)),
            (Some(WrittenState::Maintain), None) => Ok(Some(Service::Maintain)),
            (None, None) => Ok(None),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenDrain {
    drain_timeout: Option<Timeout>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenNothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenEndpoint {
    address: Address,
    weight: Option<Weight>,
    requests_max: Option<u32>,
    #[serde(default)]
    backup: bool,
    zone: Option<Zone>,
    id: Option<Id>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Timeout(Duration);

impl TryFrom<String> for Timeout {
    type Error = String;

    fn try_from(text: String) -> Result<Timeout, String> {
        parse_duration(&text).map(Timeout)
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Address(SocketAddr);

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Address, String> {
        parse_address(&text).map(Address)
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Zone(String);

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(text: String) -> Result<Zone, String> {
        let printable = |c: char| !c.is_control() && !c.is_whitespace();
        match (1..=ZONE_LEN_MAX).contains(&text.len()) && text.chars().all(printable) {
            true => Ok(Zone(text)),
            false => Err(format!(
                "a zone has 1 to {ZONE_LEN_MAX} bytes and no white space"
            )),
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Id(String);

impl TryFrom<String> for Id {
    type Error = String;

    fn try_from(text: String) -> Result<Id, String> {
        parse_id(&text).map(Id)
    }
}

fn parse_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Problem> {
    match body {
        [] => Ok(T::default()),
        _ => parse(body),
    }
}

/// 400 for what is not JSON, 422 for JSON that says something else.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => Problem::invalid(format!("the body is not understood: {error}")),
        Category::Io | Category::Syntax | Category::Eof => {
            Problem::malformed(format!("the body is no JSON: {error}"))
        }
    })
}

#[cfg(test)]
mod tests;
