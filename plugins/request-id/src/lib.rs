//! HTTP filter `request-id`: gives every request an id. All of it is constant edits, so the component is never called for an exchange.

use tollgate_plugin_sdk::prelude::*;
use tollgate_plugin_sdk::{Part, is_editable, is_header_name};

/// Settings of the filter.
#[derive(Settings)]
pub struct RequestIdSettings {
    /// The header that carries the id.
    #[setting(default = "x-request-id")]
    header: String,
    /// Keep an id that the request brings along; otherwise it is overwritten.
    trust_incoming: bool,
    /// Put the id into the response too.
    response: bool,
}

/// The filter.
pub struct RequestId {
    settings: RequestIdSettings,
}

impl HttpFilter for RequestId {
    type Settings = RequestIdSettings;

    fn new(mut settings: RequestIdSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        settings.header.make_ascii_lowercase();
        errors.inside("header", |errors| {
            if !is_header_name(&settings.header) {
                errors.add(format!("`{}` is not a header name", settings.header));
            } else if !is_editable(&settings.header) {
                errors.add(format!(
                    "`{}` belongs to the framing of messages",
                    settings.header
                ));
            }
        });
        errors.finish(RequestId { settings })
    }

    fn plan(&self) -> Plan {
        let RequestIdSettings {
            header,
            trust_incoming,
            response,
        } = &self.settings;
        let id = vec![Part::UniqueId];
        let request = ConstantEdits::on_request(Guard::always());
        let request = match trust_incoming {
            true => request.set_if_absent(header, id),
            false => request.set(header, id),
        };
        let plan = Plan::nothing().edits(request);
        if !response {
            return plan;
        }
        // What the request carries now, which is the incoming id if that one is trusted.
        let sent = vec![Part::Field(Field::RequestHeader(header.clone()))];
        plan.edits(ConstantEdits::on_response(Guard::always()).set(header, sent))
    }
}

http_filter!(RequestId);

#[cfg(test)]
mod tests {
    use tollgate_plugin_sdk::testing::{Exchange, errors, run};

    use super::*;

    /// The id in request and response after the filter.
    fn ids(settings: &str, incoming: Option<&str>) -> (String, String) {
        let mut exchange = Exchange::get("/").response(200, &[]);
        if let Some(id) = incoming {
            exchange = exchange.header("x-request-id", id);
        }
        let outcome = run::<RequestId>(settings, &exchange);
        assert_eq!(outcome.calls, 0);
        let response = outcome.exchange.response.expect("there was one").headers;
        (
            outcome.exchange.request.text("x-request-id"),
            response.text("x-request-id"),
        )
    }

    #[test]
    fn every_request_gets_an_id() {
        let new = Exchange::UNIQUE_ID;
        let cases = [
            ("{}", None, (new, "")),
            ("{}", Some("theirs"), (new, "")),
            (r#"{"response":true}"#, Some("theirs"), (new, new)),
            (r#"{"trust-incoming":true}"#, Some("theirs"), ("theirs", "")),
            (
                r#"{"trust-incoming":true,"response":true}"#,
                Some("theirs"),
                ("theirs", "theirs"),
            ),
            (
                r#"{"trust-incoming":true,"response":true}"#,
                None,
                (new, new),
            ),
        ];
        for (settings, incoming, (request, response)) in cases {
            assert_eq!(
                ids(settings, incoming),
                (request.to_owned(), response.to_owned()),
                "{settings}"
            );
        }
    }

    #[test]
    fn the_header_can_be_another() {
        let outcome = run::<RequestId>(r#"{"header":"X-Trace"}"#, &Exchange::get("/"));
        assert_eq!(
            outcome.exchange.request.text("x-trace"),
            Exchange::UNIQUE_ID
        );
    }

    #[test]
    fn headers_that_cannot_be_edited_are_refused() {
        for settings in [
            r#"{"header":"a b"}"#,
            r#"{"header":"Host"}"#,
            r#"{"header":""}"#,
        ] {
            let found = errors::<RequestId>(settings);
            assert!(
                found.len() == 1 && found[0].starts_with("/header: "),
                "{settings}: {found:?}"
            );
        }
    }
}
