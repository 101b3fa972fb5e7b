//! How an HTTP filter wants bodies, and what else it says in the interfaces that it need not export.

use super::bindings::{self, BodyMode};

/// Largest body that a filter may have as a whole.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How a filter wants a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyPlan {
    /// The whole of it, up to so many bytes, in place of part by part.
    pub buffered: Option<usize>,
    /// What is larger goes by; otherwise the message is refused.
    pub passes_excess: bool,
    /// Without its content coding.
    pub decoded: bool,
}

/// What a filter answers in the interfaces that it need not export.
#[derive(Clone, Debug, Default)]
pub(super) struct MoreHttpNeeds {
    pub(super) bodies: Option<bindings::Handlings>,
    pub(super) end: Option<bindings::Phase>,
}

impl BodyPlan {
    pub(super) fn check(
        mode: BodyMode,
        handling: Option<bindings::Handling>,
    ) -> Result<Option<BodyPlan>, String> {
        let buffered = match mode {
            BodyMode::None => return Ok(None),
            BodyMode::Stream => None,
            BodyMode::Buffer(bytes) if bytes > BODY_BYTES_MAX => {
                return Err(format!(
                    "wants to buffer bodies of {bytes} bytes; at most {BODY_BYTES_MAX}"
                ));
            }
            BodyMode::Buffer(bytes) => Some(bytes as usize),
        };
        let handling = handling.ok_or_else(|| {
            "asks for bodies, but does not export tollgate:plugin/body".to_owned()
        })?;
        Ok(Some(BodyPlan {
            buffered,
            passes_excess: handling.excess == bindings::Excess::Pass,
            decoded: handling.decoded,
        }))
    }
}
