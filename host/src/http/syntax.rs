//! Bytes and words of RFC 9110: what may stand in a name, a value, a list, and which headers belong to the host alone.

/// Whether `name` is a header name: one or more `tchar` (RFC 9110 section 5.6.2). At most 65,535 bytes, so that an index entry can hold it.
pub fn valid_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= usize::from(u16::MAX)
        && name.iter().all(|&byte| is_token_byte(byte))
}

/// Whether `value` may stand in a header line: no control character but the tab (RFC 9110 section 5.5), and no blank at either end, since a
/// recipient would drop it and see another value than the one that was checked.
pub fn valid_value(value: &[u8]) -> bool {
    count_controls(value) == 0 && trim(value).len() == value.len()
}

/// Whether plugins and configuration may edit the header `name` (any case). False for the headers that the host writes from the framing and
/// the connection: `connection`, `content-length`, `host`, `keep-alive`, `proxy-connection`, `te`, `trailer`, `transfer-encoding`, `upgrade`.
pub fn is_editable(name: &[u8]) -> bool {
    // By length first, where most names end.
    let hosts_own: &[&str] = match name.len() {
        2 => &["te"],
        4 => &["host"],
        7 => &["trailer", "upgrade"],
        10 => &["connection", "keep-alive"],
        14 => &["content-length"],
        16 => &["proxy-connection"],
        17 => &["transfer-encoding"],
        _ => return true,
    };
    !hosts_own
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own.as_bytes()))
}

/// `tchar` of RFC 9110 section 5.6.2.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    CLASS[byte as usize] != 0
}

/// What the name at the start of a header line is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameClass {
    Plain,
    /// There is an underscore in it.
    Underscored,
}

/// Length and class of the token that `line` starts with; the length is 0 when it starts with none.
pub(super) fn scan_name(line: &[u8]) -> (usize, NameClass) {
    let mut class = NameClass::Plain;
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        match CLASS[usize::from(byte)] {
            PLAIN => {}
            UNDERSCORE => class = NameClass::Underscored,
            _ => break,
        }
        at += 1;
    }
    (at, class)
}

/// Number of control characters other than the tab.
pub(super) fn count_controls(bytes: &[u8]) -> usize {
    // Blocks short enough that a byte can hold each count, so that the inner loop vectorises.
    let count = |block: &[u8]| {
        block
            .iter()
            .fold(0u8, |sum, &byte| sum + u8::from(is_stray_control(byte)))
    };
    bytes
        .chunks(128)
        .map(|block| usize::from(count(block)))
        .sum()
}

/// A control character that no value may hold: any but the tab.
pub(super) const fn is_stray_control(byte: u8) -> bool {
    (byte < 0x20) & (byte != b'\t') | (byte == 0x7f)
}

/// Without the blanks and tabs at both ends (`OWS`).
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The elements of a comma-separated list, trimmed, empty ones included so that a caller can bound their number.
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(trim)
}

/// A decimal number of digits only (`1*DIGIT`); `None` for anything else and beyond 64 bits.
pub(super) fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Appends `number` in decimal.
pub(super) fn write_decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// The text of bytes that a check has already found to be ASCII.
pub(super) fn ascii(bytes: &[u8]) -> &str {
    debug_assert!(bytes.is_ascii());
    std::str::from_utf8(bytes).unwrap_or_default()
}

const PLAIN: u8 = 1;
const UNDERSCORE: u8 = 2;

/// 0 for a byte that no token may hold.
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() as u8 * PLAIN;
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^`|~";
    let mut mark = 0;
    while mark < marks.len() {
        table[marks[mark] as usize] = PLAIN;
        mark += 1;
    }
    table[b'_' as usize] = UNDERSCORE;
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens() {
        for good in ["a", "X-Forwarded-For", "a_b", "!#$%&'*+-.^_`|~09"] {
            assert!(valid_name(good.as_bytes()), "{good}");
        }
        for bad in [
            "", "a b", "a:", "a\r", "\u{e9}", "a\0", "(a)", "a\"", "a/b", "{a}", "a@b", "a,b",
            "[a]",
        ] {
            assert!(!valid_name(bad.as_bytes()), "{bad:?}");
        }
        assert!(valid_name(&[b'a'; 65_535]));
        assert!(!valid_name(&[b'a'; 65_536]));
    }

    #[test]
    fn values_hold_no_controls_and_no_outer_blanks() {
        for good in [
            &b""[..],
            b"a",
            b"a b",
            b"a\tb",
            b"\xff\x80",
            b"\"quoted, text\"",
        ] {
            assert!(valid_value(good), "{good:?}");
        }
        for bad in [
            &b"\r"[..],
            b"a\nb",
            b"a\0",
            b"a\x7f",
            b"\x1b[0m",
            b" a",
            b"a ",
            b"\ta",
            b" ",
        ] {
            assert!(!valid_value(bad), "{bad:?}");
        }
    }

    #[test]
    fn framing_headers_are_not_editable_in_any_case() {
        for own in [
            "Connection",
            "content-length",
            "HOST",
            "Keep-Alive",
            "proxy-connection",
            "TE",
            "trailer",
            "Transfer-Encoding",
            "upgrade",
        ] {
            assert!(!is_editable(own.as_bytes()), "{own}");
        }
        for free in ["cookie", "x-connection", "hos", "te2", ""] {
            assert!(is_editable(free.as_bytes()), "{free}");
        }
    }

    #[test]
    fn decimals_are_digits_within_64_bits() {
        let table: [(&str, Option<u64>); 9] = [
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("+1", None),
            ("-1", None),
            ("1 ", None),
            ("0x1", None),
        ];
        for (text, number) in table {
            assert_eq!(parse_decimal(text.as_bytes()), number, "{text:?}");
        }
    }

    #[test]
    fn decimals_are_written_without_padding() {
        for number in [0, 9, 10, 100, 12_345, u64::MAX] {
            let mut out = b"n=".to_vec();
            write_decimal(number, &mut out);
            assert_eq!(out, format!("n={number}").into_bytes());
        }
    }

    #[test]
    fn list_elements_are_trimmed_and_empty_ones_kept() {
        let found: Vec<&[u8]> = elements(b" a,\tb ,, c d").collect();
        assert_eq!(found, [&b"a"[..], b"b", b"", b"c d"]);
    }
}
