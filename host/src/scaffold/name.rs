//! Names of plugins: also the name of a crate, a folder and a node in KDL.

use super::ScaffoldError;
use crate::bundled;

/// Longest name, in bytes.
const LENGTH_MAX: usize = 64;

/// Names that cargo or the compiler refuses for a crate, or that the project uses itself.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tollgate-plugin-sdk",
    "tollgate-plugin-sdk-derive",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

pub(super) fn check(name: &str) -> Result<(), ScaffoldError> {
    match fault(name) {
        None => Ok(()),
        Some(reason) => Err(ScaffoldError::Name {
            name: name.to_owned(),
            reason,
        }),
    }
}

fn fault(name: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.bytes().all(plain) || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Some("expected lower-case letters, digits and dashes, with a letter first");
    }
    if name.ends_with('-') || name.contains("--") {
        return Some("a dash stands between two words");
    }
    if name.len() > LENGTH_MAX {
        return Some("it is longer than 64 characters");
    }
    if RESERVED.contains(&name) {
        return Some("the word is taken by Rust or cargo");
    }
    bundled::get(name).map(|_| "a bundled plugin has this name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_with_dashes() {
        let longest = "a".repeat(LENGTH_MAX);
        for name in ["a", "geo-acl", "v2", longest.as_str()] {
            assert_eq!(fault(name), None, "{name}");
        }
        let too_long = "a".repeat(LENGTH_MAX + 1);
        for name in [
            "",
            "Acl",
            "a_b",
            "2a",
            "-a",
            "a-",
            "a--b",
            "../a",
            "a b",
            "match",
            "test",
            "round-robin",
            too_long.as_str(),
        ] {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn reserved_words_are_sorted() {
        assert!(RESERVED.is_sorted());
    }
}
