//! A cluster's `health-check`, and `on-down`.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};

use super::address::is_host_name;
use super::decode::{Decoder, words};
use super::listener::TIMEOUT_RANGE;
use super::route::FRAMING_HEADERS;
use super::route_match::{parse_header_name, parse_header_value, parse_method};
use super::statuses::parse_statuses;
use super::syntax::{Item, Node};
use super::{
    Endpoint, EndpointAddress, HealthCheck, HttpProbe, InitialHealth, OnDown, Percent, Probe,
    TlsProbe,
};

const INTERVAL_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(24 * 3600);
const INTERVAL_DEFAULT: Duration = Duration::from_secs(2);
/// As HAProxy's `spread-checks`: beyond a half two checks may meet.
const JITTER_RANGE: RangeInclusive<Percent> = Percent(0)..=Percent(5_000);
/// The children that say what is asked; none of them: `tcp`.
const PROBES: &[&str] = &["tcp", "http", "tls", "grpc"];
const REGEX_SIZE_MAX: usize = 1 << 20;

impl Decoder<'_> {
    pub(super) fn health_check(
        &mut self,
        cluster: &Node,
        endpoints: &[Endpoint],
    ) -> Option<HealthCheck> {
        let node = cluster.child("health-check")?;
        let is_unix =
            |endpoint: &Endpoint| matches!(endpoint.address.value, EndpointAddress::Unix(_));
        if endpoints.iter().any(is_unix) {
            let why = "means nothing for a Unix socket, which this cluster has";
            self.refuse_properties(node, &["port", "address"], why);
        }
        let of = |name| node.property(name);
        let interval = self.duration(of("interval"), INTERVAL_RANGE, INTERVAL_DEFAULT);
        Some(HealthCheck {
            probe: self.probe(node).unwrap_or(Probe::Tcp),
            interval,
            interval_changing: self.duration(of("interval-changing"), INTERVAL_RANGE, interval),
            interval_down: self.duration(of("interval-down"), INTERVAL_RANGE, interval),
            jitter: self.percent(of("jitter"), JITTER_RANGE, Percent(0)),
            timeout: self.duration(of("timeout"), TIMEOUT_RANGE, interval),
            rise: self.integer(of("rise"), 1..=100, 2),
            fall: self.integer(of("fall"), 1..=100, 3),
            port: self.port(of("port")),
            address: of("address")
                .and_then(|item| self.parsed(item, parse_ip))
                .map(|found| found.value),
            initial: self.initial_health(of("initial")),
        })
    }

    fn port(&mut self, item: Option<&Item>) -> Option<u16> {
        let found = self.optional_integer(item, 1..=u32::from(u16::MAX))?;
        u16::try_from(found).ok()
    }

    fn initial_health(&mut self, item: Option<&Item>) -> InitialHealth {
        let words = [
            ("fully-up", InitialHealth::FullyUp),
            ("up", InitialHealth::Up),
            ("down", InitialHealth::Down),
            ("fully-down", InitialHealth::FullyDown),
        ];
        self.choice(item, &words, InitialHealth::default())
    }

    /// `None`: not written, or reported.
    fn probe(&mut self, node: &Node) -> Option<Probe> {
        let children = node.children().iter();
        let mut probes = children.filter(|child| PROBES.contains(&child.name()));
        let first = probes.next()?;
        // A second node of one name was reported by the shape check.
        if let Some(other) = probes.find(|other| other.name() != first.name()) {
            self.diagnostics.error_with(
                other.place(),
                format!("a check is either `{}` or `{}`", first.name(), other.name()),
                None,
                (first.place(), "this is the other"),
            );
        }
        match first.name() {
            "http" => self.http_probe(first).map(Probe::Http),
            "tls" => Some(Probe::Tls(self.tls_probe(first))),
            "grpc" => Some(self.grpc_probe(first)),
            _ => Some(Probe::Tcp),
        }
    }

    fn http_probe(&mut self, node: &Node) -> Option<HttpProbe> {
        let method = node.property("method");
        let method = method.and_then(|item| self.parsed(item, parse_method));
        let method = method.map_or_else(|| "GET".to_owned(), |found| found.value);
        let host = node.property("host");
        let host = host.and_then(|item| self.parsed(item, parse_authority));
        let expect = node.property("expect");
        let expect = expect.and_then(|item| self.parsed(&Self::as_text(item), parse_expected));
        let body = node.property("body");
        if let Some(item) = body.filter(|_| method == "HEAD") {
            self.error(item.place, "the response to HEAD has no body");
        }
        let body = body.and_then(|item| self.parsed(item, parse_body_regex));
        let headers = node.named("header");
        let headers = headers.filter_map(|node| self.probe_header(node)).collect();
        Some(HttpProbe {
            path: self.parsed(node.arguments.first()?, parse_target)?.value,
            method,
            host: host.map(|found| found.value),
            headers,
            expect: expect.map_or_else(|| vec![200..=399], |found| found.value),
            body: body.map(|found| found.value),
        })
    }

    fn probe_header(&mut self, node: &Node) -> Option<(String, String)> {
        let name = self.parsed(node.arguments.first()?, parse_header_name);
        let value = self.parsed(node.arguments.get(1)?, parse_header_value);
        let name = name?;
        if FRAMING_HEADERS.contains(&name.value.as_str()) {
            let message = format!("`{}` is written by the proxy itself", name.value);
            let help = (name.value == "host").then(|| "http \"/\" host=\"name\"".to_owned());
            self.diagnostics.error(name.place, message, help);
        }
        Some((name.value, value?.value))
    }

    fn tls_probe(&mut self, node: &Node) -> TlsProbe {
        let server_name = node.property("server-name");
        let server_name = server_name.and_then(|item| self.parsed(item, parse_server_name));
        let ca = node.property("ca").and_then(|item| self.file(item));
        let verify = self.boolean(node.property("verify"), true);
        if !verify {
            let why = "means nothing with `verify=#false`: no certificate is compared with it";
            self.refuse_properties(node, &["ca"], why);
        }
        TlsProbe {
            server_name: server_name.map(|found| found.value),
            ca: ca.map(|found| found.value),
            verify,
        }
    }

    fn grpc_probe(&mut self, node: &Node) -> Probe {
        let service = node.property("service");
        let service = service.and_then(|item| self.parsed(item, parse_service));
        Probe::Grpc {
            service: service.map_or_else(String::new, |found| found.value),
        }
    }

    /// In the cluster or in its `health-check`, as reads better.
    pub(super) fn on_down(&mut self, cluster: &Node) -> OnDown {
        let (own, check) = (cluster.child("on-down"), cluster.child("health-check"));
        let below = check.and_then(|check| check.child("on-down"));
        if let (Some(own), Some(below)) = (own, below) {
            let message = "`on-down` is given twice";
            let related = (own.place(), "first given here");
            self.diagnostics
                .error_with(below.place(), message, None, related);
        }
        let words = [("keep", OnDown::Keep), ("close", OnDown::Close)];
        let item = own.or(below).and_then(|node| node.arguments.first());
        self.choice(item, &words, OnDown::default())
    }
}

