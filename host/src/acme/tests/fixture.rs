//! A site that wants a certificate: its settings, its storage, and who shows what it gets.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::{Request, Response};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::authority::{Authority, Proof};
use crate::acme::certificate::{Certificate, Pair};
use crate::acme::maintain::Maintainer;
use crate::acme::storage::{Record, Storage};
use crate::acme::world::World;
use crate::acme::{Installer, http_challenge};
use crate::config::{Acme, AcmeChallenge, Place, Spanned};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
/// Longer than any order without trouble takes.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// For this name no challenge can be shown.
pub(super) const REFUSED: &str = "refused.example";

pub(super) struct Site {
    pub(super) settings: Acme,
    pub(super) recorder: Arc<Recorder>,
    /// Goes with the last site that uses it.
    dir: Arc<TempDir>,
}

/// Remembers what it is given.
pub(super) struct Recorder {
    installed: watch::Sender<Vec<Pair>>,
    /// Certificate and key of each challenge that is shown now, by name.
    shown: Mutex<HashMap<String, Pair>>,
    /// Names of every challenge ever shown.
    pub(super) every: Mutex<Vec<String>>,
}

impl Site {
    pub(super) fn new(directory: String, names: &[&str]) -> Site {
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        let settings = Acme {
            directory: spanned(directory),
            names: names
                .iter()
                .map(|name| spanned((*name).to_owned()))
                .collect(),
            contact: Some("admin@example.com".to_owned()),
            terms_agreed: true,
            storage: spanned(dir.path().join("certificates")),
            challenge: AcmeChallenge::Http01,
            ca: None,
            external_account: None,
        };
        let recorder = Arc::new(Recorder {
            installed: watch::Sender::new(Vec::new()),
            shown: Mutex::default(),
            every: Mutex::default(),
        });
        Site {
            settings,
            recorder,
            dir,
        }
    }

    /// With an authority that is called without sockets, so that time may be paused; its clock and ours begin at the first of January 2027 when
    /// this is called, and it looks at the proofs of this process.
    pub(super) fn in_memory(names: &[&str]) -> (Site, Authority, Clock) {
        let clock = Clock::start();
        let authority = Authority::new("http://127.0.0.1:1", shown_here, move || clock.now());
        (Site::new(authority.directory(), names), authority, clock)
    }

    /// As after a start with these settings; what was installed before is forgotten.
    pub(super) fn restarted(&self) -> Site {
        let fresh = Site::new(String::new(), &[]);
        Site {
            settings: self.settings.clone(),
            dir: self.dir.clone(),
            ..fresh
        }
    }

    pub(super) fn run(&self, authority: &Authority, clock: Clock) -> Running {
        let maintainer = self.maintainer(authority, clock);
        Running(tokio::spawn(maintainer.run()))
    }

    pub(super) fn maintainer(&self, authority: &Authority, clock: Clock) -> Maintainer {
        let authority = authority.clone();
        let world = World {
            now: Box::new(move || clock.now()),
            chance: Box::new(|| 0.0),
            connect: Box::new(move |_| Ok(Arc::new(Wire(authority.clone())))),
        };
        Maintainer::new(self.settings.clone(), self.recorder.clone(), world)
    }

    pub(super) fn storage(&self) -> Storage {
        Storage::new(&self.settings)
    }

    pub(super) fn record(&self) -> Record {
        self.storage().record()
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.settings.storage.value.join(name)
    }

    /// Names of all files in the storage, sorted.
    pub(super) fn files(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.settings.storage.value).expect("a directory");
        let name = |file: std::io::Result<std::fs::DirEntry>| {
            file.expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        };
        let mut names: Vec<String> = files.map(name).collect();
        names.sort();
        names
    }
}

impl Recorder {
    /// The `count`th pair that was installed, once it is.
    pub(super) async fn installed(&self, count: usize) -> Pair {
        let mut installed = self.installed.subscribe();
        let pairs = installed.wait_for(|pairs| pairs.len() >= count).await;
        pairs.expect("we hold the sender")[count - 1].clone()
    }

    pub(super) fn count(&self) -> usize {
        self.installed.borrow().len()
    }

    pub(super) fn shown(&self, name: &str) -> Option<Pair> {
        self.shown.lock().expect("not poisoned").get(name).cloned()
    }

    pub(super) fn shows_nothing(&self) -> bool {
        self.shown.lock().expect("not poisoned").is_empty()
    }
}

impl Installer for Recorder {
    fn install(&self, chain_pem: &[u8], key_pem: &[u8]) -> Result<(), String> {
        let pair = (chain_pem.to_vec(), key_pem.to_vec());
        self.installed.send_modify(|pairs| pairs.push(pair));
        Ok(())
    }

    fn show_challenge(
        &self,
        name: &str,
        certificate_der: Vec<u8>,
        key_der: Vec<u8>,
    ) -> Result<(), String> {
        if name == REFUSED {
            return Err("not here".to_owned());
        }
        let mut shown = self.shown.lock().expect("not poisoned");
        shown.insert(name.to_owned(), (certificate_der, key_der));
        self.every
            .lock()
            .expect("not poisoned")
            .push(name.to_owned());
        Ok(())
    }

    fn clear_challenge(&self, name: &str) {
        let mut shown = self.shown.lock().expect("not poisoned");
        assert!(shown.remove(name).is_some(), "{name} was not shown");
    }
}

/// A task that ends with the test.
pub(super) struct Running(JoinHandle<()>);

impl Running {
    /// Stops when the first certificate is installed, and all is done that follows.
    pub(super) async fn first(self, site: &Site) -> Pair {
        self.nth(site, 1).await
    }

    /// The same with a later one.
    pub(super) async fn nth(self, site: &Site, count: usize) -> Pair {
        let pair = tokio::time::timeout(DAY, site.recorder.installed(count)).await;
        tokio::time::sleep(SOON).await;
        self.stop().await;
        pair.expect("a certificate")
    }

    pub(super) async fn stop(mut self) {
        self.0.abort();
        let ended = (&mut self.0).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The wall clock of a test: goes on with tokio's.
#[derive(Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    fn start() -> Clock {
        Clock(Instant::now())
    }

    pub(super) fn now(self) -> SystemTime {
        // The first of January 2027.
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_798_761_600) + self.0.elapsed()
    }
}

/// What an authority would see that could look into this process.
fn shown_here(proof: &Proof) -> Result<(), String> {
    match http_challenge(&proof.token) {
        Some(shown) if shown == proof.key_authorization => Ok(()),
        Some(_) => Err("another key authorization".to_owned()),
        None => Err("there is no such token".to_owned()),
    }
}

/// The authority, without sockets.
struct Wire(Authority);

impl HttpClient for Wire {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let authority = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.expect("it cannot fail").to_bytes();
            let answer = authority.answer(parts.method.as_str(), parts.uri.path(), &body);
            let mut response = Response::builder().status(answer.status);
            for (name, value) in answer.fields {
                response = response.header(name, value);
            }
            let body = http_body_util::Full::new(Bytes::from(answer.body));
            Ok(BytesResponse::from(
                response.body(body).expect("a response"),
            ))
        })
    }
}

pub(super) fn certificate(pair: &Pair) -> Certificate {
    Certificate::parse(pair.clone()).expect("a certificate and its key")
}

pub(super) fn spanned<T>(value: T) -> Spanned<T> {
    Spanned {
        value,
        place: Place::default(),
    }
}
