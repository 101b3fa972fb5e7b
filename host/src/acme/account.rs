//! Our account with the authority: made once, kept, and kept up to date.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Uri;
use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::AcmeError;
use super::heed::Heed;
use super::storage::Storage;
use crate::config::Acme;

/// As it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// As the authority knows it.
    contact: Option<String>,
    credentials: AccountCredentials,
}

/// The kept account, or a new one. Saves what changes.
pub(super) async fn open(
    settings: &Acme,
    storage: &Storage,
    http: &Heed,
) -> Result<Account, AcmeError> {
    match kept(settings, storage)? {
        Some(kept) => restore(kept, settings, storage, http).await,
        None => create(settings, storage, http).await,
    }
}

/// The kept account as it is, to ask something that changes nothing.
pub(super) async fn existing(
    settings: &Acme,
    storage: &Storage,
    http: &Heed,
) -> Result<Option<Account>, AcmeError> {
    let Some(kept) = kept(settings, storage)? else {
        return Ok(None);
    };
    let builder = Account::builder_with_http(Box::new(http.clone()));
    Ok(Some(builder.from_credentials(kept.credentials).await?))
}

/// One that cannot be understood or is for another directory counts as none: authorities make new accounts for nothing.
fn kept(settings: &Acme, storage: &Storage) -> Result<Option<Kept>, AcmeError> {
    // The library expects it to be an address.
    if settings.directory.value.parse::<Uri>().is_err() {
        return Err(AcmeError::Directory);
    }
    let text = storage.account()?;
    let kept = text.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let kept = kept.filter(|kept| kept["credentials"]["directory"] == settings.directory.value);
    Ok(kept.and_then(|kept| serde_json::from_value(kept).ok()))
}

async fn restore(
    mut kept: Kept,
    settings: &Acme,
    storage: &Storage,
    http: &Heed,
) -> Result<Account, AcmeError> {
    let copy = copy(&kept.credentials);
    let builder = Account::builder_with_http(Box::new(http.clone()));
    let account = builder.from_credentials(copy).await?;
    let contact = contact(settings);
    if kept.contact != contact {
        let contacts: Vec<&str> = contact.iter().map(String::as_str).collect();
        account.update_contacts(&contacts).await?;
        kept.contact = contact;
        save(&kept, storage)?;
    }
    Ok(account)
}

async fn create(settings: &Acme, storage: &Storage, http: &Heed) -> Result<Account, AcmeError> {
    let external = external_key(settings)?;
    let contact = contact(settings);
    let contacts: Vec<&str> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contacts,
        terms_of_service_agreed: settings.terms_agreed,
        only_return_existing: false,
    };
    let builder = Account::builder_with_http(Box::new(http.clone()));
    let directory = settings.directory.value.clone();
    let (account, credentials) = builder
        .create(&wanted, directory, external.as_ref())
        .await?;
    save(
        &Kept {
            contact,
            credentials,
        },
        storage,
    )?;
    Ok(account)
}

fn save(kept: &Kept, storage: &Storage) -> Result<(), AcmeError> {
    storage.save_account(&serde_json::to_vec(kept).expect("texts are JSON"))
}

/// The library takes credentials for good and gives no copy.
fn copy(credentials: &AccountCredentials) -> AccountCredentials {
    let text = serde_json::to_vec(credentials).expect("texts are JSON");
    serde_json::from_slice(&text).expect("it was written from the same type")
}

fn contact(settings: &Acme) -> Option<String> {
    let contact = settings.contact.as_deref()?;
    Some(match contact.starts_with("mailto:") {
        true => contact.to_owned(),
        false => format!("mailto:{contact}"),
    })
}

/// Authorities hand the key out as base64url, some with padding.
fn external_key(settings: &Acme) -> Result<Option<ExternalAccountKey>, AcmeError> {
    let Some((id, key)) = &settings.external_account else {
        return Ok(None);
    };
    let key = URL_SAFE_NO_PAD.decode(key.0.trim_end_matches('='));
    let key = key.map_err(|_| AcmeError::ExternalKey)?;
    Ok(Some(ExternalAccountKey::new(id.clone(), &key)))
}
