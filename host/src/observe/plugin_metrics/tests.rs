//! What may be defined, what is counted, and that whatever is accepted can be shown.

use super::*;

fn definition(name: &str, kind: MetricKind, labels: &[(&str, &str)]) -> Definition {
    let labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Definition {
        name: name.to_owned(),
        kind,
        help: "What it is".to_owned(),
        labels: labels.collect(),
    }
}

fn counter(name: &str) -> Definition {
    definition(name, MetricKind::Counter, &[])
}

#[test]
fn the_same_name_and_labels_are_the_same_series() {
    let metrics = open("same series");
    let define =
        |labels: &[(&str, &str)]| metrics.define(definition("hits", MetricKind::Counter, labels));
    let first = define(&[("a", "1"), ("b", "2")]).expect("valid");
    assert_eq!(define(&[("b", "2"), ("a", "1")]), Ok(first));
    assert_ne!(define(&[("a", "1")]), Ok(first));
    assert_eq!(
        metrics.define(counter("hits_total")).map(|_| ()),
        Ok(()),
        "the end of a counter's name may be left out or not"
    );
    let again = open("same series");
    assert_eq!(
        again.define(definition(
            "hits",
            MetricKind::Counter,
            &[("a", "1"), ("b", "2")]
        )),
        Ok(first),
        "for who holds it later too"
    );
}

#[test]
fn what_cannot_be_shown_is_refused_in_words() {
    let metrics = open("refused");
    let long = "x".repeat(65);
    let value = "x".repeat(257);
    let kind = MetricKind::Counter;
    let histogram = |bounds: &[f64]| definition("h", MetricKind::Histogram(bounds.into()), &[]);
    let table = [
        definition("", kind.clone(), &[]),
        definition("Upper", kind.clone(), &[]),
        definition("1st", kind.clone(), &[]),
        definition("a-b", kind.clone(), &[]),
        definition(&long, kind.clone(), &[]),
        definition("x_total", MetricKind::Gauge, &[]),
        definition("x_sum", kind.clone(), &[]),
        definition("x", kind.clone(), &[("plugin", "other")]),
        definition("x", kind.clone(), &[("le", "1")]),
        definition("x", kind.clone(), &[("a", "1"), ("a", "2")]),
        definition("x", kind.clone(), &[("a", "line\nbreak")]),
        definition("x", kind.clone(), &[("a", &value)]),
        definition("x", kind, &[("a", "1"); 9]),
        histogram(&[1.0, 1.0]),
        histogram(&[f64::NAN]),
        histogram(&[1.0, f64::INFINITY]),
        histogram(&(0..33).map(f64::from).collect::<Vec<_>>()),
        Definition {
            help: "two\nlines".to_owned(),
            ..counter("x")
        },
    ];
    for definition in table {
        let refused = metrics.define(definition.clone());
        assert!(
            matches!(&refused, Err(DefineError::Invalid(words)) if !words.is_empty()),
            "{definition:?}: {refused:?}"
        );
    }
    metrics.define(counter("kept")).expect("valid");
    let other = metrics.define(definition("kept", MetricKind::Gauge, &[]));
    assert!(matches!(other, Err(DefineError::Invalid(words)) if words.contains("another kind")));
}

#[test]
fn names_and_series_are_bounded() {
    let metrics = open("bounded");
    for number in 0..NAMES_MAX {
        metrics
            .define(counter(&format!("n{number}")))
            .expect("valid");
    }
    assert_eq!(metrics.define(counter("one_more")), Err(DefineError::Full));
    let series = |number: usize| {
        let number = number.to_string();
        metrics.define(definition("n0", MetricKind::Counter, &[("l", &number)]))
    };
    for number in 0..SERIES_MAX - NAMES_MAX {
        series(number).expect("there is room");
    }
    assert_eq!(series(SERIES_MAX), Err(DefineError::Full));
    assert!(series(0).is_ok(), "what is there is found");
}

