//! One endpoint of a list in a file, as JSON and KDL both write it.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::Found;

/// As for an endpoint in the configuration.
const WEIGHT_MAX: i128 = 256;
const REQUESTS_MAX: i128 = 10_000_000;
const TEXT_BYTES_MAX: usize = 256;

/// What is wrong with a text, and in which line, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) expected: String,
}

impl Fault {
    pub(super) fn new(line: usize, expected: impl Into<String>) -> Fault {
        let expected = expected.into();
        Fault { line, expected }
    }
}

/// `10.0.0.1:80` or `[::1]:80`. Names are not resolved: that is what the other sources are for.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Ok(address),
        Ok(_) => Err(format!("expected a port above 0, found `{text}`")),
        Err(_) => Err(format!(
            "expected an address like \"10.0.0.1:80\" or \"[::1]:80\", found `{text}`"
        )),
    }
}

pub(super) fn weight(number: i128) -> Result<u16, String> {
    in_range("weight", number, 0, WEIGHT_MAX)
}

pub(super) fn requests_max(number: i128) -> Result<u32, String> {
    in_range("requests-max", number, 1, REQUESTS_MAX)
}

fn in_range<N: TryFrom<i128>>(key: &str, number: i128, min: i128, max: i128) -> Result<N, String> {
    let wrong = || format!("expected `{key}` from {min} to {max}, found {number}");
    match (min..=max).contains(&number) {
        true => N::try_from(number).map_err(|_| wrong()),
        false => Err(wrong()),
    }
}

/// A zone or an id.
pub(super) fn text(key: &str, text: String) -> Result<String, String> {
    let fits = (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
    match fits {
        true => Ok(text),
        false => Err(format!(
            "expected `{key}` of 1 to {TEXT_BYTES_MAX} bytes without control characters"
        )),
    }
}

/// Addresses and ids seen in a list, where each may stand once.
#[derive(Default)]
pub(super) struct Seen {
    addresses: HashSet<SocketAddr>,
    ids: HashSet<String>,
}

impl Seen {
    /// Takes note of an endpoint, unless it is there already.
    pub(super) fn note(&mut self, found: &Found) -> Result<(), String> {
        if !self.addresses.insert(found.address) {
            let label = &found.label;
            return Err(format!("expected each address once, found `{label}` again"));
        }
        match &found.id {
            Some(id) if !self.ids.insert(id.clone()) => {
                Err(format!("expected each id once, found `{id}` again"))
            }
            _ => Ok(()),
        }
    }
}
