//! Files that are not plugins are refused in words, whatever they are.

use std::path::Path;

use super::super::{Engine, EngineError, Kind, LoadError, inspect};
use super::{engine, guests};

fn hostile() -> Vec<u8> {
    std::fs::read(guests::hostile()).expect("the guest is built")
}

fn load(bytes: &[u8]) -> LoadError {
    engine().load_bytes("test", bytes).expect_err("refused")
}

fn text(component: &str) -> Vec<u8> {
    wat::parse_str(component).expect("valid text format")
}

#[test]
fn what_is_not_a_component_is_refused_in_words() {
    let cut = hostile()[..20_000].to_vec();
    let mut damaged = hostile();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", vec![], "not WebAssembly"),
        ("text", b"#!/bin/sh".to_vec(), "not WebAssembly"),
        ("half a magic number", b"\0as".to_vec(), "not WebAssembly"),
        ("a core module", text("(module)"), "core module"),
        ("a bare component", text("(component)"), "no plugin"),
        ("a cut file", cut, "cut short"),
        ("a header alone", hostile()[..8].to_vec(), "no plugin"),
        ("a damaged file", damaged, ""),
    ];
    for (what, bytes, words) in table {
        let error = load(&bytes).to_string();
        assert!(error.contains(words), "{what}: {error}");
    }
    let error = engine()
        .load_file(Path::new("/no/such/file.wasm"))
        .expect_err("no file");
    assert!(matches!(error, LoadError::Read { .. }), "{error}");
}

#[test]
fn no_cut_or_flip_panics() {
    let bytes = hostile();
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..300 {
        let mut bytes = bytes[..random.usize(..=bytes.len())].to_vec();
        for _ in 0..random.usize(0..4) {
            if let Some(index) = bytes.len().checked_sub(1) {
                bytes[random.usize(..=index)] = random.u8(..);
            }
        }
        // Either answer is right; it must come.
        let _ = inspect("test", &bytes);
    }
}

/// A component that exports an empty instance under this name.
fn exporting(name: &str) -> Vec<u8> {
    text(&format!(
        r#"(component (instance $i) (export "{name}" (instance $i)))"#
    ))
}

#[test]
fn another_version_of_the_contract_is_explained() {
    for name in [
        "tollgate:plugin/http@0.2.0",
        "tollgate:plugin/http@1.0.0",
        "tollgate:plugin/http",
    ] {
        let error = load(&exporting(name));
        assert!(
            matches!(error, LoadError::ContractVersion { .. }),
            "{name}: {error}"
        );
        let words = error.to_string();
        assert!(
            words.contains(name) && words.contains("0.1.0") && words.contains("rebuild"),
            "{words}"
        );
    }
    assert!(matches!(
        load(&exporting("tollgate:plugin/other@0.1.0")),
        LoadError::NotAPlugin
    ));
    let error = load(&exporting("tollgate:plugin/http@0.1.9"));
    assert!(
        error.to_string().contains("configure"),
        "a patch is of the same track: {error}"
    );
}

#[test]
fn imports_that_the_host_does_not_have_are_named() {
    let importing = |name: &str, kind: &str| {
        let text_of = format!(
            r#"(component (import "{name}" (instance)) (instance $i) (export "tollgate:plugin/{kind}@0.1.0" (instance $i)))"#
        );
        load(&text(&text_of)).to_string()
    };
    for name in [
        "evil:host/files@1.0.0",
        "wasi:io/streams@0.3.0",
        "tollgate:other/log@0.1.0",
    ] {
        let error = importing(name, "http");
        assert!(error.contains(name), "{error}");
    }
    for (name, kind) in [
        ("tollgate:plugin/loads@0.1.0", "http"),
        ("tollgate:plugin/measures@0.1.0", "http"),
        ("tollgate:plugin/measures@0.1.0", "network"),
        ("tollgate:plugin/exchange@0.1.0", "balance"),
        ("tollgate:plugin/unknown@0.1.0", "http"),
    ] {
        let error = importing(name, kind);
        assert!(
            error.contains(name) && error.contains("not granted"),
            "{error}"
        );
    }
    assert!(importing("tollgate:plugin/log@0.2.0", "http").contains("rebuild"));
}

#[test]
fn a_function_of_another_type_is_refused_at_load_or_configure() {
    let wrong = text(
        r#"(component (import "tollgate:plugin/clock@0.1.0" (instance (export "wall" (func (result string)))))
            (instance $i) (export "tollgate:plugin/http@0.1.0" (instance $i)))"#,
    );
    assert!(matches!(load(&wrong), LoadError::Link(_)));
}

#[test]
fn inspection_needs_no_engine() {
    let bytes = hostile();
    let inspection = inspect("hostile", &bytes).expect("a plugin");
    assert_eq!(
        (
            inspection.kind,
            inspection.contract.as_str(),
            inspection.size
        ),
        (Kind::HttpFilter, "0.1.0", bytes.len())
    );
    assert_eq!(inspection.manifest.name, "hostile");
    assert_eq!(inspection.sha256.len(), 64);
    for import in ["log", "clock", "random", "exchange"] {
        assert!(
            inspection
                .imports
                .contains(&format!("tollgate:plugin/{import}@0.1.0")),
            "{import} in {:?}",
            inspection.imports
        );
    }
}

/// Appends a custom section to a component.
fn with_manifest(mut bytes: Vec<u8>, manifest: &[u8]) -> Vec<u8> {
    let name = b"tollgate:manifest";
    let mut content = vec![name.len() as u8];
    content.extend_from_slice(name);
    content.extend_from_slice(manifest);
    bytes.push(0);
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(content);
    bytes
}

#[test]
fn the_manifest_is_read_and_a_broken_one_refused() {
    let manifest = br#"{"name":"geo","version":"1.2.3","description":"By country","kind":"http-filter","settings":{"type":"object"}}"#;
    let manifest = inspect("file", &with_manifest(hostile(), manifest))
        .expect("a plugin")
        .manifest;
    assert_eq!(
        (manifest.name.as_str(), manifest.version.as_deref()),
        ("geo", Some("1.2.3"))
    );
    assert_eq!(
        manifest.settings,
        Some(serde_json::json!({ "type": "object" }))
    );
    for broken in [&b"{"[..], b"[]", b"{}", b"\xff"] {
        let error = inspect("file", &with_manifest(hostile(), broken)).expect_err("refused");
        assert!(matches!(error, LoadError::Manifest(_)), "{error}");
    }
}

#[test]
fn compiled_code_is_kept_in_a_folder_that_is_ours_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().expect("a folder");
    let dir = place.path().join("compiled");
    let cached = Engine::new(Some(dir.clone())).expect("an engine");
    let first = cached.load_file(&guests::hostile()).expect("loads");
    let again = Engine::new(Some(dir.clone()))
        .expect("an engine")
        .load_file(&guests::hostile())
        .expect("loads");
    assert_eq!(first.digest(), again.digest());
    assert!(
        std::fs::read_dir(&dir).expect("the folder").count() > 0,
        "something is kept"
    );
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).expect("permissions");
    let error = Engine::new(Some(dir)).expect_err("refused");
    assert!(matches!(error, EngineError::CacheFolder { .. }), "{error}");
}
