//! Plugins through the real binary: what each bundled one does, how chains run, and what a bad one cannot do.

pub(crate) mod guests;

/// A bundled plugin's component.
pub(crate) fn bundled(name: &str) -> Vec<u8> {
    tollgate::bundled::get(name).expect("it is bundled").to_vec()
}
