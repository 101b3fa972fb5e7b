//! One order from its beginning to its certificate.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, CertificateIdentifier, ChallengeStatus,
    ChallengeType, Identifier, NewOrder, Order, OrderState, OrderStatus,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use tokio::time::Instant;

use super::Installer;
use super::certificate::Certificate;
use super::challenge::Challenge;
use super::error::{AcmeError, plain, told};
use super::heed::Heed;
use crate::config::{Acme, AcmeChallenge, Spanned};

/// Looks at an order that the authority is busy with: the first wait, doubled each time, up to the last.
const LOOK_MIN: Duration = Duration::from_millis(250);
const LOOK_MAX: Duration = Duration::from_secs(15);
/// For the proofs together, and again for the certificate.
const SETTLE_TIME: Duration = Duration::from_secs(5 * 60);

/// What one order needs.
pub(super) struct Ordering<'a> {
    pub(super) settings: &'a Acme,
    pub(super) installer: &'a Arc<dyn Installer>,
    pub(super) http: &'a Heed,
    /// The certificate that the new one comes instead of (RFC 9773 §5).
    pub(super) replaces: Option<CertificateIdentifier<'static>>,
}

impl Ordering<'_> {
    /// Challenges are shown for as long as this runs. When it is dropped in between, the authority finds an order that nobody goes on with,
    /// and forgets it after some days.
    pub(super) async fn run(self, account: &Account) -> Result<Certificate, AcmeError> {
        let names = &self.settings.names;
        let mut order = self.begin(account).await?;
        let shown = self.prove(&mut order).await?;
        self.settle(&mut order, "pending", |state| state == OrderStatus::Pending)
            .await?;
        drop(shown);
        let (key, request) =
            key_and_request(names).map_err(|error| AcmeError::Key(error.to_string()))?;
        order.finalize_csr(&request).await?;
        let busy = |state| matches!(state, OrderStatus::Processing | OrderStatus::Ready);
        self.settle(&mut order, "processing", busy).await?;
        let chain = order.certificate().await?;
        let chain =
            chain.ok_or_else(|| AcmeError::Refused("there is no certificate".to_owned()))?;
        let certificate = Certificate::parse((chain.into_bytes(), key.into_bytes()))?;
        match certificate.lacks(names) {
            Some(name) => Err(AcmeError::Name(name.to_owned())),
            None => Ok(certificate),
        }
    }

    async fn begin(&self, account: &Account) -> Result<Order, AcmeError> {
        let names = self.settings.names.iter();
        let names: Vec<Identifier> = names
            .map(|name| Identifier::Dns(name.value.clone()))
            .collect();
        let mut wanted = NewOrder::new(&names);
        if let Some(id) = &self.replaces {
            wanted = wanted.replaces(id.clone());
        }
        let mut order = account.new_order(&wanted).await?;
        let proofs = order.state().authorizations.len();
        match proofs > names.len() {
            true => Err(AcmeError::Proofs {
                wanted: proofs,
                names: names.len(),
            }),
            false => Ok(order),
        }
    }

    /// Shows a challenge for each name that is not proved already, and tells the authority to look.
    async fn prove(&self, order: &mut Order) -> Result<Vec<Challenge>, AcmeError> {
        let mut shown = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => {}
                AuthorizationStatus::Pending => shown.push(self.show(authorization).await?),
                // What is wrong is said by the state of the order, which is invalid then.
                _ => break,
            }
        }
        Ok(shown)
    }

    async fn show(
        &self,
        mut authorization: AuthorizationHandle<'_>,
    ) -> Result<Challenge, AcmeError> {
        let name = authorization.identifier().to_string();
        let (kind, word) = kind(self.settings.challenge);
        let Some(mut challenge) = authorization.challenge(kind) else {
            return Err(AcmeError::NoChallenge {
                challenge: word,
                name,
            });
        };
        let proof = challenge.key_authorization();
        let shown = match self.settings.challenge {
            AcmeChallenge::Http01 => Challenge::over_http(&challenge.token, &proof)?,
            AcmeChallenge::TlsAlpn01 => Challenge::in_handshake(&name, &proof, self.installer)?,
        };
        if challenge.status == ChallengeStatus::Pending {
            challenge
                .set_ready()
                .await
                .map_err(|error| not_proved(&name, error))?;
        }
        Ok(shown)
    }

    /// Looks at the order until it is no longer `busy`, which `word` describes.
    async fn settle(
        &self,
        order: &mut Order,
        word: &'static str,
        busy: impl Fn(OrderStatus) -> bool,
    ) -> Result<(), AcmeError> {
        let deadline = Instant::now() + SETTLE_TIME;
        let mut wait = LOOK_MIN;
        while busy(order.state().status) {
            if Instant::now() >= deadline {
                return Err(AcmeError::Slow(word, SETTLE_TIME.as_secs() / 60));
            }
            let asked = self
                .http
                .asked()
                .map(|asked| asked.clamp(LOOK_MIN, LOOK_MAX));
            tokio::time::sleep(asked.unwrap_or(wait)).await;
            wait = (wait * 2).min(LOOK_MAX);
            order.refresh().await?;
        }
        match order.state().status {
            OrderStatus::Invalid => Err(refused(order).await),
            _ => Ok(()),
        }
    }
}

fn kind(challenge: AcmeChallenge) -> (ChallengeType, &'static str) {
    match challenge {
        AcmeChallenge::Http01 => (ChallengeType::Http01, "http-01"),
        AcmeChallenge::TlsAlpn01 => (ChallengeType::TlsAlpn01, "tls-alpn-01"),
    }
}

fn not_proved(name: &str, error: instant_acme::Error) -> AcmeError {
    match error {
        instant_acme::Error::Api(problem) => AcmeError::NotProved {
            name: name.to_owned(),
            reason: told(&problem),
        },
        other => other.into(),
    }
}

/// Why the order is invalid: the first challenge that failed, or what the order itself says.
async fn refused(order: &mut Order) -> AcmeError {
    let own = own_reason(order.state());
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        // What is known of it is from before the challenge.
        if authorization.refresh().await.is_err() {
            break;
        }
        let name = authorization.identifier().to_string();
        let failed = authorization
            .challenges
            .iter()
            .find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = failed {
            return AcmeError::NotProved {
                name,
                reason: told(problem),
            };
        }
    }
    AcmeError::Refused(own)
}

fn own_reason(state: &OrderState) -> String {
    state.error.as_ref().map_or_else(|| plain(""), told)
}

/// A new ECDSA P-256 key, PEM, and the request for a certificate with it, DER. The subject is empty: names count as alternative names only.
fn key_and_request(names: &[Spanned<String>]) -> Result<(String, Vec<u8>), rcgen::Error> {
    let names: Vec<String> = names.iter().map(|name| name.value.clone()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let request = params.serialize_request(&key)?;
    Ok((key.serialize_pem(), request.der().to_vec()))
}
