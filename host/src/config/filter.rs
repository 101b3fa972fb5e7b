//! A plugin at its place: which one it is, whether it is of the right kind, and its settings.

use super::decode::Decoder;
use super::settings::{self, Settings};
use super::suggest::did_you_mean;
use super::syntax::Node;
use super::{Filter, OnFault, PluginKind, PluginManifest, PluginUse, Spanned, keys, shape};

impl Decoder<'_> {
    pub(super) fn filters(&mut self, nodes: &[Node], kind: PluginKind) -> Vec<Filter> {
        nodes.iter().map(|node| self.filter(node, kind)).collect()
    }

    fn filter(&mut self, node: &Node, kind: PluginKind) -> Filter {
        let words = [("deny", OnFault::Deny), ("skip", OnFault::Skip)];
        let on_fault = self.choice(node.property("on-fault"), &words, OnFault::default());
        let settings = self.without_host_properties(node);
        Filter {
            plugin: self.plugin_use(&node.name, &settings, kind),
            on_fault,
        }
    }

    /// What is left is the plugin's.
    fn without_host_properties(&mut self, node: &Node) -> Node {
        let mut node = node.clone();
        if let Some((when, _)) = node
            .properties
            .iter()
            .find(|(name, _)| name.value == "when")
        {
            shape::not_in_this_version("when", when.place, self.diagnostics);
        }
        node.properties.retain(|(name, _)| {
            name.value != "when" && !keys::FILTER_PROPERTIES.contains(&name.value.as_str())
        });
        node
    }

    /// Finds the plugin and reads its settings; `node` holds nothing else any more.
    pub(super) fn plugin_use(
        &mut self,
        name: &Spanned<String>,
        node: &Node,
        kind: PluginKind,
    ) -> PluginUse {
        let Some(manifest) = self.find_plugin(name, kind) else {
            return PluginUse::unusable(name);
        };
        let settings = settings::read(node, manifest.settings.as_ref(), self.diagnostics);
        self.manifests.insert(name.value.clone(), manifest);
        PluginUse {
            name: name.clone(),
            settings,
        }
    }

    /// The plugin, or `None` after reporting why it cannot be used here.
    fn find_plugin(&mut self, name: &Spanned<String>, kind: PluginKind) -> Option<PluginManifest> {
        let manifest = match self.declared.get(&name.value) {
            // One that could not be read: reported where it is declared.
            Some(declared) => declared.clone()?,
            None => match self.catalog.bundled(&name.value) {
                Some(manifest) => manifest,
                None => {
                    self.unknown_plugin(name);
                    return None;
                }
            },
        };
        if manifest.kind != kind {
            let (is, needed) = (manifest.kind.described(), kind.described());
            let message = format!("plugin `{}` is {is}; this place needs {needed}", name.value);
            self.error(name.place, message);
            return None;
        }
        Some(manifest)
    }

    fn unknown_plugin(&mut self, name: &Spanned<String>) {
        let mut known = self.catalog.bundled_names();
        known.extend(self.declared.keys().cloned());
        let help = did_you_mean(&name.value, known.iter().map(String::as_str)).or_else(|| {
            let declare = format!("declare it with: plugin \"{}\" \"file.wasm\"", name.value);
            Some(format!("no such plugin is bundled; {declare}"))
        });
        let message = format!("unknown plugin `{}`", name.value);
        self.diagnostics.error(name.place, message, help);
    }
}

impl PluginUse {
    /// Stands where an error was reported, so that the rest can be decoded.
    pub(super) fn unusable(name: &Spanned<String>) -> Self {
        Self {
            name: name.clone(),
            settings: Settings::empty(name.place),
        }
    }
}
