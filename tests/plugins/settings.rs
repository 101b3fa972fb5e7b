//! What a plugin says against its settings is reported at their place in the configuration, before anything runs.

use super::{folder, guests};
use crate::harness::{Proxy, binary, cache_dir};
use std::process::Command;
use tempfile::TempDir;

/// What `check` says to a configuration in this folder; it must refuse.
fn refused(directory: &TempDir, text: &str) -> String {
    let file = directory.path().join("config.kdl");
    std::fs::write(&file, text).expect("a writable folder");
    let output = Command::new(binary())
        .arg("check")
        .arg(&file)
        .env("TOLLGATE_CACHE_DIR", cache_dir())
        .output()
        .expect("it runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn an_error_of_configure_points_at_the_setting() {
    let directory = folder(&[("hostile.wasm", &guests::hostile())]);
    let text = "plugin \"hostile\" \"hostile.wasm\"\nlistener \"web\" \"127.0.0.1:0\" {\n    route {\n        filters { hostile { mode \"configure-error\" } }\n        respond 200\n    }\n}\n";
    let said = refused(&directory, text);
    assert!(said.contains("no such mode"), "{said}");
    assert!(
        said.contains("config.kdl:4:29"),
        "the place of `mode`: {said}"
    );
}

#[test]
fn errors_of_bundled_plugins_are_all_reported_at_once_each_at_its_place() {
    let directory = folder(&[]);
    let text = r#"listener "web" "127.0.0.1:0" {
    network-filters { ip-acl { deny "10.0.0.0/33" } }
    filters {
        acl {
            rule "deny" { path-regex "(" }
        }
        headers {
            request { set "x y" "1" }
            response { set "x-a" "{nonsense}" }
        }
        rewrite { strip-prefix "api" }
        request-id header="content-length"
        redirect {
            rule "https://a.test{rest}" { path "/a/*" }
            rule status=200 https=#true
        }
        security-headers {
            hsts preload=#true
            off "frame-options" "permissions-policy"
        }
        cors {
            origin "https://a.test" "https://b.test/"
            expose "x y"
        }
        maintenance status=204 {
            except { cookie "a b" }
        }
    }
    route { respond 200 }
}
"#;
    let said = refused(&directory, text);
    for line in [2, 5, 8, 9, 11, 12, 14, 15, 18, 19, 22, 23, 25, 26] {
        assert!(
            said.contains(&format!("config.kdl:{line}:")),
            "line {line}: {said}"
        );
    }
}

#[test]
fn a_plugin_that_fails_to_configure_itself_is_refused() {
    let directory = folder(&[("hostile.wasm", &guests::hostile())]);
    for (mode, said) in [
        ("configure-trap", "failed while it was configured"),
        ("configure-spin", "failed while it was configured"),
        ("needs-framing", "content-length"),
        ("needs-network", "10.0.0.0/99"),
    ] {
        let text = format!(
            "plugin \"hostile\" \"hostile.wasm\"\nlistener \"web\" \"127.0.0.1:0\" {{\n    filters {{ hostile {{ mode \"{mode}\" }} }}\n    route {{ respond 200 }}\n}}\n"
        );
        let refusal = refused(&directory, &text);
        assert!(
            refusal.contains(said) && refusal.contains("config.kdl:3:"),
            "{mode}: {refusal}"
        );
    }
}

#[test]
fn a_reload_with_settings_that_a_plugin_refuses_changes_nothing() {
    let text = |mode: &str| {
        format!(
            "plugin \"hostile\" \"hostile.wasm\"\nlistener \"web\" \"127.0.0.1:0\" {{\n    filters {{ hostile {{ mode \"{mode}\" }} }}\n    route {{ respond 200 }}\n}}\n"
        )
    };
    let proxy = Proxy::start_in(
        folder(&[("hostile.wasm", &guests::hostile())]),
        &text("reply"),
    )
    .expect("it is valid");
    let mut client = proxy.client();
    assert_eq!(client.get("/").status, 403);
    for mode in [
        "configure-error",
        "configure-trap",
        "configure-spin",
        "needs-body",
    ] {
        proxy.reload(&text(mode)).expect_err(mode);
        assert_eq!(client.get("/").status, 403, "{mode}");
    }
    proxy.reload(&text("none")).expect("it is valid");
    assert_eq!(client.get("/").status, 200);
}
