//! An ordered list of rules, of which the first match counts.

use tollgate_plugin_sdk::conditions::{Condition, Missing};
use tollgate_plugin_sdk::settings::Errors;
use tollgate_plugin_sdk::{Facts, Field, Guard, Settings};

use crate::RuleSettings;

/// What a rule does with a request that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub(crate) enum Action {
    /// The request passes; later rules are not looked at.
    Allow,
    /// The request is answered with the rule's status and body.
    Deny,
    /// The connection is closed without an answer.
    Close,
}

/// One rule, ready to be evaluated.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) action: Action,
    pub(crate) status: u16,
    pub(crate) body: Option<String>,
    condition: Condition,
}

/// The rules in their order.
#[derive(Debug)]
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    pub(crate) fn compile(settings: Vec<RuleSettings>, errors: &mut Errors) -> Rules {
        let compile = |(index, rule): (usize, RuleSettings)| {
            errors.inside("rule", |errors| {
                errors.inside(index, |errors| compile_rule(rule, errors))
            })
        };
        Rules(settings.into_iter().enumerate().map(compile).collect())
    }

    pub(crate) fn first_match(&self, request: &Facts) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.condition.holds(request))
    }

    /// Where some rule may keep a request from passing; none when no rule ever does.
    pub(crate) fn guard(&self) -> Option<Guard> {
        let stopping = self.0.iter().filter(|rule| rule.action != Action::Allow);
        stopping
            .map(|rule| rule.condition.guard())
            .reduce(Guard::or)
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = Field> {
        self.0.iter().flat_map(|rule| rule.condition.fields())
    }
}

/// Fails closed: a `not` about a value that is missing holds in rules that stop, and does not in rules that let pass.
fn compile_rule(rule: RuleSettings, errors: &mut Errors) -> Rule {
    let missing = match rule.action {
        Action::Allow => Missing::Undecided,
        Action::Deny | Action::Close => Missing::Holds,
    };
    Rule {
        action: rule.action,
        status: rule.status,
        body: rule.body,
        condition: rule.conditions.compile(missing, errors),
    }
}
