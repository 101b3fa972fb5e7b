//! `endpoint`: what the operator says on the command line is done by the running proxy.

use super::{stderr, stdout};
use crate::harness::{Admin, Origin, Proxy, binary, closed_port, config, wait};
use serde_json::Value;
use std::process::{Command, Output};

const TEXT: &str = r#"
admin "ADMIN"
listener "web" "127.0.0.1:0" {
    route { cluster "site" }
}
cluster "site" {
    balancer "first"
    affinity header="x-user"
    endpoint "FIRST" id="one" requests-max=10
    endpoint "SECOND" weight=4
}
"#;

struct Site {
    first: Origin,
    second: Origin,
    proxy: Proxy,
    admin: Admin,
}

/// A proxy before two origins, the first of which takes all as long as it is there.
fn site() -> Site {
    site_at(&"127.0.0.1:0")
}

fn site_at(admin: &dyn std::fmt::Display) -> Site {
    let (first, second) = (Origin::named("first"), Origin::named("second"));
    let values: [(&str, &dyn std::fmt::Display); 3] =
        [("ADMIN", admin), ("FIRST", &first), ("SECOND", &second)];
    let proxy = Proxy::start(&config(TEXT, &values));
    let admin = Admin::of(&proxy);
    Site {
        first,
        second,
        proxy,
        admin,
    }
}

/// Runs `tollgate endpoint` in an empty folder, without a word in the environment about where the proxy is.
fn endpoint(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(binary());
    command
        .arg("endpoint")
        .args(arguments)
        .current_dir(folder.path())
        .env_remove("TOLLGATE_ADMIN")
        .env_remove("RUST_BACKTRACE")
        .envs(environment.iter().copied());
    command
        .output()
        .expect("the binary was built with this test")
}

impl Site {
    /// Tells the proxy; what the command said. It must succeed.
    fn tell(&self, arguments: &[&str]) -> String {
        let output = self.try_tell(arguments);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {}",
            stderr(&output)
        );
        stdout(&output)
    }

    fn try_tell(&self, arguments: &[&str]) -> Output {
        let address = self.admin.address().to_string();
        endpoint(&[arguments, &["--admin", &address]].concat(), &[])
    }

    /// Who answers now.
    fn answers(&self) -> String {
        self.proxy.client().get("/").text()
    }
}

#[test]
fn orders_take_an_endpoint_out_of_traffic_and_back() {
    let site = site();
    let first = site.first.to_string();
    assert_eq!(site.answers(), "first");
    for (order, state) in [("drain", "draining"), ("maintain", "maintenance")] {
        let said = site.tell(&[order, "site", &first]);
        assert_eq!(
            said,
            format!("site/{first}: {state}, weight 1, 0 requests\n")
        );
        assert_eq!(site.answers(), "second", "{order}");
        let said = site.tell(&["ready", "site/one"]);
        assert_eq!(said, format!("site/{first}: up, weight 1, 0 requests\n"));
        assert_eq!(site.answers(), "first");
    }
}

#[test]
fn a_weight_is_set_as_a_number_and_as_a_share() {
    let site = site();
    let second = site.second.to_string();
    for (weight, expected) in [("2", 2), ("50%", 2), ("25%", 1), ("256", 256), ("100%", 4)] {
        let said = site.tell(&["weight", "site", &second, weight]);
        assert!(said.contains(&format!("weight {expected},")), "{said}");
        assert_eq!(site.admin.endpoint("site", &second)["weight"], expected);
    }
    site.tell(&["weight", "site/one", "0"]);
    assert_eq!(site.answers(), "second");
}

#[test]
fn an_endpoint_is_added_and_removed() {
    let (site, third) = (site(), Origin::named("third"));
    let address = third.to_string();
    site.tell(&["remove", "site", &site.first.to_string()]);
    assert_eq!(
        site.tell(&["remove", "site", &site.second.to_string()]),
        "removed\n"
    );
    assert_eq!(site.proxy.client().get("/nobody").status, 503);
    let said = site.tell(&[
        "add",
        "site",
        &address,
        "--weight",
        "3",
        "--requests-max",
        "7",
        "--zone",
        "z",
        "--id",
        "three",
        "--backup",
    ]);
    assert_eq!(said, format!("site/{address}: up, weight 3, 0 requests\n"));
    assert_eq!(site.answers(), "third");
    let report = site.admin.endpoint("site", &"three");
    let members = ["address", "weight", "requests-max", "zone", "backup"];
    let found = members.map(|member| report[member].to_string());
    assert_eq!(
        found,
        [&format!("\"{address}\""), "3", "7", "\"z\"", "true"]
    );
    assert_eq!(site.admin.endpoints("site"), [address]);
}

