//! What the commands that speak to a running proxy have in common: where it is, and what its answers mean.

use super::table::printable;
use super::{refuse, say};
use crate::admin::{Client, Reply};
use crate::snapshot::chain;
use clap::Args;
use hyper::Method;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Says where the admin listener is, for those who say it neither as an argument nor by naming a configuration.
pub(super) const VARIABLE: &str = "TOLLGATE_ADMIN";
const CONFIG_DEFAULT: &str = "config.kdl";

/// Which proxy to speak to.
#[derive(Debug, Default, Args)]
pub(super) struct AdminArguments {
    /// Where the proxy's admin listener is, such as 127.0.0.1:9900. Otherwise: what --config says, the environment's TOLLGATE_ADMIN, and
    /// last what config.kdl says.
    #[arg(long, global = true, value_name = "ADDR", value_parser = parse_admin)]
    pub(super) admin: Option<String>,
    /// The configuration whose first `admin` address it is.
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// A request of the admin API.
#[derive(Debug, PartialEq)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

/// Why a command did not do what it was to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The command line makes no sense: exit code 2.
    Usage(String),
    /// The proxy refused or was not there: exit code 1.
    Refused(String),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Failure::Refused(_) => 1,
            Failure::Usage(_) => 2,
        }
    }

    fn text(&self) -> String {
        match self {
            Failure::Refused(text) => format!("{text}\n"),
            Failure::Usage(text) => format!("{text}\n\nFor more information, try '--help'.\n"),
        }
    }
}

/// Says how it went; 0, 1 or 2.
pub(super) fn finish(done: Result<String, Failure>) -> ExitCode {
    match done {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            refuse(&failure.text());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Where the proxy's admin listener is; `read` takes the `admin` addresses out of a configuration or says why it cannot.
pub(super) fn locate(
    arguments: &AdminArguments,
    variable: Option<&str>,
    read: impl FnOnce(&Path) -> Result<Vec<SocketAddr>, String>,
) -> Result<String, Failure> {
    if let Some(address) = &arguments.admin {
        return Ok(address.clone());
    }
    let variable = variable.filter(|text| !text.is_empty() && arguments.config.is_none());
    if let Some(text) = variable {
        return parse_admin(text)
            .map_err(|error| Failure::Usage(format!("{VARIABLE} in the environment: {error}")));
    }
    let file = arguments.config.as_deref();
    let file = file.unwrap_or(Path::new(CONFIG_DEFAULT));
    let addresses = read(file).map_err(|why| {
        Failure::Refused(format!(
            "{}\n{} does not say where the proxy is; --admin ADDR does",
            why.trim_end(),
            file.display()
        ))
    })?;
    match addresses.first() {
        Some(address) if address.port() != 0 => Ok(address.to_string()),
        Some(_) => Err(Failure::Refused(format!(
            "{} leaves the port of `admin` to the system; the proxy's log has it: --admin ADDR",
            file.display()
        ))),
        None => Err(Failure::Refused(format!(
            "{} has no admin listener, through which a running proxy is spoken to; write\n\n    admin \"127.0.0.1:9900\"\n\ninto it, or say where the proxy is with --admin ADDR",
            file.display()
        ))),
    }
}

/// `127.0.0.1:9900`, `[::1]:9900`, `localhost:9900`.
fn parse_admin(text: &str) -> Result<String, String> {
    let port = match text.parse::<SocketAddr>() {
        Ok(address) => Some(address.port()),
        Err(_) => text
            .strip_prefix("localhost:")
            .and_then(|port| port.parse().ok()),
    };
    match port {
        None | Some(0) => Err(format!(
            "`{text}` is no address with a port, such as 127.0.0.1:9900, [::1]:9900 or localhost:9900"
        )),
        Some(_) => Ok(text.to_owned()),
    }
}

/// Asks the proxy at `address` and waits for its answer: at most 5 s.
pub(super) fn ask(address: &str, ask: Ask) -> Result<Value, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Refused(format!("the request cannot be sent: {error}")))?;
    let client = Client::new(address);
    let reply = runtime.block_on(client.send(ask.method, &ask.path, ask.body.as_ref()));
    match reply {
        Ok(reply) => said(&reply).map(|()| reply.body),
        Err(error) => Err(Failure::Refused(format!(
            "{}\nis the proxy running, and its `admin` listener there? --admin ADDR says where it is",
            printable(&chain(&error))
        ))),
    }
}

