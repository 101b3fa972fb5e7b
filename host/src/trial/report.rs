//! What is said of cases that have been run, to people and to programs.

use serde_json::{Value, json};

use super::{Tried, TriedFile};

/// Files of cases that have been run, each perhaps with another build of the plugin as well.
#[derive(Debug, Default)]
pub(crate) struct Report {
    files: Vec<(TriedFile, Option<TriedFile>)>,
}

/// Something that came out otherwise with the other build.
#[derive(Debug, PartialEq)]
struct Change {
    /// As a JSON pointer into what was observed.
    at: String,
    old: Value,
    new: Value,
}

impl Report {
    pub(crate) fn add(&mut self, tried: TriedFile, old: Option<TriedFile>) {
        self.files.push((tried, old));
    }

    /// Whether nothing was run at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.iter().all(|(file, _)| file.tried.is_empty())
    }

    /// Whether every case came out as expected, and as with the other build.
    pub(crate) fn is_good(&self) -> bool {
        self.cases().all(|(_, case, changes)| {
            case.differences.is_empty() && changes.is_none_or(|changes| changes.is_empty())
        })
    }

    fn cases(&self) -> impl Iterator<Item = (&TriedFile, &Tried, Option<Vec<Change>>)> {
        self.files.iter().flat_map(|(file, old)| {
            file.tried.iter().enumerate().map(move |(index, case)| {
                let old = old.as_ref().map(|old| old.tried.get(index));
                let changes = old.map(|old| changes(old.map(|old| &old.observed), &case.observed));
                (file, case, changes)
            })
        })
    }

    /// A line for each case, what differs below it, and a summary.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        let (mut passed, mut failed, mut changed, mut compares) = (0, 0, 0, false);
        let mut last = None;
        for (file, case, changes) in self.cases() {
            if last != Some(&file.path) {
                text.push_str(&format!("{}\n", file.path.display()));
                last = Some(&file.path);
            }
            compares |= changes.is_some();
            let changes = changes.unwrap_or_default();
            let is_good = case.differences.is_empty();
            *(if is_good { &mut passed } else { &mut failed }) += 1;
            changed += usize::from(!changes.is_empty());
            let word = match (is_good, changes.is_empty()) {
                (true, true) => "ok  ",
                (true, false) => "DIFF",
                (false, _) => "FAIL",
            };
            text.push_str(&format!("  {word}  {}\n", case.name));
            for difference in &case.differences {
                text.push_str(&format!(
                    "        {}: expected {}, got {} ({})\n",
                    difference.what,
                    difference.expected,
                    difference.got,
                    file.sources.describe(difference.place)
                ));
            }
            for change in &changes {
                let shown = |value: &Value| match value {
                    Value::Null => "nothing".to_owned(),
                    value => value.to_string(),
                };
                let (old, new) = (shown(&change.old), shown(&change.new));
                text.push_str(&format!("        {}: was {old}, is {new}\n", change.at));
            }
            if !is_good {
                for line in &case.logs {
                    text.push_str(&format!("        log: {line}\n"));
                }
            }
        }
        let of = |count: usize| if count == 1 { "case" } else { "cases" };
        let all = passed + failed;
        text.push_str(&format!(
            "{all} {}: {passed} passed, {failed} failed",
            of(all)
        ));
        if compares {
            text.push_str(&format!(", {changed} came out otherwise before"));
        }
        text.push('\n');
        text
    }

    pub(crate) fn to_json(&self) -> String {
        let cases: Vec<Value> = self
            .cases()
            .map(|(file, case, changes)| {
                let differences = case.differences.iter();
                let differences: Vec<_> = differences
                    .map(|difference| {
                        json!({
                            "at": file.sources.describe(difference.place),
                            "what": difference.what,
                            "expected": difference.expected,
                            "got": difference.got,
                        })
                    })
                    .collect();
                let changes = changes.map(|changes| {
                    let changes = changes.into_iter();
                    changes
                        .map(|it| json!({ "at": it.at, "old": it.old, "new": it.new }))
                        .collect::<Vec<_>>()
                });
                json!({
                    "name": case.name,
                    "at": file.sources.describe(case.place),
                    "passed": case.differences.is_empty(),
                    "differences": differences,
                    "changes": changes,
                    "observed": case.observed,
                    "log": case.logs,
                })
            })
            .collect();
        let passed = cases.iter().filter(|case| case["passed"] == true).count();
        let report = json!({ "passed": passed, "failed": cases.len() - passed, "cases": cases });
        format!("{report:#}\n")
    }
}

fn changes(old: Option<&Value>, new: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare("", old.unwrap_or(&Value::Null), new, &mut found);
    found
}

/// Walks two values side by side. Lists are compared by what is in one and not in the other, since a line more shifts all that follow.
fn compare(at: &str, old: &Value, new: &Value, found: &mut Vec<Change>) {
    let mut change = |old: &Value, new: &Value| {
        found.push(Change {
            at: at.to_owned(),
            old: old.clone(),
            new: new.clone(),
        });
    };
    match (old, new) {
        (Value::Object(olds), Value::Object(news)) => {
            for (name, old) in olds {
                let new = news.get(name).unwrap_or(&Value::Null);
                compare(&format!("{at}/{name}"), old, new, found);
            }
            for (name, new) in news.iter().filter(|(name, _)| !olds.contains_key(*name)) {
                compare(&format!("{at}/{name}"), &Value::Null, new, found);
            }
        }
        (Value::Array(olds), Value::Array(news)) if old != new => {
            let mut left = news.clone();
            let mut gone = Vec::new();
            for old in olds {
                match left.iter().position(|new| new == old) {
                    Some(index) => drop(left.remove(index)),
                    None => gone.push(old),
                }
            }
            if gone.is_empty() && left.is_empty() {
                return change(old, new);
            }
            gone.into_iter().for_each(|old| change(old, &Value::Null));
            left.iter().for_each(|new| change(&Value::Null, new));
        }
        _ if old != new => change(old, new),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_what_is_in_one_and_not_in_the_other() {
        let shown = |old: Value, new: Value| -> Vec<String> {
            let changes = changes(Some(&old), &new);
            let changes = changes.iter();
            changes
                .map(|change| format!("{} {} {}", change.at, change.old, change.new))
                .collect()
        };
        let none: [&str; 0] = [];
        assert_eq!(shown(json!({ "a": [1] }), json!({ "a": [1] })), none);
        assert_eq!(shown(json!({ "a": 1 }), json!({ "a": 2 })), ["/a 1 2"]);
        assert_eq!(shown(json!({ "a": 1 }), json!({})), ["/a 1 null"]);
        assert_eq!(
            shown(json!({}), json!({ "a": { "b": 1 } })),
            ["/a null {\"b\":1}"]
        );
        assert_eq!(
            shown(
                json!([["x", "1"], ["y", "2"]]),
                json!([["x", "3"], ["y", "2"]])
            ),
            [" [\"x\",\"1\"] null", " null [\"x\",\"3\"]"]
        );
        assert_eq!(shown(json!([1, 2]), json!([2, 1])), [" [1,2] [2,1]"]);
        assert_eq!(shown(json!([1, 1]), json!([1])), [" 1 null"]);
    }
}
