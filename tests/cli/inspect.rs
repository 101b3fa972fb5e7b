//! `plugin inspect`.

use super::{repository, stderr, stdout, tollgate};
use std::path::Path;

/// A bundled component as the build made it.
fn bundled(name: &str) -> std::path::PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("it lies in the target folder");
    let file = format!("tollgate_plugin_{name}.wasm");
    target
        .join("plugins/wasm32-unknown-unknown/plugin")
        .join(file)
}

#[test]
fn a_component_says_what_it_is() {
    let file = bundled("acl");
    let output = tollgate(&["plugin", "inspect", file.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for words in [
        "name:     acl\n",
        "kind:     http-filter\n",
        "contract: tollgate:plugin@0.1.0\n",
        "grants:   none needed\n",
        "\"rule\"",
    ] {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
    let size = std::fs::metadata(&file).expect("the build made it").len();
    assert!(
        text.contains(&format!("size:     {size} bytes\n")),
        "{text}"
    );
    let digest = text
        .lines()
        .find_map(|line| line.strip_prefix("sha256:   "))
        .expect("a digest");
    assert!(
        digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{digest}"
    );
    assert!(!text.contains("wasi"), "{text}");
}

#[test]
fn a_component_says_what_it_has_to_be_granted() {
    let file = bundled("rate_limit");
    let output = tollgate(&["plugin", "inspect", file.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for words in [
        "tollgate:plugin/store@0.1.0\n",
        "tollgate:plugin/metrics@0.1.0\n",
        "grants:   store, by: grant { store \"rate-limit\" }\n",
    ] {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
}

#[test]
fn what_is_no_plugin_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let garbage = folder.path().join("garbage.wasm");
    let core_module = folder.path().join("core.wasm");
    std::fs::write(&garbage, "no component at all").expect("a writable folder");
    std::fs::write(&core_module, b"\0asm\x01\0\0\0").expect("a writable folder");
    for file in [garbage, core_module, repository().join("nowhere.wasm")] {
        let name = file
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let output = tollgate(&["plugin", "inspect", file.to_str().expect("UTF-8")]);
        assert_eq!(
            (output.status.code(), stdout(&output).as_str()),
            (Some(1), ""),
            "{name}"
        );
        let said = stderr(&output);
        assert!(
            said.contains(&name) && said.trim().len() > file.as_os_str().len() + 2,
            "{said}"
        );
    }
}
