use super::super::accept::choose;
use super::ALL;
use crate::config::Coding::{self, Brotli, Gzip, Zstd};

#[test]
fn the_client_prefers_and_the_settings_break_ties() {
    let table: &[(&str, Option<Coding>)] = &[
        // Plain lists.
        ("gzip", Some(Gzip)),
        ("br", Some(Brotli)),
        ("zstd", Some(Zstd)),
        ("gzip, deflate, br, zstd", Some(Zstd)),
        ("gzip, br", Some(Brotli)),
        ("deflate", None),
        ("compress, deflate", None),
        ("GZip", Some(Gzip)),
        ("x-gzip", Some(Gzip)),
        ("X-GZIP;q=0.5, br;q=0.4", Some(Gzip)),
        // Blanks and empty elements.
        ("", None),
        (" , ,", None),
        (",gzip,", Some(Gzip)),
        ("gzip\t;\tq=0.5 ,\tbr ; q=0.4", Some(Gzip)),
        // Weights.
        ("gzip;q=1, br;q=0.9, zstd;q=0.8", Some(Gzip)),
        ("gzip;q=0.8, br;q=0.9", Some(Brotli)),
        ("gzip;Q=0.8, br;q=0.799", Some(Gzip)),
        ("gzip;q=0.001", Some(Gzip)),
        ("gzip;q=0", None),
        ("gzip;q=0.000", None),
        ("gzip;q=0., br;q=1.", Some(Brotli)),
        ("zstd;q=0.0, gzip", Some(Gzip)),
        ("zstd;q=1.000, gzip", Some(Zstd)),
        ("gzip;q=0.50, br;q=0.5", Some(Brotli)),
        ("gzip;q=0.51, br;q=0.509", Some(Gzip)),
        // Everything else.
        ("*", Some(Zstd)),
        ("*;q=0", None),
        ("*;q=0.5, gzip;q=0.4", Some(Zstd)),
        ("*;q=0.5, zstd;q=0", Some(Brotli)),
        ("zstd;q=0, br;q=0, *", Some(Gzip)),
        ("gzip, *;q=0", Some(Gzip)),
        ("zstd;q=0, br;q=0, gzip;q=0, *", None),
        ("deflate, *;q=0.1", Some(Zstd)),
        // No coding at all.
        ("identity", None),
        ("identity, gzip", Some(Gzip)),
        ("identity;q=0.5, gzip;q=0.5", Some(Gzip)),
        ("identity;q=1, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.499, *;q=0.6", Some(Zstd)),
        ("identity;q=0.5, *;q=0.1", None),
        ("identity;q=0", None),
        ("identity;q=0, gzip;q=0.1", Some(Gzip)),
        ("identity;q=0, gzip;q=0", None),
        ("Identity;q=0.7, gzip;q=0.6", None),
        // Named twice: the lower weight.
        ("gzip, gzip;q=0", None),
        ("gzip;q=0, gzip", None),
        ("gzip, x-gzip;q=0.2, br;q=0.3", Some(Brotli)),
        // Against the grammar: as absent.
        ("gzip br", None),
        ("gzip;", None),
        ("gzip;q", None),
        ("gzip;q=", None),
        ("gzip;q=.5", None),
        ("gzip;q=2", None),
        ("gzip;q=1.001", None),
        ("gzip;q=0.1234", None),
        ("gzip;q=-1", None),
        ("gzip;q=0,5", None),
        ("gzip;q=0.5x", None),
        ("gzip; q = 0.5", None),
        ("gzip;level=9", None),
        ("gzip;q=1;x=y", None),
        (";q=1, gzip", None),
        ("gzip, br;q=high", None),
        ("gzip, \"br\"", None),
        ("gzip, b\u{e9}", None),
    ];
    for &(accept, expected) in table {
        assert_eq!(choose(accept.as_bytes(), &ALL), expected, "{accept:?}");
    }
}

#[test]
fn only_codings_of_the_settings_are_chosen_in_their_order() {
    let table: &[(&[Coding], &str, Option<Coding>)] = &[
        (&[Gzip], "gzip, br, zstd", Some(Gzip)),
        (&[Gzip], "br, zstd", None),
        (&[Gzip], "zstd, gzip;q=0.1", Some(Gzip)),
        (&[Gzip, Brotli], "br, gzip", Some(Gzip)),
        (&[Brotli, Gzip], "br, gzip", Some(Brotli)),
        (&[Gzip, Brotli], "br;q=0.9, gzip;q=0.8", Some(Brotli)),
        (&[Gzip, Zstd], "*", Some(Gzip)),
    ];
    for &(codings, accept, expected) in table {
        let chosen = choose(accept.as_bytes(), codings);
        assert_eq!(chosen, expected, "{codings:?} {accept:?}");
    }
}

#[test]
fn a_very_long_header_is_read_to_its_end() {
    let mut accept = "deflate;q=0.1,".repeat(10_000);
    accept.push_str("gzip");
    assert_eq!(choose(accept.as_bytes(), &ALL), Some(Gzip));
}
