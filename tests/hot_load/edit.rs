//! Every way to change a configuration file, and what a broken one does: nothing.

use super::{Way, generation, hang_up, message, responding, retired};
use crate::harness::{Origin, Proxy, config, whole};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn each_way_of_changing_the_file_puts_it_in_force_for_the_next_request() {
    let proxy = Proxy::start(&responding("0"));
    let mut kept = proxy.client();
    assert_eq!(kept.get("/").text(), "0");
    for (number, way) in Way::ALL.into_iter().enumerate() {
        let body = format!("number {number}");
        way.configure(&proxy, &responding(&body))
            .unwrap_or_else(|why| panic!("{way:?}: {why}"));
        assert_eq!(
            kept.get("/").text(),
            body,
            "{way:?}, on a connection that was open before"
        );
        assert_eq!(
            proxy.client().get("/").text(),
            body,
            "{way:?}, on a new connection"
        );
    }
    let line = proxy.access_line(|line| line.number("generation") == 3);
    assert_eq!(line.outcome(), "route-reply");
    for generation in 1..3 {
        proxy.log_line(&format!(
            "\"generation retired\",\"generation\":{generation}"
        ));
    }
    assert!(!retired(&proxy).contains(&3));
}

#[test]
fn a_hangup_reloads_what_has_not_changed() {
    let proxy = Proxy::start(&responding("same"));
    let mark = proxy.log_mark();
    hang_up(&proxy).expect("it is as valid as before");
    assert_eq!(generation(&proxy.log_line_after(mark, "\"reloaded\"")), 2);
    assert_eq!(proxy.client().get("/").text(), "same");
}

/// Behind a symbolic link lies a file in a folder that nobody watches: only the signal tells of its change.
#[test]
fn a_hangup_reads_what_has_changed_unseen() {
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let directory = tempfile::tempdir().expect("a temporary folder");
    let file = elsewhere.path().join("real.kdl");
    std::os::unix::fs::symlink(&file, directory.path().join("config.kdl"))
        .expect("a writable folder");
    let proxy = Proxy::start_in(directory, &responding("0")).expect("it is valid");
    let mut kept = proxy.client();
    assert_eq!(kept.get("/").text(), "0");
    std::fs::write(&file, whole(&responding("1"))).expect("a writable folder");
    hang_up(&proxy).expect("it is valid");
    assert_eq!(kept.get("/").text(), "1");
    std::fs::write(&file, "broken {").expect("a writable folder");
    hang_up(&proxy).expect_err("it is broken");
    assert_eq!(kept.get("/").text(), "1");
}

#[test]
fn a_broken_configuration_is_refused_with_its_place_and_the_old_one_stays() {
    let broken = [
        (
            "listener \"web\" \"127.0.0.1:0\" {\n",
            "config.kdl",
            "the block is not closed",
        ),
        (
            "listener \"web\" \"127.0.0.1:0\" {\n    route { cluster \"nowhere\" }\n}\n",
            "config.kdl:6:",
            "a cluster that is not there",
        ),
        (
            "listener \"web\" \"127.0.0.1:0\" {\n    rout { respond 200 }\n}\n",
            "config.kdl:6:",
            "a word that is none",
        ),
        (
            "listener \"web\" \"127.0.0.1:0\" {\n    route {\n        filters { acl { rule \"deny\" status=99 } }\n        respond 200\n    }\n}\n",
            "config.kdl:7:",
            "a setting of a plugin",
        ),
        ("", "config.kdl", "nothing to listen on"),
    ];
    let proxy = Proxy::start(&responding("good"));
    let mut kept = proxy.client();
    for (text, place, what) in broken {
        for way in Way::ALL {
            let refusal = way.configure(&proxy, text).expect_err(what);
            assert!(
                message(&refusal).contains(place),
                "{what}: {}",
                message(&refusal)
            );
            assert_eq!(generation(&refusal), 1, "{what}");
            assert_eq!(kept.get("/").text(), "good", "{what}");
        }
    }
    // After all these, the next good one is taken.
    Way::InPlace
        .configure(&proxy, &responding("better"))
        .expect("it is valid");
    assert_eq!(kept.get("/").text(), "better");
}

#[test]
fn a_removed_configuration_is_refused_and_its_return_is_noticed() {
    let proxy = Proxy::start(&responding("good"));
    let mark = proxy.log_mark();
    std::fs::remove_file(proxy.directory().join("config.kdl")).expect("it is there");
    proxy
        .reloaded_after(mark)
        .expect_err("there is nothing to read");
    assert_eq!(proxy.client().get("/").text(), "good");
    proxy.reload(&responding("back")).expect("it is valid");
    assert_eq!(proxy.client().get("/").text(), "back");
}