/// A status that is no success is a refusal; its words are the proxy's.
fn said(reply: &Reply) -> Result<(), Failure> {
    if reply.status.is_success() {
        return Ok(());
    }
    let text = |member: &str| reply.body[member].as_str().map(printable);
    let error = text("error").unwrap_or_else(|| format!("the proxy answered {}", reply.status));
    Err(Failure::Refused(match text("help") {
        Some(help) => format!("{error}\n{help}"),
        None => error,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::StatusCode;
    use serde_json::json;

    #[test]
    fn the_nearest_word_says_where_the_proxy_is() {
        let addresses = |text: &str| vec![text.parse().expect("it is an address")];
        let config = |file: &str| match file {
            "config.kdl" => Ok(addresses("127.0.0.1:1")),
            "other.kdl" => Ok(addresses("[::1]:2")),
            "free.kdl" => Ok(addresses("127.0.0.1:0")),
            "none.kdl" => Ok(Vec::new()),
            _ => Err("it is broken\n".to_owned()),
        };
        for (admin, file, variable, expected) in [
            (None, None, None, "at 127.0.0.1:1"),
            (None, None, Some(""), "at 127.0.0.1:1"),
            (None, None, Some("localhost:3"), "at localhost:3"),
            (None, Some("other.kdl"), Some("localhost:3"), "at [::1]:2"),
            (Some("[::1]:4"), Some("bad.kdl"), Some("x"), "at [::1]:4"),
            (None, None, Some("x"), "usage: TOLLGATE_ADMIN"),
            (None, Some("free.kdl"), None, "refused: free.kdl leaves"),
            (
                None,
                Some("none.kdl"),
                None,
                "refused: none.kdl has no admin",
            ),
            (
                None,
                Some("bad.kdl"),
                None,
                "refused: it is broken\nbad.kdl",
            ),
        ] {
            let arguments = AdminArguments {
                admin: admin.map(str::to_owned),
                config: file.map(PathBuf::from),
            };
            let read = |path: &Path| config(path.to_str().expect("it is text"));
            let found = match locate(&arguments, variable, read) {
                Ok(address) => format!("at {address}"),
                Err(Failure::Usage(text)) => format!("usage: {text}"),
                Err(Failure::Refused(text)) => format!("refused: {text}"),
            };
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn an_admin_address_has_a_port() {
        for (text, expected) in [
            ("127.0.0.1:9900", true),
            ("[::1]:9900", true),
            ("localhost:9900", true),
            ("localhost", false),
            ("localhost:", false),
            ("localhost:0", false),
            ("localhost:70000", false),
            ("127.0.0.1:0", false),
            ("127.0.0.1", false),
            ("example.com:80", false),
            ("http://127.0.0.1:9900", false),
            ("", false),
        ] {
            assert_eq!(parse_admin(text).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_status_that_says_no_is_a_refusal() {
        let refused = |text: &str| Err(Failure::Refused(text.to_owned()));
        for (status, body, expected) in [
            (200, json!([]), Ok(())),
            (204, json!(null), Ok(())),
            (404, json!({ "error": "no" }), refused("no")),
            (
                409,
                json!({ "error": "no", "help": "do" }),
                refused("no\ndo"),
            ),
            (422, json!({ "error": "\u{1b}[2J" }), refused("\u{fffd}[2J")),
            (
                502,
                json!(null),
                refused("the proxy answered 502 Bad Gateway"),
            ),
            (
                301,
                json!([]),
                refused("the proxy answered 301 Moved Permanently"),
            ),
        ] {
            let status = StatusCode::from_u16(status).expect("it is a status");
            assert_eq!(said(&Reply { status, body }), expected);
        }
    }

    #[test]
    fn wrong_usage_has_its_own_exit_code() {
        for (failure, code, text) in [
            (Failure::Refused("no".to_owned()), 1, "no\n"),
            (
                Failure::Usage("what?".to_owned()),
                2,
                "what?\n\nFor more information, try '--help'.\n",
            ),
        ] {
            assert_eq!((failure.exit_code(), failure.text().as_str()), (code, text));
        }
    }
}
