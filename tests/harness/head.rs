//! A message head, with its bytes as they came.

/// Start line and headers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    /// Every byte, the empty line included.
    pub(crate) raw: String,
    pub(crate) start_line: String,
    /// In order, names as written.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// From the bytes of a whole head. Bytes that are no UTF-8 are shown as replacement characters.
    pub(crate) fn parse(bytes: &[u8]) -> Head {
        let raw = String::from_utf8_lossy(bytes).into_owned();
        let mut lines = raw.trim_end_matches("\r\n").split("\r\n");
        let start_line = lines.next().unwrap_or_default().to_owned();
        let headers = lines.map(|line| {
            let (name, value) = line
                .split_once(':')
                .unwrap_or_else(|| panic!("no header line: {line:?} in {raw:?}"));
            (name.to_owned(), value.trim().to_owned())
        });
        Head {
            headers: headers.collect(),
            start_line,
            raw: raw.clone(),
        }
    }

    /// The value of a header that is there at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(
            values.len() < 2,
            "{name} is there more than once: {}",
            self.raw
        );
        values.first().copied()
    }

    /// Every value of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let same = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    /// The request's target.
    pub(crate) fn target(&self) -> &str {
        self.start_line.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn method(&self) -> &str {
        self.start_line.split(' ').next().unwrap_or_default()
    }

    /// The response's status.
    pub(crate) fn status(&self) -> u16 {
        let status = self
            .start_line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status line: {:?}", self.start_line))
    }

    pub(super) fn is_chunked(&self) -> bool {
        self.header("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    }

    pub(super) fn content_length(&self) -> Option<usize> {
        self.header("content-length")
            .map(|length| length.parse().expect("a length"))
    }
}
