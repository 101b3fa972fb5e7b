//! A made-up exchange, and how fields are read from it.

use std::net::{IpAddr, Ipv4Addr};

use crate::Field;

/// One HTTP exchange as a filter meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// As sent.
    pub method: String,
    /// Normalised, without query.
    pub path: String,
    /// Without its `?`.
    pub query: Option<String>,
    /// Lower case, without port.
    pub host: String,
    /// Of the client.
    pub client_address: IpAddr,
    /// Headers of the request.
    pub request: Headers,
    /// Once there is one; decides which phase it is.
    pub response: Option<Response>,
    /// Set by filters.
    pub tags: Vec<(String, Vec<u8>)>,
    /// Set by a filter: with what priority the request would wait in queues.
    pub priority: Option<i16>,
}

/// The response of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 100 to 599.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
}

impl Exchange {
    /// What stands for the unique id of every made-up exchange.
    pub const UNIQUE_ID: &str = "0123456789abcdef0123456789abcdef";

    /// A `GET` of this target from 192.0.2.1 for the host `example.com`.
    #[must_use]
    pub fn get(target: &str) -> Self {
        let mut exchange = Exchange {
            method: "GET".to_owned(),
            path: String::new(),
            query: None,
            host: "example.com".to_owned(),
            client_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            request: Headers::default(),
            response: None,
            tags: Vec::new(),
            priority: None,
        };
        exchange.set_target(target);
        exchange
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// For another host.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// From another address.
    ///
    /// # Panics
    /// When the text is no address.
    #[must_use]
    pub fn from(mut self, address: &str) -> Self {
        self.client_address = address.parse().expect("an IP address");
        self
    }

    /// With one more request header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request.append(name, value.as_bytes());
        self
    }

    /// Answered with this status and these headers.
    #[must_use]
    pub fn response(mut self, status: u16, headers: &[(&str, &str)]) -> Self {
        let mut lines = Headers::default();
        headers
            .iter()
            .for_each(|(name, value)| lines.append(name, value.as_bytes()));
        self.response = Some(Response {
            status,
            headers: lines,
        });
        self
    }

    /// Path and query as they would be sent.
    #[must_use]
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// Whether both have equal messages and wait with the same priority; tags may differ.
    #[must_use]
    pub fn same_messages(&self, other: &Exchange) -> bool {
        (self.target(), &self.request, &self.response, self.priority)
            == (
                other.target(),
                &other.request,
                &other.response,
                other.priority,
            )
    }

    pub(crate) fn set_target(&mut self, target: &str) {
        let (path, query) = target
            .split_once('?')
            .map_or((target, None), |(path, query)| (path, Some(query)));
        path.clone_into(&mut self.path);
        self.query = query.map(str::to_owned);
    }

    pub(crate) fn current_headers(&self) -> &Headers {
        self.response
            .as_ref()
            .map_or(&self.request, |response| &response.headers)
    }

    pub(crate) fn read(&self, field: &Field) -> Option<Vec<u8>> {
        let text = match field {
            Field::Method => self.method.clone(),
            Field::Path => self.path.clone(),
            Field::Query => self.query.clone()?,
            Field::Scheme => "http".to_owned(),
            Field::Host => self.host.clone(),
            Field::Protocol => "HTTP/1.1".to_owned(),
            Field::ClientAddress => self.client_address.to_string(),
            Field::ClientPort => "50000".to_owned(),
            Field::LocalAddress => "127.0.0.1".to_owned(),
            Field::LocalPort => "8080".to_owned(),
            Field::Listener => "web".to_owned(),
            Field::ConnectionId => "7".to_owned(),
            Field::ExchangeId => "42".to_owned(),
            Field::Status => self.response.as_ref()?.status.to_string(),
            Field::Header(name) => return self.current_headers().joined(name),
            Field::RequestHeader(name) => return self.request.joined(name),
            Field::Tag(name) => {
                return self
                    .tags
                    .iter()
                    .find(|(tag, _)| tag == name)
                    .map(|(_, value)| value.clone());
            }
            Field::ConnectionDuration | Field::DownstreamBytes | Field::UpstreamBytes => {
                "0".to_owned()
            }
        };
        Some(text.into_bytes())
    }

    pub(crate) fn flat(&self, fields: &[Field]) -> Vec<u8> {
        let mut flat = Vec::new();
        for field in fields {
            match self.read(field) {
                None => flat.extend_from_slice(&u32::MAX.to_le_bytes()),
                Some(value) => {
                    flat.extend_from_slice(&(value.len() as u32).to_le_bytes());
                    flat.extend_from_slice(&value);
                }
            }
        }
        flat
    }
}

/// Header lines, names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// The lines of a name, joined; empty when there are none.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.joined(name).unwrap_or_default()).into_owned()
    }

    /// Whether there is a line of that name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The value of every line of that name.
    #[must_use]
    pub fn lines(&self, name: &str) -> Vec<Vec<u8>> {
        self.0
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// The name of every line.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn joined(&self, name: &str) -> Option<Vec<u8>> {
        let lines = self.lines(name);
        match name {
            "set-cookie" => lines.into_iter().next(),
            _ if lines.is_empty() => None,
            "cookie" => Some(lines.join(&b"; "[..])),
            _ => Some(lines.join(&b", "[..])),
        }
    }

    /// The place of the first line is kept.
    pub(crate) fn set(&mut self, name: &str, value: &[u8]) {
        let place = self
            .0
            .iter()
            .position(|(known, _)| known == name)
            .unwrap_or(self.0.len());
        self.remove(name);
        self.0
            .insert(place.min(self.0.len()), (name.to_owned(), value.to_vec()));
    }

    pub(crate) fn set_if_absent(&mut self, name: &str, value: &[u8]) {
        if !self.contains(name) {
            self.append(name, value);
        }
    }

    pub(crate) fn append(&mut self, name: &str, value: &[u8]) {
        self.0.push((name.to_ascii_lowercase(), value.to_vec()));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }
}
