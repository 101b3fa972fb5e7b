//! An ordered list of rules, of which the first counts that fits and leads elsewhere.

use tollgate_plugin_sdk::conditions::{Condition, Missing};
use tollgate_plugin_sdk::settings::Errors;
use tollgate_plugin_sdk::{Facts, Field, Guard};

use crate::RuleSettings;
use crate::change::Change;
use crate::target::{Captures, Target};
use crate::url::Url;

/// The rules in their order.
#[derive(Debug)]
pub(crate) struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    status: u16,
    condition: Condition,
    way: Way,
}

#[derive(Debug)]
enum Way {
    To(Target),
    By(Change),
}

impl Rules {
    pub(crate) fn compile(settings: &[RuleSettings], errors: &mut Errors) -> Rules {
        let compile = |(index, rule): (usize, &RuleSettings)| {
            errors.inside("rule", |errors| {
                errors.inside(index, |errors| compile_rule(rule, errors))
            })
        };
        Rules(settings.iter().enumerate().filter_map(compile).collect())
    }

    /// Status and `location` of the answer.
    pub(crate) fn first(&self, request: &Facts) -> Option<(u16, String)> {
        let url = Url::of(request);
        // `OPTIONS *` asks for no place.
        if !url.path.starts_with('/') {
            return None;
        }
        let mut fitting = self.0.iter().filter(|rule| rule.condition.holds(request));
        fitting.find_map(|rule| Some((rule.status, rule.way.location(&url)?)))
    }

    /// Where some rule may answer; none without rules.
    pub(crate) fn guard(&self) -> Option<Guard> {
        let guards = self.0.iter().map(|rule| match &rule.way {
            Way::To(_) => rule.condition.guard(),
            Way::By(change) => rule.condition.guard().and(change.guard()),
        });
        guards.reduce(Guard::or)
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = Field> {
        self.0.iter().flat_map(|rule| rule.condition.fields())
    }
}

impl Way {
    /// None when it leads to where the request is already: answering would go round in circles.
    fn location(&self, url: &Url) -> Option<String> {
        let location = match self {
            Way::To(target) => target.location(url),
            Way::By(change) => change.location(url),
        };
        location.filter(|location| !url.is_at(location))
    }
}

fn compile_rule(rule: &RuleSettings, errors: &mut Errors) -> Option<Rule> {
    if !matches!(rule.status, 301 | 302 | 303 | 307 | 308) {
        errors.inside("status", |errors| {
            errors.add(format!(
                "{} is not the status of a redirect: 301, 302, 303, 307 or 308",
                rule.status
            ))
        });
    }
    let condition = rule.conditions.compile(Missing::Holds, errors);
    let change = Change::compile(rule, errors);
    let way = match (&rule.target, change) {
        (Some(_), Some(_)) => {
            errors.inside("target", |errors| {
                errors.add(
                    "a target says all; leave out `https`, `to-host`, `www` and `trailing-slash`",
                )
            });
            None
        }
        (Some(text), None) => compile_target(text, rule, errors).map(Way::To),
        (None, Some(change)) => Some(Way::By(change)),
        (None, None) => {
            errors.add(
                "a rule says where to: a target, or some of `https`, `to-host`, `www` and `trailing-slash`",
            );
            None
        }
    };
    Some(Rule {
        status: rule.status,
        condition,
        way: way?,
    })
}

fn compile_target(text: &str, rule: &RuleSettings, errors: &mut Errors) -> Option<Target> {
    let captures = Captures::of(&rule.conditions.matchers);
    let hidden: Vec<String> = captures.hidden().map(str::to_owned).collect();
    errors.inside("path-regex", |errors| {
        for name in hidden {
            errors.add(format!(
                "a group cannot be called `{name}`: `{{{name}}}` is something else"
            ));
        }
    });
    errors.inside("target", |errors| {
        errors.check(Target::parse(
            text,
            captures,
            rule.keep_query.unwrap_or(false),
        ))
    })
}
