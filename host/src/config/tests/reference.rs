//! Every block of the reference in `host/docs` is a good configuration.

use std::path::Path;

use super::fake::{SMALLEST, load_text};

fn blocks() -> Vec<String> {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = std::fs::read_to_string(reference).expect("it is there");
    let blocks = text.split("```kdl\n").skip(1);
    blocks
        .filter_map(|block| block.split("```").next())
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn assert_good(texts: impl Iterator<Item = String>) {
    let mut count = 0;
    for text in texts {
        count += 1;
        if let Err(refused) = load_text(&text) {
            panic!("{}", refused.render(false));
        }
    }
    assert!(count > 0);
}

/// Without a listener, or with a name server or files that are not there: a test through the binary cannot load these.
#[test]
fn the_parts_of_clusters_in_the_reference_are_good() {
    let blocks = blocks().into_iter();
    let parts = blocks.filter(|block| block.starts_with("cluster \""));
    assert_good(parts.map(|part| format!("{SMALLEST}\n{part}")));
}

/// With certificates that are not there: the same.
#[test]
fn the_parts_of_listeners_in_the_reference_are_good() {
    let blocks = blocks().into_iter();
    let parts = blocks.filter(|block| block.starts_with("tls {"));
    assert_good(parts.map(|part| {
        format!(
            "{SMALLEST}\nlistener \"l\" \"127.0.0.1:0\" {{ {part}\nroute \"rest\" {{ respond 200 }} }}"
        )
    }));
}

/// But for those with plugins, whose schemas are not known here; a test through the binary has them all.
#[test]
fn whole_configurations_in_the_reference_are_good() {
    const PLUGINS_OF_THEIR_OWN: &[&str] =
        &["filters {", "plugin \"", "network-filters", "balancer "];
    let blocks = blocks().into_iter();
    let whole = blocks.filter(|block| {
        let foreign = PLUGINS_OF_THEIR_OWN.iter().any(|part| block.contains(part));
        block.contains("listener \"") && !foreign
    });
    assert_good(whole);
}