fn parse_ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is no address; write \"192.0.2.1\" or \"::1\", and the port in `port`")
    })
}

/// Path and query as they are sent.
fn parse_target(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    match text.starts_with('/') && plain {
        true => Ok(text.to_owned()),
        false => Err(
            "the path of a check begins with `/` and has visible ASCII characters; percent-encode others"
                .to_owned(),
        ),
    }
}

/// `name` or `name:port`, as a `Host` header has it.
fn parse_authority(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    match !text.is_empty() && text.len() <= 261 && text.bytes().all(good) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "`{text}` is no host; write \"name\" or \"name:80\""
        )),
    }
}

pub(super) fn parse_server_name(text: &str) -> Result<String, String> {
    match is_host_name(text) || text.parse::<IpAddr>().is_ok() {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is no name that a certificate could have")),
    }
}

fn parse_expected(text: &str) -> Result<Vec<RangeInclusive<u16>>, String> {
    let expected: Vec<_> = words(text)
        .map(|word| parse_statuses(word, 200..=599))
        .collect::<Result<_, _>>()?;
    match expected.is_empty() {
        true => Err("expected statuses such as \"200-399\" or \"200,204,3xx\"".to_owned()),
        false => Ok(expected),
    }
}

fn parse_body_regex(text: &str) -> Result<Regex, String> {
    if text.is_empty() {
        return Err("an empty regex is found in every body".to_owned());
    }
    let built = RegexBuilder::new(text).size_limit(REGEX_SIZE_MAX).build();
    built.map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        let reason = last.strip_prefix("error: ").unwrap_or(last);
        format!("this regex does not compile: {reason}")
    })
}

/// A full name such as `acme.orders.v1.Orders`.
fn parse_service(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_graphic();
    match text.len() <= 256 && text.bytes().all(good) {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is no name of a gRPC service")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_statuses_are_listed() {
        for (text, expected) in [
            ("200", Some(vec![200..=200])),
            ("200-399", Some(vec![200..=399])),
            (
                "200,204, 3xx 404",
                Some(vec![200..=200, 204..=204, 300..=399, 404..=404]),
            ),
            ("", None),
            (" , ", None),
            ("1xx", None),
            ("200;204", None),
            ("199-200", None),
        ] {
            assert_eq!(parse_expected(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn texts_of_a_check_cannot_break_its_request() {
        for (parse, good, bad) in [
            (
                parse_target as fn(&str) -> Result<String, String>,
                &["/", "/a?b=%20"][..],
                &["", "a", "*", "/a b", "/a\r\nb", "/ä", "/a#b"][..],
            ),
            (
                parse_authority,
                &["a", "a.b:80", "[::1]:80", "127.0.0.1"],
                &["", "a b", "a\r\n", "a/b", "a@b", "ä"],
            ),
            (
                parse_server_name,
                &["a.b", "127.0.0.1", "::1"],
                &["", "a b", "*.a", "a:80"],
            ),
            (parse_service, &["", "a.v1.B"], &["a b", "a\nb", "ä"]),
        ] {
            for text in good {
                assert!(parse(text).is_ok(), "{text:?}");
            }
            for text in bad {
                assert!(parse(text).is_err(), "{text:?}");
            }
        }
    }

    #[test]
    fn body_regexes_are_bounded() {
        assert!(parse_body_regex("^ok$").is_ok());
        for text in ["", "(", "(?:a{1000}){1000}"] {
            let message = parse_body_regex(text).expect_err(text);
            assert!(!message.contains('\n'), "{message}");
        }
    }
}
