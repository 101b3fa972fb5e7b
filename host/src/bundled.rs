//! What the build embeds: the bundled plugins as components, and the plugin SDK's sources. Both tables are written by `build.rs`.

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// Name and component of every bundled plugin, sorted by name.
#[must_use]
pub fn all() -> &'static [(&'static str, &'static [u8])] {
    BUNDLED
}

/// The component of a bundled plugin.
#[must_use]
pub fn get(name: &str) -> Option<&'static [u8]> {
    let found = BUNDLED.binary_search_by(|(known, _)| (*known).cmp(name));
    found.ok().map(|index| BUNDLED[index].1)
}

/// Path and text of every file of the plugin SDK, for projects that `plugin new` makes.
pub(crate) fn sdk_sources() -> &'static [(&'static str, &'static str)] {
    SDK_SOURCES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_plugin_is_a_component_of_its_name() {
        let names: Vec<_> = all().iter().map(|(name, _)| *name).collect();
        let expected = [
            "acl",
            "body-rewrite",
            "connection-limit",
            "cors",
            "first",
            "headers",
            "ip-acl",
            "least-request",
            "maglev",
            "maintenance",
            "peak-ewma",
            "random",
            "rate-limit",
            "redirect",
            "request-id",
            "rewrite",
            "ring-hash",
            "round-robin",
            "security-headers",
        ];
        assert_eq!(names, expected);
        for (name, component) in all() {
            // Component preamble: magic, version 13, layer 1.
            assert_eq!(component[..8], *b"\0asm\x0d\0\x01\0", "{name}");
            assert_eq!(get(name), Some(*component));
        }
        assert_eq!(get("round"), None);
    }

    #[test]
    fn bundled_plugins_import_no_wasi() {
        for (name, component) in all() {
            assert!(
                !component.windows(5).any(|window| window == b"wasi:"),
                "{name}"
            );
        }
    }
}
