//! Lists in files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Published, all_found, discovery, found};
use crate::config::{Discovery, DiscoverySource};
use crate::discovery::{Found, LookError, look};

fn file(path: &Path) -> Discovery {
    discovery(DiscoverySource::File(path.to_owned()), &[])
}

/// As an editor does it.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).expect("writes");
    std::fs::rename(&new, path).expect("renames");
}

fn in_directory(name: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name);
    (directory, path)
}

#[tokio::test]
async fn the_ending_tells_the_format() {
    let json = "[\"192.0.2.2:80\", {\"address\": \"192.0.2.1:80\", \"requests-max\": 3}]";
    let kdl = "endpoint \"192.0.2.2:80\"\nendpoint \"192.0.2.1:80\" requests-max=3\n";
    let with_limit = |address, limit| Found {
        requests_max: Some(limit),
        ..found(address)
    };
    for (name, text) in [("list.json", json), ("list.kdl", kdl), ("list", kdl)] {
        let (_directory, path) = in_directory(name);
        std::fs::write(&path, text).expect("writes");
        let source = Discovery {
            requests_max: Some(9),
            ..file(&path)
        };
        let (list, _) = look(&source).await.expect("found");
        let expected = [with_limit("192.0.2.1:80", 3), with_limit("192.0.2.2:80", 9)];
        assert_eq!(list, expected, "{name}");
    }
}

#[tokio::test]
async fn errors_name_file_and_line() {
    let (directory, path) = in_directory("list.json");
    let error = look(&file(&path)).await.expect_err("there is no file");
    assert!(matches!(error, LookError::Read { .. }), "{error:?}");
    assert!(
        error.chain().contains("list.json cannot be read: "),
        "{}",
        error.chain()
    );
    let error = look(&file(directory.path())).await.expect_err("no list");
    assert!(matches!(error, LookError::Read { .. }), "{error:?}");
    std::fs::write(&path, "[\n\n7]").expect("writes");
    let error = look(&file(&path)).await.expect_err("no list");
    assert!(error.to_string().contains("list.json:3: "), "{error}");
    std::fs::write(&path, "[]").expect("writes");
    let error = look(&file(&path)).await.expect_err("empty");
    assert!(matches!(error, LookError::Empty), "{error:?}");
}

#[tokio::test]
async fn changes_in_place_and_by_rename_are_published_and_broken_files_are_not() {
    let (_directory, path) = in_directory("list.json");
    std::fs::write(&path, "[\"192.0.2.1:80\"]").expect("writes");
    let source = Discovery {
        // Nothing but the watch may notice.
        refresh: Some(Duration::from_secs(3600)),
        ..file(&path)
    };
    let initial = Some(all_found(&["192.0.2.9:80"]));
    let mut published = Published::by(source, initial);
    assert_eq!(published.next().await, all_found(&["192.0.2.1:80"]));
    std::fs::write(&path, "[\"192.0.2.2:80\"] ").expect("writes");
    assert_eq!(published.next().await, all_found(&["192.0.2.2:80"]));
    replace(&path, "[\"192.0.2.3:80\"]");
    assert_eq!(published.next().await, all_found(&["192.0.2.3:80"]));
    replace(&path, "[\"192.0.2.4:80\"");
    replace(&path, "[\"192.0.2.5:80\"]");
    assert_eq!(published.next().await, all_found(&["192.0.2.5:80"]));
    published.assert_nothing_more();
}

#[tokio::test]
async fn a_broken_or_missing_file_keeps_the_last_good_list() {
    let (_directory, path) = in_directory("list.kdl");
    std::fs::write(&path, "endpoint \"192.0.2.1:80\"").expect("writes");
    let source = Discovery {
        refresh: Some(Duration::from_millis(10)),
        ..file(&path)
    };
    let mut published = Published::by(source, None);
    published.next().await;
    replace(&path, "endpoint");
    assert!(look(&file(&path)).await.is_err());
    std::fs::remove_file(&path).expect("removes");
    assert!(look(&file(&path)).await.is_err());
    replace(&path, "endpoint \"192.0.2.2:80\"");
    assert_eq!(published.next().await, all_found(&["192.0.2.2:80"]));
    published.assert_nothing_more();
}

#[tokio::test]
async fn a_directory_that_is_made_later_is_found() {
    let (directory, _) = in_directory("");
    let inner = directory.path().join("later");
    let path = inner.join("list.json");
    let source = Discovery {
        refresh: Some(Duration::from_millis(10)),
        ..file(&path)
    };
    let mut published = Published::by(source, None);
    std::fs::create_dir(&inner).expect("makes");
    replace(&path, "[\"192.0.2.1:80\"]");
    assert_eq!(published.next().await, all_found(&["192.0.2.1:80"]));
}
