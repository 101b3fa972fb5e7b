//! Statuses and ranges of them: `503`, `500-504`, `5xx`.

use std::ops::RangeInclusive;

/// Parses one of the three forms, all of whose statuses must be in `within`.
pub(super) fn parse_statuses(
    word: &str,
    within: RangeInclusive<u16>,
) -> Result<RangeInclusive<u16>, String> {
    let form =
        || format!("`{word}` is no status; write \"503\", a range \"500-504\" or a class \"5xx\"");
    let (least, most) = bounds(word).ok_or_else(form)?;
    if least > most {
        return Err(format!("`{word}` ends before it begins"));
    }
    if !within.contains(&least) || !within.contains(&most) {
        let (first, last) = (within.start(), within.end());
        return Err(format!(
            "`{word}`: expected statuses from {first} to {last}"
        ));
    }
    Ok(least..=most)
}

/// Whether this begins as a status does, so that what is wrong with it is wrong with a status.
pub(super) fn looks_like_status(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

fn bounds(word: &str) -> Option<(u16, u16)> {
    if let Some(class) = word.strip_suffix("xx") {
        let class = class.parse::<u16>().ok()?;
        return (class < 10 && word.len() == 3).then_some((class * 100, class * 100 + 99));
    }
    match word.split_once('-') {
        Some((least, most)) => Some((status(least)?, status(most)?)),
        None => status(word).map(|status| (status, status)),
    }
}

fn status(text: &str) -> Option<u16> {
    let three_digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
    three_digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_three_forms() {
        for (word, expected) in [
            ("400", Some(400..=400)),
            ("599", Some(599..=599)),
            ("500-504", Some(500..=504)),
            ("503-503", Some(503..=503)),
            ("400-599", Some(400..=599)),
            ("5xx", Some(500..=599)),
            ("4xx", Some(400..=499)),
            ("399", None),
            ("600", None),
            ("399-500", None),
            ("500-600", None),
            ("504-500", None),
            ("3xx", None),
            ("xx", None),
            ("05xx", None),
            ("+5xx", None),
            ("+50", None),
            ("5XX", None),
            ("50", None),
            ("5000", None),
            ("500-", None),
            ("-500", None),
            ("500-502-504", None),
            ("", None),
        ] {
            let found = parse_statuses(word, 400..=599).ok();
            assert_eq!(found, expected, "{word}");
        }
    }
}
