//! Plugins from files.

use super::{bundled, folder, guests};
use crate::harness::{Origin, Proxy, config};

#[test]
fn a_filter_from_a_file_is_a_filter_like_any_other() {
    let origin = Origin::echo();
    let text = config(
        r#"
        plugin "mine" "sub/mine.wasm"
        plugin "other-name" "sub/mine.wasm" { time-max "1s" }
        listener "web" "127.0.0.1:0" {
            route path="/edit" { filters { mine { mode "edit" } }; cluster "c" }
            route path="/reply" { filters { other-name { mode "reply" } }; cluster "c" }
            route path="/close" { filters { other-name { mode "close" } }; cluster "c" }
            route path="/target" { filters { mine { mode "target" } }; cluster "c" }
            route { filters { mine { mode "constant" } }; cluster "c" }
        }
        cluster "c" { endpoint "ORIGIN" }
        "#,
        &[("ORIGIN", &origin)],
    );
    let directory = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(directory.path().join("sub")).expect("a writable folder");
    std::fs::copy(guests::hostile(), directory.path().join("sub/mine.wasm")).expect("it was built");
    let proxy = Proxy::start_in(directory, &text).expect("it is valid");
    let mut client = proxy.client();
    assert_eq!(client.get("/edit").echoed().header("x-edit"), Some("value"));
    assert_eq!(proxy.line_of("/edit").text("filters"), "mine");
    let reply = client.get("/reply");
    assert_eq!(
        (reply.status, reply.header("x-why"), reply.text().as_str()),
        (403, Some("no"), "aaaa")
    );
    let line = proxy.line_of("/reply");
    assert_eq!(
        (line.outcome(), line.text("filters")),
        ("filter-reply", "other-name")
    );
    assert_eq!(client.get("/target").echoed().target(), "/new?a=b");
    // Edits that do not depend on the request, made by the host without a call.
    let seen = client.get("/api/x").echoed();
    assert_eq!(seen.all("x-fixed"), ["1", "2"]);
    assert_eq!(seen.header("x-composed"), Some("from 127.0.0.1"));
    client.send("GET /close HTTP/1.1\r\nHost: test\r\n\r\n");
    assert!(client.is_at_end());
    assert_eq!(proxy.line_of("/close").outcome(), "filter-close");
}

#[test]
fn a_balancer_from_a_file_picks() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let text = config(
        r#"
        plugin "mine" "balancer.wasm"
        listener "web" "127.0.0.1:0" { route { cluster "c" } }
        cluster "c" { balancer "mine" { mode "key" }; endpoint "A-END"; endpoint "B-END" }
        "#,
        &[("A-END", &a), ("B-END", &b)],
    );
    let proxy = Proxy::start_in(folder(&[("balancer.wasm", &guests::balancer())]), &text)
        .expect("it is valid");
    let first = proxy.client().get("/").text();
    for _ in 0..10 {
        assert_eq!(
            proxy.client().get("/").text(),
            first,
            "the client's address is the key"
        );
    }
}

#[test]
fn a_guest_that_imports_wasi_finds_an_empty_world() {
    let origin = Origin::echo();
    let text = config(
        r#"
        plugin "wasi" "wasi.wasm" { time-max "5s" }
        listener "web" "127.0.0.1:0" {
            route { filters { wasi on-fault="skip" }; cluster "c" }
        }
        cluster "c" { endpoint "ORIGIN" }
        "#,
        &[("ORIGIN", &origin)],
    );
    let proxy =
        Proxy::start_in(folder(&[("wasi.wasm", &guests::wasi())]), &text).expect("it is valid");
    let response = proxy.client().get("/x");
    assert_eq!(
        response.echoed().header("x-failed"),
        Some(""),
        "what the guest did not find as it should be"
    );
    // It ends its process in the response phase, which is a fault of its own and no end of the proxy.
    assert_eq!(proxy.line_of("/x").text("filters"), "wasi:fault");
    proxy.log_line("to standard output");
    proxy.log_line("to standard error");
    assert_eq!(proxy.client().get("/y").status, 200);
}

