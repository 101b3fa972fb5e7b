use super::*;
use crate::admin::tests::{Running, start};
use clap::Parser;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: EndpointArguments,
}

fn parse(line: &str) -> EndpointArguments {
    let words = std::iter::once("endpoint").chain(line.split(' '));
    let line = Line::try_parse_from(words).expect("it is a command line");
    line.arguments
}

/// As a process of its own would, while the listener runs here.
async fn run(admin: &Running, line: &str) -> Result<String, Failure> {
    let arguments = parse(line);
    let address = admin.address.to_string();
    let done = tokio::task::spawn_blocking(move || perform(&arguments, Some(&address)));
    done.await.expect("it ends")
}

#[tokio::test]
async fn each_command_does_what_it_says() {
    let admin = start().await;
    for (line, told, said) in [
        (
            "drain api one",
            "one Drain { timeout: None }",
            "api/127.0.0.1:9001: up, weight 1, 3 requests\n",
        ),
        (
            "drain api/one --timeout 10m",
            "one Drain { timeout: Some(600s) }",
            "api/127.0.0.1:9001: up, weight 1, 3 requests\n",
        ),
        (
            "ready api [::1]:80",
            "[::1]:80 Ready",
            "api/db.internal:80: up, weight 1, 3 requests\n",
        ),
        (
            "maintain api/[::1]:80",
            "[::1]:80 Maintain",
            "api/db.internal:80: up, weight 1, 3 requests\n",
        ),
        (
            "weight api one 50",
            "one Absolute(50)",
            "api/127.0.0.1:9001: up, weight 1, 3 requests\n",
        ),
        (
            "weight api/one 12.5%",
            "one Percent(Percent(1250))",
            "api/127.0.0.1:9001: up, weight 1, 3 requests\n",
        ),
        ("remove api one", "one removed", "removed\n"),
        (
            "add api [::1]:80",
            "one NewEndpoint { address: [::1]:80, weight: 1, requests_max: None, backup: false, zone: None, id: None }",
            "api/db.internal:80: up, weight 1, 3 requests\n",
        ),
        (
            "add api [::1]:80 --weight 0 --requests-max 9 --backup --zone z --id i",
            "one NewEndpoint { address: [::1]:80, weight: 0, requests_max: Some(9), backup: true, zone: Some(\"z\"), id: Some(\"i\") }",
            "api/db.internal:80: up, weight 1, 3 requests\n",
        ),
    ] {
        let done = run(&admin, line).await;
        assert_eq!(done.as_deref(), Ok(said), "{line}");
        assert_eq!(admin.proxy.told(), [told], "{line}");
    }
}

#[tokio::test]
async fn lists_are_tables_or_json() {
    let admin = start().await;
    let listed = run(&admin, "list").await.expect("it is there");
    let firsts: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(firsts, ["CLUSTER", "api", "api", "a/b:"]);
    let listed = run(&admin, "list a/b").await;
    assert!(listed.is_ok_and(|text| text.ends_with("\na/b: no endpoint\n")));
    for line in ["list --format json", "list api --format json"] {
        let listed = run(&admin, line).await.expect("it is there");
        let listed: Value = serde_json::from_str(&listed).expect("it is JSON");
        assert_eq!(
            listed.pointer("/0/endpoints/0/id"),
            Some(&json!("one")),
            "{line}"
        );
    }
}

#[tokio::test]
async fn refusals_are_told_from_wrong_usage() {
    let admin = start().await;
    let refused = |text: &str| ("refused", text.to_owned());
    let usage = |text: &str| ("usage", text.to_owned());
    for (line, (kind, words)) in [
        ("list nope", refused("there is no cluster `nope`")),
        (
            "drain api nope",
            refused("cluster `api` has no endpoint `nope`"),
        ),
        ("remove nope x", refused("there is no cluster `nope`")),
        ("add api 127.0.0.1:9001", refused("already")),
        ("add api 127.0.0.1:9666", refused("unlucky")),
        (
            "add api 127.0.0.1:9003 --requests-max 10000001",
            refused("`requests-max`"),
        ),
        ("drain api", usage("names no endpoint")),
        ("drain api/", usage("names no endpoint")),
        ("drain /one", usage("names no endpoint")),
        ("weight api 50", usage("names no endpoint")),
        ("weight api one 257", usage("a weight is")),
        ("weight api one 101%", usage("a weight is")),
        ("weight api one fast", usage("a weight is")),
    ] {
        let (found, text) = match run(&admin, line).await {
            Err(Failure::Refused(text)) => ("refused", text),
            Err(Failure::Usage(text)) => ("usage", text),
            Ok(text) => ("done", text),
        };
        assert_eq!(found, kind, "{line}: {text}");
        assert!(text.contains(&words), "{line}: {text}");
    }
    assert!(admin.proxy.told().is_empty());
}

#[test]
fn a_proxy_that_is_not_there_is_a_refusal() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = socket.local_addr().expect("it is bound").to_string();
    drop(socket);
    let done = perform(&parse("list"), Some(&address));
    let Err(Failure::Refused(text)) = done else {
        panic!("{done:?}");
    };
    let expected = format!("nothing answers at {address}: Connection refused");
    assert!(text.starts_with(&expected), "{text}");
}

#[test]
fn an_answer_of_another_shape_is_a_refusal() {
    for line in ["list", "drain api one"] {
        let done = parse(line).command.show(json!({ "unknown": 1 }));
        assert!(matches!(done, Err(Failure::Refused(_))), "{line}");
    }
    let gone = parse("drain api one").command.show(Value::Null);
    assert_eq!(gone.as_deref(), Ok("done\n"));
}
