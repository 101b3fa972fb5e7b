//! Balancer `peak-ewma`: of two endpoints by chance and weight, the one that costs less. The cost is in `cost.rs`.

mod cost;

use std::time::Duration;

use cost::Cost;
use tollgate_plugin_sdk::measures;
use tollgate_plugin_sdk::prelude::*;
use tollgate_plugin_sdk::random::{Generator, Weights};

/// How often two are drawn before all are looked at.
const DRAWS_MAX: usize = 4;

/// Its settings.
#[derive(Settings)]
pub struct PeakEwmaSettings {
    /// What an endpoint is taken for while it serves its first request, at least 1us.
    #[setting(default = "30ms")]
    default_latency: Duration,
    /// Added to the latency of an endpoint that only fails; for others their share of it.
    #[setting(default = "1s")]
    penalty: Duration,
}

/// The balancer.
pub struct PeakEwma {
    cost: Cost,
    weights: Weights,
    generator: Generator,
}

impl Balancer for PeakEwma {
    type Settings = PeakEwmaSettings;

    fn new(settings: PeakEwmaSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        if settings.default_latency < cost::LATENCY_MIN {
            errors.inside("default-latency", |errors| errors.add("at least `1us`"));
        }
        errors.finish(PeakEwma {
            cost: Cost::new(settings.default_latency, settings.penalty),
            weights: Weights::default(),
            generator: Generator::new(),
        })
    }

    fn update(&mut self, endpoints: &[Endpoint]) {
        self.weights = Weights::new(endpoints.iter().map(|endpoint| endpoint.weight));
    }

    fn pick(&mut self, _: &Pick) -> Option<usize> {
        for _ in 0..DRAWS_MAX {
            let (first, second) = self.weights.two(&mut self.generator)?;
            if let Some(index) = self.cheapest([first, second].into_iter()) {
                return Some(index);
            }
        }
        self.cheapest(0..self.weights.count())
    }
}

impl PeakEwma {
    /// The one that costs least, the first of equals; none when none can take the request.
    fn cheapest(&self, among: impl Iterator<Item = usize>) -> Option<usize> {
        let cost = |index| {
            let measure = measures::read(u32::try_from(index).ok()?);
            Some((index, self.cost.of(&measure, self.weights.weight(index))?))
        };
        let cheapest = among.filter_map(cost).reduce(
            |best, other| {
                if other.1 < best.1 { other } else { best }
            },
        );
        cheapest.map(|(index, _)| index)
    }
}

balancer!(PeakEwma);

#[cfg(test)]
mod tests;
