//! The values that were set, as they are sent.

use std::time::Duration;

use tollgate_plugin_sdk::is_header_value;
use tollgate_plugin_sdk::settings::Errors;

use crate::choices::{
    ContentTypeOptions, EmbedderPolicy, FrameOptions, OpenerPolicy, ResourcePolicy,
};
use crate::name::Name;
use crate::{HstsSettings, SecurityHeadersSettings};

/// Shorter than this no list of preloaded hosts takes (hstspreload.org).
const PRELOAD_MIN: Duration = Duration::from_secs(31_536_000);

/// What the contract takes as the fixed text of one value.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Makes the value of a header of a text that was set.
type Check = fn(&str, &mut Errors) -> String;

/// Every header that is set, with its value. What is wrong goes to `errors`.
pub(crate) fn all(settings: &SecurityHeadersSettings, errors: &mut Errors) -> Vec<(Name, String)> {
    let words = [
        (
            Name::ContentTypeOptions,
            settings.content_type_options.map(ContentTypeOptions::word),
        ),
        (
            Name::FrameOptions,
            settings.frame_options.map(FrameOptions::word),
        ),
        (
            Name::CrossOriginOpenerPolicy,
            settings.cross_origin_opener_policy.map(OpenerPolicy::word),
        ),
        (
            Name::CrossOriginEmbedderPolicy,
            settings
                .cross_origin_embedder_policy
                .map(EmbedderPolicy::word),
        ),
        (
            Name::CrossOriginResourcePolicy,
            settings
                .cross_origin_resource_policy
                .map(ResourcePolicy::word),
        ),
    ];
    let texts: [(Name, &str, &Option<String>, Check); 4] = [
        (
            Name::ReferrerPolicy,
            "referrer-policy",
            &settings.referrer_policy,
            referrer_policy,
        ),
        (
            Name::ContentSecurityPolicy,
            "content-security-policy",
            &settings.content_security_policy,
            policy,
        ),
        (
            Name::ContentSecurityPolicyReportOnly,
            "content-security-policy-report-only",
            &settings.content_security_policy_report_only,
            policy,
        ),
        (
            Name::PermissionsPolicy,
            "permissions-policy",
            &settings.permissions_policy,
            policy,
        ),
    ];
    let mut set: Vec<(Name, String)> = words
        .into_iter()
        .filter_map(|(name, word)| Some((name, word?.to_owned())))
        .collect();
    for (name, setting, text, read) in texts {
        if let Some(text) = text {
            set.push((name, errors.inside(setting, |errors| read(text, errors))));
        }
    }
    if let Some(settings) = &settings.hsts {
        set.push((
            Name::Hsts,
            errors.inside("hsts", |errors| hsts(settings, errors)),
        ));
    }
    set
}

fn hsts(settings: &HstsSettings, errors: &mut Errors) -> String {
    let age = settings.max_age;
    if age.subsec_nanos() != 0 {
        errors.inside("max-age", |errors| {
            errors.add("expected whole seconds; browsers know nothing shorter")
        });
    }
    if settings.preload && !(settings.include_subdomains && age >= PRELOAD_MIN) {
        errors.inside("preload", |errors| {
            errors.add("`preload` needs `include-subdomains` and a `max-age` of at least `8760h`")
        });
    }
    let mut value = format!("max-age={}", age.as_secs());
    if settings.include_subdomains {
        value.push_str("; includeSubDomains");
    }
    if settings.preload {
        value.push_str("; preload");
    }
    value
}

/// One policy, or several from the oldest to the newest: a browser takes the last that it knows.
fn referrer_policy(text: &str, errors: &mut Errors) -> String {
    const KNOWN: [&str; 8] = [
        "no-referrer",
        "no-referrer-when-downgrade",
        "origin",
        "origin-when-cross-origin",
        "same-origin",
        "strict-origin",
        "strict-origin-when-cross-origin",
        "unsafe-url",
    ];
    let policies: Vec<&str> = text.split(',').map(str::trim).collect();
    for policy in policies.iter().filter(|policy| !KNOWN.contains(policy)) {
        errors.add(format!(
            "`{policy}` is not one of {}, or several of them with commas between",
            KNOWN.join(", ")
        ));
    }
    policies.join(", ")
}

/// Blanks and line ends become one space, so that a long policy may be written on several lines.
fn policy(text: &str, errors: &mut Errors) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        errors.add("the policy is empty; leave the setting out");
    } else if !line.is_ascii() || !is_header_value(line.as_bytes()) {
        errors.add("a policy has visible ASCII characters, blanks and line ends only");
    } else if line.len() > VALUE_BYTES_MAX {
        errors.add(format!(
            "the policy has {} bytes; at most 16 KiB are sent",
            line.len()
        ));
    }
    line
}
