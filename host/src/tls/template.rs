//! What the configurations of all certificates of a listener have in common: versions, protocols, client authentication, tickets.

use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ResolvesServerCertUsingSni, WebPkiClientVerifier,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};

use super::certificate::Certificate;
use super::digest::Digest;
use super::policy::Policy;
use super::table::Shown;
use super::{Errors, keep, pem, roots};
use crate::config::{ClientAuthentication, Demand, Place, ServerTls, Spanned};
use rustls::pki_types::CertificateRevocationListDer;
use std::path::PathBuf;

/// As many as a client of today opens connections to one host at once, after the first.
const TICKETS: usize = 2;

/// A configuration without a certificate.
#[derive(Debug)]
pub(super) struct Template {
    config: ServerConfig,
    tickets: Option<Tickets>,
}

/// Keys of tickets, and what a client that holds one of them has proved.
#[derive(Debug, Clone)]
struct Tickets {
    keys: Arc<dyn ProducesTickets>,
    proof: [u8; 32],
}

impl Template {
    /// Goes on with the ticket keys of `previous` where a ticket proves the same in both.
    pub(super) fn new(
        settings: &ServerTls,
        policy: &Policy,
        previous: Option<&Template>,
    ) -> Result<Template, Errors> {
        let mut proof = Digest::new();
        policy.add_versions_to(&mut proof);
        let verifier = match &settings.client_certificate {
            Some(asked) => client_verifier(asked, policy, &mut proof)?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let proof = proof.finish();
        let tickets = match settings.tickets {
            true => Some(tickets(proof, previous)?),
            false => None,
        };
        let mut config = bare_config(policy, verifier)?;
        config.alpn_protocols = settings
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        if let Some(tickets) = &tickets {
            config.ticketer = tickets.keys.clone();
            config.send_tls13_tickets = TICKETS;
        }
        Ok(Template { config, tickets })
    }

    pub(super) fn policy_suites(&self) -> &[rustls::SupportedCipherSuite] {
        &self.config.crypto_provider().cipher_suites
    }

    pub(super) fn provider(&self) -> &rustls::crypto::CryptoProvider {
        self.config.crypto_provider()
    }

    /// `pair`, ready to be shown.
    pub(super) fn shown(&self, pair: Arc<CertifiedKey>) -> Arc<Shown> {
        let mut config = self.config.clone();
        config.cert_resolver = Arc::new(SingleCertAndKey::from(pair.clone()));
        let der = pair.cert.first().map(|der| Certificate::read(der));
        let der = der.and_then(Result::ok);
        let names = der.as_ref().map(Certificate::dns_names);
        let hosts = der.as_ref().map(Certificate::hosts);
        let (names, hosts) = (names.unwrap_or_default(), hosts.unwrap_or_default());
        Arc::new(Shown {
            config: Arc::new(config),
            names: names.into(),
            hosts: hosts.into(),
            pair,
        })
    }
}

/// Without certificate, protocols and resumption.
pub(super) fn bare_config(
    policy: &Policy,
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<ServerConfig, Errors> {
    let builder = ServerConfig::builder_with_provider(policy.provider.clone());
    let builder = builder
        .with_protocol_versions(&policy.versions)
        .map_err(unplaced)?;
    let mut config = builder
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    // Every suite is good; what both have is the same for all clients then.
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

fn tickets(proof: [u8; 32], previous: Option<&Template>) -> Result<Tickets, Errors> {
    let kept = previous.and_then(|previous| previous.tickets.clone());
    if let Some(kept) = kept.filter(|kept| kept.proof == proof) {
        return Ok(kept);
    }
    let keys = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(unplaced)?;
    Ok(Tickets { keys, proof })
}

fn client_verifier(
    asked: &ClientAuthentication,
    policy: &Policy,
    proof: &mut Digest,
) -> Result<Arc<dyn ClientCertVerifier>, Errors> {
    let mut errors = Errors::new();
    proof.add(&[match asked.demand {
        Demand::Required => 1,
        Demand::Optional => 2,
    }]);
    let authorities = keep(authorities(&asked.ca, proof), &mut errors);
    let mut lists = Vec::new();
    for path in &asked.crls {
        lists.extend(keep(revocation_lists(path, proof), &mut errors).unwrap_or_default());
    }
    let Some(authorities) = authorities.filter(|_| errors.is_empty()) else {
        return Err(errors);
    };
    let provider = policy.provider.clone();
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
    let builder = match asked.demand {
        Demand::Required => builder,
        Demand::Optional => builder.allow_unauthenticated(),
    };
    let place = asked.crls.first().map_or(asked.ca.place, |path| path.place);
    let built = builder.with_crls(lists).build();
    built.map_err(|error| {
        vec![(
            place,
            format!("client certificates cannot be verified: {error}"),
        )]
    })
}

fn authorities(ca: &Spanned<PathBuf>, proof: &mut Digest) -> Result<RootCertStore, Errors> {
    let bytes = pem::read(ca).map_err(|error| vec![error])?;
    proof.add(&bytes);
    roots::pem_roots(&bytes, &ca.value).map_err(|error| vec![(ca.place, error)])
}

fn revocation_lists(
    path: &Spanned<PathBuf>,
    proof: &mut Digest,
) -> Result<Vec<CertificateRevocationListDer<'static>>, Errors> {
    let bytes = pem::read(path).map_err(|error| vec![error])?;
    proof.add(&bytes);
    pem::revocation_lists(&bytes, &path.value).map_err(|error| vec![(path.place, error)])
}

fn unplaced(error: rustls::Error) -> Errors {
    vec![(Place::default(), error.to_string())]
}
