//! The way to the host: the generated imports in a component, the fake host of [`crate::testing`] in native tests.

#[cfg(target_arch = "wasm32")]
pub(crate) use component::*;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::*;

#[cfg(target_arch = "wasm32")]
mod capabilities;

#[cfg(target_arch = "wasm32")]
mod component {
    pub(crate) use super::capabilities::*;

    use crate::Field;
    use crate::bindings::balancer::tollgate::plugin::{loads, measures};
    use crate::bindings::http_filter::tollgate::plugin::{clock, exchange, log, random};
    use crate::log::Level;

    pub(crate) fn read(field: &Field) -> Option<Vec<u8>> {
        exchange::read(field)
    }

    pub(crate) fn header_lines(name: &str) -> Vec<Vec<u8>> {
        exchange::headers(name)
    }

    pub(crate) fn header_names() -> Vec<String> {
        exchange::names()
    }

    pub(crate) fn write_log(level: Level, message: &str) {
        let level = match level {
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error => log::Level::Error,
        };
        log::write(level, message);
    }

    pub(crate) fn monotonic() -> u64 {
        clock::monotonic()
    }

    pub(crate) fn wall() -> u64 {
        clock::wall()
    }

    pub(crate) fn random_number() -> u64 {
        random::number()
    }

    pub(crate) fn random_bytes(length: u32) -> Vec<u8> {
        random::bytes(length)
    }

    pub(crate) fn load_pair(first: u32, second: u32) -> u64 {
        loads::pair(first, second)
    }

    pub(crate) fn measure(index: u32) -> u64 {
        measures::read(index)
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use crate::Field;
    use crate::log::Level;
    use crate::testing::with_host;

    pub(crate) fn read(field: &Field) -> Option<Vec<u8>> {
        with_host(|host| host.read(field))
    }

    pub(crate) fn header_lines(name: &str) -> Vec<Vec<u8>> {
        with_host(|host| host.header_lines(name))
    }

    pub(crate) fn header_names() -> Vec<String> {
        with_host(|host| host.header_names())
    }

    pub(crate) fn write_log(level: Level, message: &str) {
        with_host(|host| host.log.push((level, message.to_owned())));
    }

    pub(crate) fn monotonic() -> u64 {
        with_host(|host| host.monotonic)
    }

    pub(crate) fn wall() -> u64 {
        with_host(|host| host.wall)
    }

    pub(crate) fn random_number() -> u64 {
        with_host(|host| host.random())
    }

    pub(crate) fn random_bytes(length: u32) -> Vec<u8> {
        with_host(|host| {
            (0..length.min(4096))
                .map(|_| host.random().to_le_bytes()[0])
                .collect()
        })
    }

    pub(crate) fn load_pair(first: u32, second: u32) -> u64 {
        with_host(|host| (u64::from(host.load(first)) << 32) | u64::from(host.load(second)))
    }

    pub(crate) fn measure(index: u32) -> u64 {
        with_host(|host| host.measure(index).packed())
    }

    pub(crate) use crate::testing::capabilities::*;
}
