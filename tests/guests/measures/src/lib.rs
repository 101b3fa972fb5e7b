//! A balancer that picks by what the host measures; its one setting, `mode`, says by which of them. Apart from the guest `balancer`, so that
//! one of the two does not import the interface.

use std::cell::RefCell;

use exports::tollgate::plugin::balance::{Endpoint, Guest, Needs};
use tollgate::plugin::measures;
use tollgate::plugin::types::SettingsError;

wit_bindgen::generate!({ world: "balancer", path: "../../../wit" });

struct Balancer;

export!(Balancer);

#[derive(Default)]
struct State {
    mode: String,
    endpoints: u32,
    /// The first endpoint's measure when the endpoints came.
    at_update: u64,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State::default());
}

impl Guest for Balancer {
    fn configure(settings: String) -> Result<Needs, Vec<SettingsError>> {
        // There is no endpoint yet.
        if measures::read(0) != 0xff_ffff {
            core::arch::wasm32::unreachable();
        }
        let mode = settings.split('"').nth(3).unwrap_or_default().to_owned();
        STATE.with_borrow_mut(|state| state.mode = mode);
        let (loads, key) = (false, vec![]);
        Ok(Needs { loads, key })
    }

    fn update(endpoints: Vec<Endpoint>) {
        STATE.with_borrow_mut(|state| {
            state.endpoints = endpoints.len() as u32;
            state.at_update = measures::read(0);
        });
    }

    fn pick(_key: u64, _loads: Vec<u32>) -> u32 {
        STATE.with_borrow(pick)
    }
}

fn pick(state: &State) -> u32 {
    let least = |of: fn(u64) -> u64| {
        (0..state.endpoints)
            .min_by_key(|index| of(measures::read(*index)))
            .unwrap_or(u32::MAX)
    };
    match state.mode.as_str() {
        "latency" => least(|measure| measure >> 32),
        "failures" => least(|measure| measure >> 24 & 0xff),
        "requests" => least(|measure| measure & 0xff_ffff),
        "at-update" if state.at_update == measures::read(0) => 0,
        "beyond"
            if (state.endpoints..state.endpoints + 3)
                .all(|index| measures::read(index) == 0xff_ffff) =>
        {
            0
        }
        _ => u32::MAX,
    }
}
