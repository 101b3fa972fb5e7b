//! `${NAME}` and `${NAME:-default}` inside strings.
//!
//! The default is used when the variable is unset or empty, as a shell does. `$${` stands for a literal `${`; any other `$` is
//! itself. What a variable holds is not looked at again.

use super::{Diagnostics, Place};

/// Looks a variable up.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The text with its references replaced, or `None` after reporting each one that cannot be.
pub(super) fn expand(
    text: &str,
    env: Environment<'_>,
    place: Place,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    let mut complete = true;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            expanded.push_str(&rest[..at]);
            expanded.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        expanded.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let end = inside.find('}').unwrap_or(inside.len());
        match value_of(&inside[..end], end < inside.len(), env) {
            Ok(value) => expanded.push_str(&value),
            Err(message) => {
                let help = "write `$${` where the two characters `${` are meant".to_owned();
                diagnostics.error(place, message, Some(help));
                complete = false;
            }
        }
        rest = inside.get(end + 1..).unwrap_or_default();
    }
    expanded.push_str(rest);
    complete.then_some(expanded)
}

fn value_of(reference: &str, closed: bool, env: Environment<'_>) -> Result<String, String> {
    if !closed {
        return Err(format!("`${{{reference}` has no closing `}}`"));
    }
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if !is_name(name) {
        return Err(format!(
            "`${{{reference}}}` does not name an environment variable"
        ));
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!(
            "environment variable `{name}` is not set, and `${{{name}}}` gives no default (`${{{name}:-…}}`)"
        )),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_once() {
        let env = |name: &str| match name {
            "A" => Some("${B}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("", Some("")),
            ("plain $1 $ {x}", Some("plain $1 $ {x}")),
            ("<${A}>", Some("<${B}>")),
            ("${EMPTY}", Some("")),
            ("${EMPTY:-x}", Some("x")),
            ("${NO:-}", Some("")),
            ("${NO:-a b}${NO:-c}", Some("a bc")),
            ("$${A}", Some("${A}")),
            ("$$${A}", Some("$${A}")),
            ("${NO}", None),
            ("${A", None),
            ("${}", None),
            ("${1}", None),
            ("${a b:-c}", None),
        ] {
            let mut diagnostics = Diagnostics::default();
            let found = expand(text, &env, Place::default(), &mut diagnostics);
            assert_eq!(found.as_deref(), expected, "{text}");
            assert_eq!(diagnostics.has_errors(), expected.is_none(), "{text}");
        }
    }
}
