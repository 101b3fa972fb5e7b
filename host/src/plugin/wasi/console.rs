//! Standard output and standard error of a guest, as lines.

/// A line of output is broken after this many bytes.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// The unfinished lines of standard output and standard error.
#[derive(Debug, Default)]
pub(in super::super) struct Console {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Console {
    pub(super) fn write(
        line: &mut Vec<u8>,
        bytes: impl Iterator<Item = u8>,
        mut emit: impl FnMut(&str),
    ) {
        for byte in bytes {
            if byte != b'\n' {
                line.push(byte);
            }
            if byte == b'\n' || line.len() >= LINE_BYTES_MAX {
                emit(String::from_utf8_lossy(line).trim_end());
                line.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_becomes_lines() {
        let (mut rest, mut lines) = (Vec::new(), Vec::new());
        for piece in ["a", "b\nc", "\n\n", "d"] {
            Console::write(&mut rest, piece.bytes(), |line| lines.push(line.to_owned()));
        }
        assert_eq!(
            (lines, rest.as_slice()),
            (
                vec!["ab".to_owned(), "c".to_owned(), String::new()],
                &b"d"[..]
            )
        );
        let mut lines = Vec::new();
        Console::write(
            &mut rest,
            std::iter::repeat_n(b'x', 2 * LINE_BYTES_MAX),
            |line| lines.push(line.len()),
        );
        assert_eq!(lines, [LINE_BYTES_MAX, LINE_BYTES_MAX]);
    }
}
