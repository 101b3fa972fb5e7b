//! Each key that a configuration may carry has a test through the real binary that fails when the key is ignored. This table says which;
//! a new key without a row, and a row whose test is gone, fail here.

use std::collections::BTreeSet;
use std::path::Path;

/// The key as `accepted_keys` writes it, and the test that shows what it does.
const PROVED_BY: &[(&str, &str)] = &[
    (
        "process",
        "the_shipped_configuration_is_good_and_without_warnings",
    ),
    ("process/workers", "as_many_workers_run_as_are_asked_for"),
    ("process/log", "log_level_and_format_change_while_it_runs"),
    ("process/log/level", "a_quiet_level_writes_no_access_lines"),
    ("process/log/format", "the_text_form_has_the_same_fields"),
    (
        "process/drain-timeout",
        "a_changed_drain_timeout_is_the_one_that_counts",
    ),
    ("plugin", "a_filter_from_a_file_is_a_filter_like_any_other"),
    (
        "plugin/sha256",
        "a_pin_lets_in_what_it_names_and_nothing_else",
    ),
    (
        "plugin/memory-max",
        "memory_max_is_what_an_instance_may_take",
    ),
    ("plugin/time-max", "time_max_is_what_a_call_may_take"),
    ("listener", "a_listener_serves_each_of_its_addresses"),
    ("listener/protocol", "a_listener_changes_its_protocol"),
    (
        "listener/trust-forwarded",
        "a_trusted_peer_is_believed_and_added_to",
    ),
    (
        "listener/trust-forwarded/from",
        "a_trusted_peer_is_believed_and_added_to",
    ),
    ("listener/limits", "a_connection_beyond_the_limit_is_closed"),
    (
        "listener/limits/connections-max",
        "a_connection_beyond_the_limit_is_closed",
    ),
    (
        "listener/limits/header-bytes-max",
        "a_head_may_have_so_many_bytes_and_not_one_more",
    ),
    (
        "listener/limits/headers-max",
        "a_head_may_have_so_many_headers_and_not_one_more",
    ),
    (
        "listener/limits/body-bytes-max",
        "a_body_may_have_so_many_bytes_and_not_one_more",
    ),
    (
        "listener/timeouts",
        "an_idle_connection_is_closed_without_a_word",
    ),
    (
        "listener/timeouts/request-head",
        "a_head_that_does_not_end_in_time_is_answered_with_408",
    ),
    (
        "listener/timeouts/request-body",
        "a_body_that_stops_arriving_is_answered_with_408",
    ),
    (
        "listener/timeouts/idle",
        "an_idle_connection_is_closed_without_a_word",
    ),
    (
        "listener/timeouts/tunnel",
        "a_silent_tunnel_ends_at_its_own_timeout_and_not_at_the_idle_timeout",
    ),
    (
        "listener/path-normalization",
        "escaped_and_repeated_slashes_are_kept_where_that_is_configured",
    ),
    (
        "listener/path-normalization/escaped-slashes",
        "escaped_and_repeated_slashes_are_kept_where_that_is_configured",
    ),
    (
        "listener/path-normalization/merge-slashes",
        "escaped_and_repeated_slashes_are_kept_where_that_is_configured",
    ),
    (
        "listener/header-underscores",
        "headers_with_underscores_are_dropped_kept_or_refused",
    ),
    (
        "listener/network-filters",
        "ip_acl_guards_an_http_listener_too",
    ),
    (
        "listener/network-filters/*/on-fault",
        "a_faulting_network_filter_denies_or_is_skipped_as_it_says",
    ),
    (
        "listener/filters",
        "requests_pass_in_order_and_responses_in_reverse_listener_filters_outermost",
    ),
    (
        "listener/filters/*/on-fault",
        "a_fault_denies_or_is_skipped_as_the_filter_says",
    ),
    (
        "listener/route",
        "the_first_route_in_file_order_whose_conditions_all_hold_wins",
    ),
    (
        "listener/route/host",
        "the_first_route_in_file_order_whose_conditions_all_hold_wins",
    ),
    (
        "listener/route/path",
        "the_first_route_in_file_order_whose_conditions_all_hold_wins",
    ),
    (
        "listener/route/path-regex",
        "the_first_route_in_file_order_whose_conditions_all_hold_wins",
    ),
    (
        "listener/route/method",
        "the_first_route_in_file_order_whose_conditions_all_hold_wins",
    ),
    (
        "listener/route/header",
        "the_first_route_in_file_order_whose_conditions_all_hold_wins",
    ),
    (
        "listener/route/filters",
        "requests_pass_in_order_and_responses_in_reverse_listener_filters_outermost",
    ),
    (
        "listener/route/filters/*/on-fault",
        "a_fault_denies_or_is_skipped_as_the_filter_says",
    ),
    (
        "listener/route/cluster",
        "the_first_route_in_file_order_whose_conditions_all_hold_wins",
    ),
    ("listener/route/split", "a_split_divides_by_weight"),
    ("listener/route/split/cluster", "a_split_divides_by_weight"),
    (
        "listener/route/split/cluster/weight",
        "a_split_divides_by_weight",
    ),
    (
        "listener/route/redirect",
        "a_redirect_carries_what_the_pattern_captured",
    ),
    (
        "listener/route/redirect/status",
        "a_redirect_carries_what_the_pattern_captured",
    ),
    (
        "listener/route/respond",
        "a_route_answers_with_status_headers_and_body",
    ),
    (
        "listener/route/respond/body",
        "a_route_answers_with_status_headers_and_body",
    ),
    (
        "listener/route/respond/header",
        "a_route_answers_with_status_headers_and_body",
    ),
    (
        "listener/route/timeouts",
        "the_timeout_of_a_route_counts_and_not_its_clusters",
    ),
    (
        "listener/route/timeouts/response",
        "the_timeout_of_a_route_counts_and_not_its_clusters",
    ),
    (
        "cluster",
        "round_robin_gives_each_endpoint_its_share_smoothly",
    ),
    ("cluster/balancer", "a_balancer_from_a_file_picks"),
    (
        "cluster/endpoint",
        "round_robin_gives_each_endpoint_its_share_smoothly",
    ),
    (
        "cluster/endpoint/weight",
        "an_endpoint_of_weight_zero_gets_nothing",
    ),
    (
        "cluster/endpoint/requests-max",
        "a_full_endpoint_takes_no_more_until_a_request_ends",
    ),
    (
        "cluster/protocol",
        "a_cluster_speaks_http_1_1_whatever_the_downstream_speaks_and_nothing_else",
    ),
    (
        "cluster/timeouts",
        "an_idle_upstream_connection_is_closed_after_its_timeout",
    ),
    (
        "cluster/timeouts/connect",
        "a_connection_that_is_not_made_in_time_is_a_504",
    ),
    (
        "cluster/timeouts/response",
        "a_response_that_stalls_is_broken_off",
    ),
    (
        "cluster/timeouts/idle",
        "an_idle_upstream_connection_is_closed_after_its_timeout",
    ),
    ("demo-origins", "demo_origins_come_and_go"),
    ("demo-origins/http", "demo_origins_come_and_go"),
    ("demo-origins/http/name", "demo_origins_come_and_go"),
    (
        "demo-origins/tcp-echo",
        "the_shipped_configuration_serves_what_it_promises",
    ),
    (
        "demo-origins/tcp-echo/name",
        "a_demo_echo_answers_and_is_logged_under_its_name",
    ),
    ("include", "included_files_are_watched_like_the_first"),
];

#[test]
fn every_accepted_key_has_a_test_of_its_effect() {
    let accepted: BTreeSet<String> = tollgate::config::accepted_keys().into_iter().collect();
    let listed: BTreeSet<String> = PROVED_BY.iter().map(|(key, _)| (*key).to_owned()).collect();
    let without: Vec<_> = accepted.difference(&listed).collect();
    let unknown: Vec<_> = listed.difference(&accepted).collect();
    assert!(
        without.is_empty() && unknown.is_empty(),
        "without a test: {without:#?}\nnot accepted: {unknown:#?}"
    );
}

#[test]
fn every_listed_test_exists() {
    let mut sources = String::new();
    read_all(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests")),
        &mut sources,
    );
    for (key, test) in PROVED_BY {
        assert!(
            sources.contains(&format!("#[test]\nfn {test}()")),
            "{key} names `{test}`, which is not there"
        );
    }
}

fn read_all(folder: &Path, sources: &mut String) {
    for entry in folder.read_dir().expect("a folder of tests").flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).expect("a source file"));
        }
    }
}
