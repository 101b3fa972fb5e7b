//! Grants and the stores behind them: who may use which, what they hold, and what a plugin that floods them does to others.

use super::{folder, guests};
use crate::harness::{Admin, Client, Origin, Proxy, config};
use std::path::Path;

/// A proxy with two plugins from one file, at `/one` and `/two`, and nothing at `/other`.
fn start(text: &str, values: &[(&str, &dyn std::fmt::Display)]) -> (Result<Proxy, String>, Origin) {
    let origin = Origin::echo();
    let mut values = values.to_vec();
    values.push(("ORIGIN", &origin));
    let text = config(text, &values);
    let files = folder(&[("counting.wasm", &guests::counting())]);
    (Proxy::start_in(files, &text), origin)
}

const TEXT: &str = r#"
process { workers 2; log format="json" }
admin "127.0.0.1:0"
plugin "one" "counting.wasm" { time-max "5s"; GRANT-ONE }
plugin "two" "counting.wasm" { time-max "5s"; GRANT-TWO }
STORES
listener "web" "127.0.0.1:0" {
    route path="/one" { filters { one { mode "MODE-ONE" } }; cluster "c" }
    route path="/two" { filters { two { mode "MODE-TWO" } }; cluster "c" }
    route { cluster "c" }
}
cluster "c" { endpoint "ORIGIN" }
"#;

fn found(client: &mut Client, path: &str) -> String {
    let seen = client.get(path).echoed();
    seen.header("x-found").unwrap_or_default().to_owned()
}

