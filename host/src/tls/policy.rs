//! Protocol versions and cipher suites: what `versions` and `ciphers` leave of the library's.

use std::borrow::Cow;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion, version};

use super::Errors;
use super::digest::Digest;
use crate::config::{Place, Spanned, TlsPolicy, TlsVersion};

/// Names of every cipher suite that there is, as IANA writes them, in the library's order of preference.
pub fn cipher_names() -> impl Iterator<Item = Cow<'static, str>> {
    let suites = aws_lc_rs::ALL_CIPHER_SUITES.iter();
    suites.filter_map(|suite| written_name(*suite).map(iana_name))
}

/// Whether there is a cipher suite of this name, as IANA or the library writes it; the case of letters matters.
pub fn is_cipher(name: &str) -> bool {
    suite_of(name).is_some()
}

/// The cryptography that is left, and the versions that may use it.
#[derive(Debug)]
pub(super) struct Policy {
    pub provider: Arc<CryptoProvider>,
    pub versions: Vec<&'static SupportedProtocolVersion>,
}

impl Policy {
    /// # Errors
    /// A suite that does not exist or that no allowed version has; an allowed version without a suite.
    pub(super) fn new(written: &TlsPolicy) -> Result<Policy, Errors> {
        let versions = allowed_versions(&written.versions);
        let mut provider = default_provider();
        if !written.ciphers.is_empty() {
            provider.cipher_suites = chosen_suites(&written.ciphers, &versions)?;
        }
        let place = written.ciphers.first().map(|cipher| cipher.place);
        check_usable(&provider, &versions, place.unwrap_or_default())?;
        Ok(Policy {
            provider: Arc::new(provider),
            versions,
        })
    }

    pub(super) fn add_versions_to(&self, digest: &mut Digest) {
        for version in &self.versions {
            digest.add(&u16::from(version.version).to_le_bytes());
        }
    }

    pub(super) fn add_suites_to(&self, digest: &mut Digest) {
        for suite in &self.provider.cipher_suites {
            digest.add(&u16::from(suite.suite()).to_le_bytes());
        }
    }
}

/// Key exchange begins with the post-quantum hybrid X25519MLKEM768: the library's order under its feature `prefer-post-quantum`.
pub(super) fn default_provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

fn allowed_versions(written: &[TlsVersion]) -> Vec<&'static SupportedProtocolVersion> {
    let allows = |version| written.is_empty() || written.contains(&version);
    let mut versions = Vec::new();
    if allows(TlsVersion::Tls13) {
        versions.push(&version::TLS13);
    }
    if allows(TlsVersion::Tls12) {
        versions.push(&version::TLS12);
    }
    versions
}

fn chosen_suites(
    written: &[Spanned<String>],
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Vec<SupportedCipherSuite>, Errors> {
    let mut suites = Vec::new();
    let mut errors = Errors::new();
    for name in written {
        match suite_of(&name.value) {
            None => errors.push((name.place, unknown(&name.value))),
            Some(suite) if !versions.contains(&suite.version()) => {
                errors.push((name.place, useless(&name.value, suite)));
            }
            // A name twice, or in both spellings, is once.
            Some(suite) if suites.contains(&suite) => {}
            Some(suite) => suites.push(suite),
        }
    }
    if errors.is_empty() {
        Ok(suites)
    } else {
        Err(errors)
    }
}

fn check_usable(
    provider: &CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
    place: Place,
) -> Result<(), Errors> {
    let has_suite = |version: &&'static SupportedProtocolVersion| {
        let mut suites = provider.cipher_suites.iter();
        suites.any(|suite| suite.version() == *version)
    };
    let without = versions.iter().filter(|version| !has_suite(version));
    let errors: Errors = without.map(|version| (place, bare(version))).collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

fn unknown(name: &str) -> String {
    let names: Vec<_> = cipher_names().collect();
    format!(
        "{name:?} is not a supported cipher; there are {}",
        names.join(", ")
    )
}

fn useless(name: &str, suite: SupportedCipherSuite) -> String {
    let version = version_name(suite.version().version);
    format!("{name:?} is a cipher of {version}, which `versions` does not allow")
}

fn bare(version: &SupportedProtocolVersion) -> String {
    let version = version_name(version.version);
    format!("`ciphers` has none for {version}: name one, or leave {version} out by `versions`")
}

fn version_name(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_3 => "TLS 1.3",
        _ => "TLS 1.2",
    }
}

fn suite_of(name: &str) -> Option<SupportedCipherSuite> {
    let mut suites = aws_lc_rs::ALL_CIPHER_SUITES.iter().copied();
    suites.find(|suite| {
        written_name(*suite).is_some_and(|written| written == name || iana_name(written) == name)
    })
}

fn written_name(suite: SupportedCipherSuite) -> Option<&'static str> {
    suite.suite().as_str()
}

/// The library writes `TLS13_AES_…` for what IANA calls `TLS_AES_…`.
fn iana_name(written: &'static str) -> Cow<'static, str> {
    match written.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}").into(),
        None => written.into(),
    }
}
