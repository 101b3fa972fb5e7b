//! How deep blocks are nested, found out without the recursion that is to be guarded against.

/// The parser calls itself for each level, so the depth must be bounded before it starts.
pub(super) const DEPTH_MAX: usize = 32;

/// Where the text first goes deeper than `DEPTH_MAX`, if it does. Knows strings and comments, since braces mean nothing there.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut comments) = (0, 0_usize, 0_usize);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let mut len = 1;
        match rest {
            [b'/', b'*', ..] => (comments, len) = (comments + 1, 2),
            [b'*', b'/', ..] => (comments, len) = (comments.saturating_sub(1), 2),
            _ if comments > 0 => {}
            [b'/', b'/', ..] => len = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
            [b'"' | b'#', ..] => len = string_len(rest),
            [b'{', ..] => depth += 1,
            [b'}', ..] => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth + comments > DEPTH_MAX {
            return Some(at);
        }
        at += len;
    }
    None
}

/// The bytes of the quoted, raw (`#"…"#`) or multi-line (`"""…"""`) string at the start; 1 when there is none.
fn string_len(bytes: &[u8]) -> usize {
    let hashes = bytes.iter().take_while(|b| **b == b'#').count();
    let quotes = match &bytes[hashes..] {
        [b'"', b'"', b'"', ..] => 3,
        [b'"', ..] => 1,
        _ => return 1,
    };
    let mut end = vec![b'"'; quotes];
    end.resize(quotes + hashes, b'#');
    let mut at = hashes + quotes;
    while at < bytes.len() && !bytes[at..].starts_with(&end) {
        let escaped = hashes == 0 && bytes[at] == b'\\';
        at += if escaped { 2 } else { 1 };
    }
    at + end.len()
}
