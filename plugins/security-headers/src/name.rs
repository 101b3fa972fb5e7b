//! Which headers there are, and what is sent with nothing set.

use tollgate_plugin_sdk::Settings;

/// A header, by the name of its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub(crate) enum Name {
    /// `x-content-type-options`.
    ContentTypeOptions,
    /// `x-frame-options`.
    FrameOptions,
    /// `referrer-policy`.
    ReferrerPolicy,
    /// `strict-transport-security`.
    Hsts,
    /// `content-security-policy`.
    ContentSecurityPolicy,
    /// `content-security-policy-report-only`.
    ContentSecurityPolicyReportOnly,
    /// `permissions-policy`.
    PermissionsPolicy,
    /// `cross-origin-opener-policy`.
    CrossOriginOpenerPolicy,
    /// `cross-origin-embedder-policy`.
    CrossOriginEmbedderPolicy,
    /// `cross-origin-resource-policy`.
    CrossOriginResourcePolicy,
}

impl Name {
    pub(crate) const ALL: [Name; 10] = [
        Name::ContentTypeOptions,
        Name::FrameOptions,
        Name::ReferrerPolicy,
        Name::Hsts,
        Name::ContentSecurityPolicy,
        Name::ContentSecurityPolicyReportOnly,
        Name::PermissionsPolicy,
        Name::CrossOriginOpenerPolicy,
        Name::CrossOriginEmbedderPolicy,
        Name::CrossOriginResourcePolicy,
    ];

    pub(crate) fn header(self) -> &'static str {
        match self {
            Name::ContentTypeOptions => "x-content-type-options",
            Name::FrameOptions => "x-frame-options",
            Name::ReferrerPolicy => "referrer-policy",
            Name::Hsts => "strict-transport-security",
            Name::ContentSecurityPolicy => "content-security-policy",
            Name::ContentSecurityPolicyReportOnly => "content-security-policy-report-only",
            Name::PermissionsPolicy => "permissions-policy",
            Name::CrossOriginOpenerPolicy => "cross-origin-opener-policy",
            Name::CrossOriginEmbedderPolicy => "cross-origin-embedder-policy",
            Name::CrossOriginResourcePolicy => "cross-origin-resource-policy",
        }
    }

    /// What breaks no page that works; the rest depends on the site.
    pub(crate) fn default_value(self) -> Option<&'static str> {
        match self {
            Name::ContentTypeOptions => Some("nosniff"),
            Name::FrameOptions => Some("SAMEORIGIN"),
            Name::ReferrerPolicy => Some("strict-origin-when-cross-origin"),
            Name::Hsts => Some("max-age=31536000"),
            _ => None,
        }
    }
}
