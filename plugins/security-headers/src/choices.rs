//! Headers whose values are a few words.

use tollgate_plugin_sdk::Settings;

/// Values of `x-content-type-options`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub(crate) enum ContentTypeOptions {
    /// The only one there is.
    Nosniff,
}

impl ContentTypeOptions {
    pub(crate) fn word(self) -> &'static str {
        match self {
            ContentTypeOptions::Nosniff => "nosniff",
        }
    }
}

/// Values of `x-frame-options`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub(crate) enum FrameOptions {
    /// Nobody.
    #[setting(name = "DENY")]
    Deny,
    /// Pages of the same origin.
    #[setting(name = "SAMEORIGIN")]
    SameOrigin,
}

impl FrameOptions {
    pub(crate) fn word(self) -> &'static str {
        match self {
            FrameOptions::Deny => "DENY",
            FrameOptions::SameOrigin => "SAMEORIGIN",
        }
    }
}

/// Values of `cross-origin-opener-policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub(crate) enum OpenerPolicy {
    /// As without the header.
    UnsafeNone,
    /// Alone but for the windows that it opens itself.
    SameOriginAllowPopups,
    /// Alone with windows of the same origin.
    SameOrigin,
    /// May be opened by others, who then cannot reach it.
    NoopenerAllowPopups,
}

impl OpenerPolicy {
    pub(crate) fn word(self) -> &'static str {
        match self {
            OpenerPolicy::UnsafeNone => "unsafe-none",
            OpenerPolicy::SameOriginAllowPopups => "same-origin-allow-popups",
            OpenerPolicy::SameOrigin => "same-origin",
            OpenerPolicy::NoopenerAllowPopups => "noopener-allow-popups",
        }
    }
}

/// Values of `cross-origin-embedder-policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub(crate) enum EmbedderPolicy {
    /// As without the header.
    UnsafeNone,
    /// Only what allows it is embedded.
    RequireCorp,
    /// What does not allow it is fetched without credentials.
    Credentialless,
}

impl EmbedderPolicy {
    pub(crate) fn word(self) -> &'static str {
        match self {
            EmbedderPolicy::UnsafeNone => "unsafe-none",
            EmbedderPolicy::RequireCorp => "require-corp",
            EmbedderPolicy::Credentialless => "credentialless",
        }
    }
}

/// Values of `cross-origin-resource-policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub(crate) enum ResourcePolicy {
    /// Embedded by pages of the same site.
    SameSite,
    /// Embedded by pages of the same origin.
    SameOrigin,
    /// Embedded by everyone.
    CrossOrigin,
}

impl ResourcePolicy {
    pub(crate) fn word(self) -> &'static str {
        match self {
            ResourcePolicy::SameSite => "same-site",
            ResourcePolicy::SameOrigin => "same-origin",
            ResourcePolicy::CrossOrigin => "cross-origin",
        }
    }
}