#[test]
fn plugins_that_are_granted_one_store_count_together_and_over_a_reload() {
    let values: [(&str, &dyn std::fmt::Display); 5] = [
        ("GRANT-ONE", &r#"grant { store "shared" }"#),
        ("GRANT-TWO", &r#"grant { store "shared" "other" }"#),
        ("STORES", &r#"store "shared" { bytes-max "1MiB" }"#),
        ("MODE-ONE", &"count"),
        ("MODE-TWO", &"count"),
    ];
    let (proxy, _origin) = start(TEXT, &values);
    let proxy = proxy.expect("it is valid");
    for count in 1..=20 {
        let path = if count % 2 == 0 { "/one" } else { "/two" };
        // A connection of its own each, for any of the workers.
        assert_eq!(found(&mut proxy.client(), path), count.to_string());
    }
    let line = proxy.log_line("\"plugin\":\"two\",\"version\"");
    assert!(
        line.contains("plugin loaded")
            && line.contains("\"stores\":\"shared, other\"")
            && line.contains("store"),
        "{line}"
    );
    let text = std::fs::read_to_string(proxy.directory().join("config.kdl")).expect("written");
    let changed = text
        .replace("route path=\"/two\"", "route path=\"/three\"")
        .replace("1MiB", "2MiB");
    let mark = proxy.log_mark();
    proxy.reload(&changed).expect("it is valid");
    assert_eq!(found(&mut proxy.client(), "/three"), "21");
    let said = proxy.log_lines().split_off(mark).join("\n");
    assert!(!said.contains("plugin loaded"), "nothing new was: {said}");
    // Another store is another count.
    let moved = changed.replace(r#"store "shared" "other""#, r#"store "other""#);
    proxy.reload(&moved).expect("it is valid");
    assert_eq!(found(&mut proxy.client(), "/three"), "1");
    assert_eq!(found(&mut proxy.client(), "/one"), "22");
}

#[test]
fn an_import_that_is_not_granted_is_refused_with_the_line_that_grants_it() {
    let values: [(&str, &dyn std::fmt::Display); 5] = [
        ("GRANT-ONE", &r#"grant { store "one" }"#),
        ("GRANT-TWO", &""),
        ("STORES", &""),
        ("MODE-ONE", &"count"),
        ("MODE-TWO", &"count"),
    ];
    let said = start(TEXT, &values).0.err().expect("it is refused");
    assert!(
        said.contains("plugin `two` imports `store`, which it is not granted")
            && said.contains("grant { store")
            && !said.contains("plugin `one`"),
        "{said}"
    );
}

#[test]
fn a_store_that_was_not_granted_is_a_fault_of_the_plugin_that_asks_for_it() {
    let values: [(&str, &dyn std::fmt::Display); 5] = [
        ("GRANT-ONE", &r#"grant { store "mine" }"#),
        ("GRANT-TWO", &r#"grant { store "somebody-elses" }"#),
        ("STORES", &""),
        ("MODE-ONE", &"other-store"),
        ("MODE-TWO", &"count"),
    ];
    let (proxy, _origin) = start(TEXT, &values);
    let proxy = proxy.expect("it is valid");
    assert_eq!(proxy.client().get("/one").status, 500);
    let line = proxy.log_line("is not granted the store `somebody-elses`");
    assert!(line.contains("grant { store"), "{line}");
    assert_eq!(found(&mut proxy.client(), "/two"), "1");
}

#[test]
fn a_store_holds_what_it_may_and_refuses_the_rest() {
    let fits = |stores: &str| {
        let values: [(&str, &dyn std::fmt::Display); 5] = [
            ("GRANT-ONE", &r#"grant { store "s" }"#),
            ("GRANT-TWO", &r#"grant { store "other" }"#),
            ("STORES", &stores),
            ("MODE-ONE", &"store-flood"),
            ("MODE-TWO", &"count"),
        ];
        let (proxy, _origin) = start(TEXT, &values);
        let proxy = proxy.expect("it is valid");
        let mut client = proxy.client();
        let calls = (0..5).map(|_| found(&mut client, "/one"));
        calls.filter(|found| found == "room").count()
    };
    // A thousand keys of 1 KiB a call, with a value as long.
    assert_eq!(fits(""), 5, "the usual limits");
    assert_eq!(fits(r#"store "s" { entries-max 2500 }"#), 2);
    assert_eq!(fits(r#"store "s" { bytes-max "8MiB" }"#), 3);
    assert_eq!(
        fits(r#"store "another" { entries-max 1 }"#),
        5,
        "limits are of a name"
    );
}

#[test]
fn a_reload_changes_the_limits_of_a_store_and_keeps_what_is_in_it() {
    let values: [(&str, &dyn std::fmt::Display); 5] = [
        ("GRANT-ONE", &r#"grant { store "s" }"#),
        ("GRANT-TWO", &r#"grant { store "s" }"#),
        ("STORES", &r#"store "s" { entries-max 1 }"#),
        ("MODE-ONE", &"count"),
        ("MODE-TWO", &"store-flood"),
    ];
    let (proxy, _origin) = start(TEXT, &values);
    let proxy = proxy.expect("it is valid");
    assert_eq!(found(&mut proxy.client(), "/one"), "1");
    assert_eq!(found(&mut proxy.client(), "/two"), "full");
    let text = std::fs::read_to_string(proxy.directory().join("config.kdl")).expect("written");
    let more = text.replace("entries-max 1", "entries-max 1001");
    // What is refused changes nothing.
    let refused = more.replace("\"count\"", "\"count\" nonsense=;");
    proxy.reload(&refused).expect_err("it is not valid");
    assert_eq!(found(&mut proxy.client(), "/two"), "full");
    proxy.reload(&more).expect("it is valid");
    assert_eq!(found(&mut proxy.client(), "/two"), "room");
    assert_eq!(found(&mut proxy.client(), "/one"), "2");
}

#[test]
fn a_flooded_store_and_flooded_metrics_leave_others_unharmed() {
    for (mode, told) in [
        ("store-flood", "full"),
        ("huge-key", "too-large"),
        ("huge-value", "too-large"),
        ("metrics-flood", "64"),
        ("metrics-huge", "invalid"),
    ] {
        let values: [(&str, &dyn std::fmt::Display); 5] = [
            ("GRANT-ONE", &r#"grant { store "flooded" }"#),
            ("GRANT-TWO", &r#"grant { store "quiet" }"#),
            ("STORES", &r#"store "flooded" { bytes-max "512KiB" }"#),
            ("MODE-ONE", &mode),
            ("MODE-TWO", &"count"),
        ];
        let (proxy, _origin) = start(TEXT, &values);
        let proxy = proxy.expect("it is valid");
        let (mut bad, mut good) = (proxy.client(), proxy.client());
        for count in 1..=20 {
            assert_eq!(found(&mut bad, "/one"), told, "{mode}");
            assert_eq!(found(&mut good, "/two"), count.to_string(), "{mode}");
            assert_eq!(good.get("/other").status, 200, "{mode}");
        }
    }
}

#[test]
fn metrics_of_plugins_are_shown_by_the_admin_api() {
    let values: [(&str, &dyn std::fmt::Display); 5] = [
        ("GRANT-ONE", &r#"grant { store "s" }"#),
        ("GRANT-TWO", &r#"grant { store "s" }"#),
        ("STORES", &""),
        ("MODE-ONE", &"measure"),
        ("MODE-TWO", &"measure"),
    ];
    let (proxy, _origin) = start(TEXT, &values);
    let proxy = proxy.expect("it is valid");
    for path in ["/one", "/two", "/one", "/one"] {
        assert_eq!(found(&mut proxy.client(), path), "measured");
    }
    let admin = Admin::of(&proxy);
    let shown = admin.ask("GET", "/metrics", "");
    assert!(
        shown
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/openmetrics-text")),
        "{}",
        shown.head.raw
    );
    let text = shown.text();
    for line in [
        "# HELP tollgate_plugin_visits Visits",
        "# TYPE tollgate_plugin_visits counter",
        "tollgate_plugin_visits_total{plugin=\"one\",way=\"in\"} 3.0",
        "tollgate_plugin_visits_total{plugin=\"two\",way=\"in\"} 1.0",
        "tollgate_plugin_level{plugin=\"one\"} 4.5",
        "tollgate_plugin_sizes_count{plugin=\"one\"} 3",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
    }
    let json = admin.told("GET", "/api/v1/plugins/one/metrics", "");
    assert_eq!(json[0]["value"], 3.0, "{json}");
    assert_eq!(
        admin.ask("GET", "/api/v1/plugins/three/metrics", "").status,
        404
    );
}

#[test]
fn a_component_imports_the_store_only_if_it_uses_it() {
    let wants = |file: &Path| {
        let bytes = std::fs::read(file).expect("it was built");
        let inspection = tollgate::plugin::inspect("x", &bytes).expect("a plugin");
        let wanted = ["store", "metrics"];
        let capabilities: Vec<_> = inspection.capabilities().map(str::to_owned).collect();
        wanted.map(|name| capabilities.iter().any(|known| known == name))
    };
    assert_eq!(wants(&guests::counting()), [true, true]);
    assert_eq!(wants(&guests::hostile()), [false, false]);
    for (name, component) in tollgate::bundled::all() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("x.wasm");
        std::fs::write(&file, component).expect("a writable folder");
        let uses = ["rate-limit", "connection-limit"].contains(name);
        assert_eq!(wants(&file), [uses, uses], "{name}");
    }
}
