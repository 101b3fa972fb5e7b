//! An HTTP filter whose one setting, `mode`, says how it uses the store and its metrics. What it found goes to the request header `x-found`.

use std::cell::RefCell;

use exports::tollgate::plugin::http::{Guest, Needs, Verdict};
use tollgate::plugin::metrics::{self, Kind};
use tollgate::plugin::store::{self, Error};
use tollgate::plugin::types::{BodyMode, Phase, SettingsError};

wit_bindgen::generate!({
    path: "../../../wit",
    world: "guest:counting/counting",
    generate_all,
    inline: "
        package guest:counting;
        world counting {
            include tollgate:plugin/http-filter@0.1.0;
            import tollgate:plugin/store@0.1.0;
            import tollgate:plugin/metrics@0.1.0;
        }
    ",
});

struct Counting;

export!(Counting);

const HOUR: u64 = 3_600_000_000_000;

thread_local! {
    static MODE: RefCell<String> = const { RefCell::new(String::new()) };
    static FLOODED: RefCell<u64> = const { RefCell::new(0) };
}

impl Guest for Counting {
    fn configure(settings: String) -> Result<Needs, Vec<SettingsError>> {
        let mode = settings.split('"').nth(3).unwrap_or_default().to_owned();
        if mode == "configure" {
            // The store is there before the first request, too.
            store::add(&granted(), b"configured", 1, HOUR).expect("there is room");
        }
        MODE.set(mode);
        Ok(Needs {
            request: Some(Phase { fields: vec![] }),
            response: None,
            request_body: BodyMode::None,
            response_body: BodyMode::None,
            guard: vec![],
            edits: vec![],
        })
    }

    fn request(_fields: Vec<u8>) -> Verdict {
        let found = MODE.with_borrow(|mode| request(mode));
        let mut edits = vec![1, 7, 0];
        edits.extend_from_slice(b"x-found");
        edits.extend_from_slice(&(found.len() as u32).to_le_bytes());
        edits.extend_from_slice(found.as_bytes());
        Verdict::Next(edits)
    }

    fn response(_fields: Vec<u8>) -> Verdict {
        Verdict::Next(vec![])
    }
}

fn granted() -> String {
    store::names().into_iter().next().unwrap_or_default()
}

fn request(mode: &str) -> String {
    let name = granted();
    match mode {
        "count" => told(store::add(&name, b"count", 1, HOUR).map(|count| count.to_string())),
        "configure" => {
            told(store::add(&name, b"configured", 0, HOUR).map(|count| count.to_string()))
        }
        "names" => store::names().join(","),
        "all" => all(&name),
        "store-flood" => store_flood(&name),
        "huge-key" => told(store::get(&name, &vec![1; 8 << 20]).map(|_| "read".to_owned())),
        "huge-value" => {
            told(store::set(&name, b"k", &vec![1; 8 << 20], HOUR).map(|()| "set".to_owned()))
        }
        "other-store" => told(store::get("somebody-elses", b"k").map(|_| "read".to_owned())),
        "no-window" => told(store::window(&name, b"k", 1, 0, 1).map(|_| "counted".to_owned())),
        "no-refill" => told(store::bucket(&name, b"k", 1, 0, 1, 1).map(|_| "counted".to_owned())),
        "measure" => measure(),
        "metrics-flood" => metrics_flood(),
        "metrics-huge" => {
            let labels = vec![("a".to_owned(), "x".repeat(1 << 20)); 60];
            told_metric(metrics::define("huge", &Kind::Counter, "", &labels))
        }
        "metrics-unknown" => {
            metrics::add(200, 1.0);
            "added".to_owned()
        }
        "metrics-kind" => {
            let gauge = metrics::define("kind", &Kind::Gauge, "", &[]).expect("valid");
            metrics::observe(gauge, 1.0);
            "observed".to_owned()
        }
        "metrics-number" => {
            let counter = metrics::define("number", &Kind::Counter, "", &[]).expect("valid");
            metrics::add(counter, f64::NAN);
            "added".to_owned()
        }
        _ => "no such mode".to_owned(),
    }
}

/// Each function once, in an order in which the answers say whether it works.
fn all(name: &str) -> String {
    let key = b"all".as_slice();
    let steps = [
        store::set(name, key, b"value", HOUR).map(|()| String::new()),
        store::get(name, key).map(|value| format!("{value:?}")),
        store::swap(name, key, Some(b"other"), b"new", HOUR).map(|done| done.to_string()),
        store::swap(name, key, Some(b"value"), b"new", HOUR).map(|done| done.to_string()),
        store::add(name, key, 1, HOUR).map(|count| count.to_string()),
        store::remove(name, key).map(|done| done.to_string()),
        store::touch(name, key, HOUR).map(|done| done.to_string()),
        store::window(name, b"w", 2, HOUR, 2)
            .map(|found| format!("{}{}", found.allowed, found.remaining)),
        store::bucket(name, b"b", 2, 1, HOUR, 3)
            .map(|found| format!("{}{}", found.allowed, found.retry_after)),
        store::get(name, b"none").map(|value| format!("{value:?}")),
    ];
    steps.map(told).join(";")
}

/// Keys of 1 KiB that no other call used, until the store is full or it was a thousand.
fn store_flood(name: &str) -> String {
    let began = FLOODED.take();
    let mut key = vec![0; 1_024];
    for number in began..began + 1_000 {
        key[..8].copy_from_slice(&number.to_le_bytes());
        if let Err(error) = store::set(name, &key, &key, HOUR) {
            FLOODED.set(number);
            return word(error);
        }
    }
    FLOODED.set(began + 1_000);
    "room".to_owned()
}

fn measure() -> String {
    let labels = [("way".to_owned(), "in".to_owned())];
    let counter = metrics::define("visits", &Kind::Counter, "Visits", &labels).expect("valid");
    let gauge = metrics::define("level", &Kind::Gauge, "Level", &[]).expect("valid");
    let bounds = Kind::Histogram(vec![1.0, 2.0]);
    let histogram = metrics::define("sizes", &bounds, "Sizes", &[]).expect("valid");
    metrics::add(counter, 1.0);
    metrics::set(gauge, 4.5);
    metrics::observe(histogram, 1.5);
    "measured".to_owned()
}

fn metrics_flood() -> String {
    let define = |number: u32| metrics::define(&format!("n{number}"), &Kind::Counter, "", &[]);
    let defined = (0..10_000).filter(|number| define(*number).is_ok()).count();
    defined.to_string()
}

fn told(found: Result<String, Error>) -> String {
    found.unwrap_or_else(word)
}

fn told_metric(found: Result<u32, metrics::Error>) -> String {
    match found {
        Ok(_) => "defined".to_owned(),
        Err(metrics::Error::Full) => "full".to_owned(),
        Err(metrics::Error::Invalid(_)) => "invalid".to_owned(),
    }
}

fn word(error: Error) -> String {
    match error {
        Error::Full => "full",
        Error::TooLarge => "too-large",
        Error::WrongType => "wrong-type",
        Error::Unavailable(_) => "unavailable",
    }
    .to_owned()
}
