//! The files of one certificate, and of the account with its authority.
//!
//! | file | holds |
//! |---|---|
//! | `account-….json` | the account's key and address; one file for each directory and external account, shared by all certificates |
//! | `<first name>.pem`, `<first name>.key` | the chain and its key |
//! | `<first name>.json` | a [`Record`]: where the certificate is from, and failures |
//! | `<first name>.lock` | nothing; locked by whoever is ordering |
//!
//! A file is replaced as a whole or not at all. Chain and key are two files, so a power cut between them leaves a pair that does not fit
//! together; that is noticed when it is read, and costs an order.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::certificate::Pair;
use super::error::AcmeError;
use crate::config::Acme;

/// A chain is some KiB; a file beyond this is not one of ours.
const FILE_BYTES_MAX: u64 = 1 << 20;
const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;

#[derive(Debug)]
pub(super) struct Storage {
    dir: PathBuf,
    /// The files of the certificate without what follows the last dot.
    stem: String,
    account: String,
}

/// What is known about a certificate beside itself.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The directory of the authority that it is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) directory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failures: Option<Failures>,
}

/// Orders in a row that failed or have not ended yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failures {
    /// A digest of what was tried. With other settings the next order may succeed, so it does not wait.
    pub(super) of: String,
    pub(super) count: u32,
    /// When the last one began or failed; seconds since 1970, as below.
    pub(super) at: u64,
    /// The authority wants nothing from us before then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not_before: Option<u64>,
}

/// While it lives nobody else orders this certificate.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Storage {
    pub(super) fn new(settings: &Acme) -> Storage {
        let external = settings
            .external_account
            .as_ref()
            .map(|(id, _)| id.as_str());
        let whose = digest(&[&settings.directory.value, external.unwrap_or_default()]);
        Storage {
            dir: settings.storage.value.clone(),
            stem: settings
                .names
                .first()
                .map_or_else(String::new, |name| stem(&name.value)),
            account: format!("account-{}.json", &whose[..16]),
        }
    }

    /// Makes the directory, for us alone, if it lacks.
    pub(super) fn prepare(&self) -> Result<(), AcmeError> {
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir);
        made.map_err(failed("create", &self.dir))
    }

    /// None if somebody else has it.
    pub(super) fn lock(&self) -> Result<Option<Lock>, AcmeError> {
        let path = self.path("lock");
        let mut options = OpenOptions::new();
        options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(SECRET);
        let file = options.open(&path).map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed("lock", &path)(error)),
        }
    }

    /// Chain and key, whatever they hold. None unless both are there.
    pub(super) fn pair(&self) -> Result<Option<Pair>, AcmeError> {
        let chain = read(&self.path("pem"))?;
        let key = read(&self.path("key"))?;
        Ok(chain.zip(key))
    }

    /// Both are written out before either is put in its place.
    pub(super) fn save_pair(&self, (chain, key): &Pair) -> Result<(), AcmeError> {
        let key = Draft::write(self.path("key"), key, SECRET)?;
        let chain = Draft::write(self.path("pem"), chain, PUBLIC)?;
        key.publish()?;
        chain.publish()?;
        self.sync()
    }

    /// One that cannot be understood counts as none.
    pub(super) fn record(&self) -> Record {
        let text = read(&self.path("json")).ok().flatten();
        text.and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    pub(super) fn save_record(&self, record: &Record) -> Result<(), AcmeError> {
        let text = serde_json::to_vec(record).expect("texts and numbers are JSON");
        Draft::write(self.path("json"), &text, SECRET)?.publish()?;
        self.sync()
    }

    pub(super) fn account(&self) -> Result<Option<Vec<u8>>, AcmeError> {
        read(&self.dir.join(&self.account))
    }

    pub(super) fn save_account(&self, text: &[u8]) -> Result<(), AcmeError> {
        Draft::write(self.dir.join(&self.account), text, SECRET)?.publish()?;
        self.sync()
    }

    pub(super) fn forget_account(&self) -> Result<(), AcmeError> {
        let path = self.dir.join(&self.account);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(failed("remove", &path)(error))
            }
            _ => self.sync(),
        }
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{extension}", self.stem))
    }

    /// A rename is on disk only when its directory is.
    fn sync(&self) -> Result<(), AcmeError> {
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(failed("write", &self.dir))
    }
}

/// A file that is written but not in its place yet; it goes when it is dropped.
struct Draft {
    draft: PathBuf,
    path: PathBuf,
}

impl Draft {
    fn write(path: PathBuf, bytes: &[u8], mode: u32) -> Result<Draft, AcmeError> {
        let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
        name.push(format!(".{:016x}", fastrand::u64(..)));
        let draft = path.with_file_name(name);
        let mut options = OpenOptions::new();
        options.create_new(true).write(true).mode(mode);
        let mut file = options.open(&draft).map_err(failed("create", &draft))?;
        let draft = Draft { draft, path };
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(failed("write", &draft.draft))?;
        Ok(draft)
    }

    fn publish(self) -> Result<(), AcmeError> {
        std::fs::rename(&self.draft, &self.path).map_err(failed("write", &self.path))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Once it is published there is none; if it cannot be removed it is only litter.
        let _ = std::fs::remove_file(&self.draft);
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, AcmeError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed("read", path))?,
    };
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(failed("read", path))?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(failed("read", path)(io::Error::from(
            ErrorKind::FileTooLarge,
        ))),
        false => Ok(Some(bytes)),
    }
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AcmeError {
    let path = path.to_owned();
    move |source| AcmeError::Storage { act, path, source }
}

/// A name as the name of a file. Host names are that already; nothing else may lead out of the directory.
fn stem(name: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = name
        .chars()
        .map(|c| if kept(c) { c } else { '_' })
        .collect();
    match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}

/// SHA-256 over all parts, so that no two lists of parts have the same; 64 hexadecimal digits.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let digest = digest.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
