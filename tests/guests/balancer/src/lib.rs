//! A balancer whose one setting, `mode`, says how it picks or misbehaves.

use std::cell::RefCell;

use exports::tollgate::plugin::balance::{Endpoint, Guest, Needs};
use tollgate::plugin::loads;
use tollgate::plugin::types::{Field, SettingsError};

wit_bindgen::generate!({ world: "balancer", path: "../../../wit" });

struct Balancer;

export!(Balancer);

#[derive(Default)]
struct State {
    mode: String,
    weights: Vec<u32>,
    next: u32,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State::default());
}

impl Guest for Balancer {
    fn configure(settings: String) -> Result<Needs, Vec<SettingsError>> {
        let mode = settings.split('"').nth(3).unwrap_or_default().to_owned();
        let needs = Needs {
            loads: mode == "loads",
            key: if mode == "key" {
                vec![Field::ClientAddress]
            } else {
                vec![]
            },
        };
        STATE.with_borrow_mut(|state| state.mode = mode);
        Ok(needs)
    }

    fn update(endpoints: Vec<Endpoint>) {
        STATE.with_borrow_mut(|state| {
            if state.mode == "trap-update" {
                core::arch::wasm32::unreachable();
            }
            state.weights = endpoints.iter().map(|endpoint| endpoint.weight).collect();
            state.next = 0;
        });
    }

    fn pick(key: u64, loads: Vec<u32>) -> u32 {
        STATE.with_borrow_mut(|state| pick(state, key, &loads))
    }
}

fn pick(state: &mut State, key: u64, loads: &[u32]) -> u32 {
    let endpoints = state.weights.len() as u32;
    match state.mode.as_str() {
        "out-of-range" => endpoints,
        "far-out-of-range" => u32::MAX - 1,
        "none" => u32::MAX,
        "trap" => core::arch::wasm32::unreachable(),
        "key" => (key % u64::from(endpoints)) as u32,
        "loads" => (0..endpoints)
            .min_by_key(|index| loads[*index as usize])
            .unwrap_or(u32::MAX),
        "pair" => {
            let pair = loads::pair(0, endpoints - 1);
            if loads::pair(endpoints, endpoints) != u64::MAX {
                return u32::MAX;
            }
            if pair >> 32 <= pair & 0xffff_ffff {
                0
            } else {
                endpoints - 1
            }
        }
        _ => {
            let index = state.next % endpoints;
            state.next = index + 1;
            index
        }
    }
}
