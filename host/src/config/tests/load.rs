//! What a good configuration becomes.

use std::time::Duration;

use super::super::*;
use super::fake::{SMALLEST, config, load_file, load_text};

fn http(listener: &Listener) -> &HttpListener {
    match &listener.protocol {
        ListenerProtocol::Http(http) => http,
        ListenerProtocol::Tcp(_) => panic!("it is a TCP listener"),
    }
}

#[test]
fn defaults_are_filled_in() {
    let config = config(&format!(
        "{SMALLEST}\ncluster \"c\" {{ endpoint \"127.0.0.1:1\" }}"
    ));
    assert_eq!(config.process, Process::default());
    let listener = &config.listeners[0];
    assert_eq!(listener.connections_max, 10_000);
    assert_eq!(listener.idle_timeout, Duration::from_secs(60));
    assert_eq!(http(listener).headers_max, 128);
    assert_eq!(http(listener).body_bytes_max, None);
    assert!(http(listener).merge_slashes);
    assert_eq!(http(listener).routes[0].name.value, "web/1");
    let cluster = &config.clusters[0];
    assert_eq!(cluster.balancer.name.value, "round-robin");
    assert_eq!(cluster.connect_timeout, Duration::from_secs(1));
    assert_eq!(cluster.endpoints[0].weight, 1);
    assert_eq!(cluster.endpoints[0].requests_max, None);
    assert!(config.manifests.contains_key("round-robin"));
}

#[test]
fn routes_keep_all_their_parts() {
    let config = config(
        r#"
        listener "web" "*:${PORT}" "[::1]:0" {
            route "first" host="a.example" path="/x/*" {
                host "*.b.example"
                path-regex "^/(?<rest2>.*)$"
                method "GET" "HEAD"; method "PUT"
                header "X-Beta"; header "x-n" "1"
                filters { request-id on-fault="skip"; limit "k" }
                split { cluster "c" weight=95; cluster "d" weight=5 }
                timeouts response="5s"
            }
            route path="/old/*" { redirect "https://{host}/new/{rest}?{query}" status=308 }
            route { respond 404 body=r"{x" { header "Content-Type" "text/plain" } }
        }
        cluster "c" { endpoint "127.0.0.1:1" weight=2 requests-max=9; endpoint "name:2" }
        cluster "d" { endpoint "127.0.0.1:1"; balancer "least-request" }
        "#
        .replace("r\"{x\"", "\"{x\"")
        .as_str(),
    );
    let listener = &config.listeners[0];
    let addresses: Vec<String> = listener
        .addresses
        .iter()
        .map(|a| a.value.to_string())
        .collect();
    assert_eq!(addresses, ["*:8080", "[::1]:0"]);
    let routes = &http(listener).routes;
    let first = &routes[0];
    assert_eq!(first.name.value, "first");
    assert_eq!(first.matcher.hosts.len(), 2);
    assert_eq!(first.matcher.paths.len(), 2);
    assert_eq!(first.matcher.methods, ["GET", "HEAD", "PUT"]);
    assert_eq!(first.matcher.headers[0].name, "x-beta");
    assert_eq!(first.matcher.headers[1].value.as_deref(), Some("1"));
    assert_eq!(first.filters[0].on_fault, OnFault::Skip);
    assert_eq!(first.filters[0].plugin.settings.json, serde_json::json!({}));
    assert_eq!(first.filters[1].on_fault, OnFault::Deny);
    assert_eq!(first.response_timeout, Some(Duration::from_secs(5)));
    assert!(matches!(&first.action, Action::Split(shares) if shares[0].weight == 95));
    let Action::Redirect {
        target,
        status: 308,
    } = &routes[1].action
    else {
        panic!("{:?}", routes[1].action);
    };
    assert!(
        target
            .parts
            .contains(&TemplatePart::Placeholder(Placeholder::Rest))
    );
    let Action::Respond {
        status: 404,
        headers,
        ..
    } = &routes[2].action
    else {
        panic!("{:?}", routes[2].action);
    };
    assert_eq!(headers[0].0, "content-type");
    let named = EndpointAddress::Name {
        host: "name".into(),
        port: 2,
    };
    assert_eq!(config.clusters[0].endpoints[1].address.value, named);
    assert_eq!(config.clusters[1].balancer.name.value, "least-request");
}

