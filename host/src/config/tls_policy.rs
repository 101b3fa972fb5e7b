//! What both sides of TLS may restrict: versions, ciphers, application protocols; and how a certificate is named.

use super::decode::Decoder;
use super::lists::listed;
use super::suggest::{did_you_mean, one_of};
use super::syntax::{Item, Node};
use super::{CIPHERS, Certificate, Spanned, TlsPolicy, TlsVersion};

struct Cipher {
    written: Spanned<String>,
    /// As in the table.
    name: &'static str,
    version: TlsVersion,
}

impl Decoder<'_> {
    /// Of the node `tls`.
    pub(super) fn tls_policy(&mut self, node: &Node) -> TlsPolicy {
        let words = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];
        let mut versions = self.distinct_words(&listed(node, "versions"), &words);
        versions.sort();
        if versions.is_empty() {
            versions = words.map(|(_, version)| version).to_vec();
        }
        let ciphers = self.ciphers(node, &versions);
        TlsPolicy { versions, ciphers }
    }

    fn ciphers(&mut self, node: &Node, versions: &[TlsVersion]) -> Vec<Spanned<String>> {
        let Some(node) = node.child("ciphers") else {
            return Vec::new();
        };
        let items = node.arguments.iter();
        let found: Vec<Cipher> = items
            .filter_map(|item| self.cipher(item, versions))
            .collect();
        self.refuse_doubles(
            found
                .iter()
                .map(|cipher| (cipher.name, cipher.written.place)),
        );
        // Without one that was refused, what is left is not what was meant.
        if found.len() == node.arguments.len() {
            self.check_versions_have_ciphers(node, versions, &found);
        }
        found.into_iter().map(|cipher| cipher.written).collect()
    }

    fn cipher(&mut self, item: &Item, versions: &[TlsVersion]) -> Option<Cipher> {
        let written = self.text(item)?;
        let Some((name, version)) = known_cipher(&written.value) else {
            let names = || CIPHERS.iter().map(|(name, _)| *name);
            let help = did_you_mean(&written.value, names())
                .unwrap_or_else(|| format!("expected {}", one_of(names())));
            let message = format!("unknown cipher `{}`", written.value);
            self.error_help(written.place, message, help);
            return None;
        };
        if !versions.contains(&version) {
            let message = format!("this cipher is of TLS {version}, which `versions` excludes");
            self.error(written.place, message);
        }
        Some(Cipher {
            written,
            name,
            version,
        })
    }

    fn check_versions_have_ciphers(
        &mut self,
        node: &Node,
        versions: &[TlsVersion],
        ciphers: &[Cipher],
    ) {
        let has_cipher = |version| ciphers.iter().any(|cipher| cipher.version == version);
        for version in versions.iter().filter(|version| !has_cipher(**version)) {
            let message = format!("TLS {version} is left without a cipher");
            let help = match version {
                TlsVersion::Tls12 => "name one of its ciphers too, or write versions \"1.3\"",
                TlsVersion::Tls13 => "name one of its ciphers too, or write versions \"1.2\"",
            };
            self.error_help(node.place(), message, help);
        }
    }

    /// In order of preference; `None` where `alpn` is not written.
    pub(super) fn alpn(&mut self, node: &Node) -> Option<Vec<Spanned<String>>> {
        node.child("alpn")?;
        Some(self.distinct_values(node, "alpn", parse_alpn))
    }

    pub(super) fn certificate(&mut self, node: &Node) -> Option<Certificate> {
        let key = node.property("key").map(|item| self.file(item));
        let ocsp = node.property("ocsp").map(|item| self.file(item));
        let chain = self.file(node.arguments.first()?)?;
        Some(Certificate {
            key: match key {
                Some(key) => key?,
                None => chain.clone(),
            },
            ocsp: match ocsp {
                Some(ocsp) => Some(ocsp?),
                None => None,
            },
            chain,
        })
    }
}

/// Its name as in the table, and its version. rustls writes `TLS13_` where the registry of IANA has `TLS_`.
fn known_cipher(text: &str) -> Option<(&'static str, TlsVersion)> {
    let as_registered = text
        .strip_prefix("TLS13_")
        .map(|rest| format!("TLS_{rest}"));
    let wanted = as_registered.as_deref().unwrap_or(text);
    let (name, version) = CIPHERS.iter().find(|(name, _)| *name == wanted)?;
    let fits = as_registered.is_none() || *version == TlsVersion::Tls13;
    fits.then_some((*name, *version))
}

/// RFC 7301 section 3.1.
pub(super) fn parse_alpn(text: &str) -> Result<String, String> {
    match (1..=255).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err("a protocol's name has 1 to 255 bytes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphers_have_the_names_of_both_worlds() {
        use TlsVersion::{Tls12, Tls13};
        for (text, expected) in [
            (
                "TLS_AES_128_GCM_SHA256",
                Some(("TLS_AES_128_GCM_SHA256", Tls13)),
            ),
            (
                "TLS13_AES_128_GCM_SHA256",
                Some(("TLS_AES_128_GCM_SHA256", Tls13)),
            ),
            (
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                Some(("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Tls12)),
            ),
            ("TLS13_ECDHE_RSA_WITH_AES_128_GCM_SHA256", None),
            ("tls_aes_128_gcm_sha256", None),
            ("TLS_RSA_WITH_AES_128_CBC_SHA", None),
            ("", None),
        ] {
            assert_eq!(known_cipher(text), expected, "{text}");
        }
    }

    #[test]
    fn protocols_fit_into_a_hello() {
        for (text, good) in [
            ("h2", true),
            (&"x".repeat(255), true),
            (&"x".repeat(256), false),
            ("", false),
        ] {
            assert_eq!(parse_alpn(text).is_ok(), good, "{text}");
        }
    }
}
