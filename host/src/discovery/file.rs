//! A list of endpoints in a file.
//!
//! The ending of the name tells the format: `.json` is a list of addresses or objects, all else is KDL with one `endpoint` on a line. Both have
//! `weight` (0 to 256, default 1), `requests-max` (1 to 10 000 000), `backup`, `zone` and `id`; anything else is an error.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use tokio::sync::oneshot;

use super::entry::Fault;
use super::{Found, LookError, json, kdl};

/// Ten thousand endpoints with all that may be said of each, at some 400 bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Of the thread that parses. The KDL parser takes up to 32 MiB for the worst line, unoptimised; only what is used costs memory.
const STACK_BYTES: usize = 64 << 20;

/// Reads and parses on a thread of its own: the disk may be slow or far away, and the parser panic.
///
/// Takes as long as the file system does. Dropping the future does not end the thread, so who looks again and again must wait for the end.
///
/// # Errors
/// [`LookError::Read`] and [`LookError::Syntax`].
pub(super) async fn look(path: &Path) -> Result<Vec<Found>, LookError> {
    let (tx, rx) = oneshot::channel();
    let owned = path.to_owned();
    let reader = std::thread::Builder::new()
        .name("discovery-file".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            // Whoever looked may have gone.
            let _ = tx.send(parse(&owned));
        });
    reader.map_err(|cause| unreadable(path, cause))?;
    rx.await
        .unwrap_or_else(|_| Err(unreadable(path, io::Error::other("the parser failed"))))
}

/// For who did not wait.
pub(super) fn too_slow(path: &Path) -> LookError {
    unreadable(path, io::ErrorKind::TimedOut.into())
}

fn unreadable(path: &Path, cause: io::Error) -> LookError {
    let path = path.to_owned();
    LookError::Read { path, cause }
}

fn parse(path: &Path) -> Result<Vec<Found>, LookError> {
    let text = read(path).map_err(|cause| unreadable(path, cause))?;
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let parsed = match is_json {
        true => json::parse(&text),
        false => kdl::parse(&text),
    };
    parsed.map_err(|Fault { line, expected }| LookError::Syntax {
        path: path.to_owned(),
        line,
        expected,
    })
}

