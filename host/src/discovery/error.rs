//! Why a look found nothing that may be used.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use super::ENDPOINTS_MAX;

/// Why a look failed. Whoever has a good list keeps it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookError {
    /// The system's resolver configuration (`/etc/resolv.conf`, `/etc/hosts`) cannot be used.
    #[error("the system's name service configuration cannot be used")]
    System(#[source] Box<dyn Error + Send + Sync>),
    /// The name does not exist, or has no record of this kind (NXDOMAIN, or no error and no answer).
    #[error("{name} has no {kind} record")]
    Absent { name: String, kind: &'static str },
    /// The name service answered with an error (SERVFAIL, REFUSED, …) or could not be reached.
    #[error("asking for the {kind} records of {name} failed")]
    Query {
        name: String,
        kind: &'static str,
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    /// The time for a look, 5 s, was over.
    #[error("no answer in time to the question for the {kind} records of {name}")]
    Timeout { name: String, kind: &'static str },
    /// The file is missing or cannot be read, in time or at all; or is larger than 4 MiB, or no regular file.
    #[error("{} cannot be read", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// The file is no list of endpoints; `expected` says what there should be.
    #[error("{}:{line}: {expected}", path.display())]
    Syntax {
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        expected: String,
    },
    /// An answer or file without any endpoint, an SRV record that says so on purpose (target `.`) included.
    #[error("no endpoint was found")]
    Empty,
    /// More than [`ENDPOINTS_MAX`] endpoints.
    #[error("more than {ENDPOINTS_MAX} endpoints were found")]
    TooMany,
}

impl LookError {
    /// Whether this was a proper answer, if not a useful one.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, LookError::Absent { .. })
    }

    /// The error and its causes in one line.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let words = error.to_string();
            // Some errors of the resolver repeat their cause.
            if !text.ends_with(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            cause = error.source();
        }
        text
    }
}
