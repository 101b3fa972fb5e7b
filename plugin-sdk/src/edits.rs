//! Edits in the flat form that the host takes, and the rules that header names and values obey.

/// Edits of a message, in order. Made by a filter's call; the host refuses all of them when one is invalid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits(Vec<u8>);

impl Edits {
    /// None: the message passes unchanged.
    #[must_use]
    pub const fn new() -> Self {
        Edits(Vec::new())
    }

    /// Exactly one line of this header remains, with this value. Lower-case name.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.push(1, name, value.as_ref())
    }

    /// Adds a line of this header, keeping those that are there.
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.push(2, name, value.as_ref())
    }

    /// Adds a line unless the header is already there.
    pub fn set_if_absent(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.push(3, name, value.as_ref())
    }

    /// Removes every line of this header.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.push(4, name, b"")
    }

    /// Replaces path and query of the request; request phase only.
    pub fn target(&mut self, target: &str) -> &mut Self {
        self.push(5, "", target.as_bytes())
    }

    /// Replaces the status; response phase only.
    pub fn status(&mut self, status: u16) -> &mut Self {
        self.push(6, "", status.to_string().as_bytes())
    }

    /// Sets a tag, readable by later filters. Names that begin with `tls.`, `proxy.` or `exchange.` are the host's: setting one is a fault.
    pub fn tag(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.push(7, name, value.as_ref())
    }

    /// Sets the priority with which the request waits in queues, -2047 to 2047, lower first; request phase only. Replaces what an earlier
    /// filter or the route has set.
    pub fn priority(&mut self, priority: i16) -> &mut Self {
        self.push(8, "", priority.to_string().as_bytes())
    }

    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The flat form: see `verdict.next` of the contract.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn push(&mut self, operation: u8, name: &str, value: &[u8]) -> &mut Self {
        // A name that does not fit is cut, and so refused by the host as too long rather than read as another edit.
        let name = &name.as_bytes()[..name.len().min(usize::from(u16::MAX))];
        self.0.reserve(7 + name.len() + value.len());
        self.0.push(operation);
        self.0.extend_from_slice(&(name.len() as u16).to_le_bytes());
        self.0.extend_from_slice(name);
        self.0
            .extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.0.extend_from_slice(value);
        self
    }
}

/// The lines that edits append; anything else in them is passed over.
pub(crate) fn lines(flat: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut lines = Vec::new();
    let mut rest = flat;
    while let Some((edit, behind)) = First::of(rest) {
        if edit.operation == 2 {
            let name = String::from_utf8_lossy(edit.name).into_owned();
            lines.push((name, edit.value.to_vec()));
        }
        rest = behind;
    }
    lines
}

/// The first edit of a flat form.
struct First<'a> {
    operation: u8,
    name: &'a [u8],
    value: &'a [u8],
}

impl First<'_> {
    /// With what lies behind it; none when there is none that is whole.
    fn of(flat: &[u8]) -> Option<(First<'_>, &[u8])> {
        let (&operation, rest) = flat.split_first()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (value, rest) = rest.split_at_checked(length)?;
        let first = First {
            operation,
            name,
            value,
        };
        Some((first, rest))
    }
}

/// Whether a header may be edited. Framing and hop-by-hop headers are the host's.
#[must_use]
pub fn is_editable(name: &str) -> bool {
    const HOSTS: [&str; 9] = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    !HOSTS.iter().any(|hosts| name.eq_ignore_ascii_case(hosts))
}

/// Whether this is a header name (a token of RFC 9110 section 5.6.2).
#[must_use]
pub fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether this is a header value (RFC 9110 section 5.5): no control character other than tab, no space at the ends.
#[must_use]
pub fn is_header_value(value: &[u8]) -> bool {
    let ends = [value.first(), value.last()];
    value
        .iter()
        .all(|byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f))
        && !ends
            .into_iter()
            .flatten()
            .any(|byte| matches!(byte, b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_flat() {
        let mut edits = Edits::new();
        assert!(edits.is_empty());
        edits.set("a", "bc").remove("d").status(404).priority(-20);
        assert_eq!(
            edits.into_bytes(),
            b"\x01\x01\0a\x02\0\0\0bc\x04\x01\0d\0\0\0\0\x06\0\0\x03\0\0\x00404\x08\0\0\x03\0\0\0-20"
        );
    }

    #[test]
    fn names_and_values_follow_the_rfc() {
        for (name, valid) in [
            ("x-a", true),
            ("X_a.1!", true),
            ("", false),
            ("a b", false),
            ("a:", false),
            ("é", false),
        ] {
            assert_eq!(is_header_name(name), valid, "{name}");
        }
        let values: [(&[u8], bool); 7] = [
            (b"", true),
            (b"a\tb c", true),
            (b"\xe9", true),
            (b" a", false),
            (b"a ", false),
            (b"a\r\nb", false),
            (b"\x7f", false),
        ];
        for (value, valid) in values {
            assert_eq!(is_header_value(value), valid, "{value:?}");
        }
        assert!(is_editable("x-a") && !is_editable("Host") && !is_editable("te"));
    }
}
