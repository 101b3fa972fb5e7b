//! Shares that carry their sign: `20%`, `0.5%`.

use super::Percent;

/// For messages about a value that is no string.
pub(super) const PERCENT_FORM: &str =
    "a share is a number with `%` and at most two decimals, such as \"20%\" or \"0.5%\"";

/// Parses a number with at most two decimals and a percent sign.
/// A share such as `20%` or `0.5%`, with at most two decimals.
///
/// # Errors
/// What is expected instead.
pub fn parse_percent(text: &str) -> Result<Percent, String> {
    let form = || PERCENT_FORM.to_owned();
    let number = text.strip_suffix('%').ok_or_else(form)?;
    let (whole, decimals) = match number.split_once('.') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (number, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || decimals.is_some_and(|text| !digits(text) || text.len() > 2) {
        return Err(form());
    }
    // `.5` is fifty hundredths, `.05` five.
    let hundredths: u32 = format!("{:0<2}", decimals.unwrap_or_default())
        .parse()
        .map_err(|_| form())?;
    whole
        .parse::<u32>()
        .ok()
        .and_then(|whole| whole.checked_mul(100)?.checked_add(hundredths))
        .map(Percent)
        .ok_or_else(|| format!("`{text}` is too large"))
}

/// As it would be written, without needless zeros: `0.5%`.
pub(super) fn show_percent(percent: Percent) -> String {
    let (whole, hundredths) = (percent.0 / 100, percent.0 % 100);
    match hundredths {
        0 => format!("{whole}%"),
        hundredths => {
            let decimals = format!("{hundredths:02}");
            format!("{whole}.{}%", decimals.trim_end_matches('0'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_need_their_sign() {
        for (text, expected) in [
            ("20%", Some(2_000)),
            ("0%", Some(0)),
            ("0.5%", Some(50)),
            ("0.05%", Some(5)),
            ("12.34%", Some(1_234)),
            ("190%", Some(19_000)),
            ("42949672.95%", Some(u32::MAX)),
            ("42949672.96%", None),
            ("99999999999%", None),
            ("0.005%", None),
            ("20", None),
            ("0.2", None),
            (".5%", None),
            ("5.%", None),
            ("-5%", None),
            ("+5%", None),
            ("1e2%", None),
            ("20 %", None),
            ("%", None),
            ("", None),
        ] {
            assert_eq!(parse_percent(text).ok(), expected.map(Percent), "{text}");
        }
    }

    #[test]
    fn shares_are_shown_as_they_would_be_written() {
        for text in ["0%", "20%", "0.5%", "0.05%", "12.34%", "190%"] {
            let percent = parse_percent(text).expect("it is a share");
            assert_eq!(show_percent(percent), text);
        }
    }
}
