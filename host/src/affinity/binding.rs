//! What was found on a request, and what was told on its response.

use super::Members;
use super::key::Key;

/// What a request or a TCP connection is bound to. The default binds nothing.
#[derive(Debug, Clone, Default)]
pub struct Binding {
    /// Position, among the ids that [`Members`] were made of, of the endpoint that the request is bound to. It may be down, draining or full.
    pub endpoint: Option<usize>,
    /// How that was found, for the access line.
    pub state: BindingState,
    /// What the table remembers the request by.
    pub(super) key: Option<Key>,
}

/// What a request carried. In ascending order: of several cookies, the one with the greatest state counts.
///
/// HAProxy's letters for the same (configuration.txt section 8.5) are N for `None` and `New`, I for `Invalid` and `Unknown`, V for `Valid`.
/// Its D, bound to an endpoint that is down, is `Valid` here: this room does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum BindingState {
    /// No affinity cookie, or nothing to make a key of.
    #[default]
    None,
    /// A cookie that was not issued here, was tampered with, or was signed with another secret.
    Invalid,
    /// A key that the table does not know yet.
    New,
    /// Bound to an endpoint that is gone. An opaque cookie of another secret looks the same.
    Unknown,
    /// Bound to one of the endpoints.
    Valid,
}

impl BindingState {
    /// A stable word for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            BindingState::None => "none",
            BindingState::Invalid => "invalid",
            BindingState::New => "new",
            BindingState::Unknown => "unknown",
            BindingState::Valid => "valid",
        }
    }
}

/// What a response told the downstream, or what was remembered with it. HAProxy's letters are N, I, R, R, D; tables have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Issued {
    /// Nothing was changed.
    #[default]
    None,
    /// The cookie was set.
    Inserted,
    /// The value of the upstream's cookie was replaced.
    Rewritten,
    /// The value of the upstream's cookie was prefixed.
    Prefixed,
    /// The upstream's cookie of the same name was dropped, and none was set.
    Dropped,
    /// The table remembers the endpoint for the key.
    Remembered,
}

impl Issued {
    /// A stable word for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Issued::None => "none",
            Issued::Inserted => "inserted",
            Issued::Rewritten => "rewritten",
            Issued::Prefixed => "prefixed",
            Issued::Dropped => "dropped",
            Issued::Remembered => "remembered",
        }
    }
}

impl Binding {
    /// Whether it names the endpoint with this id.
    pub(super) fn is_to(&self, id: &str, members: &Members) -> bool {
        self.endpoint
            .and_then(|position| members.id(position))
            .is_some_and(|bound| bound == id)
    }
}
