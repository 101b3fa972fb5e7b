//! Balancer `maglev`: equal keys go to the same endpoint. The lookup table is in `table.rs`.

mod table;

use table::{Size, Table};
use tollgate_plugin_sdk::hashing::Key;
use tollgate_plugin_sdk::loads::{self, UNAVAILABLE};
use tollgate_plugin_sdk::prelude::*;
use tollgate_plugin_sdk::random::Generator;

/// Its settings.
#[derive(Settings)]
pub struct MaglevSettings {
    /// What to hash; the client address when absent.
    key: Option<Key>,
    /// Slots of the lookup table, a prime number. At most so many that a table is filled within the time that a bundled plugin has.
    #[setting(default = 65537, range = 251..=131071)]
    table_size: u32,
}

/// The balancer.
pub struct Maglev {
    key: Vec<Field>,
    table: Table,
    generator: Generator,
}

impl Balancer for Maglev {
    type Settings = MaglevSettings;

    fn new(settings: MaglevSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        let key = settings.key.unwrap_or_default();
        let key = errors.inside("key", |errors| key.fields(errors));
        let size = errors.inside("table-size", |errors| {
            errors.check(Size::new(settings.table_size))
        });
        errors.finish(())?;
        Ok(Maglev {
            key,
            table: Table::new(size.expect("there was no error")),
            generator: Generator::new(),
        })
    }

    fn plan(&self) -> BalancerPlan {
        BalancerPlan::default().key(self.key.iter().cloned())
    }

    fn update(&mut self, endpoints: &[Endpoint]) {
        self.table.set_endpoints(endpoints);
    }

    fn pick(&mut self, pick: &Pick) -> Option<usize> {
        // Without anything to hash: a slot by chance, so that the weights hold.
        let key = match pick.key {
            0 => self.generator.draw(),
            key => key,
        };
        self.table.next(key, can_take)
    }
}

/// Whether the endpoint can take the request: the host says no of one that it has refused, so that asking again leads on in the table.
fn can_take(endpoint: usize) -> bool {
    u32::try_from(endpoint).is_ok_and(|index| loads::pair(index, index).0 != UNAVAILABLE)
}

balancer!(Maglev);

#[cfg(test)]
mod tests;
