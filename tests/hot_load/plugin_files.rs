//! Plugin files that are replaced while requests use them.

use super::{Way, message};
use crate::harness::{Client, Origin, Proxy, config};
use crate::plugins::{bundled, guests};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const TEXT: &str = r#"
plugin "mine" "mine.wasm"

listener "web" "127.0.0.1:0" {
    route { filters { mine }; cluster "origin" }
}
cluster "origin" { endpoint "ORIGIN" }
"#;

/// A filter that leaves the request as it is.
fn plain() -> Vec<u8> {
    std::fs::read(guests::hostile()).expect("it was built")
}

/// A filter that adds `x-request-id`.
fn marking() -> Vec<u8> {
    bundled("request-id")
}

fn folder(plugin: &[u8]) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(directory.path().join("mine.wasm"), plugin).expect("a writable folder");
    directory
}

fn start(plugin: &[u8]) -> (Proxy, Origin) {
    let origin = Origin::echo();
    let proxy = Proxy::start_in(folder(plugin), &config(TEXT, &[("ORIGIN", &origin)]))
        .expect("it is valid");
    (proxy, origin)
}

fn is_marked(client: &mut Client) -> bool {
    client.get("/").echoed().header("x-request-id").is_some()
}

/// Files that are no HTTP filter, with what is said of them.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = marking();
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    vec![
        ("nothing", Vec::new(), "not WebAssembly"),
        (
            "garbage",
            b"not a component, whatever its name says".to_vec(),
            "not WebAssembly",
        ),
        (
            "cut short",
            good[..good.len() / 2].to_vec(),
            "damaged or cut short",
        ),
        ("cut after its first bytes", good[..8].to_vec(), "no plugin"),
        ("overwritten in the middle", damaged, ""),
        ("a core module", b"\0asm\x01\0\0\0".to_vec(), "core module"),
        (
            "a balancer",
            bundled("random"),
            "is a balancer; this place needs an HTTP filter",
        ),
        (
            "a network filter",
            bundled("ip-acl"),
            "is a network filter; this place needs an HTTP filter",
        ),
    ]
}

#[test]
fn a_good_file_is_in_force_for_the_next_request_however_it_comes() {
    for way in Way::ALL {
        let (proxy, _origin) = start(&plain());
        let mut kept = proxy.client();
        assert!(!is_marked(&mut kept));
        way.offer(&proxy, "mine.wasm", &marking())
            .unwrap_or_else(|why| panic!("{way:?}: {why}"));
        assert!(
            is_marked(&mut kept),
            "{way:?}: on a connection that was open before"
        );
        way.offer(&proxy, "mine.wasm", &plain())
            .unwrap_or_else(|why| panic!("{way:?}: {why}"));
        assert!(!is_marked(&mut kept), "{way:?}: and back");
        proxy.log_line("\"generation retired\",\"generation\":2");
    }
}

#[test]
fn a_bad_file_is_refused_in_words_and_the_old_plugin_goes_on() {
    let (proxy, _origin) = start(&marking());
    let mut kept = proxy.client();
    for (number, (what, bytes, said)) in broken().into_iter().enumerate() {
        let way = Way::ALL[number % Way::ALL.len()];
        let refusal = message(&way.offer(&proxy, "mine.wasm", &bytes).expect_err(what));
        assert!(refusal.contains(said), "{what}: {refusal}");
        assert!(refusal.contains("config.kdl:"), "{what}: {refusal}");
        assert!(is_marked(&mut kept), "{what}");
    }
    Way::Rename
        .offer(&proxy, "mine.wasm", &plain())
        .expect("it is good again");
    assert!(!is_marked(&mut kept));
}

#[test]
fn a_removed_file_is_refused_and_its_return_is_noticed() {
    let (proxy, _origin) = start(&marking());
    let mark = proxy.log_mark();
    std::fs::remove_file(proxy.directory().join("mine.wasm")).expect("it is there");
    let refusal = message(&proxy.reloaded_after(mark).expect_err("there is no plugin"));
    assert!(refusal.contains("config.kdl:6:"), "{refusal}");
    let mut client = proxy.client();
    assert!(is_marked(&mut client));
    Way::Rename
        .offer(&proxy, "mine.wasm", &plain())
        .expect("it is there again");
    assert!(!is_marked(&mut client));
}

#[test]
fn a_pin_lets_in_what_it_names_and_nothing_else() {
    let pin = |bytes: &[u8]| {
        Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let origin = Origin::echo();
    let text = |pin: &str| {
        let pinned = TEXT.replace("\"mine.wasm\"", "\"mine.wasm\" { sha256 \"PIN\" }");
        config(&pinned, &[("ORIGIN", &origin), ("PIN", &pin)])
    };
    let refused = Proxy::start_in(folder(&marking()), &text(&pin(&plain())));
    let said = refused.err().expect("it is not the file that is pinned");
    assert!(
        said.contains("not the one that is pinned") && said.contains(&pin(&marking())),
        "{said}"
    );

    let proxy = Proxy::start_in(folder(&marking()), &text(&pin(&marking())))
        .expect("it is the pinned file");
    let mut client = proxy.client();
    assert!(is_marked(&mut client));
    let refusal = message(
        &Way::Rename
            .offer(&proxy, "mine.wasm", &plain())
            .expect_err("it is another file"),
    );
    assert!(refusal.contains("not the one that is pinned"), "{refusal}");
    assert!(is_marked(&mut client));
    // With the pin changed too, it is let in.
    proxy
        .reload(&text(&pin(&plain())))
        .expect("file and pin agree");
    assert!(!is_marked(&mut client));
}

#[test]
fn an_instance_stays_warm_over_reloads_that_do_not_concern_it_and_not_over_others() {
    let origin = Origin::echo();
    let text = |time_max: &str, body: &str| {
        let text = TEXT
            .replace("\"mine.wasm\"", "\"mine.wasm\" { time-max \"TIME\" }")
            .replace("mine }", "mine { mode \"calls\" } }")
            .replace(
                "route {",
                "route path=\"/BODY\" { respond 200 }\n    route {",
            );
        config(
            &text,
            &[("ORIGIN", &origin), ("TIME", &time_max), ("BODY", &body)],
        )
    };
    let proxy = Proxy::start_in(folder(&plain()), &text("1s", "a")).expect("it is valid");
    let mut client = proxy.client();
    let mut calls = || {
        client
            .get("/")
            .echoed()
            .header("x-calls")
            .expect("the filter counts")
            .to_owned()
    };
    assert_eq!([calls(), calls()], ["1", "2"]);
    proxy.reload(&text("1s", "b")).expect("it is valid");
    assert_eq!(calls(), "3", "the filter is the same");
    proxy.reload(&text("2s", "b")).expect("it is valid");
    assert_eq!(calls(), "1", "its budget is another");
}
