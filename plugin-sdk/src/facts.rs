//! A view over the flat fields of a call: what was declared is at hand; anything else is asked of the host.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::Field;
use crate::host;

/// The facts of the current exchange or connection.
///
/// What the plan declared arrived with the call and costs nothing to read; any other field costs a call to the host (some 200 ns) and has
/// the same value. So a plan decides only how fast a filter is, not what it sees.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    declared: &'a [Field],
    flat: &'a [u8],
}

impl<'a> Facts<'a> {
    pub(crate) fn new(declared: &'a [Field], flat: &'a [u8]) -> Self {
        Facts { declared, flat }
    }

    /// The field declared at this position in the plan; none when it is absent.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<&'a [u8]> {
        let mut rest = self.flat;
        for _ in 0..index {
            rest = split_field(rest)?.1;
        }
        split_field(rest)?.0
    }

    /// Any field; none when it is absent.
    #[must_use]
    pub fn field(&self, field: &Field) -> Option<Cow<'a, [u8]>> {
        self.find(|declared| declared == field, || field.clone())
    }

    /// The request method, as sent.
    #[must_use]
    pub fn method(&self) -> Cow<'a, str> {
        self.text(&Field::Method)
    }

    /// The path after normalisation, without the query.
    #[must_use]
    pub fn path(&self) -> Cow<'a, str> {
        self.text(&Field::Path)
    }

    /// The query without its `?`; none when there is none.
    #[must_use]
    pub fn query(&self) -> Option<Cow<'a, str>> {
        self.field(&Field::Query).map(into_text)
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> Cow<'a, str> {
        self.text(&Field::Scheme)
    }

    /// The host asked for, lower case, without port; empty when there is none.
    #[must_use]
    pub fn host(&self) -> Cow<'a, str> {
        self.text(&Field::Host)
    }

    /// The name of the listener.
    #[must_use]
    pub fn listener(&self) -> Cow<'a, str> {
        self.text(&Field::Listener)
    }

    /// The address of the client. An IPv4 address in IPv6 dress is undressed.
    #[must_use]
    pub fn client_address(&self) -> Option<IpAddr> {
        let address: IpAddr = self.text(&Field::ClientAddress).parse().ok()?;
        Some(address.to_canonical())
    }

    /// A number unique to the connection during the life of the process.
    #[must_use]
    pub fn connection_id(&self) -> Option<u64> {
        self.text(&Field::ConnectionId).parse().ok()
    }

    /// A header of the message of the current phase, by lower-case name; several lines joined by `, `.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.find(
            |declared| matches!(declared, Field::Header(known) if known == name),
            || Field::Header(name.to_owned()),
        )
    }

    /// Every line's value of a header of the message of the current phase, in order. Calls the host when there may be several.
    #[must_use]
    pub fn header_lines(&self, name: &str) -> Vec<Vec<u8>> {
        match self.header(name) {
            None => Vec::new(),
            Some(joined) if may_be_joined(&joined) => host::header_lines(name),
            Some(_) if name == "set-cookie" => host::header_lines(name),
            Some(single) => vec![single.into_owned()],
        }
    }

    /// Whether some line of this header has exactly this value.
    #[must_use]
    pub fn has_header_line(&self, name: &str, value: &[u8]) -> bool {
        match self.header(name) {
            None => false,
            Some(joined) if may_be_joined(&joined) || name == "set-cookie" => {
                host::header_lines(name).iter().any(|line| line == value)
            }
            Some(single) => *single == *value,
        }
    }

    /// The lower-case names of all header lines of the message of the current phase, in order. Calls the host.
    #[must_use]
    pub fn header_names(&self) -> Vec<String> {
        host::header_names()
    }

    /// A tag that an earlier filter has set, or what the host knows of TLS and PROXY protocol under a name such as `tls.sni`; the contract lists
    /// them.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.find(
            |declared| matches!(declared, Field::Tag(known) if known == name),
            || Field::Tag(name.to_owned()),
        )
    }

    fn text(&self, field: &Field) -> Cow<'a, str> {
        self.field(field).map(into_text).unwrap_or_default()
    }

    fn find(
        &self,
        is: impl Fn(&Field) -> bool,
        field: impl Fn() -> Field,
    ) -> Option<Cow<'a, [u8]>> {
        match self.declared.iter().position(is) {
            Some(index) => self.at(index).map(Cow::Borrowed),
            None => host::read(&field()).map(Cow::Owned),
        }
    }
}

/// The first field of a flat value, and the rest.
fn split_field(flat: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = flat.split_first_chunk::<4>()?;
    match u32::from_le_bytes(*length) {
        u32::MAX => Some((None, rest)),
        length => {
            let (value, rest) = rest.split_at_checked(length as usize)?;
            Some((Some(value), rest))
        }
    }
}

fn into_text(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// Lines are joined by `, `, those of `cookie` by `; `.
fn may_be_joined(value: &[u8]) -> bool {
    value.windows(2).any(|pair| pair == b", " || pair == b"; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_fields_are_told_apart() {
        let declared = [
            Field::Path,
            Field::Query,
            Field::Header("a".into()),
            Field::Method,
        ];
        let flat = b"\x02\0\0\0/x\xff\xff\xff\xff\0\0\0\0\x03\0\0\0GET";
        let facts = Facts::new(&declared, flat);
        assert_eq!(facts.path(), "/x");
        assert_eq!(facts.query(), None);
        assert_eq!(facts.header("a").as_deref(), Some(b"".as_slice()));
        assert_eq!(facts.method(), "GET");
        assert_eq!(facts.at(4), None);
    }

    #[test]
    fn cut_flat_values_read_as_absent() {
        for flat in [&b"\x02\0\0\0/"[..], b"\x02\0\0", b""] {
            assert_eq!(Facts::new(&[], flat).at(0), None);
        }
    }
}
