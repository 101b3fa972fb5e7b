//! The endpoints of a cluster as affinity knows them.

use std::collections::HashMap;
use std::sync::Arc;

use super::BindingState;
use super::value::{Stranger, ValueMaker, same};
use crate::config;

/// The endpoints of a cluster at a moment: id to cookie value, both ways. Made when the endpoints or the settings change; every value is
/// computed then, and none per request.
#[derive(Debug)]
pub struct Members {
    ids: Vec<Arc<str>>,
    positions: HashMap<Arc<str>, usize>,
    /// Only for cookies.
    cookies: Option<Cookies>,
}

#[derive(Debug)]
struct Cookies {
    maker: ValueMaker,
    /// In the order of the ids.
    values: Vec<Box<[u8]>>,
    /// Positions by what [`ValueMaker::label`] makes of the value.
    labels: HashMap<Box<[u8]>, usize>,
}

impl Members {
    /// `ids` are those of the endpoints (by default their addresses as written), in the order that [`Binding::endpoint`](super::Binding)
    /// counts in. Of endpoints that share an id, the first is the one that requests are bound to.
    pub fn new(
        settings: Option<&config::Affinity>,
        cluster: &str,
        ids: impl Iterator<Item = String>,
    ) -> Members {
        let ids: Vec<Arc<str>> = ids.map(Arc::from).collect();
        let mut positions = HashMap::with_capacity(ids.len());
        for (position, id) in ids.iter().enumerate() {
            positions.entry(Arc::clone(id)).or_insert(position);
        }
        let cookies = match settings {
            Some(config::Affinity::Cookie(cookie)) => {
                Some(Cookies::new(ValueMaker::new(cluster, cookie), &ids))
            }
            Some(config::Affinity::Table(_)) | None => None,
        };
        Members {
            ids,
            positions,
            cookies,
        }
    }

    /// Number of endpoints.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no endpoint.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The id at a position.
    pub fn id(&self, position: usize) -> Option<&str> {
        self.ids.get(position).map(|id| &**id)
    }

    /// The position of the first endpoint with this id.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.positions.get(id).copied()
    }

    /// The cookie value of an endpoint; `None` when it is not among them or the affinity is not by cookie.
    pub(super) fn cookie_value(&self, id: &str) -> Option<&[u8]> {
        let value = self.cookies.as_ref()?.values.get(self.position(id)?)?;
        Some(value)
    }

    /// What a cookie's value is bound to.
    pub(super) fn read_cookie(&self, value: &[u8]) -> (BindingState, Option<usize>) {
        let Some(cookies) = &self.cookies else {
            return (BindingState::Invalid, None);
        };
        match cookies.find(value) {
            Some(position) => (BindingState::Valid, Some(position)),
            None => match cookies.maker.judge_stranger(value) {
                Stranger::Gone => (BindingState::Unknown, None),
                Stranger::Forged => (BindingState::Invalid, None),
            },
        }
    }
}

impl Cookies {
    fn new(maker: ValueMaker, ids: &[Arc<str>]) -> Cookies {
        let values: Vec<_> = ids.iter().map(|id| maker.value(id)).collect();
        let mut labels = HashMap::with_capacity(values.len());
        for (position, value) in values.iter().enumerate() {
            if let Some(label) = maker.label(value) {
                labels.entry(label.into()).or_insert(position);
            }
        }
        Cookies {
            maker,
            values,
            labels,
        }
    }

    /// The endpoint with this value. The map is keyed at random, so its timing tells nothing of how much of a guess was right.
    fn find(&self, value: &[u8]) -> Option<usize> {
        let position = *self.labels.get(self.maker.label(value)?)?;
        same(self.values.get(position)?, value).then_some(position)
    }
}
