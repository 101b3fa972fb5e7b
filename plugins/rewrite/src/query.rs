//! Query edits. Names are compared with escapes resolved; parameters that stay keep their text.

use tollgate_plugin_sdk::query::{decoded, encoded};
use tollgate_plugin_sdk::settings::Errors;

use crate::QuerySettings;

/// Edits in the order remove, set, default.
#[derive(Debug)]
pub(crate) struct QueryEdits {
    remove: Vec<String>,
    set: Vec<(String, String)>,
    default: Vec<(String, String)>,
}

impl QueryEdits {
    pub(crate) fn compile(settings: QuerySettings, errors: &mut Errors) -> QueryEdits {
        let QuerySettings {
            remove,
            set,
            default,
        } = settings;
        errors.inside("remove", |errors| {
            for (index, name) in remove.iter().enumerate() {
                errors.inside(index, |errors| check_name(name, errors));
            }
        });
        for (member, pairs) in [("set", &set), ("default", &default)] {
            errors.inside(member, |errors| {
                for (index, (name, _)) in pairs.iter().enumerate() {
                    errors.inside(index, |errors| {
                        errors.inside(0_usize, |errors| check_name(name, errors))
                    });
                }
            });
        }
        QueryEdits {
            remove,
            set,
            default,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.default.is_empty()
    }

    /// The query after the edits; none when nothing is left of it.
    pub(crate) fn apply(&self, query: Option<String>) -> Option<String> {
        if self.is_empty() {
            return query;
        }
        let query = query.unwrap_or_default();
        let mut parameters: Vec<String> = query
            .split('&')
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect();
        let is_gone = |parameter: &String| {
            let mut names = self
                .remove
                .iter()
                .chain(self.set.iter().map(|(name, _)| name));
            names.any(|name| is_named(parameter, name))
        };
        parameters.retain(|parameter| !is_gone(parameter));
        parameters.extend(self.set.iter().map(written));
        for pair in &self.default {
            if !parameters
                .iter()
                .any(|parameter| is_named(parameter, &pair.0))
            {
                parameters.push(written(pair));
            }
        }
        (!parameters.is_empty()).then(|| parameters.join("&"))
    }
}

fn check_name(name: &str, errors: &mut Errors) {
    if name.is_empty() {
        errors.add("a query parameter has a name");
    }
}

fn written((name, value): &(String, String)) -> String {
    format!("{}={}", encoded(name), encoded(value))
}

fn is_named(parameter: &str, name: &str) -> bool {
    let written = parameter
        .split_once('=')
        .map_or(parameter, |(name, _)| name);
    decoded(written) == name.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_escapes() {
        for (parameter, name, same) in [
            ("a=1", "a", true),
            ("%61", "a", true),
            ("a+b=", "a b", true),
            ("a%", "a%", true),
            ("ab", "a", false),
        ] {
            assert_eq!(is_named(parameter, name), same, "{parameter}");
        }
    }
}
