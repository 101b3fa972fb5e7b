//! What is kept, where, and what it is good for at the next start.

use super::{HANDSHAKE, Site, installed, web};
use crate::harness::{self, Proxy, TlsClient};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Name and mode of what is in a folder, in order.
fn files(folder: &Path) -> Vec<(String, u32)> {
    let entries = std::fs::read_dir(folder).expect("it is there");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("readable");
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, mode(&entry.path()))
        })
        .collect();
    files.sort();
    files
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o777
}

#[test]
fn what_is_kept_lies_in_the_folder_that_is_named_and_secrets_are_for_the_owner() {
    for (more, folder) in [("", "acme"), ("storage \"kept/here\";", "kept/here")] {
        let site = Site::by_handshake();
        let text = web(&site.directory(), "", &format!("{more} {HANDSHAKE}"));
        let proxy = Proxy::start(&text);
        site.look_at(proxy.address("web"));
        installed(&proxy);
        let folder = proxy.directory().join(folder);
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        let mut files = files(&folder);
        let (account, _) = files.remove(4);
        assert!(account.starts_with("account-") && account.ends_with(".json"));
        assert_eq!(mode(&folder.join(account)), 0o600);
        let expected = [
            ("a.example.json", 0o600),
            ("a.example.key", 0o600),
            ("a.example.lock", 0o600),
            ("a.example.pem", 0o644),
        ];
        assert_eq!(files, expected.map(|(name, mode)| (name.to_owned(), mode)));
    }
}

#[test]
fn a_stored_certificate_is_shown_from_the_next_start_on_without_an_order() {
    let (site, storage) = (Site::by_handshake(), storage());
    let text = storing(&site, storage.path());
    let proxy = Proxy::start(&text);
    site.look_at(proxy.address("web"));
    installed(&proxy);
    let first = site.shake(&proxy, "a.example").expect("it is there");
    drop(proxy);
    let proxy = Proxy::start(&text);
    let again = site.shake(&proxy, "a.example").expect("from the first on");
    assert_eq!(again.certificate, first.certificate);
    installed(&proxy);
    // An order that had begun by itself would come before this one.
    let more = text.replace("name \"a.example\"", "name \"a.example\" \"b.example\"");
    site.look_at(proxy.address("web"));
    proxy.reload(&more).expect("it is valid");
    harness::wait(|| match site.authority.issued().len() {
        2 => Ok(()),
        issued => Err(format!("{issued} certificates")),
    });
    let ordered = site.authority.ordered();
    assert_eq!(ordered, [vec!["a.example"], vec!["a.example", "b.example"]]);
    assert_eq!(site.authority.contacts().len(), 1, "one account for both");
}

#[test]
fn a_stored_certificate_near_its_end_serves_until_it_is_renewed() {
    let (site, storage) = (Site::by_handshake(), storage());
    let before = harness::Authority::new();
    let identity = before.issue_with(&["a.example"], |params| {
        let now = SystemTime::now();
        params.not_before = (now - Duration::from_secs(80 * 24 * 3600)).into();
        params.not_after = (now + Duration::from_secs(10 * 24 * 3600)).into();
    });
    for (name, text) in [
        ("a.example.pem", &identity.chain),
        ("a.example.key", &identity.key),
    ] {
        std::fs::write(storage.path().join(name), text).expect("a writable folder");
    }
    let proxy = Proxy::start(&storing(&site, storage.path()));
    site.begun();
    let mark = proxy.log_mark();
    let client = TlsClient::new(&before, "a.example");
    let mut early = client.connect(proxy.address("web"));
    site.look_at(proxy.address("web"));
    super::installed_after(&proxy, mark);
    site.shake(&proxy, "a.example").expect("the new one");
    let response = early.ask("GET", "/early", "Host: a.example\r\n");
    assert_eq!(response.status, 200, "a connection outlives the renewal");
    assert_eq!(proxy.line_of("/early").outcome(), "route-reply");
    assert_eq!(site.authority.ordered(), [["a.example"]]);
}

fn storage() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn storing(site: &Site, storage: &Path) -> String {
    let more = format!("storage \"{}\"; {HANDSHAKE}", storage.display());
    web(&site.directory(), "", &more)
}
