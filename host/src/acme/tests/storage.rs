//! Files, and what becomes of them.

use super::fixture::Site;
use crate::acme::error::AcmeError;
use crate::acme::storage::{Failures, Record, Storage};
use crate::acme::stored;

fn site(name: &str) -> (Site, Storage) {
    let site = Site::new("https://acme.example/directory".to_owned(), &[name]);
    let storage = site.storage();
    storage.prepare().expect("a directory");
    (site, storage)
}

#[test]
fn what_is_saved_is_read_again_and_replaced_as_a_whole() {
    let (site, storage) = site("a.example");
    assert!(storage.pair().expect("readable").is_none());
    for round in [b"one".as_slice(), b"another", b""] {
        let pair = (round.to_vec(), b"key".to_vec());
        storage.save_pair(&pair).expect("saved");
        assert_eq!(storage.pair().expect("readable"), Some(pair));
    }
    assert_eq!(site.files(), ["a.example.key", "a.example.pem"]);
    std::fs::remove_file(site.path("a.example.key")).expect("removed");
    assert!(
        storage.pair().expect("readable").is_none(),
        "half a pair is none"
    );
}

#[test]
fn a_pair_that_cannot_be_put_in_its_place_leaves_no_draft() {
    let (site, storage) = site("a.example");
    std::fs::create_dir(site.path("a.example.pem")).expect("made");
    let error = storage.save_pair(&(b"chain".to_vec(), b"key".to_vec()));
    assert!(matches!(error, Err(AcmeError::Storage { .. })));
    assert_eq!(site.files(), ["a.example.key", "a.example.pem"]);
    assert!(storage.pair().is_err());
    assert_eq!(stored(&site.settings), None);
}

#[test]
fn a_record_is_read_again_and_garbage_is_none() {
    let (site, storage) = site("a.example");
    assert_eq!(storage.record(), Record::default());
    let record = Record {
        directory: Some("https://acme.example/directory".to_owned()),
        failures: Some(Failures {
            of: "settings".to_owned(),
            count: 3,
            at: 1_800_000_000,
            not_before: Some(u64::MAX),
        }),
    };
    storage.save_record(&record).expect("saved");
    assert_eq!(storage.record(), record);
    for garbage in ["", "{", "[]", r#"{"failures": {"count": -1}}"#] {
        std::fs::write(site.path("a.example.json"), garbage).expect("written");
        assert_eq!(storage.record(), Record::default(), "{garbage:?}");
    }
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let (site, storage) = site("a.example");
    let longest = vec![b'a'; 1 << 20];
    storage
        .save_pair(&(longest.clone(), b"key".to_vec()))
        .expect("saved");
    assert!(storage.pair().expect("readable").is_some());
    std::fs::write(
        site.path("a.example.pem"),
        [longest, b"a".to_vec()].concat(),
    )
    .expect("written");
    assert!(storage.pair().is_err());
}

#[test]
fn one_at_a_time_has_the_lock_of_one_certificate() {
    let (site, storage) = site("a.example");
    let lock = storage.lock().expect("a file").expect("free");
    let other = site.storage();
    assert!(other.lock().expect("a file").is_none());
    let mut elsewhere = site.restarted();
    elsewhere.settings.names[0].value = "b.example".to_owned();
    assert!(elsewhere.storage().lock().expect("a file").is_some());
    drop(lock);
    assert!(other.lock().expect("a file").is_some());
}

#[test]
fn no_name_leads_out_of_the_directory() {
    for (name, expected) in [
        ("../../etc/passwd", "_._.._etc_passwd.pem"),
        ("..", "_..pem"),
        (".", "_.pem"),
        ("a/b", "a_b.pem"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example.pem"),
    ] {
        let (site, storage) = site(name);
        storage.save_pair(&(Vec::new(), Vec::new())).expect("saved");
        assert!(site.path(expected).exists(), "{name}: {:?}", site.files());
    }
}