#[test]
fn a_drain_has_the_time_that_is_given_with_it() {
    let site = site();
    let bound = || {
        let mut client = site.proxy.client();
        client.ask("GET", "/", "x-user: one\r\n").text()
    };
    assert_eq!(bound(), "first");
    site.tell(&["drain", "site/one"]);
    assert_eq!(
        (bound().as_str(), site.answers().as_str()),
        ("first", "second")
    );
    site.tell(&["drain", "site/one", "--timeout", "50ms"]);
    wait(|| match bound() {
        name if name == "second" => Ok(()),
        name => Err(name),
    });
    let output = site.try_tell(&["drain", "site/one", "--timeout", "10"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn the_list_is_a_table_for_people_and_json_for_programs() {
    let site = site();
    let (first, second) = (site.first.to_string(), site.second.to_string());
    site.tell(&["drain", "site", &second]);
    let table = site.tell(&["list"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let headings = [
        "CLUSTER",
        "ENDPOINT",
        "STATE",
        "WEIGHT",
        "REQUESTS",
        "MAX",
        "QUEUE",
        "CONNECTIONS",
        "REASON",
    ];
    assert_eq!(rows[0], headings);
    assert_eq!(
        rows[1],
        ["site", &first, "up", "1", "0", "10", "0", "0", "-"]
    );
    assert_eq!(
        rows[2][..8],
        ["site", &second, "draining", "4", "0", "-", "0", "0"]
    );
    assert_eq!(rows[2][8], "admin", "who did it");
    assert_eq!(rows.len(), 3);
    for arguments in [
        &["list", "--format", "json"][..],
        &["list", "site", "--format", "json"],
    ] {
        let list: Value = serde_json::from_str(&site.tell(arguments)).expect("JSON");
        assert_eq!(list, site.admin.told("GET", "/api/v1/clusters", ""));
    }
}

#[test]
fn what_the_proxy_refuses_ends_with_1_and_its_reason() {
    let site = site();
    let first = site.first.to_string();
    for (arguments, words) in [
        (&["list", "none"][..], "no cluster `none`"),
        (&["drain", "none", &first], "no cluster `none`"),
        (
            &["drain", "site", "127.0.0.9:9"],
            "no endpoint `127.0.0.9:9`",
        ),
        (&["remove", "site/two"], "no endpoint `two`"),
        (&["add", "site", &first], "already"),
    ] {
        let output = site.try_tell(arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn what_makes_no_sense_ends_with_2_before_anybody_is_asked() {
    for arguments in [
        &[][..],
        &["drain"],
        &["drain", "site"],
        &["drain", "site", "one", "more"],
        &["weight", "site/one", "257"],
        &["weight", "site/one", "many"],
        &["add", "site", "name.example:80"],
        &["add", "site", "127.0.0.1:80", "--weight", "257"],
        &["list", "--format", "xml"],
        &["list", "--admin", "nowhere"],
    ] {
        let output = endpoint(arguments, &[("TOLLGATE_ADMIN", "127.0.0.1:9")]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(!said.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_proxy_is_found_by_its_configuration_or_the_environment() {
    let (held, address) = closed_port();
    drop(held);
    let site = site_at(&address);
    let file = site.proxy.directory().join("config.kdl");
    let file = file.to_str().expect("UTF-8");
    let address = address.to_string();
    for (arguments, environment) in [
        (&["list", "--config", file][..], &[][..]),
        (&["list"], &[("TOLLGATE_ADMIN", address.as_str())]),
        // What is nearer counts.
        (
            &["list", "--config", file],
            &[("TOLLGATE_ADMIN", "127.0.0.1:9")],
        ),
        (
            &["list", "--admin", &address],
            &[("TOLLGATE_ADMIN", "127.0.0.1:9")],
        ),
    ] {
        let output = endpoint(arguments, environment);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(stdout(&output).contains(&site.first.to_string()));
    }
}

#[test]
fn a_proxy_that_is_not_there_ends_with_1_and_what_to_do() {
    let (_held, closed) = closed_port();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let listener = "listener \"web\" \"127.0.0.1:0\" { route { respond 204 } }\n";
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a writable folder");
        path.to_str().expect("UTF-8").to_owned()
    };
    let without = file("without.kdl", listener.to_owned());
    let free = file("free.kdl", format!("admin \"127.0.0.1:0\"\n{listener}"));
    let closed = closed.to_string();
    for (arguments, words) in [
        (&["list", "--admin", &closed][..], "is the proxy running"),
        (&["list", "--config", &without], "admin \"127.0.0.1:9900\""),
        (&["list", "--config", &free], "leaves the port"),
        (&["list"], "config.kdl"),
    ] {
        let output = endpoint(arguments, &[]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}
