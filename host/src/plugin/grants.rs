//! What a plugin may use: its budgets, and the capabilities that it is granted by name.

use std::sync::Arc;

use crate::store::Store;

use super::engine::Budgets;
use super::inspect::Inspection;

/// The interface whose stores are granted by name.
pub(super) const STORE: &str = "store";

/// Capabilities granted by name. Those that need no grant are in `imports.rs`.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// In the order of the configuration.
    stores: Arc<[Arc<Store>]>,
}

impl Grants {
    /// No name twice.
    pub fn new(stores: Vec<Arc<Store>>) -> Grants {
        Grants {
            stores: stores.into(),
        }
    }

    pub(super) fn stores(&self) -> &[Arc<Store>] {
        &self.stores
    }

    pub(super) fn store(&self, name: &str) -> Option<&Arc<Store>> {
        self.stores.iter().find(|store| **store.name() == *name)
    }

    /// # Errors
    /// The first import that is granted by name and was not granted, in words.
    pub(super) fn check(&self, inspection: &Inspection) -> Result<(), String> {
        if inspection.imports_ours(STORE) && self.stores.is_empty() {
            let name = &inspection.manifest.name;
            return Err(format!(
                "it imports `{STORE}`, which it is not granted; the line that grants it: {}",
                super::grant_line(STORE, name)
            ));
        }
        Ok(())
    }
}

/// What one plugin may use, all instances of it each for itself in what `budgets` says.
#[derive(Clone, Debug, Default)]
pub struct Allowance {
    pub budgets: Budgets,
    pub grants: Grants,
}

/// Without grants.
impl From<Budgets> for Allowance {
    fn from(budgets: Budgets) -> Allowance {
        Allowance {
            budgets,
            grants: Grants::default(),
        }
    }
}
