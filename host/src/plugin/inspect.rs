//! Reads what a component says about itself, without compiling or running it.

use std::fmt;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use wasmparser::{ComponentExternName, Parser, Payload};

use super::bindings::{PACKAGE, TRACK, VERSION};
use super::component::LoadError;
use super::grants::STORE;

/// The custom section that holds the manifest.
const MANIFEST_SECTION: &str = "tollgate:manifest";
/// The interfaces with further phases of HTTP filters.
pub(super) const BODY: &str = "body";
pub(super) const END: &str = "end";
/// Longest manifest.
const MANIFEST_BYTES_MAX: usize = 1024 * 1024;

/// What kind of plugin a component is: which interface of the contract it exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    HttpFilter,
    NetworkFilter,
    Balancer,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::HttpFilter, Kind::NetworkFilter, Kind::Balancer];

    /// The name of its world.
    pub fn name(self) -> &'static str {
        match self {
            Kind::HttpFilter => "http-filter",
            Kind::NetworkFilter => "network-filter",
            Kind::Balancer => "balancer",
        }
    }

    /// The interfaces with further phases that it may export.
    fn phases(self) -> &'static [&'static str] {
        match self {
            Kind::HttpFilter => &[BODY, END],
            Kind::NetworkFilter | Kind::Balancer => &[],
        }
    }

    /// The interface that it exports.
    fn interface(self) -> &'static str {
        match self {
            Kind::HttpFilter => "http",
            Kind::NetworkFilter => "network",
            Kind::Balancer => "balance",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a plugin says about itself, from its section `tollgate:manifest`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Manifest {
    /// Without a manifest, the stem of the file's name.
    pub name: String,
    #[serde(default)]
    pub version: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    /// A JSON Schema of the settings; without one anything is accepted and checked by the plugin alone.
    #[serde(default)]
    pub settings: Option<serde_json::Value>,
}

/// All that can be said of a component before it is compiled.
#[derive(Clone, Debug)]
pub struct Inspection {
    pub kind: Kind,
    /// The version of the contract it was built for: `0.1.0`.
    pub contract: String,
    /// The names of its imports, in order: the capabilities it wants.
    pub imports: Vec<String>,
    pub manifest: Manifest,
    /// Bytes.
    pub size: usize,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// The full name of the exported interface.
    pub(super) export: String,
    /// Those of the interfaces with further phases, in order.
    pub(super) phases: Vec<String>,
    pub(super) digest: [u8; 32],
}

impl Inspection {
    /// The interfaces of the contract that it imports, by their bare names: what it may do, once it is granted those that need it.
    pub fn capabilities(&self) -> impl Iterator<Item = &str> {
        let names = self.imports.iter().filter_map(|import| ours(import));
        names.map(|(name, _)| name).filter(|name| *name != "types")
    }

    /// Of these, what is granted by name in the configuration.
    pub fn granted_by_name(&self) -> impl Iterator<Item = &str> {
        self.capabilities().filter(|name| *name == STORE)
    }

    /// Whether the component imports this interface of the contract, by its bare name: `measures`.
    pub(super) fn imports_ours(&self, interface: &str) -> bool {
        let named = |import: &String| ours(import).is_some_and(|(name, _)| name == interface);
        self.imports.iter().any(named)
    }
}

/// Inspects a component. `name` is the stem of its file's name, used when it has no manifest.
///
/// # Errors
/// Each in words: not a component, cut short, not a plugin or for another version of the contract, a manifest that cannot be read.
pub fn inspect(name: &str, bytes: &[u8]) -> Result<Inspection, LoadError> {
    if Parser::is_core_wasm(bytes) {
        return Err(LoadError::CoreModule);
    }
    if !Parser::is_component(bytes) {
        return Err(LoadError::NotWasm);
    }
    let outline = Outline::read(bytes)?;
    let (kind, export, contract) = outline.contract()?;
    let phases = outline.phases(kind)?;
    check_imports(&outline.imports)?;
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    Ok(Inspection {
        kind,
        contract,
        manifest: outline.manifest(name)?,
        imports: outline.imports,
        size: bytes.len(),
        sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        export,
        phases,
        digest,
    })
}

/// The names and sections that matter.
#[derive(Default)]
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
    manifest: Option<Vec<u8>>,
}

impl Outline {
    /// Imports and exports are those of the outermost component; the manifest may lie in any module inside it.
    fn read(bytes: &[u8]) -> Result<Outline, LoadError> {
        let mut outline = Outline::default();
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        outline.imports.push(full_name(&import?.name));
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        outline.exports.push(full_name(&export?.name));
                    }
                }
                Payload::CustomSection(section)
                    if section.name() == MANIFEST_SECTION && outline.manifest.is_none() =>
                {
                    outline.manifest = Some(section.data().to_vec());
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    /// The one interface of the contract that is exported: its kind, full name and version.
    fn contract(&self) -> Result<(Kind, String, String), LoadError> {
        let mut found = self.exports.iter().filter_map(|name| {
            let (interface, version) = ours(name)?;
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| kind.interface() == interface)?;
            Some((kind, name, version))
        });
        let (kind, name, version) = found.next().ok_or(LoadError::NotAPlugin)?;
        if found.next().is_some() {
            return Err(LoadError::SeveralKinds);
        }
        check_version(name, version)?;
        Ok((kind, name.clone(), version.to_owned()))
    }

    /// The full names of the other interfaces of the contract that are exported.
    fn phases(&self, kind: Kind) -> Result<Vec<String>, LoadError> {
        let mut phases = Vec::new();
        for name in &self.exports {
            match ours(name) {
                Some((interface, version)) if kind.phases().contains(&interface) => {
                    check_version(name, version)?;
                    phases.push(name.clone());
                }
                Some((interface, _)) if interface != kind.interface() => {
                    let export = name.clone();
                    return Err(LoadError::UnknownPhase { export, kind });
                }
                _ => {}
            }
        }
        Ok(phases)
    }

    fn manifest(&self, name: &str) -> Result<Manifest, LoadError> {
        let Some(bytes) = &self.manifest else {
            return Ok(Manifest {
                name: name.to_owned(),
                version: None,
                description: None,
                settings: None,
            });
        };
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(LoadError::Manifest(format!(
                "{} bytes; at most {MANIFEST_BYTES_MAX}",
                bytes.len()
            )));
        }
        serde_json::from_slice(bytes).map_err(|error| LoadError::Manifest(error.to_string()))
    }
}

fn full_name(name: &ComponentExternName<'_>) -> String {
    name.name.to_owned()
}

/// Splits `tollgate:plugin/http@0.1.0` into interface and version; the version is empty where there is none.
pub(super) fn ours(name: &str) -> Option<(&str, &str)> {
    let interface = name.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    Some(interface.split_once('@').unwrap_or((interface, "")))
}

/// An import for another version is told apart from one that nobody knows.
fn check_imports(imports: &[String]) -> Result<(), LoadError> {
    for import in imports {
        if let Some((_, version)) = ours(import) {
            check_version(import, version)?;
        }
    }
    Ok(())
}

fn check_version(name: &str, version: &str) -> Result<(), LoadError> {
    let mut numbers = version
        .split(['.', '-', '+'])
        .map(|number| number.parse::<u64>().ok());
    let same_track = numbers.next() == Some(Some(TRACK.0)) && numbers.next() == Some(Some(TRACK.1));
    if same_track {
        return Ok(());
    }
    Err(LoadError::ContractVersion {
        found: name.to_owned(),
        supported: VERSION,
    })
}
