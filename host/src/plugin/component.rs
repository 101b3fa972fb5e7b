//! A loaded component: compiled, its imports resolved, ready to be instantiated.

use std::io;
use std::path::PathBuf;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{ComponentExportIndex, InstancePre, Linker};

use super::imports::{self, granted};
use super::inspect::{BODY, END, Inspection, Kind, Manifest, ours};
use super::state::HostState;
use super::wasi;

/// Why a file cannot be used as a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the file is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: u64 },
    #[error("this is not WebAssembly")]
    NotWasm,
    #[error(
        "this is a core module, not a component; build it for wasm32-wasip2, or link it with wasm-component-ld"
    )]
    CoreModule,
    #[error("the component is damaged or cut short")]
    Damaged(#[from] wasmparser::Error),
    #[error(
        "this component is no plugin: it exports none of tollgate:plugin/http, tollgate:plugin/network and tollgate:plugin/balance"
    )]
    NotAPlugin,
    #[error("the component exports more than one kind of plugin")]
    SeveralKinds,
    #[error(
        "built for {found}, but this host supports tollgate:plugin@{supported} and its patches; rebuild the plugin with the matching SDK"
    )]
    ContractVersion {
        found: String,
        supported: &'static str,
    },
    #[error("the manifest cannot be read: {0}")]
    Manifest(String),
    #[error("it imports `{0}`, which the host does not provide{hint}", hint = hint(.0))]
    UnknownImport(String),
    #[error(
        "it exports `{export}`, which is no phase of a plugin of kind {kind} in this version of the host"
    )]
    UnknownPhase { export: String, kind: Kind },
    #[error("it imports `{import}`, which a plugin of kind {kind} is not granted")]
    NotGranted { import: String, kind: Kind },
    #[error("the component does not fit the contract: {0}")]
    Link(String),
    #[error("it cannot be compiled: {0}")]
    Compile(String),
}

fn hint(import: &str) -> &'static str {
    if import.starts_with("wasi:") {
        " (of WASI, version 0.2 is)"
    } else {
        ""
    }
}

/// A plugin's code. Shared by all filters and snapshots that use the same bytes.
pub struct Component {
    inspection: Inspection,
    pub(super) pre: InstancePre<HostState>,
    pub(super) exports: Exports,
}

/// Where the functions of the exported interface lie; looked up once.
pub(super) enum Exports {
    Http {
        configure: ComponentExportIndex,
        request: ComponentExportIndex,
        response: ComponentExportIndex,
        body: Option<BodyExports>,
        end: Option<EndExports>,
    },
    Network {
        configure: ComponentExportIndex,
        accept: ComponentExportIndex,
        close: ComponentExportIndex,
    },
    Balance {
        configure: ComponentExportIndex,
        update: ComponentExportIndex,
        pick: ComponentExportIndex,
    },
}

pub(super) struct BodyExports {
    pub(super) plan: ComponentExportIndex,
    pub(super) begin: ComponentExportIndex,
    pub(super) request: ComponentExportIndex,
    pub(super) response: ComponentExportIndex,
    pub(super) trailers: ComponentExportIndex,
}

pub(super) struct EndExports {
    pub(super) plan: ComponentExportIndex,
    pub(super) finish: ComponentExportIndex,
}

impl Component {
    pub fn kind(&self) -> Kind {
        self.inspection.kind
    }

    pub fn manifest(&self) -> &Manifest {
        &self.inspection.manifest
    }

    /// SHA-256 of the file.
    pub fn digest(&self) -> &[u8; 32] {
        &self.inspection.digest
    }

    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Compiles and links: milliseconds for a small component, seconds for one that carries a language runtime.
    pub(super) fn compile(
        engine: &wasmtime::Engine,
        inspection: Inspection,
        bytes: &[u8],
    ) -> Result<Component, LoadError> {
        check_granted(&inspection)?;
        let compile = |error: wasmtime::Error| LoadError::Compile(format!("{error:#}"));
        let code = wasmtime::component::Component::from_binary(engine, bytes).map_err(compile)?;
        let exports = Exports::find(&code, &inspection)?;
        let linker = link(engine, &code)?;
        let pre = linker
            .instantiate_pre(&code)
            .map_err(|error| LoadError::Link(format!("{error:#}")))?;
        Ok(Component {
            inspection,
            pre,
            exports,
        })
    }
}

