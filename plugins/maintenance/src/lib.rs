//! HTTP filter `maintenance`: a fixed page for requests that fit, except to those who may pass. Who that is, is decided in `pass.rs`.

mod pass;

use std::time::Duration;

use pass::Passes;
use tollgate_plugin_sdk::conditions::{Condition, Conditions, Missing};
use tollgate_plugin_sdk::is_header_value;
use tollgate_plugin_sdk::prelude::*;

/// The contract's limit for the body of a reply.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Settings of the filter.
#[derive(Settings)]
pub struct MaintenanceSettings {
    /// Status of the answer.
    #[setting(default = 503, range = 200..=599)]
    status: u16,
    /// The page, at most 1 MiB.
    #[setting(default = "down for maintenance")]
    body: String,
    /// What kind of text the page is.
    #[setting(default = "text/plain; charset=utf-8")]
    content_type: String,
    /// When clients may try again, in whole seconds; not said when absent.
    retry_after: Option<Duration>,
    /// Whose requests pass all the same: those that fit one of these.
    except: Vec<ExceptSettings>,
    #[setting(flatten)]
    conditions: Conditions,
}

/// Matchers of requests that pass; all must hold.
#[derive(Settings)]
pub struct ExceptSettings {
    /// The cookie is there, or has the value.
    cookie: Vec<(String, Option<String>)>,
    #[setting(flatten)]
    conditions: Conditions,
}

/// The filter.
pub struct Maintenance {
    condition: Condition,
    passes: Passes,
    reply: Reply,
}

impl HttpFilter for Maintenance {
    type Settings = MaintenanceSettings;

    fn new(settings: MaintenanceSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        let filter = Maintenance {
            condition: settings.conditions.compile(Missing::Holds, &mut errors),
            passes: Passes::compile(&settings.except, &mut errors),
            reply: reply(&settings, &mut errors),
        };
        errors.finish(filter)
    }

    fn plan(&self) -> Plan {
        let fields = self.condition.fields().chain(self.passes.fields());
        Plan::nothing()
            .on_request(fields)
            .guard(self.condition.guard().and(self.passes.guard_of_others()))
    }

    fn request(&self, request: &Request) -> Verdict {
        match self.condition.holds(request) && !self.passes.any_holds(request) {
            true => self.reply.clone().into(),
            false => Verdict::next(),
        }
    }
}

/// No cache keeps the page beyond the end of the maintenance, whatever its status.
fn reply(settings: &MaintenanceSettings, errors: &mut Errors) -> Reply {
    if matches!(settings.status, 204 | 205 | 304) {
        errors.inside("status", |errors| {
            errors.add(format!(
                "an answer with status {} has no page",
                settings.status
            ))
        });
    }
    if settings.body.len() > BODY_BYTES_MAX {
        errors.inside("body", |errors| {
            errors.add(format!(
                "the page has {} bytes; at most 1 MiB is sent",
                settings.body.len()
            ))
        });
    }
    let kind = &settings.content_type;
    if kind.is_empty() || !kind.is_ascii() || !is_header_value(kind.as_bytes()) {
        errors.inside("content-type", |errors| {
            errors.add(format!(
                "`{}` is not a content type such as `text/html; charset=utf-8`",
                kind.escape_debug()
            ))
        });
    }
    let reply = Reply::new(settings.status)
        .header("content-type", kind.as_str())
        .header("cache-control", "no-store")
        .body(settings.body.as_str());
    let Some(after) = settings.retry_after else {
        return reply;
    };
    if after.subsec_nanos() != 0 {
        errors.inside("retry-after", |errors| {
            errors.add("expected whole seconds; clients are told nothing shorter")
        });
    }
    reply.header("retry-after", after.as_secs().to_string())
}

http_filter!(Maintenance);

#[cfg(test)]
mod tests;
