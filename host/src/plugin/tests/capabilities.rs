//! The empty world for guests that were built for WASI, and the limits of the log.

use std::io;
use std::sync::{Arc, Mutex};

use super::super::{FaultKind, HttpFilter};
use super::{engine, filter, guests, mode, patient, request, set_value, simple};

/// What is logged while `run` runs on this thread.
fn logged(run: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .expect("not poisoned")
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, run);
    let bytes = sink.0.lock().expect("not poisoned").clone();
    String::from_utf8(bytes).expect("text")
}

#[test]
fn a_wasi_guest_finds_clocks_and_chance_and_nothing_else() {
    let component = engine()
        .load_file(&guests::wasi())
        .expect("the guest loads");
    assert!(
        component
            .inspection()
            .imports
            .iter()
            .any(|import| import.starts_with("wasi:"))
    );
    let log = logged(|| {
        let filter = HttpFilter::configure(engine(), &component, "wasi", &mode("any"), patient())
            .expect("configured");
        for _ in 0..2 {
            let (_, verdict) = request(&filter, simple());
            assert_eq!(
                set_value(&verdict.expect("a verdict")),
                "",
                "what does not hold is named"
            );
        }
        let (_, verdict) = filter.response(simple(), &[]);
        let fault = verdict.expect_err("exit ends the call");
        assert_eq!(fault.kind, FaultKind::Trap);
        assert!(fault.message.contains("end the process"), "{fault}");
    });
    for line in [
        "configured with {\"mode\":\"any\"}",
        "to standard output",
        "to standard error",
    ] {
        assert!(
            log.contains(line) && log.contains("plugin=\"wasi\""),
            "{line} in {log}"
        );
    }
}

#[test]
fn a_flood_of_log_lines_is_cut_and_counted() {
    let filter = filter("log-flood");
    let log = logged(|| assert!(request(&filter, simple()).1.is_ok()));
    let lines = log.lines().filter(|line| line.contains("line ")).count();
    // A second may begin in between.
    assert!((100..=200).contains(&lines), "{lines}");
}

#[test]
fn a_fault_is_logged_with_plugin_kind_and_phase() {
    let filter = filter("trap-response");
    let log = logged(|| assert!(filter.response(simple(), &[]).1.is_err()));
    for word in [
        "plugin=\"trap-response\"",
        "kind=\"trap\"",
        "phase=\"response\"",
        "unreachable",
    ] {
        assert!(log.contains(word), "{word} in {log}");
    }
}