/// An exported interface.
struct Interface<'c> {
    code: &'c wasmtime::component::Component,
    index: ComponentExportIndex,
}

impl Interface<'_> {
    fn find<'c>(
        code: &'c wasmtime::component::Component,
        name: &str,
    ) -> Result<Interface<'c>, LoadError> {
        let index = code
            .get_export_index(None, name)
            .ok_or_else(|| missing(name))?;
        Ok(Interface { code, index })
    }

    fn function(&self, name: &str) -> Result<ComponentExportIndex, LoadError> {
        self.code
            .get_export_index(Some(&self.index), name)
            .ok_or_else(|| missing(name))
    }
}

fn missing(what: &str) -> LoadError {
    LoadError::Link(format!("it does not export {what}"))
}

impl BodyExports {
    fn find(of: Interface<'_>) -> Result<BodyExports, LoadError> {
        Ok(BodyExports {
            plan: of.function("plan")?,
            begin: of.function("begin")?,
            request: of.function("request")?,
            response: of.function("response")?,
            trailers: of.function("trailers")?,
        })
    }
}

impl EndExports {
    fn find(of: Interface<'_>) -> Result<EndExports, LoadError> {
        Ok(EndExports {
            plan: of.function("plan")?,
            finish: of.function("finish")?,
        })
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component")
            .field("inspection", &self.inspection)
            .finish_non_exhaustive()
    }
}

fn check_granted(inspection: &Inspection) -> Result<(), LoadError> {
    let kind = inspection.kind;
    for import in &inspection.imports {
        match ours(import) {
            Some((interface, _)) if granted(kind).contains(&interface) => {}
            Some(_) => {
                return Err(LoadError::NotGranted {
                    import: import.clone(),
                    kind,
                });
            }
            None if wasi::is_wasi(import) => {}
            None => return Err(LoadError::UnknownImport(import.clone())),
        }
    }
    Ok(())
}

fn link(
    engine: &wasmtime::Engine,
    code: &wasmtime::component::Component,
) -> Result<Linker<HostState>, LoadError> {
    let broken = |error: wasmtime::Error| LoadError::Link(format!("{error:#}"));
    let mut linker = Linker::new(engine);
    imports::link(&mut linker).map_err(broken)?;
    for (name, item) in code.component_type().imports(engine) {
        if !wasi::is_wasi(name) {
            continue;
        }
        let ComponentItem::ComponentInstance(interface) = item.ty else {
            return Err(LoadError::UnknownImport(name.to_owned()));
        };
        let mut instance = linker.instance(name).map_err(broken)?;
        wasi::link(engine, &mut instance, name, &interface).map_err(LoadError::UnknownImport)?;
    }
    Ok(linker)
}

impl Exports {
    fn find(
        code: &wasmtime::component::Component,
        inspection: &Inspection,
    ) -> Result<Exports, LoadError> {
        let of = Interface::find(code, &inspection.export)?;
        let configure = of.function("configure")?;
        let phase = |name: &str| {
            let named = |full: &&String| ours(full).is_some_and(|(interface, _)| interface == name);
            let full = inspection.phases.iter().find(named);
            full.map(|full| Interface::find(code, full)).transpose()
        };
        Ok(match inspection.kind {
            Kind::HttpFilter => Exports::Http {
                configure,
                request: of.function("request")?,
                response: of.function("response")?,
                body: phase(BODY)?.map(BodyExports::find).transpose()?,
                end: phase(END)?.map(EndExports::find).transpose()?,
            },
            Kind::NetworkFilter => Exports::Network {
                configure,
                accept: of.function("accept")?,
                close: of.function("close")?,
            },
            Kind::Balancer => Exports::Balance {
                configure,
                update: of.function("update")?,
                pick: of.function("pick")?,
            },
        })
    }

    pub(super) fn configure(&self) -> &ComponentExportIndex {
        match self {
            Exports::Http { configure, .. }
            | Exports::Network { configure, .. }
            | Exports::Balance { configure, .. } => configure,
        }
    }
}