/// The example of the configuration's design.
#[test]
fn a_whole_configuration_loads_without_warnings() {
    let text = r#"
        process {
            workers "auto"                       // event loops; one per core
            log level="info" format="text"
            drain-timeout "30s"
        }
        admin "127.0.0.1:9900"
        plugin "geo-acl" "plugins/geo.wasm" {
            memory-max "16MiB"
            time-max "5ms"
        }
        listener "web" "0.0.0.0:8080" "[::]:8080" {
            protocol "http"
            tls { certificate "site.pem" key="site.key" }
            proxy-protocol from="10.0.0.0/8"
            trust-forwarded from="10.0.0.0/8"
            limits connections-max=50000 header-bytes-max="64KiB" headers-max=128 body-bytes-max="100MiB"
            timeouts request-head="10s" idle="60s"
            network-filters { ip-acl { deny "192.0.2.0/24" } }
            filters { request-id }
            route host="shop.example.com" path="/api/*" {
                method "GET" "POST"
                header "x-beta" "1"
                filters {
                    acl {
                        rule "deny" status=403 { path "/api/admin/*"; not { source "10.0.0.0/8" } }
                    }
                    headers {
                        request { set "x-tenant" "shop"; remove "x-debug" }
                        response { remove "server" }
                    }
                    geo-acl on-fault="skip" { country "NO" "SE" }
                }
                cluster "api"
            }
            route path="/old/*" { redirect "/new/{rest}" status=308 }
            route path="/ping"  { respond 200 body="pong" }
            route { split { cluster "site" weight=95; cluster "site-next" weight=5 } }
        }
        listener "postgres" "0.0.0.0:5432" {
            protocol "tcp"
            route sni="db.example.com" { cluster "postgres" }
        }
        cluster "api" {
            balancer "least-request"
            endpoint "127.0.0.1:9001" weight=2 requests-max=100
            endpoint "127.0.0.1:9002" requests-max=100
            endpoint "127.0.0.1:9009" backup=#true
            discover dns="api.internal:8080" refresh="5s"
            protocol "http/1.1"
            health-check interval="2s" timeout="1s" rise=2 fall=3 { http "/healthz" expect="200-399" }
            outlier-detection consecutive-failures=5 ejection="30s"
            queue requests-max=1000 timeout="5s"
            retry attempts=3 on="connect-failure" budget="20%"
            affinity cookie="tollgate"
            slow-start "30s"
            timeouts connect="1s" response="30s" idle="60s"
        }
        cluster "site" { endpoint "127.0.0.1:9001" }
        cluster "site-next" { endpoint "site.internal:9002" }
        cluster "postgres" { endpoint "127.0.0.1:5433" }
        demo-origins "127.0.0.1:9001" { http "127.0.0.1:9002" name="b"; tcp-echo "127.0.0.1:5433" }
    "#;
    let loaded = load_text(text).unwrap_or_else(|refused| panic!("{}", refused.render(false)));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let routes = &http(&loaded.config.listeners[0]).routes;
    let acl = &routes[0].filters[0].plugin;
    assert_eq!(acl.settings.json["rule"][0]["path"][0], "/api/admin/*");
    assert_eq!(routes[0].filters[2].on_fault, OnFault::Skip);
    assert_eq!(loaded.config.demo_origins[1].name, "b");
    assert_eq!(loaded.config.demo_origins[2].kind, DemoKind::TcpEcho);
}

#[test]
fn a_tcp_listener_leads_to_a_cluster() {
    let config = config(
        r#"
        listener "db" "127.0.0.1:0" {
            protocol "tcp"
            limits connections-max=7
            timeouts idle="5m"
            network-filters { ip-acl { deny "192.0.2.0/24" } }
            route { cluster "db" }
        }
        cluster "db" { endpoint "127.0.0.1:5432" }
        "#,
    );
    let listener = &config.listeners[0];
    assert_eq!(
        (listener.connections_max, listener.network_filters.len()),
        (7, 1)
    );
    assert_eq!(listener.idle_timeout, Duration::from_secs(300));
    let ListenerProtocol::Tcp(tcp) = &listener.protocol else {
        panic!("it is an HTTP listener");
    };
    let [route] = tcp.routes.as_slice() else {
        panic!("{:?}", tcp.routes);
    };
    assert_eq!(
        (route.name.value.as_str(), route.cluster.value.as_str()),
        ("db/1", "db")
    );
    assert_eq!(route.matcher, HelloMatch::default());
}