#[test]
fn what_is_no_plugin_of_the_right_kind_does_not_start() {
    let start = |declaration: &str, used: &str| {
        let directory = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(directory.path().join("acl.wasm"), bundled("acl"))
            .expect("a writable folder");
        std::fs::write(directory.path().join("random.wasm"), bundled("random"))
            .expect("a writable folder");
        std::fs::write(directory.path().join("text.wasm"), "text").expect("a writable folder");
        let text = format!(
            "{declaration}\nlistener \"web\" \"127.0.0.1:0\" {{ route {{ filters {{ {used} }}; respond 200 }} }}\n"
        );
        Proxy::start_in(directory, &text)
            .err()
            .unwrap_or_else(|| panic!("{declaration} {used} was let in"))
    };
    let table = [
        ("plugin \"mine\" \"missing.wasm\"", "mine", "No such file"),
        ("plugin \"mine\" \"text.wasm\"", "mine", "not WebAssembly"),
        (
            "plugin \"mine\" \"random.wasm\"",
            "mine",
            "is a balancer; this place needs an HTTP filter",
        ),
        (
            "plugin \"acl\" \"acl.wasm\"",
            "acl",
            "the name of a bundled plugin",
        ),
        ("", "acls", "unknown plugin `acls`"),
        (
            "plugin \"mine\" \"acl.wasm\" { sha256 \"0000000000000000000000000000000000000000000000000000000000000000\" }",
            "mine",
            "not the one that is pinned",
        ),
    ];
    for (declaration, used, said) in table {
        let refusal = start(declaration, used);
        assert!(
            refusal.contains(said) && refusal.contains("config.kdl:"),
            "{declaration}: {refusal}"
        );
    }
}

#[test]
fn a_network_filter_from_a_file_is_called_for_the_addresses_of_its_guard_only() {
    let start = |mode: &str| {
        let text = config(
            r#"
            plugin "mine" "network.wasm"
            listener "web" "127.0.0.1:0" {
                network-filters { mine { mode "MODE" } }
                route { respond 200 body="inside" }
            }
            "#,
            &[("MODE", &mode)],
        );
        Proxy::start_in(folder(&[("network.wasm", &guests::network())]), &text)
    };
    // It would fault, but looks at 10.0.0.0/8 alone.
    let proxy = start("trap").expect("it is valid");
    assert_eq!(proxy.client().get("/").text(), "inside");
    let refusal = start("guard-path").err().expect("a connection has no path");
    assert!(refusal.contains("config.kdl:8:"), "{refusal}");
}

/// A proxy with a network filter of the guests, which sees connections from here, before another one that is configured with `then`.
fn network_filtered(filter: &str, then: &str) -> Proxy {
    let text = config(
        r#"
process { workers 1; log level="debug" format="json" }
plugin "mine" "network.wasm"
listener "web" "127.0.0.1:0" {
    network-filters { FILTER; THEN }
    route { respond 200 body="inside" }
}
"#,
        &[("FILTER", &filter), ("THEN", &then)],
    );
    Proxy::start_in(folder(&[("network.wasm", &guests::network())]), &text).expect("it is valid")
}

#[test]
fn a_faulting_network_filter_denies_or_is_skipped_as_it_says() {
    for denying in ["mine", "mine on-fault=\"deny\""] {
        let proxy = network_filtered(&format!("{denying} {{ mode \"near-trap\" }}"), "");
        assert!(proxy.client().is_at_end(), "{denying}");
        let line = proxy.log_line("connection refused by a network filter");
        assert!(line.contains("\"faulted\":true"), "{line}");
    }
    let proxy = network_filtered("mine on-fault=\"skip\" { mode \"near-trap\" }", "");
    assert_eq!(proxy.client().get("/").text(), "inside");
    proxy.log_line("\"plugin\":\"mine\",\"kind\":\"trap\",\"phase\":\"accept\"");
}

#[test]
fn a_network_filter_hears_of_the_end_of_a_connection_that_a_later_one_refuses() {
    // It says that it was called by faulting.
    let told = "\"plugin\":\"mine\",\"kind\":\"trap\",\"phase\":\"close\"";
    let filter = "mine { mode \"near-trap-close\" }";
    let proxy = network_filtered(filter, "ip-acl { deny \"127.0.0.0/8\" }");
    assert!(proxy.client().is_at_end());
    proxy.log_line("\"filter\":\"ip-acl\"");
    proxy.log_line(told);

    let proxy = network_filtered("ip-acl { deny \"127.0.0.0/8\" }", filter);
    assert!(proxy.client().is_at_end());
    proxy.log_line("\"filter\":\"ip-acl\"");
    assert!(
        !proxy.log_lines().iter().any(|line| line.contains(told)),
        "one that was not asked is not told"
    );
}