const INCLUDING: &str = "include \"conf.d/*.kdl\"\n";

#[test]
fn included_files_are_watched_like_the_first() {
    let directory = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(directory.path().join("conf.d")).expect("a writable folder");
    std::fs::write(directory.path().join("conf.d/web.kdl"), responding("0"))
        .expect("a writable folder");
    let proxy = Proxy::start_in(directory, INCLUDING).expect("it is valid");
    let mut kept = proxy.client();
    assert_eq!(kept.get("/").text(), "0");
    for way in Way::ALL {
        let body = format!("{way:?}");
        way.offer(&proxy, "conf.d/web.kdl", responding(&body).as_bytes())
            .expect("it is valid");
        assert_eq!(kept.get("/").text(), body);
        let refusal = way
            .offer(
                &proxy,
                "conf.d/web.kdl",
                b"listener \"web\" {\n    nonsense\n}\n",
            )
            .expect_err("it is broken");
        assert!(
            message(&refusal).contains("conf.d/web.kdl:"),
            "{}",
            message(&refusal)
        );
        assert_eq!(kept.get("/").text(), body);
    }
    way_back(&proxy);
}

/// A file that is new in an included folder counts, and so does one that goes.
fn way_back(proxy: &Proxy) {
    Way::InPlace
        .offer(proxy, "conf.d/web.kdl", responding("again").as_bytes())
        .expect("it is valid");
    let second = responding("second").replace("\"web\"", "\"second\"");
    Way::Rename
        .offer(proxy, "conf.d/second.kdl", second.as_bytes())
        .expect("it is valid");
    assert_eq!(proxy.client_of("second").get("/").text(), "second");
    let mark = proxy.log_mark();
    std::fs::remove_file(proxy.directory().join("conf.d/second.kdl")).expect("it is there");
    proxy.reloaded_after(mark).expect("it is valid without it");
    assert_eq!(proxy.client().get("/").text(), "again");
    assert!(
        std::net::TcpStream::connect(proxy.address("second")).is_err(),
        "nobody listens there any more"
    );
}

#[test]
fn other_files_in_the_folder_cause_no_reload() {
    let proxy = Proxy::start(&responding("0"));
    for number in 0..5 {
        std::fs::write(proxy.directory().join(format!("note-{number}")), "x")
            .expect("a writable folder");
    }
    // What comes after them is the first reload.
    proxy.reload(&responding("1")).expect("it is valid");
    proxy.log_line("\"reloaded\",\"generation\":2");
    assert_eq!(
        proxy
            .log_lines()
            .iter()
            .filter(|line| line.contains("\"reloaded\""))
            .count(),
        1
    );
}

#[test]
fn a_folder_that_is_never_quiet_delays_no_reload() {
    let proxy = Proxy::start(&responding("0"));
    let mut kept = proxy.client();
    assert_eq!(kept.get("/").text(), "0");
    let busy = Arc::new(());
    let (wanted, file) = (Arc::downgrade(&busy), proxy.directory().join("busy.log"));
    let writer = std::thread::spawn(move || {
        while wanted.strong_count() > 0 && std::fs::write(&file, "another line").is_ok() {
            // Far less than what counts as quiet.
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    for (number, way) in Way::ALL.into_iter().enumerate() {
        let body = format!("number {number}");
        way.configure(&proxy, &responding(&body))
            .unwrap_or_else(|why| panic!("{way:?}: {why}"));
        assert_eq!(kept.get("/").text(), body, "{way:?}");
    }
    assert!(!writer.is_finished(), "it wrote all the time");
    drop(busy);
    writer.join().expect("it does not panic");
}

#[test]
fn log_level_and_format_change_while_it_runs() {
    let origin = Origin::named("x");
    let text = config(
        "process { workers 1; log LOG }\nlistener \"web\" \"127.0.0.1:0\" { route { cluster \"c\" } }\ncluster \"c\" { endpoint \"ORIGIN\" }\n",
        &[("ORIGIN", &origin)],
    );
    let with = |log: &str| text.replace("LOG", log);
    let proxy = Proxy::start(&with("format=\"json\""));
    proxy.client().get("/json");
    proxy.line_of("/json");
    proxy.reload(&with("format=\"text\"")).expect("it is valid");
    proxy.client().get("/text");
    let line = proxy.access_text(|line| line.contains("/text"));
    assert!(
        line.contains("outcome=\"ok\"") && !line.starts_with('{'),
        "{line}"
    );
}
