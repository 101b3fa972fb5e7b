//! The empty world: WASI 0.2 without files, sockets, arguments or environment, for what language toolchains import by themselves.
//!
//! Our own instead of a full implementation, which would block the event loop. Each function that a component imports is defined by its
//! own type: clocks and chance are real, standard output and error become lines of the plugin's log, streams are at their end, waiting
//! returns at once, and whatever remains fails with an error of its own error type or, lacking one, ends the call.

mod console;
mod stub;

use wasmtime::StoreContextMut;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{LinkerInstance, ResourceAny, ResourceDynamic, ResourceType, Val};

use super::fault::Refusal;
use super::state::HostState;

pub(super) use console::Console;
use stub::Stub;

/// Whether this import belongs to the empty world.
pub(super) fn is_wasi(import: &str) -> bool {
    import.starts_with("wasi:")
        && version(import).is_some_and(|version| version.starts_with("0.2."))
}

fn version(import: &str) -> Option<&str> {
    import.split_once('@').map(|(_, version)| version)
}

/// Defines every function and resource of one imported WASI interface.
///
/// # Errors
/// The name of what cannot be had: an async function, or something that is neither function nor type.
pub(super) fn link(
    engine: &wasmtime::Engine,
    linker: &mut LinkerInstance<'_, HostState>,
    import: &str,
    interface: &ComponentInstance,
) -> Result<(), String> {
    for (name, item) in interface.exports(engine) {
        let defined = match item.ty {
            ComponentItem::ComponentFunc(function) if !function.async_() => {
                define(linker, import, name)
            }
            ComponentItem::Resource(_) => linker.resource(name, resource(name), |_, _| Ok(())),
            ComponentItem::Type(_) => Ok(()),
            _ => return Err(format!("{import}: {name}")),
        };
        defined.map_err(|error| format!("{import}: {name}: {error:#}"))?;
    }
    Ok(())
}

/// One type for each resource name, whichever interface it comes through.
fn resource(name: &str) -> ResourceType {
    ResourceType::host_dynamic(number(name))
}

/// FNV-1a, 32 bit. Two names that met would merely be interchangeable to a guest that mixes them up.
fn number(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

fn define(
    linker: &mut LinkerInstance<'_, HostState>,
    import: &str,
    name: &str,
) -> wasmtime::Result<()> {
    let interface = import.split('@').next().unwrap_or(import);
    let stub = Stub::of(interface, name);
    let title = format!("{interface}#{name}");
    linker.func_new(name, move |mut call, ty, params, results| {
        call.data_mut().copied.host_call(0, 0);
        let handles = take_handles(&mut call, params)?;
        let answer = stub
            .answer(&mut call, &ty, params, &handles)?
            .ok_or_else(|| refused(&title))?;
        if let (Some(result), Some(value)) = (results.first_mut(), answer.into_value()) {
            *result = value;
        }
        Ok(())
    })
}

fn refused(title: &str) -> wasmtime::Error {
    wasmtime::Error::new(Refusal(
        format!("called {title}, which plugins do not have").into(),
    ))
}

fn new_handle(
    call: &mut StoreContextMut<'_, HostState>,
    name: &str,
    rep: u32,
) -> wasmtime::Result<Val> {
    Ok(Val::Resource(
        ResourceDynamic::new_own(rep, number(name)).try_into_resource_any(call)?,
    ))
}

/// Takes every handle out of the arguments, so that none outlives the call, and answers what they stand for.
fn take_handles(
    call: &mut StoreContextMut<'_, HostState>,
    params: &[Val],
) -> wasmtime::Result<Vec<u32>> {
    let mut found = Vec::new();
    params.iter().for_each(|param| collect(param, &mut found));
    found
        .into_iter()
        .map(|handle| Ok(ResourceDynamic::try_from_resource_any(handle, &mut *call)?.rep()))
        .collect()
}

fn collect(value: &Val, found: &mut Vec<ResourceAny>) {
    match value {
        Val::Resource(handle) => found.push(*handle),
        Val::List(values) | Val::Tuple(values) => {
            values.iter().for_each(|value| collect(value, found))
        }
        Val::Record(fields) => fields.iter().for_each(|(_, value)| collect(value, found)),
        Val::Option(Some(value)) | Val::Variant(_, Some(value)) => collect(value, found),
        Val::Result(Ok(Some(value)) | Err(Some(value))) => collect(value, found),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_0_2_track_is_the_empty_world() {
        let table = [
            ("wasi:io/streams@0.2.6", true),
            ("wasi:http/types@0.2.12", true),
            ("wasi:io/streams@0.3.0", false),
            ("wasi:io/streams", false),
            ("wasi_snapshot_preview1", false),
            ("evil:wasi/x@0.2.0", false),
        ];
        for (import, expected) in table {
            assert_eq!(is_wasi(import), expected, "{import}");
        }
    }

    #[test]
    fn the_resources_of_wasi_have_numbers_of_their_own() {
        let names = [
            "pollable",
            "input-stream",
            "output-stream",
            "error",
            "descriptor",
            "directory-entry-stream",
            "terminal-input",
            "terminal-output",
            "network",
            "tcp-socket",
            "udp-socket",
            "incoming-datagram-stream",
            "outgoing-datagram-stream",
            "resolve-address-stream",
            "fields",
            "incoming-request",
            "outgoing-request",
            "request-options",
            "response-outparam",
            "incoming-response",
            "incoming-body",
            "future-trailers",
            "outgoing-response",
            "outgoing-body",
            "future-incoming-response",
        ];
        let numbers: std::collections::HashSet<u32> =
            names.iter().map(|name| number(name)).collect();
        assert_eq!(numbers.len(), names.len());
    }
}
