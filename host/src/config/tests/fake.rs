//! A catalog of plugins that need no component.

use std::path::Path;

use serde_json::{Value, json};

use super::super::{Config, Loaded, PluginCatalog, PluginKind, PluginManifest, Refused, load};

pub(super) struct FakeCatalog;

impl PluginCatalog for FakeCatalog {
    fn bundled(&self, name: &str) -> Option<PluginManifest> {
        BUNDLED
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(name, kind)| manifest(name, *kind, schema(name)))
    }

    fn bundled_names(&self) -> Vec<String> {
        BUNDLED.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn read(&self, path: &Path) -> Result<PluginManifest, String> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("geo.wasm") => Ok(manifest("geo", PluginKind::HttpFilter, schema("geo"))),
            Some("counting.wasm") => Ok(manifest("counting", PluginKind::HttpFilter, None)),
            Some("bare.wasm") => Ok(manifest("bare", PluginKind::HttpFilter, None)),
            Some("broken-schema.wasm") => {
                let schema = json!({ "type": "nonsense" });
                Ok(manifest("broken", PluginKind::HttpFilter, Some(schema)))
            }
            _ => Err("cannot read the plugin: no such file".to_owned()),
        }
    }
}

pub(super) const SHA256: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const BUNDLED: &[(&str, PluginKind)] = &[
    ("round-robin", PluginKind::Balancer),
    ("least-request", PluginKind::Balancer),
    ("ip-acl", PluginKind::NetworkFilter),
    ("acl", PluginKind::HttpFilter),
    ("headers", PluginKind::HttpFilter),
    ("request-id", PluginKind::HttpFilter),
    ("limit", PluginKind::HttpFilter),
];

fn manifest(name: &str, kind: PluginKind, settings: Option<Value>) -> PluginManifest {
    PluginManifest {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        description: String::new(),
        kind,
        settings,
        capabilities: match name {
            "counting" | "limit" => vec!["store".to_owned()],
            _ => Vec::new(),
        },
        sha256: SHA256.to_owned(),
    }
}

pub(super) fn schema(name: &str) -> Option<Value> {
    let strings = json!({ "type": "array", "items": { "type": "string" } });
    let pairs = json!({
        "type": "array",
        "items": {
            "type": "array", "prefixItems": [{ "type": "string" }, { "type": "string" }],
            "items": false, "minItems": 2,
        },
    });
    Some(match name {
        "ip-acl" => {
            json!({ "type": "object", "properties": { "deny": strings, "allow": strings } })
        }
        "acl" => json!({
            "type": "object",
            "properties": {
                "rule": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/rule" } },
            },
            "required": ["rule"],
            "additionalProperties": false,
            "$defs": {
                "rule": {
                    "type": "object",
                    "x-arguments": ["action"],
                    "properties": {
                        "action": { "enum": ["allow", "deny"] },
                        "status": { "type": "integer", "minimum": 200, "maximum": 599 },
                        "path": strings,
                        "source": strings,
                        "header": pairs,
                        "not": { "anyOf": [{ "$ref": "#/$defs/rule" }, { "type": "null" }] },
                    },
                    "additionalProperties": false,
                },
            },
        }),
        "headers" => {
            let edits = json!({
                "type": "object",
                "properties": { "set": pairs, "remove": strings },
                "additionalProperties": false,
            });
            json!({
                "type": "object",
                "properties": { "request": edits, "response": edits },
                "additionalProperties": false,
            })
        }
        "request-id" => json!({
            "type": "object",
            "properties": { "header": { "type": "string" }, "response": { "type": "boolean" } },
        }),
        "limit" => json!({
            "type": "object",
            "x-arguments": ["key", "tags"],
            "properties": {
                "key": { "type": "string" },
                "tags": strings,
                "window": { "type": "string", "format": "duration" },
                "burst": { "type": ["string", "null"], "format": "size" },
                "rate": { "type": "number", "exclusiveMinimum": 0 },
                "range": {
                    "type": "array", "prefixItems": [{ "type": "integer" }, { "type": "integer" }],
                },
                "per": { "type": "object", "additionalProperties": { "type": "integer" } },
                "workers": { "oneOf": [{ "type": "integer" }, { "const": "auto" }] },
            },
        }),
        "geo" => json!({
            "type": "object",
            "properties": { "country": strings },
            "required": ["country"],
        }),
        _ => json!({ "type": "object", "additionalProperties": false }),
    })
}

pub(super) fn env(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("8080".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

pub(super) fn load_file(path: &Path) -> Result<Loaded, Refused> {
    load(path, &FakeCatalog, &env)
}

/// Loads a configuration that is this text alone.
pub(super) fn load_text(text: &str) -> Result<Loaded, Refused> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("config.kdl");
    std::fs::write(&path, text).expect("written");
    load_file(&path)
}

/// The configuration that is this text alone, which must be good.
#[track_caller]
pub(super) fn config(text: &str) -> Config {
    match load_text(text) {
        Ok(loaded) => loaded.config,
        Err(refused) => panic!("{}", refused.render(false)),
    }
}

pub(super) const SMALLEST: &str = r#"listener "web" "127.0.0.1:0" { route { respond 200 } }"#;
