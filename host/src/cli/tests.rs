use super::*;
use clap::CommandFactory;

#[test]
fn the_command_line_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn wrong_usage_is_told_from_a_cry_for_help() {
    for (line, expected) in [
        ("tollgate endpoint list", None),
        (
            "tollgate endpoint list api --format json --admin 127.0.0.1:1",
            None,
        ),
        ("tollgate endpoint --admin localhost:1 drain api a:1", None),
        (
            "tollgate endpoint drain api/a:1 --timeout 10m -c x.kdl",
            None,
        ),
        ("tollgate endpoint weight api a:1 50%", None),
        (
            "tollgate endpoint add api [::1]:80 --weight 256 --backup",
            None,
        ),
        ("tollgate endpoint", Some(2)),
        ("tollgate endpoint stop api a:1", Some(2)),
        ("tollgate endpoint drain", Some(2)),
        ("tollgate endpoint drain api a:1 more", Some(2)),
        ("tollgate endpoint drain api a:1 --timeout 10", Some(2)),
        ("tollgate endpoint ready api a:1 --timeout 10m", Some(2)),
        ("tollgate endpoint weight api/a:1", Some(2)),
        ("tollgate endpoint weight api a:1 -5", Some(2)),
        ("tollgate endpoint add api", Some(2)),
        ("tollgate endpoint add api db.internal:80", Some(2)),
        (
            "tollgate endpoint add api 127.0.0.1:80 --weight 257",
            Some(2),
        ),
        (
            "tollgate endpoint add api 127.0.0.1:80 --requests-max 0",
            Some(2),
        ),
        ("tollgate endpoint add api 127.0.0.1:80 --id a;b", Some(2)),
        ("tollgate endpoint list --admin example.com:80", Some(2)),
        ("tollgate endpoint list --format xml", Some(2)),
        ("tollgate endpoint list --help", Some(0)),
    ] {
        let parsed = Arguments::try_parse_from(line.split(' '));
        let code = parsed.err().map(|error| error.exit_code());
        assert_eq!(code, expected, "{line}");
    }
}
