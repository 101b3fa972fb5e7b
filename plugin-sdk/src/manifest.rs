//! The manifest: what a component tells about itself without being run, in its custom section `tollgate:manifest`.

use crate::schema::{Schema, Writer};

/// The parts of a manifest; the register macros fill it from the crate's `Cargo.toml` and the settings type.
#[derive(Clone, Copy, Debug)]
pub struct Manifest {
    /// Name of the crate; a leading `tollgate-plugin-` is left out.
    pub package: &'static str,
    /// Version of the crate.
    pub version: &'static str,
    /// Description of the crate, one line.
    pub description: &'static str,
    /// `http-filter`, `network-filter` or `balancer`.
    pub kind: &'static str,
    /// Shape of the settings.
    pub settings: Schema,
}

impl Manifest {
    /// Bytes that the manifest takes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.write::<0>().length
    }

    /// The manifest as JSON; `N` is its [`length`](Manifest::length).
    #[must_use]
    pub const fn bytes<const N: usize>(&self) -> [u8; N] {
        self.write::<N>().bytes
    }

    const fn write<const N: usize>(&self) -> Writer<N> {
        let mut writer = Writer::<N>::new();
        writer.raw("{\"name\":");
        writer.text(short_name(self.package));
        writer.raw(",\"version\":");
        writer.text(self.version);
        writer.raw(",\"description\":");
        writer.text(self.description);
        writer.raw(",\"kind\":");
        writer.text(self.kind);
        writer.raw(",\"settings\":");
        writer.schema(&self.settings, "", None);
        writer.raw("}");
        writer
    }
}

/// A bundled plugin's crate is called `tollgate-plugin-acl`, the plugin `acl`.
const fn short_name(package: &'static str) -> &'static str {
    const PREFIX: &[u8] = b"tollgate-plugin-";
    let bytes = package.as_bytes();
    let mut at = 0;
    while at < PREFIX.len() {
        if at >= bytes.len() || bytes[at] != PREFIX[at] {
            return package;
        }
        at += 1;
    }
    package.split_at(PREFIX.len()).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_is_json_with_the_short_name() {
        const MANIFEST: Manifest = Manifest {
            package: "tollgate-plugin-acl",
            version: "1.2.3",
            description: "Says \"no\"",
            kind: "http-filter",
            settings: Schema::Any,
        };
        const BYTES: [u8; MANIFEST.length()] = MANIFEST.bytes();
        assert_eq!(
            BYTES.as_slice(),
            br#"{"name":"acl","version":"1.2.3","description":"Says \"no\"","kind":"http-filter","settings":{}}"#
        );
        for (package, name) in [("mine", "mine"), ("tollgate-plugin", "tollgate-plugin")] {
            assert_eq!(short_name(package), name);
        }
    }
}
