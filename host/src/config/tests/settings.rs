//! The mapping from KDL to JSON, line by line of its description.

use serde_json::{Value, json};

use super::super::settings::{self, Settings};
use super::super::{Diagnostics, syntax};
use super::fake::{env, schema};

fn read(text: &str, schema: Option<&Value>) -> (Settings, Vec<String>) {
    let mut diagnostics = Diagnostics::default();
    let nodes = syntax::parse(text, 0, &env, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{text}: {diagnostics:?}");
    let settings = settings::read(&nodes[0], schema, &mut diagnostics);
    let messages = diagnostics.iter().map(|found| found.message.clone());
    (settings, messages.collect())
}

#[track_caller]
fn expect_json(text: &str, schema: Option<&Value>, expected: Value) {
    let (settings, messages) = read(text, schema);
    assert_eq!(messages, Vec::<String>::new(), "{text}");
    assert_eq!(settings.json, expected, "{text}");
}

#[test]
fn the_schema_decides_between_one_and_many() {
    for (plugin, text, expected) in [
        ("limit", "limit", json!({})),
        (
            "limit",
            "limit \"k\" \"a\" \"b\"",
            json!({ "key": "k", "tags": ["a", "b"] }),
        ),
        (
            "limit",
            "limit \"k\" \"a\" { tags \"b\" \"c\"; tags \"d\" }",
            json!({ "key": "k", "tags": ["a", "b", "c", "d"] }),
        ),
        (
            "limit",
            "limit tags=\"a\" { tags \"b\" }",
            json!({ "tags": ["a", "b"] }),
        ),
        (
            "limit",
            "limit { key \"k\"; rate 1 }",
            json!({ "key": "k", "rate": 1 }),
        ),
        (
            "limit",
            "limit rate=0.5 window=\"10s\" burst=\"64KiB\"",
            json!({ "rate": 0.5, "window": "10s", "burst": "64KiB" }),
        ),
        ("limit", "limit burst=#null", json!({ "burst": null })),
        ("limit", "limit { range 1 5 }", json!({ "range": [1, 5] })),
        (
            "limit",
            "limit { per a=1 { b 2 } }",
            json!({ "per": { "a": 1, "b": 2 } }),
        ),
        ("limit", "limit { workers 4 }", json!({ "workers": 4 })),
        (
            "limit",
            "limit { workers \"auto\" }",
            json!({ "workers": "auto" }),
        ),
        ("limit", "limit key=\"${PORT}\"", json!({ "key": "8080" })),
        (
            "request-id",
            "request-id { response }",
            json!({ "response": true }),
        ),
        (
            "request-id",
            "request-id response=#false",
            json!({ "response": false }),
        ),
        (
            "ip-acl",
            "ip-acl { deny \"a\" \"b\"; allow \"c\"; deny \"d\" }",
            json!({ "deny": ["a", "b", "d"], "allow": ["c"] }),
        ),
        (
            "headers",
            "headers { request { set \"x-a\" \"1\"; remove \"y\" \"z\"; set \"x-b\" \"2\" } }",
            json!({ "request": { "set": [["x-a", "1"], ["x-b", "2"]], "remove": ["y", "z"] } }),
        ),
        (
            "acl",
            "acl { rule \"deny\" status=403 { path \"/a\" \"/b\"; not { source \"10.0.0.0/8\" } }; rule \"allow\" path=\"/c\" }",
            json!({ "rule": [
                { "action": "deny", "status": 403, "path": ["/a", "/b"], "not": { "source": ["10.0.0.0/8"] } },
                { "action": "allow", "path": ["/c"] },
            ] }),
        ),
    ] {
        expect_json(text, schema(plugin).as_ref(), expected);
    }
}

#[test]
fn without_a_schema_children_are_always_arrays() {
    for (text, expected) in [
        ("p", json!({})),
        (
            "p 1 \"x\" key=2.5",
            json!({ "arguments": [1, "x"], "key": 2.5 }),
        ),
        (
            "p { a 1; a 2 3; b }",
            json!({ "a": [1, 2, 3], "b": [true] }),
        ),
        (
            "p { a 1 k=2 { c #null } }",
            json!({ "a": [{ "arguments": [1], "k": 2, "c": [null] }] }),
        ),
        ("p { a {} }", json!({ "a": [{}] })),
        ("p a=1 { a 2 }", json!({ "a": [1, 2] })),
    ] {
        expect_json(text, None, expected);
    }
}

#[test]
fn the_name_of_the_arguments_is_taken() {
    let messages = read("p 1 { arguments 2 }", None).1;
    assert_eq!(messages, ["`arguments` is taken by the arguments of `p`"]);
}

#[test]
fn members_that_allow_anything_take_the_form_without_schema() {
    let free =
        json!({ "type": "object", "properties": { "any": {} }, "additionalProperties": true });
    expect_json("p { any 1 }", Some(&free), json!({ "any": [1] }));
    expect_json(
        "p any=1 other=2",
        Some(&free),
        json!({ "any": 1, "other": 2 }),
    );
    expect_json(
        "p { other { x 1 } }",
        Some(&free),
        json!({ "other": [{ "x": [1] }] }),
    );
}

#[test]
fn alternatives_are_chosen_by_the_written_form() {
    let either = json!({ "type": "object", "properties": { "to": { "oneOf": [
        { "type": "string" },
        { "type": "object", "properties": { "a": { "type": "integer" } }, "additionalProperties": false },
        { "type": "array", "items": { "type": "string" } },
    ] } } });
    expect_json("p { to \"x\" }", Some(&either), json!({ "to": "x" }));
    expect_json(
        "p { to { a 1 } }",
        Some(&either),
        json!({ "to": { "a": 1 } }),
    );
    expect_json(
        "p { to \"x\" \"y\" }",
        Some(&either),
        json!({ "to": ["x", "y"] }),
    );
    expect_json(
        "p { to \"x\"; to \"y\" }",
        Some(&either),
        json!({ "to": ["x", "y"] }),
    );
    let tagged = json!({ "oneOf": [
        { "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] },
        { "type": "object", "properties": { "b": { "type": "integer" } }, "required": ["b"] },
    ] });
    expect_json("p { b 1 }", Some(&tagged), json!({ "b": 1 }));
}

#[test]
fn each_mistake_has_its_own_message() {
    for (plugin, text, expected) in [
        ("limit", "limit contry=1", vec!["unknown setting `contry`"]),
        (
            "limit",
            "limit { rate 1; rate 2 }",
            vec!["setting `rate` is given twice"],
        ),
        (
            "limit",
            "limit \"k\" { key \"l\" }",
            vec!["setting `key` is given twice"],
        ),
        (
            "limit",
            "limit { rate 1 2 }",
            vec!["`rate` takes one value"],
        ),
        ("limit", "limit { rate }", vec!["`rate` needs a value"]),
        (
            "limit",
            "limit { rate 1 { x 1 } }",
            vec!["`rate` takes no block"],
        ),
        (
            "limit",
            "limit { tags }",
            vec!["`tags` needs at least one value"],
        ),
        (
            "limit",
            "limit { tags \"a\" x=1 }",
            vec!["`tags` has no property `x`"],
        ),
        (
            "limit",
            "limit rate=\"fast\"",
            vec!["expected a number, found the string \"fast\""],
        ),
        (
            "limit",
            "limit rate=0",
            vec!["expected more than 0, found the number 0"],
        ),
        (
            "limit",
            "limit rate=#nan",
            vec!["settings cannot carry infinities or NaN"],
        ),
        (
            "limit",
            "limit rate=18446744073709551616",
            vec!["this number is too large"],
        ),
        (
            "limit",
            "limit range=1",
            vec!["this setting is a list of values: write it as a node with arguments"],
        ),
        (
            "limit",
            "limit { range 1 \"x\" }",
            vec!["expected a whole number, found the string \"x\""],
        ),
        (
            "limit",
            "limit { per a=\"x\" }",
            vec!["expected a whole number, found the string \"x\""],
        ),
        (
            "limit",
            "limit window=10",
            vec![
                "a duration is a whole number with its unit, such as \"250ms\", \"10s\", \"5m\" or \"1h\"",
            ],
        ),
        (
            "limit",
            "limit burst=\"64\"",
            vec![
                "a size is a whole number with its unit, such as \"512B\", \"64KiB\", \"16MiB\" or \"1GiB\"",
            ],
        ),
        (
            "limit",
            "limit { workers \"many\" }",
            vec!["expected a whole number or `auto`, found the string \"many\""],
        ),
        (
            "request-id",
            "request-id \"x\"",
            vec!["`request-id` takes no arguments"],
        ),
        ("acl", "acl", vec!["the setting `rule` is missing"]),
        (
            "acl",
            "acl { rule \"dney\" { status 99; paht \"/x\" } }",
            vec![
                "unknown setting `paht`",
                "expected `allow` or `deny`, found the string \"dney\"",
                "expected 200 or more, found the number 99",
            ],
        ),
        (
            "acl",
            "acl { rule \"deny\" \"now\" }",
            vec!["`rule` takes no argument after `action`"],
        ),
        (
            "acl",
            "acl { rule \"deny\" { header \"a\" \"b\" \"c\" } }",
            vec!["`header` takes at most 2 values"],
        ),
        (
            "acl",
            "acl { rule \"deny\" { header \"a\" } }",
            vec!["expected at least 2 values"],
        ),
        (
            "acl",
            "acl { rule \"deny\" { not { status \"x\" } } }",
            vec!["expected a whole number, found the string \"x\""],
        ),
    ] {
        let mut found = read(text, schema(plugin).as_ref()).1;
        let mut expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn pointers_lead_to_the_place_or_the_nearest_around_it() {
    let text = "acl { rule \"deny\" status=403 { not { source \"10.0.0.0/8\" \"::1\" } } }";
    let (settings, _) = read(text, schema("acl").as_ref());
    for (pointer, expected) in [
        ("", "acl"),
        ("/rule", "rule"),
        ("/rule/0", "rule"),
        ("/rule/0/action", "\"deny\""),
        ("/rule/0/status", "status=403"),
        ("/rule/0/not/source/1", "\"::1\""),
        ("/rule/0/not/source/7", "source"),
        ("/rule/0/missing/deep", "rule"),
        ("/unknown", "acl"),
        ("no pointer", "acl"),
    ] {
        let place = settings.place_of(pointer);
        assert_eq!(
            &text[place.offset..place.offset + place.len],
            expected,
            "{pointer}"
        );
    }
}

#[test]
fn pointers_are_escaped() {
    let map = json!({ "type": "object", "additionalProperties": { "type": "integer" } });
    let text = "p \"a/b~c\"=1";
    let (settings, _) = read(text, Some(&map));
    assert_eq!(settings.places.keys().collect::<Vec<_>>(), ["/a~1b~0c"]);
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    for endless in [
        json!({ "$ref": "#" }),
        json!({ "type": "object", "properties": { "a": { "$ref": "#/properties/a" } } }),
        json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }] }),
    ] {
        // Whatever is said about it, it is said in finite time.
        let _ = read("p { a 1 }", Some(&endless));
    }
}