#[test]
fn includes_are_read_in_order_and_watched() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    let listener = |name: &str| SMALLEST.replace("web", name);
    write(
        "main.kdl",
        &format!(
            "{}\ninclude \"d/*.kdl\" \"one.kdl\"\n{}",
            listener("a"),
            listener("z")
        ),
    );
    write("d/2.kdl", &listener("d2"));
    write(
        "d/1.kdl",
        &format!("include \"../two.kdl\"\n{}", listener("d1")),
    );
    write("d/ignored.txt", "}");
    write("one.kdl", &listener("one"));
    write("two.kdl", "plugin \"geo\" \"plugins/geo.wasm\"");
    let loaded = load_file(&dir.path().join("main.kdl")).expect("it is good");
    let names: Vec<&str> = loaded
        .config
        .listeners
        .iter()
        .map(|l| l.name.value.as_str())
        .collect();
    assert_eq!(names, ["a", "d1", "d2", "one", "z"]);
    assert_eq!(loaded.watched.files.len(), 5);
    assert_eq!(loaded.watched.directories, [dir.path().join("d")]);
    let plugin = loaded.config.plugin_files().next();
    assert_eq!(plugin, Some(&dir.path().join("d/../plugins/geo.wasm")));
}

#[test]
fn includes_are_bounded_in_depth() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let chain = |len: usize| {
        for number in 1..len {
            let text = format!("include \"{}.kdl\"", number + 1);
            std::fs::write(dir.path().join(format!("{number}.kdl")), text).expect("written");
        }
        std::fs::write(dir.path().join(format!("{len}.kdl")), SMALLEST).expect("written");
        load_file(&dir.path().join("1.kdl"))
    };
    assert!(chain(16).is_ok());
    let refused = chain(17).expect_err("one too many");
    assert!(refused.render(false).contains("nested more than 16 deep"));
}

#[test]
fn a_file_that_is_not_there_is_a_diagnostic() {
    let refused = load_file("/nowhere/config.kdl".as_ref()).expect_err("it is not there");
    assert!(refused.render(false).contains("/nowhere/config.kdl"));
    assert_eq!(refused.watched.files.len(), 1);
    let refused = load_file("/".as_ref()).expect_err("it is a directory");
    assert!(refused.diagnostics.has_errors());
}

#[test]
fn no_text_panics() {
    let seeds = [
        SMALLEST,
        "cluster \"c\" { discover dns=\"a:1\" nameserver=\"::1\"; retry on=\"5xx\" budget=\"1.5%\"; affinity key=\"{tag:a}\"; health-check { http \"/\" expect=\"2xx\" body=\"a\" } }",
        "plugin \"geo\" \"geo.wasm\" { sha256 \"x\" }\ncluster \"c\" { balancer; endpoint }",
        "listener \"l\" \"unix:@a\" { tls { certificate \"a\"; ciphers \"TLS_AES_256_GCM_SHA384\"; acme \"http://[::1]:1/\" { name \"a\" } }; proxy-protocol from=\"unix\"; route sni=\"a\" { compress \"br\" { type \"a/*\" }; client-certificate { name \"DNS:*\" } } }",
    ];
    for seed in seeds {
        // Every third place, to keep the test short; the seeds are ASCII.
        for end in (0..=seed.len()).step_by(3) {
            let _ = load_text(&seed[..end]);
            for wrong in [
                "#null", "\"", "{", "}", "=", "1", "\u{0}", "ä", "${", " x=1 ",
            ] {
                let text = format!("{}{wrong}{}", &seed[..end], &seed[end..]);
                if let Err(refused) = load_text(&text) {
                    assert!(!refused.render(false).is_empty() && refused.to_json().len() > 2);
                }
            }
        }
    }
}
