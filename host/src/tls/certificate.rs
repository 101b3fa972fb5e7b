//! What is read of X.509: the names a certificate is for, how long it is good, and the facts of a client's.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::DnsName;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::digest::{fingerprint, hex};
use super::name::distinguished_name;
use crate::http::ClientCertificate;

/// A certificate that could be read.
#[derive(Debug)]
pub(super) struct Certificate<'d> {
    der: &'d [u8],
    parsed: X509Certificate<'d>,
}

/// When a certificate is good, as seen from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    NotYet,
    Valid,
    Expired,
}

impl<'d> Certificate<'d> {
    /// # Errors
    /// What is wrong with the encoding.
    pub(super) fn read(der: &'d [u8]) -> Result<Certificate<'d>, String> {
        match X509Certificate::from_der(der) {
            Ok(([], parsed)) => Ok(Certificate { der, parsed }),
            Ok(_) => Err("bytes follow the certificate".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The DNS names it is for, lower case, wildcards as `*.name`: those of its subject alternative names; the common name alone where it has
    /// no such extension. What is no DNS name is left out.
    pub(super) fn dns_names(&self) -> Vec<Box<str>> {
        let names: Vec<&str> = match self.alternative_names() {
            Some(names) => names.iter().filter_map(dns_name).collect(),
            None => {
                let mut names = self.parsed.subject().iter_common_name();
                names
                    .next()
                    .and_then(|name| name.as_str().ok())
                    .into_iter()
                    .collect()
            }
        };
        names.into_iter().filter_map(host_pattern).collect()
    }

    /// What may stand in `Host` for it: the DNS names, and the addresses of its subject alternative names.
    pub(super) fn hosts(&self) -> Vec<Box<str>> {
        let names = self.alternative_names().into_iter().flatten();
        let addresses = names.filter_map(|name| match name {
            GeneralName::IPAddress(bytes) => ip_address(bytes),
            _ => None,
        });
        let addresses = addresses.map(|address| match address {
            IpAddr::V4(address) => address.to_string().into(),
            IpAddr::V6(address) => format!("[{address}]").into(),
        });
        self.dns_names().into_iter().chain(addresses).collect()
    }

    pub(super) fn validity(&self, now: SystemTime) -> Validity {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let validity = self.parsed.validity();
        if now > validity.not_after.timestamp() {
            Validity::Expired
        } else if now < validity.not_before.timestamp() {
            Validity::NotYet
        } else {
            Validity::Valid
        }
    }

    pub(super) fn facts(&self) -> ClientCertificate {
        let names = self.alternative_names().unwrap_or_default();
        ClientCertificate {
            subject: distinguished_name(self.parsed.subject()),
            issuer: distinguished_name(self.parsed.issuer()),
            serial: serial(self.parsed.raw_serial()),
            names: names.iter().filter_map(name_with_kind).collect(),
            fingerprint: fingerprint(self.der),
        }
    }

    /// None without the extension; nothing in it if it cannot be read.
    fn alternative_names(&self) -> Option<&[GeneralName<'d>]> {
        match self.parsed.subject_alternative_name() {
            Ok(found) => found.map(|extension| &extension.value.general_names[..]),
            Err(_) => Some(&[]),
        }
    }
}

fn dns_name<'d>(name: &GeneralName<'d>) -> Option<&'d str> {
    match name {
        GeneralName::DNSName(name) => Some(name),
        _ => None,
    }
}

/// `name` in lower case if it is a DNS name, or one with `*` for its first label.
fn host_pattern(name: &str) -> Option<Box<str>> {
    let host = name.strip_prefix("*.").unwrap_or(name);
    DnsName::try_from(host).ok()?;
    let name = name.strip_suffix('.').unwrap_or(name);
    Some(name.to_ascii_lowercase().into())
}

/// Hexadecimal without the zero byte that only keeps a number positive.
fn serial(bytes: &[u8]) -> Box<str> {
    match bytes {
        [0, rest @ ..] if !rest.is_empty() => hex(rest),
        bytes => hex(bytes),
    }
}

/// Names hold no blanks and no control characters, so that a list of them can be told apart.
fn name_with_kind(name: &GeneralName<'_>) -> Option<Box<str>> {
    let text = match name {
        GeneralName::DNSName(name) => format!("DNS:{}", name.to_ascii_lowercase()),
        GeneralName::URI(uri) => format!("URI:{uri}"),
        GeneralName::RFC822Name(address) => format!("email:{address}"),
        GeneralName::IPAddress(bytes) => format!("IP:{}", ip_address(bytes)?),
        _ => return None,
    };
    let is_sane = text.bytes().all(|byte| byte.is_ascii_graphic());
    is_sane.then(|| text.into())
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_patterns_are_dns_names_or_wildcards_of_one_label() {
        for (name, expected) in [
            ("App.Test", Some("app.test")),
            ("*.App.test", Some("*.app.test")),
            ("app.test.", Some("app.test")),
            ("a*.test", None),
            ("*.*.test", None),
            ("*", None),
            ("", None),
            ("two words", None),
        ] {
            assert_eq!(host_pattern(name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn names_are_told_by_kind_and_insane_ones_left_out() {
        for (name, expected) in [
            (GeneralName::DNSName("App.test"), Some("DNS:app.test")),
            (
                GeneralName::URI("spiffe://a/b,c"),
                Some("URI:spiffe://a/b,c"),
            ),
            (GeneralName::RFC822Name("a@b"), Some("email:a@b")),
            (
                GeneralName::IPAddress(&[192, 0, 2, 1]),
                Some("IP:192.0.2.1"),
            ),
            (GeneralName::IPAddress(&[1; 5]), None),
            (GeneralName::URI("x, DNS:admin"), None),
            (GeneralName::URI("x\r\ny"), None),
        ] {
            assert_eq!(name_with_kind(&name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn serial_numbers_lose_their_sign_byte_only() {
        for (bytes, expected) in [(&[0, 0x80][..], "80"), (&[0], "00"), (&[1, 0], "0100")] {
            assert_eq!(&*serial(bytes), expected);
        }
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        for bytes in [&b""[..], b"x", &[0x30, 0x80], &[0xff; 64]] {
            assert!(Certificate::read(bytes).is_err(), "{bytes:?}");
        }
    }
}