fn read(path: &Path) -> io::Result<String> {
    // A pipe would never end, and a device perhaps neither.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("this is not a regular file"));
    }
    let mut text = String::new();
    let mut file = File::open(path)?.take(FILE_BYTES_MAX + 1);
    file.read_to_string(&mut text)?;
    if file.limit() == 0 {
        let message = format!("this is larger than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::other(message));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::ENDPOINTS_MAX;

    fn full() -> Found {
        Found {
            weight: 2,
            requests_max: Some(10),
            backup: true,
            zone: Some("a".to_owned()),
            id: Some("x".to_owned()),
            ..Found::at("[::1]:80".parse().expect("an address"))
        }
    }

    #[test]
    fn both_formats_say_the_same() {
        let expected = Ok(vec![
            Found::at("10.0.0.1:80".parse().expect("an address")),
            full(),
        ]);
        let in_json = r#"["10.0.0.1:80",
            {"address": "[::1]:80", "weight": 2, "requests-max": 10, "backup": true, "zone": "a", "id": "x"}]"#;
        assert_eq!(json::parse(in_json), expected);
        let in_kdl = "\u{feff}// two\r\n\nendpoint \"10.0.0.1:80\"; /-endpoint 5\r\n\
            endpoint \"[::1]:80\" weight=2 requests-max=10 backup=#true zone=\"a\" id=x // all\n";
        assert_eq!(kdl::parse(in_kdl), expected);
        assert_eq!(json::parse("[]"), Ok(vec![]));
        assert_eq!(kdl::parse(""), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        type Parse = fn(&str) -> Result<Vec<Found>, Fault>;
        let cases: &[(Parse, &str, usize, &str)] = &[
            (json::parse, "", 1, "EOF while parsing a value"),
            (json::parse, "{}", 1, "expected a list of endpoints"),
            (json::parse, "[\n5]", 2, "expected an address like"),
            (json::parse, "[\n\"x\"]", 2, "found `x`"),
            (json::parse, "[\"1.1.1.1:0\"]", 1, "a port above 0"),
            (
                json::parse,
                "[\"1.1.1.1:1\",\n\n\"1.1.1.1:1\"]",
                3,
                "each address once",
            ),
            (json::parse, "[{}]", 1, "missing field `address`"),
            (
                json::parse,
                "[{\"address\":\"1.1.1.1:1\",\n\"wieght\":1}]",
                2,
                "expected one of `address`, `weight`",
            ),
            (
                json::parse,
                "[{\"address\":\"1.1.1.1:1\",\"weight\":257}]",
                1,
                "`weight` from 0 to 256, found 257",
            ),
            (
                json::parse,
                "[{\"address\":\"1.1.1.1:1\",\"requests-max\":0}]",
                1,
                "`requests-max` from 1 to 10000000, found 0",
            ),
            (
                json::parse,
                "[{\"address\":\"1.1.1.1:1\",\"id\":\"\"}]",
                1,
                "`id` of 1 to 256 bytes",
            ),
            (json::parse, "[]\n]", 2, "trailing characters"),
            (
                kdl::parse,
                "\nserver \"1.1.1.1:1\"",
                2,
                "expected `endpoint`, found `server`",
            ),
            (kdl::parse, "endpoint", 1, "expected one address"),
            (kdl::parse, "endpoint 5", 1, "the address as a string"),
            (kdl::parse, "endpoint a b", 1, "expected one address"),
            (kdl::parse, "endpoint \"name:80\"", 1, "found `name:80`"),
            (
                kdl::parse,
                "endpoint \"1.1.1.1:1\" {\n}",
                1,
                "expected a KDL node on one line",
            ),
            (
                kdl::parse,
                "endpoint \"1.1.1.1:1\" {}",
                1,
                "expected no block",
            ),
            (
                kdl::parse,
                "endpoint \"1.1.1.1:1\" weight=-1",
                1,
                "`weight` from 0 to 256, found -1",
            ),
            (
                kdl::parse,
                "endpoint \"1.1.1.1:1\" weight=\"1\"",
                1,
                "`weight` as a whole number",
            ),
            (
                kdl::parse,
                "endpoint \"1.1.1.1:1\" weight=1 weight=2",
                1,
                "`weight` once",
            ),
            (
                kdl::parse,
                "endpoint \"1.1.1.1:1\" backup=1",
                1,
                "`backup` as #true or #false",
            ),
            (
                kdl::parse,
                "endpoint \"1.1.1.1:1\" size=1",
                1,
                "found `size`",
            ),
            (
                kdl::parse,
                "endpoint \"1.1.1.1:1\" id=a\n\nendpoint \"1.1.1.1:2\" id=a",
                3,
                "each id once",
            ),
            (
                kdl::parse,
                "\n\nendpoint \"1.1.1.1:1",
                3,
                "expected a KDL node on one line",
            ),
        ];
        for (parse, text, line, expected) in cases {
            let fault = parse(text).expect_err(text);
            assert_eq!(fault.line, *line, "{text}: {fault:?}");
            assert!(fault.expected.contains(expected), "{text}: {fault:?}");
        }
    }

    #[test]
    fn a_line_of_kdl_has_at_most_a_kibibyte() {
        for (len, fits) in [(1024, true), (1025, false)] {
            let line = format!("{:<len$}", "endpoint \"10.0.0.1:80\" //");
            assert_eq!(kdl::parse(&line).is_ok(), fits);
        }
    }

    #[tokio::test]
    async fn the_parsers_stand_nesting_and_rubbish() {
        let directory = tempfile::tempdir().expect("a directory");
        let refused = async |name: &str, text: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, &text).expect("writes");
            let error = look(&path).await.expect_err("no list");
            assert!(matches!(error, LookError::Syntax { .. }), "{error:?}");
        };
        for opening in [
            "a{", "{", "/*", "a \"", "]", "\"\"\"", "(", "\\", "/-", "#\"", "=", "}", "a=",
        ] {
            for len in [1024, 1025] {
                refused("list.kdl", opening.chars().cycle().take(len).collect()).await;
            }
        }
        refused("list.json", "[".repeat(100_000)).await;
    }

    #[test]
    fn a_list_may_have_ten_thousand_endpoints_and_no_more() {
        let address = |number: usize| format!("10.1.{}.{}:80", number / 256, number % 256);
        for (count, fits) in [(ENDPOINTS_MAX, true), (ENDPOINTS_MAX + 1, false)] {
            let addresses: Vec<_> = (0..count).map(address).collect();
            let in_json = format!("{addresses:?}");
            assert_eq!(json::parse(&in_json).is_ok(), fits);
            let in_kdl: String = addresses
                .iter()
                .map(|address| format!("endpoint {address:?}\n"))
                .collect();
            assert_eq!(kdl::parse(&in_kdl).is_ok(), fits);
        }
    }

    #[test]
    fn only_regular_files_of_moderate_size_are_read() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(read(directory.path()).is_err());
        assert!(read(Path::new("/dev/null")).is_err());
        assert!(read(&directory.path().join("absent")).is_err());
        let large = directory.path().join("large.json");
        for (spaces, fits) in [(FILE_BYTES_MAX, true), (FILE_BYTES_MAX + 1, false)] {
            let spaces = usize::try_from(spaces).expect("a few million");
            std::fs::write(&large, " ".repeat(spaces)).expect("writes");
            assert_eq!(read(&large).is_ok(), fits);
        }
    }
}
