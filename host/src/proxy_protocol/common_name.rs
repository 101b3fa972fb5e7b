//! The common name in a distinguished name as text (RFC 4514).

/// The value of the first `CN`, unescaped. `None` if there is none, or none that is text.
///
/// RFC 4514, section 2.4 writes values with `\` before special characters or before two hexadecimal digits of a byte, and `#` before those of
/// a value that is no string.
pub(super) fn common_name(subject: &str) -> Option<String> {
    parts(subject).find_map(|part| {
        let (kind, value) = part.split_once('=')?;
        let kind = kind.trim_matches(' ');
        let named = kind.eq_ignore_ascii_case("CN") || kind == "2.5.4.3";
        named.then(|| unescaped(trimmed(value))).flatten()
    })
}

/// Between commas and plus signs that are not escaped.
fn parts(subject: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    subject.split(move |c| {
        let splits = !escaped && matches!(c, ',' | '+');
        escaped = !escaped && c == '\\';
        splits
    })
}

/// Without the spaces around it, but with one at the end that is escaped.
fn trimmed(value: &str) -> &str {
    let value = value.trim_start_matches(' ');
    let short = value.trim_end_matches(' ');
    let backslashes = short.len() - short.trim_end_matches('\\').len();
    let kept = if backslashes % 2 == 1 {
        short.len() + 1
    } else {
        short.len()
    };
    value.get(..kept).unwrap_or(short)
}

fn unescaped(value: &str) -> Option<String> {
    if value.starts_with('#') {
        return None;
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'\\', [high, low, after @ ..]) if is_hexadecimal(*high) && is_hexadecimal(*low) => {
                (hexadecimal(*high) << 4 | hexadecimal(*low), after)
            }
            (b'\\', [special, after @ ..]) => (*special, after),
            (first, after) => (*first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn is_hexadecimal(digit: u8) -> bool {
    digit.is_ascii_hexdigit()
}

fn hexadecimal(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_common_name_is_found_and_unescaped() {
        for (subject, expected) in [
            ("CN=app.example.com", Some("app.example.com")),
            ("O=Shop,CN=app,CN=other", Some("app")),
            ("O=Shop, CN = app , OU=x", Some("app")),
            ("OU=a+CN=b,O=c", Some("b")),
            ("cn=app", Some("app")),
            ("2.5.4.3=app", Some("app")),
            (r"CN=Doe\, Jane,O=x", Some("Doe, Jane")),
            (r"CN=a\+b\\,O=x", Some(r"a+b\")),
            (r"CN=J\C3\BCrgen", Some("Jürgen")),
            (r"CN=a\ ,O=x", Some("a ")),
            (r"CN=a\\ ,O=x", Some(r"a\")),
            (r"O=a\,CN=evil", None),
            ("CN=a=b", Some("a=b")),
            ("CN=", Some("")),
            (r"CN=\FF", None),
            ("CN=#0C0161", None),
            ("CNX=a", None),
            ("O=x", None),
            ("", None),
            (r"CN=a\", Some(r"a\")),
        ] {
            assert_eq!(common_name(subject).as_deref(), expected, "{subject:?}");
        }
    }
}
