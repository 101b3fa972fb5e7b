//! Why there is no certificate yet.

use std::fmt::Write;
use std::io;
use std::path::PathBuf;

/// Characters of a text by the authority that get into a log.
const TEXT_MAX: usize = 500;

#[derive(Debug, thiserror::Error)]
pub(super) enum AcmeError {
    #[error("cannot {act} {}", .path.display())]
    Storage {
        act: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// What is wrong with the trusted certificates, in words that name the file.
    #[error("{0}")]
    Roots(String),
    #[error("the directory is not an address")]
    Directory,
    #[error("the key of `external-account` is not base64url")]
    ExternalKey,
    /// The text is the authority's own, see [`plain`], or says how it could not be asked.
    #[error("{0}")]
    Authority(String),
    #[error("the authority does not know our account any longer; another one will be made")]
    AccountUnknown,
    #[error("the authority wants {wanted} proofs for {names} names")]
    Proofs { wanted: usize, names: usize },
    #[error("the authority offers no {challenge} challenge for {name}")]
    NoChallenge {
        challenge: &'static str,
        name: String,
    },
    #[error("the token of a challenge is not base64url of at most 256 characters")]
    Token,
    #[error("more than {0} challenges are under way in this process")]
    TooManyChallenges(usize),
    #[error("the listener cannot show a challenge: {0}")]
    NotShown(String),
    #[error("{name} was not proved: {reason}")]
    NotProved { name: String, reason: String },
    #[error("the authority has refused the order: {0}")]
    Refused(String),
    #[error("the order is still {0} after {1} minutes")]
    Slow(&'static str, u64),
    #[error("a key or a certificate request cannot be made: {0}")]
    Key(String),
    #[error("{0}")]
    Certificate(String),
    #[error("it is for other names")]
    OtherNames,
    #[error("the certificate is not for {0}")]
    Name(String),
    #[error("the certificate that was just issued is due for renewal already; is the clock right?")]
    DueAtOnce,
}

impl AcmeError {
    pub(super) fn is_storage(&self) -> bool {
        matches!(self, AcmeError::Storage { .. })
    }

    /// With every cause behind it.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            // Writing to a string does not fail.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        text
    }
}

const ACCOUNT_UNKNOWN: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

impl From<instant_acme::Error> for AcmeError {
    fn from(error: instant_acme::Error) -> AcmeError {
        match error {
            instant_acme::Error::Api(problem)
                if problem.r#type.as_deref() == Some(ACCOUNT_UNKNOWN) =>
            {
                AcmeError::AccountUnknown
            }
            instant_acme::Error::Api(problem) => AcmeError::Authority(told(&problem)),
            other => AcmeError::Authority(plain(&other.to_string())),
        }
    }
}

/// What a problem document says: its words, then its type without the prefix that all types share.
pub(super) fn told(problem: &instant_acme::Problem) -> String {
    let mut text = problem.detail.clone().unwrap_or_default();
    for part in &problem.subproblems {
        let _ = write!(text, "; {part}");
    }
    if let Some(kind) = &problem.r#type {
        let kind = kind.rsplit(':').next().unwrap_or(kind);
        let _ = write!(text, " ({kind})");
    }
    plain(&text)
}

/// On one line and short, since it comes from outside.
pub(super) fn plain(text: &str) -> String {
    let line: String = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(TEXT_MAX)
        .collect();
    match line.is_empty() {
        true => "no reason was given".to_owned(),
        false => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_is_one_short_line() {
        assert_eq!(plain(" two\r\nlines\u{1b}[31m "), "two  lines [31m");
        assert_eq!(plain(" \n"), "no reason was given");
        assert_eq!(plain(&"é".repeat(TEXT_MAX + 1)), "é".repeat(TEXT_MAX));
    }

    #[test]
    fn a_problem_is_told_with_its_parts() {
        let problem: instant_acme::Problem = serde_json::from_str(
            r#"{"type": "urn:ietf:params:acme:error:malformed", "detail": "refused",
                "subproblems": [{"detail": "no underscore", "identifier": {"type": "dns", "value": "_x.example"}}]}"#,
        )
        .expect("a problem document");
        assert_eq!(
            told(&problem),
            "refused; for \"_x.example\": no underscore (malformed)"
        );
    }
}
