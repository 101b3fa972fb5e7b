//! Query parameters: `a=1&b`, in `application/x-www-form-urlencoded`.

/// Name and value of each parameter, escapes resolved; a parameter without `=` has an empty value.
pub fn parameters(query: &str) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (decoded(name), decoded(value))
        })
}

/// With `+` as space and `%XX` as that byte; an escape that is none stays as it is.
#[must_use]
pub fn decoded(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, escaped(after)) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => decoded.push(b' '),
            _ => decoded.push(*first),
        }
    }
    decoded
}

/// The byte that two hexadecimal digits at the start stand for.
fn escaped(after: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (high, low) = (digit(after.first()?)?, digit(after.get(1)?)?);
    u8::try_from(high * 16 + low).ok()
}

/// All but the unreserved characters of RFC 3986 as `%XX`; [`decoded`] turns it back.
#[must_use]
pub fn encoded(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend([
                '%',
                char::from(HEX[usize::from(byte >> 4)]),
                char::from(HEX[usize::from(byte & 15)]),
            ]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_reads_back() {
        assert_eq!(encoded("a b&c=d~"), "a%20b%26c%3Dd~");
        for text in ["a b&c=d", "ä/?#", "%41", "+"] {
            assert_eq!(decoded(&encoded(text)), text.as_bytes());
        }
    }

    #[test]
    fn parameters_are_decoded() {
        let cases: [(&str, &[(&str, &str)]); 6] = [
            ("", &[]),
            ("a=1&&b", &[("a", "1"), ("b", "")]),
            ("a=b=c", &[("a", "b=c")]),
            ("%61+%2B=%7e", &[("a +", "~")]),
            ("a=%4", &[("a", "%4")]),
            ("a=%zz%", &[("a", "%zz%")]),
        ];
        for (query, expected) in cases {
            let found: Vec<_> = parameters(query).collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect();
            assert_eq!(found, expected, "{query}");
        }
    }
}
