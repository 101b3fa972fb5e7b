//! `tollgate endpoint`: see and change the endpoints of the running proxy.

use super::runtime::{self, AdminArguments, Ask, Failure};
use super::table::{ClusterRow, EndpointRow, table};
use crate::admin::{Weight, encode_segment, parse_address};
use crate::config::{parse_duration, parse_id};
use crate::lifecycle;
use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct EndpointArguments {
    #[command(flatten)]
    admin: AdminArguments,
    #[command(subcommand)]
    command: EndpointCommand,
}

#[derive(Debug, Subcommand)]
enum EndpointCommand {
    /// Show endpoints with their state, load and the reason of their state.
    List {
        /// Only those of this cluster.
        cluster: Option<String>,
        /// How to show them.
        #[arg(long, value_enum, default_value_t = ListFormat::Text)]
        format: ListFormat,
    },
    /// Take an endpoint out of service gently: it finishes its requests, and keeps what affinity binds to it until the timeout.
    Drain {
        #[command(flatten)]
        target: Target,
        /// How long it keeps what is bound to it, such as 10m. Default: the cluster's `drain-timeout`.
        #[arg(long, value_name = "DURATION", value_parser = known_duration)]
        timeout: Option<String>,
    },
    /// Put an endpoint into service again.
    Ready {
        #[command(flatten)]
        target: Target,
    },
    /// Take an endpoint out of service at once, its health checks too.
    Maintain {
        #[command(flatten)]
        target: Target,
    },
    /// Change an endpoint's weight: 0 to 256, or a share of the written one; 100% takes the written one again.
    Weight(TargetAndWeight),
    /// Add an endpoint, until the process ends.
    Add(NewEndpoint),
    /// Take an endpoint off the list, until the process ends or it is added again. What it serves goes on.
    Remove {
        #[command(flatten)]
        target: Target,
    },
}

/// One endpoint.
#[derive(Debug, Args)]
struct Target {
    /// The cluster; or cluster and endpoint in one word: CLUSTER/ENDPOINT.
    #[arg(value_name = "CLUSTER")]
    first: String,
    /// The endpoint as it is written, its address or its id.
    #[arg(value_name = "ENDPOINT")]
    second: Option<String>,
}

#[derive(Debug, Args)]
struct TargetAndWeight {
    /// The cluster; or cluster and endpoint in one word: CLUSTER/ENDPOINT.
    #[arg(value_name = "CLUSTER")]
    first: String,
    /// The endpoint as it is written, its address or its id.
    #[arg(value_name = "ENDPOINT")]
    second: String,
    /// Such as 50 or 50%.
    #[arg(value_name = "WEIGHT")]
    third: Option<String>,
}

#[derive(Debug, Args)]
struct NewEndpoint {
    cluster: String,
    /// With its port: 192.0.2.1:80, [2001:db8::1]:80.
    #[arg(value_parser = parse_address)]
    address: SocketAddr,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=256))]
    weight: u32,
    /// The most requests it serves at once. Default: no limit.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    requests_max: Option<u32>,
    /// It takes requests only when the others cannot.
    #[arg(long)]
    backup: bool,
    #[arg(long)]
    zone: Option<String>,
    /// What affinity knows it by. Default: its address.
    #[arg(long, value_parser = parse_id)]
    id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// A table, for people.
    Text,
    /// As the admin API has it.
    Json,
}

pub(super) fn run(arguments: &EndpointArguments) -> ExitCode {
    let variable = std::env::var(runtime::VARIABLE).ok();
    runtime::finish(perform(arguments, variable.as_deref()))
}

fn perform(arguments: &EndpointArguments, variable: Option<&str>) -> Result<String, Failure> {
    let ask = arguments.command.ask()?;
    let address = runtime::locate(&arguments.admin, variable, read_admin)?;
    let answer = runtime::ask(&address, ask)?;
    arguments.command.show(answer)
}

/// The `admin` addresses of a configuration.
fn read_admin(file: &Path) -> Result<Vec<SocketAddr>, String> {
    let color = std::io::stderr().is_terminal();
    let loaded = lifecycle::load(file).map_err(|refused| refused.render(color))?;
    let addresses = loaded.config.admin.iter();
    Ok(addresses.map(|address| address.value).collect())
}

