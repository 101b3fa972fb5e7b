//! Many exchanges at once, none of which gets another's bytes.

use crate::harness::{Origin, Proxy, config};

#[test]
fn no_response_reaches_another_request() {
    let origin = Origin::echo();
    let text = r#"
process {
    workers 2
    log format="json"
}
listener "web" "127.0.0.1:0" { route { cluster "origin" } }
cluster "origin" { endpoint "ORIGIN" }
"#;
    let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
    let address = proxy.address("web");
    std::thread::scope(|scope| {
        for number in 0..12 {
            scope.spawn(move || {
                let mut client = crate::harness::Client::connect(address);
                for round in 0..40 {
                    let path = format!("/{number}/{round}");
                    let body = format!("{number}-{round};").repeat(1 + round * number * 20);
                    let answer = client.post(&path, &body).text();
                    assert!(
                        answer.starts_with(&format!("POST {path} ")) && answer.ends_with(&body),
                        "{path}"
                    );
                    if round % 10 == number % 10 {
                        client = crate::harness::Client::connect(address);
                    }
                }
            });
        }
    });
    assert_eq!(origin.requests().len(), 12 * 40);
    assert!(
        origin.connections() <= 24,
        "{} upstream connections for 12 downstream ones",
        origin.connections()
    );
}
