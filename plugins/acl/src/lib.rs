//! HTTP filter `acl`: the first rule that matches a request decides. The rules are in `rules.rs`.

mod rules;

use rules::{Action, Rules};
use tollgate_plugin_sdk::conditions::Conditions;
use tollgate_plugin_sdk::prelude::*;

/// Settings of the filter.
#[derive(Settings)]
pub struct AclSettings {
    /// Rules; the first that matches decides, and without a match the request passes.
    rule: Vec<RuleSettings>,
}

/// One rule.
#[derive(Settings)]
pub struct RuleSettings {
    /// What happens to a request that matches.
    #[setting(argument)]
    action: Action,
    /// Status of the answer to a denied request.
    #[setting(default = 403, range = 200..=599)]
    status: u16,
    /// Text of the answer to a denied request; empty when absent.
    body: Option<String>,
    #[setting(flatten)]
    conditions: Conditions,
}

/// The filter.
pub struct Acl {
    rules: Rules,
}

impl HttpFilter for Acl {
    type Settings = AclSettings;

    fn new(settings: AclSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        let rules = Rules::compile(settings.rule, &mut errors);
        errors.finish(Acl { rules })
    }

    fn plan(&self) -> Plan {
        match self.rules.guard() {
            None => Plan::nothing(),
            Some(guard) => Plan::nothing().on_request(self.rules.fields()).guard(guard),
        }
    }

    fn request(&self, request: &Request) -> Verdict {
        let Some(rule) = self.rules.first_match(request) else {
            return Verdict::next();
        };
        match (rule.action, &rule.body) {
            (Action::Allow, _) => Verdict::next(),
            (Action::Close, _) => Verdict::Close,
            (Action::Deny, Some(body)) => Reply::new(rule.status).text(body).into(),
            (Action::Deny, None) => Reply::new(rule.status).into(),
        }
    }
}

http_filter!(Acl);

#[cfg(test)]
mod tests {
    use tollgate_plugin_sdk::testing::{End, Exchange, assert_plan_is_pure, errors, run, samples};

    use super::*;

    const ADMIN: &str = r#"{"rule":[
        {"action":"deny","status":404,"body":"no\n","path":["/admin/*"],"not":[{"source":["10.0.0.0/8"]}]}
    ]}"#;

    #[test]
    fn a_denied_request_gets_the_reply_of_its_rule() {
        let outcome = run::<Acl>(ADMIN, &Exchange::get("/admin/x"));
        assert_eq!(outcome.end, End::Replied(Reply::new(404).text("no\n")));
        let plain = run::<Acl>(r#"{"rule":[{"action":"deny"}]}"#, &Exchange::get("/"));
        assert_eq!(plain.end, End::Replied(Reply::new(403)));
        let closed = run::<Acl>(r#"{"rule":[{"action":"close"}]}"#, &Exchange::get("/"));
        assert_eq!(closed.end, End::Closed);
    }

    #[test]
    fn nothing_is_called_where_no_rule_can_deny() {
        for exchange in [
            Exchange::get("/"),
            Exchange::get("/admin/x").from("10.0.0.1"),
        ] {
            let outcome = run::<Acl>(ADMIN, &exchange);
            assert_eq!((outcome.end, outcome.calls), (End::Passed, 0));
        }
        let allowing = run::<Acl>(r#"{"rule":[{"action":"allow"}]}"#, &Exchange::get("/"));
        assert_eq!(allowing.calls, 0);
    }

    #[test]
    fn the_first_match_decides() {
        let settings = r#"{"rule":[
            {"action":"allow","path":["/admin/health"]},
            {"action":"deny","path":["/admin/*"]},
            {"action":"allow"}
        ]}"#;
        let end = |path| run::<Acl>(settings, &Exchange::get(path)).end;
        assert_eq!(end("/admin/health"), End::Passed);
        assert_eq!(end("/admin/other"), End::Replied(Reply::new(403)));
        assert_eq!(end("/"), End::Passed);
    }

    #[test]
    fn a_missing_header_fails_closed() {
        let allow = r#"{"rule":[{"action":"allow","not":[{"header":[["x-role","guest"]]}]},{"action":"deny"}]}"#;
        let deny = r#"{"rule":[{"action":"deny","not":[{"header":[["x-token","secret"]]}]}]}"#;
        let denied = End::Replied(Reply::new(403));
        assert_eq!(run::<Acl>(allow, &Exchange::get("/")).end, denied);
        assert_eq!(
            run::<Acl>(allow, &Exchange::get("/").header("x-role", "boss")).end,
            End::Passed
        );
        assert_eq!(run::<Acl>(deny, &Exchange::get("/")).end, denied);
        assert_eq!(
            run::<Acl>(deny, &Exchange::get("/").header("x-token", "secret")).end,
            End::Passed
        );
    }

    #[test]
    fn the_plan_is_pure() {
        let exchanges = samples(11, 400);
        let settings = [
            ADMIN,
            r#"{"rule":[{"action":"allow","any":[{"method":["GET"],"host":["*.example.com"]}],"not":[{"header":[["x-a","1"]]}]},
                        {"action":"deny","status":410,"header":[["x-a"],["x-b","2"]]},{"action":"close","source":["::/0"]}]}"#,
            r#"{"rule":[{"action":"deny","path":["/a*"],"path-regex":["b"]},{"action":"deny","query":[["q","1"]],"method":["POST"]}]}"#,
            r#"{"rule":[]}"#,
        ];
        for settings in settings {
            assert_plan_is_pure::<Acl>(settings, &exchanges);
        }
    }

    #[test]
    fn bad_settings_are_told_at_their_place() {
        let cases = [
            (r#"{"rule":[{"action":"reject"}]}"#, "/rule/0/action: "),
            (r#"{"rule":[{}]}"#, "/rule/0: "),
            (
                r#"{"rule":[{"action":"deny","status":199}]}"#,
                "/rule/0/status: ",
            ),
            (
                r#"{"rule":[{"action":"deny"},{"action":"deny","path":["a"]}]}"#,
                "/rule/1/path/0: ",
            ),
            (r#"{"rules":[]}"#, "/rules: "),
        ];
        for (settings, expected) in cases {
            let found = errors::<Acl>(settings);
            assert!(
                found.len() == 1 && found[0].starts_with(expected),
                "{settings}: {found:?}"
            );
        }
    }
}