impl EndpointCommand {
    fn ask(&self) -> Result<Ask, Failure> {
        let verb = |target: &Target, verb: &str, body: Option<Value>| {
            let path = format!("{}/{verb}", path(target.names()?)?);
            Ok(ask(Method::POST, path, body))
        };
        match self {
            EndpointCommand::List { cluster: None, .. } => Ok(ask(Method::GET, CLUSTERS, None)),
            EndpointCommand::List {
                cluster: Some(cluster),
                ..
            } => Ok(ask(Method::GET, cluster_path(cluster)?, None)),
            EndpointCommand::Drain { target, timeout } => {
                let body = timeout
                    .as_ref()
                    .map(|text| json!({ "drain-timeout": text }));
                verb(target, "drain", body)
            }
            EndpointCommand::Ready { target } => verb(target, "ready", None),
            EndpointCommand::Maintain { target } => verb(target, "maintain", None),
            EndpointCommand::Weight(words) => {
                let body = json!({ "weight": words.weight()?.to_json() });
                Ok(ask(Method::PATCH, path(words.names()?)?, Some(body)))
            }
            EndpointCommand::Add(new) => {
                let path = format!("{}/endpoints", cluster_path(&new.cluster)?);
                Ok(ask(Method::POST, path, Some(new.to_json())))
            }
            EndpointCommand::Remove { target } => {
                Ok(ask(Method::DELETE, path(target.names()?)?, None))
            }
        }
    }

    /// What there is to say when it is done.
    fn show(&self, answer: Value) -> Result<String, Failure> {
        match self {
            EndpointCommand::List {
                format: ListFormat::Json,
                ..
            } => Ok(format!("{:#}\n", as_list(answer))),
            EndpointCommand::List {
                format: ListFormat::Text,
                ..
            } => Ok(table(&understood::<Vec<ClusterRow>>(as_list(answer))?)),
            EndpointCommand::Remove { .. } => Ok("removed\n".to_owned()),
            EndpointCommand::Drain { target, .. }
            | EndpointCommand::Ready { target }
            | EndpointCommand::Maintain { target } => line(target.names()?.0, answer),
            EndpointCommand::Weight(words) => line(words.names()?.0, answer),
            EndpointCommand::Add(new) => line(&new.cluster, answer),
        }
    }
}

impl Target {
    fn names(&self) -> Result<Names<'_>, Failure> {
        names(&self.first, self.second.as_deref())
    }
}

impl TargetAndWeight {
    fn names(&self) -> Result<Names<'_>, Failure> {
        let endpoint = self.third.is_some().then_some(self.second.as_str());
        names(&self.first, endpoint)
    }

    /// The last word.
    fn weight(&self) -> Result<Weight, Failure> {
        let text = self.third.as_ref().unwrap_or(&self.second);
        text.parse()
            .map_err(|error| Failure::Usage(format!("`{text}`: {error}")))
    }
}

impl NewEndpoint {
    /// What is left out is null, which the admin API takes for left out.
    fn to_json(&self) -> Value {
        json!({
            "address": self.address,
            "weight": self.weight,
            "requests-max": self.requests_max,
            "backup": self.backup,
            "zone": self.zone,
            "id": self.id,
        })
    }
}

const CLUSTERS: &str = "/api/v1/clusters";

fn ask(method: Method, path: impl Into<String>, body: Option<Value>) -> Ask {
    Ask {
        method,
        path: path.into(),
        body,
    }
}

fn cluster_path(cluster: &str) -> Result<String, Failure> {
    match cluster {
        "" => Err(Failure::Usage("a cluster's name is not empty".to_owned())),
        cluster => Ok(format!("{CLUSTERS}/{}", encode_segment(cluster))),
    }
}

fn path((cluster, endpoint): Names<'_>) -> Result<String, Failure> {
    let cluster = cluster_path(cluster)?;
    Ok(format!("{cluster}/endpoints/{}", encode_segment(endpoint)))
}

/// A cluster and an endpoint of it; neither is empty.
type Names<'a> = (&'a str, &'a str);

/// Of two words, or of one with a slash.
fn names<'a>(first: &'a str, second: Option<&'a str>) -> Result<Names<'a>, Failure> {
    let names = match second {
        Some(endpoint) => Some((first, endpoint)),
        None => first.split_once('/'),
    };
    names
        .filter(|(cluster, endpoint)| !cluster.is_empty() && !endpoint.is_empty())
        .ok_or_else(|| {
            Failure::Usage(format!(
                "`{first}` names no endpoint: CLUSTER ENDPOINT, or CLUSTER/ENDPOINT in one word"
            ))
        })
}

/// The text of a duration that the proxy will understand.
fn known_duration(text: &str) -> Result<String, String> {
    parse_duration(text).map(|_| text.to_owned())
}

/// One cluster is a list of one.
fn as_list(answer: Value) -> Value {
    match answer {
        Value::Array(_) => answer,
        one => Value::Array(vec![one]),
    }
}

/// About an endpoint that was changed.
fn line(cluster: &str, answer: Value) -> Result<String, Failure> {
    match answer {
        // It was taken off the list since.
        Value::Null => Ok("done\n".to_owned()),
        report => Ok(understood::<EndpointRow>(report)?.line(cluster)),
    }
}

fn understood<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        Failure::Refused(format!(
            "the proxy's answer is not understood, perhaps it is another version than this command: {error}"
        ))
    })
}

#[cfg(test)]
mod tests;