#[test]
fn a_use_that_the_kind_does_not_have_is_told() {
    let metrics = open("uses");
    let counter = metrics.define(counter("c")).expect("valid");
    let gauge = definition("g", MetricKind::Gauge, &[]);
    let gauge = metrics.define(gauge).expect("valid");
    let histogram = definition("h", MetricKind::Histogram(vec![]), &[]);
    let histogram = metrics.define(histogram).expect("valid");
    assert_eq!(metrics.set(counter, 1.0), Err(BadUse::WrongKind));
    assert_eq!(metrics.observe(gauge, 1.0, 0), Err(BadUse::WrongKind));
    assert_eq!(metrics.add(histogram, 1.0, 0), Err(BadUse::WrongKind));
    assert_eq!(metrics.add(counter, -1.0, 0), Err(BadUse::BadValue));
    assert_eq!(metrics.add(counter, f64::NAN, 0), Err(BadUse::BadValue));
    assert_eq!(metrics.set(gauge, f64::INFINITY), Err(BadUse::BadValue));
    assert_eq!(
        metrics.observe(histogram, f64::NAN, 0),
        Err(BadUse::BadValue)
    );
    for number in [3, 255, 256, u32::MAX] {
        assert_eq!(metrics.add(number, 1.0, 0), Err(BadUse::NoSuchSeries));
    }
}

#[test]
fn threads_add_up_and_the_text_says_so() {
    let metrics = open("adds-up");
    let hits = definition("adds_up_hits", MetricKind::Counter, &[("way", "a\\\"b")]);
    let hits = metrics.define(hits).expect("valid");
    let open_now = definition("adds_up_open", MetricKind::Gauge, &[]);
    let open_now = metrics.define(open_now).expect("valid");
    let size = definition("adds_up_bytes", MetricKind::Histogram(vec![1.0, 10.0]), &[]);
    let size = metrics.define(size).expect("valid");
    std::thread::scope(|scope| {
        for shard in 0..20 {
            let metrics = &metrics;
            scope.spawn(move || {
                for _ in 0..100 {
                    metrics.add(hits, 0.5, shard).expect("a counter");
                    metrics.add(open_now, 1.0, shard).expect("a gauge");
                    metrics.add(open_now, -1.0, shard).expect("a gauge");
                }
                for value in [1.0, 1.5, 11.0] {
                    metrics.observe(size, value, shard).expect("a histogram");
                }
            });
        }
    });
    metrics.add(open_now, 7.0, 0).expect("a gauge");
    let text = render();
    for line in [
        "# HELP tollgate_plugin_adds_up_hits What it is",
        "# TYPE tollgate_plugin_adds_up_hits counter",
        "tollgate_plugin_adds_up_hits_total{plugin=\"adds-up\",way=\"a\\\\\\\"b\"} 1000.0",
        "tollgate_plugin_adds_up_open{plugin=\"adds-up\"} 7.0",
        "tollgate_plugin_adds_up_bytes_sum{plugin=\"adds-up\"} 270.0",
        "tollgate_plugin_adds_up_bytes_count{plugin=\"adds-up\"} 60",
        "tollgate_plugin_adds_up_bytes_bucket{le=\"1.0\",plugin=\"adds-up\"} 20",
        "tollgate_plugin_adds_up_bytes_bucket{le=\"10.0\",plugin=\"adds-up\"} 40",
        "tollgate_plugin_adds_up_bytes_bucket{le=\"+Inf\",plugin=\"adds-up\"} 60",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    let json = report("adds-up").expect("the plugin is in use");
    assert_eq!(json[0]["value"], 1000.0);
    assert_eq!(json[2]["buckets"][1]["count"], 20);
    assert_eq!(report("nobody"), None);
}

#[test]
fn plugins_that_disagree_about_a_name_are_both_shown() {
    let (first, second) = (open("disagree-a"), open("disagree-b"));
    let gauge = definition("disagreed", MetricKind::Gauge, &[]);
    first.define(gauge).expect("valid");
    second.define(counter("disagreed")).expect("valid");
    let text = render();
    assert!(
        text.contains("# TYPE tollgate_plugin_disagreed counter\n"),
        "{text}"
    );
    assert!(
        text.contains("# TYPE tollgate_plugin_disagreed_gauge gauge\n"),
        "{text}"
    );
    assert!(text.contains("tollgate_plugin_disagreed_gauge{plugin=\"disagree-a\"} 0.0\n"));
}
