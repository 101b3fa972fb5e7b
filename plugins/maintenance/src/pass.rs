//! Who may pass: matchers of requests and cookies.

use tollgate_plugin_sdk::conditions::{Condition, Missing};
use tollgate_plugin_sdk::settings::Errors;
use tollgate_plugin_sdk::{Facts, Field, Guard, is_header_name, not};

use crate::ExceptSettings;

/// Any of these.
#[derive(Debug)]
pub(crate) struct Passes(Vec<Pass>);

#[derive(Debug)]
struct Pass {
    condition: Condition,
    /// Name and values; without a value it has to be there. All names, any value of a name.
    cookies: Vec<(String, Vec<String>)>,
}

impl Passes {
    pub(crate) fn compile(settings: &[ExceptSettings], errors: &mut Errors) -> Passes {
        errors.inside("except", |errors| {
            let compile = |(index, except): (usize, &ExceptSettings)| {
                errors.inside(index, |errors| Pass::compile(except, errors))
            };
            Passes(settings.iter().enumerate().map(compile).collect())
        })
    }

    pub(crate) fn any_holds(&self, request: &Facts) -> bool {
        self.0.iter().any(|pass| pass.holds(request))
    }

    /// Where somebody may be held up. Guards do not read cookies.
    pub(crate) fn guard_of_others(&self) -> Guard {
        let passing = self.0.iter().filter(|pass| pass.cookies.is_empty());
        passing.fold(Guard::always(), |guard, pass| {
            guard.and(not(pass.condition.guard()))
        })
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = Field> {
        self.0.iter().flat_map(|pass| {
            let cookie = (!pass.cookies.is_empty()).then(|| Field::Header("cookie".to_owned()));
            pass.condition.fields().chain(cookie)
        })
    }
}

impl Pass {
    /// What is missing lets nobody pass.
    fn compile(except: &ExceptSettings, errors: &mut Errors) -> Pass {
        let errors_before = errors.iter().count();
        let pass = Pass {
            condition: except.conditions.compile(Missing::Undecided, errors),
            cookies: errors.inside("cookie", |errors| cookies(&except.cookie, errors)),
        };
        let says_nothing = pass.condition.is_always() && pass.cookies.is_empty();
        if says_nothing && errors.iter().count() == errors_before {
            errors.add("`except` without a matcher in it lets everybody pass");
        }
        pass
    }

    fn holds(&self, request: &Facts) -> bool {
        self.condition.holds(request) && self.cookies_hold(request)
    }

    fn cookies_hold(&self, request: &Facts) -> bool {
        if self.cookies.is_empty() {
            return true;
        }
        let Some(line) = request.header("cookie") else {
            return false;
        };
        self.cookies.iter().all(|(name, values)| {
            pairs(&line).any(|(known, value)| {
                known == name.as_bytes()
                    && (values.is_empty() || values.iter().any(|wanted| wanted.as_bytes() == value))
            })
        })
    }
}

/// The values of each name. A name without value asks for presence, whatever values there are besides.
fn cookies(pairs: &[(String, Option<String>)], errors: &mut Errors) -> Vec<(String, Vec<String>)> {
    let mut grouped: Vec<(String, Vec<String>)> = Vec::new();
    for (index, (name, value)) in pairs.iter().enumerate() {
        errors.inside(index, |errors| check(name, value.as_deref(), errors));
        if grouped.iter().any(|(known, _)| known == name) {
            continue;
        }
        let of_name = || pairs.iter().filter(|(known, _)| known == name);
        let presence = of_name().any(|(_, value)| value.is_none());
        let values = of_name().filter_map(|(_, value)| value.clone());
        grouped.push((
            name.clone(),
            if presence {
                Vec::new()
            } else {
                values.collect()
            },
        ));
    }
    grouped
}

/// RFC 6265 section 4.1.1: a value that no cookie can have would never match.
fn check(name: &str, value: Option<&str>, errors: &mut Errors) {
    if !is_header_name(name) {
        errors.inside(0_usize, |errors| {
            errors.add(format!("`{name}` is not the name of a cookie"))
        });
    }
    let may_stand = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
    if let Some(value) = value
        && (value.is_empty() || !value.bytes().all(may_stand))
    {
        errors.inside(1_usize, |errors| {
            errors.add(
                "a cookie's value is one or more visible ASCII characters other than `\"`, `,`, `;` and `\\`",
            )
        });
    }
}

/// Name and value of each cookie; quotes around a value are not part of it.
fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|byte| *byte == b';').filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
        let quoted = value
            .strip_prefix(b"\"")
            .and_then(|value| value.strip_suffix(b"\""));
        Some((name, quoted.unwrap_or(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_told_apart() {
        let cases: [(&str, &[(&str, &str)]); 6] = [
            ("a=1; b=2", &[("a", "1"), ("b", "2")]),
            ("a=1;b=\"2\" ; c", &[("a", "1"), ("b", "2")]),
            ("a=b=c", &[("a", "b=c")]),
            ("a=", &[("a", "")]),
            ("a=\"", &[("a", "\"")]),
            (";;=", &[("", "")]),
        ];
        for (line, expected) in cases {
            let found: Vec<_> = pairs(line.as_bytes()).collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
                .collect();
            assert_eq!(found, expected, "{line}");
        }
    }
}
