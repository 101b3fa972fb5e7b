//! `plugin "name" "file.wasm" { … }`; without a file for a bundled plugin.

use std::path::PathBuf;
use std::time::Duration;

use super::decode::Decoder;
use super::syntax::{Item, Node};
use super::{Plugin, PluginBudgets, PluginManifest, Spanned};

const MEMORY_RANGE: std::ops::RangeInclusive<u64> = 64 << 10..=4 << 30;
/// As many as the pool of memories holds.
const INSTANCES_RANGE: std::ops::RangeInclusive<u32> = 1..=4_000;
const TIME_RANGE: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(10);

impl Decoder<'_> {
    pub(super) fn plugin(&mut self, node: &Node) -> Option<Plugin> {
        let name = self.name(node.arguments.first());
        let file = node.arguments.get(1);
        let path = file.and_then(|item| self.path_beside(item));
        let sha256 = argument(node, "sha256").and_then(|item| self.parsed(item, parse_sha256));
        let budgets = self.plugin_budgets(node);
        let grants = self.grants(node);
        let name = name?;
        // Even one that cannot be read is known by name, so that its uses are not reported as well.
        self.declared.entry(name.value.clone()).or_insert(None);
        match (&path, file) {
            (Some(path), _) => self.declare(&name, path, sha256.as_ref()),
            (None, None) => self.declare_bundled(&name, sha256.as_ref()),
            // No path, which was reported.
            (None, Some(_)) => return None,
        }
        Some(Plugin {
            name,
            path,
            sha256,
            budgets,
            grants,
        })
    }

    pub(super) fn plugin_budgets(&mut self, node: &Node) -> PluginBudgets {
        let default = PluginBudgets::default();
        PluginBudgets {
            memory_bytes_max: self.size(
                argument(node, "memory-max"),
                MEMORY_RANGE,
                default.memory_bytes_max,
            ),
            time_max: self.duration(argument(node, "time-max"), TIME_RANGE, default.time_max),
            instances_max: self.integer(
                argument(node, "instances-max"),
                INSTANCES_RANGE,
                default.instances_max,
            ),
        }
    }

    fn declare(
        &mut self,
        name: &Spanned<String>,
        path: &Spanned<PathBuf>,
        pin: Option<&Spanned<String>>,
    ) {
        if self.catalog.bundled(&name.value).is_some() {
            let message = format!("`{}` is the name of a bundled plugin", name.value);
            self.error_help(name.place, message, "give yours another name");
        }
        match self.catalog.read(&path.value) {
            Ok(manifest) => self.remember(name, pin, manifest),
            Err(message) => self.error(path.place, message),
        }
    }

    fn declare_bundled(&mut self, name: &Spanned<String>, pin: Option<&Spanned<String>>) {
        match self.catalog.bundled(&name.value) {
            Some(manifest) => self.remember(name, pin, manifest),
            None => {
                let message = format!(
                    "no plugin `{}` is bundled, and no file is named",
                    name.value
                );
                let help = format!("it is written: plugin \"{}\" \"file.wasm\"", name.value);
                self.error_help(name.place, message, help);
            }
        }
    }

    fn remember(
        &mut self,
        name: &Spanned<String>,
        pin: Option<&Spanned<String>>,
        manifest: PluginManifest,
    ) {
        self.check_pin(pin, &manifest);
        self.manifests.insert(name.value.clone(), manifest.clone());
        self.declared.insert(name.value.clone(), Some(manifest));
    }

    fn check_pin(&mut self, pin: Option<&Spanned<String>>, manifest: &PluginManifest) {
        if let Some(pin) = pin
            && pin.value != manifest.sha256
        {
            let help = format!("the file has sha256 {}", manifest.sha256);
            self.error_help(
                pin.place,
                "the plugin file is not the one that is pinned",
                help,
            );
        }
    }
}

fn argument<'n>(node: &'n Node, name: &str) -> Option<&'n Item> {
    node.child(name)?.arguments.first()
}

fn parse_sha256(text: &str) -> Result<String, String> {
    match text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("a sha256 has 64 hexadecimal digits".to_owned()),
    }
}
