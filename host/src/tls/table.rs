//! Which certificate is shown: by the name that a client asks for, and by what it can verify.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SupportedCipherSuite};

use super::hello::sni;
use crate::config::UnknownName;

/// A certificate with the configuration that shows it and no other.
#[derive(Debug)]
pub(super) struct Shown {
    pub config: Arc<ServerConfig>,
    pub pair: Arc<CertifiedKey>,
    /// Lower case, wildcards as `*.name`.
    pub names: Arc<[Box<str>]>,
    /// The same and the addresses it is for, as `Host` has them.
    pub hosts: Arc<[Box<str>]>,
}

/// All certificates of a listener; immutable, replaced as a whole.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Those of the configuration, in its order.
    written: Vec<Arc<Shown>>,
    /// Those that came later; they go before the written ones of the same name.
    installed: Vec<Arc<Shown>>,
    exact: HashMap<Box<str>, Vec<Arc<Shown>>>,
    /// By what follows `*.`.
    wildcards: HashMap<Box<str>, Vec<Arc<Shown>>>,
}

impl Table {
    pub(super) fn new(written: Vec<Arc<Shown>>, installed: Vec<Arc<Shown>>) -> Table {
        let mut table = Table {
            written,
            installed,
            ..Table::default()
        };
        let all: Vec<_> = table
            .installed
            .iter()
            .chain(&table.written)
            .cloned()
            .collect();
        for shown in &all {
            table.add(shown);
        }
        table
    }

    fn add(&mut self, shown: &Arc<Shown>) {
        for name in &*shown.names {
            let (names, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcards, parent),
                None => (&mut self.exact, &**name),
            };
            names.entry(name.into()).or_default().push(shown.clone());
        }
    }

    /// This table with one more that was installed, in place of earlier ones for any of its names: they are of former settings, and nobody
    /// renews them.
    pub(super) fn with_installed(&self, shown: &Arc<Shown>) -> Table {
        let others = self
            .installed
            .iter()
            .filter(|other| !shares_a_name(other, shown));
        let installed = others.cloned().chain([shown.clone()]).collect();
        Table::new(self.written.clone(), installed)
    }

    pub(super) fn installed(&self) -> &[Arc<Shown>] {
        &self.installed
    }

    /// The certificate to show; none if the client asks for another name and that is refused, or if there is none at all.
    pub(super) fn choose(
        &self,
        hello: &ClientHello<'_>,
        suites: &[SupportedCipherSuite],
        unknown_name: UnknownName,
    ) -> Option<&Arc<Shown>> {
        let name = sni(hello);
        let named = name
            .as_deref()
            .and_then(|name| self.fitting(name, hello, suites));
        match (named, name, unknown_name) {
            (Some(shown), _, _) => Some(shown),
            (None, Some(_), UnknownName::Refuse) => None,
            (None, _, _) => self.first(hello, suites),
        }
    }

    /// The first certificate that is for `name` and that the client can verify; the first one that is for it, if none is such: the library
    /// then tells the client what is missing.
    fn fitting(
        &self,
        name: &str,
        hello: &ClientHello<'_>,
        suites: &[SupportedCipherSuite],
    ) -> Option<&Arc<Shown>> {
        let fitting = self
            .named(name)
            .find(|shown| fits(&shown.pair, hello, suites));
        fitting.or_else(|| self.named(name).next())
    }

    /// The first certificate, or another one for its first name that the client can verify.
    fn first(
        &self,
        hello: &ClientHello<'_>,
        suites: &[SupportedCipherSuite],
    ) -> Option<&Arc<Shown>> {
        let first = self.written.first().or(self.installed.first())?;
        if fits(&first.pair, hello, suites) {
            return Some(first);
        }
        let mut same = self
            .written
            .iter()
            .filter(|other| shares_first_name(other, first));
        Some(
            same.find(|other| fits(&other.pair, hello, suites))
                .unwrap_or(first),
        )
    }

    /// Exact names, then wildcards of one label.
    fn named(&self, name: &str) -> impl Iterator<Item = &Arc<Shown>> {
        let exact = self.exact.get(name);
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let wild = parent.and_then(|parent| self.wildcards.get(parent));
        exact.into_iter().chain(wild).flatten()
    }
}

fn shares_a_name(one: &Shown, other: &Shown) -> bool {
    one.names.iter().any(|name| other.names.contains(name))
}

fn shares_first_name(one: &Shown, other: &Shown) -> bool {
    other
        .names
        .first()
        .is_some_and(|name| one.names.contains(name))
}

/// Whether the client can verify signatures of this key. In TLS 1.2 the cipher suites have a say in it as well; that a client speaks 1.3 is
/// seen by its offering a suite of that version.
fn fits(pair: &CertifiedKey, hello: &ClientHello<'_>, suites: &[SupportedCipherSuite]) -> bool {
    let algorithm: SignatureAlgorithm = pair.key.algorithm();
    let mut common = suites
        .iter()
        .filter(|suite| hello.cipher_suites().contains(&suite.suite()));
    pair.key.choose_scheme(hello.signature_schemes()).is_some()
        && common.any(|suite| suite.usable_for_signature_algorithm(algorithm))
}
