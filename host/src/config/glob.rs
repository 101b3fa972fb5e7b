//! File patterns: `*` and `?` within one path component; a leading dot is matched only by a dot.

use std::io;
use std::path::{Path, PathBuf};

/// What a pattern found.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// Sorted by path. For a pattern without wildcard the file it names, there or not.
    pub(super) files: Vec<PathBuf>,
    /// The directories that were searched.
    pub(super) directories: Vec<PathBuf>,
}

/// Expands `pattern`, relative to `base`. A directory that does not exist matches nothing.
///
/// # Errors
/// When a directory is there but cannot be listed.
pub(super) fn expand(base: &Path, pattern: &str) -> io::Result<Found> {
    let mut found = Found {
        files: vec![base.to_owned()],
        directories: Vec::new(),
    };
    for component in Path::new(pattern) {
        match component.to_str().filter(|name| name.contains(['*', '?'])) {
            None => found.files.iter_mut().for_each(|path| path.push(component)),
            Some(wild) => {
                let directories = std::mem::take(&mut found.files);
                for directory in directories {
                    list(&directory, wild, &mut found)?;
                }
            }
        }
    }
    if pattern.contains(['*', '?']) {
        found.files.retain(|path| path.is_file());
        found.files.sort();
    }
    Ok(found)
}

fn list(directory: &Path, wild: &str, found: &mut Found) -> io::Result<()> {
    let listed = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    let entries = match std::fs::read_dir(listed) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    found.directories.push(listed.to_owned());
    for entry in entries {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| matches(wild, name)) {
            found.files.push(directory.join(name));
        }
    }
    Ok(())
}

/// Wildcard match with one point to go back to, linear but for the product of both lengths.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') != pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and up to where it has eaten.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, eaten)) => {
                    star = Some((at, eaten + 1));
                    p = at + 1;
                    n = eaten + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_within_a_name() {
        for (pattern, name, expected) in [
            ("*.kdl", "a.kdl", true),
            ("*.kdl", ".a.kdl", false),
            (".*.kdl", ".a.kdl", true),
            ("*.kdl", "a.kdl~", false),
            ("a?c*", "abc", true),
            ("a?c", "ac", false),
            ("*a*b", "xaxxab", true),
            ("*a*b", "xaxxa", false),
            ("**", "", true),
            ("ä*", "äö", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_sorted_and_directories_reported() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for file in ["b/2.kdl", "b/1.kdl", "a/3.kdl", "b/x.txt", "top.kdl"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, "").expect("written");
        }
        std::fs::create_dir(dir.path().join("b/dir.kdl")).expect("made");
        let found = expand(dir.path(), "*/*.kdl").expect("listed");
        let files: Vec<_> = found
            .files
            .iter()
            .map(|path| path.strip_prefix(dir.path()).expect("below it"))
            .collect();
        assert_eq!(files, ["a/3.kdl", "b/1.kdl", "b/2.kdl"].map(Path::new));
        assert_eq!(found.directories.len(), 3);
        assert_eq!(
            expand(dir.path(), "none/*.kdl").expect("empty"),
            Found::default()
        );
        let named = expand(dir.path(), "none.kdl").expect("named");
        assert_eq!(named.files, [dir.path().join("none.kdl")]);
    }
}
